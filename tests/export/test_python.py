"""What `import lake` offers, compared with the files that an export leaves."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime

import pyarrow.parquet as pq
import pytest

import lake
from lake.api import DataLake

DAYS = ["2026-07-04", "2026-07-05", "2026-07-06"]


@pytest.fixture
def data(place):
    place.source.rows = dict(zip(DAYS, (3, 5, 7), strict=True))
    with lake.open(str(place.config)) as opened:
        for day in DAYS:
            opened.export("events", day)
        yield opened


def stored(place, day: str):
    return pq.read_table(place.store.root / f"tables/events/day={day}/data.parquet")


def test_an_import_alone_loads_no_library():
    program = "import lake, sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    heavy = {"boto3", "click", "dagster", "duckdb", "numpy", "pyarrow", "pydantic", "pymongo"}
    assert done.returncode == 0, done.stderr
    assert heavy & set(done.stdout.split()) == set()


def test_every_name_and_no_other():
    for name in lake.__all__:
        assert getattr(lake, name) is not None
    assert set(lake.__all__) <= set(dir(lake))
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        lake.conect  # noqa: B018  a misspelt name is the error that it is for other modules


def test_an_export_by_a_script(place, data):
    assert data.datasets == ["events", "users"]
    assert data.export("events", date(2026, 7, 5)).state == "skipped"
    assert data.export("events", lake.Day.parse(DAYS[1]), force=True).state == "rewritten"
    place.source.rows[DAYS[2]] = 6
    with pytest.raises(lake.LakeError, match="fewer rows than before"):
        data.export("events", DAYS[2], force=True)
    assert data.export("events", DAYS[2], force=True, allow_shrink=True).manifest.rows == 6


def test_the_rows_of_days(place, data):
    whole = data.read("events")
    assert whole.num_rows == 3 + 5 + 7
    assert {str(day) for day in whole["day"].unique().to_pylist()} == set(DAYS)
    part = data.read("events", "2026-07-05", date(2026, 7, 7), columns=["text", "_id"])
    assert part.column_names == ["text", "_id"]
    assert data.read("events", columns=part.to_pandas().columns).column_names == ["text", "_id"]
    rows = [row for day in DAYS[1:] for row in stored(place, day).to_pylist()]
    assert sorted(part.to_pylist(), key=str) == sorted(
        ({"text": row["text"], "_id": row["_id"]} for row in rows), key=str
    )
    assert data.read("events", "2026-07-06", "2026-07-06").num_rows == 0
    assert data.read("users").num_rows == 0


def test_columns_of_a_dataset_without_a_day(data):
    assert data.read("users", columns=["day"]).num_rows == 0
    with pytest.raises(lake.LakeError, match="not columns of users") as raised:
        data.read("users", columns=["day", "_id"])
    assert "no day of it is in the lake yet" in raised.value.parts["remedy"]


def test_days_that_were_exported_after_a_first_read(place, data):
    assert data.read("events").num_rows == 15
    place.source.rows["2026-07-07"] = 4
    data.export("events", "2026-07-07")
    assert data.read("events").num_rows == 19


def test_manifests_and_states(place, data):
    assert [(str(day), manifest.rows) for day, manifest in data.manifests("events").items()] == [
        (DAYS[0], 3), (DAYS[1], 5), (DAYS[2], 7),
    ]  # fmt: skip
    assert data.manifest("events", DAYS[1]).rows == place.manifest(DAYS[1])["rows"]
    assert data.manifest("users", DAYS[1]) is None
    events, users = data.status(DAYS[0], "2026-07-07")
    assert [day.state for day in events.days.values()] == ["verified"] * 3
    assert [day.state for day in users.days.values()] == ["missing"] * 3
    place.source.rows[DAYS[2]], place.source.lateness_days = 9, 30
    assert data.status()[0].days[lake.Day.parse(DAYS[2])].state == "verified"
    late = data.status(DAYS[2], "2026-07-07", recount=True)[0]
    assert [(day.state, day.recount) for day in late.days.values()] == [("late", 9)]


def test_a_verification(place, data):
    assert [finding.ok for finding in data.verify("events")] == [True] * 3
    path = place.store.root / f"tables/events/day={DAYS[1]}/data.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    assert [(str(finding.day), finding.ok) for finding in data.verify("events", DAYS[:2])] == [
        (DAYS[0], True), (DAYS[1], False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda data: data.read("evens"), "no dataset 'evens'"),
        (lambda data: data.manifest("evens", DAYS[0]), "no dataset 'evens'"),
        (lambda data: data.read("events", columns=["txt"]), "not columns of events"),
        (lambda data: data.read("events", columns="text"), "not columns of events"),
        (lambda data: data.read("events", columns=[]), "not columns of events"),
        (lambda data: data.manifest("events", "5 July"), "not a day"),
        (lambda data: data.manifest("events", datetime(2026, 7, 5, tzinfo=UTC)), "not a day"),
    ],
)
def test_wrong_arguments(data, call, message):
    with pytest.raises(lake.LakeError, match=message):
        call(data)


def test_sql_with_settings_or_a_file(place, data):
    for config in (str(place.config), place.settings):
        with lake.connect(config) as session:
            assert session.rows("SELECT count(*) AS n FROM events") == [{"n": 15}]
    assert isinstance(lake.open(place.settings), DataLake)
