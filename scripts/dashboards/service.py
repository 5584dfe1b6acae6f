"""The dashboard of the service's own quarter, from temporary servers.

Belongs here: queries of the service's metrics and logs. Does not: those of the lake.
"""

from __future__ import annotations

from typing import Any

import parts
from grafana_foundation_sdk.builders.dashboard import Dashboard

_NOTE = (
    "Choose the data sources of a restored or replayed server (`lake restore … --serve`, "
    "`lake replay … --serve`; their names begin with *lake*), and the range that they hold. "
    "The same queries answer on the live servers."
)
_HTTP = 'http_server_requests_seconds_{0}{{uri=~"$uri"{1}}}'
_LOGS = '{{container=~"$container"{0}}}'


def _http(suffix: str, more: str = "") -> str:
    return _HTTP.format(suffix, more)


def dashboard() -> Dashboard:
    """Requests, latencies, stages, models, logs."""
    board = (
        parts.new(
            "monitoring-lake-service",
            "Service: a quarter from the lake",
            "The service's metrics and logs of days that only the lake still has, through "
            "temporary servers.",
            ["service"],
        )
        .time("now-90d", "now")
        .with_variable(parts.source("metrics", "Prometheus", "prometheus"))
        .with_variable(parts.source("logs", "Loki", "loki"))
        .with_variable(
            parts.chosen(
                "uri",
                "URI",
                "label_values(http_server_requests_seconds_count, uri)",
                parts.PROMETHEUS,
            )
        )
        .with_variable(
            parts.chosen("container", "Container", "label_values(container)", parts.LOKI)
        )
    )
    rows = [
        ("", [parts.words(_NOTE)]),
        ("Requests", _requests()),
        ("Dialogue", _dialogue()),
        ("Logs", _logs()),
    ]
    return parts.with_rows(board, rows)


def _requests() -> list[Any]:
    errors = _http("count", ',status=~"5.."')
    return [
        parts.lines(
            "Requests a second by status",
            [
                (
                    f"sum by (status) (rate({_http('count')}[$__rate_interval]))",
                    "{{status}}",
                )
            ],
            "reqps",
            stacked=True,
        ),
        parts.lines(
            "Share of errors",
            [
                (
                    f"sum(rate({errors}[$__rate_interval])) / "
                    f"sum(rate({_http('count')}[$__rate_interval]))",
                    "5xx",
                )
            ],
            "percentunit",
        ),
        parts.lines(
            "Latency",
            [
                (
                    f"histogram_quantile({quantile}, sum by (le) "
                    f"(rate({_http('bucket')}[$__rate_interval])))",
                    name,
                )
                for quantile, name in ((0.5, "median"), (0.95, "95 %"), (0.99, "99 %"))
            ],
            "s",
        ),
        parts.bars(
            "Requests a day by URI",
            [(f"sum by (uri) (increase({_http('count')}[1d]))", "{{uri}}")],
            "short",
            interval="1d",
        ),
    ]


def _dialogue() -> list[Any]:
    stage = "dialogue_pipeline_stage_duration_seconds"
    return [
        parts.lines(
            "Mean duration of each stage",
            [
                (
                    f"sum by (stage) (rate({stage}_sum[$__rate_interval])) / "
                    f"sum by (stage) (rate({stage}_count[$__rate_interval]))",
                    "{{stage}}",
                )
            ],
            "s",
        ),
        parts.lines(
            "Dialogues by result",
            [
                (
                    "sum by (status) (rate(dialogue_pipeline_duration_seconds_count"
                    "[$__rate_interval]))",
                    "{{status}}",
                )
            ],
            "reqps",
            stacked=True,
        ),
        parts.bars(
            "Tokens a day by model",
            [
                (
                    "sum by (model, type) (increase(llm_tokens_total[1d]))",
                    "{{model}} {{type}}",
                )
            ],
            "short",
            interval="1d",
        ),
        parts.lines(
            "Failed requests to models",
            [
                (
                    'sum by (model) (rate(llm_requests_total{outcome="error"}[$__rate_interval]))',
                    "{{model}}",
                )
            ],
            "reqps",
        ),
    ]


def _logs() -> list[Any]:
    every, errors = _LOGS.format(""), _LOGS.format(',level="error"')
    return [
        parts.bars(
            "Lines by level",
            [(f"sum by (level) (count_over_time({every}[$__interval]))", "{{level}}")],
            "short",
            interval="1h",
            datasource=parts.LOKI,
        ),
        parts.bars(
            "Bytes by container",
            [(f"sum by (container) (bytes_over_time({every}[$__interval]))", "{{container}}")],
            "decbytes",
            interval="1h",
            datasource=parts.LOKI,
        ),
        parts.log_lines("Errors", errors),
    ]
