"""The ledger read as a whole: dataset × day, and what each day's state is.

Belongs here: which days are expected and how a state follows from manifest, object and
recount. Does not: reading objects back (verify), exporting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from lake.base.day import Day, day_range
from lake.base.errors import BadData, LakeError, TransientError
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.coverage import expected_days, first_expected
from lake.erased import erased_rows
from lake.hot import has_begun_to_go, hot_days
from lake.partition.definition import as_exported, has_other_rules
from lake.partition.layout import FOLDERS, table_prefix
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.retired import is_retired, read_retired
from lake.rollup.checking import RollupState, rollup_states
from lake.rollup.definition import rollup_of
from lake.store import Store
from lake.store.listed_once import ListedOnce
from lake.systems.protocol import Source
from lake.systems.registry import count_problem
from lake.systems.source import SNAPSHOT

State = Literal["verified", "missing", "empty", "late", "differs", "damaged"]


@dataclass(frozen=True)
class DayStatus:
    """One partition.

    verified: as many rows as the source counted · empty: the same, with no rows ·
    missing: closed, but no manifest · late: the source has grown since, or lists streams of a
    day without rows or manifest that it does not show yet, or the day was exported before it was
    over ·
    differs: the source now counts fewer, or by the manifest counted otherwise ·
    damaged: the object is gone or of another size than in its manifest (its content is
    verify's matter), or the manifest can't be read.
    `erased`: how many of its rows `lake erase` has erased; the source may have them or not.
    `snapshot`: when the snapshot was taken that it was read from, a UTC day; None: its source.
    `rollup` is that of its rollup (lake.rollup.checking); None where the dataset has none.
    """

    state: State
    rows: int | None = None
    bytes: int | None = None
    source_count: int | None = None
    recount: int | None = None
    created_at: str | None = None
    version: str | None = None
    fingerprint: str | None = None
    erased: int | None = None
    snapshot: str | None = None
    rollup: RollupState | None = None
    history: list[dict[str, Any]] | None = None


@dataclass
class DatasetStatus:
    """One dataset.

    `undated` rows have no day, `outside` rows are dated outside of `window`: before the first
    expected day or after the current one; None where the source has no such rows or did not answer.
    `problem` is why the source was not counted; `broken` that a retry does not fix it.
    `rollup_problem` is why the dataset's file of a rollup can't be used. `rules` are those of its
    columns, as configured now; `other_rules` the days that were exported under others. `retired`
    days are not among `days`: [retention] has deleted their tables, or does so at its next run.
    """

    dataset: str
    source: str
    days: dict[Day, DayStatus] = field(default_factory=dict)
    undated: int | None = None
    outside: int | None = None
    window: tuple[Day, Day] | None = None
    problem: str | None = None
    broken: bool = False
    rollup_problem: str | None = None
    rules: list[dict[str, Any]] = field(default_factory=list)
    other_rules: list[Day] = field(default_factory=list)
    retired: list[Day] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The contract's shape."""
        return {
            "dataset": self.dataset,
            "source": self.source,
            "undated": self.undated,
            "outside": self.outside,
            "problem": self.problem,
            "rollup_problem": self.rollup_problem,
            "rules": self.rules,
            "other_rules": [str(day) for day in self.other_rules],
            "retired": self._retired_json(),
            "days": {
                str(day): {k: v for k, v in asdict(status).items() if v is not None}
                for day, status in sorted(self.days.items())
            },
        }

    def _retired_json(self) -> dict[str, Any] | None:
        if not self.retired:
            return None
        first, last = min(self.retired), max(self.retired)
        return {"days": len(self.retired), "first": str(first), "last": str(last)}


def read_status(
    settings: Settings,
    store: Store,
    source_of: Callable[[str], Source] | None,
    start: Day | None = None,
    end: Day | None = None,
    *,
    listed: Store | None = None,
    today: Day | None = None,
) -> list[DatasetStatus]:
    """The state of every dataset and closed day from start to end (exclusive), as of `today`: by
    default the current day when the read begins.

    Without `start` that is the first expected day (lake.coverage), without `end` today. Days
    before the one and after the other are included where they have been exported. Days without a
    manifest that [retention] has deleted, or that are older than it keeps, are not expected.

    With `source_of` the days inside the source's lateness window are counted again, and so
    are undated rows and rows dated outside of the lake's days; a source that does not answer
    is named in `problem`.

    `listed` is the same store for listings of whole folders, which may be some seconds old.
    """
    listed, today = listed or ListedOnce(store, *FOLDERS), today or Day.today()
    ledgers = {d.name: read_ledger(listed, d.name, start, end) for d in settings.dataset}
    held = {day for ledger in ledgers.values() for day in ledger}
    if start:
        expected = list(day_range(start, min(end or today, today)))
    else:
        expected = [day for day in expected_days(settings, held, today) if not end or day < end]
    retired = read_retired(store)
    statuses = []
    for dataset in settings.dataset:
        manifests = ledgers[dataset.name]
        status = DatasetStatus(dataset.name, dataset.source, rules=dataset.recorded_rules())
        status.other_rules = [
            day
            for day, manifest in sorted(manifests.items())
            if isinstance(manifest, Manifest) and has_other_rules(dataset, manifest)
        ]
        for day in sorted({*expected, *manifests}):
            if day not in manifests and is_retired(settings, dataset, day, retired, today):
                status.retired.append(day)
                continue
            status.days[day] = DayStatus("missing")
        _add_tables(listed, status, manifests, today)
        _add_damaged(store, status, manifests, today)
        _add_rollups(settings, store, listed, status, manifests)
        statuses.append(status)
    if source_of:
        names = sorted({status.source for status in statuses})
        groups = [[status for status in statuses if status.source == name] for name in names]
        window = _window(settings, held, today) if not (start or end) else None
        asking = _Asking(settings, source_of, today, ledgers, window)
        with ThreadPoolExecutor(len(groups) or 1) as pool:
            list(pool.map(asking.ask_source, groups))
    return statuses


def _window(settings: Settings, held: set[Day], today: Day) -> tuple[Day, Day] | None:
    """The lake's days, half-open, the current one included; None in an empty lake."""
    first = first_expected(settings, held)
    if first is None:
        return None
    return min({first, *held}), max({today, *held}).plus(1)


def _add_tables(
    store: Store, status: DatasetStatus, manifests: Mapping[Day, Manifest | BadData], today: Day
) -> None:
    sizes = {stat.key: stat.bytes for stat in store.list(table_prefix(status.dataset))}
    for day, manifest in manifests.items():
        status.days[day] = _from_manifest(manifest, sizes, today)


def _add_damaged(
    store: Store, status: DatasetStatus, manifests: dict[Day, Manifest | BadData], today: Day
) -> None:
    """Once more what looks damaged: an export may have replaced it between the listings."""
    damaged = [day for day, of_day in status.days.items() if of_day.state == "damaged"]
    if not damaged:
        return
    again = read_ledger(store, status.dataset, min(damaged), max(damaged).plus(1))
    for day in damaged:
        del manifests[day]
        status.days[day] = DayStatus("missing")
    present = {day: again[day] for day in damaged if day in again}
    manifests |= present
    _add_tables(store, status, present, today)


def _from_manifest(manifest: Manifest | BadData, sizes: Mapping[str, int], today: Day) -> DayStatus:
    if not isinstance(manifest, Manifest):
        return DayStatus("damaged")
    whole = sizes.get(manifest.key) == manifest.bytes
    state: State = "verified" if manifest.rows else "empty"
    if manifest.is_premature(today):
        state = "late"
    if count_problem(manifest):
        state = "differs"
    if not whole:
        state = "damaged"
    return DayStatus(
        state,
        manifest.rows,
        manifest.bytes,
        manifest.source_count,
        created_at=manifest.created_at,
        version=manifest.version,
        fingerprint=manifest.fingerprint or None,
        erased=erased_rows(manifest.details) or None,
        snapshot=(manifest.details.get(SNAPSHOT) or {}).get("day"),
        history=manifest.history,
    )


def _add_rollups(
    settings: Settings,
    store: Store,
    listed: Store,
    status: DatasetStatus,
    manifests: Mapping[Day, Manifest | BadData],
) -> None:
    dataset = settings.dataset_named(status.dataset)
    try:
        rollup = rollup_of(settings, dataset)
    except LakeError as error:  # a wrong file
        status.rollup_problem = str(error)
        return
    held = {day: manifest for day, manifest in manifests.items() if isinstance(manifest, Manifest)}
    if rollup is None or not held:
        return
    states = rollup_states(listed, dataset, rollup, held)
    if damaged := [day for day, state in states.items() if state == "damaged"]:  # as _add_damaged
        states |= rollup_states(store, dataset, rollup, {day: held[day] for day in damaged})
    for day, state in states.items():
        status.days[day] = replace(status.days[day], rollup=state)


@dataclass(frozen=True)
class _Asking:
    """Re-counts at the sources, as of one day. `window` are the lake's days, half-open."""

    settings: Settings
    source_of: Callable[[str], Source]
    today: Day
    ledgers: Mapping[str, Mapping[Day, Manifest | BadData]]
    window: tuple[Day, Day] | None

    def ask_source(self, datasets: list[DatasetStatus]) -> None:
        """One source's datasets in turn: where it can't be reached, the others need not try."""
        for number, status in enumerate(datasets):
            try:
                self._ask(status, self.source_of(status.source))
            except TransientError as error:
                for unasked in datasets[number:]:
                    unasked.problem = str(error)
                return
            except LakeError as error:
                status.problem, status.broken = str(error), True

    def _ask(self, status: DatasetStatus, source: Source) -> None:
        dataset = self.settings.dataset_named(status.dataset)
        status.undated = source.undated(dataset)
        if self.window:
            status.outside, status.window = _outside(dataset, source, *self.window)
        hot = hot_days(
            self.settings, dataset.source, today=self.today, lateness_days=source.lateness_days
        )
        for day, known in status.days.items():
            if not hot.is_recounted(day):
                continue
            manifest = self.ledgers[dataset.name].get(day)
            if known.state in ("verified", "empty") and isinstance(manifest, Manifest):
                exported = as_exported(dataset, manifest)
                known = status.days[day] = self._recounted(exported, day, known, source)  # noqa: PLW2901
            if known.state in ("missing", "empty") and source.unseen(dataset, day):
                status.days[day] = replace(known, state="late")

    def _recounted(
        self, dataset: Dataset, day: Day, day_status: DayStatus, source: Source
    ) -> DayStatus:
        count, then = source.count(dataset, day), day_status.source_count or 0
        now, least = count.rows, then - (day_status.erased or 0)
        if now < least and (
            count.overwritten or has_begun_to_go(self.settings, dataset.source, day, self.today)
        ):
            return day_status
        state: State = "late" if now > then else "differs" if now < least else day_status.state
        return replace(day_status, state=state, recount=now)


def _outside(
    dataset: Dataset, source: Source, start: Day, end: Day
) -> tuple[int | None, tuple[Day, Day]]:
    """The rows outside of the days, and the days: rows of a day that begins meanwhile are in it."""
    rows, later = source.outside(dataset, start, end), Day.today().plus(1)
    if rows and later > end:
        rows, end = source.outside(dataset, start, later), later
    return rows, (start, end)
