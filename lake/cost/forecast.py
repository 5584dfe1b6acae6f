"""The next twelve months: what is stored on each day, and what each month costs.

Belongs here: cohorts by age, billed bytes. Does not: requests of exports and queries (requests).

Everything that is there now and everything that will be added is a cohort of one UTC day. On each
day of the forecast a cohort's age decides whether it is still kept, and in which class. A month
costs the mean of its days.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lake.cost.growth import Stream, daily
from lake.cost.policy import Policy
from lake.cost.prices import GB, STANDARD, Region
from lake.cost.usage import Amount, Kind, Usage

MONTHS = 12
_KIB = 1024
_FIELDS = ("objects", "bytes", "small_objects", "small_bytes")
_Days = npt.NDArray[np.float64]
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
        """Of the month."""
        return sum(self.storage.values()) + self.moves + self.requests

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**vars(self), "stored": self.stored, "total": self.total}


@dataclass
class _Stored:
    """Of each day of the forecast: `billed` bytes and `moved` objects by class, `bytes` and
    `objects` by kind and class.
    """

    number: int
    billed: dict[str, _Days] = field(default_factory=dict)
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
    for (stream, storage_class), cohorts in _cohorts(usage, policy, today, stored.number).items():
        _simulate(stored, stream, storage_class, cohorts, policy, region, today)
    noncurrent = _noncurrent(usage, policy, region)
    return [
        _month(month, today, stored, noncurrent, region, first=number == 0)
        for number, month in enumerate(months)
    ]


def month_now(usage: Usage, region: Region) -> dict[str, float]:
    """What a month costs with what is stored now, by class; noncurrent versions included."""
    billed: dict[str, float] = defaultdict(float)
    for cell, amount in usage.cells.items():
        for name, size in billed_bytes(amount, cell.storage_class, region).items():
            billed[name] += size
    return {name: region.class_named(name).month(size / GB) for name, size in billed.items()}


def billed_bytes(amount: Amount, storage_class: str, region: Region) -> dict[str, float]:
    """By class: what is billed for objects in one class."""
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
    region: Region, today: date,
) -> None:  # fmt: skip
    """Adds a stream's days. A cohort is stored from the day after its own on."""
    kind = stream.kind
    target = _target(kind, storage_class, policy)
    keep = policy.keep_days.get(stream.follows, math.inf)
    after = policy.after_days.get(kind, 0) if target != storage_class else math.inf
    if keep <= after:  # deleted before it would move
        after = math.inf
    # What is deleted early is billed until its class's minimum.
    own_end = max(keep, region.class_named(storage_class).minimum_days)
    target_end = max(keep, after + region.class_named(target).minimum_days)
    for n in range(stored.number):
        age = today.toordinal() + n - cohorts.days

        def amount(above: float, until: float, age: _Days = age) -> Amount:
            return _sum(cohorts, (age > above) & (age <= until))

        # Until `after` everything is in its own class; then small objects alone.
        own = amount(0, min(after, own_end))
        own.plus(_small(amount(after, own_end)))
        _bill(stored, own, storage_class, region, n)
        left = amount(0, min(after, keep))
        left.plus(_small(amount(after, keep)))
        _keep(stored, left, kind, storage_class, n)
        if after < math.inf:
            _bill(stored, _large(amount(after, target_end)), target, region, n)
            _keep(stored, _large(amount(after, keep)), kind, target, n)
            moving = _large(amount(after, keep if n == 0 else after + 1))
            stored.add(stored.moved, target, n, moving.objects)


def _target(kind: Kind, storage_class: str, policy: Policy) -> str:
    """What is in another class than STANDARD already stays there."""
    wanted = policy.classes.get(kind, STANDARD)
    return wanted if storage_class == STANDARD else storage_class


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


def _noncurrent(usage: Usage, policy: Policy, region: Region) -> tuple[float, dict[str, float]]:
    """Bytes, and billed bytes by class: as many as now, for as many expire as are added."""
    total, billed = 0.0, defaultdict[str, float](float)
    for cell, amount in usage.cells.items():
        if not cell.current:
            total += amount.bytes * policy.noncurrent
            for name, size in billed_bytes(amount, cell.storage_class, region).items():
                billed[name] += size * policy.noncurrent
    return total, billed


def _month(
    month: tuple[str, date, date], today: date, stored: _Stored,
    noncurrent: tuple[float, Mapping[str, float]], region: Region, *, first: bool,
) -> Month:  # fmt: skip
    name, start, end = month
    days = slice((start - today).days, (end - today).days)
    # What moves in the rest of this month is paid in the first one.
    paid = slice(0, days.stop) if first else days
    classes = {*stored.billed, *noncurrent[1]}
    mean = {
        storage_class: float(stored.billed[storage_class][days].mean())
        if storage_class in stored.billed
        else 0.0
        for storage_class in classes
    }
    alone = {c: region.class_named(c).month(mean[c] / GB) for c in classes}
    storage = {
        c: region.class_named(c).month((mean[c] + noncurrent[1].get(c, 0.0)) / GB)
        for c in sorted(classes)
    }
    moves = sum(
        float(objects[paid].sum()) / 1000 * region.class_named(c).move
        for c, objects in stored.moved.items()
    )
    return Month(
        name,
        (end - start).days,
        _at(stored.bytes, days.stop - 1),
        _at(stored.objects, days.stop - 1),
        noncurrent[0],
        storage,
        sum(storage[c] - alone[c] for c in classes),
        moves,
    )
