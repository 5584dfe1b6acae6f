"""Which days a snapshot holds whole: by what was removed, what is missing, what was not over."""

from __future__ import annotations

import json
import runpy
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from support.places import DAY

from lake.base.day import Day
from lake.base.errors import BadData
from lake.servers import find, start
from lake.snapshots.manifest import SnapshotManifest, read_snapshot, snapshot_manifest_key
from lake.snapshots.whole_days import days_of_blocks, days_of_chunks
from lake.store import Store
from lake.store.directory import DirectoryStore

_SCRIPT = Path(__file__).parents[2] / "docs/restore.py"
D = [Day.parse("2026-03-01").plus(number) for number in range(6)]
HOUR = 3_600_000
NOON = D[4].start + timedelta(hours=12)


def block(start_ms: int, end_ms: int) -> dict[str, int]:
    return {"minTime": start_ms, "maxTime": end_ms}


def two_hours(first: Day, hours_from: int, hours_to: int) -> list[dict[str, int]]:
    starts = range(hours_from, hours_to, 2)
    return [block(first.start_ms + at * HOUR, first.start_ms + (at + 2) * HOUR) for at in starts]


def test_all_days_that_are_over():
    assert days_of_blocks(two_hours(D[0], -2, 110), NOON) == D[:4]


@pytest.mark.parametrize("after_the_cut", [0, 26, 47_123, 3_217_000])
def test_a_day_that_retention_may_have_begun_to_remove_is_not_whole(after_the_cut):
    """A block begins with its first sample, not with the hour at which it was cut."""
    first = block(D[0].start_ms + 4 * HOUR + after_the_cut, D[0].start_ms + 6 * HOUR)
    blocks = [first, *two_hours(D[0], 6, 110)]
    assert days_of_blocks(blocks, NOON) == D[1:4]
    assert days_of_blocks(blocks, NOON, kept=timedelta(hours=109)) == D[1:4]
    assert days_of_blocks(blocks, NOON, kept=timedelta(hours=110)) == D[:4]  # it began there


def test_the_first_sample_of_a_day_may_be_a_little_after_midnight():
    first = block(D[1].start_ms + 14_026, D[1].start_ms + 2 * HOUR)
    assert days_of_blocks([first, *two_hours(D[1], 2, 86)], NOON) == D[1:4]


def test_a_day_without_any_block_is_not_listed():
    blocks = two_hours(D[0], 0, 24) + two_hours(D[2], 0, 24)
    assert days_of_blocks(blocks, NOON) == [D[0], D[2]]
    assert days_of_blocks([], NOON) == []


def test_days_that_may_lack_samples_are_not_whole():
    blocks = two_hours(D[0], 0, 110)
    assert days_of_blocks(blocks, NOON, D[2].start + timedelta(hours=1)) == D[:2]


@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 40)), max_size=12))
def test_chunks_by_their_first_and_last_line(spans):
    """Against every hour by itself."""
    chunks = [
        (D[0].start_ms + at * HOUR, D[0].start_ms + (at + hours) * HOUR) for at, hours in spans
    ]
    touched = {D[0].plus((at + hour) // 24) for at, hours in spans for hour in range(hours + 1)}
    expected = sorted(day for day in touched if day < D[4])
    assert days_of_chunks(chunks, NOON, None) == expected
    kept = timedelta(days=2)
    assert days_of_chunks(chunks, NOON, kept) == [day for day in expected if day > D[2]]
    copied = NOON + timedelta(hours=13)  # retention went on until then
    assert days_of_chunks(chunks, NOON, kept, copied) == [day for day in expected if day > D[3]]


def manifest(**fields) -> SnapshotManifest:
    plain = {
        "system": "loki", "day": "2026-03-02", "created_at": "2026-03-03T00:10:00.000+00:00",
        "version": "0", "server": {"name": "Loki", "version": "3.7.6"}, "counts": {},
        "window": {"start": None, "end": "2026-03-03T00:09:00.000+00:00"},
        "objects": [], "files": [], "restore": "",
    }  # fmt: skip
    return SnapshotManifest(**(plain | fields))


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ({}, [D[1]]),
        ({"created_at": "2026-03-02T13:00:00.000+00:00"}, [D[0]]),
        ({"window": {"start": None, "end": None}}, []),
        ({"window": {"start": None, "end": None}, "counts": {"files": 103, "lines": 5}}, [D[1]]),
        ({"window": {"start": None, "end": None}, "counts": {"documents": {"a": 0, "b": 7}}},
         [D[1]]),
        ({"window": {"start": None, "end": None}, "counts": {"documents": {"a": 0}, "files": 0}},
         []),
        ({"window": {"start": None, "end": None}, "counts": {"lines": 7}, "whole_days": []}, []),
        ({"window": {"start": "2026-03-02T00:00:01+00:00", "end": "2026-03-03T00:01:00+00:00"}},
         [D[1]]),
        ({"window": {"start": "2026-03-03T00:00:00+00:00", "end": "2026-03-03T00:01:00+00:00"}},
         []),
        ({"whole_days": []}, []),
        ({"whole_days": ["2026-02-28", "2026-03-01"]}, [D[0].plus(-1), D[0]]),
        ({"system": "prometheus", "whole_days": ["2026-02-28", "2026-03-01"],
          "window": {"start": "2026-02-28T06:00:00.026+00:00", "end": None}}, [D[0]]),
        ({"system": "prometheus", "whole_days": ["2026-02-28"], "details": {"kept_from": None},
          "window": {"start": "2026-02-28T06:00:00.026+00:00", "end": None}}, [D[0].plus(-1)]),
    ],
)  # fmt: skip
def test_manifests_of_every_version(fields, held):
    snapshot = manifest(**fields)
    assert snapshot.held_days() == held
    # The program that lies beside snapshots says the same.
    by_script = runpy.run_path(str(_SCRIPT))["whole_days"](json.loads(snapshot.to_bytes()))
    assert by_script == [str(day) for day in held]


@pytest.fixture
def store(tmp_path) -> Store:
    return DirectoryStore(tmp_path)


def test_a_manifest_without_the_field_is_readable(store):
    day = Day.parse("2026-03-02")
    fields = json.loads(manifest(whole_days=["2026-03-01"]).to_bytes())
    key = snapshot_manifest_key("loki", day)
    store.write(key, json.dumps(fields).encode())
    assert read_snapshot(store, "loki", day).held_days() == [D[0]]
    del fields["whole_days"]
    store.write(key, json.dumps(fields).encode())
    assert read_snapshot(store, "loki", day).held_days() == [day]


@pytest.mark.parametrize("days", [["2026-02-30"], "2026-03-01", [None], {"from": "2026-03-01"}])
def test_days_that_are_none_make_the_manifest_invalid(store, days):
    day = Day.parse("2026-03-02")
    fields = json.loads(manifest().to_bytes()) | {"whole_days": days}
    store.write(snapshot_manifest_key("loki", day), json.dumps(fields).encode())
    with pytest.raises(BadData):
        read_snapshot(store, "loki", day)


def test_of_a_real_prometheus(place, own_prometheus):
    """It began on that day, and the scrape of today is not over."""
    endpoint = own_prometheus.endpoints["prometheus"]
    here = place(
        sources__prometheus={"url": endpoint["url"]},
        snapshots__prometheus={"data_dir": endpoint["data_dir"]},
    )
    assert here.take("prometheus").manifest.held_days() == [DAY]


@pytest.mark.parametrize(
    ("flags", "held"),
    [
        (["retention.time=30h"], [DAY]),
        (["retention.time=30d"], [DAY.plus(-1), DAY]),
        (["retention.time=30d", "retention.size=1GB"], [DAY]),
    ],
)
def test_of_one_whose_retention_may_remove_blocks(place, tmp_path, flags, held):
    """Its samples begin at 08:00 on the day before; each block begins 26 ms after it was cut."""
    first = DAY.plus(-1).start + timedelta(hours=8)
    times = [first + timedelta(minutes=minute, milliseconds=26) for minute in range(40 * 60)]
    lines = [f'seen_total{{host="a"}} {n} {at.timestamp():.3f}' for n, at in enumerate(times)]
    text = tmp_path / "metrics"
    text.write_text("\n".join(["# TYPE seen counter", *lines, "# EOF", ""]))
    options = [f"--storage.tsdb.{flag}" for flag in [*flags, "min-block-duration=2h"]]
    site = tmp_path / "site"
    with start(["prometheus"], site, prometheus_flags=options) as running:
        data = running.endpoints["prometheus"]["data_dir"]
    program = find("promtool")
    assert program is not None
    blocks = ["tsdb", "create-blocks-from", "openmetrics", str(text), data]
    subprocess.run([program.path, *blocks], check=True, capture_output=True)
    with start(["prometheus"], site, prometheus_flags=options) as running:
        endpoint = running.endpoints["prometheus"]
        here = place(
            sources__prometheus={"url": endpoint["url"]},
            snapshots__prometheus={"data_dir": endpoint["data_dir"]},
        )
        manifest = here.take("prometheus").manifest
        query = {"query": "count_over_time(seen_total[1d])", "time": DAY.start.timestamp()}
        answer = requests.get(f"{endpoint['url']}/api/v1/query", query, timeout=30).json()
    (series,) = answer["data"]["result"]
    # What the server still has of the day before: all from 08:00 on, or from the oldest block on,
    # of which 2.53 deletes one more than 2.42.
    assert int(series["value"][1]) in ((6 * 60, 8 * 60) if "30h" in flags[0] else (16 * 60,))
    assert manifest.window["start"].endswith(".026+00:00")
    assert manifest.held_days() == held
