"""`lake metrics --storage`: its values by hand."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.ledger_days import ago, export, lake

from lake.servers import find


@pytest.fixture
def place(tmp_path):
    file, settings, store = lake(tmp_path, ago(8))
    export(store, settings, "events", [ago(n) for n in range(8, 0, -1)])
    store.write(f"loki/{str(ago(1)).replace('-', '/')}/run/a.bin", b"x" * 1000)
    return file


def samples(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        family.name.removeprefix("monitoring_lake_"): {
            tuple(sample.labels.values()): sample.value for sample in family.samples
        }
        for family in text_string_to_metric_families(text)
    }


def test_what_is_stored(place, run):
    code, out, err = run("metrics", "--storage", "--config", str(place))
    assert (code, err) == (0, "")
    families = samples(out)
    root = place.parent / "lake"
    sizes, numbers = Counter(), Counter()
    for file in root.rglob("*"):
        if file.is_file():
            kind = {"tables": "table", "manifests": "manifest"}.get(
                file.relative_to(root).parts[0], "snapshot"
            )
            sizes[kind] += file.stat().st_size
            numbers[kind] += 1
    stored = {key[2]: value for key, value in families["store_bytes"].items()}
    assert stored == dict(sizes)
    assert {key[2]: value for key, value in families["store_objects"].items()} == dict(numbers)
    assert ("mongo", "events", "table", "STANDARD", "current") in families["store_bytes"]
    assert ("loki", "", "snapshot", "STANDARD", "current") in families["store_bytes"]
    assert families["growth_rows"] == {("events", "mongo"): 3}
    assert families["growth_bytes"]["events", "mongo"] == sizes["table"] / 8
    cost = families["month_storage_cost"]["STANDARD", "USD", "ap-northeast-2"]
    assert cost == pytest.approx(sum(sizes.values()) / 2**30 * 0.025)
    assert abs(families["storage_timestamp_seconds"][()] - time.time()) < 60
    assert "partitions" not in families  # its file lies beside the other one's


def test_costs_are_those_of_lake_cost(place, run):
    families = samples(run("metrics", "--storage", "--config", str(place))[1])
    report = json.loads(run("cost", "--json", "--config", str(place))[1])
    where = ("USD", "ap-northeast-2")
    assert families["year_cost"][where] == pytest.approx(report["forecast"]["total"])
    operations = report["forecast"]["first_month_requests"]
    assert {
        key[0]: value for key, value in families["month_request_cost"].items()
    } == pytest.approx({operation["operation"]: operation["cost"] for operation in operations})


def test_it_is_not_with_sources(place, run):
    code, _, err = run("metrics", "--storage", "--sources", "--config", str(place))
    assert code == 2
    assert "exclude each other" in err


@pytest.mark.servers
def test_promtool_has_nothing_against_it(place, run):
    binary = find("promtool")
    if binary is None:
        pytest.skip("no promtool here")
    text = run("metrics", "--storage", "--config", str(place))[1]
    done = subprocess.run(
        [binary.path, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
