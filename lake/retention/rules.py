"""Which snapshots the keep rules keep.

Belongs here: the rules, on days alone. Does not: holds, shared objects (plan).

The rules are those of restic's `forget` and borg's `prune`: each keeps the newest snapshot of the
last N periods that have one, independently of the others. Where there are fewer than N
periods the oldest snapshot is kept too, so that a yearly rule has something to keep in its first
years.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lake.base.day import Day
from lake.config.retention import SnapshotRules

_PERIODS: dict[str, Callable[[Day], Any]] = {
    "daily": lambda day: day,
    "weekly": lambda day: day.date.isocalendar()[:2],  # ISO weeks, which belong to one year
    "monthly": lambda day: (day.date.year, day.date.month),
    "yearly": lambda day: day.date.year,
}

_CENTURY = 36_525  # days


def kept_days(rules: SnapshotRules, days: Iterable[Day]) -> dict[Day, str]:
    """The snapshots that stay, each with the rules that keep it; all of them without rules."""
    newest_first = sorted(set(days), reverse=True)
    if not rules.any:
        return dict.fromkeys(newest_first, "no rules")
    reasons: dict[Day, list[str]] = {}
    for name, period_of in _PERIODS.items():
        number = getattr(rules, name)
        if not number:
            continue
        newest: dict[Any, Day] = {}
        for day in newest_first:
            newest.setdefault(period_of(day), day)
        chosen = list(newest.values())[:number]
        if newest and len(newest) < number:
            chosen.append(newest_first[-1])
        for day in dict.fromkeys(chosen):
            reasons.setdefault(day, []).append(name)
    return {day: ", ".join(names) for day, names in reasons.items()}


def kept_until(rules: SnapshotRules, days: Iterable[Day], day: Day, today: Day) -> Day | None:
    """The first day on which the snapshot of `day` is not kept, if one is taken every day from
    today on; None where that is never, or not within a century.
    """
    known = set(days)

    def is_kept(on: Day) -> bool:
        coming = (today.plus(n) for n in range(max(0, today.days_until(on)) + 1))
        return day in kept_days(rules, {*known, *coming})

    if not rules.any or is_kept(today.plus(_CENTURY)):
        return None
    low, high = 0, _CENTURY  # once not kept, it is not kept any more
    while low < high:
        middle = (low + high) // 2
        if is_kept(today.plus(middle)):
            low = middle + 1
        else:
            high = middle
    return today.plus(low)
