"""What is over: by ages counted here, for each kind; what is held or unreadable stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.aged_lake import AGES, POLICY, Aged, aged, piece_key, snapshot
from support.ledger_days import ago

from lake.base.errors import ConfigError
from lake.config.settings import load
from lake.from_snapshot.choosing import chosen_snapshots
from lake.holds.changing import add
from lake.partition.layout import manifest_key, pending_key, table_key
from lake.partition.ledger import read_manifest
from lake.partition.manifest import OPEN_DAY, write_manifest
from lake.retired import change_retired
from lake.snapshots.manifest import snapshot_days, snapshot_manifest_key

KEPT = {
    ("table", "events"): 100, ("table", "lines"): 60, ("table", "requests"): 30,
    ("rollup", "events"): 200, ("rollup", "lines"): 200, ("rollup", "requests"): 30,
}  # fmt: skip


@pytest.fixture
def place(tmp_path) -> Aged:
    return aged(tmp_path)


def test_days_that_were_kept_for_the_whole_time_are_over(place):
    planned = {(item.kind, item.name, str(item.day)) for item in place.plan().items}
    expected = {
        (kind, name, str(ago(age)))
        for (kind, name), kept in KEPT.items()
        for age in AGES
        if (age - 1) >= kept  # a day ago ended at 00:00 today
    }
    expected |= {("report", "reports/rehearsal", str(ago(age))) for age in (51, 52)}
    assert planned == expected
    assert place.plan().stays == ()


def test_manifests_go_before_their_objects(place):
    for item in place.plan().items:
        if item.kind != "report":
            assert [piece.key.split("/")[0] for piece in item.pieces] == [
                "manifests", f"{item.kind}s",
            ]  # fmt: skip


def test_without_a_policy_nothing_is_over(tmp_path):
    assert aged(tmp_path, "[retention]\nenabled = true").plan().items == ()


def test_what_is_held_stays(place):
    add(place.settings, place.store, ["events"], ago(151), ago(149), "case 17")
    plan = place.plan()
    assert [(stay.kind, stay.day, stay.held) for stay in plan.stays] == [
        ("table", str(ago(150)), True)
    ]
    assert plan.ok
    gone = {(item.name, item.day) for item in plan.items if item.kind == "table"}
    assert ("events", ago(150)) not in gone
    assert {("events", ago(199)), ("lines", ago(150))} <= gone


def test_a_hold_that_can_not_be_read_keeps_everything(place):
    place.store.write("holds/case.json", b"?")
    plan = place.plan()
    assert {item.kind for item in plan.items} <= {"report"}
    assert len(plan.stays) == len(
        [1 for (_, _), kept in KEPT.items() for age in AGES if age - 1 >= kept]
    )


def test_what_can_not_be_read_or_is_being_written_stays(place):
    place.store.write(f"manifests/events/{ago(150)}.json", b"?")
    place.store.write(pending_key("events", ago(199)), b"?")
    place.store.delete(f"manifests/events/{ago(200)}.json")
    plan = place.plan()
    assert not plan.ok
    assert {stay.day for stay in plan.stays} == {str(ago(age)) for age in (150, 199, 200)}
    tables = [item.day for item in plan.items if (item.kind, item.name) == ("table", "events")]
    assert not {ago(150), ago(199), ago(200)} & set(tables)


ONE, TWO = (
    f"[retention]\nenabled = true\n[retention.snapshots]\ndaily = {number}" for number in (1, 2)
)


def sizes(plan) -> dict[str, list[str]]:
    return {
        str(item.day): [piece.key.rpartition("/")[2] for piece in item.pieces]
        for item in plan.items
        if item.kind == "snapshot"
    }


def test_an_object_that_another_snapshot_needs_stays(tmp_path):
    place = aged(tmp_path, TWO, [2, 11, 21, 31])
    old, older, oldest = ago(10), ago(20), ago(30)
    snapshot(place.store, "loki", oldest, [f"{oldest} a", f"{oldest} b", f"{oldest} c"])
    snapshot(place.store, "loki", older, [f"{oldest} b", f"{older} d"])
    snapshot(place.store, "loki", old, [f"{oldest} c", f"{old} e"])
    snapshot(place.store, "loki", ago(1), [f"{old} e", f"{ago(1)} f"])
    snapshot(place.store, "prometheus", oldest, [f"{oldest} a"])
    assert sizes(place.plan()) == {
        str(oldest): ["manifest.json", "a"],
        str(older): ["manifest.json", "b", "d"],  # b with the last that needs it
    }


def test_the_newest_snapshot_with_all_its_objects_stays(tmp_path):
    place = aged(tmp_path, ONE, [2, 3, 4, 5])
    for age in (4, 3, 2, 1):
        snapshot(place.store, "loki", ago(age), [f"{ago(age)} a"])
    for age in (2, 1):  # the newest two are damaged
        place.store.delete(piece_key("loki", ago(age), "a"))
    assert list(sizes(place.plan())) == [str(ago(4)), str(ago(2))]


def test_held_snapshots_stay_and_an_unreadable_one_keeps_all(tmp_path):
    place = aged(tmp_path, ONE, [2, 6, 10])
    for age in (9, 5, 1):
        snapshot(place.store, "loki", ago(age), [f"{ago(age)} a"])
    add(place.settings, place.store, ["lines"], ago(6), ago(5), "case 17")
    plan = place.plan()
    assert (list(sizes(plan)), [stay.day for stay in plan.stays]) == ([str(ago(9))], [str(ago(5))])
    place.store.write(snapshot_manifest_key("loki", ago(1)), b"{")
    plan = place.plan()
    assert (sizes(plan), plan.ok) == ({}, False)


@pytest.mark.parametrize("lost", ["missing", "damaged", "retired", "exported"])
def test_the_only_copy_of_a_day_stays(tmp_path, lost):
    """Two snapshots have the day of ten days ago; the newer of them has lost an object."""
    place = aged(tmp_path, ONE, [2, 3, 10, 11])
    for age in (11, 10, 9, 8, 1):
        whole = {ago(1 + age), *([ago(10)] if 1 < age < 10 else [])}
        days = sorted(map(str, whole))
        snapshot(place.store, "loki", ago(age), [f"{ago(age)} a"], whole_days=days)
    place.store.delete(piece_key("loki", ago(8), "a"))  # the newest that claims to have it
    if lost == "missing":
        place.store.delete(manifest_key("lines", ago(10)))
    elif lost == "damaged":
        place.store.write(table_key("lines", ago(10)), b"cut")
    elif lost == "retired":
        place.store.delete(manifest_key("lines", ago(10)))
        change_retired(place.store, {"lines": [ago(10)]})
    exported = lost in ("retired", "exported")
    # The oldest one holds the day of 12 days ago, which was never exported.
    plan = place.plan()
    stays = {stay.day: stay for stay in plan.stays}
    assert set(stays) == {str(ago(11)), *([] if exported else [str(ago(9))])}
    assert set(sizes(plan)) == {str(ago(age)) for age in (10, 9, 8, 1)} - {str(ago(1)), *stays}
    assert plan.ok
    if not exported:
        assert f"lake export lines --day {ago(10)} --from-snapshot" in stays[str(ago(9))].why
    place.apply()
    assert set(snapshot_days(place.store, "loki")) == {
        ago(1),
        *(ago(age) for age in (9, 11) if str(ago(age)) in stays),
    }
    assert set(sizes(place.plan())) == set()


def test_a_snapshot_that_was_not_counted_for_a_dataset_is_no_other_copy(tmp_path):
    """When the newer one was taken, the dataset was not in lake.toml: its documents of the day may
    have gone before, though the day is whole for the datasets of then.
    """
    place = aged(tmp_path, ONE, [2, 3, 4, 5])
    day = ago(10)
    for age, name in ((9, "events"), (8, "events"), (7, "others"), (1, "others")):
        snapshot(
            place.store, "mongo", ago(age), [f"{ago(age)} a"], whole_days=[str(day)],
            details={"documents_by_day": {name: {str(day): 5}}},
        )  # fmt: skip
    stays = {stay.day: stay for stay in place.plan().stays}
    assert set(stays) == {str(ago(8))}
    assert f"lake export events --day {day} --from-snapshot" in stays[str(ago(8))].why
    place.apply()
    choices, _ = chosen_snapshots(
        place.settings, place.store, [(place.settings.dataset_named("events"), day)]
    )
    assert [choice.taken for choice in choices] == [ago(8)]


def test_a_day_exported_before_it_was_over_is_not_in_the_lake(tmp_path):
    place = aged(tmp_path, ONE, [2, 3, 4, 10])
    manifest = read_manifest(place.store, "lines", ago(10))
    assert manifest
    write_manifest(place.store, replace(manifest, details={OPEN_DAY: True}))
    for age, whole in ((9, ago(10)), (1, ago(2))):
        snapshot(place.store, "loki", ago(age), [f"{ago(age)} a"], whole_days=[str(whole)])
    assert [stay.day for stay in place.plan().stays] == [str(ago(9))]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("tables = 40", "[hot] mongo"),
        ('[retention.dataset.lines]\ntables = "5d"', "[hot] loki"),
        ("tables = 93\n[ttl]\nenabled = true", "[ttl] days and margin_days"),
        ("tables = 100\nrollups = 99", "rollups"),
        ("tables = 100\n[retention.dataset.events]\nrollups = 50", "rollups"),
        ("[retention.dataset.nothing]\ntables = 100", "names no dataset"),
        ("[retention.system.nothing]\ntables = 100", "names no system"),
        ('tables = "12h"', "1y"),
        ('tables = "never"', "forever"),
        ("tables = 0", "forever"),
        ("tables = true", "forever"),
        ("[retention.snapshots]\nhourly = 3", "hourly"),
    ],
)
def test_a_policy_that_can_not_hold_is_an_error(tmp_path, policy, words):
    with pytest.raises(ConfigError) as wrong:
        aged(tmp_path, f"[retention]\n{policy}", [1])
    assert words in str(wrong.value)


@pytest.mark.parametrize(
    ("written", "days"),
    [("180", 180), ('"180"', 180), ('"180d"', 180), ('"1y"', 365), ('"26w"', 182),
     ('"1y6w"', 407), ('"forever"', 3_650_000)],
)  # fmt: skip
def test_times_are_written_in_several_ways(tmp_path, written, days):
    assert aged(tmp_path, f"[retention]\ntables = {written}", [1]).settings.retention.tables == days


def test_the_environment_overrides_it(tmp_path):
    place = aged(tmp_path, POLICY, [1])
    environment = {"LAKE_RETENTION__TABLES": "2y", "LAKE_RETENTION__ROLLUPS": "forever"}
    assert load(str(place.config), environment).retention.tables == 730
