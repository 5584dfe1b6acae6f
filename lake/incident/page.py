"""An incident as an HTML page.

Belongs here: plots, tables and their captions. Does not: reading the lake (gathering).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from html import escape

from lake.base.printable import shown
from lake.incident.changes import Change, shared_labels, shared_text
from lake.incident.entries import TimelineEntry, entries
from lake.incident.gathering import Event, Incident, errors_by_step
from lake.incident.window import IncidentWindow
from lake.pages import document, notes, section, stacked_bars, table

# A line without blanks must not be wider than the page. On a phone an event has a line below its
# time, dataset and level.
_STYLE = """.event, .trace, .series { overflow-wrap: anywhere; }
.trace { margin: .2rem 0 0; white-space: pre-wrap; font-size: .85em; }
@media screen and (max-width: 40rem) {
  .timeline tr { display: grid; grid-template-columns: auto minmax(0, 1fr) auto; column-gap: .8rem;
                 padding: .3rem 0; border-bottom: 1px solid var(--line); }
  .timeline :is(th, td) { padding: 0; border: 0; overflow-wrap: anywhere; }
  .timeline :is(th, td):last-child { grid-column: 1 / -1; }
}
"""


_LONG = 1e15  # from there on digits and an exponent instead of all digits


def page(incident: Incident) -> str:
    """The whole page: one file, without scripts."""
    window, request = incident.window, incident.inquiry.request
    title = f"Request {shown(request)}" if request else "Incident"
    if window:
        title += f" at {clock(window.at)} UTC" if not request else ""
    parts = [
        f'<p class="quiet">{escape(span(incident))}</p>',
        f'<p class="quiet">{escape(shown(followed(incident)))}</p>'
        if incident.inquiry.others
        else "",
        notes((*incident.missing, *incident.notes)),
    ]
    if window and not request:
        parts.append(section("Errors", _errors(incident, window)))
    parts.append(section("Events", _totals(incident)))
    names = dict.fromkeys(change.dataset for change in incident.changes)
    parts += [section(f"Metrics of {name}", *_metrics(incident, name)) for name in names]
    parts.append(section("Timeline", _kept(incident), _timeline(incident)))
    foot = "Times are UTC. Metrics are compared with the time before the window, of equal length."
    return document(title, parts, foot, style=_STYLE)


def span(incident: Incident) -> str:
    """The window and the days, as a sentence."""
    window = incident.window
    days = ", ".join(map(str, incident.days))
    if window is None:
        return f"No event has the identifier. Days searched: {days}."
    around = f"{clock(window.start)} to {clock(window.end)} UTC"
    if incident.inquiry.request:
        return f"Events of {days}; metrics from {around}."
    return f"From {around}. Days read: {days}."


def followed(incident: Incident) -> str:
    """Which other identifiers' rows are shown, as a sentence; "" where there are none."""
    others = incident.inquiry.others
    carry = "identifiers that rows of the request carry"
    return f"With the rows of {', '.join(others)}: {carry}." if others else ""


def kept(incident: Incident) -> str:
    """How many events are shown of how many."""
    events = f"{incident.total:,} {'event' if incident.total == 1 else 'events'}"
    left = incident.total - len(incident.events)
    if not left:
        return events
    others = ", then those nearest to the instant" if incident.inquiry.at else ""
    order = f"errors first, then warnings{others}"
    return f"{len(incident.events):,} of {events}: {order}; {left:,} left out"


def clock(at: datetime, *, exact: bool = False) -> str:
    """A time of UTC: to the second, or to the millisecond."""
    text = at.astimezone(UTC).isoformat(" ", "milliseconds" if exact else "seconds")
    return text.removesuffix("+00:00")


def number(value: float | None) -> str:
    """A metric's value with 4 significant digits; a dash if there was no sample."""
    if value is None:
        return "–"
    whole = value == int(value) or abs(value) >= 1000
    return f"{value:,.0f}" if whole and abs(value) < _LONG else f"{value:.4g}"


def _errors(incident: Incident, window: IncidentWindow) -> str:
    labels = _steps(window)
    return stacked_bars(
        [f"{at:%H:%M}" for at in labels],
        {
            name: [float(steps.get(at, 0)) for at in labels]
            for name, steps in errors_by_step(incident).items()
        },
        number,
        f"Number in each {_step(window)}",
    )


def _metrics(incident: Incident, dataset: str) -> Iterator[str]:
    changes = [change for change in incident.changes if change.dataset == dataset]
    shared = shared_labels(changes)
    text = shown(f"The series that changed most{shared_text(shared)}.")
    yield f'<p class="quiet">{escape(text)}</p>'
    if incident.window:
        yield _growth(changes, incident.window)
    yield table(
        ("series", "", "before", "window"),
        (
            (
                f'<span class="series">{escape(shown(change.short_name(shared)))}</span>',
                "increase" if change.counter else "mean",
                number(change.before),
                number(change.during),
            )
            for change in changes
        ),
        numbers=(2, 3),
    )


def _growth(changes: list[Change], window: IncidentWindow) -> str:
    labels = _steps(window)
    shared = shared_labels(changes)
    grown = {c.short_name(shared): _utc(c.growth) for c in changes if c.growth}
    return stacked_bars(
        [f"{at:%H:%M}" for at in labels],
        {shown(name): [steps.get(at, 0.0) for at in labels] for name, steps in grown.items()},
        number,
        f"Increase in each {_step(window)} of the counters that changed most",
    )


def _utc(growth: Mapping[datetime, float]) -> dict[datetime, float]:
    return {at.astimezone(UTC): value for at, value in growth.items()}


def _steps(window: IncidentWindow) -> list[datetime]:
    step = window.step
    seconds = int(step.total_seconds())
    # The steps of a day begin at its midnight, as DuckDB's time_bucket has them.
    at = datetime.fromtimestamp(int(window.start.timestamp()) // seconds * seconds, UTC)
    steps = []
    while at < window.end:
        steps.append(at)
        at += step
    return steps


def _step(window: IncidentWindow) -> str:
    minutes = int(window.step.total_seconds()) // 60
    return "minute" if minutes == 1 else f"{minutes} minutes"


def _totals(incident: Incident) -> str:
    return table(
        ("dataset", "kind", "events", "errors"),
        (
            (escape(name), f"{kind}s", f"{events:,}", f"{errors:,}")
            for name, (kind, events, errors) in incident.totals().items()
        ),
        numbers=(2, 3),
    )


def _kept(incident: Incident) -> str:
    return f'<p class="quiet">{escape(kept(incident))}</p>'


def _timeline(incident: Incident) -> str:
    timeline = table(
        ("time", "dataset", "level", "event"),
        (
            (
                f'<span class="nobr">{clock(event.at, exact=True)}</span>',
                escape(event.dataset),
                f'<span class="{"bad" if event.failed else "quiet"}">'
                f"{escape(shown(event.level or ''))}</span>",
                f'<div class="event">{_identifier(event)}{escape(shown(event.text))}</div>'
                f"{_trace(entry)}",
            )
            for entry in entries(incident.events)
            for event in [entry.event]
        ),
    )
    return f'<div class="timeline">{timeline}</div>'


def _trace(entry: TimelineEntry) -> str:
    lines = "\n".join(escape(shown(text)) for text in entry.more)
    return f'<pre class="trace">{lines}</pre>' if lines else ""


def _identifier(event: Event) -> str:
    return f'<span class="quiet">{escape(shown(event.id))}</span> ' if event.id else ""
