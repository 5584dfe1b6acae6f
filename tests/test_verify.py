"""Verification beside runs that replace and delete what it has listed."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest
from support.made_partitions import put
from support.rolled_lake import COLLECTION, Place

from lake.base.day import Day
from lake.partition.layout import manifest_key, rollup_key, rollup_manifest_key, table_key
from lake.rollup.many import roll_up
from lake.verify import Finding, to_verify, verify_many

DAY = Day.parse("2026-07-01")
ROLLUP = """-- Calls an hour
--
-- grain:    one row
-- keys:     n
-- measures: calls
-- sums:     calls
-- rows:     calls
SELECT 1 AS n, count(*) AS calls FROM day_rows GROUP BY ALL;
"""


@pytest.fixture
def place(tmp_path) -> Place:
    (tmp_path / "rollups").mkdir()
    (tmp_path / "rollups/calls.sql").write_text(ROLLUP)
    made = Place(tmp_path, COLLECTION)
    store_day(made, 3)
    return made


def store_day(place: Place, rows: int) -> None:
    put(place.store, place.settings.dataset[0], DAY, pa.table({"n": list(range(rows))}))
    (made,) = roll_up(place.settings, place.store, place.settings.dataset, [DAY], jobs=1)
    assert made.rolled.state == "made", made.rolled.error


def verified_after(place: Place, change: Callable[[], object]) -> list[Finding]:
    """What verification has of the day that changed since it was listed."""
    partitions = to_verify(place.store, place.settings.dataset, None)
    change()
    return list(verify_many(place.settings, place.store, partitions, None))


def deleted(place: Place, *keys: str) -> None:
    for key in keys:
        place.store.delete(key)


def test_a_day_that_was_replaced_is_checked_as_it_is_now(place):
    (finding,) = verified_after(place, lambda: store_day(place, 5))
    assert (finding.problems, finding.rows, finding.rollup) == ((), 5, "current")


def test_a_day_that_was_deleted_is_no_finding(place):
    keys = manifest_key("calls", DAY), table_key("calls", DAY)
    assert verified_after(place, lambda: deleted(place, *keys)) == []


def test_a_day_that_is_damaged_and_stays_so_is_reported(place):
    (finding,) = verified_after(place, lambda: place.store.write(table_key("calls", DAY), b"x"))
    assert "bytes, its manifest records" in finding.problems[0]


def test_a_day_that_was_to_be_verified_and_is_not_there(place):
    partitions = to_verify(place.store, place.settings.dataset, [DAY.plus(1)])
    (finding,) = verify_many(place.settings, place.store, partitions, None)
    assert finding.problems == ("no manifest: the day is not exported",)


def test_a_rollup_that_is_made_again_meanwhile_is_not_damaged(place, monkeypatch):
    """Its object is replaced after its manifest was read."""
    path = place.folder / "rollups/calls.sql"
    stat, changes = place.store.stat, iter([True])

    def changing(key: str) -> object:
        if key == rollup_key("calls", DAY) and next(changes, False):
            monkeypatch.undo()
            path.write_text(ROLLUP.replace("SELECT 1 AS n", "SELECT 123456789 AS n"))
            again = roll_up(place.settings, place.store, place.settings.dataset, [DAY], jobs=1)
            assert [made.rolled.state for made in again] == ["made"]
        return stat(key)

    monkeypatch.setattr(place.store, "stat", changing)
    (finding,) = verified_after(place, lambda: None)
    assert (finding.problems, finding.rollup) == ((), "current")


def test_a_rollup_that_is_damaged_and_stays_so_is_reported(place):
    (finding,) = verified_after(place, lambda: deleted(place, rollup_key("calls", DAY)))
    assert finding.rollup == "damaged"
    (finding,) = verified_after(place, lambda: deleted(place, rollup_manifest_key("calls", DAY)))
    assert (finding.problems, finding.rollup) == ((), "missing")
