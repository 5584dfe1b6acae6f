"""The alert rules, by promtool; each is about metrics that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from support.ledger_days import ago, lake

from lake.metrics import families
from lake.servers import find

RULES = Path(__file__).parents[2] / "deploy/prometheus/rules"
TESTS = sorted(path.name for path in RULES.glob("*_test.yml"))


def promtool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    binary = find(name)
    if binary is None:
        pytest.skip(f"no {name} here")
    return subprocess.run(
        [binary.path, *arguments], cwd=RULES, capture_output=True, text=True, check=False
    )


@pytest.mark.servers
@pytest.mark.parametrize("name", ["promtool", "promtool3"])
@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "monitoring-lake.yml"), ("test", "rules", *TESTS)],
    ids=["check", "test"],
)
def test_by_promtool(name, arguments):
    done = promtool(name, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def rules() -> list[dict]:
    (group,) = yaml.safe_load((RULES / "monitoring-lake.yml").read_text("utf-8"))["groups"]
    return group["rules"]


def test_every_rule_is_tested_firing():
    tests = [
        test
        for name in TESTS
        for test in yaml.safe_load((RULES / name).read_text("utf-8"))["tests"]
    ]
    firing = {
        rule["alertname"]
        for test in tests
        for rule in test["alert_rule_test"]
        if rule["exp_alerts"]
    }
    silent = {
        rule["alertname"]
        for test in tests
        for rule in test["alert_rule_test"]
        if not rule["exp_alerts"]
    }
    names = {rule["alert"] for rule in rules()}
    assert (firing, silent) == (names, names)


def test_every_metric_of_a_rule_exists(tmp_path):
    _, settings, store = lake(tmp_path, ago(3))
    known = {family.name for family in families(settings, store)}
    named = set(re.findall(r"monitoring_lake_\w+", " ".join(rule["expr"] for rule in rules())))
    assert len(named) > 8
    assert named <= known
