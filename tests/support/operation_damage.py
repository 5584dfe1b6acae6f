"""Objects that are not as they were written, and how an operator puts it right.

Belongs here: damage that a verification, a count or the guard finds. Does not: days that are
dropped (operation_rows).
"""

from __future__ import annotations

from collections.abc import Callable

from support.operated_settings import COUNTED, HOT, MARGIN, SOURCE, TABLES
from support.operation_scene import Scene, Steps, table


def truncated_object(scene: Scene) -> Steps:
    """An object that is shorter than it was."""
    yield
    yield from _damaged(scene, lambda data: data[:-7])


def altered_object(scene: Scene) -> Steps:
    """An object with other bytes of the same number."""
    yield
    yield from _damaged(scene, _altered)


def _altered(data: bytes) -> bytes:
    """Other bytes of the same number."""
    middle = len(data) // 2
    return data[:middle] + b"????" + data[middle + 4 :]


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
    file.write_bytes(_altered(whole))
    for _ in range(2 * scene.chance.randint(1, 5)):
        yield
    assert any(map(scene.is_open, DAMAGE_FOUND)), scene.notes
    file.write_bytes(whole)  # the object's earlier version
    del scene.record.damaged[file]
    site.verify()
    site.guard()
    site.rerun()


DAMAGE_FOUND = ("LakeVerifyFailed", "LakeGuardFailed", "LakeRecountFailed")
