"""Reading what a review needs.

Belongs here: ledger, snapshots, holds, audit log, verification, rehearsals of one store. Does not:
proving anything again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from lake import audit
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import BadData, Missing
from lake.config.retention import FOREVER
from lake.config.settings import Settings
from lake.erased import interrupted, read_erasures
from lake.holds import Holds
from lake.holds import of as holds_of
from lake.holds.changing import RELEASED
from lake.holds.hold import Hold
from lake.kept import terms_of
from lake.privacy.rules import texts_of
from lake.rehearsals import rehearsals_of
from lake.retention.apply import last_run
from lake.retention.records import unfinished
from lake.review.review import (
    DatasetReview,
    ErasureReview,
    HoldReview,
    RetentionReview,
    Review,
    SystemReview,
    gaps_of,
)
from lake.snapshots.manifest import read_snapshot, snapshot_days
from lake.status import DatasetStatus, read_status
from lake.store import Store
from lake.systems.protocol import Source
from lake.systems.registry import backed_up_systems
from lake.ttl.terms import guarded
from lake.ttl.terms import terms_of as ttl_terms_of
from lake.verified import recorded

ACTION = "review"  # of the audit log


def gather(
    settings: Settings,
    store: Store,
    source_of: Callable[[str], Source] | None = None,
    now: datetime | None = None,
) -> Review:
    """With `source_of` late days are re-counted at their sources.

    Raises what the store raises, and BadData: a hold's list that can't be read is no review.
    """
    now, holds = now or utc_now(), holds_of(store, settings)
    chain = audit.check(store)
    entries, unreadable = _entries(store)
    since = next((entry for entry in reversed(entries) if entry.action == ACTION), None)
    rehearsals, bad_reports = rehearsals_of(store)
    statuses = read_status(settings, store, source_of, today=Day(now.date()))
    problems = [*unreadable, *bad_reports, *holds.problems]
    problems += [f"{status.dataset}: {status.problem}" for status in statuses if status.problem]
    return Review(
        now,
        audit.who(),
        settings.lake.root,
        since,
        source_of is not None,
        _datasets(settings, store, statuses, holds),
        [system_review(settings, store, system, holds) for system in backed_up_systems(settings)],
        _holds(holds, _recorded_before(entries, since)),
        [
            entry
            for entry in entries
            if entry.action != ACTION and entry.sequence > (since.sequence if since else 0)
        ],
        rehearsals,
        chain,
        _retention(settings, store),
        tuple(problems),
        tuple(_erasures(store, _recorded_before(entries, since))),
    )


def _recorded_before(entries: Sequence[audit.Entry], since: audit.Entry | None) -> frozenset[str]:
    """The ids of erasures and released holds that the last review knew. By the numbers of their
    entries, for a clock may have been set back since.
    """
    known = [entry for entry in entries if since and entry.sequence < since.sequence]
    released = {str(entry.details.get("id")) for entry in known if entry.action == RELEASED}
    erased = {str(entry.details["erasure"]) for entry in known if "erasure" in entry.details}
    return frozenset(released | erased)


def _entries(store: Store) -> tuple[list[audit.Entry], list[str]]:
    """Those that can be read: the chain's check names the others."""
    entries: list[audit.Entry] = []
    try:
        entries.extend(audit.entries(store))
    except BadData as error:
        return entries, [f"changes after entry {len(entries)} are not listed: {error.what}"]
    return entries, []


def _datasets(
    settings: Settings, store: Store, statuses: Sequence[DatasetStatus], holds: Holds
) -> list[DatasetReview]:
    verified = recorded(store)
    expiring = {dataset.name for dataset in guarded(settings)}
    reviews = []
    for status in statuses:
        stored = {day: known for day, known in status.days.items() if known.bytes is not None}
        last = verified.get(status.dataset)
        reviews.append(
            DatasetReview(
                status.dataset,
                status.source,
                min(stored, default=None),
                max(stored, default=None),
                len(stored),
                sum(known.rows or 0 for known in stored.values()),
                sum(known.bytes or 0 for known in stored.values()),
                dict(Counter(known.state for known in status.days.values())),
                gaps_of({day: known.state for day, known in status.days.items()}),
                _kept(settings, status.dataset),
                _hot(settings, status, expires=status.dataset in expiring),
                tuple(hold.id for hold in holds.active if hold.concerns(status.dataset)),
                vars(last) if last else None,
                tuple(sorted(status.retired)),
                tuple(texts_of(status.rules)),
                tuple(status.other_rules),
            )
        )
    return reviews


def _kept(settings: Settings, dataset: str) -> str:
    """For how long tables and rollups are kept; without `enabled` nothing is deleted."""
    terms = terms_of(settings, settings.dataset_named(dataset))
    tables, rollups = _time(terms.tables), _time(terms.rollups)
    text = tables if tables == rollups else f"{tables}, rollups {rollups}"
    return text if text == _time(FOREVER) else _with_state(settings, text)


def _kept_snapshots(settings: Settings, system: str) -> str:
    rules = settings.retention.rules(system)
    if not rules.any:
        return _time(FOREVER)
    return _with_state(settings, ", ".join(f"{number} {name}" for name, number in rules if number))


def _with_state(settings: Settings, text: str) -> str:
    return text if settings.retention.enabled else f"{text}; not enabled, so for ever"


def _time(days: int) -> str:
    return "for ever" if days >= FOREVER else f"{days} days"


def _retention(settings: Settings, store: Store) -> RetentionReview:
    last = last_run(store)
    return RetentionReview(
        settings.retention.enabled,
        last.isoformat(timespec="seconds") if last else None,
        tuple(deletion.id for deletion in unfinished(store)),
    )


def _hot(settings: Settings, status: DatasetStatus, *, expires: bool) -> str:
    if expires:
        days = ttl_terms_of(settings, settings.dataset_named(status.dataset)).days
        return f"{days} days, by TTL once proven"
    return f"{getattr(settings.hot, status.source)} days"


def _erasures(store: Store, before: frozenset[str]) -> Iterator[ErasureReview]:
    """Those since the last review, and all that left a day as it was when they were killed."""
    stopped = interrupted(store)
    for erasure, ended in read_erasures(store):
        if erasure.id in before and erasure.id not in stopped:
            continue
        done = ended.days if ended else {}
        yield ErasureReview(
            erasure.id,
            erasure.dataset,
            erasure.at,
            erasure.who,
            erasure.reason,
            sum(day["erased"] for day in done.values()),
            len(done),
            tuple(sorted(ended.kept)) if ended else stopped.get(erasure.id, ()),
            erasure.id in stopped,
        )


def system_review(settings: Settings, store: Store, system: str, holds: Holds) -> SystemReview:
    """The snapshots of one system. Raises what the store raises."""
    days = snapshot_days(store, system)
    taken, whole, problem = None, None, ""
    if days:
        try:
            manifest = read_snapshot(store, system, days[-1])
            taken = manifest.created_at
            whole = max(manifest.held_days(), default=None)
            problem = "; ".join(manifest.warnings())
        except (BadData, Missing) as error:
            problem = f"the newest can't be read: {error.what}"
    return SystemReview(
        system,
        len(days),
        min(days, default=None),
        max(days, default=None),
        taken,
        whole,
        _kept_snapshots(settings, system),
        tuple(hold.id for hold in holds.active if hold.concerns_system(system)),
        problem,
    )


def _holds(holds: Holds, before: frozenset[str]) -> list[HoldReview]:
    """The active ones, and those that were released since the last review."""
    ended = [
        _hold(hold, f"{release.at} by {release.who}: {release.reason}")
        for hold, release in holds.released.values()
        if hold.id not in before
    ]
    return [*(_hold(hold) for hold in holds.active), *ended]


def _hold(hold: Hold, released: str = "") -> HoldReview:
    return HoldReview(
        hold.id,
        hold.datasets,
        _range(hold.start, hold.end),
        hold.problem or hold.reason,
        hold.who,
        hold.at,
        released,
    )


def _range(start: Day | None, end: Day | None) -> str:
    """With the last day instead of the one after it."""
    if start is None and end is None:
        return "all days"
    if end is None:
        return f"from {start} on"
    last = end.plus(-1)
    if start is None:
        return f"until {last}"
    return str(start) if start == last else f"{start} to {last}"
