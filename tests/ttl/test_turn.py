"""Whose turn it is: guards of other machines, of ended processes, and one that was overtaken."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import pytest

from lake.base.errors import BadData, Conflict
from lake.process.running import this_writer
from lake.store import Store
from lake.store.directory import DirectoryStore
from lake.ttl.turn import KEY, remembered, turn


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return DirectoryStore(tmp_path / "lake")


def held_by(store: Store, writer: str, minutes: float) -> None:
    at = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes)
    holder = {"writer": writer, "who": "them@there", "at": at.isoformat()}
    store.write(KEY, json.dumps({"holder": holder, "audited": 7, "datasets": {}}).encode())


def test_what_is_remembered_stays(store):
    with turn(store) as mine:
        assert remembered(store).holder["writer"] == this_writer()
        mine.state.datasets["events"] = {"limit_s": 5}
    assert remembered(store).holder is None
    with turn(store) as mine:
        assert mine.state.datasets == {"events": {"limit_s": 5}}


def test_a_later_versions_record_is_read_and_not_written_again(store):
    """After a roll-back status and metrics go on; a guard would drop what it does not know."""
    later = {"holder": None, "audited": 7, "datasets": {"events": {"limit_s": 5}}, "terms": {}}
    store.write(KEY, json.dumps(later).encode())
    assert remembered(store).datasets == later["datasets"]
    with pytest.raises(BadData, match="later version") as raised, turn(store):
        pass
    assert "terms" in str(raised.value)
    assert json.loads(store.read(KEY)) == later


def test_a_guard_on_another_machine_has_its_turn_for_the_lease(store):
    held_by(store, "elsewhere 1 2 3", minutes=29)
    with pytest.raises(Conflict) as raised, turn(store):
        pass
    assert "them@there" in str(raised.value)
    held_by(store, "elsewhere 1 2 3", minutes=31)
    with turn(store) as mine:
        assert mine.state.audited == 7


def test_a_process_of_this_machine_that_has_ended_has_none(store):
    place, _, begun = this_writer().rpartition(" ")
    ended = place.rpartition(" ")[0] + f" {os.getpid()} {int(begun) + 1}"  # the pid is used again
    held_by(store, ended, minutes=0)
    with turn(store):
        pass
    held_by(store, this_writer(), minutes=1000)  # it runs, however slowly
    with pytest.raises(Conflict), turn(store):
        pass


def test_a_guard_that_was_overtaken_stops(store):
    def overtaken() -> None:
        with turn(store) as mine:
            held_by(store, "elsewhere 1 2 3", minutes=0)
            mine.renew()

    with pytest.raises(Conflict):
        overtaken()
    assert remembered(store).holder["who"] == "them@there"  # theirs was not released


def test_an_error_ends_the_turn(store):
    with pytest.raises(ZeroDivisionError), turn(store):
        _ = 1 / 0
    assert remembered(store).holder is None


@pytest.mark.parametrize("text", ["", "[]", '{"holder": null, "more": 1}'])
def test_an_unreadable_state_is_an_error(store, text):
    store.write(KEY, text.encode())
    with pytest.raises(BadData), turn(store):
        pass
