"""Events for the page: a stack trace stands below the line that it belongs to.

Belongs here: which lines go on with the one before. Does not: which events are kept (gathering),
how they are shown (page).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from lake.incident.gathering import Event
from lake.query.timeline import LINE

_TAB = 4
# A writer's lines get times of their own where Docker or an agent reads them one by one.
_APART = timedelta(milliseconds=100)
# Java, Python, Node.js, Go: what is indented, and what stands at the margin within a trace.
_GOES_ON = re.compile(
    r"\s+\S|Caused by: |Suppressed: |Traceback \(most |[\w.$]+(?:Exception|Error)\b|goroutine \d"
)


@dataclass
class TimelineEntry:
    """An event, and the texts of the lines that go on with it."""

    event: Event
    more: list[str] = field(default_factory=list)


def entries(events: Iterable[Event]) -> list[TimelineEntry]:
    """In the order of the events, which is that of time."""
    made: list[TimelineEntry] = []
    last = None
    for event in events:
        if made and last and _goes_on(made[-1].event, last, event):
            made[-1].more.append(event.text.expandtabs(_TAB))
        else:
            made.append(TimelineEntry(event))
        last = event
    return made


def _goes_on(first: Event, last: Event, event: Event) -> bool:
    """Of the same dataset and level, without an identifier of its own, soon after the last one."""
    alike = (event.dataset, event.level, event.kind) == (first.dataset, first.level, LINE)
    return (
        alike
        and event.id is None
        and event.at - last.at <= _APART
        and _GOES_ON.match(event.text) is not None
    )
