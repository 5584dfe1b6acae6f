"""`lake drop`: what may go, in which order, and what is left where it is interrupted."""

import json

import pytest

from lake.base.day import Day
from lake.base.errors import Conflict, TransientError
from lake.drop import drop, inspect

DAY = "2026-07-05"


@pytest.fixture
def held(place, lake):
    place.source.rows = {DAY: 3, "2026-07-06": 0, "2026-07-07": 2}
    assert lake("export", "events", "--from", DAY, "--to", "2026-07-08")[0] == 0
    return place


def keys(place, day: str) -> list[str]:
    return [key for key in place.files() if day in key]


def test_an_empty_day_and_a_day_that_the_source_holds_may_go(held, lake):
    code, out, _ = lake("drop", "events", "--day", DAY)
    assert (code, out.startswith(f"events {DAY} dropped: 3 rows, ")) == (0, True)
    held.source.undated_rows = 0
    assert lake("drop", "events", "--day", "2026-07-06")[0] == 0
    assert keys(held, DAY) == keys(held, "2026-07-06") == []
    assert len(keys(held, "2026-07-07")) == 2
    assert lake("export", "events", "--day", DAY)[1].startswith("1 exported: 3 rows")


def test_a_day_that_the_source_has_lost_stays(held, lake):
    held.source.rows[DAY] = 2
    code, out, err = lake("drop", "events", "--day", DAY)
    assert (code, out) == (1, "")
    assert "it has 3 rows, the source counts 2" in err
    assert len(keys(held, DAY)) == 2


def test_a_day_that_the_source_no_longer_keeps_stays(held, lake):
    held.config.write_text(held.config.read_text().replace("mongo = 30", "mongo = 5"))
    code, _, err = lake("drop", "events", "--day", DAY)
    assert code == 1
    assert "keeps 5 days" in err
    assert len(keys(held, DAY)) == 2


def test_a_source_that_does_not_answer_proves_nothing(held, lake, monkeypatch):
    def unreachable(dataset, day):
        raise TransientError("no answer")

    monkeypatch.setattr(held.source, "count", unreachable)
    code, _, err = lake("drop", "events", "--day", DAY)
    assert code == 1
    assert "could not be counted (no answer)" in err
    assert len(keys(held, DAY)) == 2


def test_force_asks_and_yes_answers(held, lake, monkeypatch):
    held.source.rows[DAY] = 0
    code, _, err = lake("drop", "events", "--day", DAY, "--force")
    assert code == 2
    assert "add --yes" in err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    assert lake("drop", "events", "--day", DAY, "--force")[0] == 130
    assert len(keys(held, DAY)) == 2
    code, out, _ = lake("drop", "events", "--day", DAY, "--force", "--yes", "--json")
    assert code == 0
    assert json.loads(out)["dropped"][0]["rows"] == 3
    assert keys(held, DAY) == []


def test_a_range_passes_over_days_that_are_not_there(held, lake):
    code, out, _ = lake("drop", "events", "--from", "2026-07-01", "--to", "2026-07-10", "--json")
    assert code == 0
    assert [partition["day"] for partition in json.loads(out)["dropped"]] == [
        DAY, "2026-07-06", "2026-07-07",
    ]  # fmt: skip
    code, out, _ = lake("drop", "events", "--from", "2026-07-01", "--to", "2026-07-10")
    assert (code, out) == (
        0,
        "events has no partition from 2026-07-01 to 2026-07-10 (exclusive)\n",
    )


def test_what_is_not_there_is_an_error(held, lake):
    code, _, err = lake("drop", "events", "--day", "2026-07-01")
    assert code == 1
    assert "no such partition" in err
    assert lake("drop", "nobody", "--day", DAY)[0] == 2
    assert lake("drop", "events")[0] == 2


def test_a_damaged_partition_needs_force(held, lake):
    held.store.write(f"manifests/events/{DAY}.json", b"{")
    code, _, err = lake("drop", "events", "--day", DAY)
    assert (code, "unknown" in err) == (1, True)
    assert lake("drop", "events", "--day", DAY, "--force", "--yes")[0] == 0
    assert keys(held, DAY) == []


def test_the_manifest_goes_first(held, monkeypatch):
    """Interrupted between both, the day is missing and its object an orphan that repair removes."""
    dataset, day = held.settings.dataset_named("events"), Day.parse(DAY)
    partition = inspect(held.settings, held.store, lambda _: held.source, dataset, day)
    removed, delete = [], held.store.delete

    def stops(key: str) -> None:
        removed.append(key)
        if key.startswith("tables/"):
            raise KeyboardInterrupt
        delete(key)

    monkeypatch.setattr(held.store, "delete", stops)
    with pytest.raises(KeyboardInterrupt):
        drop(held.store, partition)
    assert removed == [f"manifests/events/{DAY}.json", f"tables/events/day={DAY}/data.parquet"]
    assert keys(held, DAY) == [f"tables/events/day={DAY}/data.parquet"]


def test_a_changed_definition_is_not_the_same_day(held, lake):
    text = held.config.read_text()
    held.config.write_text(text.replace('collection = "events"', 'collection = "other"'))
    code, _, err = lake("drop", "events", "--day", DAY)
    assert code == 1
    assert "another definition (collection)" in err


def test_a_partition_that_was_replaced_since_stays(held, lake):
    dataset, day = held.settings.dataset_named("events"), Day.parse(DAY)
    partition = inspect(held.settings, held.store, lambda _: held.source, dataset, day)
    held.source.rows[DAY] = 4
    assert lake("export", "events", "--day", DAY, "--force")[0] == 0
    with pytest.raises(Conflict):
        drop(held.store, partition)
    assert held.manifest(DAY)["rows"] == 4
    assert len(keys(held, DAY)) == 2
