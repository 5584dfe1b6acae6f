"""`lake review`: each statement against what was done to the lake before."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ledger_days import TODAY, ago, export, lake, recounted

from lake import audit
from lake.base.clock import simulated
from lake.base.day import Day
from lake.retention.plan import policy_of
from lake.retention.records import write_deletion
from lake.review.review import gaps_of


@pytest.fixture
def review(place, run):
    """`lake review --json …` → exit status, report."""

    def command(*arguments: str):
        code, out, err = run("review", "--json", *arguments, "--config", str(place[0]))
        assert err == "" or "wrote" in err
        return code, json.loads(out)

    return command


def of(report: dict, dataset: str) -> dict:
    (of_dataset,) = (entry for entry in report["datasets"] if entry["dataset"] == dataset)
    return of_dataset


def test_what_is_kept(place, review):
    code, report = review()
    assert code == 1
    lines = of(report, "lines")
    assert (lines["first"], lines["last"]) == (str(ago(9)), str(ago(1)))
    assert (lines["days"], lines["rows"]) == (6, 18)
    files = (place[0].parent / "lake/tables/lines").rglob("*.parquet")
    assert lines["bytes"] == sum(file.stat().st_size for file in files)
    assert lines["states"] == {"verified": 6, "missing": 3}
    assert lines["gaps"] == [
        {"state": "missing", "first": str(ago(6)), "last": str(ago(5))},
        {"state": "missing", "first": str(ago(2)), "last": str(ago(2))},
    ]
    assert of(report, "events")["gaps"] == []
    assert of(report, "events")["hot"] == "40 days"
    assert f"lines: {ago(6)} to {ago(5)} missing (2 days)" in report["open_points"]
    assert "no rehearsal (lake rehearse)" in report["open_points"]


def test_days_in_each_state_are_gaps(place, review):
    _, _, store = place
    recounted(store, "events", ago(4), 99)
    store.delete(f"tables/events/day={ago(3)}/data.parquet")
    _, report = review()
    gaps = [(gap["state"], gap["first"]) for gap in of(report, "events")["gaps"]]
    assert gaps == [("differs", str(ago(4))), ("damaged", str(ago(3)))]


def test_the_last_verification(place, review, run):
    file, _, store = place
    assert of(review()[1], "events")["verified"] is None
    store.write(f"tables/events/day={ago(2)}/data.parquet", b"cut")
    run("verify", "events", "--record", "--config", str(file))
    _, report = review()
    assert of(report, "events")["verified"]["failures"] == 1
    assert of(report, "events")["verified"]["partitions"] == 9
    assert any("1 of 9 days" in point for point in report["open_points"])


def test_since_the_last_one(place, review):
    _, _, store = place
    audit.append(store, "drop", "events", "a wrong export", details={"day": "2026-01-01"})
    _, first = review("--why", "yearly")
    assert first["since"] is None
    assert [(entry["action"], entry["why"]) for entry in first["changes"]] == [
        ("drop", "a wrong export")
    ]
    assert first["recorded"]["entry"] == 2
    audit.append(store, "erase", "events", "a person asked", details={})
    _, preview = review("--preview")
    assert preview["recorded"] is None
    _, second = review()
    assert second["since"]["entry"] == 2
    assert [entry["action"] for entry in second["changes"]] == ["erase"]
    _, third = review()
    assert third["changes"] == []
    assert [entry.action for entry in audit.entries(store)] == [
        "drop", "review", "erase", "review", "review",
    ]  # fmt: skip
    entry = next(iter(audit.entries(store, 1)))
    assert entry.why == "yearly"
    assert audit.check(store).problems == ()


def test_the_recorded_page_is_the_written_one(place, review, tmp_path):
    _, _, store = place
    page = tmp_path / "review.html"
    _, report = review("--html", str(page))
    stored = store.read(report["recorded"]["page"])
    assert stored == page.read_bytes()
    assert report["recorded"]["page_sha256"] == hashlib.sha256(stored).hexdigest()
    text = store.read(report["recorded"]["page"].replace(".html", ".json"))
    assert report["recorded"]["json_sha256"] == hashlib.sha256(text).hexdigest()
    del report["recorded"]
    assert json.loads(text) == report


def test_nothing_is_recorded_where_the_page_can_not_be_written(place, run):
    file, _, store = place
    code, _, err = run("review", "--html", "no/such/dir/x.html", "--config", str(file))
    assert code == 2
    assert "can't be written" in err
    assert list(audit.entries(store)) == []
    assert list(store.list("reports/")) == []


def test_holds(place, review, run):
    file = place[0]
    add = ("hold", "add", "lines", "--from", "2026-08-01", "--to", "2026-09-01")
    assert run(*add, "--reason", "court order", "--config", str(file))[0] == 0
    _, report = review()
    (hold,) = report["holds"]
    assert hold["days"] == "2026-08-01 to 2026-08-31"
    assert (hold["reason"], hold["released"]) == ("court order", "")
    assert of(report, "lines")["holds"] == [hold["id"]]
    assert of(report, "events")["holds"] == []
    held = {system["system"]: system["holds"] for system in report["snapshots"]}
    assert held == {"mongo": [], "prometheus": [], "loki": [hold["id"]]}
    assert [entry["action"] for entry in report["changes"]] == ["hold"]
    run("hold", "release", hold["id"], "--reason", "case closed", "--config", str(file))
    _, report = review()
    (ended,) = report["holds"]
    assert "case closed" in ended["released"]
    assert of(report, "lines")["holds"] == []
    assert [entry["action"] for entry in report["changes"]] == ["release"]
    assert review()[1]["holds"] == []  # it was in the last one


def test_a_broken_chain_is_the_first_open_point(place, review):
    _, _, store = place
    for number in range(3):
        audit.append(store, "drop", "events", f"reason {number}", details={})
    key = audit.key_of(2)
    store.write(key, store.read(key).replace(b"reason 1", b"reason X"))
    code, report = review()
    assert code == 1
    assert report["audit"]["problems"]
    assert report["open_points"][0].startswith("audit log: entry 3 does not follow entry 2")


def test_an_entry_that_can_not_be_read(place, review):
    _, _, store = place
    for number in range(3):
        audit.append(store, "drop", "events", f"reason {number}", details={})
    store.write(audit.key_of(2), b"{")
    _, report = review("--preview")
    assert [entry["why"] for entry in report["changes"]] == ["reason 0"]
    assert any("changes after entry 1 are not listed" in point for point in report["open_points"])


def test_rehearsals(place, review):
    _, _, store = place

    def put(day: str, ok: bool, differences: list[str]) -> None:
        report = {"ok": ok, "day": day, "snapshots": [1, 2, 3], "differences": differences}
        store.write(f"reports/rehearsal/{day}.json", json.dumps(report).encode())

    put("2026-10-01", False, ["a", "b"])
    _, report = review()
    assert "the rehearsal of 2026-10-01 failed" in report["open_points"]
    put("2026-11-01", True, [])
    store.write("reports/rehearsal/2026-09-01.json", b"{}")
    _, report = review()
    assert report["rehearsals"] == [
        {"day": "2026-11-01", "ok": True, "snapshots": 3, "differences": 0},
        {"day": "2026-10-01", "ok": False, "snapshots": 3, "differences": 2},
    ]
    assert not any("of 2026-10-01 failed" in point for point in report["open_points"])
    assert any("2026-09-01.json can't be read" in point for point in report["open_points"])


def test_no_open_points_is_success(tmp_path, run):
    file, settings, store = lake(tmp_path, ago(2), "")
    text = file.read_text()
    mongo_alone = text[: text.index("[sources.prometheus]")] + text[text.index("[[dataset]]") :]
    mongo_alone = mongo_alone[: mongo_alone.index('[[dataset]]\nname = "requests"')]
    file.write_text(mongo_alone)
    export(store, settings, "events", [ago(2), ago(1)])
    assert run("verify", "--record", "--config", str(file))[0] == 0
    day = str(ago(1)).replace("-", "/")
    manifest = {
        "system": "mongo", "day": str(ago(1)), "created_at": f"{ago(1)}T03:00:00+00:00",
        "version": "0", "server": {}, "window": {"start": None, "end": None}, "counts": {},
        "objects": [], "files": [], "restore": "", "details": {}, "whole_days": [str(ago(2))],
    }  # fmt: skip
    store.write(f"mongo/{day}/manifest.json", json.dumps(manifest).encode())
    report = {"ok": True, "snapshots": [], "differences": []}
    store.write("reports/rehearsal/2026-11-01.json", json.dumps(report).encode())
    code, out, _ = run("review", "--json", "--config", str(file))
    report = json.loads(out)
    assert (code, report["open_points"]) == (0, [])
    (mongo,) = report["snapshots"]
    assert (mongo["snapshots"], mongo["newest_whole"]) == (1, str(ago(2)))


def test_for_people(place, run):
    code, out, _ = run("review", "--config", str(place[0]))
    assert code == 1
    assert re.search(rf"^  lines: {ago(9)} … {ago(1)}, 18 rows", out, re.MULTILINE)
    assert "audit log of 0, unbroken" in out
    assert re.search(r"^recorded as entry 1: reports/review/.+Z\.html$", out, re.MULTILINE)


@given(st.lists(st.sampled_from(["verified", "empty", "missing", "late", "damaged"]), max_size=40))
def test_gaps_are_the_days_that_are_not_proven(states):
    first = Day.parse("2026-02-20")
    days = {first.plus(n): state for n, state in enumerate(states)}
    gaps = gaps_of(days)
    covered = {
        gap.first.plus(n): gap.state
        for gap in gaps
        for n in range(gap.first.days_until(gap.last) + 1)
    }
    assert covered == {day: s for day, s in days.items() if s not in ("verified", "empty")}
    for before, after in pairwise(gaps):  # none could be one with the next
        assert before.state != after.state or before.last.plus(1) < after.first


RETENTION = """
[retention]
enabled = true
tables = 45
rollups = "1y"
[retention.system.mongo.snapshots]
daily = 7
yearly = 2
"""


@pytest.fixture
def old(tmp_path: Path, run):
    """Fifty days of one dataset; `review` as above, with a text appended to lake.toml."""
    file, settings, store = lake(tmp_path, ago(50))
    export(store, settings, "events", [ago(n) for n in range(50, 0, -1)])

    def command(more: str = "", *before: str):
        with file.open("a") as opened:
            opened.write(more)
        if before:
            assert run(*before, "--config", str(file))[0] == 0
        code, out, err = run("review", "--json", "--config", str(file))
        assert (code, err) == (1, "")
        return json.loads(out)

    return command


def test_what_retention_has_deleted(old):
    assert of(old(), "events")["kept"] == "for ever"
    report = old(RETENTION, "retention", "apply", "--yes")
    events = of(report, "events")
    assert events["kept"] == "45 days, rollups 365 days"
    assert (events["first"], events["days"]) == (str(ago(45)), 45)
    assert events["retired"] == {"days": 5, "first": str(ago(50)), "last": str(ago(46))}
    assert events["gaps"] == []
    assert {entry["action"] for entry in report["changes"]} == {"retention"}
    assert report["retention"]["enabled"]
    assert report["retention"]["last_run"]
    kept = {system["system"]: system["kept"] for system in report["snapshots"]}
    assert kept == {"mongo": "7 daily, 2 yearly", "prometheus": "for ever", "loki": "for ever"}


def test_terms_that_are_not_enabled(old):
    report = old(RETENTION.replace("true", "false"))
    kept = of(report, "events")["kept"]
    assert kept == "45 days, rollups 365 days; not enabled, so for ever"
    assert report["retention"] == {"enabled": False, "last_run": None, "interrupted": []}


def test_an_interrupted_deletion_is_an_open_point(place, review):
    _, settings, store = place
    deletion = write_deletion(store, policy_of(settings), [], datetime.now(UTC))
    _, report = review()
    assert report["retention"]["interrupted"] == [deletion.id]
    assert any(deletion.id in point for point in report["open_points"])


def test_rules_of_columns(place, review, tmp_path, run):
    """The days were exported before the dataset, the last one of the file, had a rule."""
    file = place[0]
    assert of(review()[1], "lines")["rules"] == []
    with file.open("a") as opened:
        opened.write('[dataset.columns]\n"labels.user" = "drop"\nline = { truncate = 9 }\n')
    page = tmp_path / "review.html"
    _, report = review("--html", str(page))
    lines = of(report, "lines")
    assert sorted(lines["rules"]) == ["labels.user: drop", "line: truncate to 9"]
    assert len(lines["other_rules"]) == lines["days"] == 6
    assert any(
        "lines: 6 days were exported under other column rules" in p for p in report["open_points"]
    )
    assert of(report, "events")["rules"] == []
    text = page.read_text("utf-8")
    assert "Column rules" in text
    assert "line: truncate to 9" in text


def test_what_follows_a_review_by_a_clock_that_was_set_back(place, review, run):
    """An hour: an erasure and a release after the review are not before it."""
    file, _, _ = place
    at = TODAY.start + timedelta(hours=12)
    with simulated(lambda: at):
        run("hold", "add", "lines", "--reason", "court order", "--config", str(file))
        _, first = review()
        at -= timedelta(hours=1)
        (hold,) = first["holds"]
        run("hold", "release", hold["id"], "--reason", "case closed", "--config", str(file))
        where = ("--where", "text = 'a'", "--yes", "--reason", "a person asked")
        assert run("erase", "events", *where, "--config", str(file))[0] in (0, 1)
        _, second = review()
        at += timedelta(hours=3)
        _, third = review()
    assert [hold["released"][-11:] for hold in second["holds"]] == ["case closed"]
    assert [erasure["reason"] for erasure in second["erasures"]] == ["a person asked"]
    assert third["holds"] == third["erasures"] == []
