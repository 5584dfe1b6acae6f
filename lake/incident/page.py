"""An incident as an HTML page.

Belongs here: plots, tables and their captions. Does not: reading the lake (gathering).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from html import escape

from lake.incident.changes import Change, shared_labels, shared_text
from lake.incident.gathering import Event, Incident, errors_by_step
from lake.incident.window import Window
from lake.pages import document, notes, section, stacked_bars, table

# A line without blanks must not be wider than the page.
_STYLE = ".event { overflow-wrap: anywhere; }\n"


def page(found: Incident) -> str:
    """The whole page: one file, without scripts."""
    window, request = found.window, found.inquiry.request
    title = f"Request {shown(request)}" if request else "Incident"
    if window:
        title += f" at {clock(window.at)} UTC" if not request else ""
    parts = [
        f'<p class="quiet">{escape(span(found))}</p>',
        f'<p class="quiet">{escape(shown(followed(found)))}</p>' if found.inquiry.others else "",
        notes((*found.missing, *found.notes)),
    ]
    if window and not request:
        parts.append(section("Errors", _errors(found, window)))
    parts.append(section("Events", _totals(found)))
    names = dict.fromkeys(change.dataset for change in found.changes)
    parts += [section(f"Metrics of {name}", *_metrics(found, name)) for name in names]
    parts.append(section("Timeline", _kept(found), _timeline(found)))
    foot = "Times are UTC. Metrics are compared with the time before the window, of equal length."
    return document(title, parts, foot, style=_STYLE)


def span(found: Incident) -> str:
    """The window and the days, as a sentence."""
    window = found.window
    days = ", ".join(map(str, found.days))
    if window is None:
        return f"No event has the identifier. Days searched: {days}."
    around = f"{clock(window.start)} to {clock(window.end)} UTC"
    if found.inquiry.request:
        return f"Events of {days}; metrics from {around}."
    return f"From {around}. Days read: {days}."


def followed(found: Incident) -> str:
    """Which other identifiers' rows are shown, as a sentence; "" where there are none."""
    others = found.inquiry.others
    carry = "identifiers that rows of the request carry"
    return f"With the rows of {', '.join(others)}: {carry}." if others else ""


def kept(found: Incident) -> str:
    """How many events are shown of how many."""
    events = f"{found.total:,} {'event' if found.total == 1 else 'events'}"
    left = found.total - len(found.events)
    if not left:
        return events
    return f"{len(found.events):,} of {events}: errors first, then warnings; {left:,} left out"


def clock(at: datetime, *, exact: bool = False) -> str:
    """A time of UTC: to the second, or to the millisecond."""
    text = at.astimezone(UTC).isoformat(" ", "milliseconds" if exact else "seconds")
    return text.removesuffix("+00:00")


def number(value: float | None) -> str:
    """Of a metric: 4 significant digits; a dash where there was no sample."""
    if value is None:
        return "–"
    whole = value == int(value) or abs(value) >= 1000
    return f"{value:,.0f}" if whole else f"{value:.4g}"


def shown(text: str) -> str:
    """Characters that can't be seen or that change the terminal as escapes."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def _errors(found: Incident, window: Window) -> str:
    labels = _steps(window)
    return stacked_bars(
        [f"{at:%H:%M}" for at in labels],
        {
            name: [float(steps.get(at, 0)) for at in labels]
            for name, steps in errors_by_step(found).items()
        },
        number,
        f"Number in each {_step(window)}",
    )


def _metrics(found: Incident, dataset: str) -> Iterator[str]:
    changes = [change for change in found.changes if change.dataset == dataset]
    shared = shared_labels(changes)
    text = shown(f"The series that changed most{shared_text(shared)}.")
    yield f'<p class="quiet">{escape(text)}</p>'
    if found.window:
        yield _growth(changes, found.window)
    yield table(
        ("series", "", "before", "window"),
        (
            (
                escape(shown(change.short_name(shared))),
                "increase" if change.counter else "mean",
                number(change.before),
                number(change.during),
            )
            for change in changes
        ),
        numbers=(2, 3),
    )


def _growth(changes: list[Change], window: Window) -> str:
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


def _steps(window: Window) -> list[datetime]:
    step = window.step
    seconds = int(step.total_seconds())
    # The steps of a day begin at its midnight, as DuckDB's time_bucket has them.
    at = datetime.fromtimestamp(int(window.start.timestamp()) // seconds * seconds, UTC)
    steps = []
    while at < window.end:
        steps.append(at)
        at += step
    return steps


def _step(window: Window) -> str:
    minutes = int(window.step.total_seconds()) // 60
    return "minute" if minutes == 1 else f"{minutes} minutes"


def _totals(found: Incident) -> str:
    return table(
        ("dataset", "kind", "events", "errors"),
        (
            (escape(name), f"{kind}s", f"{events:,}", f"{errors:,}")
            for name, (kind, events, errors) in found.totals().items()
        ),
        numbers=(2, 3),
    )


def _kept(found: Incident) -> str:
    return f'<p class="quiet">{escape(kept(found))}</p>'


def _timeline(found: Incident) -> str:
    return table(
        ("time", "dataset", "level", "event"),
        (
            (
                f'<span class="nobr">{clock(event.at, exact=True)}</span>',
                escape(event.dataset),
                f'<span class="{"bad" if event.failed else "quiet"}">'
                f"{escape(shown(event.level or ''))}</span>",
                f'<div class="event">{_identifier(event)}{escape(shown(event.text))}</div>',
            )
            for event in found.events
        ),
    )


def _identifier(event: Event) -> str:
    return f'<span class="quiet">{escape(shown(event.id))}</span> ' if event.id else ""
