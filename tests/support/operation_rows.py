"""Rows that are late, dropped, erased or held.

Belongs here: what operators and sources do to rows, rightly or not. Does not: objects that are
damaged (operation_damage).
"""

from __future__ import annotations

import datetime as dt

from support.operated_settings import COUNTED, HOT, MARGIN, SOURCE, TABLES
from support.operation_scene import Scene, Steps


def dropped_day(scene: Scene) -> Steps:
    """`lake drop` of the wrong day."""
    site, dataset = scene.site, scene.chance.choice(list(SOURCE))
    yield
    day = scene.day(COUNTED[SOURCE[dataset]] + 1, HOT[SOURCE[dataset]] - 3)
    scene.notes = f"{dataset} {day}"
    del scene.record.lake[dataset, day.date]
    done = site.command("drop", dataset, "--day", str(day), "--force", "--yes")
    assert done.exit_code == 0, done.output
    while not scene.is_open("LakeRowsExpiring"):
        yield
        yield
    scene.export_missing(dataset)


def late_documents(scene: Scene) -> Steps:
    """Documents that arrive after their day was counted for the last time."""
    site = scene.site
    yield
    ages = [*range(COUNTED["mongo"] + 1, HOT["mongo"] - MARGIN), HOT["mongo"] - 1]
    age = scene.chance.choice(ages)
    day = site.today.plus(-age)
    scene.notes = str(day)
    hour = 9 if age == HOT["mongo"] - 1 else 1  # the next guard comes before it expires
    for second in range(scene.chance.randint(1, 3)):
        scene.record.write("events", day.start + dt.timedelta(hours=hour, seconds=second))
    while not scene.is_open("LakeGuardFailed"):
        yield
        yield
    site.export_now("events", [day], force=True)
    site.guard()


def very_late_rows(scene: Scene) -> Steps:
    """Rows of a day that its source is about to delete: counted once more, they are exported."""
    dataset = scene.chance.choice(list(SOURCE))
    yield
    day = scene.day(HOT[SOURCE[dataset]] - 3, HOT[SOURCE[dataset]] - 2)
    scene.notes = f"{dataset} {day}"
    scene.record.write(dataset, day.start + dt.timedelta(hours=9))
    for _ in range(4):
        yield


def erasure(scene: Scene) -> Steps:
    """A person's documents are erased: not under a hold, and no others."""
    site, record = scene.site, scene.record
    yield
    stored = {n for (name, _), rows in record.lake.items() if name == "events" for n in rows}
    written = record.written["events"]
    numbers = [
        n for n in sorted(stored - record.erased) if record.age(written[n]) < TABLES["events"]
    ]
    chosen = set(scene.chance.sample(numbers, min(3, len(numbers))))
    scene.notes = str(chosen)
    site.events.delete_many({"_id": {"$in": sorted(chosen)}})
    condition = f"_id IN ({', '.join(map(str, sorted(chosen)))})"
    words = ("erase", "events", "--where", condition, "--reason", "request 12", "--yes")
    hold = site.hold(["events"], None, None)
    assert site.command(*words).exit_code == 1
    record.look()  # nothing has changed
    site.release(hold)
    record.erased |= chosen
    done = site.command(*words)
    assert done.exit_code == 0, done.output


def hold_on_hot_days(scene: Scene) -> Steps:
    """A hold on days that would expire: the guard keeps them at the source."""
    site = scene.site
    yield
    first, last = site.today.plus(-scene.chance.randint(12, 24)), site.today.plus(-3)
    hold = site.hold(["events"], first, last.plus(1))
    site.guard()  # as `lake hold add` says: else rows expire until the night
    scene.record.holds[hold] = (("events",), first.date, last.date)
    for words in (("drop", "events", "--day", str(last), "--force"),
                  ("erase", "events", "--where", "_id > 0")):  # fmt: skip
        assert site.command(*words, "--yes").exit_code == 1
    for _ in range(2 * scene.chance.randint(8, 16)):
        yield
    site.release(hold)
    del scene.record.holds[hold]
    site.guard()
    scene.record.expire()
    site.take_snapshots(allow_shrink=True)  # much has expired at once


def hold_on_cold_days(scene: Scene) -> Steps:
    """A hold on days that no source has any more: retention keeps them."""
    site = scene.site
    yield
    first, last = site.today.plus(-scene.chance.randint(12, 17)), site.today.plus(-11)
    names = ("requests", "lines")
    hold = site.hold(names, first, last.plus(1))
    scene.record.holds[hold] = (names, first.date, last.date)
    for _ in range(2 * scene.chance.randint(5, 30)):
        yield
    site.release(hold)
    del scene.record.holds[hold]
