"""The demo's totals, as each source computes them itself.

Belongs here: questions to the servers, past everything of the lake. Does not: the lake's
own answers (sql/checks/demo_totals.sql), or what to make of a difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pymongo
import requests

from lake.base.day import Day
from lake.demo.datasets import DATABASE
from lake.demo.logs import FINISHED

_TIMEOUT_S = 60
# A counter's steps upward at each scrape of a day. A restarted counter begins at 0, so
# what it loses there is no step upward.
_GROWTH = "sum(sum_over_time(clamp_min({0} - {0} offset 1m, 0)[86340s:1m]))"
_COUNT = "http_server_requests_seconds_count"
_ERRORS = _COUNT + '{outcome="SERVER_ERROR"}'
_LINES = '{container="miyou-api"} |= `"message":"' + FINISHED + '"`'
_FAILED = '| json status="status" | status >= 500'
_TOKENS = '| json tokens="totalTokens" | unwrap tokens'


@dataclass(frozen=True)
class Totals:
    """The totals of the whole window."""

    requests: int
    errors: int
    tokens: int


def of_mongo(uri: str) -> Totals:
    """By an aggregation over `usage_analytics`."""
    group = {
        "_id": None,
        "requests": {"$sum": 1},
        "errors": {"$sum": {"$cond": [{"$ifNull": ["$error", False]}, 1, 0]}},
        "tokens": {"$sum": "$llm.totalTokens"},
    }
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        answer = next(iter(client[DATABASE]["usage_analytics"].aggregate([{"$group": group}])))
    return Totals(int(answer["requests"]), int(answer["errors"]), int(answer["tokens"]))


def of_prometheus(url: str, days: list[Day]) -> Totals:
    """By PromQL, a day at a time."""
    with requests.Session() as session:

        def total(series: str) -> int:
            query = _GROWTH.format(series)
            return sum(
                _instant(session, f"{url}/api/v1/query", query, f"{day.end_ms // 1000 - 60}")
                for day in days
            )

        return Totals(total(_COUNT), total(_ERRORS), total("llm_tokens_total"))


def of_loki(url: str, days: list[Day]) -> Totals:
    """By LogQL, a day at a time: its ranges are left-open, hence the nanosecond.

    Summed by all labels of a stream: before 2.6 a sum over several streams counts some lines
    twice while they are both in a chunk and in the ingester.
    """
    with requests.Session() as session:

        def total(counted: str) -> int:
            query = f"sum(sum by (container, level, service) ({counted} [24h])))"
            return sum(
                _instant(session, f"{url}/loki/api/v1/query", query, str(day.end_ns - 1))
                for day in days
            )

        return Totals(
            total(f"count_over_time({_LINES}"),
            total(f"count_over_time({_LINES} {_FAILED}"),
            total(f"sum_over_time({_LINES} {_TOKENS}"),
        )


def _instant(session: requests.Session, url: str, query: str, at: str) -> int:
    """The one number of an instant query; no answer is 0."""
    answer = session.get(url, params={"query": query, "time": at}, timeout=_TIMEOUT_S)
    answer.raise_for_status()
    result = answer.json()["data"]["result"]
    return round(float(result[0]["value"][1])) if result else 0
