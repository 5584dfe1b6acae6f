"""How long objects are kept, and in which storage class: as configured, or under a what-if.

Belongs here: the policy's values, `KEY=VALUE` of --what-if. Does not: applying it (forecast), and
deleting or moving anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from lake.base.errors import UsageError
from lake.config.bucket import BucketSection
from lake.config.retention import FOREVER, SnapshotRules
from lake.config.settings import Settings
from lake.cost.prices import STANDARD, Region
from lake.cost.usage import Follows, Kind
from lake.kept import terms_of
from lake.systems.registry import configured_systems

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
    """`keep_days`: what is older is deleted; what is not in it is kept for ever. `of_dataset` are
    the days of single datasets' tables and rollups, which `keep_days` overrides; `rules` those by
    which a system's snapshots are kept, `needed_days` for how long after its writing an object of
    a snapshot is taken to be needed by later ones. `classes`: the class that objects of 128 KiB
    and more move to when they are `after_days` old.

    `noncurrent` is the factor by which the noncurrent versions change, `growth` that of the data
    added per day, `queries_per_day`, `metrics_per_day` and `alerts_per_day` how often the lake is
    read.
    """

    keep_days: Mapping[Follows, int] = field(default_factory=dict)
    classes: Mapping[Kind, str] = field(default_factory=dict)
    after_days: Mapping[Kind, int] = field(default_factory=dict)
    of_dataset: Mapping[tuple[str, Follows], int] = field(default_factory=dict)
    rules: Mapping[str, SnapshotRules] = field(default_factory=dict)
    needed_days: Mapping[str, int] = field(default_factory=dict)
    noncurrent: float = 1.0
    growth: float = 1.0
    queries_per_day: float = 20
    query_days: int = 90
    metrics_per_day: float = 96
    alerts_per_day: float = 96

    def keep(self, dataset: str, follows: Follows) -> float:
        """Days, infinite for ever."""
        if follows in self.keep_days:
            return self.keep_days[follows]
        return self.of_dataset.get((dataset, follows), math.inf)

    def rules_of(self, system: str) -> SnapshotRules | None:
        """None where snapshots are kept by age, or for ever."""
        rules = self.rules.get(system)
        return rules if rules and rules.any and "snapshot" not in self.keep_days else None

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            **vars(self),
            "of_dataset": {
                f"{dataset} {follows}": days for (dataset, follows), days in self.of_dataset.items()
            },
            "rules": {system: rules.model_dump() for system, rules in self.rules.items()},
        }

    def moved(self) -> str:
        """For people."""
        texts = [
            f"{name} to {self.classes[kind]} after {self.after_days.get(kind, 0)} days"
            for name, kind in _PLURALS.items()
            if self.classes.get(kind, STANDARD) != STANDARD
        ]
        return "; ".join(texts) if texts else "nothing moves"

    def kept(self) -> str:
        """For people."""
        texts = [
            f"{name} {self.keep_days[kind]} days"
            for name, kind in _PLURALS.items()
            if self.keep_days.get(kind, FOREVER) < FOREVER
        ]
        texts += [
            f"{follows}s of {dataset} {days} days"
            for (dataset, follows), days in self.of_dataset.items()
            if follows not in self.keep_days
        ]
        for system in self.rules:
            if rules := self.rules_of(system):
                numbers = ((name, number) for name, number in rules if number)
                texts.append(
                    f"snapshots of {system} "
                    + ", ".join(f"{number} {name}" for name, number in numbers)
                )
        if "report" in self.keep_days:
            texts.append(f"reports {self.keep_days['report']} days")
        return "; ".join(texts) if texts else "everything is kept"


def of_settings(settings: Settings) -> Policy:
    """That of `[retention]`, whether it is enabled or not."""
    retention = settings.retention
    of_dataset: dict[tuple[str, Follows], int] = {}
    for dataset in settings.dataset:
        terms = terms_of(settings, dataset)
        pairs: tuple[tuple[Follows, int], ...] = (
            ("table", terms.tables),
            ("rollup", terms.rollups),
        )
        for follows, days in pairs:
            if days < FOREVER:
                of_dataset[dataset.name, follows] = days
    systems = configured_systems(settings)
    return Policy(
        keep_days={"report": retention.reports} if retention.reports < FOREVER else {},
        of_dataset=of_dataset,
        rules={name: retention.rules(name) for name in systems if retention.rules(name).any},
        needed_days={name: getattr(settings.hot, name) for name in systems},
    )


def with_classes(policy: Policy, bucket: BucketSection) -> Policy:
    """The policy with the classes that `lake bucket apply` sets rules for."""
    wanted: dict[Kind, tuple[str, int]] = {
        "table": (bucket.tables_class, bucket.tables_after_days),
        "rollup": (bucket.tables_class, bucket.tables_after_days),
        "snapshot": (bucket.snapshots_class, bucket.snapshots_after_days),
    }
    moved = {kind: rule for kind, rule in wanted.items() if rule[0] != STANDARD}
    return replace(
        policy,
        classes={kind: storage_class for kind, (storage_class, _) in moved.items()},
        after_days={kind: days for kind, (_, days) in moved.items()},
    )


def changed(
    policy: Policy, changes: Iterable[str], region: Region, configured: Policy | None = None
) -> Policy:
    """The policy with each `KEY=VALUE` applied; `configured` is what `retention=configured` and
    `bucket=configured` mean.

    Raises UsageError naming what is valid.
    """
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise _wrong(change, "KEY=VALUE")
        if (key.strip(), value.strip()) == ("bucket", "configured"):
            own = configured or Policy()
            policy = replace(policy, classes=own.classes, after_days=own.after_days)
            continue
        if (key.strip(), value.strip()) == ("retention", "configured"):
            own = configured or Policy()
            policy = replace(
                policy, keep_days=own.keep_days, of_dataset=own.of_dataset, rules=own.rules,
                needed_days=own.needed_days,
            )  # fmt: skip
            continue
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
        "alerts.per_day": ("alerts_per_day", 86_400),
    }
    if key not in numbers:
        kinds = ", ".join(f"{what}.KIND" for what in ("retention", "class", "after"))
        others = f"retention=configured, bucket=configured, {', '.join(numbers)}"
        raise _wrong(key, f"one of {kinds}, {others}; KIND: {', '.join(_PLURALS)}")
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
    days = FOREVER if value in _FOREVER else duration_days(value)
    return replace(policy, keep_days={**policy.keep_days, kind: days})


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
