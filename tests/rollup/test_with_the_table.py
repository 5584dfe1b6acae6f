"""A rollup goes with its table: late data, kills between both, failures, drop."""

from __future__ import annotations

import json
import os
import signal
import uuid
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.forked import started
from support.plain_rollup import Sample, summed
from support.rolled_lake import Place

from lake.base.day import Day
from lake.base.errors import PermanentError
from lake.config.settings import load
from lake.drop import drop, inspect
from lake.export import Exporter
from lake.partition.layout import manifest_key, table_key
from lake.partition.rollups import RollupManifest, read_rollup
from lake.query import connect
from lake.repair import find_orphans, repair
from lake.retired import change_retired
from lake.status import read_status
from lake.systems.prometheus.rollup.rolling import SeriesRolling

DAY = Day.parse("2026-03-02")
HOUR_S = 3600


def growth(place, start: Day, end: Day) -> float:
    """Of all hours, without what lies between them."""
    with connect(place.settings) as lake:
        [row] = lake.rows(
            "SELECT sum(increase) AS grown, sum(samples) AS samples FROM "
            f"stored_hourly_between(DATE '{start}', DATE '{end}')"
        )
    return row["grown"]


def samples_of(values: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
    at = np.array(sorted(values))
    return DAY.start_ms + at * 1000, np.array(
        [values[second] for second in at.tolist()], np.float64
    )


@pytest.fixture
def metric() -> str:
    return f"late_{uuid.uuid4().hex[:8]}"


@pytest.fixture
def place(metrics, metric):
    return metrics(metric)


def test_late_data_changes_the_answer_by_exactly_that(place, metric, push):
    before = {at: float(at // 15) for at in range(0, 2 * HOUR_S, 15)}
    push([({"__name__": metric, "n": "1"}, *samples_of(before))])
    place.export("stored", DAY)
    place.export("stored", DAY.plus(1))
    assert growth(place, DAY, DAY.plus(2)) == 2 * 239

    late = {5 * HOUR_S + at: 1000.0 + at for at in range(0, HOUR_S, 60)}
    push([({"__name__": metric, "n": "1"}, *samples_of(late))])
    outcome = place.export("stored", DAY, force=True)

    assert (outcome.state, outcome.rollup.state) == ("rewritten", "made")
    assert growth(place, DAY, DAY.plus(2)) == 2 * 239 + 59 * 60
    rows = [Sample(1, DAY.start_ms + at * 1000, value) for at, value in (before | late).items()]
    assert sum(row["increase"] for row in summed(rows).values()) == 2 * 239 + 59 * 60


def _killed_export(config: str, fault: str) -> None:
    os.environ["LAKE_FAULT"] = fault
    settings = load(config, {})
    with closing(Exporter(settings)) as exporter:
        exporter.export(settings.dataset_named("stored"), DAY, force=True)


@pytest.mark.parametrize(
    "fault",
    [
        "delete manifests/rollups/*",
        "begin rollups/*",
        "complete rollups/*",
        "done rollups/*",
        "complete manifests/rollups/*",
        "done manifests/rollups/*",
    ],
)
@pytest.mark.parametrize("mend", ["export", "rollup"])
def test_killed_between_table_and_rollup(place, metric, push, lake, fault, mend):
    push([({"__name__": metric, "n": "1"}, *samples_of({0: 1.0, 15: 3.0, 86400: 4.0, 86415: 6.0}))])
    place.export("stored", DAY.plus(1))
    assert place.export("stored", DAY).rollup.state == "made"
    push([({"__name__": metric, "n": "1"}, *samples_of({30: 9.0}))])

    process = started(_killed_export, str(place.config), f"SIGKILL {fault}")
    process.join()
    assert process.exitcode == -signal.SIGKILL

    # The table is the new one; its rollup is whole or in no answer.
    whole = fault == "done manifests/rollups/*"
    [status, _] = read_status(place.settings, place.store, None, DAY, DAY.plus(1))
    assert (status.days[DAY].state, status.days[DAY].rows) == ("verified", 3)
    assert status.days[DAY].rollup == (
        "current" if whole else "stale" if fault.startswith("delete") else "missing"
    )
    assert growth(place, DAY, DAY.plus(2)) == 2 + (8 if whole else 0)
    config = ("--config", str(place.config))
    assert lake("status", "--no-sources", "--day", str(DAY), *config)[0] in (0, 1)  # `stepped`
    command = ("export", "stored", "--day", str(DAY)) if mend == "export" else ("rollup", "stored")
    assert lake(*command, *config)[0] == 0
    assert growth(place, DAY, DAY.plus(1)) == 8
    assert lake("verify", "stored", *config)[0] == 0


def test_a_rollup_that_fails_leaves_its_table_and_is_reported(
    place, metric, push, lake, monkeypatch
):
    push([({"__name__": metric, "n": "1"}, *samples_of({0: 1.0, 15: 3.0}))])

    def fails(self, batch):
        raise PermanentError("no rollup today")

    with monkeypatch.context() as patched:
        patched.setattr(SeriesRolling, "add", fails)
        status, out, err = lake(
            "export", "stored", "--day", str(DAY), "--json", "--config", str(place.config)
        )

    assert status == 1
    assert "no rollup today" in err
    [partition] = json.loads(out)["partitions"]
    assert (partition["state"], partition["rows"]) == ("exported", 2)
    assert partition["rollup"]["state"] == "failed"
    assert partition["error"]["what"] == "no rollup today"
    assert lake("verify", "stored", "--config", str(place.config))[0] == 0
    assert place.export("stored", DAY).rollup.state == "made"


def test_drop_takes_the_rollup_away_first(place, metric, push):
    push([({"__name__": metric, "n": "1"}, *samples_of({0: 1.0, 15: 3.0}))])
    place.export("stored", DAY)
    deleted = []
    delete = place.store.delete
    place.store.delete = lambda key: (deleted.append(key), delete(key))
    with closing(Exporter(place.settings)) as exporter:
        dataset = place.settings.dataset_named("stored")
        drop(place.store, inspect(place.settings, place.store, exporter.source, dataset, DAY))

    assert deleted == [
        f"manifests/rollups/stored/{DAY}.json",
        f"rollups/stored/day={DAY}/data.parquet",
        f"manifests/stored/{DAY}.json",
        f"tables/stored/day={DAY}/data.parquet",
    ]
    left = {stat.key for stat in place.store.list("")}
    assert {key.split("/")[0] for key in left} <= {"audit", "guard"}  # what was dropped is recorded


def test_an_export_that_skips_a_day_of_an_older_lake_makes_its_rollup(place, metric, push, lake):
    push([({"__name__": metric, "n": "1"}, *samples_of({0: 1.0, 15: 3.0}))])
    place.export("stored", DAY)
    manifest = read_rollup(place.store, "stored", DAY)
    assert isinstance(manifest, RollupManifest)
    made = place.store.read(manifest.key)
    place.store.delete(manifest.key)
    place.store.delete(f"manifests/rollups/stored/{DAY}.json")

    arguments = ("export", "stored", "--day", str(DAY), "--json", "--config", str(place.config))
    [partition] = json.loads(lake(*arguments)[1])["partitions"]

    assert (partition["state"], partition["rollup"]["state"]) == ("skipped", "made")
    assert place.store.read(manifest.key) == made
    [partition] = json.loads(lake(*arguments)[1])["partitions"]
    assert partition["state"] == "skipped"
    assert pq.read_table(Path(place.folder) / "lake" / manifest.key).num_rows == 1


def test_a_dataset_of_the_name_rollups_has_its_own_manifests(
    tmp_path, prometheus_url, metric, push
):

    push([({"__name__": metric, "n": "1"}, *samples_of({0: 1.0, 15: 3.0}))])
    sections = f"""
[sources.prometheus]
url = "{prometheus_url}"
[hot]
prometheus = 10000
"""
    for name in ("rollups", "other"):
        sections += f"""
[[dataset]]
name = "{name}"
source = "prometheus"
query = "{metric}"
mode = "raw"
"""
    here = Place(tmp_path, sections)
    for name in ("rollups", "other"):
        assert here.export(name, DAY).rollup.state == "made"

    statuses = read_status(here.settings, here.store, None, DAY, DAY.plus(2))
    assert {status.dataset: status.days[DAY].rollup for status in statuses} == dict.fromkeys(
        ("rollups", "other"), "current"
    )
    assert {status.days[DAY.plus(1)].state for status in statuses} == {"missing"}
    with connect(here.settings) as lake:
        for name in ("rollups", "other"):
            [row] = lake.rows(f"SELECT increase FROM {name}_hourly")
            assert row == {"increase": 2.0}


def test_a_rollup_whose_partition_is_gone_is_an_orphan(place, metric, push):
    push([({"__name__": metric, "n": "1"}, *samples_of({0: 1.0, 15: 3.0}))])
    place.export("stored", DAY)
    assert find_orphans(place.settings, place.store) == []
    place.store.delete(f"manifests/rollups/stored/{DAY}.json")
    assert find_orphans(place.settings, place.store) == []  # `lake rollup` completes it
    place.export("stored", DAY)
    place.store.delete(f"manifests/stored/{DAY}.json")
    place.store.delete(f"tables/stored/day={DAY}/data.parquet")

    orphans = find_orphans(place.settings, place.store)

    keys = [f"manifests/rollups/stored/{DAY}.json", f"rollups/stored/day={DAY}/data.parquet"]
    assert [(orphan.kind, orphan.key, orphan.state) for orphan in orphans] == [
        ("rollup", key, "left") for key in keys
    ]
    assert [orphan.state for orphan in repair(place.settings, place.store)] == [
        "removed",
        "removed",
    ]
    left = {stat.key.partition("/")[0] for stat in place.store.list("")}
    assert left == {"audit", "guard"}  # the record of it


def test_the_rollup_of_a_retired_day_is_read_without_its_table(place, metric, push):
    next_day = DAY.plus(1)
    values = {0: 1.0, 15: 3.0, 30: 8.0, 86_400: 9.0, 86_415: 13.0}
    push([({"__name__": metric, "n": "1"}, *samples_of(values))])
    for day in (DAY, next_day):
        place.export("stored", day)
    whole = growth(place, DAY, DAY.plus(2))
    of_second = growth(place, next_day, DAY.plus(2))
    assert whole > of_second > 0
    # Its table alone goes: a loss shows, for its rollup could be of anything.
    for key in (manifest_key("stored", DAY), table_key("stored", DAY)):
        place.store.delete(key)
    assert growth(place, DAY, DAY.plus(2)) == of_second
    assert [orphan.kind for orphan in find_orphans(place.settings, place.store)] == ["rollup"] * 2
    change_retired(place.store, {"stored": {DAY}})
    assert growth(place, DAY, DAY.plus(2)) == whole
    assert find_orphans(place.settings, place.store) == []
    repair(place.settings, place.store)
    assert growth(place, DAY, DAY.plus(2)) == whole
