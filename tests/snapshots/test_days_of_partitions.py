"""Which partitions prove that a MongoDB snapshot holds their day whole.

Those of the dataset as it is now, of a day that was over.

The source keeps ten days; of older ones its clean-up has removed a document each.
"""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest
from support.hot_documents import Hot, ago, at, hot

from lake.base.clock import utc_now
from lake.export import Exporter
from lake.snapshot import take_snapshot

OLD = [ago(number) for number in (14, 13, 12)]


@pytest.fixture
def place(tmp_path: Path, mongo_uri: str, mongo_database: str) -> Any:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as client:
        made = hot(tmp_path, mongo_uri, mongo_database, client)
        text = made.config.read_text().replace("mongo = 40000", "mongo = 10")
        made.config.write_text(text)
        made.insert([*OLD, ago(1)])
        yield made


def whole(place: Hot) -> set[Any]:
    taken = take_snapshot(place.settings, place.store, "mongo")
    return set(taken.manifest.held_days())


def clean_up(place: Hot) -> None:
    for day in OLD:
        assert place.events.delete_one({"timestamp": at(day, 0)}).deleted_count == 1


def test_partitions_of_the_dataset_as_it_is_now(place: Hot):
    place.export(OLD)
    assert {*OLD, ago(1)} <= whole(place)
    clean_up(place)
    assert whole(place) & {*OLD} == set()


@pytest.mark.parametrize("changed", ["time_field", "collection"])
def test_partitions_of_another_definition_prove_nothing(place: Hot, changed: str):
    """One document a day is under the earlier definition, three are under the present one."""
    text = place.config.read_text()
    name = {"time_field": "events", "collection": "before"}[changed]
    place.client[place.database][name].insert_many(
        [{"created": at(day), "timestamp": at(day)} for day in OLD]
        if changed == "collection"
        else [{"created": at(day)} for day in OLD]
    )
    earlier = {
        "time_field": text + 'time_field = "created"\n',
        "collection": text.replace('collection = "events"', 'collection = "before"'),
    }[changed]
    place.config.write_text(earlier)
    place.export(OLD)
    place.config.write_text(text)
    assert whole(place) & {*OLD} == set()
    clean_up(place)
    assert whole(place) & {*OLD} == set()


def test_a_partition_of_a_day_that_was_not_over_proves_nothing(place: Hot):
    place.events.delete_many({"timestamp": {"$gt": at(OLD[0], 999), "$lt": at(OLD[0], 80_000)}})
    settings = place.settings
    with closing(Exporter(settings)) as exporter:
        manifest = exporter.export(
            settings.dataset[0], OLD[0], open_day=True, today=OLD[0]
        ).manifest
    assert manifest.rows == 1
    place.insert([OLD[0]], each=3)  # later that day
    clean_up(place)
    assert OLD[0] not in whole(place)


def test_a_day_that_is_not_over_at_the_server_is_not_whole(place: Hot):
    """This machine's clock is a day fast."""
    place.insert([ago(0)])
    taken = take_snapshot(
        place.settings, place.store, "mongo", clock=lambda: utc_now() + timedelta(days=1)
    )
    assert taken.manifest.day == str(ago(-1))
    assert {ago(1), ago(0)} & set(taken.manifest.held_days()) == {ago(1)}
