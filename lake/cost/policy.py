"""For how long what is kept, and in which class: as configured, and as in a what-if.

Belongs here: the policy's values, `KEY=VALUE` of --what-if. Does not: applying it (forecast), and
deleting or moving anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from lake.base.errors import UsageError
from lake.cost.prices import STANDARD, Region
from lake.cost.usage import Kind

_PLURALS: dict[str, Kind] = {
    "tables": "table",
    "rollups": "rollup",
    "snapshots": "snapshot",
}
_UNITS = {"d": 1, "w": 7, "m": 30, "y": 365}
_DURATION = re.compile(r"(\d{1,5})([dwmy])")
_FOREVER = ("forever", "keep")
_MOST_QUERIES = 1_000_000
What = Literal["retention", "class", "after"]


@dataclass(frozen=True)
class Policy:
    """`keep_days`: what is older is deleted; kinds that are not in it are kept for ever. `classes`:
    the class that objects of 128 KiB and more move to when they are `after_days` old.

    `noncurrent` is the factor by which the noncurrent versions change, `growth` that of what is
    added a day, `queries_per_day` and `metrics_per_day` how often the lake is read.
    """

    keep_days: Mapping[Kind, int] = field(default_factory=dict)
    classes: Mapping[Kind, str] = field(default_factory=dict)
    after_days: Mapping[Kind, int] = field(default_factory=dict)
    noncurrent: float = 1.0
    growth: float = 1.0
    queries_per_day: float = 20
    query_days: int = 90
    metrics_per_day: float = 96

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {name: value for name, value in vars(self).items()}  # noqa: C416  a copy

    def kept(self) -> str:
        """For people."""
        if not self.keep_days:
            return "everything is kept"
        return ", ".join(
            f"{name} {self.keep_days[kind]} days"
            for name, kind in _PLURALS.items()
            if kind in self.keep_days
        )


def changed(policy: Policy, changes: Iterable[str], region: Region) -> Policy:
    """With each `KEY=VALUE` laid over it. Raises UsageError naming what is valid."""
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise _wrong(change, "KEY=VALUE")
        policy = _with(policy, key.strip(), value.strip(), region)
    return policy


def _with(policy: Policy, key: str, value: str, region: Region) -> Policy:
    what, _, name = key.partition(".")
    if what in ("retention", "class", "after"):
        if name not in _PLURALS:
            raise _wrong(key, f"{what}. and one of {', '.join(_PLURALS)}")
        return _of_kind(policy, cast("What", what), _PLURALS[name], value, region)
    numbers: dict[str, tuple[str, float]] = {
        "noncurrent": ("noncurrent", 1000),
        "growth": ("growth", 1000),
        "queries.per_day": ("queries_per_day", _MOST_QUERIES),
        "queries.days": ("query_days", 36_500),
        "metrics.per_day": ("metrics_per_day", 86_400),
    }
    if key not in numbers:
        kinds = ", ".join(f"{what}.KIND" for what in ("retention", "class", "after"))
        raise _wrong(key, f"one of {kinds}, {', '.join(numbers)}; KIND: {', '.join(_PLURALS)}")
    member, most = numbers[key]
    number = _number(key, value, most)
    changes: dict[str, Any] = {member: int(number) if member == "query_days" else number}
    return replace(policy, **changes)


def _of_kind(policy: Policy, what: What, kind: Kind, value: str, region: Region) -> Policy:
    if what == "class":
        if value != STANDARD:
            region.class_named(value)
        return replace(policy, classes={**policy.classes, kind: value})
    if what == "after":
        return replace(policy, after_days={**policy.after_days, kind: duration_days(value)})
    keep = {other: days for other, days in policy.keep_days.items() if other != kind}
    if value not in _FOREVER:
        keep[kind] = duration_days(value)
    return replace(policy, keep_days=keep)


def duration_days(text: str) -> int:
    """`90d`, `12w`, `6m` (of 30 days), `1y` (of 365). Raises UsageError."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise _wrong(text, "a number with d, w, m or y, such as 90d or 1y")
    return int(match[1]) * _UNITS[match[2]]


def _number(key: str, value: str, most: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise _wrong(f"{key}={value}", f"a number from 0 to {most:g}")
    return number


def _wrong(found: str, expected: str) -> UsageError:
    return UsageError("wrong --what-if", expected=expected, found=found)
