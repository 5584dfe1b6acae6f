"""The source of the replay tests: what is written into its servers, and their export to S3."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import bson
import pymongo
import pytest
from bson.raw_bson import RawBSONDocument

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.export import Exporter
from lake.runs import export_many
from lake.servers import start
from lake.servers.s3 import REGION
from lake.store import Store, open_store
from support.loki_client import LokiClient
from support.raw_days import NAN, STALE, bits
from support.remote_writing import floats, histogram, series, write

FIRST = Day.parse("2026-03-14")
DAYS = [FIRST, FIRST.plus(1)]
MINUTE = 60_000
ODD_TEXT = 'quote " slash \\ line\nend\ttab é 語 😀 \u200b {a="b"}'
RATES = "sum by (case) (rate(gap_total[5m]))"
FILE = """
[lake]
root = "s3://replay"
[s3]
endpoint_url = "{s3}"
region = "{region}"
[sources.mongo]
uri = "{mongo}"
database = "app"
[sources.prometheus]
url = "{prometheus}"
[sources.loki]
url = "{loki}"
[hot]
mongo = 36500
prometheus = 36500
loki = 36500
[[dataset]]
name = "odd"
source = "prometheus"
query = '{{__name__=~"odd_.*"}}'
mode = "raw"
[[dataset]]
name = "gaps"
source = "prometheus"
query = '{{__name__=~"gap_.*"}}'
step = "1m"
[[dataset]]
name = "rates"
source = "prometheus"
query = '{rates}'
step = "1m"
[[dataset]]
name = "same_again"
source = "prometheus"
query = 'odd_raw'
mode = "raw"
[[dataset]]
name = "logs"
source = "loki"
selector = '{{app=~".+"}}'
[[dataset]]
name = "few_logs"
source = "loki"
selector = '{{app="b"}} | json'
[[dataset]]
name = "events"
source = "mongo"
collection = "app.events é"
time_field = "meta.at"
"""


@dataclass(frozen=True)
class ReplaySite:
    """`disjoint` are the datasets that can be replayed together."""

    config: Path
    endpoints: Mapping[str, Mapping[str, str]]
    disjoint = ("odd", "gaps", "rates", "logs", "events")
    days = DAYS

    @property
    def settings(self) -> Settings:
        return load(str(self.config), {})

    @property
    def store(self) -> Store:
        return open_store(self.settings)


@contextmanager
def running_site(folder: Path) -> Iterator[ReplaySite]:
    with (
        pytest.MonkeyPatch.context() as environment,
        start(["prometheus", "loki", "mongo", "s3"]) as stack,
    ):
        s3 = stack.endpoints["s3"]
        environment.setenv("AWS_ACCESS_KEY_ID", s3["access_key"])
        environment.setenv("AWS_SECRET_ACCESS_KEY", s3["secret_key"])
        # A session of its own: the default one keeps the keys that it has seen first.
        session = boto3.Session(region_name=REGION)
        session.client("s3", endpoint_url=s3["endpoint_url"]).create_bucket(Bucket="replay")
        config = folder / "lake.toml"
        addresses = {
            name: endpoint.get("url", endpoint.get("uri"))
            for name, endpoint in stack.endpoints.items()
        }
        addresses |= {"s3": s3["endpoint_url"], "region": REGION, "rates": RATES}
        config.write_text(FILE.format(**addresses))
        site = ReplaySite(config, stack.endpoints)
        write_samples(addresses["prometheus"])
        write_lines(LokiClient(addresses["loki"]))
        write_documents(addresses["mongo"])
        with closing(Exporter(site.settings)) as exporter:
            pairs = [(dataset, day) for dataset in site.settings.dataset for day in DAYS]
            for result in export_many(exporter, pairs, jobs=2):
                if result.error:
                    raise result.error
        yield site


def write_samples(url: str) -> None:
    """A scrape a minute, 3.217 s after it; oldest first."""
    for day in DAYS:
        write(url, *odd_series(day), *gap_series(day), *histogram_series(day))


def odd_series(day: Day) -> Iterator[bytes]:
    values = [
        0.0, -0.0, 1.5, -1.5, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"),
        0.1 + 0.2, 2.0**53 + 2, -1e-300,
    ]  # fmt: skip
    edges = [(day.start_ms, 7), (day.start_ms + 1, 8), (day.end_ms - 1, 9)]
    yield series({"__name__": "odd_edges"}, floats([(at, bits(float(v))) for at, v in edges]))
    numbers = [*map(bits, values), NAN, STALE, bits(3.0), STALE, bits(4.0), bits(5.0), STALE]
    times = [day.start_ms + 3217 + n * 7 * MINUTE for n in range(len(numbers))]
    own = {"__name__": "odd_raw", "value": "v", "ts": "t", "Upper": "U", "upper": "u"}
    for number in range(3):
        rows = floats(zip(times, numbers[number:] + numbers[:number], strict=True))
        yield series({**own, "case": f"{number}", "text": ODD_TEXT}, rows)
    yield series({"__name__": "odd_raw", "empty": "", "Only": "map"}, floats([(times[0], 1)]))


def gap_series(day: Day) -> Iterator[bytes]:
    """What scrapes with outages leave: none marks its end."""
    start, later = FIRST.start_ms, DAYS[1].start_ms
    hour = 60 * MINUTE
    absent = {
        "steady": [],
        "ends": [(start + 12 * hour, later + 24 * hour)],
        "starts": [(start, later + 6 * hour)],
        "midnight": [(later - 10 * MINUTE, later + 10 * MINUTE)],
        "short": [(start + 9 * hour, start + 9 * hour + 3 * MINUTE)],
        "long": [(start + 15 * hour, start + 19 * hour)],
        "day two not": [(later, later + 24 * hour)],
        "last scrape": [(later - MINUTE, later + 24 * hour)],
    }
    for case, outages in absent.items():
        luck = random.Random(f"{case} {day}")
        rows = [
            (at, bits(luck.gauss(0, 1e6)))
            for at in range(day.start_ms + 3217, day.end_ms, MINUTE)
            if not any(begin <= at < end for begin, end in outages)
        ]
        yield series({"__name__": "gap_gauge", "case": case}, floats(rows))
        counted = [(at, bits(float(n * 3 % 1000))) for n, (at, _) in enumerate(rows)]
        yield series({"__name__": "gap_total", "case": case}, floats(counted))


def histogram_series(day: Day) -> Iterator[bytes]:
    cases = [
        (-4, True, 0.0),
        (-1, True, 0.005),
        (0, False, 0.001),
        (3, False, 0.0),
        (8, True, 1e-9),
    ]
    for schema, is_float, zero in cases:
        entries = []
        for n in range(40):
            positive, negative = [n, 0, 2 * n + 1, 4], [n, 1]
            entries.append(
                histogram(
                    day.start_ms + 3217 + n * MINUTE,
                    {
                        "schema": schema, "is_float": is_float, "zero_threshold": zero,
                        "zeros": n, "sum": n * 0.7 - 3, "positive": positive,
                        "positive_spans": [(-3, 2), (4, 2)], "negative": negative,
                        "negative_spans": [(0, 2)],
                        "count": n + sum(positive) + sum(negative),
                    },
                )
            )  # fmt: skip
        yield series({"__name__": "odd_histogram", "case": f"{schema}"}, b"".join(entries))


def write_lines(client: LokiClient) -> None:
    for day in DAYS:
        for app in ("a", "b"):
            entries = [
                (day.start_ns + n * 97 * 10**9 + n, json.dumps({"n": n, "level": "warn"}), {})
                for n in range(800)
            ]
            client.push({"app": app, "Upper": "x", "upper": "y"}, entries)
        odd = [
            (day.start_ns, "at midnight", {"trace.id": "a", "app": "both"}),
            *((day.start_ns + 5, f"{text} {ODD_TEXT}", {"k": ODD_TEXT}) for text in "zyxab"),
            (day.start_ns + 7, "", {}),
            (day.start_ns + 8, "same", {"a": "1"}),
            (day.start_ns + 8, "same", {"a": "2"}),
            (day.end_ns - 1, "ERROR the last", {}),
        ]
        client.push({"app": "odd", "text": ODD_TEXT.replace("\u200b", "")}, odd)
        client.push({"app": "named", "service_name": "its own"}, [(day.start_ns + 1, "x", {})])
        # Loki tells the level of a line by itself, and names the service after a label.
        client.push({"app": "level", "container": "c"}, [(day.start_ns + 1, "level=error", {})])


def write_documents(uri: str) -> None:
    with pymongo.MongoClient(uri, document_class=RawBSONDocument) as client:
        collection = client["app"]["app.events é"]
        for number, day in enumerate(DAYS):
            documents = [
                bson.encode(
                    {"_id": number * 10_000 + n, **fields_of(n), "meta": {"at": at(day, n)}}
                )
                for n in range(1500)
            ]
            for n, odd in enumerate(odd_documents()):
                documents.append(
                    bson.encode({"_id": f"{day} {n}", "meta": {"at": at(day, n)}, "odd": odd})
                )
            collection.insert_many([RawBSONDocument(document) for document in documents])


def fields_of(n: int) -> dict[str, object]:
    return {
        "name": f"n{n}", "llm": {"tokens": n, "cost": n / 7}, "list": [n, None, {"a": n}],
        "by": bson.ObjectId(n.to_bytes(12)), **({"extra": ODD_TEXT} if n % 7 == 0 else {}),
    }  # fmt: skip


def at(day: Day, n: int) -> dt.datetime:
    return day.start + dt.timedelta(milliseconds=n * 57_000)


def odd_documents() -> list[object]:
    return [
        None, {}, [], [[]], {"$oid": "x"}, 2**62, -0.0, float("nan"), float("inf"),
        bson.Decimal128("1.50"), bson.Decimal128("NaN"), bson.Binary(b"\0\1", 5),
        bson.Regex("a.*", "im"), bson.Timestamp(4, 5), bson.MinKey(), bson.MaxKey(),
        bson.Code("f", {"x": 1}), dt.datetime(1960, 1, 1, tzinfo=dt.UTC),
        {"a": {"b": [None, {}, {"c": None}]}},
        True, ODD_TEXT,
    ]  # fmt: skip
