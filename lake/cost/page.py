"""The report as one HTML page.

Belongs here: its content. Does not: its look (lake.pages), the amounts (report).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape

from lake.base.sizes import size
from lake.cost.report import NOT_CONFIGURED, CostReport, Year, month_name, version_name
from lake.cost.usage import KINDS, Amount, Cell, Usage
from lake.pages import document, notes, section, stacked_bars, table

_MONTHS_SHOWN = 36
_OTHERS = "before"


def render(report: CostReport) -> str:
    """The page."""
    usage = report.usage
    return document(
        "Capacity and cost of the lake",
        [
            f'<p class="quiet"><code>{escape(report.root)}</code>, listed '
            f"{usage.at:%Y-%m-%d %H:%M} UTC</p>",
            "".join(_cards(report)),
            _what_if(report),
            section("What is stored", _by_month(usage), *_usage_tables(usage)),
            section("Growth", _growth(report)),
            section(
                "The next twelve months",
                _forecast_plot(report),
                _capacity_plot(report.year, report),
                _forecast_table(report.year, report),
            ),
            section("Requests of the first month", _requests(report)),
            section("Assumptions", notes(report.assumptions())),
        ],
        f"monitoring-lake; prices of {report.prices.code}, {report.prices.region.date}",
    )


def money(report: CostReport) -> Callable[[float], str]:
    """An amount as text."""
    unit = report.prices.currency
    sign = "$" if unit == "USD" else ""

    def shown(amount: float) -> str:
        digits = 0 if abs(amount) >= 1000 else 2 if abs(amount) >= 0.01 or not amount else 4
        text = f"{abs(amount):,.{digits}f}"
        minus = "−" if amount < 0 else ""
        return f"{minus}{sign}{text}" if sign else f"{minus}{text} {unit}"

    return shown


def _cards(report: CostReport) -> Iterator[str]:
    shown, total = money(report), report.usage.total
    first = report.year.months[0]
    cards = {
        "stored": (size(total.bytes), f"{total.objects:,.0f} objects and versions"),
        "storage a month, now": (
            shown(sum(report.now.values())),
            f"{shown(report.noncurrent_now)} of it noncurrent versions",
        ),
        f"requests in {first.month}": (shown(first.requests), "by the schedule below"),
        "the next twelve months": (shown(report.year.total), report.year.policy.kept()),
    }
    yield '<div class="cards">'
    for name, (value, text) in cards.items():
        yield (
            f'<div class="card"><span class="quiet">{escape(name)}</span><b>{escape(value)}</b>'
            f"{escape(text)}</div>"
        )
    yield "</div>"


def _what_if(report: CostReport) -> str:
    if report.what_if is None:
        return ""
    shown, difference = money(report), report.what_if.total - report.year.total
    word = "less" if difference < 0 else "more"
    rows = [
        [old.month, shown(old.total), shown(new.total), shown(new.total - old.total)]
        for old, new in zip(report.year.months, report.what_if.months, strict=True)
    ]
    return section(
        "What if",
        f'<p class="verdict">{escape(", ".join(report.changes))}: {shown(abs(difference))} {word} '
        f"in twelve months</p>",
        stacked_bars(
            [f"{old.month}" for old in report.year.months],
            {
                "storage": [sum(month.storage.values()) for month in report.what_if.months],
                "requests": [month.requests for month in report.what_if.months],
                "changes of class": [month.moves for month in report.what_if.months],
            },
            shown,
            "Cost of each month with the change",
        ),
        table(
            ["month", "as it is", "with the change", "difference"],
            rows,
            numbers=(1, 2, 3),
            total=[
                "twelve months",
                shown(report.year.total),
                shown(report.what_if.total),
                shown(difference),
            ],
        ),
    )


def _by_month(usage: Usage) -> str:
    """Stored bytes by month of the data and kind; months long ago are one bar."""
    months = sorted({month_name(cell) for cell in usage.cells})
    shown = months[-_MONTHS_SHOWN:]
    earlier = len(months) > len(shown)
    sums: dict[str, dict[str, float]] = {
        kind: dict.fromkeys([*([_OTHERS] if earlier else []), *shown], 0.0) for kind in KINDS
    }
    for cell, amount in usage.cells.items():
        name = month_name(cell)
        sums[cell.kind][name if name in shown else _OTHERS] += amount.bytes
    labels = list(next(iter(sums.values())))
    return stacked_bars(
        labels,
        {kind: list(values.values()) for kind, values in sums.items()},
        size,
        "Bytes by month of the data; snapshots by the month in which they were taken",
    )


def _usage_tables(usage: Usage) -> Iterator[str]:
    for heading, key in groupings().items():
        rows = [
            [escape(name), f"{amount.objects:,.0f}", size(amount.bytes), _share(amount, usage)]
            for name, amount in usage.by(key).items()
        ]
        yield table([heading, "objects", "bytes", "share"], rows, numbers=(1, 2, 3))
    if usage.delete_markers or usage.unfinished:
        counts = [f"{usage.delete_markers:,} delete markers"]
        if usage.unfinished is not None:
            counts.append(f"{usage.unfinished:,} unfinished uploads")
        yield f'<p class="quiet">{", ".join(counts)}</p>'


def groupings() -> Mapping[str, Callable[[Cell], str]]:
    """What a cell is counted by, in the order of the tables."""
    return {
        "kind": lambda cell: cell.kind,
        "system": lambda cell: cell.system or _place(cell),
        "dataset": lambda cell: cell.dataset or (f"({_place(cell)})"),
        "storage class": lambda cell: cell.storage_class,
        "versions": version_name,
    }


def _place(cell: Cell) -> str:
    if cell.system:
        return f"{cell.system} as a whole"
    return NOT_CONFIGURED if cell.dataset else "the lake's own"


def _share(amount: Amount, usage: Usage) -> str:
    return f"{amount.bytes / (usage.total.bytes or 1):.1%}"


def _growth(report: CostReport) -> str:
    def mean(number: float | None, unit: Callable[[float], str]) -> str:
        return "–" if number is None else unit(number)

    def rows_of(number: float) -> str:
        return f"{number:,.0f}"

    rows = [
        [
            escape(growth.dataset),
            growth.source,
            mean(growth.bytes_per_day_30, size),
            mean(growth.bytes_per_day_90, size),
            mean(growth.rows_per_day_30, rows_of),
            mean(growth.rows_per_day_90, rows_of),
        ]
        for growth in report.growth
    ]
    heads = [
        "dataset",
        "system",
        "bytes a day, 30 days",
        "90 days",
        "rows a day, 30 days",
        "90 days",
    ]
    return table(heads, rows, numbers=(2, 3, 4, 5))


def _forecast_plot(report: CostReport) -> str:
    months = report.year.months
    classes = sorted({name for month in months for name in month.storage})
    return stacked_bars(
        [month.month for month in months],
        {
            **{
                f"storage, {name}": [month.storage.get(name, 0.0) for month in months]
                for name in classes
            },
            "requests": [month.requests for month in months],
            "changes of class": [month.moves for month in months],
        },
        money(report),
        f"Cost of each month; {report.year.policy.kept()}",
    )


def _capacity_plot(year: Year, report: CostReport) -> str:
    months = year.months
    return stacked_bars(
        [month.month for month in months],
        {
            **{
                kind: [sum(month.bytes.get(kind, {}).values()) for month in months]
                for kind in KINDS
            },
            "noncurrent versions": [month.noncurrent_bytes for month in months],
        },
        size,
        f"Bytes at the end of each month, from {size(report.usage.total.bytes)} now",
    )


def _forecast_table(year: Year, report: CostReport) -> str:
    shown = money(report)
    rows = [
        [
            month.month,
            size(month.stored),
            shown(sum(month.storage.values())),
            shown(month.noncurrent),
            shown(month.moves),
            shown(month.requests),
            shown(month.total),
        ]
        for month in year.months
    ]
    heads = ["month", "stored at its end", "storage", "of it noncurrent", "changes of class",
             "requests", "total"]  # fmt: skip
    total = ["twelve months", "", "", "", "", "", shown(year.total)]
    return table(heads, rows, numbers=range(1, 7), total=total)


def _requests(report: CostReport) -> str:
    shown = money(report)
    rows = [
        [
            operation.name,
            f"{operation.requests.put:,.0f}",
            f"{operation.requests.list:,.0f}",
            f"{operation.requests.get:,.0f}",
            size(operation.read_bytes) if operation.read_bytes else "–",
            shown(operation.cost),
        ]
        for operation in report.year.operations
    ]
    return table(
        ["operation", "PUT", "LIST", "GET", "bytes read", "cost"], rows, numbers=(1, 2, 3, 4, 5)
    )
