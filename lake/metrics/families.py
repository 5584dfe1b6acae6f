"""The metrics of a lake, from its ledger.

Belongs here: each family's name, meaning and value. Does not: reading a ledger (status), when
rows go (lag), the text (openmetrics).

Times are timestamps, as Prometheus' own guidelines have them: a rule subtracts them from `time()`,
so an alert fires although the metrics have become stale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from lake import __version__
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import BadData, Missing
from lake.config.settings import Settings
from lake.lag import PROVEN, Lag, lags
from lake.metrics.openmetrics import Family
from lake.rehearsals import last_of_each
from lake.retention.apply import last_run
from lake.rollup.checking import RollupState
from lake.snapshots.manifest import read_snapshot, snapshot_days
from lake.status import DatasetStatus, State, read_status
from lake.store import Store
from lake.systems.protocol import Source
from lake.systems.registry import backed_up_systems, daily_systems
from lake.ttl.terms import guarded
from lake.ttl.turn import remembered
from lake.verified import RECORDS, recorded

_PREFIX = "monitoring_lake_"
_DAY_S = 86_400
_HELD = frozenset(("blocked", "hold", "held"))


def families(
    settings: Settings,
    store: Store,
    source_of: Callable[[str], Source] | None = None,
    now: datetime | None = None,
) -> list[Family]:
    """All families. With `source_of` late days are re-counted at their sources.

    Raises what the store raises, and BadData.
    """
    now = now or utc_now()
    statuses = read_status(settings, store, source_of, today=Day(now.date()))
    made = _Families()
    made("build_info", "Version of monitoring-lake; the value is 1.").add(1, version=__version__)
    made("metrics_timestamp_seconds", "Time at which these metrics were collected.").add(
        _timestamp(now)
    )
    _coverage(made, statuses)
    _lags(made, lags(settings, statuses, now), now)
    _sizes(made, statuses)
    _sources(made, statuses)
    _snapshots(made, settings, store)
    _rehearsals(made, settings, store)
    _guard(made, settings, store)
    _retention(made, settings, store)
    _verified(made, settings, store)
    return made.families


class _Families:
    """The families made so far; a call adds one."""

    def __init__(self) -> None:
        self.families: list[Family] = []

    def __call__(self, name: str, text: str) -> Family:
        unit = next((suffix for suffix in ("seconds", "bytes") if name.endswith(f"_{suffix}")), "")
        self.families.append(Family(_PREFIX + name, text, unit))
        return self.families[-1]


def _timestamp(at: datetime) -> int:
    return int(at.timestamp())


def _coverage(made: _Families, statuses: Sequence[DatasetStatus]) -> None:
    partitions = made(
        "partitions",
        "Number of closed UTC days by state, from the first expected day on (see lake status).",
    )
    rollups = made("rollups", "Number of exported days by the state of their rollup.")
    for dataset in statuses:
        labels = {"dataset": dataset.dataset, "source": dataset.source}
        states = Counter(day.state for day in dataset.days.values())
        for state in get_args(State):
            partitions.add(states[state], **labels, state=state)
        rolled = Counter(day.rollup for day in dataset.days.values() if day.rollup)
        for name in get_args(RollupState) if rolled else ():
            rollups.add(rolled[name], **labels, state=name)


def _lags(made: _Families, dataset_lags: Sequence[Lag], now: datetime) -> None:
    first = made(
        "first_unproven_timestamp_seconds",
        "Start of the oldest UTC day that is not proven and of which the source still has rows; "
        "the start of the current day where there is none.",
    )
    goes = made(
        "first_loss_timestamp_seconds",
        "Time at which the source deletes the first row of the first unproven day, by [hot].",
    )
    lag = made("lag_seconds", "Length of the closed days from the first unproven one on.")
    left = made(
        "time_left_seconds",
        "Time until the source deletes the first unproven row, as of the collection; negative "
        "where rows are going.",
    )
    lost = made(
        "lost_partitions",
        "Number of unproven UTC days of which the source has no rows any more, by [hot].",
    )
    for late in dataset_lags:
        labels = {"dataset": late.dataset, "source": late.source}
        first.add(_timestamp(late.first_unproven.start), **labels)
        goes.add(_timestamp(late.goes_at), **labels)
        lag.add(late.days * _DAY_S, **labels)
        left.add(int(late.hours_left(now) * 3600), **labels)
        lost.add(len(late.lost), **labels)


@dataclass(frozen=True)
class _Newest:
    """The newest proven day, and when the last manifest was written; None where there is none."""

    day: Day | None
    written: datetime | None


def _newest(dataset: DatasetStatus) -> _Newest:
    proven = [day for day, status in dataset.days.items() if status.state in PROVEN]
    written = [status.created_at for status in dataset.days.values() if status.created_at]
    return _Newest(
        max(proven, default=None),
        max((datetime.fromisoformat(text) for text in written), default=None),
    )


def _sizes(made: _Families, statuses: Sequence[DatasetStatus]) -> None:
    covered = made("newest_day_timestamp_seconds", "Start of the newest proven UTC day.")
    written = made("last_manifest_timestamp_seconds", "Time at which the last export succeeded.")
    newest_rows = made("newest_day_rows", "Number of rows of the newest proven UTC day.")
    newest_bytes = made("newest_day_bytes", "Size of the newest proven UTC day's object.")
    rows = made("table_rows", "Number of rows of all exported days.")
    size = made("table_bytes", "Size of the objects of all exported days.")
    for dataset in statuses:
        labels = {"dataset": dataset.dataset, "source": dataset.source}
        newest = _newest(dataset)
        if newest.day:
            covered.add(_timestamp(newest.day.start), **labels)
            newest_rows.add(dataset.days[newest.day].rows, **labels)
            newest_bytes.add(dataset.days[newest.day].bytes, **labels)
        if newest.written:
            written.add(_timestamp(newest.written), **labels)
        rows.add(_total(day.rows for day in dataset.days.values()), **labels)
        size.add(_total(day.bytes for day in dataset.days.values()), **labels)


def _total(numbers: Iterable[int | None]) -> int:
    return sum(number or 0 for number in numbers)


def _sources(made: _Families, statuses: Sequence[DatasetStatus]) -> None:
    """Only with requests to the sources: without, both have no values."""
    undated = made("undated_rows", "Number of rows at the source that belong to no day.")
    outside = made("outside_rows", "Number of rows at the source dated outside the lake's days.")
    for dataset in statuses:
        undated.add(dataset.undated, dataset=dataset.dataset, source=dataset.source)
        outside.add(dataset.outside, dataset=dataset.dataset, source=dataset.source)


def _snapshots(made: _Families, settings: Settings, store: Store) -> None:
    enabled = made(
        "snapshot_enabled",
        "Whether snapshots are taken daily: of a system in [snapshots], or with its files here.",
    )
    taken = made("snapshot_timestamp_seconds", "Time at which the newest snapshot was taken.")
    whole = made(
        "snapshot_whole_seconds", "Length of the UTC days that the newest snapshot holds whole."
    )
    newest = made(
        "snapshot_newest_whole_timestamp_seconds",
        "Start of the newest UTC day that the newest snapshot holds whole.",
    )
    size = made("snapshot_bytes", "Size of the newest snapshot's files, restored.")
    readable = made("snapshot_readable", "Whether the newest snapshot's manifest can be read.")
    daily = daily_systems(settings)
    for system in backed_up_systems(settings):
        enabled.add(int(system in daily), system=system)
        days = snapshot_days(store, system)
        if not days:
            continue
        try:
            manifest = read_snapshot(store, system, days[-1])
        except (BadData, Missing):
            readable.add(0, system=system)
            continue
        readable.add(1, system=system)
        held = manifest.held_days()
        taken.add(_timestamp(datetime.fromisoformat(manifest.created_at)), system=system)
        whole.add(len(held) * _DAY_S, system=system)
        size.add(manifest.bytes, system=system)
        if held:
            newest.add(_timestamp(held[-1].start), system=system)


def _rehearsals(made: _Families, settings: Settings, store: Store) -> None:
    at = made("rehearsal_timestamp_seconds", "Time at which the last rehearsal began.")
    ok = made("rehearsal_ok", "Whether it restored every chosen snapshot, equal to the lake.")
    for system, rehearsed in last_of_each(store, backed_up_systems(settings)).items():
        at.add(_timestamp(rehearsed.at), system=system)
        ok.add(int(rehearsed.ok), system=system)


def _retention(made: _Families, settings: Settings, store: Store) -> None:
    enabled = made("retention_enabled", "Whether lake retention apply deletes, by [retention].")
    at = made("retention_timestamp_seconds", "Time at which retention last ran to its end.")
    enabled.add(int(settings.retention.enabled))
    if settings.retention.enabled and (last := last_run(store)):
        at.add(_timestamp(last))


def _guard(made: _Families, settings: Settings, store: Store) -> None:
    enabled = made("guard_enabled", "Whether lake ttl apply sets a limit, by [ttl].")
    last = made("guard_timestamp_seconds", "Time at which the expiry guard last ran to its end.")
    allowed = made("guard_max_silence_seconds", "Time that may pass without a guard run, by [ttl].")
    limit = made("guard_limit_seconds", "Limit of the TTL index that the last run left.")
    held = made("guard_held", "Whether the last run held the limit above the wanted one.")
    others = made("guard_others", "Number of limits that delete rows past the guard.")
    records = remembered(store).datasets
    with_guard = guarded(settings)
    for dataset in settings.dataset:
        labels = {"dataset": dataset.name, "source": dataset.source}
        is_enabled = dataset in with_guard
        record = records.get(dataset.name, {})
        enabled.add(int(is_enabled), **labels)
        if not is_enabled:
            continue
        allowed.add(settings.ttl.max_silence_hours * 3600, **labels)
        if record.get("at"):
            last.add(_timestamp(datetime.fromisoformat(record["at"])), **labels)
        limit.add(record.get("limit_s"), **labels)
        others.add(record.get("others"), **labels)
        if record.get("decision"):
            held.add(int(record["decision"] in _HELD), **labels)


def _verified(made: _Families, settings: Settings, store: Store) -> None:
    at = made("verify_timestamp_seconds", "Time of the last lake verify --record.")
    partitions = made("verify_partitions", "Number of days that the last one verified.")
    failures = made("verify_failures", "Number of days in which the last one found a difference.")
    records = recorded(store)
    for dataset in settings.dataset:
        if verified := records.get(dataset.name):
            labels = {"dataset": dataset.name, "source": dataset.source}
            at.add(_timestamp(datetime.fromisoformat(verified.at)), **labels)
            partitions.add(verified.partitions, **labels)
            failures.add(verified.failures, **labels)
    if of_records := records.get(RECORDS):
        failures.add(of_records.failures, dataset=RECORDS, source="lake")
