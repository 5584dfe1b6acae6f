"""Erased rows and datasets that lake.toml defines otherwise since: renamed, removed, split.

Belongs here: which exports are refused. Does not: erasing (test_erasing.py).
"""

from __future__ import annotations

import json

import pytest
from support.other_names import added, renamed

from lake.base.day import Day
from lake.erased import ERASURES, ErasedDays, Erasure

DAY, NEXT = "2026-07-05", "2026-07-06"
WHERE = "text = '2026-07-05 1'"


@pytest.fixture
def erased(place, lake):
    place.export(DAY)
    place.export(NEXT)
    assert lake("erase", "events", "--where", WHERE, "--yes")[0] == 0
    return place


def test_a_renamed_dataset_does_not_bring_them_back(erased, lake):
    renamed(erased.config)
    for options in ((), ("--force",)):
        code, _, err = lake("export", "visits", "--day", DAY, *options)
        assert code == 1
        assert "erased from dataset events, which may have had the same rows" in err
        assert "--allow-erased" in err
    assert erased.store.stat(f"tables/visits/day={DAY}/data.parquet") is None
    assert lake("export", "visits", "--day", NEXT)[0] == 0  # a day of which none were erased
    assert lake("export", "visits", "--day", DAY, "--allow-erased")[0] == 0


def test_nor_does_a_backfill_of_all_missing_days(erased, lake):
    renamed(erased.config)
    code, _, err = lake("export", "visits", "--from", DAY, "--to", "2026-07-08")
    assert code == 1
    assert err.count("erased from dataset events") == 1
    stored = [stat.key for stat in erased.store.list("tables/visits/")]
    assert [f"day={day}" in str(stored) for day in (DAY, NEXT, "2026-07-07")] == [False, True, True]


def test_nor_does_a_second_dataset_of_the_same_collection(erased, lake):
    added(erased.config, "again", "events")
    assert lake("export", "again", "--day", DAY)[0] == 1
    assert lake("export", "again", "--day", NEXT)[0] == 0


def test_other_collections_are_exported(erased, lake):
    renamed(erased.config)
    added(erased.config, "more", "others")
    for name in ("users", "more"):
        assert lake("export", name, "--day", DAY)[0] == 0


@pytest.mark.parametrize("is_dropped", [False, True])
def test_a_record_of_an_earlier_version_has_no_definition(erased, lake, is_dropped):
    """The erased day's manifest has it; where that is gone, too, any dataset may be the one."""
    keys = [stat.key for stat in erased.store.list(ERASURES)]
    (key,) = [key for key in keys if not key.endswith(".done.json")]
    record = json.loads(erased.store.read(key))
    assert record.pop("definition")["collection"] == "events"
    erased.store.write(key, json.dumps(record).encode())
    if is_dropped:
        assert lake("drop", "events", "--day", DAY, "--force", "--yes")[0] == 0
    renamed(erased.config)
    assert lake("export", "visits", "--day", DAY)[0] == 1
    assert lake("export", "users", "--day", DAY)[0] == (1 if is_dropped else 0)


def test_of_a_selector_that_is_gone_any_other_may_have_the_rows(place):
    """Which lines two selectors share only Loki could tell."""
    settings, day = place.settings, Day.parse(DAY)
    lines = settings.dataset_named("lines")
    definition = lines.model_dump()
    made = Erasure("1", "lines", "", "", "", "", "", (), {}, {DAY: {}}, definition)
    place.store.write(made.key, made.to_bytes())

    def days(name: str, selector: str) -> dict[Day, str]:
        dataset = lines.model_copy(update={"name": name, "selector": selector})
        return ErasedDays(settings, place.store).of(dataset)

    assert days("lines", '{changed=~".+"}') == days("same", lines.selector) == {day: "lines"}
    assert days("other", '{b=~".+"}') == {}  # `lines` is still there, to be exported as itself
    settings = settings.model_copy(
        update={"dataset": [each for each in settings.dataset if each.name != "lines"]}
    )
    assert days("other", '{b=~".+"}') == {day: "lines"}
    assert ErasedDays(settings, place.store).of(settings.dataset_named("events")) == {}


def test_an_erasure_names_the_other_datasets_that_have_the_rows(place, lake):
    place.export(DAY)
    place.export(DAY, "users")
    added(place.config, "again", "events")
    assert lake("export", "again", "--day", NEXT)[0] == 0
    _, out, _ = lake("erase", "events", "--where", WHERE, "--dry-run")
    assert "still in   dataset again, of the same collection: erase there, too" in out
    assert "users" not in out
    _, out, _ = lake("erase", "events", "--where", WHERE, "--dry-run", "--to", NEXT)
    assert "again" not in out  # it has none of these days
    _, out, _ = lake("erase", "events", "--where", WHERE, "--yes", "--json")
    assert len(json.loads(out)["plan"]["elsewhere"]) == 1


def test_and_those_that_lake_toml_no_longer_has(place, lake):
    place.export(DAY)
    renamed(place.config)
    assert lake("export", "visits", "--day", DAY)[0] == 0
    code, out, _ = lake("erase", "visits", "--where", "text = 'nobody'", "--dry-run")
    assert code == 0
    assert "no row matches" in out
    assert "still in   dataset events, perhaps, which lake.toml does not have" in out
    assert lake("export", "users", "--day", DAY)[0] == 0
    assert "events" not in lake("erase", "users", "--where", "text = 'x'", "--dry-run")[1]
