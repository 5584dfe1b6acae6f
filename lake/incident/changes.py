"""The series of a dataset of metrics that changed most.

Belongs here: growth and means in the window and in the time before, and their order. Does not:
log lines and documents (statements).

Counters, by their names' endings (`_total`, `_count`, `_sum`), and the counts of native histograms
are compared by their increase with resets, other metrics by their mean. `_bucket` is left out:
`_count` has its sum. A sample at the end of a span belongs to it, for it has the growth since the
sample before. A metric called `…_count` is no counter where it falls twice to more than half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lake.base.day import Day
from lake.incident.window import IncidentWindow
from lake.query import Lake
from lake.query.growth import starts_literal
from lake.query.kinds import quoted_name, quoted_text
from lake.query.tables import Table
from lake.query.time_axis import NOT_LABELS, counter, samples_from
from lake.query.timeline import date, instant

SHOWN = 10  # series of a dataset
PLOTTED = 5
_LOOKBACK = timedelta(hours=12)  # for the sample before: a target may have been away for long
_PLOTTED = ("_total", "_count")
# Of things that there are now, as go_goroutine_count: it falls, and not to 0 as by a restart.
_GAUGE = (
    "(coalesce(ends_with(metric, '_count'), false) AND "
    'count(*) FILTER (value < "-last" AND value > "-last" / 2) > 1)'
)
_SCALE = "1048576.0"  # a power of 2 rounds nothing: the largest doubles, as limits, have a sum


@dataclass(frozen=True)
class Change:
    """One series; None: no sample then. Of a counter both are increases, else means. `metric` is
    "" where the result of an expression has no name.

    `growth` is that of a plotted counter by the start of each step of the window.
    """

    dataset: str
    metric: str
    labels: Mapping[str, str]
    counter: bool
    before: float | None
    during: float | None
    growth: Mapping[datetime, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As PromQL writes it."""
        return f"{self.metric}{_braces(self.labels)}"

    def short_name(self, shared: Mapping[str, str]) -> str:
        """Without the labels that other series have, too."""
        own = {name: value for name, value in self.labels.items() if name not in shared}
        return f"{self.metric}{_braces(own)}" if own or not self.metric else self.metric


def shared_labels(changed: Sequence[Change]) -> dict[str, str]:
    """The labels that all these series have with one value; none of a single series."""
    if len(changed) < 2:
        return {}
    common = set.intersection(*(set(change.labels.items()) for change in changed))
    return {name: value for name, value in changed[0].labels.items() if (name, value) in common}


def shared_text(shared: Mapping[str, str]) -> str:
    """What follows a heading."""
    return f", all with {_braces(shared)}" if shared else ""


def _braces(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def changes(lake: Lake, table: Table, window: IncidentWindow) -> list[Change]:
    """At most 10, largest change first. Raises LakeError.

    Their order: the change relative to the larger value, times the logarithm of its size, so that
    neither 0 → 1 nor a large series' noise comes first.
    """
    answer = lake.ask(_changes_statement(table, window))
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    plotted = [
        row["series_id"] for row in rows if row["counter"] and row["metric"].endswith(_PLOTTED)
    ][:PLOTTED]
    growth = _growth(lake, table, window, plotted)
    return [
        Change(
            table.dataset,
            row["metric"],
            _labels(row),
            row["counter"],
            row["before"],
            row["during"],
            growth.get(row["series_id"], {}),
        )
        for row in rows
    ]


def _labels(row: Mapping[str, object]) -> dict[str, str]:
    """Of columns and of the map, those that the series has."""
    columns, more = row["columns"], row["more"]
    both = {**(columns if isinstance(columns, dict) else {}), **(dict(more or {}))}  # type: ignore[call-overload]
    return {name: str(value) for name, value in both.items() if value is not None}


def _changes_statement(table: Table, window: IncidentWindow) -> str:
    names = [name for name in table.column_names if name not in NOT_LABELS]
    members = ", ".join(f"{quoted_text(name)}: {quoted_name(name)}" for name in names)
    columns = f"any_value({{{members}}})" if names else "NULL"
    more = "any_value(labels)" if "labels" in table.column_names else "NULL"
    return f"""
SELECT series_id, metric, columns, more, counter,
       if(counter, grown_before, mean_before) AS before,
       if(counter, grown_during, mean_during) AS during
FROM (
    SELECT series_id, coalesce(metric, '') AS metric, {columns} AS columns, {more} AS more,
           bool_or({counter(table)}) AND NOT {_GAUGE} AS counter,
           sum("-growth") FILTER (NOT "-during") AS grown_before,
           sum("-growth") FILTER ("-during") AS grown_during,
           avg(value / {_SCALE}) FILTER (NOT "-during") * {_SCALE} AS mean_before,
           avg(value / {_SCALE}) FILTER ("-during") * {_SCALE} AS mean_during
    FROM (SELECT *, ts > {instant(window.start)} AS "-during" FROM ({_samples(table, window)}))
    WHERE ts > {instant(window.before)}
    GROUP BY series_id, metric
)
WHERE coalesce(before, 0) <> coalesce(during, 0)
ORDER BY abs(coalesce(during, 0) - coalesce(before, 0))
         / greatest(abs(coalesce(during, 0)), abs(coalesce(before, 0)))
         * ln(1 + abs(coalesce(during, 0) - coalesce(before, 0))) DESC, metric, series_id
LIMIT {SHOWN}"""  # noqa: S608  quoted


def _samples(table: Table, window: IncidentWindow) -> str:
    """Samples of the window, of the time before, and for growth the last before that, which may be
    on the day before; one at the window's end may be on the day after.

    What is added to the labels' columns has a name that no label of Prometheus has.
    """
    first, last = Day((window.before - _LOOKBACK).date()), Day(window.end.date())
    source = samples_from(table, date(first), date(last.plus(1)), instant(window.before))
    return (
        "SELECT *, counter_increase(value, series_id, ts, "  # noqa: S608  quoted
        f'query_starts := {starts_literal(table)}) AS "-growth", '
        'lag(value) OVER (PARTITION BY series_id ORDER BY ts) AS "-last" '
        f"FROM {source} WHERE ts <= {instant(window.end)}"
    )


def _growth(
    lake: Lake, table: Table, window: IncidentWindow, series: Sequence[int]
) -> dict[int, dict[datetime, float]]:
    if not series:
        return {}
    # (start, end]: a microsecond earlier is in the step that has the growth.
    step = f"time_bucket(INTERVAL '{int(window.step.total_seconds())} seconds', "
    answer = lake.ask(
        f'SELECT series_id, {step}ts - INTERVAL 1 microsecond) AS step, sum("-growth") '  # noqa: S608
        f"FROM ({_samples(table, window)}) WHERE ts > {instant(window.start)} "
        f"AND series_id IN ({', '.join(map(str, series))}) GROUP BY ALL"
    )
    grown: dict[int, dict[datetime, float]] = {}
    for series_id, at, growth in answer.rows:
        grown.setdefault(series_id, {})[at] = growth
    return grown
