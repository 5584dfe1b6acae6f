"""Schedules that do not run, and how an operator puts it right.

Belongs here: datasets, schedules and the daemon, switched off. Does not: runs that fail
(operation_outages).
"""

from __future__ import annotations

import datetime as dt

from support.operated_settings import LATE, SOURCE
from support.operation_scene import Scene, Steps


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
    hour = f"{dataset}: {SOURCE[dataset]} deletes the first unproven row at"
    while not any(hour in alert.summary + alert.description for alert in site.notifications.open):
        yield
        yield
    site.off.discard(dataset)
    scene.export_missing(dataset)
    while site.notifications.open:  # the night counts the late row
        yield
        yield


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
