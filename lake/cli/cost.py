"""`lake cost`.

Belongs here: options, the tables on a terminal. Does not: what is counted and what it costs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lake.base.sizes import size
from lake.cli.completing import FileType
from lake.cli.options import config_option, json_option
from lake.cli.writing import write_file

if TYPE_CHECKING:
    from lake.cost import CostReport, Usage
    from lake.cost.report import Year

_MONTHS = 12


@click.command()
@click.option(
    "--html", "html", type=FileType(), metavar="FILE", help="Writes a page with plots to FILE."
)
@click.option(
    "--prices",
    "prices_file",
    type=FileType(),
    metavar="FILE",
    help="Price file (default: the one that comes with the package).",
)
@click.option(
    "--region",
    metavar="REGION",
    help="Region of the prices (default: [s3] region, or that of the AWS configuration).",
)
@click.option(
    "--what-if",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Also forecasts with this change; repeatable.",
)
@json_option
@config_option
def cost(
    html: str | None,
    prices_file: str | None,
    region: str | None,
    changes: tuple[str, ...],
    as_json: bool,
    config: str | None,
) -> None:
    """Shows stored bytes, their cost and a forecast of 12 months.

    \b
    Bytes and objects by kind, system, dataset, storage class, version and month;
    daily growth of each dataset, from its manifests;
    cost of storage and requests in each of the next twelve months, under the
    retention policy.

    \b
    Changes for --what-if (KIND: tables, rollups, snapshots):
      retention=configured     the times and rules of [retention], where it is not
                               enabled
      bucket=configured        the storage classes of [bucket], where it is not
                               configured
      retention.KIND=1y        age at which objects are deleted (d, w, m, y,
                               forever)
      class.KIND=GLACIER_IR    storage class
      after.KIND=30d           age at which objects move to that class
      noncurrent=0.5           factor for noncurrent versions
      growth=2                 factor for the data added per day
      queries.per_day=100, queries.days=30, metrics.per_day=24, alerts.per_day=0

    Cost: one LIST request for each 1,000 versions below the root, and the manifests of the last
    90 days.

    \b
    Example:  lake cost --what-if retention.snapshots=90d --html cost.html
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.cost import make_report  # noqa: PLC0415
    from lake.cost.choosing import chosen_prices, policy_of  # noqa: PLC0415
    from lake.cost.page import render  # noqa: PLC0415
    from lake.export import Exporter  # noqa: PLC0415

    settings = load(config)
    with closing(Exporter(settings)) as exporter:
        prices = chosen_prices(settings, exporter.store, prices_file, region)
        report = make_report(settings, exporter.store, prices, policy_of(settings), changes)
    if html:
        write_file(Path(html), render(report))
        click.echo(f"wrote {html}", err=True)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=1))
    else:
        for line in _lines(report):
            click.echo(line)


def _lines(report: CostReport) -> Iterator[str]:
    from lake.cost.page import groupings, money  # noqa: PLC0415

    shown, usage = money(report), report.usage
    total = usage.total
    yield f"{report.root}: {total.objects:,.0f} objects and versions, {size(total.bytes)}"
    for heading, key in groupings().items():
        yield ""
        rows = [
            (name, f"{amount.objects:,.0f}", size(amount.bytes))
            for name, amount in usage.by(key).items()
        ]
        yield from _aligned([(f"by {heading}", "objects", "bytes"), *rows])
    yield ""
    yield from _aligned([("by month", "objects", "bytes"), *_months(usage)])
    yield ""
    yield from _aligned(
        [
            ("growth a day", "30 days", "90 days", "rows, 30 days"),
            *(
                (
                    growth.dataset,
                    _mean(growth.bytes_per_day_30),
                    _mean(growth.bytes_per_day_90),
                    "–" if growth.rows_per_day_30 is None else f"{growth.rows_per_day_30:,.0f}",
                )
                for growth in report.growth
            ),
        ]
    )
    yield ""
    yield (
        f"storage of a month as it is now: {shown(sum(report.now.values()))}, "
        f"{shown(report.noncurrent_now)} of it noncurrent versions"
    )
    yield ""
    yield from _forecast(report, report.year, "forecast")
    if report.what_if:
        yield ""
        yield from _forecast(report, report.what_if, "what if")
        difference = report.what_if.total - report.year.total
        yield f"{', '.join(report.changes)}: {shown(difference)} in twelve months"
    yield ""
    yield from _aligned(
        [
            (f"requests in {report.year.months[0].month}", "PUT", "LIST", "GET", "cost"),
            *(
                (
                    operation.name,
                    f"{operation.requests.put:,.0f}",
                    f"{operation.requests.list:,.0f}",
                    f"{operation.requests.get:,.0f}",
                    shown(operation.cost),
                )
                for operation in report.year.operations
            ),
        ]
    )
    yield ""
    yield "assumptions"
    for assumption in report.assumptions():
        yield from click.wrap_text(assumption, 96, "  - ", "    ").splitlines()


def _months(usage: Usage) -> Iterator[tuple[str, str, str]]:
    """The last twelve, and those before together."""
    from lake.cost.report import month_name  # noqa: PLC0415

    months = sorted(usage.by(month_name).items())
    earlier = [amount for _, amount in months[:-_MONTHS]]
    if earlier:
        objects, stored = (sum(getattr(a, name) for a in earlier) for name in ("objects", "bytes"))
        yield f"before {months[-_MONTHS][0]}", f"{objects:,.0f}", size(stored)
    for name, amount in months[-_MONTHS:]:
        yield name, f"{amount.objects:,.0f}", size(amount.bytes)


def _forecast(report: CostReport, year: Year, heading: str) -> Iterator[str]:
    from lake.cost.page import money  # noqa: PLC0415

    shown = money(report)
    rows = [
        (
            month.month,
            size(month.stored),
            shown(sum(month.storage.values()) + month.moves),
            shown(month.requests),
            shown(month.total),
        )
        for month in year.months
    ]
    head = (heading, "stored", "storage", "requests", "total")
    yield from _aligned([head, *rows, ("twelve months", "", "", "", shown(year.total))])


def _mean(number: float | None) -> str:
    return "–" if number is None else size(number)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells]).rstrip()
