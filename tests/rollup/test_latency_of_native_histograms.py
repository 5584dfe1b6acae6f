"""The trend http_latency on native histograms of a real server, against PromQL's own growth."""

from __future__ import annotations

import json
import math
import random
import struct
from collections import Counter
from collections.abc import Iterator

import pytest
import requests
from support.remote_writing import floats, histogram, series, write
from support.rolled_lake import Place, exported_samples

from lake.base.day import Day
from lake.partition.layout import rollup_manifest_key
from lake.query import connect
from lake.servers import start
from lake.spark.trends import spark_statement
from lake.trends import Choices, ask, fit, fitting, trend_named

DAY = Day.parse("2026-04-02")
DAYS = 3
METRIC, OTEL = "http_server_requests_seconds", "http_server_request_duration_seconds"
SCHEMA = 3
STEP_S = 600
ZERO = 1e-6
QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
BOUNDS = (0.1, 1.0, math.inf)
Buckets = list[tuple[float, float, float]]


@pytest.fixture
def url() -> Iterator[str]:
    """A server of its own for each test: names of metrics are those that the trend reads."""
    with start(["prometheus"], prometheus_out_of_order="10000d") as stack:
        yield stack.endpoints["prometheus"]["url"]


class Service:
    """A histogram of one target and path that grows, and begins anew now and then."""

    def __init__(self, seed: str, centre: float, *, resets: bool) -> None:
        self.luck, self.centre, self.resets = random.Random(seed), centre, resets
        self.seen: list[float] = []

    def samples(self) -> Iterator[tuple[int, list[float]]]:
        """Milliseconds since the epoch, what was observed since the service began."""
        for at in range(0, DAYS * 86_400, STEP_S):
            if self.resets and at % 40_000 < STEP_S:
                self.seen = []
            much = self.luck.choice([0, 0, 1, 3])
            self.seen += (self.luck.lognormvariate(self.centre, 1) for _ in range(much))
            yield DAY.start_ms + at * 1000, list(self.seen)


def native(seen: list[float]) -> dict:
    counts = Counter(math.ceil(math.log2(value) * 2**SCHEMA) for value in seen)
    indexes = sorted(counts)
    spans = [(i - (indexes[n - 1] + 1 if n else 0), 1) for n, i in enumerate(indexes)]
    return {
        "schema": SCHEMA, "zero_threshold": ZERO, "zeros": 0, "count": len(seen), "sum": sum(seen),
        "positive": [counts[i] for i in indexes], "positive_spans": spans,
        "negative": [], "negative_spans": [],
    }  # fmt: skip


def as_native(metric: str, service: Service, **labels: str) -> bytes:
    samples = service.samples()
    content = b"".join(histogram(at_ms, native(seen)) for at_ms, seen in samples)
    return series({"__name__": metric, **labels}, content)


def as_count(metric: str, service: Service, **labels: str) -> bytes:
    values = ((at, bits_of(float(len(seen)))) for at, seen in service.samples())
    return series({"__name__": f"{metric}_count", **labels}, floats(values))


def as_classic(metric: str, service: Service, first_ms: int, end_ms: int, **labels: str) -> bytes:
    within = [(at, seen) for at, seen in service.samples() if first_ms <= at < end_ms]
    body = b""
    for bound in BOUNDS:
        values = [(at, float(sum(value <= bound for value in seen))) for at, seen in within]
        le = "+Inf" if math.isinf(bound) else str(bound)
        body += series(
            {"__name__": f"{metric}_bucket", "le": le, **labels},
            floats((at, bits_of(value)) for at, value in values),
        )
    return body


def bits_of(value: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def grown(url: str, metric: str, day: Day) -> Buckets:
    """By the server: from the last sample before the day to the day's last."""
    window_s = 86_400
    query = f"sum(increase({metric}[{window_s}s]))"
    at = day.end_ms / 1000 - STEP_S
    answer = requests.get(f"{url}/api/v1/query", {"query": query, "time": at}, timeout=30)
    answer.raise_for_status()
    series = answer.json()["data"]["result"]
    if not series:
        return []
    rows = series[0]["histogram"][1].get("buckets", [])
    return [(float(low), float(high), float(n)) for _, low, high, n in rows]


def quantile(buckets: Buckets, q: float) -> float:
    """As Prometheus 3 has it: on a logarithmic scale. 2.42 itself interpolates linearly."""
    total = sum(n for *_, n in buckets)
    above = (1 - q) * total
    for low, high, n in sorted(buckets, reverse=True):
        if above <= n:
            return low * (high / low) ** (1 - above / n)
        above -= n
    raise AssertionError(q)


def made(tmp_path, url: str) -> Place:
    days = [DAY.plus(n) for n in range(DAYS)]
    return exported_samples(tmp_path, url, "web", '{__name__=~"http_server_.+"}', days)


def rows_of(
    place: Place, first: int = 1, every: str | None = None, name: str = "http_latency"
) -> list[dict]:
    with connect(place.settings) as lake:
        trend = trend_named(name, lake.settings)
        answer = ask(lake, trend, DAY.plus(first), DAY.plus(DAYS), Choices(), every)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def assert_like_the_server(url: str, rows: list[dict], metric: str = METRIC) -> None:
    assert [row["day"] for row in rows] == [DAY.plus(n).date for n in range(1, DAYS)]
    for n, row in enumerate(rows, 1):
        buckets = grown(url, metric, DAY.plus(n))
        assert row["requests"] == pytest.approx(sum(n for *_, n in buckets), abs=0.6)
        for name, q in QUANTILES.items():
            assert row[name] == pytest.approx(1000 * quantile(buckets, q), abs=0.06), (n, name)


def forget_rollups(place: Place, *numbers: int) -> None:
    for n in numbers:
        place.store.delete(rollup_manifest_key("web", DAY.plus(n)))


@pytest.mark.parametrize("metric", [METRIC, OTEL])
def test_a_stack_of_native_histograms(tmp_path, url: str, lake, metric: str) -> None:
    services = [Service(f"n{n}", -1 - n, resets=n == 1) for n in range(4)]
    write(url, b"".join(
        as_native(metric, service, job="web", instance=f"i{n % 2}", uri=f"/{n}")
        for n, service in enumerate(services)
    ))  # fmt: skip
    place = made(tmp_path, url)
    by_rollups = rows_of(place)
    assert_like_the_server(url, by_rollups, metric)
    forget_rollups(place, 1)  # some days of each kind, then samples alone
    assert rows_of(place) == by_rollups
    forget_rollups(place, 0, 2)
    assert rows_of(place) == by_rollups

    status, out, _ = lake("trend", "--config", str(place.config))
    assert status == 0
    [line] = [line for line in out.splitlines() if "http_latency" in line]
    assert "web" in line
    assert "no native" not in line
    assert "no metric" not in line
    days = ("--from", str(DAY), "--to", str(DAY.plus(DAYS)), "--config", str(place.config))
    status, _, err = lake("trend", "http_latency", "--spark", *days)
    assert status != 0
    assert "native histograms" in err


def test_requests_and_errors_are_counted(tmp_path, url: str) -> None:
    """Of a target with native histograms alone, of one with a counter alone, of one with both."""
    kinds = {
        "native": (as_native,), "counter": (as_count,), "both": (as_native, as_count),
    }  # fmt: skip
    body, wanted = b"", Counter[tuple[int, str]]()
    for target, written in kinds.items():
        for status in ("200", "500"):
            outcome = "SUCCESS" if status == "200" else "SERVER_ERROR"
            labels = {"job": "web", "instance": target, "status": status, "outcome": outcome}
            for as_written in written:
                service = Service(target + status, -1, resets=False)
                body += as_written(METRIC, service, **labels)
            seen = [len(seen) for _, seen in Service(target + status, -1, resets=False).samples()]
            for n in range(1, DAYS):
                end, steps = (n + 1) * 86_400 // STEP_S - 1, 86_400 // STEP_S
                wanted[n, status] += seen[end] - seen[end - steps]
    write(url, body)
    place = made(tmp_path, url)
    for state in ("rollups", "samples"):
        if state == "samples":
            forget_rollups(place, *range(DAYS))
        requests_ = rows_of(place, name="http_requests")
        errors = rows_of(place, name="http_errors")
        for n in range(1, DAYS):
            total = wanted[n, "200"] + wanted[n, "500"]
            assert requests_[n - 1]["requests"] == errors[n - 1]["requests"] == total
            assert errors[n - 1]["server_errors"] == wanted[n, "500"]
        with connect(place.settings) as session:
            fitted = fitting(
                session, trend_named("error_rate", session.settings), DAY, DAY.plus(DAYS), Choices()
            )
            statement = spark_statement(session, fitted, DAY, DAY.plus(DAYS))
        assert statement.startswith("-- Without the native histograms of web: ")
        assert {
            (row["day"], row["status"]): (row["answers"], row["error_percent"])
            for row in rows_of(place, name="error_rate")
        } == {
            (DAY.plus(n).date, status): (count, errors_of(wanted, n) if status == "500" else None)
            for (n, status), count in wanted.items()
        }


def errors_of(wanted: Counter[tuple[int, str]], n: int) -> float:
    return round(100 * wanted[n, "500"] / (wanted[n, "200"] + wanted[n, "500"]), 3)


def test_any_native_histogram_grows_by_what_it_counted(tmp_path, url: str, lake) -> None:
    services = {path: Service(path, -1, resets=path == "/b") for path in ("/a", "/b")}
    write(url, b"".join(
        as_native("llm_request_seconds", service, job="llm", uri=path)
        for path, service in services.items()
    ))  # fmt: skip
    place = exported_samples(
        tmp_path, url, "llm", '{job="llm"}', [DAY.plus(n) for n in range(DAYS)]
    )
    steps, wanted = 86_400 // STEP_S, Counter[tuple[Day, str]]()
    for path in services:
        seen = [len(seen) for _, seen in Service(path, -1, resets=path == "/b").samples()]
        for at in range(steps, len(seen)):
            grown = seen[at] - seen[at - 1]
            wanted[DAY.plus(at // steps), path] += grown if grown >= 0 else seen[at]
    asked = ("trend", "counter", "--metric", "llm_request_seconds", "--by", "uri", "--json")
    days = ("--from", str(DAY.plus(1)), "--to", str(DAY.plus(DAYS)), "--config", str(place.config))
    for state in ("rollups", "samples"):
        if state == "samples":
            for n in range(DAYS):
                place.store.delete(rollup_manifest_key("llm", DAY.plus(n)))
        status, out, err = lake(*asked, *days)
        assert status == 0, err
        rows = json.loads(out)
        assert {(Day.parse(row["day"]), row["label"]): row["increase"] for row in rows} == wanted


def test_both_kinds_of_one_target_count_once(tmp_path, url: str) -> None:
    """Classic ones, where both counted the same."""
    labels = {"job": "web", "instance": "i0"}
    whole = DAY.start_ms, DAY.plus(DAYS).start_ms
    write(url, as_native(METRIC, Service("n", -1, resets=False), **labels)
          + as_classic(METRIC, Service("n", -1, resets=False), *whole, **labels))  # fmt: skip
    place = made(tmp_path, url)
    rows = rows_of(place)
    for n, row in enumerate(rows, 1):
        buckets = grown(url, METRIC, DAY.plus(n))
        assert row["requests"] == pytest.approx(sum(n for *_, n in buckets), abs=0.6)
        # Linear within (0.1, 1], where the median is.
        cumulative = [sum(n for low, high, n in buckets if math.sqrt(low * high) <= bound)
                      for bound in BOUNDS]  # fmt: skip
        assert 100 < row["p50_ms"] < 1000
        assert cumulative[1] > cumulative[0]
        assert row["p50_ms"] != pytest.approx(1000 * quantile(buckets, 0.5), abs=0.06)


def test_a_stack_that_went_over_to_native_ones(tmp_path, url: str) -> None:
    """Days of each kind in one range."""
    labels = {"job": "web", "instance": "i0"}
    went_over = DAY.plus(2)
    service = Service("n", -1, resets=False)
    later = b"".join(
        histogram(at_ms, native(seen))
        for at_ms, seen in Service("n", -1, resets=False).samples()
        if at_ms >= went_over.start_ms
    )
    write(url, as_classic(METRIC, service, DAY.start_ms, went_over.start_ms, **labels)
          + series({"__name__": METRIC, **labels}, later))  # fmt: skip
    place = made(tmp_path, url)
    rows = rows_of(place, first=0)
    assert [row["day"] for row in rows] == [DAY.plus(n).date for n in range(DAYS)]
    assert all(row["requests"] > 0 and row["p50_ms"] for row in rows)
    with connect(place.settings) as session:
        trend = trend_named("http_latency", session.settings)
        days = (DAY, DAY.plus(1))  # its days have classic ones only
        fitted = fit(session, trend, Choices(), days)
    assert [source.need.name for source in fitted.sources] == ["buckets"]
    assert [need.name for need in fitted.absent] == ["native"]
