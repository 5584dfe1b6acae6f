"""What a hold keeps: partitions, rollups, snapshots, objects without a manifest."""

from __future__ import annotations

import json

import pytest

from lake import audit
from lake.base.day import Day
from lake.base.errors import Incomplete, PermanentError, Refused, UsageError
from lake.drop import drop, inspect
from lake.holds import of
from lake.holds.changing import add, release
from lake.repair import repair
from lake.snapshot import remove_snapshot
from lake.snapshots.manifest import SnapshotManifest, StoredObject, snapshot_manifest_key
from lake.store.directory import DirectoryStore

DAY, NEXT = "2026-07-05", "2026-07-06"


def hold_of(place, *datasets: str, start: str | None = DAY, end: str | None = NEXT, **more):
    first, last = start and Day.parse(start), end and Day.parse(end)
    return add(place.settings, place.store, datasets, first, last, "case 17", **more)


def test_a_held_day_is_not_dropped_even_by_force(place, lake):
    place.export(DAY)
    place.export(NEXT)
    place.export(DAY, "users")
    assert lake("hold", "add", "events", "--from", DAY, "--to", NEXT, "--reason", "case 17",
                "--id", "case-17")[0] == 0  # fmt: skip
    for options in ((), ("--force", "--yes")):
        code, out, err = lake("drop", "events", "--day", DAY, *options)
        assert (code, out) == (1, "")
        assert "held" in err
        assert "case 17" in err
    assert len([key for key in place.keys(DAY) if "/events/" in key]) == 2
    assert lake("drop", "events", "--day", NEXT)[0] == 0
    assert lake("drop", "users", "--day", DAY)[0] == 0
    assert lake("hold", "release", "case-17", "--reason", "closed")[0] == 0
    assert lake("drop", "events", "--day", DAY)[0] == 0
    assert place.keys(DAY) == []


def test_a_hold_that_comes_between_the_look_and_the_removal_is_honoured(place):
    place.export(DAY)
    dataset = place.settings.dataset_named("events")
    partition = inspect(
        place.settings, place.store, lambda _: place.source, dataset, Day.parse(DAY)
    )
    hold_of(place, "events")
    with pytest.raises(PermanentError, match="held"):
        drop(place.store, partition, force=True)
    assert len(place.keys(DAY)) == 2


def test_an_export_may_not_lose_rows_of_a_held_day(place):
    place.export(DAY)
    before = {key: place.store.read(key) for key in place.keys(DAY)}
    hold_of(place, "events")
    place.source.rows[DAY] = 2
    with pytest.raises((PermanentError, Incomplete), match="held: 3 rows may not become 2"):
        place.export(DAY, force=True, allow_shrink=True)
    assert {key: place.store.read(key) for key in place.keys(DAY)} == before
    place.source.rows[DAY] = 5
    assert place.export(DAY, force=True).manifest.rows == 5
    assert place.export(DAY, force=True, allow_shrink=True).manifest.rows == 5
    place.source.rows[DAY] = 0
    with pytest.raises(PermanentError, match="held: 5 rows may not become 0"):
        place.export(DAY, force=True, allow_shrink=True)


def test_without_a_hold_it_may(place):
    place.export(DAY)
    hold_of(place, "events", start=NEXT, end=None)
    hold_of(place, "users")
    place.source.rows[DAY] = 2
    assert place.export(DAY, force=True, allow_shrink=True).manifest.rows == 2


def test_rows_of_a_held_day_are_counted_in_the_object_where_its_manifest_is_gone(place):
    place.export(DAY)
    hold_of(place, "events")
    place.store.delete(f"manifests/events/{DAY}.json")
    place.source.rows[DAY] = 2
    with pytest.raises(PermanentError, match="held: 3 rows may not become 2"):
        place.export(DAY, force=True, allow_shrink=True)


def test_another_definition_may_not_replace_a_held_day(place):
    place.export(DAY)
    hold_of(place, "events")
    other = place.settings.dataset_named("events").model_copy(update={"collection": "other"})
    with pytest.raises(PermanentError, match=r"held.*collection"):
        place.exporter.export(other, Day.parse(DAY), force=True)


def test_a_held_object_without_a_manifest_is_not_repaired_away(place):
    place.export(DAY)
    place.store.delete(f"manifests/events/{DAY}.json")
    hold_of(place, "events")
    (orphan,) = repair(place.settings, place.store)
    assert (orphan.state, "case 17" in orphan.why) == ("kept", True)
    release(place.store, of(place.store).active[0].id, "over")
    (orphan,) = repair(place.settings, place.store, place.exporter.source)
    assert orphan.state == "removed"


@pytest.mark.parametrize("key", [f"tables/events/day={DAY}/data.parquet",
                                 f"rollups/events/day={DAY}/data.parquet"])  # fmt: skip
@pytest.mark.parametrize("change", ["a hold", "an export", "nothing"])
def test_what_changes_while_it_is_looked_at_is_not_repaired_away(place, monkeypatch, key, change):
    """A hold that is added, or a day that is exported, after the repair's listings."""
    place.export(DAY)
    place.store.write(key, place.store.read(f"tables/events/day={DAY}/data.parquet"))
    if key.startswith("rollups"):
        place.store.delete(f"tables/events/day={DAY}/data.parquet")
    manifest = place.store.read(f"manifests/events/{DAY}.json")
    place.store.delete(f"manifests/events/{DAY}.json")
    listed = DirectoryStore.list

    def then_changed(store, prefix):
        stats = list(listed(store, prefix))
        if prefix == "manifests/" and change == "a hold":
            hold_of(place, "events")
        elif prefix == "manifests/" and change == "an export":
            place.store.write(f"manifests/events/{DAY}.json", manifest)
        return iter(stats)

    monkeypatch.setattr(DirectoryStore, "list", then_changed)
    repair(place.settings, place.store, place.exporter.source)
    assert (place.store.stat(key) is None) == (change == "nothing")


def snapshot(place, day: str, whole: list[str], objects: list[str]) -> None:
    stored = []
    for key in objects:
        place.store.write(key, key.encode())
        stored.append(StoredObject(key, len(key), ""))
    manifest = SnapshotManifest(
        system="loki", day=day, created_at=f"{day}T12:00:00+00:00", version="0", server={},
        window={"start": None, "end": None}, counts={}, objects=stored, files=[], restore="",
        whole_days=whole,
    )  # fmt: skip
    place.store.write(snapshot_manifest_key("loki", Day.parse(day)), manifest.to_bytes())


def test_a_snapshot_of_held_days_stays(place):
    run = "20260706T120000-1"
    snapshot(place, NEXT, [DAY], [f"loki/2026/07/06/{run}/pieces/a"])
    hold_of(place, "events")
    hold_of(place, "lines", start="2026-07-01", end=DAY)
    held = hold_of(place, "lines", start=DAY, end=None, hold_id="logs")
    with pytest.raises(PermanentError, match="held") as refused:
        remove_snapshot(place.store, "loki", Day.parse(NEXT))
    assert "case 17" in refused.value.parts["found"]
    release(place.store, held.id, "over")
    assert remove_snapshot(place.store, "loki", Day.parse(NEXT)) > 0


def test_a_snapshot_that_can_not_be_read_stays_under_any_hold_of_its_system(place):
    place.store.write(snapshot_manifest_key("loki", Day.parse(NEXT)), b"{")
    hold_of(place, "events")
    hold_of(place, "lines", start="2020-01-01", end="2020-01-02", hold_id="logs")
    with pytest.raises(PermanentError, match="held"):
        remove_snapshot(place.store, "loki", Day.parse(NEXT))
    release(place.store, "logs", "over")
    remove_snapshot(place.store, "loki", Day.parse(NEXT))


def test_holds_and_releases_are_audited_and_never_replaced(place):
    hold_of(place, "events", hold_id="case-17")
    with pytest.raises(UsageError, match="already"):
        hold_of(place, "users", hold_id="case-17")
    release(place.store, "case-17", "closed")
    with pytest.raises(UsageError, match="already"):  # an id is used once
        hold_of(place, "users", hold_id="case-17")
    entries = list(audit.entries(place.store))
    assert [(entry.action, entry.dataset, entry.why) for entry in entries] == [
        ("hold", "events", "case 17"),
        ("release", "events", "closed"),
    ]
    assert entries[0].details["from"] == DAY
    assert audit.check(place.store).problems == ()


@pytest.mark.parametrize(
    "words",
    [
        ("add", "--reason", "x"),
        ("add", "events", "--reason", " "),
        ("add", "nothing", "--reason", "x"),
        ("add", "events", "--all", "--reason", "x"),
        ("add", "events", "--from", NEXT, "--to", DAY, "--reason", "x"),
        ("add", "events", "--reason", "x", "--id", "Case 17"),
        ("add", "events"),
        ("release", "../x", "--reason", "x"),
    ],
)
def test_wrong_usage_adds_nothing(place, lake, words):
    assert lake("hold", *words)[0] == 2
    assert place.keys() == []


def test_they_are_listed(place, lake):
    code, out, err = lake("hold", "add", "--all", "--from", DAY, "--reason", "audit", "--json")
    added = json.loads(out)["added"]
    assert (code, err) == (0, "")
    assert added["legal_hold"] == {"object_lock": False, "versions": 0}
    assert (added["datasets"], added["from"], added["to"]) == (["*"], DAY, None)
    assert [row["id"] for row in json.loads(lake("hold", "list", "--json")[1])["holds"]] == [
        added["id"]
    ]
    code, out, _ = lake("hold", "release", added["id"], "--reason", "over")
    assert "no Object Lock" in out
    assert lake("hold", "list")[1] == "no hold\n"
    (row,) = json.loads(lake("hold", "list", "--released", "--json")[1])["holds"]
    assert row["released"]["reason"] == "over"
    assert lake("hold", "release", added["id"], "--reason", "over")[0] == 1
    place.store.write("holds/odd.json", b"?")
    code, out, _ = lake("hold", "list")
    assert code == 1
    assert "holds everything" in out


def test_a_hold_whose_object_has_an_odd_name_can_be_released(place, lake):
    place.store.write("holds/case 17 (copy).json", b"{}")
    (hold,) = of(place.store).active
    assert hold.problem
    assert lake("hold", "release", "case 17 (copy)", "--reason", "a copy")[0] == 0
    assert of(place.store).active == ()


def test_a_hold_of_a_name_that_is_not_configured_is_reported(place, lake):
    hold_of(place, "events")
    assert "no dataset" not in lake("hold", "list")[2]
    text = place.config.read_text().replace('name = "events"', 'name = "renamed"')
    place.config.write_text(text)
    code, _, err = lake("hold", "list")
    assert (code, "no dataset in lake.toml is called events" in err) == (0, True)


def test_an_error_of_legal_holds_comes_with_the_hold(place, lake, monkeypatch):
    def refused(*arguments: object) -> None:
        raise Refused("no permission")

    monkeypatch.setattr("lake.holds.protecting.protect", refused)
    code, _, err = lake("hold", "add", "events", "--reason", "x", "--id", "case-17")
    assert (code, "hold case-17 added" in err) == (1, True)
    assert [hold.id for hold in of(place.store).active] == ["case-17"]
