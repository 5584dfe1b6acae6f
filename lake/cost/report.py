"""Usage, growth, costs and forecast together.

Belongs here: putting them together, assumptions, JSON. Does not: each of them, pages (page).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lake.base.day import Day
from lake.config.settings import Settings
from lake.cost.forecast import Month, forecast, month_now
from lake.cost.growth import DatasetGrowth, daily, growth_of
from lake.cost.policy import Policy, changed, of_settings, with_classes
from lake.cost.prices import Prices
from lake.cost.requests import Operation, operations
from lake.cost.usage import Amount, Cell, Usage, read_usage
from lake.store import Store

NOT_CONFIGURED = "not configured"


@dataclass(frozen=True)
class Year:
    """Twelve months under one policy; `operations` are those of the first one."""

    policy: Policy
    months: list[Month]
    operations: list[Operation]

    @property
    def total(self) -> float:
        """The total of all months."""
        return sum(month.total for month in self.months)


@dataclass(frozen=True)
class CostReport:
    """`now` is what a month costs with what is stored now, by class, without requests; `what_if`
    a year with the changes, None where there are none.
    """

    root: str
    usage: Usage
    growth: list[DatasetGrowth]
    prices: Prices
    now: dict[str, float]
    noncurrent_now: float
    year: Year
    what_if: Year | None
    changes: tuple[str, ...]

    def assumptions(self) -> list[str]:
        """What the amounts rest on."""
        return _assumptions(self)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        total = self.usage.total
        return {
            "at": self.usage.at.isoformat(timespec="seconds"),
            "root": self.root,
            "prices": {
                "file": self.prices.file,
                "region": self.prices.code,
                "currency": self.prices.currency,
                "date": str(self.prices.region.date),
                "source": self.prices.source,
                "unconfirmed": list(self.prices.region.unconfirmed),
                "note": self.prices.note,
            },
            "usage": {
                "objects": total.objects,
                "bytes": total.bytes,
                "delete_markers": self.usage.delete_markers,
                "unfinished_uploads": self.usage.unfinished,
                "note": self.usage.note,
                "cells": _cells(self.usage),
            },
            "growth": [growth.to_json() for growth in self.growth],
            "month_now": {"storage": self.now, "noncurrent": self.noncurrent_now},
            "forecast": _year_json(self.year),
            "what_if": self.what_if and {
                "changes": list(self.changes),
                **_year_json(self.what_if),
                "difference": self.what_if.total - self.year.total,
            },
            "assumptions": self.assumptions(),
        }  # fmt: skip


def make_report(
    settings: Settings,
    store: Store,
    prices: Prices,
    policy: Policy,
    changes: Sequence[str] = (),
    now: datetime | None = None,
) -> CostReport:
    """Raises what the store raises, and UsageError: a class without a price, a wrong change."""
    usage = read_usage(settings, store, now)
    configured = with_classes(of_settings(settings), settings.bucket)
    wanted = changed(policy, changes, prices.region, configured)
    current = {cell: amount for cell, amount in usage.cells.items() if cell.current}
    everything = month_now(usage, prices.region)
    alone = month_now(replace(usage, cells=current), prices.region)
    return CostReport(
        settings.lake.root,
        usage,
        growth_of(settings, store, Day(usage.at.date())),
        prices,
        everything,
        sum(everything.values()) - sum(alone.values()),
        _year(settings, usage, policy, prices),
        _year(settings, usage, wanted, prices) if changes else None,
        tuple(changes),
    )


def _year(settings: Settings, usage: Usage, policy: Policy, prices: Prices) -> Year:
    added = daily(usage, usage.at.date())
    months, first = [], None
    for month in forecast(usage, policy, prices.region):
        of_month = operations(settings, month, added, policy, prices.region)
        first = first or of_month
        months.append(replace(month, requests=sum(operation.cost for operation in of_month)))
    return Year(policy, months, first or [])


def _year_json(year: Year) -> dict[str, Any]:
    return {
        "policy": year.policy.to_json(),
        "months": [month.to_json() for month in year.months],
        "first_month_requests": [operation.to_json() for operation in year.operations],
        "total": year.total,
    }


def month_name(cell: Cell) -> str:
    """YYYY-MM of the cell's day."""
    return f"{cell.day:%Y-%m}"


def version_name(cell: Cell) -> str:
    """Whether a version is what a read returns."""
    return "current" if cell.current else "noncurrent"


def _cells(usage: Usage) -> list[dict[str, Any]]:
    """By month instead of by day."""
    sums: dict[tuple[str, ...], Amount] = {}
    for cell, amount in usage.cells.items():
        key = (cell.system, cell.dataset, cell.kind, month_name(cell), cell.storage_class,
               version_name(cell))  # fmt: skip
        sums.setdefault(key, Amount()).plus(amount)
    names = ("system", "dataset", "kind", "month", "storage_class", "version")
    return [
        {**dict(zip(names, key, strict=True)), "objects": amount.objects, "bytes": amount.bytes}
        for key, amount in sorted(sums.items())
    ]


def _assumptions(report: CostReport) -> list[str]:
    policy, prices = report.year.policy, report.prices
    listed = [
        f"Prices of {prices.region.name} ({prices.code}) by the price list of "
        f"{prices.region.date}, in {prices.currency}, without taxes, discounts, free tier, data "
        f"transfer and KMS. Compare them with {prices.source}.",
        f"Policy: {policy.kept()}. Holds are not taken into account.",
        "Each day adds what the last 30 closed days added: for a dataset the mean of its exported "
        "days, for snapshots and other objects the sum divided by the number of days.",
        f"New objects are written to STANDARD: {policy.moved()}. Objects in another class stay "
        "there. Objects below 128 KiB do not move. INTELLIGENT_TIERING is priced at its frequent "
        "tier.",
        "What is deleted before its class's minimum duration is billed until then. Where a class "
        "has a minimum size, smaller objects are billed as that.",
        "The number of noncurrent versions stays as it is now, and deleted objects are taken to "
        "cost nothing from then on. In a versioned bucket they are billed until the lifecycle "
        "removes them: tables after [bucket] noncurrent_days, snapshots after "
        "snapshots_noncurrent_days, where 0 is for ever.",
        "Requests: an export of each dataset a day, a re-count of each day inside the lateness "
        f"window a day, a snapshot of each system a day, {policy.queries_per_day:g} queries a day "
        f"over {policy.query_days} days of one dataset, lake metrics "
        f"{policy.metrics_per_day:g} times a day, the ledger checked for alerts "
        f"{policy.alerts_per_day:g} times a day (both read every manifest), lake verify once a "
        "week. Each operation's requests were counted in front of a real S3 server. Not included: "
        "the expiry guard, restores and replays.",
        "The manifests of tables, rollups and snapshots are deleted with them. Objects that a "
        "snapshot stored are taken to be needed by the snapshots of the next [hot] days.",
    ]
    if prices.region.unconfirmed:
        listed.append("Not compared with that list: " + "; ".join(prices.region.unconfirmed) + ".")
    return [*listed, *filter(None, (prices.note, report.usage.note))]
