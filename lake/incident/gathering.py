"""What the lake has around an instant: changes of metrics, log lines and documents.

Belongs here: which datasets are read, what is counted, which events are kept, what is missing.
Does not: SQL of the rows (statements, changes), how it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.incident.changes import Change, changes
from lake.incident.window import IncidentWindow
from lake.query import Lake
from lake.query.kinds import quoted_text
from lake.query.notes import missing_days
from lake.query.spellings import same_number
from lake.query.tables import Table
from lake.query.timeline import (
    DOCUMENT,
    ERRORS,
    Rows,
    date,
    document_time,
    documents,
    identifiers,
    instant,
    kind_of,
    lines,
)

_MAX_AROUND = timedelta(hours=12)
_FOLLOWED = 20  # other identifiers
_SHORTEST = 8  # characters of one: many lines contain a shorter text by chance
# Identifiers of much more than a request.
_WIDE = re.compile("session|conversation|dialog|user|client", re.IGNORECASE)


@dataclass(frozen=True)
class Inquiry:
    """What is looked for: around `at`, or a request's or trace's identifier.

    With `request` and without `at` the UTC day `day` is searched, and the instant is that of the
    first event. `others`: identifiers that rows of the request carry, whose rows belong to it, too.
    `datasets`: only these. `limit`: number of events to keep.
    """

    at: datetime | None
    around: timedelta
    request: str = ""
    day: Day | None = None
    datasets: tuple[str, ...] = ()
    limit: int = 200
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """A log line or a document at a time (UTC)."""

    at: datetime
    dataset: str
    kind: str
    id: str | None
    level: str | None
    text: str

    @property
    def failed(self) -> bool:
        """Whether it is an error."""
        return self.level in ERRORS


@dataclass(frozen=True)
class EventCount:
    """The number of events of a dataset's level in one step of time."""

    dataset: str
    kind: str
    level: str | None
    at: datetime
    number: int


@dataclass(frozen=True)
class Incident:
    """All that is shown. `window` is None where no event has the identifier.

    `counts` are of all events, `events` those that are kept, in order of time. `missing`: days that
    are not in the lake, a sentence each; `notes`: what else was left out.
    """

    inquiry: Inquiry
    window: IncidentWindow | None
    days: tuple[Day, ...]
    changes: tuple[Change, ...] = ()
    counts: tuple[EventCount, ...] = ()
    events: tuple[Event, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """The number of all events."""
        return sum(count.number for count in self.counts)

    def totals(self) -> Mapping[str, tuple[str, int, int]]:
        """Dataset → kind, number of events, number of errors."""
        totals: dict[str, tuple[str, int, int]] = {}
        for count in self.counts:
            _, events, errors = totals.get(count.dataset, (count.kind, 0, 0))
            failed = count.number if count.level in ERRORS else 0
            totals[count.dataset] = (count.kind, events + count.number, errors + failed)
        return totals


def gather(lake: Lake, inquiry: Inquiry) -> Incident:
    """Reads the window's days, of metrics also those of the time before. Raises LakeError."""
    window = _window(inquiry)
    tables = _tables(lake, inquiry)
    days = window.days if window else [inquiry.day] if inquiry.day else []
    inquiry, not_followed = _followed(lake, inquiry)
    statement = events_statement(lake, inquiry)
    step = window.step if window else timedelta(minutes=1)
    counts, events, left_out = _events(lake, statement, step, inquiry)
    if window is None and events:
        window = IncidentWindow(min(event.at for event in events), inquiry.around)
        # Changes are of metrics, which have no identifier.
        days = sorted({*days, *window.days})
    changed: list[Change] = []
    for table in tables:
        if window and kind_of(table) == "counter":
            changed += changes(lake, table, window)
    return Incident(
        inquiry,
        window,
        tuple(days),
        tuple(changed),
        tuple(counts),
        tuple(events),
        tuple(_missing(tables, days, window)),
        (*not_followed, *_without_time(lake, tables), *left_out),
    )


def events_statement(lake: Lake, inquiry: Inquiry) -> str:
    """One SELECT of all log lines and documents, whose columns are those of `statements`; "" where
    no dataset has any. Raises LakeError.
    """
    rows, incident = _rows(inquiry), lake.settings.incident
    selects = []
    for table in _tables(lake, inquiry):
        kind = kind_of(table)
        if kind == "lines":
            selects.append(lines(table, incident, rows))
        elif kind == "documents":
            dataset = lake.settings.dataset_named(table.dataset)
            selects.append(documents(table, dataset, incident, rows))
    return "\nUNION ALL\n".join(select for select in selects if select)


def _rows(inquiry: Inquiry) -> Rows:
    window = _window(inquiry)
    days = window.days if window else [inquiry.day] if inquiry.day else []
    rows = Rows(date(days[0]), date(days[-1].plus(1)))
    if inquiry.request:
        return replace(rows, requests=(inquiry.request, *inquiry.others))
    if window:
        rows = replace(rows, start=instant(window.start), to=instant(window.end))
    return rows


def _followed(lake: Lake, inquiry: Inquiry) -> tuple[Inquiry, list[str]]:
    """With the other identifiers that the request's rows carry, such as its trace's: one step. And
    a sentence about those that are left out.
    """
    if not inquiry.request:
        return inquiry, []
    section = lake.settings.incident
    names = tuple(path for path in section.ids if not _WIDE.search(path.rpartition(".")[2]))
    incident = section.model_copy(update={"ids": names})
    selects = [
        identifiers(table, lake.settings.dataset_named(table.dataset), incident, _rows(inquiry))
        for table in _tables(lake, inquiry)
    ]
    union = "\nUNION ALL\n".join(filter(None, selects))
    if not union or not names:
        return inquiry, []
    answer = lake.ask(
        f"SELECT id, count(*) FROM ({union}) WHERE id <> {quoted_text(inquiry.request)} "  # noqa: S608
        f"AND length(id) >= {_SHORTEST} GROUP BY id ORDER BY count(*) DESC, id"
    )
    others = [row[0] for row in answer.rows if not same_number(row[0], inquiry.request)]
    left = len(others) - _FOLLOWED
    note = f"{left:,} other identifiers of the request's rows are not followed"
    return replace(inquiry, others=tuple(others[:_FOLLOWED])), [note] if left > 0 else []


def _window(inquiry: Inquiry) -> IncidentWindow | None:
    """Raises UsageError."""
    if not timedelta() < inquiry.around <= _MAX_AROUND:
        raise UsageError("--window is out of range", expected="above 0s, at most 12h")
    if inquiry.at is None and not (inquiry.request and inquiry.day):
        raise UsageError(
            "no instant is given",
            expected="--at T, or --request ID with --day D",
            remedy="--at 2026-07-06T11:20 is an instant in UTC",
        )
    if inquiry.day and (inquiry.at or not inquiry.request):
        raise UsageError("--day belongs to --request without --at")
    if inquiry.at is None:
        return None
    try:
        window = IncidentWindow(inquiry.at.astimezone(UTC), inquiry.around)
        _ = window.compared_days
    except OverflowError:
        raise UsageError(
            "--at is out of range", expected="an instant of the lake's days", found=inquiry.at
        ) from None
    return window


def _tables(lake: Lake, inquiry: Inquiry) -> list[Table]:
    chosen = lake.settings.datasets_named(inquiry.datasets)
    return [lake.table(dataset.name) for dataset in chosen]


def _events(
    lake: Lake, statement: str, step: timedelta, inquiry: Inquiry
) -> tuple[list[EventCount], list[Event], Sequence[str]]:
    """The number of events by step, those that are kept, and the columns that leave values out.

    Kept are errors and warnings from the first on, of all others those nearest to the instant.
    """
    if not statement:
        return [], [], ()
    bucket = f"time_bucket(INTERVAL '{int(step.total_seconds())} seconds', ts)"
    answer = lake.ask(
        f"SELECT dataset, kind, level, {bucket} AS bucket, count(*) FROM ({statement}) "  # noqa: S608
        "WHERE ts IS NOT NULL GROUP BY ALL ORDER BY ALL"
    )
    counts = [EventCount(*row) for row in answer.rows]
    errors = ", ".join(map(quoted_text, ERRORS))
    rank = f"CASE WHEN level IN ({errors}) THEN 0 WHEN level = 'warn' THEN 1 ELSE 2 END"
    nearest = ""
    if inquiry.at:
        at_ns = int(inquiry.at.timestamp() * 1_000_000) * 1000
        nearest = f"CASE WHEN {rank} = 2 THEN abs(ns - {at_ns:d}) END, "
    answer = lake.ask(
        "SELECT ts, dataset, kind, id, level, text FROM ("  # noqa: S608  quoted
        f"SELECT * FROM ({statement}) WHERE ts IS NOT NULL "
        f"ORDER BY {rank}, {nearest}ns, dataset, position LIMIT {inquiry.limit:d}) "
        "ORDER BY ns, dataset, position"
    )
    return counts, [Event(*row) for row in answer.rows], answer.left_out


def _without_time(lake: Lake, tables: Sequence[Table]) -> Iterator[str]:
    for table in tables:
        dataset = lake.settings.dataset_named(table.dataset)
        if kind_of(table) == "documents" and document_time(table, dataset) is None:
            field = getattr(dataset, "time_field", "ts")
            yield f"{table.dataset}: no day has its time field {field}; its documents are left out"


def _missing(
    tables: Sequence[Table], days: Sequence[Day], window: IncidentWindow | None
) -> Iterator[str]:
    for table in tables:
        wanted = days
        if not table.manifests:
            yield f"{table.dataset}: no day is in the lake yet"
            continue
        if window and kind_of(table) == "counter":
            wanted = window.compared_days
        if absent := [day for day in wanted if day not in table.manifests]:
            number = f"{len(wanted)} days" if len(wanted) > 1 else "1 day"
            yield missing_days(table.dataset, absent, number)


def to_json(incident: Incident) -> dict[str, Any]:
    """Times in ISO 8601, UTC."""
    window = incident.window
    return {
        "at": window and _iso(window.at),
        "from": window and _iso(window.start),
        "to": window and _iso(window.end),
        "before": window and _iso(window.before),
        "request": incident.inquiry.request or None,
        "followed": list(incident.inquiry.others),
        "days": [str(day) for day in incident.days],
        "missing": list(incident.missing),
        "notes": list(incident.notes),
        "changes": [
            {
                "dataset": change.dataset,
                "metric": change.metric,
                "labels": dict(change.labels),
                "counter": change.counter,
                "before": change.before,
                "during": change.during,
            }
            for change in incident.changes
        ],
        "datasets": {
            name: {"kind": kind, "events": events, "errors": errors}
            for name, (kind, events, errors) in incident.totals().items()
        },
        "total": incident.total,
        "events": [
            {
                "at": _iso(event.at),
                "dataset": event.dataset,
                "kind": event.kind,
                "id": event.id,
                "level": event.level,
                "text": event.text,
            }
            for event in incident.events
        ],
    }


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def errors_by_step(incident: Incident) -> dict[str, dict[datetime, int]]:
    """What fails → the start of each step with any → their number; documents by their dataset."""
    series: dict[str, dict[datetime, int]] = {}
    for count in incident.counts:
        if count.level in ERRORS:
            what = "failed documents" if count.kind == DOCUMENT else "error lines"
            steps = series.setdefault(f"{count.dataset}: {what}", {})
            at = count.at.astimezone(UTC)
            steps[at] = steps.get(at, 0) + count.number
    return series
