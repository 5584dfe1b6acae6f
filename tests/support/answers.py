"""All that a server holds, asked by its own means and in nobody's code under test."""

from __future__ import annotations

from typing import Any

import pymongo
import requests
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from lake.base.day import Day

_OF_TOOLS = ("name", "ns")  # mongorestore adds the namespace


def prometheus_samples(url: str, day: Day) -> dict[tuple, list]:
    """Every series' stored samples of the day, by a range vector."""
    answer = requests.get(
        f"{url}/api/v1/query",
        params={"query": '{__name__=~".+"}[1d]', "time": (day.end_ms - 1) / 1000},
        timeout=60,
    )
    answer.raise_for_status()
    result = answer.json()["data"]["result"]
    return {tuple(sorted(series["metric"].items())): series["values"] for series in result}


def loki_lines(url: str, day: Day, tenant: str = "") -> list:
    """Every line with its labels and metadata, an hour at a time."""
    headers = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
    if tenant:
        headers["X-Scope-OrgID"] = tenant
    lines = []
    for hour in range(24):
        start = day.start_ms * 1_000_000 + hour * 3_600_000_000_000
        answer = requests.get(
            f"{url}/loki/api/v1/query_range",
            params={
                "query": '{job=~".+"}',
                "start": start - 1,
                "end": start + 3_600_000_000_000,
                "limit": 5000,
                "direction": "forward",
            },
            headers=headers,
            timeout=60,
        )
        answer.raise_for_status()
        for stream in answer.json()["data"]["result"]:
            labels = tuple(sorted(stream["stream"].items()))
            for ts, line, *more in stream["values"]:
                if start <= int(ts):
                    own = more[0].get("structuredMetadata", {}) if more else {}
                    metadata = tuple(sorted(own.items()))
                    lines.append((labels, ts, line, metadata))
    return sorted(lines)


def mongo_database(uri: str, name: str) -> dict[str, Any]:
    """Every document's bytes; options and indexes of every collection."""
    with pymongo.MongoClient(uri) as client:
        database = client[name]
        collections = {}
        for collection in database.list_collections():
            raw = database.get_collection(
                collection["name"], codec_options=CodecOptions(document_class=RawBSONDocument)
            )
            collections[collection["name"]] = {
                "type": collection["type"],
                "options": collection["options"],
                "documents": sorted(document.raw for document in raw.find({})),
                "indexes": None
                if collection["type"] == "view"
                else {
                    index["name"]: _comparable(index)
                    for index in database[collection["name"]].list_indexes()
                },
            }
        return collections


def _comparable(index: Any) -> dict[str, Any]:
    """Options in any order, the key's fields in their own."""
    comparable = {name: value for name, value in index.items() if name not in _OF_TOOLS}
    return comparable | {"key": list(index["key"].items())}
