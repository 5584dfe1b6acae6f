"""`lake can`: days, reasons, bytes and costs, against what the test put into the lake."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.renamed_lake import renamed_history

from lake.base.day import Day
from lake.partition.layout import manifest_key
from lake.partition.manifest import Manifest, write_manifest
from lake.query.estimate import estimate, large_read_note
from lake.snapshots.manifest import SnapshotManifest, StoredObject, snapshot_manifest_key

_OLD = Day.parse("2024-03-01")


@pytest.fixture
def ask(run):
    def answer(lake, sql: str) -> tuple[int, dict]:
        status, out, _ = run("can", sql, "--json", "--config", lake.config)
        return status, json.loads(out)

    return answer


def _snapshot(lake, taken: Day, *whole: Day, size: int = 1000) -> None:
    key = f"mongo/{taken.date:%Y/%m/%d}/data"
    lake.store.write(key, b"x" * size)
    manifest = SnapshotManifest(
        system="mongo",
        day=str(taken),
        created_at=f"{taken}T12:00:00+00:00",
        version="0",
        server={},
        window={"start": None, "end": None},
        counts={},
        objects=[StoredObject(key, size, "")],
        files=[],
        restore="",
        whole_days=[str(day) for day in whole],
    )
    lake.store.write(snapshot_manifest_key("mongo", taken), manifest.to_bytes())


def test_days_before_the_first_one_are_not_to_be_exported(make_lake, table, ask, run) -> None:
    """`lake export` was the advice, which refuses them."""
    lake = make_lake("events")
    today = Day.today()
    lake.put("events", str(today.plus(-2)), table(n=[1]))
    text = lake.config.read_text("utf-8")
    first = f'[lake]\nfirst_day = "{today.plus(-3)}"\n'
    lake.config.write_text(text.replace("[lake]\n", first, 1), "utf-8")
    sql = f"SELECT count(*) FROM events WHERE day >= '{today.plus(-5)}' AND day < '{today}'"
    status, answer = ask(lake, sql)
    places = {missing["day"]: missing["place"] for missing in answer["tables"][0]["missing"]}
    assert (status, answer["answer"]) == (1, "incomplete")
    assert places == {
        str(today.plus(-5)): "before_first_day",
        str(today.plus(-4)): "before_first_day",
        str(today.plus(-3)): "source",
        str(today.plus(-1)): "source",
    }
    for day, place in places.items():
        status, _, problem = run("export", "events", "--day", day, "--config", lake.config)
        refused = status == 2 and "before the lake's first day" in problem
        assert refused == (place == "before_first_day")
    _, out, _ = run("can", sql, "--config", lake.config)
    assert "2 days missing" in out
    assert "before [lake] first_day: no export accepts them" in out


def test_an_exact_answer_and_its_bytes(make_lake, table, ask) -> None:
    lake = make_lake("events")
    size = 0
    for number in range(3):
        text = [f"{number} {row} {row * 7919 % 1000}" for row in range(2000)]
        key = lake.put("events", str(_OLD.plus(number)), table(n=list(range(2000)), text=text))
        metadata = pq.read_metadata(lake.config.parent / "lake" / key)
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        for group in groups:
            size += group.column(0).total_compressed_size
    status, answer = ask(lake, "SELECT sum(n) FROM events WHERE day >= '2024-03-01'")
    today = Day.today()
    later = [str(today.plus(-ago)) for ago in range(89, 0, -1)]  # the default of [hot]
    assert (status, answer["answer"]) == (0, "exact")
    assert answer["tables"] == [
        {
            "table": "events",
            "answer": "exact",
            "from": "2024-03-01",
            "to": "2024-03-04",
            "days": 3,
            "days_in_lake": 3,
            "missing": [],
            "inexact": [],
            "left_out": [],
            "later": later,
        }
    ]
    assert answer["query"]["objects"] == 3
    assert answer["query"]["bytes"] == pytest.approx(size, rel=0.1)
    # One LIST at 0.0045 and five GETs an object at 0.00035, for 1,000, of Seoul's prices.
    assert answer["query"]["cost"] == pytest.approx((0.0045 + 3 * 5 * 0.00035) / 1000, abs=1e-6)
    _, counted = ask(lake, "SELECT count(*) FROM events")
    assert counted["query"]["bytes"] == 0
    _, everything = ask(lake, "FROM events_between('2024-03-01', '2024-03-03')")
    manifests = [lake.store.stat(f"tables/events/day=2024-03-0{n}/data.parquet") for n in (1, 2)]
    assert everything["query"]["bytes"] == sum(stat.bytes for stat in manifests)


def test_days_after_the_last_are_reported_where_a_query_names_no_end(
    make_lake, table, ask, run
) -> None:
    lake = make_lake("events")
    today = Day.today()
    lake.put("events", str(today.plus(-4)), table(n=[1]))
    later = [str(today.plus(-ago)) for ago in (3, 2, 1)]
    for where, expected in (
        (f"day >= '{today.plus(-4)}'", later),
        ("true", later),
        (f"day < '{today.plus(-3)}'", []),
    ):
        sql = f"SELECT n FROM events WHERE {where}"
        status, answer = ask(lake, sql)
        assert (status, answer["tables"][0]["later"]) == (0, expected)
        _, out, _ = run("can", sql, "--config", lake.config)
        assert ("names no last day; 3 days after those in the lake" in out) == bool(expected)
        assert (f"`lake export events --from {later[0]} --to {today}`" in out) == bool(expected)


@pytest.mark.parametrize("held", [True, False])
def test_a_query_without_an_end_that_begins_after_the_last_day(
    make_lake, table, ask, run, held: bool
) -> None:
    """Its days were "named by none", and days before it those that the source still has."""
    lake = make_lake("events")
    today = Day.today()
    if held:
        lake.put("events", str(today.plus(-200)), table(n=[1]))
    for ago, verdict, places in (
        (2, "export", ["source"] * 2),
        (91, "incomplete", ["nowhere"] * 2 + ["source"] * 89),
        (0, "incomplete", []),
    ):
        start = today.plus(-ago)
        sql = f"SELECT n FROM events WHERE day >= '{start}'"
        status, answer = ask(lake, sql)
        (events,) = answer["tables"]
        assert (status, answer["answer"], events["later"]) == (1, verdict, [])
        days = [str(start.plus(number)) for number in range(ago)]
        assert [missing["day"] for missing in events["missing"]] == days
        assert [missing["place"] for missing in events["missing"]] == places
        _, out, _ = run("can", sql, "--config", lake.config)
        assert ("events: no day that the query reads is in the lake\n" in out) == (not days)


def test_the_days_of_current_date_are_known(make_lake, table, ask) -> None:
    lake = make_lake("events", "named")
    yesterday = Day.today().plus(-1)
    lake.put("events", str(yesterday), table(n=[1]))
    for condition in (
        "day >= current_date - 3",
        "day >= CURRENT_DATE - INTERVAL 3 DAY",
        "day > current_timestamp - INTERVAL 4 DAY",
        "day BETWEEN current_date - 3 AND current_date - 1",
    ):
        status, answer = ask(lake, f"SELECT n FROM events WHERE {condition}")
        days = (status, answer["tables"][0]["days"], answer["tables"][0]["days_in_lake"])
        assert days == (1, 3, 1), condition
    # A column of that name is preferred, also one of the statement's own.
    lake.put("named", str(yesterday.plus(-9)), table(current_date=[yesterday.plus(-9).date]))
    lake.put("named", str(yesterday), table(current_date=[yesterday.date]))
    for sql in (
        "SELECT * FROM named WHERE day = current_date",
        "SELECT * FROM (SELECT day AS d, day AS current_date FROM events) WHERE d = current_date",
        "SELECT * FROM events, (SELECT DATE '2024-03-01') AS o(current_date) "
        "WHERE events.day >= current_date",
        "SELECT * FROM events, (SELECT DATE '2024-03-01' AS current_date) AS o "
        "WHERE events.day >= current_date",
        "WITH w(current_date, n) AS (SELECT day, n FROM events) FROM w "
        "WHERE current_date > '2020-1-1'",
    ):
        with lake.connect() as session:
            rows = len(list(session.ask(sql).rows))
        assert rows == (2 if "named" in sql else 1), sql
        assert ask(lake, sql)[1]["tables"][0]["days_in_lake"] == rows


def test_an_error_shows_the_statement_as_it_was_given(make_lake, table, run) -> None:
    lake = make_lake("events", "others")
    lake.put("events", str(_OLD), table(n=[1]))
    for sql in ("SELECT m FROM events", "SELECT n,\n m\nFROM events", "SELECT n FROM event"):
        checked = run("can", sql, "--config", lake.config)
        assert checked == run("query", sql, "--config", lake.config)
        assert "EXPLAIN" not in checked[2]
        assert "current rollup" not in checked[2]


def test_where_missing_days_are(make_lake, table, ask, run) -> None:
    lake = make_lake("events")
    today = Day.today()
    lake.put("events", str(_OLD), table(n=[1]))
    _snapshot(lake, _OLD.plus(9), _OLD.plus(1), _OLD.plus(2), size=2000)
    _snapshot(lake, _OLD.plus(5), _OLD.plus(1), _OLD.plus(3))
    sql = f"SELECT n FROM events WHERE day BETWEEN '{_OLD}' AND '{_OLD.plus(3)}'"
    status, answer = ask(lake, sql)
    assert (status, answer["answer"]) == (1, "snapshot")
    assert answer["tables"][0]["missing"] == [
        {"day": str(_OLD.plus(1)), "place": "snapshot", "snapshot": str(_OLD.plus(9))},
        {"day": str(_OLD.plus(2)), "place": "snapshot", "snapshot": str(_OLD.plus(9))},
        {"day": str(_OLD.plus(3)), "place": "snapshot", "snapshot": str(_OLD.plus(5))},
    ]
    assert [
        (restore["snapshot"], restore["bytes"], restore["objects"], len(restore["days"]))
        for restore in answer["restores"]
    ] == [(str(_OLD.plus(5)), 1000, 1, 1), (str(_OLD.plus(9)), 2000, 1, 2)]
    status, out, _ = run("can", sql, "--config", lake.config)
    assert status == 1
    assert "only with a restored snapshot\nevents: 1 of 4 days in the lake" in out
    span = f"--from {_OLD.plus(1)} --to {_OLD.plus(3)}"
    assert f"`lake export events {span} --from-snapshot`" in out
    assert f"`lake restore mongo --day {_OLD.plus(1)} --into DIR --serve`" in out

    _, answer = ask(lake, f"FROM events_between('{_OLD}', '{_OLD.plus(5)}')")
    assert answer["answer"] == "incomplete"
    assert answer["tables"][0]["missing"][-1]["place"] == "nowhere"
    lake.put("events", str(today.plus(-3)), table(n=[1]))
    _, answer = ask(lake, f"FROM events_between('{today.plus(-3)}', '{today}')")
    assert answer["answer"] == "export"
    assert {missing["place"] for missing in answer["tables"][0]["missing"]} == {"source"}
    _, answer = ask(lake, f"SELECT 1 FROM events WHERE day = '{today}'")
    assert answer["tables"][0]["missing"][0]["place"] == "unfinished"


def test_why_an_answer_is_approximate(make_lake, table, ask, run) -> None:
    lake = make_lake("events")
    lake.put("events", str(_OLD), table(n=[1.0], text=["a"]), left_out={"n": 4})
    for sql, reasons in (
        ("SELECT text FROM events", []),
        ("SELECT approx_quantile(length(text), 0.5) FROM events", ["approx_quantile estimates"]),
        ("SELECT sketch(length(text)) FROM events", ["values within 1 % (a sketch)"]),
        (
            "SELECT text FROM events USING SAMPLE 10%",
            ["the statement draws a sample of the rows"],
        ),
    ):
        status, answer = ask(lake, sql)
        assert (status, answer["tables"][0]["inexact"]) == (0, reasons), sql
        assert answer["answer"] == ("approximate" if reasons else "exact")
    _, answer = ask(lake, "SELECT n FROM events")
    assert answer["answer"] == "approximate"
    assert answer["tables"][0]["left_out"] == [
        "events: column n leaves out 4 values on 1 day (see _rest, _raw)"
    ]


def test_steps_and_rules_are_those_of_the_days(make_lake, table, ask) -> None:
    lake = make_lake("events")
    definitions = [{"mode": "range", "step": "15s"}, {"mode": "range", "step": "1m"}, {}]
    for number, definition in enumerate(definitions):
        day = _OLD.plus(number)
        lake.put("events", str(day), table(value=[1.0], user=["x"]))
        key = f"manifests/events/{day}.json"
        manifest = Manifest.from_bytes(lake.store.read(key), key)
        rules = [{"path": "user", "rule": "hash", "key_id": "0a1b2c3d"}] if definition else []
        changed = asdict(manifest) | {"definition": definition, "rules": rules}
        write_manifest(lake.store, Manifest(**changed), None)
    _, answer = ask(lake, "SELECT max(value) FROM events")
    assert answer["tables"][0]["inexact"] == [
        '1 day holds the value at every step of 15s (mode = "range"), not the samples between',
        '1 day holds the value at every step of 1m (mode = "range"), not the samples between',
    ]
    _, answer = ask(lake, "SELECT count(DISTINCT user) FROM events WHERE day > '2024-03-01'")
    assert answer["tables"][0]["inexact"][1:] == [
        "column user is stored under the rule hash (key 0a1b2c3d) on 1 day"
    ]
    assert ask(lake, f"SELECT value FROM events WHERE day = '{_OLD.plus(2)}'")[1]["answer"] == (
        "exact"
    )


def test_a_retired_day_is_of_steps_like_the_nearest_one(tmp_path, ask, run) -> None:
    """Its rollup does not have what its table's manifest had."""
    dataset = "http_server_requests"
    lake, scenario = renamed_history(tmp_path, days=3, datasets=[dataset])
    for day in scenario.each_day():
        key = manifest_key(dataset, day)
        manifest = Manifest.from_bytes(lake.store.read(key), key)
        write_manifest(lake.store, replace(manifest, definition={"mode": "range", "step": "15s"}))
    assert run("rollup", "--config", lake.config)[0] == 0
    lake.retire({dataset: [scenario.first]})
    for end, days in ((scenario.first.plus(1), "1 day holds"), (scenario.end, "3 days hold")):
        sql = f"SELECT max(last) FROM {dataset}_hourly WHERE day < DATE '{end}'"
        status, answer = ask(lake, sql)
        assert (status, answer["answer"]) == (0, "approximate")
        assert answer["tables"][0]["inexact"] == [
            f'{days} the value at every step of 15s (mode = "range"), not the samples between'
        ]


def test_what_is_wrong_or_not_understood(make_lake, table, ask, run) -> None:
    lake = make_lake("events", "empty")
    lake.put("events", str(_OLD), table(n=[1]))
    for sql, text in (("SELECT m FROM events", "similar columns"), ("DROP VIEW x", "only state")):
        status, out, err = run("can", sql, "--config", lake.config)
        assert (status, out) == (2, "")
        assert text in err
    _, answer = ask(lake, "SELECT * FROM query('FROM events')")
    assert (answer["understood"], answer["tables"][0]["table"]) == (False, "events")
    status, answer = ask(lake, "SELECT x FROM empty")
    assert (status, answer["answer"], answer["tables"][0]["days"]) == (1, "incomplete", 0)
    status, answer = ask(lake, "SELECT 1")
    assert (status, answer["answer"], answer["tables"]) == (0, "exact", [])


def test_bounds_that_mean_open_and_days_far_away(make_lake, table, ask) -> None:
    lake = make_lake("events")
    lake.put("events", str(_OLD), table(n=[1]))
    for condition in (
        "day >= '0001-01-01'",
        "day <= '9999-12-30'",
        "day < '9999-12-31'",
        "day BETWEEN DATE '1899-12-31' AND TIMESTAMP '9999-12-30 23:59:59'",
    ):
        status, answer = ask(lake, f"SELECT n FROM events WHERE {condition}")
        assert (status, answer["answer"], answer["tables"][0]["days"]) == (0, "exact", 1)
    status, answer = ask(lake, f"SELECT n FROM events WHERE day BETWEEN '{_OLD}' AND '2199-12-31'")
    days = _OLD.days_until(Day.parse("2200-01-01"))
    assert (status, answer["tables"][0]["days"]) == (1, days)
    assert len(answer["tables"][0]["missing"]) == days - 1


@pytest.mark.parametrize(
    "sql", ["PIVOT events ON n USING count(*)", "EXPLAIN FROM events", "DESCRIBE events"]
)
def test_statements_that_explain_does_not_take(make_lake, table, ask, sql: str) -> None:
    lake = make_lake("events")
    lake.put("events", str(_OLD), table(n=[1]))
    assert ask(lake, sql)[0] == 0


@pytest.mark.parametrize("report", [b"{", b"[]", b'{"snapshots": [{"system": "mongo"}]}', b"7"])
def test_a_rehearsal_that_cannot_be_read_is_no_measurement(
    make_lake, table, ask, report: bytes
) -> None:
    lake = make_lake("events")
    lake.put("events", str(_OLD), table(n=[1]))
    lake.store.write("reports/rehearsal/2024-04-01.json", report)
    _snapshot(lake, _OLD.plus(9), _OLD.plus(1))
    status, answer = ask(lake, f"SELECT n FROM events WHERE day = '{_OLD.plus(1)}'")
    assert (status, [restore["measured"] for restore in answer["restores"]]) == (1, [False])


def test_a_query_over_a_gigabyte_is_announced(make_lake, table, run) -> None:
    """Of days whose manifests have that size; the share of a column is the real object's."""
    lake = make_lake("events")
    columns = {"n": list(range(5000)), "text": [f"{n * 7919 % 9973} {n}" for n in range(5000)]}
    for number in range(3):
        day = str(_OLD.plus(number))
        key = lake.put("events", day, pa.table(columns))
        metadata = pq.read_metadata(lake.config.parent / "lake" / key).row_group(0)
        sizes = [metadata.column(column).total_compressed_size for column in range(2)]
        name = f"manifests/events/{day}.json"
        manifest = Manifest.from_bytes(lake.store.read(name), name)
        write_manifest(lake.store, Manifest(**(asdict(manifest) | {"bytes": 10**9})), None)
    question = ("SELECT count(*) AS n FROM events WHERE text > ''", "--config", lake.config)
    share = sizes[1] / sum(sizes)
    status, _, err = run("query", *question)
    assert status == 0
    assert err.splitlines() == [
        f"reads about {3 * share:,.1f} GB in 3 objects (events); fewer days or columns read less",
        "1 row",
    ]
    with lake.connect() as session:
        (read,) = estimate(session, question[0])
        assert read.bytes == pytest.approx(3e9 * share, rel=0.01)
        assert large_read_note(session, "SELECT count(*) FROM events") is None
        assert large_read_note(session, "SELECT 1") is None
        assert "about 3.0 GB" in (large_read_note(session, "FROM events") or "")
        assert "about 1.0 GB" in (
            large_read_note(session, "FROM events_between('2024-03-02', '2024-03-03')") or ""
        )
