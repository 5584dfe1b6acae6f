"""Reports of rehearsals, in short.

Belongs here: reading them. Does not: rehearsing, their pages (lake.rehearse).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lake.store import Store

_KEY = re.compile(r"reports/rehearsal/(\d{4}-\d\d-\d\d)\.json")
_READ = 12  # there is one a month: those of a year


@dataclass(frozen=True)
class RehearsalSummary:
    """One report of `lake rehearse`."""

    day: str
    ok: bool
    snapshots: int
    differences: int


@dataclass(frozen=True)
class SystemRehearsal:
    """A system's part of a rehearsal: when that began, and whether every snapshot of the system
    was restored and matched the lake.
    """

    at: datetime
    ok: bool


def rehearsals_of(store: Store) -> tuple[list[RehearsalSummary], list[str]]:
    """The last ones, newest first, and what can't be read. Raises what the store raises."""
    rehearsals, problems = [], []
    for day, key in _newest_first(store):
        try:
            report = json.loads(store.read(key))
            rehearsals.append(
                RehearsalSummary(
                    day, bool(report["ok"]), len(report["snapshots"]), len(report["differences"])
                )
            )
        except (ValueError, TypeError, KeyError) as error:
            problems.append(f"{key} can't be read: {error}")
    return rehearsals, problems


def last_of_each(store: Store, systems: Collection[str]) -> dict[str, SystemRehearsal]:
    """The last rehearsal of each of the systems that was part of one among the last reports; what
    can't be read is none. Raises what the store raises.
    """
    last: dict[str, SystemRehearsal] = {}
    for _, key in _newest_first(store):
        if last.keys() >= set(systems):
            break
        try:
            by_system = _by_system(json.loads(store.read(key)))
        except (ValueError, TypeError, KeyError):
            continue
        for system in systems:
            if system in by_system:
                last.setdefault(system, by_system[system])
    return last


def _by_system(report: dict[str, Any]) -> dict[str, SystemRehearsal]:
    at = datetime.fromisoformat(report["begun_at"])
    parts: dict[str, list[bool]] = {}
    for snapshot in report["snapshots"]:
        parts.setdefault(snapshot["system"], []).append(bool(snapshot["ok"]))
    return {system: SystemRehearsal(at, all(parts[system])) for system in parts}


def _newest_first(store: Store) -> Iterator[tuple[str, str]]:
    """The last reports: day and key."""
    keys = [stat.key for stat in store.list("reports/rehearsal/")]
    days = {match[1]: key for key in keys if (match := _KEY.fullmatch(key))}
    for day in sorted(days, reverse=True)[:_READ]:
        yield day, days[day]
