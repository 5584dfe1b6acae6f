"""A quarter's question about documents, against MongoDB.

Belongs here: loading MongoDB, both sides' answers, their row of the table. Does not: samples
(quarter_samples), lines (quarter_lines).
"""

from __future__ import annotations

import pymongo
from quarter_data import Size, documents
from quarter_lake import NAMES
from quarter_timing import beside

from lake.query import Lake

_DOCUMENTS = NAMES[2]


def load_documents(uri: str, size: Size) -> None:
    """Into the collection `usage_analytics` of the database `quarter`."""
    with pymongo.MongoClient(uri) as client:
        collection = client["quarter"]["usage_analytics"]
        for number, day in size.each_day():
            if batch := list(documents(size, number, day)):
                collection.insert_many(batch, ordered=False)


def percentiles_there(uri: str) -> dict[tuple[str, str], float]:
    """Week and model → 95th percentile, exact to MongoDB's own approximation."""
    week = {"$dateTrunc": {"date": "$timestamp", "unit": "week", "startOfWeek": "monday"}}
    wanted = {"input": "$response.totalLatencyMs", "p": [0.95], "method": "approximate"}
    group = {"_id": {"week": week, "model": "$llm.model"}, "p95": {"$percentile": wanted}}
    with pymongo.MongoClient(uri) as client:
        rows = client["quarter"]["usage_analytics"].aggregate([{"$group": group}])
        return {
            (str(row["_id"]["week"].date()), row["_id"]["model"]): row["p95"][0] for row in rows
        }


def percentiles_here(lake: Lake) -> dict[tuple[str, str], float]:
    """The same by the rollup's sketches."""
    rows = lake.rows(
        "SELECT CAST(date_trunc('week', hour) AS DATE) AS week, model, "
        "sketch_quantile(sketch_merge(latency_ms), 0.95) AS p95 "
        f"FROM {_DOCUMENTS}_hourly GROUP BY ALL"
    )
    return {(str(row["week"]), row["model"]): row["p95"] for row in rows}


def of_documents(lake: Lake, uri: str, size: Size, rounds: int) -> None:
    """The row of the table about documents."""
    load_documents(uri, size)
    beside("p95 by model and week ÷ MongoDB's aggregation", lambda: percentiles_here(lake),
           lambda: percentiles_there(uri), rounds, within=0.02, target=1 / 20,
           peer_name="MongoDB")  # fmt: skip
