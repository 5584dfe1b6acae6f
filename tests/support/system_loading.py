"""A day of data for each system, by its own means of writing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import requests
from bson import Binary, Code, Decimal128, Int64, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS

from lake.servers import Binary as Program
from lake.servers import has_version
from support.places import DAY
from support.series_writing import write_request


def load_prometheus(url: str, series: int = 6, base: float = 0.0, start_ms: int = 0) -> None:
    begin = start_ms or DAY.start_ms
    built = requests.get(f"{url}/api/v1/status/buildinfo", timeout=30).json()["data"]
    # 2.42 and 3 have series with such a label, 2.53 drops them and says nothing.
    umlaut = "umlaut" if built["version"].startswith("2.5") else "ümlaut"
    times = np.arange(begin + 1234, begin + 86_400_000, 60_000, dtype=np.int64)
    body = write_request(
        [
            (
                {"__name__": "back_total", "host": f"h{number}", umlaut: "ja"},
                times,
                base + np.cumsum(np.full(len(times), number + 0.25)),
            )
            for number in range(series)
        ]
    )
    answer = requests.post(
        f"{url}/api/v1/write",
        data=pa.Codec("snappy").compress(body, asbytes=True),
        headers={
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        },
        timeout=60,
    )
    assert answer.status_code < 300, answer.text


def takes_metadata(program: Program) -> bool:
    """Whether this Loki stores structured metadata."""
    return not has_version(program, "2")


def load_loki(
    url: str,
    tenant: str = "",
    lines: int = 300,
    prefix: str = "line",
    *,
    metadata: bool = True,
) -> None:
    headers = {"X-Scope-OrgID": tenant} if tenant else {}
    begin = DAY.start_ms * 1_000_000
    for stream in range(3):
        values = [
            [
                str(begin + number * 200_000_000_000 + stream),
                f"{prefix} {number} ü\n\t{stream}",
                *([{"trace": f"t{number}", "a_b": "x"}] if metadata else []),
            ]
            for number in range(lines)
        ]
        answer = requests.post(
            f"{url}/loki/api/v1/push",
            json={"streams": [{"stream": {"job": f"j{stream}", "Level": "I"}, "values": values}]},
            headers=headers,
            timeout=60,
        )
        assert answer.status_code == 204, answer.text


def load_mongo(database: Any) -> None:
    """Collections of every kind that the server has, documents of every type that it keeps."""
    rows = [
        {
            "_id": ObjectId(f"{number:08x}" + "0" * 16),
            "at": DatetimeMS(DAY.start_ms + number * 20_000),
            "n": number,
            "long": Int64(number << 40),
            "text": f"ü {number} " * 20,
            "deep": {"a": [1, 2.5, None, {"b": Decimal128("1.10")}], "e": {}},
            "raw": Binary(bytes([number % 256]) * 8, 128),
            "pattern": Regex("^a", "i"),
            "code": Code("f()", {"x": 1}),
            "min": MinKey(),
            "stamp": Timestamp(number, 1),
            "nan": float("nan"),
        }
        for number in range(3000)
    ]
    database.events.insert_many(rows)
    database.events.create_index("at", expireAfterSeconds=90 * 86_400)
    database.events.create_index([("n", -1), ("text", 1)], unique=True, name="by n")
    database.events.create_index(
        "deep.a", sparse=True, partialFilterExpression={"n": {"$gt": 4}}, name="partial"
    )
    for name in ("odd name/with %:é", "x" * 200, "empty"):
        database.create_collection(name)
    database["odd name/with %:é"].insert_many(
        [{"_id": 1}, {"_id": "1"}, {"_id": {"a": 1}}, {"_id": None}]
    )
    database["x" * 200].insert_one({"_id": 1})
    database.command({"create": "ring", "capped": True, "size": 4096, "max": 3})
    database.ring.insert_many([{"_id": number} for number in range(3)])
    database.command(
        {"create": "checked", "validator": {"a": {"$gt": 1}}, "validationLevel": "moderate"}
    )
    database.checked.insert_one({"_id": 1, "a": 2})
    database.command({"create": "few", "viewOn": "events", "pipeline": [{"$match": {"n": 7}}]})
    database.command({"create": "french", "collation": {"locale": "fr", "strength": 1}})
    database.command({"create": "weather", "timeseries": {"timeField": "t", "metaField": "where"}})
    database.weather.insert_many([{"t": DAY.start, "where": "x", "c": c} for c in range(5)])
