"""Which days of a table an answer has, where the others are, and what is not exact in it.

Belongs here: one table of a statement. Does not: bytes, seconds, cost (effort).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from lake.base.day import Day, day_range
from lake.base.errors import BadData, Missing
from lake.config.datasets import Dataset
from lake.hot import HotDays, hot_days
from lake.partition.manifest import Manifest
from lake.privacy.rules import Rule
from lake.query import Lake
from lake.query.estimate import touched_days
from lake.query.growth import unsure
from lake.query.notes import left_out, nan_in_order, ordered_as_text, ranges_of, touches
from lake.query.question import Question, Range
from lake.query.tables import Table
from lake.snapshots.manifest import SnapshotManifest, read_snapshot, snapshot_days
from lake.store import Store
from lake.systems.registry import system

Verdict = Literal["exact", "approximate", "export", "snapshot", "incomplete"]
VERDICTS: tuple[Verdict, ...] = ("exact", "approximate", "export", "snapshot", "incomplete")
"""From the best to the worst. export: `lake export` or `lake rollup` makes what is missing."""
Place = Literal["rollup", "source", "snapshot", "before_first_day", "unfinished", "nowhere"]
"""before_first_day: no export accepts the day, whoever has it; nowhere: nobody has it."""
_VERDICT_OF: Mapping[Place, Verdict] = {
    "rollup": "export",
    "source": "export",
    "snapshot": "snapshot",
    "before_first_day": "incomplete",
    "unfinished": "incomplete",
    "nowhere": "incomplete",
}
_WITHIN = "values within 1 % (a sketch)"
_APPROXIMATE = {
    "sketch": _WITHIN,
    "sketch_merge": _WITHIN,
    "sketch_quantile": _WITHIN,
    "bucket_quantile": "bucket_quantile interpolates between the bounds of a histogram's buckets",
    "histogram_quantile": "histogram_quantile interpolates between the bounds of its buckets",
    "approx_count_distinct": "approx_count_distinct estimates",
    "approx_quantile": "approx_quantile estimates",
    "approx_top_k": "approx_top_k estimates",
    "reservoir_quantile": "reservoir_quantile draws a sample",
}
_OF_BUCKETS = frozenset({"bucket_quantile", "histogram_quantile"})


@dataclass(frozen=True)
class MissingDay:
    """A day that is not in the lake; `snapshot`: the day on which one was taken that holds it."""

    day: Day
    place: Place
    snapshot: Day | None = None


@dataclass(frozen=True)
class TableDays:
    """One table of a statement: days that it names, what the answer lacks.

    `first` and `last` are None where neither the statement nor the lake has a day. `inexact` has
    the reasons for which an answer is approximate, `left_out` columns that leave values out.
    `later`: closed days after the lake's last, of a statement that names no end; the source has
    them.
    """

    table: str
    dataset: str
    source: str
    first: Day | None
    last: Day | None
    wanted: int
    held: int
    missing: tuple[MissingDay, ...] = ()
    inexact: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    later: tuple[Day, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """How well the lake answers for this table."""
        verdicts: list[Verdict] = [_VERDICT_OF[missing.place] for missing in self.missing]
        if self.inexact or self.left_out:
            verdicts.append("approximate")
        if self.first is None:
            verdicts.append("incomplete")
        return max(verdicts, key=VERDICTS.index, default="exact")

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "table": self.table,
            "answer": self.verdict,
            "from": str(self.first) if self.first else None,
            "to": str(self.last.plus(1)) if self.last else None,
            "days": self.wanted,
            "days_in_lake": self.held,
            "missing": [
                {
                    "day": str(missing.day),
                    "place": missing.place,
                    "snapshot": str(missing.snapshot) if missing.snapshot else None,
                }
                for missing in self.missing
            ],
            "inexact": list(self.inexact),
            "left_out": list(self.left_out),
            "later": [str(day) for day in self.later],
        }


@dataclass
class Snapshots:
    """Those of one system, newest first; read when a day is looked for."""

    store: Store
    system: str
    manifests: dict[Day, SnapshotManifest] = field(default_factory=dict)

    @cached_property
    def _held(self) -> dict[Day, list[Day]]:
        """Each whole day, and the snapshots that hold it. An unreadable one does not help."""
        held: dict[Day, list[Day]] = {}
        for taken in reversed(snapshot_days(self.store, self.system)):
            try:
                manifest = read_snapshot(self.store, self.system, taken)
            except (BadData, Missing):
                continue
            self.manifests[taken] = manifest
            for day in manifest.held_days():
                held.setdefault(day, []).append(taken)
        return held

    def holding(self, dataset: Dataset, day: Day) -> Day | None:
        """The newest that holds the day whole, if possible one that the day can be exported from
        without `--allow-shrink`.
        """
        covers, held = system(self.system).covers, self._held.get(day, [])
        covering = (taken for taken in held if covers(self.manifests[taken], dataset, day))
        return next(covering, held[0] if held else None)


def table_days(
    lake: Lake, table: Table, question: Question, snapshots: Snapshots, today: Day
) -> TableDays:
    """One table of the statement, as of `today`. Raises LakeError."""
    settings = lake.settings
    dataset = table.rolled_up or table.dataset
    wanted = sorted(_wanted(table, question, today))
    held = [day for day in wanted if day in table.manifests]
    missing = [day for day in wanted if day not in table.manifests]
    reads = question.datasets.get(table.dataset)
    configured = settings.dataset_named(dataset)
    hot = hot_days(settings, configured.source, today=today)
    return TableDays(
        table=table.dataset,
        dataset=dataset,
        source=configured.source,
        first=wanted[0] if wanted else None,
        last=wanted[-1] if wanted else None,
        wanted=len(wanted),
        held=len(held),
        missing=tuple(
            MissingDay(day, "before_first_day")
            if day < Day(settings.lake.first_day) and day not in table.unrolled
            else _missing(hot, configured, table, day, snapshots)
            for day in missing
        ),
        inexact=tuple(
            dict.fromkeys(
                (
                    *_inexact(lake.table(dataset), table, question),
                    *ordered_as_text(table, reads, question),
                    *nan_in_order(table, reads, question),
                    *unsure(table, lake.table(dataset), reads, question),
                )
            )
        ),
        left_out=tuple(left_out(table, reads, question)),
        later=tuple(_later(hot, table, ranges_of(reads, question))),
    )


def _wanted(table: Table, question: Question, today: Day) -> set[Day]:
    """An open side ends with the first or last day in the lake; after that one, with yesterday."""
    in_lake = {*table.manifests, *table.unrolled}
    days: set[Day] = set()
    for span in ranges_of(question.datasets.get(table.dataset), question):
        start = span.start or min(in_lake, default=None)
        end = span.end or (max(in_lake).plus(1) if _begins_in(span, in_lake) else today)
        if start:
            days |= set(day_range(start, end))
    return days


def _later(hot: HotDays, table: Table, ranges: Iterable[Range]) -> Iterator[Day]:
    in_lake = {*table.manifests, *table.unrolled}
    if any(days.end is None and _begins_in(days, in_lake) for days in ranges):
        first = max(in_lake).plus(1)
        yield from (day for day in day_range(first, hot.today) if hot.keeps(day))


def _begins_in(days: Range, in_lake: Set[Day]) -> bool:
    """Whether a range without an end begins within the lake's days."""
    return bool(in_lake) and (days.start is None or days.start <= max(in_lake))


def _missing(
    hot: HotDays, dataset: Dataset, table: Table, day: Day, snapshots: Snapshots
) -> MissingDay:
    if day in table.unrolled:
        return MissingDay(day, "rollup")
    if day >= hot.today:
        return MissingDay(day, "unfinished")
    if hot.keeps(day):
        return MissingDay(day, "source")
    taken = snapshots.holding(dataset, day)
    return MissingDay(day, "snapshot", taken) if taken else MissingDay(day, "nowhere")


def _inexact(base: Table, table: Table, question: Question) -> Iterator[str]:
    """`base` is the dataset's own table, of rollups too.

    Of a rollup that has outlived its table the nearest day's manifest is taken for its table's.
    """
    touched = touched_days(table, question)
    known = {day: m for day, m in base.manifests.items() if isinstance(m, Manifest)}
    manifests = []
    for day in touched:
        nearest = day
        if known and day not in base.manifests:
            nearest = min(known, key=lambda other: (abs(day.days_until(other)), other))
        manifests += [known[nearest]] if nearest in known else []
    ranges = [m.definition for m in manifests if m.definition.get("mode") == "range"]
    steps = [str(definition.get("step")) for definition in ranges]
    for step in sorted(set(steps)):
        days = steps.count(step)
        yield (
            f"{days:,} {'day holds' if days == 1 else 'days hold'} the value at every step of "
            f'{step} (mode = "range"), not the samples between'
        )
    rules: dict[tuple[str, str], int] = {}
    for manifest in manifests:
        for rule in map(Rule.from_json, manifest.rules):
            if touches(question, rule.text, base.tree, 0):
                key = (rule.text, rule.described)
                rules[key] = rules.get(key, 0) + 1
    for (path, rule_text), days in rules.items():
        on = f"{days:,} {'day' if days == 1 else 'days'}"
        yield f"column {path} is stored under the rule {rule_text} on {on}"
    for name in sorted(question.functions & _APPROXIMATE.keys()):
        # Tables beside the samples have no buckets.
        if name not in _OF_BUCKETS or len(question.datasets) == 1 or "metric" in base.column_names:
            yield _APPROXIMATE[name]
    if question.sampled:
        yield "the statement draws a sample of the rows"
