"""The next twelve months: what is stored on each day, and what each month costs.

Belongs here: cohorts by age, billed bytes. Does not: requests of exports and queries (requests).

Everything that is there now and everything that will be added is a cohort of one UTC day. On each
day of the forecast a cohort's age decides whether it is still kept, and in which class. A month
costs the mean of its days.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lake.base.day import Day
from lake.config.retention import SnapshotRules
from lake.cost.growth import Stream, daily
from lake.cost.policy import Policy
from lake.cost.prices import GB, STANDARD, Region
from lake.cost.usage import Amount, Cell, Kind, Usage
from lake.retention.rules import kept_days

MONTHS = 12
_KIB = 1024
_FIELDS = ("objects", "bytes", "small_objects", "small_bytes")
_Days = npt.NDArray[np.float64]
_Limit = float | _Days
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class Month:
    """A calendar month. `bytes` and `objects` are those stored at its end, by kind and class,
    noncurrent versions in `noncurrent_bytes`; the others are money. `storage` is by class,
    `noncurrent` a part of it.
    """

    month: str
    days: int
    bytes: dict[Kind, dict[str, float]]
    objects: dict[Kind, dict[str, float]]
    noncurrent_bytes: float
    storage: dict[str, float]
    noncurrent: float
    moves: float
    requests: float = 0

    @property
    def stored(self) -> float:
        """Bytes at its end, noncurrent versions included."""
        current = sum(sum(by_class.values()) for by_class in self.bytes.values())
        return current + self.noncurrent_bytes

    @property
    def total(self) -> float:
        """The month's total."""
        return sum(self.storage.values()) + self.moves + self.requests

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**vars(self), "stored": self.stored, "total": self.total}


@dataclass
class _Stored:
    """Of each day of the forecast: `billed` bytes, `monitored` and `moved` objects by class,
    `bytes` and `objects` by kind and class.
    """

    number: int
    billed: dict[str, _Days] = field(default_factory=dict)
    monitored: dict[str, _Days] = field(default_factory=dict)
    moved: dict[str, _Days] = field(default_factory=dict)
    bytes: dict[tuple[Kind, str], _Days] = field(default_factory=dict)
    objects: dict[tuple[Kind, str], _Days] = field(default_factory=dict)

    def add(self, series: dict[_Key, _Days], name: _Key, n: int, value: float) -> None:
        """To day `n` of one of these."""
        if name not in series:
            series[name] = np.zeros(self.number)
        series[name][n] += value


@dataclass(frozen=True)
class _Cohorts:
    """Of one stream in one class: days as numbers, and the amounts of each."""

    days: _Days
    amounts: dict[str, _Days]


def months_of(today: date) -> list[tuple[str, date, date]]:
    """The twelve calendar months after this one: name, first day, day after the last."""
    months = []
    start = _next_month(today)
    for _ in range(MONTHS):
        end = _next_month(start)
        months.append((f"{start:%Y-%m}", start, end))
        start = end
    return months


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def forecast(usage: Usage, policy: Policy, region: Region) -> list[Month]:
    """Without requests. Raises UsageError where a class has no price."""
    today = usage.at.date()
    months = months_of(today)
    stored = _Stored((months[-1][2] - today).days)
    all_cohorts = _cohorts(usage, policy, today, stored.number)
    by_rules = _by_rules(all_cohorts, policy, today, stored.number)
    for (stream, storage_class), cohorts in all_cohorts.items():
        own = _ends(stream, cohorts.days, policy, by_rules)
        _simulate(stored, stream, storage_class, cohorts, policy, region, own, today)
    return [
        _month(month, today, stored, usage, policy, region, first=number == 0)
        for number, month in enumerate(months)
    ]


def month_now(usage: Usage, region: Region) -> dict[str, float]:
    """What a month costs with what is stored now, by class; noncurrent versions included."""
    return _prices(*_billed(usage.cells.items(), region), region)


def _billed(
    cells: Iterable[tuple[Cell, Amount]], region: Region, factor: float = 1.0
) -> tuple[dict[str, float], dict[str, float]]:
    """Bytes, and monitored objects, by class."""
    billed: dict[str, float] = defaultdict(float)
    monitored: dict[str, float] = defaultdict(float)
    for cell, amount in cells:
        for name, size in billed_bytes(amount, cell.storage_class, region).items():
            billed[name] += size * factor
        monitored[cell.storage_class] += _large(amount).objects * factor
    return billed, monitored


def _prices(
    billed: Mapping[str, float], monitored: Mapping[str, float], region: Region
) -> dict[str, float]:
    """A month's price of these bytes and objects, by class."""
    return {
        name: rules.month(size / GB) + monitored.get(name, 0.0) / 1000 * rules.monitor
        for name, size in sorted(billed.items())
        if (rules := region.class_named(name))
    }


def billed_bytes(amount: Amount, storage_class: str, region: Region) -> dict[str, float]:
    """The bytes that are billed for objects in one class, by class."""
    rules = region.class_named(storage_class)
    size = amount.bytes
    if rules.minimum_kib:
        size += amount.small_objects * rules.minimum_kib * _KIB - amount.small_bytes
    billed = {storage_class: size + amount.objects * rules.overhead_kib * _KIB}
    if rules.standard_overhead_kib:
        more = amount.objects * rules.standard_overhead_kib * _KIB
        billed[STANDARD] = billed.get(STANDARD, 0) + more
    return billed


def _cohorts(
    usage: Usage, policy: Policy, today: date, number: int
) -> dict[tuple[Stream, str], _Cohorts]:
    """What is there, and for each day to come what is added: in STANDARD, as the lake writes it."""
    days: dict[tuple[Stream, str], list[tuple[int, Amount]]] = defaultdict(list)
    for cell, amount in usage.cells.items():
        if cell.current:
            stream = Stream(cell.system, cell.dataset, cell.kind, cell.follows)
            days[stream, cell.storage_class].append((cell.day.toordinal(), amount))
    for stream, amount in daily(usage, today).items():
        more = Amount(*(getattr(amount, name) * policy.growth for name in _FIELDS))
        first = today.toordinal()
        days[stream, STANDARD] += [(first + n, more) for n in range(number)]
    return {
        key: _Cohorts(
            np.array([day for day, _ in listed], dtype=float),
            {
                name: np.array([getattr(amount, name) for _, amount in listed], dtype=float)
                for name in _FIELDS
            },
        )
        for key, listed in days.items()
    }


def _simulate(
    stored: _Stored, stream: Stream, storage_class: str, cohorts: _Cohorts, policy: Policy,
    region: Region, ends: _Days, today: date,
) -> None:  # fmt: skip
    """Adds a stream's days. A cohort is stored from the day after its own on, until its end."""
    kind = stream.kind
    target = _target(kind, storage_class, policy)
    after = policy.after_days.get(kind, 0) if target != storage_class else math.inf
    moves = ends > after  # the others are deleted before they would
    entered = np.where(moves, after, math.inf)
    # What is deleted early is billed until its class's minimum.
    own_end = np.maximum(ends, region.class_named(storage_class).minimum_days)
    target_end = np.maximum(ends, after + region.class_named(target).minimum_days)
    for n in range(stored.number):
        age = today.toordinal() + n - cohorts.days

        def amount(above: _Limit, until: _Limit, age: _Days = age) -> Amount:
            return _sum(cohorts, (age > above) & (age <= until))

        # Until it moves everything is in its own class; then small objects alone.
        own = amount(0, np.minimum(entered, own_end))
        own.plus(_small(amount(entered, own_end)))
        _bill(stored, own, storage_class, region, n)
        left = amount(0, np.minimum(entered, ends))
        left.plus(_small(amount(entered, ends)))
        _keep(stored, left, kind, storage_class, n)
        if after < math.inf:
            _bill(stored, _large(amount(entered, target_end)), target, region, n)
            _keep(stored, _large(amount(entered, ends)), kind, target, n)
            moving = _large(amount(entered, ends if n == 0 else np.minimum(entered + 1, ends)))
            stored.add(stored.moved, target, n, moving.objects)


def _ends(
    stream: Stream, days: _Days, policy: Policy, by_rules: Mapping[str, Mapping[int, float]]
) -> _Days:
    """The last age in days at which each cohort is there."""
    if stream.follows == "snapshot" and stream.system in by_rules:
        ends = by_rules[stream.system]
        return np.array([ends[int(day)] for day in days])
    return np.full(days.shape, policy.keep(stream.dataset, stream.follows))


def _target(kind: Kind, storage_class: str, policy: Policy) -> str:
    """What is in another class than STANDARD already stays there."""
    wanted = policy.classes.get(kind, STANDARD)
    return wanted if storage_class == STANDARD else storage_class


def _by_rules(
    all_cohorts: Mapping[tuple[Stream, str], _Cohorts], policy: Policy, today: date, number: int
) -> dict[str, dict[int, float]]:
    """System → day → the last age at which what was stored on that day is there."""
    days: dict[str, set[int]] = defaultdict(set)
    for (stream, _), cohorts in all_cohorts.items():
        if stream.follows == "snapshot" and policy.rules_of(stream.system):
            days[stream.system] |= {int(day) for day in cohorts.days}
    return {
        system: ends_by_rules(
            rules, of_system, policy.needed_days.get(system, 0), today.toordinal(), number
        )
        for system, of_system in days.items()
        if (rules := policy.rules_of(system))
    }


def ends_by_rules(
    rules: SnapshotRules, days: Collection[int], needed_days: int, first: int, number: int
) -> dict[int, float]:
    """The rules are applied on each day of the forecast, to the snapshots that are left.

    What was stored on a day stays while a snapshot is kept of one of the `needed_days` from that
    day on: later snapshots share it.
    """
    ends = dict.fromkeys(days, math.inf)
    left: set[int] = set()
    waiting = sorted(days)
    for today in range(first, first + number):
        while waiting and waiting[0] < today:
            left.add(waiting.pop(0))
        kept = {day.date.toordinal() for day in kept_days(rules, map(_day, left))}
        needed = sorted(kept)
        for day in [day for day, end in ends.items() if end == math.inf and day < today]:
            place = bisect_left(needed, day)
            if place == len(needed) or needed[place] > day + needed_days:
                ends[day] = today - 1 - day
        left = kept
    return ends


def _day(ordinal: int) -> Day:
    return Day(date.fromordinal(ordinal))


def _sum(cohorts: _Cohorts, chosen: npt.NDArray[np.bool_]) -> Amount:
    return Amount(*(float(cohorts.amounts[name][chosen].sum()) for name in _FIELDS))


def _large(amount: Amount) -> Amount:
    return Amount(amount.objects - amount.small_objects, amount.bytes - amount.small_bytes)


def _small(amount: Amount) -> Amount:
    return Amount(
        amount.small_objects, amount.small_bytes, amount.small_objects, amount.small_bytes
    )


def _bill(stored: _Stored, amount: Amount, storage_class: str, region: Region, n: int) -> None:
    for name, size in billed_bytes(amount, storage_class, region).items():
        stored.add(stored.billed, name, n, size)
    if region.class_named(storage_class).monitor:
        stored.add(stored.monitored, storage_class, n, _large(amount).objects)


def _keep(stored: _Stored, amount: Amount, kind: Kind, storage_class: str, n: int) -> None:
    stored.add(stored.bytes, (kind, storage_class), n, amount.bytes)
    stored.add(stored.objects, (kind, storage_class), n, amount.objects)


def _at(series: Mapping[tuple[Kind, str], _Days], n: int) -> dict[Kind, dict[str, float]]:
    """Kind → class → value on that day, without zeros."""
    values: dict[Kind, dict[str, float]] = {}
    for (kind, storage_class), days in sorted(series.items()):
        if days[n]:
            values.setdefault(kind, {})[storage_class] = float(days[n])
    return values


def _month(
    month: tuple[str, date, date], today: date, stored: _Stored, usage: Usage, policy: Policy,
    region: Region, *, first: bool,
) -> Month:  # fmt: skip
    name, start, end = month
    days = slice((start - today).days, (end - today).days)
    # What moves in the rest of this month is paid in the first one.
    paid = slice(0, days.stop) if first else days
    billed, monitored = _means(stored.billed, days), _means(stored.monitored, days)
    # Noncurrent versions: as many as now, for as many expire as are added.
    earlier = [(cell, amount) for cell, amount in usage.cells.items() if not cell.current]
    more, more_monitored = _billed(earlier, region, policy.noncurrent)
    alone = _prices(billed, monitored, region)
    storage = _prices(_sums(billed, more), _sums(monitored, more_monitored), region)
    moves = sum(
        float(objects[paid].sum()) / 1000 * region.class_named(c).move
        for c, objects in stored.moved.items()
    )
    return Month(
        name,
        (end - start).days,
        _at(stored.bytes, days.stop - 1),
        _at(stored.objects, days.stop - 1),
        sum(amount.bytes for _, amount in earlier) * policy.noncurrent,
        storage,
        sum(storage.values()) - sum(alone.values()),
        moves,
    )


def _means(series: Mapping[str, _Days], days: slice) -> dict[str, float]:
    return {name: float(values[days].mean()) for name, values in series.items()}


def _sums(left: Mapping[str, float], right: Mapping[str, float]) -> dict[str, float]:
    return {name: left.get(name, 0.0) + right.get(name, 0.0) for name in {*left, *right}}
