"""The cost of a lake, object by object and day by day, at made-up prices.

Belongs here: the objects, the prices and the sums, without lake.cost's cohorts. Does not: comparing
them with the forecast.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from lake.config.retention import SnapshotRules
from lake.cost.policy import Policy
from lake.cost.prices import Region
from lake.cost.usage import Amount, Cell, Usage

NOW = datetime(2026, 11, 29, 5, tzinfo=UTC)
TODAY = NOW.date()
START, END = date(2026, 12, 1), date(2027, 12, 1)
KIB = 1024
GB = 2**30
REGION = Region.model_validate(
    {
        "name": "Test",
        "date": "2026-01-01",
        "class": {
            "STANDARD": {
                "put": 1, "get": 1,
                "tier": [
                    {"up_to_gb": 2, "storage": 8}, {"up_to_gb": 3, "storage": 4}, {"storage": 2},
                ],
            },
            "IA": {
                "put": 1, "get": 1, "move": 5, "storage": 1, "minimum_days": 30, "minimum_kib": 128,
            },
            "TIERED": {"put": 1, "get": 1, "move": 3, "storage": 1, "monitor": 4},
            "ARCHIVE": {
                "put": 1, "get": 1, "move": 7, "storage": 0.5, "minimum_days": 90,
                "overhead_kib": 32, "standard_overhead_kib": 8,
            },
        },
    }
)  # fmt: skip
MINIMUM_DAYS = {"STANDARD": 0, "IA": 30, "TIERED": 0, "ARCHIVE": 90}
MOVE = {"STANDARD": 0, "IA": 5, "TIERED": 3, "ARCHIVE": 7}
PLACES = [
    ("mongo", "events", "table", "table"),
    ("mongo", "events", "manifest", "table"),
    ("loki", "", "snapshot", "snapshot"),
    ("", "", "other", "other"),
]


def of(place: int, days_ago: int, size: int, storage_class="STANDARD", current=True):
    """One object."""
    return PLACES[place], TODAY - timedelta(days=days_ago), size, storage_class, current


def usage_of(objects) -> Usage:
    usage = Usage(NOW)
    for place, day, size, storage_class, current in objects:
        cell = Cell(*place, day, storage_class, current)
        usage.cells.setdefault(cell, Amount()).add(size)
    return usage


def billed(size: float, number: float, storage_class: str, small: bool) -> dict[str, float]:
    if storage_class == "IA" and small:
        return {"IA": number * 128 * KIB}
    if storage_class == "TIERED":
        return {"TIERED": size, "monitor": 0 if small else number}
    if storage_class == "ARCHIVE":
        return {"ARCHIVE": size + number * 32 * KIB, "STANDARD": number * 8 * KIB}
    return {storage_class: size}


def price(storage_class: str, size: float) -> float:
    if storage_class == "monitor":
        return size / 1000 * 4
    gb = size / GB
    if storage_class != "STANDARD":
        return gb * {"IA": 1, "TIERED": 1, "ARCHIVE": 0.5}[storage_class]
    return min(gb, 2) * 8 + max(0, min(gb, 3) - 2) * 4 + max(0, gb - 3) * 2


@dataclass(frozen=True)
class Portion:
    """An object, or a part of one that a later day adds."""

    place: tuple
    day: date
    size: float
    count: float
    storage_class: str
    small: bool
    last_age: int | None = None  # by rules

    def on(self, day: date, policy: Policy) -> tuple[bool, dict[str, float], float]:
        """Whether it is there, what is billed, what moving it costs on that day."""
        age = (day - self.day).days
        keep = policy.keep_days.get(self.place[3])
        if keep is None and self.last_age is not None:
            keep = self.last_age
        elif keep is None:
            keep = policy.of_dataset.get((self.place[1], self.place[3]), 10**6)
        after = policy.after_days.get(self.place[2], 0)
        target = policy.classes.get(self.place[2], "STANDARD")
        moves = (
            self.storage_class == "STANDARD" and target != "STANDARD" and not self.small
            and keep > after
        )  # fmt: skip
        if age < 1:
            return False, {}, 0
        where = target if moves and age > after else self.storage_class
        entered = after if where != self.storage_class else 0
        is_billed = age <= max(keep, entered + MINIMUM_DAYS[where])
        due = age == after + 1 or (day == TODAY and age > after)
        paid = self.count * MOVE[target] / 1000 if moves and due and age <= keep else 0
        lines = billed(self.size, self.count, where, self.small) if is_billed else {}
        return age <= keep, lines, paid


def portions_of(objects, policy: Policy) -> list[Portion]:
    """What is there, and what the days to come add."""
    there = [
        Portion(place, day, size, 1, storage_class, size < 128 * KIB)
        for place, day, size, storage_class, current in objects
        if current
    ]
    recent = defaultdict(list)
    for portion in there:
        if TODAY - timedelta(days=30) <= portion.day < TODAY:
            recent[portion.place].append(portion)
    added = []
    for place, listed in recent.items():
        days = {portion.day for portion in listed}
        share = policy.growth / (len(days) if place[1] else (TODAY - min(days)).days)
        for n in range((END - TODAY).days):
            day = TODAY + timedelta(days=n)
            added += [
                Portion(place, day, portion.size * share, share, "STANDARD", portion.small)
                for portion in listed
            ]
    return by_rules(there + added, policy)


def by_rules(portions: list[Portion], policy: Policy) -> list[Portion]:
    """With the age at which the snapshot rules take each: applied day by day, by hand."""
    ruled = {name for name, rules in policy.rules.items() if "snapshot" not in policy.keep_days}
    last_ages: dict[tuple[str, date], int] = {}
    for system in ruled:
        days = sorted(
            {t.day for t in portions if t.place[0] == system and t.place[3] == "snapshot"}
        )
        there: list[date] = []
        for n in range((END - TODAY).days):
            day = TODAY + timedelta(days=n)
            new = [d for d in days if d == day - timedelta(days=1) or (n == 0 and d < day)]
            there = kept_by_hand(policy.rules[system], there + new)
            needed = timedelta(days=policy.needed_days.get(system, 0))
            for d in days:
                if d < day and not any(d <= snapshot <= d + needed for snapshot in there):
                    last_ages.setdefault((system, d), (day - d).days - 1)
    return [
        dataclasses.replace(t, last_age=last_ages.get((t.place[0], t.day)))
        if t.place[3] == "snapshot"
        else t
        for t in portions
    ]


def kept_by_hand(rules: SnapshotRules, days: list[date]) -> list[date]:
    """The newest of each of the last days and months, as many as the rules name; while there are
    fewer, the very first one as well.
    """
    kept: set[date] = set()
    for number, period in ((rules.daily, "%Y-%m-%d"), (rules.monthly, "%Y-%m")):
        newest = {f"{day:{period}}": day for day in sorted(days)}
        last = sorted(newest.values())[-number:] if number else []
        kept |= {*last}
        if number and days and len(newest) < number:
            kept.add(min(days))
    return sorted(kept)


def noncurrent_of(objects, policy: Policy) -> tuple[float, dict[str, float]]:
    size, lines = 0.0, defaultdict(float)
    for _, _, object_size, storage_class, current in objects:
        if not current:
            size += object_size * policy.noncurrent
            for name, more in billed(
                object_size, 1, storage_class, object_size < 128 * KIB
            ).items():
                lines[name] += more * policy.noncurrent
    return size, lines


def by_hand(objects, policy: Policy):
    """Month → bytes at its end, cost of storage, cost of moving, cost of noncurrent versions."""
    portions = portions_of(objects, policy)
    fixed_size, fixed = noncurrent_of(objects, policy)
    months, sums, moves, number = {}, defaultdict(float), 0.0, 0
    for n in range((END - TODAY).days):
        day = TODAY + timedelta(days=n)
        stored = fixed_size
        for portion in portions:
            there, lines, paid = portion.on(day, policy)
            stored += portion.size if there else 0
            moves += paid
            for name, size in lines.items():
                sums[name] += size if day >= START else 0
        number += day >= START
        if number and (day + timedelta(days=1)).day == 1:
            names = {*sums, *fixed}
            alone = sum(price(name, sums[name] / number) for name in names)
            both = sum(price(name, sums[name] / number + fixed[name]) for name in names)
            months[f"{day:%Y-%m}"] = (stored, both, moves, both - alone)
            sums, moves, number = defaultdict(float), 0.0, 0
    return months
