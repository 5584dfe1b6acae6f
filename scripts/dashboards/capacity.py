"""The dashboard of capacity and cost.

Belongs here: queries of `lake metrics --storage`. Does not: those of coverage.
"""

from __future__ import annotations

import parts
from grafana_foundation_sdk.builders.dashboard import Dashboard

_BYTES = 'monitoring_lake_store_bytes{system=~"$system"}'
_OBJECTS = 'monitoring_lake_store_objects{system=~"$system"}'


def dashboard() -> Dashboard:
    """What is stored, how it grows, what it costs."""
    board = (
        parts.new(
            "monitoring-lake-capacity",
            "Lake: capacity and cost",
            "From lake metrics --storage: bytes and objects of every version, growth, and costs by "
            "the price file of lake cost.",
            ["lake"],
        )
        .time("now-90d", "now")
        .refresh("1h")
        .with_variable(parts.source("metrics", "Prometheus", "prometheus"))
        .with_variable(
            parts.chosen(
                "system",
                "System",
                "label_values(monitoring_lake_store_bytes, system)",
                parts.PROMETHEUS,
            ).all_value(".*")
        )
    )
    return parts.with_rows(board, _rows())


def _rows() -> list[parts.Row]:
    return [
        (
            "",
            [
                parts.stat_panel("Stored", (f"sum({_BYTES})", ""), "decbytes"),
                parts.stat_panel("Objects and versions", (f"sum({_OBJECTS})", ""), "short"),
                parts.stat_panel(
                    "A month now",
                    (
                        "sum(monitoring_lake_month_storage_cost) + "
                        "sum(monitoring_lake_month_request_cost)",
                        "",
                    ),
                    "currencyUSD",
                    description="Storage of what is there now, and the next month's requests.",
                ),
                parts.stat_panel(
                    "The next twelve months",
                    ("sum(monitoring_lake_year_cost)", ""),
                    "currencyUSD",
                    description="By the forecast of lake cost.",
                ),
            ],
        ),
        (
            "Capacity",
            [
                parts.lines(
                    "By kind", [(f"sum by (kind) ({_BYTES})", "{{kind}}")], "decbytes", stacked=True
                ),
                parts.lines(
                    "By dataset",
                    [(f"sum by (system, dataset) ({_BYTES})", "{{system}} {{dataset}}")],
                    "decbytes",
                    stacked=True,
                ),
                parts.lines(
                    "By storage class",
                    [(f"sum by (storage_class) ({_BYTES})", "{{storage_class}}")],
                    "decbytes",
                    stacked=True,
                ),
                parts.lines(
                    "Current and noncurrent versions",
                    [(f"sum by (version) ({_BYTES})", "{{version}}")],
                    "decbytes",
                    stacked=True,
                ),
                parts.lines("Objects", [(f"sum by (kind) ({_OBJECTS})", "{{kind}}")], "short"),
                parts.lines(
                    "In 90 days, as the last 30 grew",
                    [
                        (f"sum(predict_linear({_BYTES}[30d], 90 * 86400))", "stored in 90 days"),
                        (f"sum({_BYTES})", "stored"),
                    ],
                    "decbytes",
                ),
            ],
        ),
        (
            "Growth",
            [
                parts.lines(
                    "Bytes a day",
                    [("monitoring_lake_growth_bytes", "{{dataset}}")],
                    "decbytes",
                    stacked=True,
                ),
                parts.lines(
                    "Rows a day", [("monitoring_lake_growth_rows", "{{dataset}}")], "short"
                ),
            ],
        ),
        (
            "Cost",
            [
                parts.lines(
                    "Storage of a month",
                    [
                        (
                            "sum by (storage_class) (monitoring_lake_month_storage_cost)",
                            "{{storage_class}}",
                        ),
                        ("sum(monitoring_lake_month_noncurrent_cost)", "of it noncurrent versions"),
                    ],
                    "currencyUSD",
                ),
                parts.lines(
                    "Requests of the next month",
                    [("sum by (operation) (monitoring_lake_month_request_cost)", "{{operation}}")],
                    "currencyUSD",
                    stacked=True,
                ),
            ],
        ),
    ]
