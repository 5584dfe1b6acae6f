"""Days of time zones over UTC days, against Python's zoneinfo."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from lake.base.day import Day

# Clocks are set at 02:00, at midnight, at 01:00 back to midnight, by half an hour; never.
_ZONES = (
    "Europe/Berlin",
    "Asia/Seoul",
    "America/Havana",
    "America/Santiago",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "UTC",
)
_STEP = timedelta(minutes=15)


def _instants(first: date, days: int) -> list[datetime]:
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return [start + number * _STEP for number in range(days * 96)]


@pytest.fixture
def lake(make_lake):
    """Every quarter of an hour of some days around both changes of the clocks in Berlin."""
    lake = make_lake("events", "container_logs")
    for first in (date(2026, 3, 27), date(2026, 10, 23)):
        for number in range(5):
            day = first + timedelta(days=number)
            times = pa.array(_instants(day, 1), pa.timestamp("ms", "UTC"))
            lake.put("events", str(day), pa.table({"timestamp": times, "from_day": ["x"] * 96}))
            lines = {"ts": times.cast(pa.timestamp("us", "UTC")), "line": ["level=error"] * 96}
            lake.put("container_logs", str(day), pa.table(lines))
    return lake


@pytest.mark.parametrize("zone", _ZONES)
def test_the_first_instant_of_each_day(lake, zone: str) -> None:
    """Over years, by going back from midnight as long as the date stays."""
    in_zone = ZoneInfo(zone)
    with lake.connect() as session:
        rows = session.ask(
            "SELECT CAST(d AS DATE), local_day_start(d, $zone), utc_first_day(d, $zone), "
            "utc_end_day(d, $zone) FROM range(DATE '2025-06-01', DATE '2027-02-01', "
            "INTERVAL 1 DAY) t(d)",
            {"zone": zone},
        ).rows
        for day, start, first, end in rows:
            expected = datetime(day.year, day.month, day.day, tzinfo=in_zone).astimezone(UTC)
            while (expected - _STEP).astimezone(in_zone).date() >= day:
                expected -= _STEP
            assert start == expected, day
            assert first == expected.date()
            assert end == (expected - timedelta(microseconds=1)).date() + timedelta(days=1)


@pytest.mark.parametrize("zone", _ZONES)
@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_rows_of_a_zones_day(lake, zone: str, day: date) -> None:
    in_zone = ZoneInfo(zone)
    instants = _instants(day - timedelta(days=2), 5)
    expected = [t for t in instants if t.astimezone(in_zone).date() == day]
    if zone == "Europe/Berlin":
        assert len(expected) == (92 if day.month == 3 else 100)  # of 23 and of 25 hours
    with lake.connect() as session:
        for table, column in (
            ("events", "timestamp"),
            ("container_logs", "ts"),
            ("container_logs_with_level", "ts"),
        ):
            answer = session.ask(
                f"SELECT {column}, local_day({column}, '{zone}'), local_time({column}, '{zone}') "
                f"FROM {table}_local_between('{day}', '{day + timedelta(days=1)}', '{zone}') "
                "ORDER BY 1"
            )
            rows = list(answer.rows)
            assert [row[0] for row in rows] == expected
            assert {row[1] for row in rows} == {day}
            assert [row[2] for row in rows] == [
                t.astimezone(in_zone).replace(tzinfo=None) for t in expected
            ]
            assert answer.notes == ()


def test_only_the_utc_days_that_have_a_part_are_read(lake) -> None:
    """A day outside is damaged: it is not even opened."""
    for day in ("2026-03-27", "2026-03-30"):
        lake.store.write(f"tables/events/day={day}/data.parquet", b"broken")
    with lake.connect() as session:
        seoul = "events_local_between('2026-03-29', '2026-03-30', 'Asia/Seoul')"
        assert session.rows(f"SELECT count(*) AS n FROM {seoul}") == [{"n": 96}]
        (span,) = session.understood(f"FROM {seoul}").datasets["events"].ranges
        assert (span.start, span.end) == (Day.parse("2026-03-28"), Day.parse("2026-03-30"))
        los_angeles = "events_local_between('2026-03-28', '2026-03-29', 'America/Los_Angeles')"
        assert session.rows(f"SELECT count(*) AS n FROM {los_angeles}") == [{"n": 96}]
        utc = "events_local_between(DATE '2026-03-28', DATE '2026-03-30', 'UTC')"
        assert session.rows(f"SELECT count(DISTINCT day) AS n FROM {utc}") == [{"n": 2}]


def test_days_that_a_zone_needs_and_the_lake_lacks(lake) -> None:
    with lake.connect() as session:
        answer = session.ask(
            "SELECT 1 FROM events_local_between('2026-03-27', '2026-03-28', 'Asia/Seoul')"
        )
        assert answer.notes == (
            "events: 1 of 2 days from 2026-03-26 to 2026-03-27 is not in the lake (2026-03-26)",
        )


def test_documents_dated_by_their_ids_have_days_of_a_zone(make_lake, table, run) -> None:
    """The time is the field's where there is one; any other `_id` is no ObjectId."""
    lake = make_lake("events")
    collection = 'collection = "events"\n'
    text = lake.config.read_text("utf-8")
    lake.config.write_text(
        text.replace(collection, f'{collection}time_fallback = "_id"\n'), "utf-8"
    )
    midnight = datetime(2026, 7, 5, 15, tzinfo=UTC)  # in Seoul
    ids = [
        f"{int(midnight.timestamp()) + second:08x}{'0' * 16}" for second in (-1, 0, 86399, 86400)
    ]
    stamps = pa.timestamp("ms", "UTC")
    second = timedelta(seconds=1)
    lake.put(
        "events",
        "2026-07-05",
        table(
            _id=[*ids[:2], ids[1], "x"],
            timestamp=([None, None, midnight - second, midnight], stamps),
            n=[0, 1, 2, 3],
        ),
    )
    lake.put("events", "2026-07-06", table(_id=ids[2:], timestamp=([None, None], stamps), n=[4, 5]))
    seoul = "events_local_between('2026-07-06', '2026-07-07', 'Asia/Seoul')"
    sql = f"SELECT n, object_id_time(_id) = '2026-07-05 15:00:00Z' AS made FROM {seoul} ORDER BY n"
    status, out, _ = run("query", "--csv", sql, "--config", lake.config)
    assert (status, out.split()) == (0, ["n,made", "1,true", "3,", "4,false"])


def test_documents_that_all_are_dated_by_their_object_ids(make_lake, table, run) -> None:
    lake = make_lake("events")
    text = lake.config.read_text("utf-8")
    collection = 'collection = "events"\n'
    assert collection in text
    lake.config.write_text(
        text.replace(collection, f'{collection}time_fallback = "_id"\n'), "utf-8"
    )
    midnight = int(datetime(2026, 7, 5, 15, tzinfo=UTC).timestamp())  # in Seoul
    ids = [f"{midnight + second:08x}{'0' * 16}" for second in (-1, 0, 86399, 86400)]
    lake.put("events", "2026-07-05", table(_id=ids[:2], n=[0, 1]))
    lake.put("events", "2026-07-06", table(_id=ids[2:], n=[2, 3]))
    sql = "SELECT n FROM events_local_between('2026-07-06', '2026-07-07', 'Asia/Seoul') ORDER BY n"
    status, out, _ = run("query", "--csv", sql, "--config", lake.config)
    assert (status, out.split()) == (0, ["n", "1", "2"])


def test_names_and_types_that_leave_no_macro(make_lake, table, run) -> None:
    lake = make_lake("events", "empty", "odd", "odd_local")
    lake.put("odd", "2026-07-01", table(timestamp=["text"]))
    lake.put("odd_local", "2026-07-01", table(n=[1]))
    times = pa.array([datetime(2026, 7, 1, tzinfo=UTC)], pa.timestamp("ms", "UTC"))
    lake.put("events", "2026-07-01", pa.table({"timestamp": times}))
    with lake.connect() as session:
        query = "SELECT count(*) AS n FROM {}_local_between('2026-07-01', '2026-07-02', 'UTC')"
        assert session.rows(query.format("empty")) == [{"n": 0}]
        assert session.rows("SELECT n FROM odd_local_between('2026-07-01', '2026-07-02')") == [
            {"n": 1}
        ]
    for sql, text in (
        (query.format("odd"), "odd_local_between"),
        (
            query.format("events").replace("UTC", "Asia/Nowhere"),
            "Unknown TimeZone 'Asia/Nowhere'",
        ),
    ):
        status, _, err = run("query", sql, "--config", lake.config)
        assert status == 2
        assert text in err


@pytest.mark.parametrize(
    "instant",
    [
        "TIMESTAMP '2026-03-28 12:00:00'",
        "TIMESTAMP_S '2026-03-28 12:00:00'",
        "DATE '2026-03-28' + TIME '12:00'",
        "TIMESTAMPTZ '2026-03-28 12:00:00Z'",
        "'2026-03-28T12:00:00Z'",
    ],
)
def test_an_incident_in_a_session_of_another_zone(lake, instant: str) -> None:
    sql = f"SELECT min(ts), max(ts), count(*) FROM incident({instant}, INTERVAL 1 HOUR)"
    noon = datetime(2026, 3, 28, 12, tzinfo=UTC)
    with lake.connect() as session:
        session.connection.execute("SET TimeZone = 'Asia/Seoul'")
        ((first, last, number),) = session.sql(sql).fetchall()
    assert (first, last, number) == (noon - 4 * _STEP, noon + 3 * _STEP, 16)
