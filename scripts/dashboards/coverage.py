"""The dashboard of coverage and lag.

Belongs here: queries of `lake metrics`. Does not: those of --storage (capacity).
"""

from __future__ import annotations

import parts
from grafana_foundation_sdk.builders.dashboard import Dashboard

_OF = '{dataset=~"$dataset"}'


def _m(name: str, labels: str = _OF) -> str:
    return f"monitoring_lake_{name}{labels}"


def dashboard() -> Dashboard:
    """By dataset: is every day proven, and when would a row be lost."""
    board = (
        parts.new(
            "monitoring-lake-coverage",
            "Lake: coverage and lag",
            "From lake metrics: which days are proven, and when the source deletes the first "
            "unproven row.",
            ["lake"],
        )
        .time("now-30d", "now")
        .refresh("15m")
        .with_variable(parts.source("metrics", "Prometheus", "prometheus"))
        .with_variable(
            parts.chosen(
                "dataset",
                "Dataset",
                "label_values(monitoring_lake_partitions, dataset)",
                parts.PROMETHEUS,
            )
        )
    )
    return parts.with_rows(board, _rows())


def _rows() -> list[parts.Row]:
    unproven = _m("partitions", '{dataset=~"$dataset",state!~"verified|empty"}')
    return [
        (
            "",
            [
                parts.stat_panel("Unproven days", (f"sum({unproven})", ""), "short", bad_above=1),
                parts.stat_panel(
                    "Lost days",
                    (f"sum({_m('lost_partitions')})", ""),
                    "short",
                    bad_above=1,
                    description="Unproven days of which the source has nothing any more.",
                ),
                parts.stat_panel(
                    "First row goes in",
                    (f"min({_m('first_loss_timestamp_seconds')} - time())", ""),
                    "s",
                    bad_below=2 * 86_400,
                    description="Until a source deletes the first row that is not proven; where "
                    "every day is proven, the first row of today.",
                ),
                parts.stat_panel(
                    "Metrics are old",
                    (f"time() - max({_m('metrics_timestamp_seconds', '')})", ""),
                    "s",
                    bad_above=3 * 3600,
                    description="Since lake metrics ran.",
                ),
            ],
        ),
        (
            "Days",
            [
                parts.lines(
                    "Days by state",
                    [(f"sum by (state) ({_m('partitions')})", "{{state}}")],
                    "short",
                    stacked=True,
                ),
                parts.lines(
                    "Unproven days by dataset",
                    [(f"sum by (dataset) ({unproven})", "{{dataset}}")],
                    "short",
                ),
                parts.lines("Lag", [(_m("lag_seconds"), "{{dataset}}")], "s"),
                parts.lines(
                    "Time left until the first unproven row goes",
                    [(f"{_m('first_loss_timestamp_seconds')} - time()", "{{dataset}}")],
                    "s",
                ),
            ],
        ),
        (
            "Exports",
            [
                parts.lines(
                    "Since the last successful export",
                    [(f"time() - {_m('last_manifest_timestamp_seconds')}", "{{dataset}}")],
                    "s",
                ),
                parts.lines(
                    "Rows of the newest proven day",
                    [(_m("newest_day_rows"), "{{dataset}}")],
                    "short",
                ),
                parts.lines(
                    "Rollups by state",
                    [(f"sum by (state) ({_m('rollups')})", "{{state}}")],
                    "short",
                    stacked=True,
                ),
                parts.lines(
                    "Days with a difference in the last verification",
                    [(_m("verify_failures"), "{{dataset}}")],
                    "short",
                ),
            ],
        ),
        (
            "Snapshots and expiry",
            [
                parts.lines(
                    "Age of the newest snapshot",
                    [(f"time() - {_m('snapshot_timestamp_seconds', '')}", "{{system}}")],
                    "s",
                ),
                parts.lines(
                    "Whole days in the newest snapshot",
                    [(f"{_m('snapshot_whole_seconds', '')} / 86400", "{{system}}")],
                    "short",
                ),
                parts.lines(
                    "Limit of expiry",
                    [(f"{_m('guard_limit_seconds')} < 2147483647", "{{dataset}}")],
                    "s",
                    description="Of the TTL index, as the guard's last run left it; no line: held.",
                ),
                parts.lines(
                    "Since the expiry guard ran",
                    [
                        (f"time() - {_m('guard_timestamp_seconds')}", "{{dataset}}"),
                        (f"max({_m('guard_max_silence_seconds')})", "max_silence_hours"),
                    ],
                    "s",
                ),
            ],
        ),
    ]
