"""Midnight passes while a day is counted, read or about to be dropped: its source begins to delete
it, or a new day begins.

Belongs here: what becomes of partitions and states. Does not: what commands print (tests/cli).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from lake.alerts.cycle import finished_cycle
from lake.base.clock import simulated, utc_now
from lake.base.day import Day
from lake.base.errors import Conflict, Incomplete
from lake.config.settings import load
from lake.doctor.lag import check
from lake.drop import drop, inspect
from lake.export import Exporter
from lake.lag import lags
from lake.status import read_status

TODAY = Day.parse("2026-07-10")
LEAVING = Day.parse("2026-07-02")  # with 9 days kept, TODAY is the last day on which it is whole
ALL = [LEAVING.plus(number) for number in range(8)]


class Passing:
    """A clock of one minute before midnight, until `pass_` is called."""

    now: datetime = TODAY.end - timedelta(minutes=1)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self) -> None:
        self.now = TODAY.end


@pytest.fixture
def clock(monkeypatch) -> Iterator[Passing]:
    monkeypatch.setattr(Day, "today", classmethod(lambda cls: cls(utc_now().date())))
    passing = Passing()
    with simulated(passing):
        yield passing


@pytest.fixture
def kept(place, clock):
    """Nine days are kept, a day may grow for five; all days are exported."""
    text = place.config.read_text().replace("mongo = 30", "mongo = 9")
    place.config.write_text(text.replace('database = "d"', 'database = "d"\nlateness_days = 5'))
    place.settings = load(str(place.config), {})
    place.source.lateness_days = 5
    place.source.rows = {str(day): 10 for day in ALL}
    place.exporter = Exporter(place.settings, sources={"mongo": place.source})
    for day in ALL:
        place.export(str(day))
    return place


def at_midnight(kept, clock: Passing, method: str, monkeypatch, rows: int = 4) -> None:
    """The next call of that method for the leaving day finds midnight passed and rows deleted."""
    original: Callable = getattr(kept.source, method)

    def passing(dataset, day, *more):
        if day == LEAVING:
            clock.pass_()
            kept.source.rows[str(day)] = rows
        return original(dataset, day, *more)

    monkeypatch.setattr(kept.source, method, passing)


@pytest.mark.parametrize("allow_shrink", [False, True])
def test_a_day_that_goes_while_it_is_counted_is_left_as_it_is(
    kept, clock, monkeypatch, allow_shrink
):
    at_midnight(kept, clock, "count", monkeypatch)
    done = kept.export(str(LEAVING), recheck=True, allow_shrink=allow_shrink)
    assert (done.state, done.manifest.rows) == ("skipped", 10)


@pytest.mark.parametrize("allow_shrink", [False, True])
def test_a_day_that_goes_while_it_is_read_is_left_as_it_is(kept, clock, monkeypatch, allow_shrink):
    """It had grown: it is read because of that."""
    kept.source.rows[str(LEAVING)] = 11
    before = kept.files()
    at_midnight(kept, clock, "read", monkeypatch)
    with pytest.raises(Incomplete):
        kept.export(str(LEAVING), recheck=True, allow_shrink=allow_shrink)
    assert kept.files() == before


def test_a_day_that_the_source_keeps_may_still_shrink_over_midnight(kept, clock, monkeypatch):
    day = str(LEAVING.plus(1))
    kept.source.rows[day] = 3
    at_midnight(kept, clock, "read", monkeypatch)
    clock.pass_()
    done = kept.export(day, allow_shrink=True, today=TODAY)
    assert (done.state, done.manifest.rows) == ("rewritten", 3)


def test_a_day_that_goes_while_it_is_counted_does_not_differ(kept, clock, monkeypatch):
    at_midnight(kept, clock, "count", monkeypatch)
    (events, _) = read_status(kept.settings, kept.store, lambda _: kept.source)
    assert clock.now == TODAY.end
    assert {day: of_day.state for day, of_day in events.days.items()} == dict.fromkeys(
        ALL, "verified"
    )


@pytest.mark.parametrize("option", ["--source", "--deep"])
def test_a_day_that_goes_while_it_is_verified_has_no_difference(
    kept, lake, clock, monkeypatch, option
):
    at_midnight(kept, clock, "count", monkeypatch)
    code, out, _ = lake("verify", "events", option, "--json")
    assert (code, clock.now) == (0, TODAY.end)
    counts = {day["day"]: day["source_count"] for day in json.loads(out)["partitions"]}
    assert counts == {str(day): None if day == LEAVING else 10 for day in ALL}


def test_a_recheck_counts_the_days_that_it_began_with(kept, lake, clock, monkeypatch):
    """Also the last one of the window, whose last count this is."""
    kept.config.write_text(kept.config.read_text().replace("mongo = 9", "mongo = 30"))
    kept.source.calls.clear()

    def opened(*_):
        clock.pass_()
        return kept.source

    monkeypatch.setattr("lake.export.open_source", opened)
    assert lake("recheck", "events", "--jobs", "1", "--json")[0] == 0
    assert clock.now == TODAY.end
    counted = [day for call, day in kept.source.calls if call == "count"]
    assert counted == [str(day) for day in ALL]


def test_rows_of_the_day_that_begins_are_not_outside(kept, lake, clock, monkeypatch):
    def undated(dataset):
        clock.pass_()
        kept.source.rows[str(TODAY.plus(1))] = 7
        kept.source.rows["2031-01-01"] = 2
        return 0

    monkeypatch.setattr(kept.source, "undated", undated)
    _, out, err = lake("status", "--json")
    events = json.loads(out)["datasets"][0]
    assert (events["outside"], clock.now) == (2, TODAY.end)
    assert f"2 rows are dated before {ALL[0]} or after {TODAY.plus(1)}, in no" in err


def test_a_day_that_began_to_go_before_the_answer_is_not_dropped(kept, clock):
    dataset = kept.settings.dataset_named("events")
    inspected = [
        inspect(kept.settings, kept.store, lambda _: kept.source, dataset, day) for day in ALL[:2]
    ]
    assert [partition.reason for partition in inspected] == ["", ""]
    clock.pass_()
    before = kept.files()
    with pytest.raises(Conflict, match="begun to delete the day"):
        drop(kept.store, inspected[0], force=True)
    assert kept.files() == before
    assert drop(kept.store, inspected[1]).rows == 10


def test_an_open_day_is_proven_when_it_was_exported_after_its_end(kept, lake, clock, monkeypatch):
    """Its export ends after midnight, and its source has no more rows than it had then."""
    kept.source.rows[str(TODAY)] = 5
    at = {"count": lambda: None}
    original = kept.source.count

    def count(dataset, day):
        at["count"]()
        return original(dataset, day)

    monkeypatch.setattr(kept.source, "count", count)

    def seen() -> tuple[str, Day, str, bool]:
        statuses = read_status(kept.settings, kept.store, None)
        (lag, _) = lags(kept.settings, statuses)
        (coverage,) = (c.found for c in check(kept.settings, kept.store) if "events" in c.subject)
        done = finished_cycle(only_events, kept.store, (), TODAY.plus(1)) is not None
        return statuses[0].days[TODAY].state, lag.first_unproven, coverage, done

    events = kept.settings.dataset_named("events")
    only_events = kept.settings.model_copy(update={"dataset": (events,)})
    kept.export(str(TODAY), open_day=True)
    until = f"exported from {ALL[0]} to"
    assert seen() == ("verified", TODAY, f"{until} {ALL[-1]}", False)
    at["count"] = clock.pass_
    kept.export(str(TODAY), open_day=True, force=True)
    assert clock.now == TODAY.end
    assert seen() == ("late", TODAY, "exported except yesterday", False)
    assert kept.exporter.complete(events, [TODAY]) == {}
    code, out, _ = lake("export", "events", "--day", TODAY)
    assert (code, out.partition(":")[0]) == (0, "1 rewritten")
    assert seen() == ("verified", TODAY.plus(1), f"{until} {TODAY}", True)
    assert lake("export", "events", "--day", TODAY)[1].startswith("1 skipped")
