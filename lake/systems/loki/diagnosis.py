"""Is Loki reachable, does it look back far enough, and does it accept each selector?

Belongs here: version, retention, clock, selectors. Does not: reading lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from lake.base.clock import utc_now
from lake.base.day import Day
from lake.config.settings import Settings
from lake.http.client import Http, Rejected
from lake.systems.check import Check, guarded, http_clock, kept_check, snapshot_path
from lake.systems.discovered import UNLIMITED_DAYS
from lake.systems.loki.config import LokiDataset
from lake.systems.loki.discovery import ATTEMPTS, LokiServer
from lake.systems.loki.reading.config import milliseconds
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.remedies import remedy_for

_DAY_MS = 86_400_000


def check(settings: Settings) -> Iterator[Check]:
    """Raises what lake.http raises."""
    section = settings.sources.loki
    if section is None:
        return
    with closing(Http(section, "loki")) as http:
        server, before = LokiServer(http, section.tenant), utc_now()
        answer = http.get("/loki/api/v1/labels", attempts=ATTEMPTS)
        yield Check("loki", "ok", f"{server.version().described}, answers queries")
        yield from http_clock("loki", answer.headers.get("Date"), before)
        kept_days = server.kept_days()
        if kept_days != UNLIMITED_DAYS:
            yield from kept_check("loki", "loki", kept_days, settings.hot.loki)
        yield from _looks_back(server.limit("max_query_lookback") or "", settings.hot.loki)
        for dataset in settings.dataset:
            if isinstance(dataset, LokiDataset):
                subject = f"dataset {dataset.name}"
                yield from guarded(subject, _dataset(server, subject, dataset))


def _looks_back(lookback: str, hot_days: int) -> Iterator[Check]:
    days = (milliseconds(lookback) or 0) // _DAY_MS
    if 0 < days < hot_days:
        yield Check(
            "loki",
            "warn",
            f"max_query_lookback is {lookback}, [hot] loki = {hot_days}: it hides older lines",
            "raise max_query_lookback in Loki's limits_config",
        )


def _dataset(server: LokiServer, subject: str, dataset: LokiDataset) -> Iterator[Check]:
    today = Day.today()
    if Selector.parse(dataset.selector).everything:
        yield Check(subject, "ok", "all streams, split over several selectors")
        return
    try:
        times = server.lines(dataset.selector, today.plus(-1), today.plus(1))
    except Rejected as error:
        yield Check(
            subject,
            "fail",
            f"Loki does not accept the selector: {error.text.strip()}",
            remedy_for(error.text),
        )
        return
    if times:
        yield Check(subject, "ok", "the selector finds lines of today or yesterday")
    else:
        yield Check(
            subject, "warn", "the selector finds no line since yesterday", "check `selector`"
        )


def check_snapshots(settings: Settings) -> Iterator[Check]:
    """What a snapshot reads: files of the server."""
    own = settings.snapshots.loki
    yield snapshot_path("loki", "data_dir", Path(own.data_dir), "read-only")
    yield snapshot_path("loki", "config_file", Path(own.config_file), "read-only")
