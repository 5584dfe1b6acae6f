"""Servers that do not answer, refuse or have a wrong clock, and how an operator puts it right.

Belongs here: faults of the sources, the bucket and the webhook. Does not: schedules that do not run
(operation_schedules).
"""

from __future__ import annotations

import datetime as dt

from lake.systems.expiry import NEVER_S
from support.operated_settings import SOURCE
from support.operation_scene import Scene, Steps, dataset_of
from support.server_errors import expired_token, lost, no_bucket, refused

_UNREACHABLE = {
    "LAKE_SOURCES__MONGO__URI": "mongodb://127.0.0.1:1",
    "LAKE_SOURCES__MONGO__TIMEOUT_S": "1",
}


def lost_server(scene: Scene) -> Steps:
    """A source that does not answer for one or two nights."""
    site, source = scene.site, scene.chance.choice(["mongo", "prometheus", "loki"])
    scene.notes = source
    nights = scene.chance.randint(1, 2)
    for _ in range(nights):
        if source == "mongo":
            site.environment = dict(_UNREACHABLE)
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
