"""A capped collection overwrites its oldest documents: what the lake has of them stays proven."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.collection import Collection
from support.command_line import Run, runner

from lake.base.day import Day

_FILE = """
[lake]
root = "lake"
first_day = {first}
[sources.mongo]
uri = "{uri}"
database = "{database}"
[[dataset]]
name = "ring"
source = "mongo"
collection = "ring"
time_field = "at"
"""
_TODAY = Day.today()
_DAYS = [_TODAY.plus(-back) for back in (3, 2, 1)]


@pytest.fixture
def ring(mongo_uri: str, mongo_database: str) -> Iterator[Collection[dict[str, Any]]]:
    """Thirty documents of ten on each of the last three closed days, the newest at last."""
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        ring = client[mongo_database].create_collection("ring", capped=True, size=100_000, max=30)
        for day in _DAYS:
            ring.insert_many(_documents(day, 10))
        yield ring


def _documents(day: Day, number: int) -> list[dict[str, Any]]:
    return [{"at": day.start + dt.timedelta(minutes=n), "n": n} for n in range(number)]


@pytest.fixture
def lake(
    mongo_uri: str,
    mongo_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    text = _FILE.format(first=_DAYS[0], uri=mongo_uri, database=mongo_database)
    (tmp_path / "lake.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    with runner(monkeypatch, capsys) as run:
        yield run


def _states(lake: Run) -> list[str]:
    days = json.loads(lake("status", "--json")[1])["datasets"][0]["days"]
    return [days[str(day)]["state"] for day in _DAYS]


def test_overwritten_documents_are_no_difference(
    ring: Collection[dict[str, Any]], lake: Run
) -> None:
    span = ("--from", str(_DAYS[0]), "--to", str(_TODAY))
    assert lake("export", *span)[0] == 0
    ring.insert_many(_documents(_TODAY, 15))  # the first day is gone, the second half
    assert _states(lake) == ["verified"] * 3
    assert lake("recheck")[0] == 0
    code, out, _ = lake("verify", *span, "--source", "--deep")
    assert code == 0
    left = "(the source has overwritten rows, and {} are left: not compared)"
    shown = [line.partition(" rows: ")[2] for line in out.splitlines()[:3]]
    assert shown == [f"ok {left.format(0)}", f"ok {left.format(5)}", "ok"]
    shown = json.loads(lake("verify", *span, "--source", "--json")[1])["partitions"]
    assert [of_day["overwritten"] for of_day in shown] == [True, True, False]
    code, out, _ = lake("query", "--csv", "SELECT count(*) FROM ring")
    assert (code, out.split()[-1]) == (0, "30")


def test_what_was_not_overwritten_may_not_shrink(
    ring: Collection[dict[str, Any]], lake: Run
) -> None:
    assert lake("export", "--from", str(_DAYS[0]), "--to", str(_TODAY))[0] == 0
    ring.delete_one({"at": _DAYS[2].start})
    assert _states(lake) == ["verified", "verified", "differs"]
    assert lake("recheck")[0] == 1


def test_a_first_document_without_a_date_excuses_nothing(
    mongo_uri: str, mongo_database: str, lake: Run
) -> None:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        ring = client[mongo_database].create_collection("ring", capped=True, size=100_000, max=40)
        ring.insert_one({"n": -1})
        for day in _DAYS:
            ring.insert_many(_documents(day, 10))
        assert lake("export", "--from", str(_DAYS[0]), "--to", str(_TODAY))[0] == 0
        ring.delete_one({"at": _DAYS[2].start})
        assert _states(lake) == ["verified", "verified", "differs"]
