"""What goes wrong at a site, and how an operator puts it right.

Belongs here: each kind of fault, with the one alert that it raises. Does not: claims about rows.

A fault is a generator. It is resumed twice a day: before the night's schedules and at 12:00. It
ends at a noon, when everything is right again.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.base.day import Day
from lake.systems.expiry import NEVER_S
from support.operated_settings import COUNTED, HOT, LATE, MARGIN, SOURCE, TABLES
from support.operated_site import Operated
from support.operation_record import Record
from support.server_errors import expired_token, lost, no_bucket, refused

Steps = Iterator[None]
UNREACHABLE = {
    "LAKE_SOURCES__MONGO__URI": "mongodb://127.0.0.1:1",
    "LAKE_SOURCES__MONGO__TIMEOUT_S": "1",
}


@dataclass
class Scene:
    """A site with its record, and the seed's choices."""

    site: Operated
    record: Record
    chance: random.Random
    notes: str = ""

    def day(self, youngest: int, oldest: int) -> Day:
        """A day that number of days ago, both included."""
        return self.site.today.plus(-self.chance.randint(youngest, oldest))

    def export_missing(self, dataset: str) -> None:
        """The closed days that the source keeps and the lake does not have."""
        site = self.site
        days = [site.today.plus(-age) for age in range(HOT[SOURCE[dataset]] - 1, 0, -1)]
        site.export_now(dataset, [day for day in days if not table(site, dataset, day).is_file()])

    def has_documents(self, day: Day) -> bool:
        """Whether MongoDB has any of the day."""
        of_day = {"$gte": day.start, "$lt": day.plus(1).start}
        return self.site.events.find_one({"timestamp": of_day}) is not None

    def is_open(self, name: str) -> bool:
        return any(alert.name == name for alert in self.site.notifications.open)


def table(site: Operated, dataset: str, day: Day) -> Path:
    return site.folder / f"tables/{dataset}/day={day}/data.parquet"


def lost_server(scene: Scene) -> Steps:
    """A source that does not answer for one or two nights."""
    site, source = scene.site, scene.chance.choice(["mongo", "prometheus", "loki"])
    scene.notes = source
    nights = scene.chance.randint(1, 2)
    for _ in range(nights):
        if source == "mongo":
            site.environment = dict(UNREACHABLE)
        else:
            site.sources[source].error = lost(source)
        yield  # the night
        yield  # the day
    # Back before the next night: its export is not all that is missing.
    site.environment, dataset = {}, dataset_of(source)
    if source != "mongo":
        site.sources[source].error = None
    yield
    scene.export_missing(dataset)
    site.rerun()


def expired_credential(scene: Scene) -> Steps:
    """A source that refuses the password for a night."""
    site, source = scene.site, scene.chance.choice(["prometheus", "loki"])
    scene.notes = source
    site.sources[source].error = refused(source)
    yield
    yield
    site.sources[source].error = None
    yield
    scene.export_missing(dataset_of(source))
    site.rerun()


def expired_mongo_credential(scene: Scene) -> Steps:
    """MongoDB refuses the password for a night: the guard can't look either."""
    site = scene.site
    begin, host = "mongodb://", site.settings.sources.mongo.uri.partition("://")[2]
    site.environment = {"LAKE_SOURCES__MONGO__URI": f"{begin}lake:expired@{host}"}
    limit_s = site.limit_s
    yield
    assert site.limit_s == limit_s  # a limit that can't be set stays, for its margin
    yield
    site.environment = {}
    yield
    scene.export_missing("events")
    site.rerun()


def lost_bucket(scene: Scene) -> Steps:
    """S3 refuses the lake's credentials, or does not answer, for some nights: nothing expires."""
    site, token_expired = scene.site, scene.chance.random() < 0.5
    scene.notes = "expired" if token_expired else "unreachable"
    limit_s = site.limit_s
    site.store_error = expired_token if token_expired else no_bucket
    for _ in range(scene.chance.randint(1, 3)):
        yield  # the night
        assert limit_s is None or site.limit_s == NEVER_S
        yield  # the day
    site.store_error = None
    yield
    for dataset in SOURCE:
        scene.export_missing(dataset)
    site.rerun()


def failing_webhook(scene: Scene) -> Steps:
    """A source that does not answer while the webhook refuses messages: they arrive later."""
    site, source = scene.site, scene.chance.choice(["prometheus", "loki"])
    scene.notes = source
    site.receiver.status = 503
    site.sources[source].error = lost(source)
    yield
    assert site.undelivered
    site.receiver.status = 200
    site.undelivered.clear()
    yield
    site.sources[source].error = None
    yield
    scene.export_missing(dataset_of(source))
    site.rerun()


def clock_ahead(scene: Scene) -> Steps:
    """MongoDB's clock is ahead of this machine's: nothing expires until it is right again."""
    site = scene.site
    site.ahead = dt.timedelta(hours=scene.chance.uniform(0.1, 48))
    scene.notes = str(site.ahead)
    yield
    assert site.limit_s in (None, NEVER_S)
    for _ in range(2 * scene.chance.randint(0, 3)):
        yield
    site.ahead = dt.timedelta(0)
    site.guard()


def missed_nights(scene: Scene) -> Steps:
    """A dataset that no schedule exports for some nights: the nights after export it."""
    site, dataset = scene.site, scene.chance.choice(list(SOURCE))
    scene.notes = dataset
    site.off.add(dataset)
    for _ in range(2 * scene.chance.randint(1, 3)):
        yield
    site.off.discard(dataset)
    yield


def dataset_off(scene: Scene) -> Steps:
    """A dataset that no schedule exports any more; nobody notices."""
    site, dataset = scene.site, scene.chance.choice(list(SOURCE))
    scene.notes = dataset
    site.off.add(dataset)
    # A row that is late, in time: nobody counts its day any more.
    day = site.today.plus(-LATE[SOURCE[dataset]])
    scene.record.write(dataset, day.start + dt.timedelta(hours=23))
    yield
    # The guard may hold the day of the late row before.
    hour = f"{dataset}: {SOURCE[dataset]} forgets the first unproven row at"
    while not any(hour in alert.summary + alert.description for alert in site.notifications.open):
        yield
        yield
    site.off.discard(dataset)
    scene.export_missing(dataset)
    while site.notifications.open:  # the night counts the late row
        yield
        yield


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


def exports_off(scene: Scene) -> Steps:
    """Somebody has switched off the schedules of exports."""
    site = scene.site
    site.off |= {"export", "recount"}
    while not scene.is_open("LakeNoExportSuccess"):
        yield
        yield
    site.off -= {"export", "recount"}
    for dataset in SOURCE:
        scene.export_missing(dataset)
    yield


def guard_off(scene: Scene) -> Steps:
    """The guard's schedule is off."""
    site = scene.site
    site.off.add("guard")
    while not scene.is_open("LakeGuardSilent"):
        yield
        yield
    site.off.discard("guard")
    site.guard()
    yield


def daemon_down(scene: Scene) -> Steps:
    """Nothing runs for a whole day or two, alerts neither; then Dagster catches up."""
    site = scene.site
    schedules = {"export", "recount", "snapshots", "guard", "retention", "verify", "daemon"}
    site.off |= schedules
    for _ in range(2 * scene.chance.randint(1, 2)):
        yield
    site.off -= schedules
    for dataset in SOURCE:
        scene.export_missing(dataset)
    site.take_snapshots()
    site.guard()
    site.retain()


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
    """Rows of a day that its source is about to forget: counted once more, they are exported."""
    dataset = scene.chance.choice(list(SOURCE))
    yield
    day = scene.day(HOT[SOURCE[dataset]] - 3, HOT[SOURCE[dataset]] - 2)
    scene.notes = f"{dataset} {day}"
    scene.record.write(dataset, day.start + dt.timedelta(hours=9))
    for _ in range(4):
        yield


def truncated_object(scene: Scene) -> Steps:
    """An object that is shorter than it was."""
    yield
    yield from _damaged(scene, lambda data: data[:-7])


def altered_object(scene: Scene) -> Steps:
    """An object with other bytes of the same number."""
    yield
    middle = lambda data: len(data) // 2  # noqa: E731
    yield from _damaged(
        scene, lambda data: data[: middle(data)] + b"????" + data[middle(data) + 4 :]
    )


def _damaged(scene: Scene, damage: Callable[[bytes], bytes]) -> Steps:
    site, dataset = scene.site, scene.chance.choice(list(SOURCE))
    oldest = TABLES[dataset] - 10
    ages = [age for age in range(COUNTED[SOURCE[dataset]] + 1, oldest)
            if table(site, dataset, site.today.plus(-age)).is_file()]  # fmt: skip
    day = site.today.plus(-scene.chance.choice(ages))
    scene.notes = f"{dataset} {day}"
    file = table(site, dataset, day)
    whole = file.read_bytes()
    scene.record.damaged[file], begun = site.now, site.now
    file.write_bytes(damage(whole))
    # Open or over: the last count of a day that its source still has writes it again.
    while not site.begun(begun):
        yield
        yield
    # The day again where the source has it, else the object's earlier version.
    if day.days_until(site.today) < HOT[SOURCE[dataset]] - 1:
        site.export_now(dataset, [day], force=True)
    elif site.notifications.open:
        file.write_bytes(whole)
    del scene.record.damaged[file]
    site.verify()
    site.guard()
    site.rerun()


def damage_before_expiry(scene: Scene) -> Steps:
    """An object that is altered after its day was proven, and before its documents expire.

    The guard looks at days that have any; the weekly verification at all.
    """
    site = scene.site
    yield
    ages = range(HOT["mongo"] - MARGIN, HOT["mongo"])
    days = [scene.day(ages[0], ages[-1])]
    while not any(map(scene.has_documents, days)):
        yield
        yield
        days = [site.today.plus(-age) for age in ages]
    day = next(filter(scene.has_documents, days))
    scene.notes = str(day)
    file = table(site, "events", day)
    whole = file.read_bytes()
    scene.record.damaged[file] = site.now
    file.write_bytes(whole[: len(whole) // 2] + b"????" + whole[len(whole) // 2 + 4 :])
    for _ in range(2 * scene.chance.randint(1, 5)):
        yield
    assert any(map(scene.is_open, DAMAGE_FOUND)), scene.notes
    file.write_bytes(whole)  # the object's earlier version
    del scene.record.damaged[file]
    site.verify()
    site.guard()
    site.rerun()


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


def dataset_of(source: str) -> str:
    return next(name for name, of in SOURCE.items() if of == source)


DAMAGE_FOUND = ("LakeVerifyFailed", "LakeGuardFailed", "LakeRecountFailed")
HEARTBEAT = "the heartbeat is missing"
EXPECTED: dict[Callable[[Scene], Steps], tuple[str, ...]] = {
    lost_server: ("LakeExportFailed",),
    lost_bucket: ("LakeUnreadable", "LakeExportFailed"),
    expired_credential: ("LakeExportFailed",),
    expired_mongo_credential: ("LakeExportFailed",),
    failing_webhook: ("LakeExportFailed",),
    missed_nights: (HEARTBEAT,),
    dataset_off: ("LakeRowsExpiring", "LakeGuardFailed"),
    dropped_day: ("LakeRowsExpiring",),
    exports_off: ("LakeNoExportSuccess",),
    guard_off: ("LakeGuardSilent",),
    clock_ahead: ("LakeGuardFailed",),
    daemon_down: (HEARTBEAT,),
    late_documents: ("LakeGuardFailed",),
    very_late_rows: (),
    truncated_object: ("LakeDayDamaged",),
    altered_object: DAMAGE_FOUND,
    damage_before_expiry: DAMAGE_FOUND,
    hold_on_hot_days: ("LakeGuardFailed",),
    hold_on_cold_days: (),
    erasure: (),
}
"""Of each kind the names of its alert: exactly one message. Where there are several names it is one
of them, whichever check comes first. HEARTBEAT: the lake sends nothing, and whoever receives the
heartbeat raises the alarm. Holds of cold days, erasures and rows that are exported in time need
nobody: no message.
"""
