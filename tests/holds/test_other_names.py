"""A hold and datasets that lake.toml defines otherwise since: renamed, removed, split.

Belongs here: which days are held. Does not: what a hold forbids (test_honoured.py).
"""

from __future__ import annotations

import json

import pytest
from support.other_names import added, renamed

from lake.base.day import Day
from lake.config.settings import load
from lake.holds import of
from lake.holds.changing import add
from lake.holds.hold import Hold, key_of
from lake.retention.plan import make_plan

DAY, NEXT = "2026-07-05", "2026-07-06"


@pytest.fixture
def held(place) -> Hold:
    """Of `events`, from a day on, without an end."""
    return add(place.settings, place.store, ["events"], Day.parse(DAY), None, "case 17")


def covered(place) -> set[str]:
    settings = load(str(place.config), {})
    holds = of(place.store, settings)
    return {
        dataset.name
        for dataset in settings.dataset
        if holds.blocking(dataset.name, Day.parse("2026-07-09"))
    }


def test_only_its_datasets_are_held(place, held):
    assert covered(place) == {"events"}


def test_a_renamed_dataset_is_held(place, held, lake):
    renamed(place.config)
    assert covered(place) == {"visits"}  # `users` is another collection
    assert lake("export", "visits", "--day", DAY)[0] == 0
    code, _, err = lake("drop", "visits", "--day", DAY, "--force", "--yes")
    assert code == 1
    assert "case 17" in err
    code, _, err = lake("hold", "list")
    assert "no dataset in lake.toml is called events" in err
    assert "until then visits may have its rows and is held" in err


def test_so_is_a_second_dataset_of_the_same_collection(place, held):
    added(place.config, "again", "events")
    added(place.config, "other", "others")
    assert covered(place) == {"events", "again"}


def test_its_rows_are_held_where_another_collection_took_its_name(place, held):
    text = place.config.read_text()
    assert 'collection = "events"' in text
    place.config.write_text(text.replace('collection = "events"', 'collection = "events_v2"'))
    added(place.config, "earlier", "events")
    added(place.config, "other", "others")
    assert covered(place) == {"events", "earlier"}


def test_retention_keeps_the_days_of_a_renamed_dataset(place, held, lake):
    renamed(place.config)
    assert lake("export", "visits", "--day", DAY)[0] == 0
    assert lake("export", "users", "--day", DAY)[0] == 0
    settings = load(str(place.config), {})
    section = settings.retention.model_copy(update={"enabled": True, "tables": 3})
    plan = make_plan(
        settings.model_copy(update={"retention": section}), place.store, Day.parse("2026-07-11")
    )
    assert {item.name for item in plan.items if item.kind == "table"} == {"users"}
    assert [(stay.name, stay.held) for stay in plan.stays] == [("visits", True)]


def test_a_hold_of_an_earlier_version_covers_the_whole_system(place, held):
    record = json.loads(place.store.read(key_of(held.id)))
    assert record.pop("definitions")["events"]["collection"] == "events"
    place.store.write(key_of(held.id), json.dumps(record).encode())
    assert covered(place) == {"events"}
    renamed(place.config)
    assert covered(place) == {"visits", "users"}  # `lines` is of another system


@pytest.mark.parametrize("definitions", [[], {"events": "x"}, None])
def test_one_whose_definitions_are_not_as_written_covers_everything(place, held, definitions):
    record = json.loads(place.store.read(key_of(held.id)))
    record["definitions"] = definitions
    place.store.write(key_of(held.id), json.dumps(record).encode())
    assert covered(place) == {"events", "users", "lines"}
