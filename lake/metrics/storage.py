"""Metrics of what is stored and what it costs.

Belongs here: families of `lake metrics --storage`. Does not: counting and prices (lake.cost).
"""

from __future__ import annotations

from collections.abc import Sequence

from lake.config.settings import Settings
from lake.cost import make_report
from lake.cost.choosing import chosen_prices, policy_of
from lake.cost.report import CostReport, version_name
from lake.cost.usage import Amount
from lake.metrics.openmetrics import Family
from lake.store import Store

_PREFIX = "monitoring_lake_"


def storage_families(settings: Settings, store: Store) -> tuple[list[Family], str]:
    """The families, and a note on what they leave out ("": nothing). Lists every version below the
    root. Raises what the store raises, and UsageError for a region without prices.
    """
    prices = chosen_prices(settings, store)
    report = make_report(settings, store, prices, policy_of(settings))
    return [*_stored(report), *_growth(report), *_costs(report)], report.usage.note


def _stored(report: CostReport) -> Sequence[Family]:
    objects = Family(_PREFIX + "store_objects", "Number of objects and versions below the root.")
    size = Family(_PREFIX + "store_bytes", "Size of objects and versions below the root.", "bytes")
    names = ("system", "dataset", "kind", "storage_class", "version")
    sums: dict[tuple[str, str, str, str, str], Amount] = {}
    for cell, amount in report.usage.cells.items():
        values = (cell.system, cell.dataset, cell.kind, cell.storage_class, version_name(cell))
        sums.setdefault(values, Amount()).plus(amount)
    for key, amount in sorted(sums.items()):
        labels = dict(zip(names, key, strict=True))
        objects.add(int(amount.objects), **labels)
        size.add(int(amount.bytes), **labels)
    unfinished = Family(_PREFIX + "store_unfinished_uploads", "Number of unfinished uploads.")
    unfinished.add(report.usage.unfinished)
    at = Family(
        _PREFIX + "storage_timestamp_seconds", "Time at which the root was listed.", "seconds"
    )
    at.add(int(report.usage.at.timestamp()))
    return objects, size, unfinished, at


def _growth(report: CostReport) -> Sequence[Family]:
    size = Family(
        _PREFIX + "growth_bytes",
        "Mean size of a day's object over the exported days among the last 30 closed ones.",
        "bytes",
    )
    rows = Family(_PREFIX + "growth_rows", "Mean number of rows of a day, of the same days.")
    for growth in report.growth:
        labels = {"dataset": growth.dataset, "source": growth.source}
        size.add(growth.bytes_per_day_30, **labels)
        rows.add(growth.rows_per_day_30, **labels)
    return size, rows


def _costs(report: CostReport) -> Sequence[Family]:
    where = {"currency": report.prices.currency, "region": report.prices.code}
    now = Family(_PREFIX + "month_storage_cost", "Price of storing for a month what is stored now.")
    for storage_class, amount in report.now.items():
        now.add(amount, storage_class=storage_class, **where)
    noncurrent = Family(
        _PREFIX + "month_noncurrent_cost", "Part of it that noncurrent versions cause."
    )
    noncurrent.add(report.noncurrent_now, **where)
    requests = Family(
        _PREFIX + "month_request_cost", "Price of the next month's requests, by lake cost."
    )
    for operation in report.year.operations:
        requests.add(operation.cost, operation=operation.name, **where)
    year = Family(_PREFIX + "year_cost", "Price of the next twelve months, by lake cost.")
    year.add(report.year.total, **where)
    return now, noncurrent, requests, year
