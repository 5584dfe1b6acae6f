"""deploy/thanos and deploy/mimir: flags that the program has; settings that the lake takes."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from lake.config.datasets import duration_ms
from lake.config.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
FLAGS = sorted((DEPLOY / "thanos").glob("*.args"))
DAY_MS = 86_400_000


def settings_on(page: str) -> Settings:
    """The page's part of lake.toml."""
    text = (DEPLOY / page / "README.md").read_text("utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    return Settings.model_validate({"lake": {"root": "lake"}, **tomllib.loads(block)})


def value(file: str, flag: str) -> str:
    (text,) = re.findall(rf"--{flag}=(.*)", (DEPLOY / "thanos" / file).read_text("utf-8"))
    return str(text)


@pytest.mark.parametrize("file", FLAGS, ids=lambda path: path.stem)
def test_thanos_has_every_flag(thanos_program: Path, file: Path):
    done = subprocess.run([thanos_program, file.stem, "--help"], capture_output=True, text=True,
                          check=True)  # fmt: skip
    known = set(re.findall(r"--(?:\[no-\])?([a-z][\w.-]+)", done.stdout + done.stderr))
    given = re.findall(r"(?m)^--([\w.-]+)", file.read_text("utf-8"))
    assert len(given) >= 4
    assert [flag for flag in given if flag not in known] == []


def test_min_stores_is_the_number_of_stores_of_the_query():
    source = settings_on("thanos").sources.prometheus
    strict = re.findall("--endpoint-strict=", (DEPLOY / "thanos/query.args").read_text("utf-8"))
    assert source.min_stores == len(strict) == 2
    port = value("query.args", "http-address").rpartition(":")[2]
    assert source.url.endswith(f":{port}")


def test_the_deadline_of_the_export_is_the_retention():
    raw = duration_ms(value("compact.args", r"retention\.resolution-raw"))
    assert settings_on("thanos").hot.prometheus == raw // DAY_MS
    hot = settings_on("mimir").hot.prometheus
    for name in ("cortex.yaml", "mimir.yaml"):
        limits = yaml.safe_load((DEPLOY / "mimir" / name).read_text("utf-8"))["limits"]
        assert duration_ms(limits["compactor_blocks_retention_period"]) // DAY_MS == hot
        window = duration_ms(limits["out_of_order_time_window"]) // DAY_MS
        assert settings_on("mimir").sources.prometheus.lateness_days > window


@pytest.mark.parametrize("name", ["cortex.yaml", "mimir.yaml"])
def test_the_lake_reads_as_the_tenant_that_writes(name):
    text = (DEPLOY / "mimir/README.md").read_text("utf-8")
    (written,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (target,) = yaml.safe_load(written)["remote_write"]
    source = settings_on("mimir").sources.prometheus
    assert source.tenant == target["headers"]["X-Scope-OrgID"]
    server = yaml.safe_load((DEPLOY / "mimir" / name).read_text("utf-8"))
    port = server["server"]["http_listen_port"]
    assert f":{port}/prometheus" in source.url
    assert f":{port}/api/v1/push" in target["url"]
    assert server.get("auth_enabled", server.get("multitenancy_enabled")) is True
