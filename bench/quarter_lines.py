"""A quarter's question about log lines, against Loki.

Belongs here: loading Loki, both sides' answers, their row of the table. Does not: samples
(quarter_samples), documents (quarter_documents).
"""

from __future__ import annotations

import requests
from quarter_data import Size, lines, streams
from quarter_lake import NAMES
from quarter_timing import beside

from lake.query import Lake

_LOGS = NAMES[1]
_PUSH_LINES = 50_000


def load_lines(url: str, size: Size) -> None:
    """By Loki's push API."""
    labels = streams()
    for number, day in size.each_day():
        for batch in lines(size, number, day):
            rows = batch.to_pylist()
            for begin in range(0, len(rows), _PUSH_LINES):
                part = rows[begin : begin + _PUSH_LINES]
                values = [[str(row["ts_ns"]), row["line"]] for row in part]
                stream = {"stream": labels[part[0]["stream_id"]], "values": values}
                pushed = requests.post(
                    f"{url}/loki/api/v1/push", json={"streams": [stream]}, timeout=600
                )
                pushed.raise_for_status()


def lines_there(url: str, size: Size) -> dict[tuple[str, str], int]:
    """Container and level → lines, a day at a time: a longer range is more than Loki takes."""
    counts: dict[tuple[str, str], int] = {}
    for _, day in size.each_day():
        answer = requests.get(
            f"{url}/loki/api/v1/query",
            {
                "query": 'sum by (container, level) (count_over_time({service="miyou"}[1d]))',
                "time": str(day.end_ns - 1),
            },
            timeout=600,
        )
        answer.raise_for_status()
        for series in answer.json()["data"]["result"]:
            key = series["metric"]["container"], series["metric"]["level"]
            counts[key] = counts.get(key, 0) + int(series["value"][1])
    return counts


def lines_here(lake: Lake) -> dict[tuple[str, str], int]:
    """The same by the rollup."""
    rows = lake.rows(
        f"SELECT container, level, CAST(sum(lines) AS BIGINT) AS n FROM {_LOGS}_hourly GROUP BY ALL"
    )
    return {(row["container"], row["level"]): row["n"] for row in rows}


def of_lines(lake: Lake, url: str, size: Size, rounds: int) -> None:
    """The row of the table about lines."""
    load_lines(url, size)
    beside("lines by container and level ÷ Loki", lambda: lines_here(lake),
           lambda: lines_there(url, size), rounds, target=1 / 50, peer_name="Loki")  # fmt: skip
