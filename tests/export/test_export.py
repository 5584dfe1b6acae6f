import io
import threading
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.base.day import Day
from lake.base.errors import (
    BadData,
    Conflict,
    Incomplete,
    PermanentError,
    Refused,
    TransientError,
    UsageError,
)
from lake.export import Exporter
from lake.partition.fingerprint import Fingerprint
from lake.partition.layout import table_key
from lake.partition.ledger import read_ledger, read_manifest
from lake.partition.manifest import write_manifest
from lake.runs import export_many
from lake.store.directory import DirectoryStore
from lake.systems.mongo.reading.names import TYPING
from lake.verify import object_problems

DAY = "2026-07-05"  # closed for five days: the source's lateness window of three is over
LATE = "2026-07-08"
TABLE = f"tables/events/day={DAY}/data.parquet"
MANIFEST = f"manifests/events/{DAY}.json"


def test_a_day_becomes_one_object_and_its_manifest(place):
    place.source.rows[DAY] = 2500
    outcome = place.export(DAY)
    files = place.files()
    assert set(files) == {TABLE, MANIFEST}
    table = pq.read_table(io.BytesIO(files[TABLE]))
    assert table.column("_id").to_pylist() == list(range(2500))
    manifest = place.manifest(DAY)
    assert outcome.state == "exported"
    assert manifest == {
        "dataset": "events",
        "day": DAY,
        "source": "mongo",
        "key": TABLE,
        "rows": 2500,
        "bytes": len(files[TABLE]),
        "sha256": manifest["sha256"],
        "source_count": 2500,
        "count_method": "asked the fake",
        "window": {"start": "2026-07-05T00:00:00+00:00", "end": "2026-07-06T00:00:00+00:00"},
        "schema": [{"name": "_id", "type": "int64"}, {"name": "text", "type": "string"}],
        "created_at": manifest["created_at"],
        "version": "0.1.0",
        "definition": {
            "name": "events",
            "source": "mongo",
            "collection": "events",
            "time_field": "timestamp",
            "time_fallback": None,
        },
        "details": {"typing": TYPING, "batches": 3},
        "fingerprint": manifest["fingerprint"],
        "history": [],
    }
    assert manifest["fingerprint"] == fingerprint(table)


def fingerprint(table: pa.Table) -> str:
    found = Fingerprint()
    for batch in table.to_batches():
        found.add(batch)
    return str(found)


def test_the_claims_that_were_replaced_stay_in_the_history(place):
    for rows in (10, 12, 12, 15):
        place.source.rows[LATE] = rows
        place.export(LATE, force=rows == 12)
    manifest = place.manifest(LATE)
    assert [one["rows"] for one in manifest["history"]] == [10, 12, 12]
    assert {*manifest["history"][0]} == {
        "created_at", "rows", "source_count", "sha256", "fingerprint", "version"
    }  # fmt: skip
    first, second, third = (one["fingerprint"] for one in manifest["history"])
    assert first != second == third != manifest["fingerprint"]
    times = [one["created_at"] for one in [*manifest["history"], manifest]]
    assert times == sorted(times)


def test_a_long_history_keeps_its_end(place):
    place.source.rows[LATE] = 1
    manifest = replace(place.export(LATE).manifest, history=[{"rows": n} for n in range(100)])
    write_manifest(place.store, manifest)
    place.export(LATE, force=True)
    history = place.manifest(LATE)["history"]
    assert (len(history), history[0], history[-1]["rows"]) == (100, {"rows": 1}, 1)


def test_what_is_there_is_skipped_unasked_and_force_writes_the_same_bytes(place):
    place.source.rows[DAY] = 2500
    place.export(DAY)
    first = place.files()
    place.source.asked.clear()
    assert place.export(DAY).state == "skipped"
    assert place.source.asked == []
    place.source.batch_rows = 77
    assert place.export(DAY, force=True).state == "rewritten"
    assert place.files()[TABLE] == first[TABLE]


@pytest.mark.parametrize(
    ("then", "now", "state"), [(10, 12, "rewritten"), (10, 10, "skipped"), (10, 8, "skipped")]
)
def test_a_day_in_the_lateness_window_is_counted_again(place, then, now, state):
    place.source.rows[LATE] = then
    place.export(LATE)
    place.source.rows[LATE] = now
    assert place.export(LATE).state == state
    assert place.manifest(LATE)["rows"] == max(then, now)


def test_the_lateness_windows_last_day(place):
    for day, state in (("2026-07-07", "rewritten"), ("2026-07-06", "skipped")):
        place.source.rows[day] = 1
        place.export(day)
        place.source.rows[day] = 2
        assert place.export(day).state == state


def test_an_object_that_is_cut_or_gone_is_written_again(place):
    place.source.rows[DAY] = 10
    place.export(DAY)
    before = place.files()[TABLE]
    place.store.write(TABLE, before[:-1])
    assert place.export(DAY).state == "rewritten"
    place.store.delete(TABLE)
    assert place.export(DAY).state == "rewritten"
    assert place.files()[TABLE] == before


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"rows": "many"}', b"\xff"])
def test_an_unreadable_manifest_is_an_error_that_force_mends(place, text):
    place.source.rows[DAY] = 10
    place.export(DAY)
    place.store.write(MANIFEST, text)
    with pytest.raises(BadData) as caught:
        place.export(DAY)
    assert "--force" in caught.value.parts["remedy"]
    place.export(DAY, force=True)
    assert place.manifest(DAY)["rows"] == 10


def test_a_manifest_of_another_day_is_not_believed(place):
    place.source.rows[DAY] = 10
    place.export(DAY)
    place.store.write("manifests/events/2026-07-04.json", place.store.read(MANIFEST))
    with pytest.raises(BadData):
        place.export("2026-07-04")


FAULTS = [
    TransientError("unreachable"),
    Refused("wrong password"),
    KeyboardInterrupt(),
    ZeroDivisionError(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: type(f).__name__)
@pytest.mark.parametrize("day", [DAY, LATE])
def test_a_read_that_breaks_off_leaves_all_as_it_was(place, fault, day):
    place.source.rows[day] = 3000
    place.source.faults[day] = fault
    with pytest.raises(type(fault)):
        place.export(day)
    assert place.files() == {}
    del place.source.faults[day]
    place.export(day)
    before = place.files()
    place.source.faults[day] = fault
    with pytest.raises(type(fault)):
        place.export(day, force=True)
    assert place.files() == before
    assert list((place.store.root / ".parts").iterdir()) == []


def test_half_an_object_is_never_seen(place):
    seen = []

    def watched(*arguments):
        seen.append(place.files())
        return original(*arguments)

    original = place.source._batches
    place.source._batches = watched
    place.source.rows[DAY] = 3000
    count = place.source.count
    place.source.count = lambda *a: (seen.append(place.files()), count(*a))[1]
    place.export(DAY)
    assert seen == [{}, {}]


def refused(place, day=DAY, **options) -> Incomplete:
    before = place.files()
    with pytest.raises(Incomplete) as caught:
        place.export(day, **options)
    assert place.files() == before
    assert caught.value.parts["where"] == f"events {day}"
    return caught.value


@pytest.mark.parametrize(("rows", "count"), [(9, 10), (11, 10), (0, 1), (1, 0)])
def test_rows_and_count_that_stay_different_are_a_failure(place, rows, count):
    place.source.rows[DAY] = rows
    place.source.counted(DAY, count)
    error = refused(place)
    assert error.parts["expected"] == f"{count} rows (asked the fake)"
    assert error.parts["found"] == f"{rows} rows"
    assert place.source.asked == [("read", DAY), ("count", DAY)] * 3


def test_rows_that_came_in_while_reading_are_read_again(place):
    place.source.rows[DAY] = 10
    place.source.counted(DAY, 11, 10)
    place.export(DAY)
    assert place.source.asked == [("read", DAY), ("count", DAY)] * 2


def test_a_source_that_may_count_low(place):
    place.source.may_count_low = True
    place.source.rows[DAY] = 10
    place.source.counted(DAY, 11)
    refused(place)
    place.source.counted(DAY, 9)
    place.export(DAY)
    assert (place.manifest(DAY)["rows"], place.manifest(DAY)["source_count"]) == (10, 9)


def test_lines_that_the_dataset_itself_made_equal_are_accounted_for(place):
    place.source.rows[DAY] = 10
    place.source.merged_lines = 2
    place.source.counted(DAY, 13)
    refused(place)
    place.source.counted(DAY, 12)
    place.export(DAY)
    manifest = place.manifest(DAY)
    assert (manifest["rows"], manifest["source_count"]) == (10, 12)
    assert manifest["details"]["merged_lines"] == 2


def test_a_day_of_which_only_streams_are_listed_is_late(place):
    place.source.unseen_streams[DAY] = 3
    with pytest.raises(TransientError, match="late") as caught:
        place.export(DAY)
    assert "3 streams" in caught.value.parts["found"]
    assert place.files() == {}
    place.export(DAY, allow_shrink=True)
    assert place.manifest(DAY)["rows"] == 0


@pytest.mark.parametrize("rows", [9, 0])
def test_a_day_does_not_shrink_unless_told(place, rows):
    place.source.rows[DAY] = 10
    place.export(DAY)
    place.source.rows[DAY] = rows
    error = refused(place, force=True)
    assert "at least 10 rows" in error.parts["expected"]
    assert "--allow-shrink" in error.parts["remedy"]
    place.export(DAY, force=True, allow_shrink=True)
    assert place.manifest(DAY)["rows"] == rows


def test_no_rows_are_a_day_with_no_data(place):
    place.export(DAY)
    files = place.files()
    assert pq.read_table(io.BytesIO(files[TABLE])).num_rows == 0
    assert place.manifest(DAY)["rows"] == 0


def test_no_rows_from_a_day_that_the_source_does_not_keep(place):
    place.export("2026-06-11")  # 29 days old: the last one that is kept whole
    assert "[hot] mongo" in refused(place, "2026-06-10").parts["remedy"]
    refused(place, "2026-01-01")
    place.source.rows["2026-01-01"] = 1
    place.export("2026-01-01")


def test_a_day_that_is_not_over(place):
    with pytest.raises(UsageError, match="is not over"):
        place.export("2026-07-10")
    place.source.rows["2026-07-10"] = 3
    place.export("2026-07-10", open_day=True)
    place.source.rows["2026-07-10"] = 5
    assert place.export("2026-07-10", open_day=True).state == "rewritten"


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
    assert [one["rows"] for one in place.manifest(LATE)["history"]] == [10]


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
    found = read_manifest(good, "events", Day.parse(LATE))
    assert (found.rows, object_problems(good, found)) == (2000, [])
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
    found = read_manifest(place.store, "events", Day.parse(DAY))
    assert (found.rows, object_problems(place.store, found)) == (20, [])


def test_details_that_are_no_json_fail_before_the_object_is_replaced(place):
    place.source.rows[DAY] = 10
    place.export(DAY)
    before = place.files()
    place.source._batches = lambda day, details: iter([details.update(odd=object())][:0])
    place.source.rows[DAY] = 0
    with pytest.raises(TypeError):
        place.export(DAY, force=True, allow_shrink=True)
    assert place.files() == before


def partitions(place, *days, dataset="events"):
    return [(place.settings.dataset_named(dataset), Day.parse(day)) for day in days]


@pytest.mark.parametrize("jobs", [1, 4])
def test_one_failure_does_not_stop_the_others(place, caplog, jobs):
    days = [f"2026-07-0{n}" for n in range(1, 8)]
    place.source.rows |= dict.fromkeys(days, 5)
    place.source.faults = {days[0]: Refused("no"), days[3]: ZeroDivisionError("a mistake")}
    results = {
        str(r.day): r for r in export_many(place.exporter, partitions(place, *days), jobs=jobs)
    }
    assert {d: r.state for d, r in results.items()} == {
        d: "failed" if d in place.source.faults else "exported" for d in days
    }
    assert isinstance(results[days[0]].error, Refused)
    assert "ZeroDivisionError: a mistake" in results[days[3]].error.parts["found"]
    assert "a mistake" in caplog.text
    assert len(place.files()) == 2 * 5
    assert results[days[0]].to_json()["error"]["what"] == "no"


def test_who_stops_listening_stops_the_exports(place):
    days = ["2026-07-01", "2026-07-02", "2026-07-03"]
    place.source.rows |= {days[0]: 1, days[1]: 10**9, days[2]: 10**9}  # never ends by itself
    running = export_many(place.exporter, partitions(place, *days), jobs=2)
    assert str(next(running).day) == days[0]
    running.close()
    assert {key.split("/")[-1] for key in place.files()} == {"data.parquet", f"{days[0]}.json"}
    assert not [t for t in threading.enumerate() if "ThreadPool" in t.name]


def test_scratch_that_is_full_is_told(place):
    place.source.rows[DAY] = 10
    place.source.faults[DAY] = OSError(28, "No space left on device", "/tmp/x")
    with pytest.raises(PermanentError, match="no space left for work files") as caught:
        place.export(DAY)
    assert caught.value.parts["where"] == "/tmp/x"
    assert "TMPDIR" in caught.value.parts["remedy"]


@pytest.mark.parametrize("manifest", [None, b"{"])
def test_a_day_without_a_readable_manifest_does_not_shrink_either(place, manifest):
    place.source.rows[DAY] = 10
    place.export(DAY)
    place.store.delete(MANIFEST)
    if manifest:
        place.store.write(MANIFEST, manifest)
    place.source.rows[DAY] = 9
    error = refused(place, force=True)
    assert error.parts["expected"] == "at least 10 rows, as in the object that is there"
    if not manifest:
        refused(place)
    place.export(DAY, force=True, allow_shrink=True)
    assert place.manifest(DAY)["rows"] == 9


def test_an_object_that_is_no_parquet_holds_nothing_back(place):
    place.source.rows[DAY] = 1
    place.store.write(TABLE, b"PAR1 and no footer PAR1")
    assert place.export(DAY).state == "exported"


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


def test_another_definition_is_not_skipped_silently(place):
    place.source.rows[DAY] = 10
    place.export(DAY)
    events = place.settings.dataset_named("events")
    other = events.model_copy(update={"collection": "events_2"})
    before = place.files()
    with pytest.raises(PermanentError, match="another definition") as caught:
        place.exporter.export(other, Day.parse(DAY))
    assert place.files() == before
    assert caught.value.parts["expected"] == "collection = 'events_2'"
    assert caught.value.parts["found"] == "collection = 'events'"
    assert "--force" in caught.value.parts["remedy"]
    place.exporter.export(other, Day.parse(DAY), force=True)
    assert place.exporter.export(other, Day.parse(DAY)).state == "skipped"


def test_a_key_that_the_old_manifest_lacks_was_at_its_default(place):
    place.source.rows[DAY] = 10
    manifest = place.export(DAY).manifest
    del manifest.definition["time_fallback"], manifest.definition["time_field"]
    write_manifest(place.store, manifest)
    assert place.export(DAY).state == "skipped"
    changed = place.settings.dataset_named("events").model_copy(update={"time_field": "at"})
    with pytest.raises(PermanentError, match="another definition"):
        place.exporter.export(changed, Day.parse(DAY))
    write_manifest(place.store, replace(manifest, definition={}))  # nothing is known of it
    assert place.export(DAY).state == "skipped"
