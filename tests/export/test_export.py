import io
import threading
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.base.day import Day
from lake.base.errors import (
    BadData,
    PermanentError,
    Refused,
    TransientError,
)
from lake.partition.fingerprint import Fingerprint
from lake.partition.manifest import write_manifest
from lake.runs import export_many
from lake.systems.mongo.reading.names import TYPING

DAY = "2026-07-05"  # closed for five days: counted for the last time on the fourth
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
        "rules": [],
    }
    assert manifest["fingerprint"] == fingerprint(table)


def fingerprint(table: pa.Table) -> str:
    computed = Fingerprint()
    for batch in table.to_batches():
        computed.add(batch)
    return str(computed)


def test_the_claims_that_were_replaced_stay_in_the_history(place):
    for rows in (10, 12, 12, 15):
        place.source.rows[LATE] = rows
        place.export(LATE, force=rows == 12)
    manifest = place.manifest(LATE)
    assert [claim["rows"] for claim in manifest["history"]] == [10, 12, 12]
    assert {*manifest["history"][0]} == {
        "created_at", "rows", "source_count", "sha256", "fingerprint", "version"
    }  # fmt: skip
    first, second, third = (claim["fingerprint"] for claim in manifest["history"])
    assert first != second == third != manifest["fingerprint"]
    times = [claim["created_at"] for claim in [*manifest["history"], manifest]]
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
    place.source.calls.clear()
    assert place.export(DAY).state == "skipped"
    assert place.source.calls == []
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
    for day, state in (("2026-07-06", "rewritten"), ("2026-07-05", "skipped")):
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
    before = set(threading.enumerate())  # other tests' threads may be about to end
    place.source.rows |= {days[0]: 1, days[1]: 10**9, days[2]: 10**9}  # never ends by itself
    running = export_many(place.exporter, partitions(place, *days), jobs=2)
    assert str(next(running).day) == days[0]
    running.close()
    assert {key.split("/")[-1] for key in place.files()} == {"data.parquet", f"{days[0]}.json"}
    assert not [t for t in set(threading.enumerate()) - before if "ThreadPool" in t.name]


def test_scratch_that_is_full_is_told(place):
    place.source.rows[DAY] = 10
    place.source.faults[DAY] = OSError(28, "No space left on device", "/tmp/x")
    with pytest.raises(PermanentError, match="no space left for work files") as caught:
        place.export(DAY)
    assert caught.value.parts["where"] == "/tmp/x"
    assert "TMPDIR" in caught.value.parts["remedy"]


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
