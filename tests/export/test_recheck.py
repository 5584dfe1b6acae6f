"""`lake recheck` and `lake verify --deep` as a user types them; `lake status --repair`."""

import json
from dataclasses import replace

import pyarrow as pa
import pytest

from lake.base.day import Day
from lake.base.errors import TransientError
from lake.hot import late_days
from lake.partition.ledger import read_manifest
from lake.partition.manifest import write_manifest
from lake.partition.replacement import write_pending

DAY = "2026-07-05"
LATE = "2026-07-08"
EVENTS = ("events", "--from", "2026-07-01", "--to", "2026-07-10")


@pytest.fixture
def three_late_days(place):
    """mongo's window: three days, as the source in memory has it, too."""
    text = place.config.read_text()
    place.config.write_text(text.replace('database = "d"', 'database = "d"\nlateness_days = 3'))
    place.source.lateness_days = 3


def states(lake, *arguments) -> tuple[int, dict[str, str]]:
    code, out, _ = lake("recheck", "events", "--json", *arguments)
    return code, {
        partition["day"]: partition["state"] for partition in json.loads(out)["partitions"]
    }


def test_recheck_takes_the_late_days_and_no_other(place, lake, three_late_days):
    place.source.rows = {f"2026-07-0{n}": 10 for n in range(1, 10)}
    assert lake("export", *EVENTS)[0] == 0
    place.source.rows |= {"2026-07-03": 11, LATE: 12}  # only the second is still late
    place.store.delete("manifests/events/2026-07-09.json")
    place.source.calls.clear()
    code, by_day = states(lake)
    assert (code, by_day) == (
        0,
        {
            **dict.fromkeys(("2026-07-04", "2026-07-05", "2026-07-06"), "skipped"),  # window closed
            "2026-07-07": "skipped",
            LATE: "rewritten",
            "2026-07-09": "exported",
        },
    )
    assert ("read", "2026-07-07") not in place.source.calls
    manifest = place.manifest(LATE)
    assert (manifest["rows"], [claim["source_count"] for claim in manifest["history"]]) == (
        12,
        [10],
    )
    shown = json.loads(lake("status", "--json", "--day", LATE)[1])["datasets"][0]["days"][LATE]
    assert shown["history"] == manifest["history"]
    assert shown["fingerprint"] == manifest["fingerprint"]


@pytest.mark.parametrize("rows", [9, 0])
def test_a_day_that_shrank_is_a_failure_and_stays(place, lake, three_late_days, rows):
    place.source.rows = {f"2026-07-0{n}": 10 for n in range(1, 10)}
    lake("export", *EVENTS)
    before = place.files()
    place.source.rows[LATE] = rows
    code, by_day = states(lake)
    assert (code, by_day[LATE]) == (1, "failed")
    assert "--allow-shrink" in lake("recheck")[2]
    assert place.files() | before == place.files() | {}
    assert place.manifest(LATE)["rows"] == 10
    code, by_day = states(lake, "--allow-shrink")
    assert (code, by_day[LATE]) == (0, "rewritten")
    assert place.manifest(LATE)["rows"] == rows
    assert place.manifest(LATE)["history"][0]["rows"] == 10
    assert states(lake) == (0, dict.fromkeys(by_day, "skipped"))


def test_an_answer_that_turns_empty_is_a_failure(place, lake, three_late_days):
    """The count has grown, but the read brings nothing."""
    place.source.rows = dict.fromkeys(("2026-07-07", LATE, "2026-07-09"), 10)
    lake("export", *EVENTS)
    place.source.counted(LATE, 11, 0)
    place.source.rows[LATE] = 0
    code, by_day = states(lake)
    assert (code, by_day[LATE]) == (1, "failed")
    assert place.manifest(LATE)["rows"] == 10


def test_days_that_the_source_drops_or_that_are_before_the_first(place):
    def days(**changes):
        sources, lake, hot = place.settings.sources, place.settings.lake, place.settings.hot
        settings = place.settings.model_copy(
            update={
                "sources": sources.model_copy(
                    update={"mongo": sources.mongo.model_copy(update={"lateness_days": 3})}
                ),
                "lake": lake.model_copy(
                    update={"first_day": changes.get("first_day", lake.first_day)}
                ),
                "hot": hot.model_copy(update={"mongo": changes.get("hot", 30)}),
            }
        )
        return [str(day) for day in late_days(settings, "mongo")]

    assert days() == [f"2026-07-0{number}" for number in range(4, 10)]
    assert days(hot=2) == ["2026-07-09"]
    assert days(first_day=Day.parse(LATE).date) == [LATE, "2026-07-09"]
    assert days(first_day=Day.parse("2026-07-10").date) == []
    assert late_days(place.settings, "loki") == []


def test_rows_that_came_after_the_window_are_exported_before_their_day_goes(place, lake):
    """And a day that shrank then is no finding: rows may have been deleted on purpose."""
    text = place.config.read_text()
    late = text.replace('database = "d"', 'database = "d"\nlateness_days = 1')
    place.config.write_text(late.replace("mongo = 30", "mongo = 9"))
    place.source.lateness_days = 1
    place.source.rows = {f"2026-07-0{n}": 10 for n in range(1, 10)}
    assert lake("export", *EVENTS)[0] == 0
    place.source.rows |= {"2026-07-01": 9, "2026-07-02": 11, "2026-07-03": 9, "2026-07-04": 12}
    assert states(lake) == (
        0,
        {
            "2026-07-02": "rewritten",
            "2026-07-03": "skipped",
            **{f"2026-07-0{n}": "skipped" for n in range(6, 10)},
        },
    )
    assert place.manifest("2026-07-02")["rows"] == 11
    assert place.manifest("2026-07-03")["rows"] == 10
    # One that is not exported is not begun with: the source may keep less than [hot] has.
    place.store.delete("manifests/events/2026-07-02.json")
    assert "2026-07-02" not in states(lake)[1]
    _, out, _ = lake("status", "--json", "--day", "2026-07-03")
    assert json.loads(out)["datasets"][0]["days"]["2026-07-03"]["state"] == "verified"


def deep(lake, *arguments) -> dict[str, list[str]]:
    code, out, _ = lake("verify", "events", "--deep", "--json", *arguments)
    partitions = json.loads(out)["partitions"]
    assert code == (0 if all(partition["ok"] for partition in partitions) else 1)
    return {partition["day"]: partition["problems"] for partition in partitions}


def test_deep_reads_the_source_again_and_writes_nothing(place, lake):
    place.source.rows = {DAY: 2500, LATE: 0}
    lake("export", *EVENTS)
    before = place.files()
    place.source.calls.clear()
    place.source.batch_rows = 7
    assert set(map(tuple, deep(lake).values())) == {()}
    assert place.files() == before
    assert ("read", DAY) in place.source.calls
    report = json.loads(lake("verify", "events", "--deep", "--json", "--day", DAY)[1])
    (partition,) = report["partitions"]
    assert (
        partition["fingerprint"]
        == partition["source_fingerprint"]
        == place.manifest(DAY)["fingerprint"]
    )


def changed(place, column: str, value):
    """One cell of the last batch is another one from now on."""
    original = place.source._batches

    def batches(day, details):
        for batch in original(day, details):
            values = batch.column(column).to_pylist()
            kind = batch.schema.field(column)
            yield batch.set_column(
                batch.schema.get_field_index(column),
                kind,
                pa.array([*values[:-1], value], kind.type),
            )

    place.source._batches = batches


def test_deep_finds_one_cell_that_no_count_shows(place, lake):
    place.source.rows = {DAY: 30}
    lake("export", *EVENTS)
    changed(place, "text", "another text")
    assert lake("verify", "events", "--source")[0] == 0
    assert deep(lake, "--day", DAY)[DAY] == [
        "the source's rows have changed (no hour of the day: 30 rows exported, 30 now)"
    ]


def test_deep_compares_the_object_where_the_manifest_is_older_than_fingerprints(place, lake):
    place.source.rows = {DAY: 30}
    lake("export", *EVENTS)
    manifest = read_manifest(place.store, "events", Day.parse(DAY))
    fields = json.loads(manifest.to_bytes())
    del fields["fingerprint"], fields["history"]
    place.store.write(f"manifests/events/{DAY}.json", json.dumps(fields).encode())
    assert lake("verify", "events")[0] == 0
    assert deep(lake, "--day", DAY)[DAY] == []
    changed(place, "_id", 77)
    assert len(deep(lake, "--day", DAY)[DAY]) == 1


def test_deep_goes_on_where_a_day_cannot_be_read(place, lake):
    place.source.rows = {DAY: 30, LATE: 30}
    lake("export", *EVENTS)
    place.source.faults[DAY] = TransientError("unreachable")
    by_day = deep(lake)
    assert by_day[DAY] == ["unreachable"]
    assert by_day[LATE] == []


def test_an_object_that_decodes_to_other_rows_is_found(place, lake):
    """Every hash is right, but the rows are not those that were read."""
    place.source.rows = {DAY: 30, LATE: 30}
    lake("export", *EVENTS)
    manifest, other = (read_manifest(place.store, "events", Day.parse(day)) for day in (DAY, LATE))
    write_manifest(place.store, replace(manifest, fingerprint=other.fingerprint))
    code, out, _ = lake("verify", "events")
    assert code == 1
    assert f"rows are {manifest.fingerprint}, those that were read {other.fingerprint}" in out


def repaired(lake, *arguments) -> dict[str, tuple[str, str]]:
    orphans = json.loads(lake("status", "--json", *arguments)[1])["orphans"]
    return {orphan["key"]: (orphan["kind"], orphan["state"]) for orphan in orphans}


def test_orphans_are_told_and_repaired(place, lake):
    place.source.rows = {f"2026-07-0{n}": 10 for n in range(1, 8)}
    lake("export", *EVENTS)
    assert repaired(lake) == {}
    keys = {n: f"tables/events/day=2026-07-0{n}/data.parquet" for n in range(1, 8)}
    place.store.delete("manifests/events/2026-07-01.json")
    place.store.write("tables/events/day=2026-07-01/data.parquet.bak", b"x")
    place.store.write("tables/events/day=2020-01-01/data.parquet", b"cut off")
    place.store.write("tables/gone/day=2026-07-02/data.parquet", place.store.read(keys[2]))
    place.store.write("tables/events/day=2020-01-02/data.parquet", place.store.read(keys[2]))
    killed = read_manifest(place.store, "events", Day.parse("2026-07-03"))
    pending = "manifests/events/2026-07-03.0123456789ab.next"
    long_ago = "2026-01-01T00:00:00+00:00"
    other = replace(killed, bytes=1, sha256="0", created_at=long_ago)
    write_pending(place.store, pending, other)
    ended = place.store.read(pending).replace(b'"writer": "', b'"writer": "x y 1 ')
    place.store.write(pending, ended)
    place.store.write("manifests/events/2026-07-04.0123456789ab.next", b"{")
    part = place.store.root / ".parts" / "tables!events!day=2026-07-09!data.parquet.abc"
    part.write_bytes(b"half")
    (place.store.root / ".parts" / "tmpabc").write_bytes(b"of an older version")
    expected = {
        keys[1]: ("object", "left"),
        "tables/events/day=2020-01-01/data.parquet": ("object", "left"),
        "tables/events/day=2020-01-02/data.parquet": ("object", "kept"),
        "tables/gone/day=2026-07-02/data.parquet": ("object", "kept"),
        "tables/events/day=2026-07-01/data.parquet.bak": ("unknown", "kept"),
        "manifests/events/2026-07-04.0123456789ab.next": ("pending", "left"),
        f"tables/events/day=2026-07-09/data.parquet ({part.name})": ("upload", "left"),
        "an unknown key (tmpabc)": ("upload", "left"),
        pending: ("pending", "left"),  # of another machine, but long ago
    }
    assert repaired(lake) == expected
    assert part.exists()
    err = lake("status")[2]
    assert f"object left: {keys[1]}: no manifest" in err
    assert "--repair" in err
    done = repaired(lake, "--repair")
    assert {state for _, state in done.values()} == {"kept", "removed"}
    kept = {key for key, (_, state) in expected.items() if state == "kept"}
    assert {key for key, (_, state) in done.items() if state == "kept"} == kept
    assert set(repaired(lake)) == kept
    assert list((place.store.root / ".parts").iterdir()) == []
    assert keys[1] not in place.files()
    assert lake("export", *EVENTS)[0] == 0
    assert lake("verify", "events", "--from", "2026-07-01", "--to", "2026-07-08")[0] == 0


def test_a_pending_manifest_that_the_object_bears_out_is_finished(place, lake):
    place.source.rows = {DAY: 10}
    lake("export", *EVENTS)
    manifest = read_manifest(place.store, "events", Day.parse(DAY))
    place.store.delete(f"manifests/events/{DAY}.json")
    pending = f"manifests/events/{DAY}.0123456789ab.next"
    write_pending(place.store, pending, replace(manifest, created_at="2026-01-01T00:00:00+00:00"))
    ended = place.store.read(pending).replace(b'"writer": "', b'"writer": "elsewhere ')
    place.store.write(pending, ended)
    state = json.loads(lake("status", "--json", "--day", DAY)[1])
    assert state["datasets"][0]["days"][DAY]["state"] == "verified"
    assert [orphan["state"] for orphan in state["orphans"]] == ["left"]
    assert list(repaired(lake, "--repair").values()) == [("pending", "finished")]
    assert place.manifest(DAY)["rows"] == 10
    assert repaired(lake) == {}


@pytest.mark.parametrize("source", ["has them", "has fewer", "is away", "was not counted"])
def test_an_object_is_removed_where_its_rows_can_be_exported_again(
    place, lake, monkeypatch, source
):
    """By the source's count: `[hot]` keeps days that a clean-up may have removed all the same."""
    place.source.rows = {DAY: 30}
    lake("export", "events", "--day", DAY)
    key = f"tables/events/day={DAY}/data.parquet"
    place.store.delete(f"manifests/events/{DAY}.json")
    if source == "has fewer":
        place.source.rows = {DAY: 29}
    elif source == "is away":

        def away(*_: object) -> None:
            raise TransientError("no answer")

        monkeypatch.setattr(place.source, "count", away)
    words = ["--no-sources"] if source == "was not counted" else []
    done = repaired(lake, "--repair", *words)
    assert done == {key: ("object", "removed" if source == "has them" else "kept")}
    assert (key in place.files()) == (source != "has them")
