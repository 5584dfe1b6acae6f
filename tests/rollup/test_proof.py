"""`lake status` and `lake verify` on rollups: right ones, and wrong ones of every kind."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rollup.test_hourly_series as series
import rollup.test_hourly_streams as streams
from hypothesis import HealthCheck, given, settings
from support.made_partitions import put
from support.plain_rollup import Sample, table
from support.rolled_lake import Place

from lake.base.day import Day
from lake.catalog import write_catalog
from lake.partition.rollups import RollupManifest, read_rollup
from lake.process.scratch import scratch_directory
from lake.query import connect
from lake.rollup import rollup_of
from lake.rollup.making import from_table
from lake.rollup.many import roll_up, with_rollups
from lake.rollup.storing import put as put_rollup
from lake.rollup.storing import remove
from lake.status import read_status
from lake.verify import to_verify, verify_many

DAY = Day.parse("2026-07-01")
SECTIONS = """
[sources.prometheus]
url = "http://127.0.0.1:1"
[sources.loki]
url = "http://127.0.0.1:1"
[[dataset]]
name = "metrics"
source = "prometheus"
query = "m"
mode = "raw"
[[dataset]]
name = "logs"
source = "loki"
selector = '{a="b"}'
"""
SAMPLES = [
    Sample(series_, DAY.start_ms + at * 600_000, value)
    for series_ in (1, 2)
    for at, value in enumerate([1.0, 4.0, 2.0, math.nan, None, 9.5, 0.5, 3.0])
]
"""Two hours of two series, with resets, a NaN and a stale marker."""


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path, SECTIONS)


def made(place: Place, name: str, day: pa.Table) -> RollupManifest:
    """A partition of these rows, and its rollup."""
    dataset = place.settings.dataset_named(name)
    put(place.store, dataset, DAY, day)
    results = list(roll_up(place.settings, place.store, [dataset], [DAY], jobs=1))
    assert [rolled_day.rolled.state for rolled_day in results] == ["made"], results[0].rolled.error
    manifest = read_rollup(place.store, name, DAY)
    assert isinstance(manifest, RollupManifest)
    return manifest


def problems(place: Place, name: str = "metrics") -> tuple[str, ...]:
    dataset = place.settings.dataset_named(name)
    parts = to_verify(place.store, [dataset], [DAY])
    [finding] = verify_many(place.settings, place.store, parts, None)
    return finding.problems


def state(place: Place, name: str = "metrics") -> str | None:
    statuses = read_status(place.settings, place.store, None, DAY, DAY.plus(1))
    [status] = [dataset for dataset in statuses if dataset.dataset == name]
    return status.days[DAY].rollup


def rewrite(place: Place, manifest: RollupManifest, rows: pa.Table, **claims: object) -> None:
    """Another rollup with a manifest that fits it: what no checksum shows."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    data = sink.getvalue().to_pybytes()
    place.store.write(manifest.key, data)
    fields = json.loads(manifest.to_bytes())
    fields |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), **claims}
    place.store.write(
        f"manifests/rollups/{manifest.dataset}/{DAY}.json", json.dumps(fields).encode()
    )


def stored(place: Place, manifest: RollupManifest) -> pa.Table:
    return pq.read_table(pa.BufferReader(place.store.read(manifest.key)))


def test_right_ones(place):
    made(place, "metrics", table(SAMPLES))
    made(place, "logs", streams.table([(1, DAY.start_ns + 5, "level=info"), (2, DAY.start_ns, "")]))

    assert problems(place) == problems(place, "logs") == ()
    assert state(place) == state(place, "logs") == "current"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(series.samples)
def test_sql_computes_every_rollup_again(place, samples):
    """NaN, infinities, -0, resets, histograms: two ways, one answer."""
    shutil.rmtree(place.folder / "lake", ignore_errors=True)
    made(place, "metrics", table(samples))

    assert problems(place) == ()


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(streams.lines)
def test_sql_counts_every_line_again(place, lines):
    shutil.rmtree(place.folder / "lake", ignore_errors=True)
    made(place, "logs", streams.table(lines))

    assert problems(place, "logs") == ()


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("samples", 5),
        ("first", 1.5),
        ("last_ts", datetime(2026, 7, 1, 0, 7, tzinfo=UTC)),
        ("min", 0.5),
        ("max", 4.5),
        ("increase", 5.5),
        ("resets", 0),
        ("sum", None),
        ("stale", 0),
        ("nans", 0),
        ("code", "2"),
        ("metric", None),
    ],
)
def test_one_wrong_value_is_found_and_named(place, name, other):
    manifest = made(place, "metrics", table(SAMPLES))
    rows = stored(place, manifest)
    field = rows.schema.field(name)
    right, *others = rows[name].to_pylist()
    assert right != other
    wrong = pa.array([other, *others], field.type)
    rewrite(place, manifest, rows.set_column(rows.schema.get_field_index(name), field, wrong))

    [problem] = problems(place)

    assert f"the rollup's {name} is not the table's: 1, such as that of series_id 1" in problem


def test_rounding_is_no_difference_and_a_millionth_is(place):
    manifest = made(place, "metrics", table(SAMPLES))
    rows = stored(place, manifest)
    index = rows.schema.get_field_index("sum")
    for factor, expected in ((1 + 1e-14, 0), (1 + 1e-6, 1)):
        near = pa.array([value * factor for value in rows["sum"].to_pylist()])
        rewrite(place, manifest, rows.set_column(index, "sum", near))
        assert len(problems(place)) == expected


def test_rows_too_many_and_too_few(place):
    manifest = made(place, "metrics", table(SAMPLES))
    rows = stored(place, manifest)
    rewrite(place, manifest, rows.slice(1))
    assert (
        "rows that are missing: 1, such as that of series_id 1, hour 2026-07-01"
        in problems(place)[0]
    )

    moved = rows.set_column(1, "series_id", pa.array([7, *rows["series_id"].to_pylist()[1:]]))
    rewrite(place, manifest, moved)
    assert any(
        "the table has no rows for: 1, such as that of series_id 7" in problem
        for problem in problems(place)
    )


def test_rows_that_are_there_twice(place):
    manifest = made(place, "metrics", table(SAMPLES))
    rows = stored(place, manifest)
    rewrite(place, manifest, pa.concat_tables([rows, rows.slice(0, 1)]))

    assert problems(place) == (
        f"the rollup has {len(rows) + 1} rows, computed from the table there are {len(rows)}",
    )


@pytest.mark.parametrize(
    ("name", "keys"), [("metrics", "series_id, hour"), ("logs", "stream_id, hour, level")]
)
def test_rows_in_another_order(place, name, keys):
    day = table(SAMPLES)
    if name == "logs":  # a level and none in one hour
        day = streams.table(
            [(1, DAY.start_ns + n, text) for n, text in enumerate(("level=info", ""))]
        )
    manifest = made(place, name, day)
    rows = stored(place, manifest)
    assert len(rows) > 1
    for other in (rows.take([*range(len(rows))][::-1]), rows.take([1, 0, *range(2, len(rows))])):
        rewrite(place, manifest, other)
        [problem] = problems(place, name)
        assert f"the rollup is not sorted by {keys}: " in problem


@pytest.mark.parametrize("name", ["metrics", "logs"])
def test_labels_without_a_column(place, name):
    """Those with the name of a rollup's column are among them."""
    if name == "metrics":
        day = table(SAMPLES)
        for label, value in (
            *(("hour", "7"), ("first", None), ("lower", "x"), ("samples", "'")),
            *(("maps", "m"), ("grouped", "g")),  # tables' names in the statement
        ):
            day = day.append_column(label, pa.array([value] * len(day), pa.string()))
    else:
        day = streams.table([(1, DAY.start_ns + 5, "level=info"), (2, DAY.start_ns, "x")])
    manifest = made(place, name, day)
    assert problems(place, name) == ()
    rows = stored(place, manifest)
    maps = rows["labels"].to_pylist()
    assert sorted({key for of_row in maps for key, _ in of_row}) == (
        ["Path", "hour", "lower", "samples"] if name == "metrics" else ["Pod", "level"]
    )

    for wrong in ([("Pod", "?")], maps[-1][:-1]):
        column = pa.array([*maps[:-1], wrong], rows.schema.field("labels").type)
        index = rows.schema.get_field_index("labels")
        rewrite(place, manifest, rows.set_column(index, "labels", column))
        [problem] = problems(place, name)
        assert "the rollup's labels is not the table's: 1, such as that of" in problem


def test_wrong_sums(place, lake):
    manifest = made(place, "metrics", table(SAMPLES))
    rewrite(place, manifest, stored(place, manifest), sums=manifest.sums | {"increase": 1.0})
    assert [problem for problem in problems(place) if "sum of increase" in problem]
    assert state(place) == "current"  # rows alone are the status' matter

    rewrite(place, manifest, stored(place, manifest), sums=manifest.sums | {"samples": 99})
    assert state(place) == "differs"
    assert len(problems(place)) == 2
    status, _, err = lake(
        "status", "--no-sources", "--day", str(DAY), "--config", str(place.config)
    )
    assert status == 1
    assert "metrics: 1 rollup differs (2026-07-01); `lake rollup metrics --force` makes them" in err


def test_a_damaged_object_or_manifest(place):
    manifest = made(place, "metrics", table(SAMPLES))
    data = place.store.read(manifest.key)
    place.store.write(manifest.key, data[:-1])
    assert state(place) == "damaged"
    assert len(problems(place)) == 1

    place.store.write(manifest.key, bytes([data[0] ^ 1]) + data[1:])
    assert state(place) == "current"
    assert problems(place) == ("the rollup's sha256 is not its manifest's",)

    place.store.write(f"manifests/rollups/metrics/{DAY}.json", b"{}")
    assert state(place) == "damaged"


def test_missing_and_stale_ones_are_information(place, lake):
    """A lake from before there were rollups stays green."""
    dataset = place.settings.dataset_named("metrics")
    put(place.store, dataset, DAY, table(SAMPLES))
    put(place.store, place.settings.dataset_named("logs"), DAY, streams.table([]))
    arguments = ("--no-sources", "--day", str(DAY), "--config", str(place.config))
    status, out, err = lake("status", "--json", *arguments)
    assert status == 0
    assert json.loads(out)["datasets"][0]["days"][str(DAY)]["rollup"] == "missing"
    assert "metrics: 1 rollup missing (2026-07-01); `lake rollup metrics` makes them" in err
    assert problems(place) == ()

    made(place, "metrics", table(SAMPLES))
    put(place.store, dataset, DAY, table(SAMPLES[1:]))
    assert state(place) == "stale"
    assert problems(place) == ()
    assert lake("status", *arguments)[0] == 0
    status, out, _ = lake("rollup", "--json", "--config", str(place.config))
    assert json.loads(out)["made"] == 2
    assert state(place) == "current"


def test_one_by_earlier_rules_is_in_no_answer(place, lake):
    manifest = made(place, "metrics", table(SAMPLES))
    earlier = manifest.definition | {"version": manifest.definition["version"] - 1}
    rewrite(place, manifest, stored(place, manifest), definition=earlier)

    assert state(place) == "stale"
    with connect(place.settings) as session:
        answer = session.ask("SELECT count(*) FROM metrics_hourly")
        assert (list(answer.rows), len(answer.notes)) == ([(0,)], 1)
    assert "has no current rollup (2026-07-01); `lake rollup metrics` makes it" in answer.notes[0]
    assert json.loads(lake("rollup", "--json", "--config", str(place.config))[1])["made"] == 1
    assert state(place) == "current"


def test_changed_places_of_levels_make_rollups_stale(place):
    made(place, "logs", streams.table([(1, DAY.start_ns, "level=info")]))
    place.config.write_text(place.config.read_text() + 'level_from = "line"\n')

    changed = Place(place.folder, SECTIONS + 'level_from = "line"\n')

    assert state(changed, "logs") == "stale"
    assert with_rollups(changed.settings, ("logs",))


def test_runs_at_once_leave_one_whole_rollup(place):
    """`lake rollup --force` in several places: the same object, and a manifest that fits it."""
    dataset = place.settings.dataset_named("metrics")
    put(place.store, dataset, DAY, table(SAMPLES))

    def run(_: int) -> str:
        results = roll_up(place.settings, place.store, [dataset], [DAY], jobs=1, force=True)
        return next(iter(results)).rolled.state

    with ThreadPoolExecutor(4) as pool:
        states = list(pool.map(run, range(12)))

    assert "made" in states
    assert state(place) == "current"
    assert problems(place) == ()


def test_a_table_that_another_run_replaces_keeps_its_own_rollup(place):
    """The slower run finds another table: its rollup would be stale, and it gives up."""
    dataset = place.settings.dataset_named("metrics")
    slow = put(place.store, dataset, DAY, table(SAMPLES)).manifest
    with scratch_directory() as scratch:
        late = from_table(place.store, rollup_of(place.settings, dataset), slow, scratch)
        fast = made(place, "metrics", table(SAMPLES[1:]))
        upload = place.store.upload

        @contextmanager
        def overtaken(key, replaces=None):
            with upload(key, replaces) as to:
                yield to
                (place.folder / "lake" / fast.key).write_bytes(b"of the faster run")

        with patch.object(place.store, "upload", overtaken):
            assert put_rollup(place.store, slow, late) is None

    assert list(roll_up(place.settings, place.store, [dataset], [DAY], jobs=1))
    assert state(place) == "current"
    assert problems(place) == ()


def test_over_s3_it_is_the_same(tmp_path, s3):
    """Made, made again in its place, queried, verified, catalogued and dropped."""
    section = f'[s3]\nendpoint_url = "{s3["endpoint_url"]}"\nregion = "{s3["region"]}"\n'
    here = Place(tmp_path, section + SECTIONS, root=f"s3://{s3['bucket']}/a lake")
    first = made(here, "metrics", table(SAMPLES))
    dataset = here.settings.dataset_named("metrics")
    [again] = roll_up(here.settings, here.store, [dataset], [DAY], jobs=1, force=True)
    assert again.rolled.manifest is not None
    assert again.rolled.manifest.sha256 == first.sha256

    with connect(here.settings) as lake:
        question = "SELECT sum(increase) AS grown FROM metrics_hourly"
        assert lake.rows(question) == [{"grown": first.sums["increase"]}]
        write_catalog(lake, tmp_path / "lake.duckdb")
    assert state(here) == "current"
    assert problems(here) == ()
    remove(here.store, "metrics", DAY)
    assert list(here.store.list("rollups/")) == []
    assert state(here) == "missing"
