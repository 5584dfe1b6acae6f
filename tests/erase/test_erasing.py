"""What an erasure does to a day, and what it leaves as it is. The source is one in memory."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json

import duckdb
import pyarrow as pa
import pytest
from support import erasing, fake_source

from lake import audit
from lake.base.day import Day
from lake.erased import read_erasures
from lake.holds.changing import add
from lake.partition.layout import manifest_key, table_key
from lake.partition.ledger import read_manifest
from lake.store.directory import DirectoryStore

DAY, NEXT = "2026-07-05", "2026-07-06"
WHERE = "text = '2026-07-05 1'"


def rows(place, day: str = DAY) -> list:
    file = place.store.url(f"tables/events/day={day}/data.parquet")
    return duckdb.connect().sql(f"SELECT _id, text FROM '{file}' ORDER BY _id").fetchall()


def manifest(place, day: str = DAY):
    return read_manifest(place.store, "events", Day.parse(day))


@pytest.fixture
def two_days(place):
    place.export(DAY)
    place.export(NEXT)
    return place


def test_matching_rows_go_and_others_stay(two_days, lake):
    before, other = manifest(two_days), manifest(two_days, NEXT)
    code, out, err = lake("erase", "events", "--where", WHERE, "--yes", "--reason", "request 114")
    assert (code, err) == (0, "")
    assert "1 row of 1 day matches" in out
    assert "1 row erased" in out
    assert rows(two_days) == [(0, "2026-07-05 0"), (2, "2026-07-05 2")]
    after = manifest(two_days)
    assert (after.rows, after.source_count, after.details["erased_rows"]) == (2, 3, 1)
    data = two_days.store.read(after.key)
    assert hashlib.sha256(data).hexdigest() == after.sha256 != before.sha256
    assert after.schema == before.schema
    assert after.history[-1]["sha256"] == before.sha256
    assert manifest(two_days, NEXT) == other
    # Again: nothing to do, nothing recorded.
    entries = len(list(audit.entries(two_days.store)))
    code, out, _ = lake("erase", "events", "--where", WHERE, "--yes")
    assert (code, "no row matches" in out) == (0, True)
    assert manifest(two_days) == after
    assert len(list(audit.entries(two_days.store))) == entries


def test_nothing_else_calls_the_day_different(two_days, lake):
    assert lake("erase", "events", "--where", WHERE, "--yes")[0] == 0
    code, out, _ = lake("status", "--json", "--day", DAY)
    (events, *_) = json.loads(out)["datasets"]
    assert (events["days"][DAY]["state"], events["days"][DAY]["erased"]) == ("verified", 1)
    for options in ((), ("--source",), ("--deep",)):
        code, out, err = lake("verify", "events", "--day", DAY, *options)
        assert code == 0, (out, err)
        assert "1 row erased" in out
    assert "still at the source" in out
    assert lake("export", "events", "--day", DAY)[0] == 0  # skipped
    # The source loses the row, too.
    two_days.source.rows[DAY] = 2
    assert lake("verify", "events", "--day", DAY, "--source")[0] == 0
    two_days.source.rows[DAY] = 1
    assert lake("verify", "events", "--day", DAY, "--source")[0] == 1


def test_erased_rows_do_not_come_back_in_silence(two_days, lake):
    assert lake("erase", "events", "--where", WHERE, "--yes")[0] == 0
    after = manifest(two_days)
    for options in (("--force",), ("--force", "--allow-shrink")):
        code, _, err = lake("export", "events", "--day", DAY, *options)
        assert code == 1
        assert "rows of the day were erased" in err
        assert "--allow-erased" in err
    assert manifest(two_days) == after
    # Not by way of a removal, either.
    assert lake("drop", "events", "--day", DAY, "--force", "--yes")[0] == 0
    assert lake("export", "events", "--day", DAY)[0] == 1
    code, _, err = lake("export", "events", "--day", DAY, "--allow-erased")
    assert code == 0, err
    assert len(rows(two_days)) == 3
    (entry,) = [e for e in audit.entries(two_days.store) if e.action == "erased day exported"]
    assert (entry.dataset, entry.details) == ("events", {"day": DAY})


def test_a_hold_forbids_all_of_it(two_days, lake):
    add(two_days.settings, two_days.store, ["events"], Day.parse(NEXT), None, "case 17")
    keys = two_days.keys()
    before = manifest(two_days), manifest(two_days, NEXT)
    both = "text LIKE '% 1'"
    code, _, err = lake("erase", "events", "--where", both, "--yes")
    assert code == 1
    assert "case 17" in err
    assert "2026-07-06" in err
    assert (manifest(two_days), manifest(two_days, NEXT)) == before
    assert two_days.keys() == keys
    assert lake("erase", "events", "--where", both, "--dry-run")[0] == 1
    assert lake("erase", "events", "--where", both, "--to", NEXT, "--yes")[0] == 0
    assert len(rows(two_days)) == 2


def test_rows_of_null_stay(two_days, lake):
    arguments = ("erase", "events", "--where", "nullif(_id, 1) = 0", "--to", NEXT, "--yes")
    assert lake(*arguments)[0] == 0
    assert [number for number, _ in rows(two_days)] == [1, 2]


def test_all_rows_may_go(two_days, lake):
    assert lake("erase", "events", "--where", "true", "--to", NEXT, "--yes")[0] == 0
    assert rows(two_days) == []
    code, out, _ = lake("verify", "events", "--day", DAY, "--source")
    assert code == 0, out
    (events, *_) = json.loads(lake("status", "--json", "--day", DAY)[1])["datasets"]
    assert events["days"][DAY]["state"] == "empty"


def test_the_audit_log_has_no_value(two_days, lake, monkeypatch):
    key = "k" * 32
    monkeypatch.setenv("LAKE_PRIVACY__HASH_KEY", key)
    assert lake("erase", "events", "--where", WHERE, "--yes", "--reason", "request 114")[0] == 0
    before, after = [e for e in audit.entries(two_days.store) if e.action == "erase"]
    assert {before.why, after.why} == {"request 114"}
    assert (before.details["state"], after.details["state"]) == ("intended", "done")
    assert before.details["columns"] == ["text"]
    assert set(before.details["condition"]) == {"hmac_sha256", "key_id"}
    assert before.details["rows"] == after.details["rows"] == {DAY: 1}
    now = manifest(two_days)
    assert after.proof == {DAY: [now.history[-1]["sha256"], now.sha256]}
    assert audit.check(two_days.store).problems == ()
    ((record, ended),) = read_erasures(two_days.store)
    assert (record.reason, ended.days[DAY]["erased"]) == ("request 114", 1)
    for stat in two_days.store.list(""):
        if not stat.key.startswith("tables/"):
            assert b"2026-07-05 1" not in two_days.store.read(stat.key), stat.key


def test_what_was_not_searched_is_no_success(two_days, lake):
    key = f"manifests/events/{NEXT}.json"
    text = two_days.store.read(key)
    two_days.store.write(key, b"{")
    code, out, _ = lake("erase", "events", "--where", WHERE, "--yes", "--json")
    report = json.loads(out)
    assert (code, list(report["plan"]["problems"]), report["result"]["erased"]) == (1, [NEXT], 1)
    two_days.store.delete(key)
    code, out, _ = lake("erase", "events", "--where", WHERE, "--dry-run")
    assert (code, "without a manifest" in out) == (1, True)
    two_days.store.write(key, text)
    assert lake("erase", "events", "--where", WHERE, "--dry-run")[0] == 0


def test_the_condition_from_standard_input(two_days, lake, monkeypatch):
    key = "k" * 32
    monkeypatch.setenv("LAKE_PRIVACY__HASH_KEY", key)
    monkeypatch.setattr("lake.cli.erase.input_lines", lambda: iter([WHERE, "\n"]))
    assert lake("erase", "events", "--where", "-", "--yes")[0] == 0
    ((record, _),) = read_erasures(two_days.store)
    digest = hmac.digest(key.encode(), WHERE.encode(), "sha256").hex()  # of the text alone
    assert (record.days[DAY]["rows"], record.condition["hmac_sha256"]) == (1, digest)


def test_rollups_of_days_without_rows_are_named(tmp_path, lake, monkeypatch):
    """No condition can be applied to them; they may have the value all the same."""
    erasing.make(tmp_path)
    monkeypatch.setenv("LAKE_CONFIG", str(tmp_path / "lake.toml"))
    store = DirectoryStore(tmp_path / "lake")
    store.delete(manifest_key("events", erasing.DAY))
    store.delete(table_key("events", erasing.DAY))
    code, _, err = lake("erase", "events", "--where", erasing.WHERE, "--yes")
    assert (code, "events has only rollups in the lake" in err) == (1, True)
    assert "`lake drop events --day D --force` removes one" in err
    assert lake("drop", "events", "--day", erasing.DAY, "--force", "--yes")[0] == 0
    _, _, err = lake("erase", "events", "--where", erasing.WHERE, "--yes")
    assert "events has no day in the lake" in err


def test_without_a_terminal_it_needs_yes(two_days, lake):
    before = manifest(two_days)
    code, _, err = lake("erase", "events", "--where", WHERE)
    assert code == 2
    assert "--yes" in err
    assert lake("erase", "events", "--where", WHERE, "--dry-run", "--json")[0] == 0
    assert manifest(two_days) == before
    assert not list(two_days.store.list("audit/")) + list(two_days.store.list("erasures/"))


WRONG = {
    "": "empty",
    "text = ": "not a SQL expression",
    "text = 'a'; DROP TABLE x": "not a SQL expression",
    "true) OR (true": None,
    "true), (true": "more than one expression",
    "true) FROM read_text('/etc/passwd') WHERE (true": "more than one expression",
    "true) UNION SELECT (true": "more than one expression",
    "true) ORDER BY (true": "more than one expression",
    "true) --": "not a SQL expression",
    "true /*": "not a SQL expression",
    "_id IN (SELECT 1)": "a sub-query",
    "EXISTS (FROM read_text('/etc/passwd'))": "a sub-query",
    "_id = ?": "a parameter",
    "COLUMNS(*) IS NULL": "COLUMNS",
    "row_number() OVER () = 1": "a window function",
    "sum(_id) > 1": "aggregate",
    "random() < 0.5": "random",
    "day < current_date": "current_date",
    "now() > TIMESTAMP '2020-01-01'": "now",
    "age(CAST(day AS TIMESTAMP)) > INTERVAL 1 DAY": "current time",
    "day < current_localtimestamp()": "current time",
    "CAST(day AS TIME) < Current_LocalTime()": "current time",
    "age(CAST(day AS TIMESTAMP), TIMESTAMP '2026-07-01') < INTERVAL 1 DAY": None,
    "txt = 'a'": "text",
    "users.text = 'a'": "users",
    "text": "VARCHAR",
    "(text, _id)": "STRUCT",
    "true, true": "STRUCT",
    "text = 'a' -- a comment": None,
    "events.text = 'a' AND day = DATE '2026-07-05'": None,
}


@pytest.mark.parametrize(("where", "problem"), WRONG.items())
def test_one_expression_about_rows_alone(two_days, lake, where, problem):
    code, out, err = lake("erase", "events", "--where", where, "--dry-run")
    assert code == (2 if problem else 0), (out, err)
    if problem:
        assert problem in err
        assert "Traceback" not in err


def test_types_are_those_of_all_days(place, lake, monkeypatch):
    """A column that is a number on one day and text on another is text, as in `lake query`."""
    place.export(DAY)
    monkeypatch.setattr(
        fake_source, "SCHEMA", pa.schema([("_id", pa.string()), ("text", pa.string())])
    )

    def texts(self, day, details):
        yield pa.record_batch([["1", "x"], ["a", "b"]], schema=fake_source.SCHEMA)

    monkeypatch.setattr(fake_source.FakeSource, "_batches", texts)
    place.source.rows[NEXT] = 2
    place.export(NEXT)
    code, _, err = lake("erase", "events", "--where", "_id = '1'", "--yes")
    assert code == 0, err
    assert [number for number, _ in rows(place)] == [0, 2]
    assert [number for number, _ in rows(place, NEXT)] == ["x"]
    assert manifest(place).schema[0]["type"] == "int64"


def test_a_review_lists_it(two_days, lake, tmp_path):
    assert lake("erase", "events", "--where", WHERE, "--yes", "--reason", "request 114")[0] == 0
    _, out, _ = lake("review", "--json", "--html", str(tmp_path / "review.html"))
    report = json.loads(out)
    (erasure,) = report["erasures"]
    assert (erasure["dataset"], erasure["rows"], erasure["days"]) == ("events", 1, 1)
    assert (erasure["reason"], erasure["left"], erasure["interrupted"]) == (
        "request 114",
        [],
        False,
    )
    assert "request 114" in (tmp_path / "review.html").read_text()
    assert not [point for point in report["open_points"] if "erasure" in point]
    assert json.loads(lake("review", "--json")[1])["erasures"] == []
    # One that was killed before its first day stays an open point.
    ((record, _),) = read_erasures(two_days.store)
    days = {DAY: {"rows": 1, "sha256": manifest(two_days).sha256}}
    killed = dataclasses.replace(record, id="20260701T000000-aa", days=days, writer="x:1:1")
    two_days.store.write(killed.key, killed.to_bytes())
    report = json.loads(lake("review", "--json", "--preview")[1])
    assert [erasure["interrupted"] for erasure in report["erasures"]] == [True]
    assert any("20260701T000000-aa was interrupted" in point for point in report["open_points"])
