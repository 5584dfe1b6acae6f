"""An object and its manifest are replaced as one, whatever fails or comes between."""

import pytest

from lake.base.day import Day
from lake.base.errors import (
    Conflict,
    PermanentError,
    TransientError,
)
from lake.export import Exporter
from lake.partition.layout import table_key
from lake.partition.ledger import read_ledger, read_manifest
from lake.runs import export_many
from lake.store.directory import DirectoryStore
from lake.verify import object_problems

DAY = "2026-07-05"  # closed for five days: counted for the last time on the fourth
LATE = "2026-07-08"
TABLE = f"tables/events/day={DAY}/data.parquet"
MANIFEST = f"manifests/events/{DAY}.json"


class Unwritable(DirectoryStore):
    """Takes no manifests but pending ones, or not even deletions."""

    def __init__(self, root, *, deletes: bool):
        super().__init__(root)
        self.deletes = deletes

    def write(self, key, data, replaces=None):
        if key.endswith(".json"):
            raise TransientError("the store went away")
        super().write(key, data, replaces)

    def delete(self, key):
        if not self.deletes:
            raise TransientError("the store went away for good")
        super().delete(key)


def test_without_its_manifest_a_new_object_does_not_stay(place):
    place.source.rows[DAY] = 10
    place.exporter.store = Unwritable(place.store.root, deletes=True)
    with pytest.raises(TransientError, match="went away"):
        place.export(DAY)
    assert place.files() == {}


def test_a_manifest_whose_answer_was_lost_goes_first(place):
    class Unsure(DirectoryStore):
        deleted: list[str] = []  # noqa: RUF012

        def write(self, key, data, replaces=None):
            super().write(key, data, replaces)
            if key.endswith(".json"):
                raise TransientError("no answer")

        def delete(self, key):
            self.deleted.append(key)
            super().delete(key)

    place.source.rows[DAY] = 10
    place.exporter.store = Unsure(place.store.root)
    with pytest.raises(TransientError, match="no answer"):
        place.export(DAY)
    assert place.files() == {}
    assert Unsure.deleted[:2] == [MANIFEST, TABLE]
    assert [key.endswith(".next") for key in Unsure.deleted[2:]] == [True]


def test_where_it_has_to_stay_that_is_said_and_the_next_export_mends_it(place, caplog):
    place.source.rows[DAY] = 10
    good = place.exporter.store
    place.exporter.store = Unwritable(place.store.root, deletes=False)
    with pytest.raises(TransientError, match=r"went away$"):
        place.export(DAY)
    assert "stays behind" in caplog.text
    place.exporter.store = good
    assert place.export(DAY).state == "skipped"  # it was whole, but for its manifest's place
    assert set(place.files()) == {TABLE, MANIFEST}
    assert place.manifest(DAY)["rows"] == 10


def test_a_replaced_object_speaks_through_its_pending_manifest(place, caplog):
    place.source.rows[LATE] = 10
    place.export(LATE)
    place.source.rows[LATE] = 2000
    good = place.exporter.store
    place.exporter.store = Unwritable(place.store.root, deletes=True)
    with pytest.raises(TransientError):
        place.export(LATE)
    assert "export it again" in caplog.text
    place.exporter.store = good
    assert place.manifest(LATE)["rows"] == 10
    assert read_manifest(place.store, "events", Day.parse(LATE)).rows == 2000
    assert read_ledger(place.store, "events")[Day.parse(LATE)].rows == 2000
    assert place.export(LATE).state == "skipped"
    assert place.manifest(LATE)["rows"] == 2000
    assert [claim["rows"] for claim in place.manifest(LATE)["history"]] == [10]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), PermanentError("no sync"), TransientError("no answer")]
)
@pytest.mark.parametrize("before", [0, 10])
def test_what_comes_between_after_the_object_is_replaced(place, before, error):
    class Interrupted(DirectoryStore):
        def _rename(self, part, key, replaces):
            etag = super()._rename(part, key, replaces)
            if key == table_key("events", Day.parse(LATE)):
                raise error
            return etag

    if before:
        place.source.rows[LATE] = before
        place.export(LATE)
    place.source.rows[LATE] = 2000
    good, place.exporter.store = place.exporter.store, Interrupted(place.store.root)
    with pytest.raises(type(error)):
        place.export(LATE)
    manifest = read_manifest(good, "events", Day.parse(LATE))
    assert (manifest.rows, object_problems(good, manifest)) == (2000, [])
    place.exporter.store = good
    assert place.export(LATE).state == "skipped"
    assert len(place.files()) == 2


@pytest.mark.parametrize("error", [PermanentError("refused"), Conflict("another")])
def test_what_comes_between_before_the_object_is_replaced(place, error):
    class Refusing(DirectoryStore):
        def _rename(self, part, key, replaces):
            if key == table_key("events", Day.parse(LATE)):
                raise error
            return super()._rename(part, key, replaces)

    place.source.rows[LATE] = 10
    place.export(LATE)
    before = place.files()
    place.source.rows[LATE] = 2000
    place.exporter.store = Refusing(place.store.root)
    with pytest.raises(type(error)):
        place.export(LATE)
    assert place.files() == before


def test_a_day_that_a_killed_run_left_half_done_is_not_taken_for_complete(place):
    older = "2026-06-20"  # after the lateness window: a listing tells that it is complete
    place.source.rows[older] = 10
    place.export(older)
    place.source.rows[older] = 2000
    good = place.exporter.store
    place.exporter.store = Unwritable(good.root, deletes=True)
    with pytest.raises(TransientError):
        place.export(older, force=True)
    place.exporter.store = good
    dataset, day = place.settings.dataset_named("events"), Day.parse(older)
    (result,) = export_many(place.exporter, [(dataset, day)], jobs=1)
    assert result.state == "skipped"
    assert place.manifest(older)["rows"] == 2000
    assert len(place.files()) == 2
    assert place.exporter.complete(dataset, [day]).keys() == {day}


def test_a_failing_run_leaves_alone_what_another_has_written_meanwhile(place):
    """Both found nothing there; this one can't write its manifest any more."""

    class Overtaken(DirectoryStore):
        def write(self, key, data, replaces=None):
            if key.endswith(".json"):
                place.source.rows[DAY] = 20
                other.export(place.settings.dataset_named("events"), Day.parse(DAY), force=True)
                raise TransientError("the store went away")
            super().write(key, data, replaces)

    other = Exporter(place.settings, place.exporter.store, {"mongo": place.source})
    place.source.rows[DAY] = 10
    place.exporter.store = Overtaken(place.store.root)
    with pytest.raises(TransientError, match="went away"):
        place.export(DAY)
    manifest = read_manifest(place.store, "events", Day.parse(DAY))
    assert (manifest.rows, object_problems(place.store, manifest)) == (20, [])


def test_details_that_are_no_json_fail_before_the_object_is_replaced(place):
    place.source.rows[DAY] = 10
    place.export(DAY)
    before = place.files()
    place.source._batches = lambda day, details: iter([details.update(odd=object())][:0])
    place.source.rows[DAY] = 0
    with pytest.raises(TypeError):
        place.export(DAY, force=True, allow_shrink=True)
    assert place.files() == before


def test_an_object_that_was_there_before_stays_though_its_manifest_fails(place, caplog):
    place.source.rows[DAY] = 10
    place.export(DAY)
    place.store.delete(MANIFEST)
    before = place.files()
    place.exporter.store = Unwritable(place.store.root, deletes=True)
    with pytest.raises(TransientError):
        place.export(DAY)
    assert {key: before[key] for key in place.files() if not key.endswith(".next")} == before
    assert "its manifest is pending" in caplog.text
