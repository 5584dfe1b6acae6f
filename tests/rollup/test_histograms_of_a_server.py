"""Native histograms' growth by bucket and quantiles, against PromQL's in real servers."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator

import pytest
import requests
from support.raw_days import STALE, double, fresh_metric
from support.remote_writing import histogram, series, write
from support.rolled_lake import Place, exported_samples

from lake.base.day import Day
from lake.query import connect
from lake.servers import find, start

DAY = Day.parse("2026-03-14")
STEP_S = 60
HOURS = (0, 1, 5, 23, 24)  # since the day's beginning: those that have samples
# None whose rank is a whole number, which PromQL's rounding may put into either bucket.
QUANTILES = (-1, 0, 0.01237, 0.31713, 0.50379, 0.90311, 0.99171, 1, 1.1)
ZERO = 0.001
BOUNDS = (0.005, 0.1, 0.25, 1.0, 2.5)
Buckets = dict[tuple[float, float], float]


@pytest.fixture(scope="module", params=["prometheus", "prometheus3"])
def version(request: pytest.FixtureRequest) -> str:
    if request.param != "prometheus" and find(request.param) is None:
        pytest.skip(f"{request.param} is not installed: lake services install {request.param}")
    return request.param


@pytest.fixture(scope="module")
def url(version: str) -> Iterator[str]:
    with start([version]) as stack:
        yield stack.endpoints[version]["url"]


class Grower:
    """A histogram that is observed, and written as remote write has it."""

    def __init__(self, luck: random.Random, schema: int, *, is_float: bool, negative: bool) -> None:
        self.luck, self.schema, self.is_float, self.negative = luck, schema, is_float, negative
        self.clear()
        self.observe(9)

    def clear(self) -> None:
        self.values: list[float] = []

    def observe(self, number: int) -> None:
        for _ in range(number):
            value = self.luck.choice([self.luck.lognormvariate(-1, 2), ZERO / 2, 0.25, 1.0])
            sign = -1 if self.negative and self.luck.random() < 0.3 else 1
            self.values.append(sign * value)

    def written(self) -> dict:
        scale = 0.25 if self.is_float else 1
        native = {
            "schema": self.schema, "zero_threshold": ZERO, "is_float": self.is_float,
            "count": scale * len(self.values), "sum": sum(self.values),
            "zeros": scale * sum(abs(value) <= ZERO for value in self.values),
        }  # fmt: skip
        for side, sign in (("positive", 1), ("negative", -1)):
            counts = Counter(self.index(abs(v)) for v in self.values if sign * v > ZERO)
            native |= spans(side, {i: scale * number for i, number in counts.items()})
        return native

    def index(self, value: float) -> int:
        return math.ceil(round(math.log2(value) * 2.0**self.schema, 9))


class CustomGrower(Grower):
    """One with custom bounds."""

    def written(self) -> dict:
        places = (next((n for n, bound in enumerate(BOUNDS) if value <= bound), len(BOUNDS))
                  for value in self.values)  # fmt: skip
        return {
            "schema": -53, "zero_threshold": 0.0, "zeros": 0, "custom": BOUNDS,
            "count": len(self.values), "sum": sum(self.values), **spans("negative", {}),
            **spans("positive", Counter(places)),
        }  # fmt: skip


def spans(side: str, counts: dict[int, float]) -> dict:
    """Buckets next to each other are a span each, too: (offset, length)."""
    following, written = 0, []
    for index in sorted(counts):
        written.append((index - following, 1))
        following = index + 1
    return {side: [counts[i] for i in sorted(counts)], f"{side}_spans": written}


def samples(grower: Grower, n: int) -> Iterator[tuple[int, dict]]:
    """Seconds since the day's beginning, histograms. Series differ in when they are reset."""
    gone = {**grower.written(), "sum": double(STALE), "count": 0, "zeros": 0,
            **spans("positive", {}), **spans("negative", {})}  # fmt: skip
    for hour in HOURS[n % 2 :]:
        for minute in range(60):
            if minute == 30 and n % 3 == 1:  # the count drops
                grower.clear()
                grower.observe(1)
            if minute == 40 and n % 3 == 2:  # a bucket drops, the count does not
                much = len(grower.values) + 50
                grower.clear()
                grower.observe(much)
            if minute == 0 and hour == 5 and n % 2:  # while nothing was scraped
                grower.clear()
            grower.observe(grower.luck.choice([0, 0, 1, 5]) + (minute == 0))
            if n == 4 and minute == 50 and hour == 1:
                grower.schema -= 1  # fewer buckets, no reset
            # 2.42 counts stale markers of float histograms as samples.
            if n == 3 and minute == 20 and not grower.is_float:
                yield hour * 3600 + minute * STEP_S, gone
            else:
                yield hour * 3600 + minute * STEP_S, grower.written()


@pytest.fixture(scope="module")
def metrics(version: str, url: str) -> dict[str, str]:
    """By kind. In one request: what is a day older than the newest sample is refused."""
    kinds = ["integers", "floats", "coarser", *(["custom"] if version == "prometheus3" else [])]
    names = {kind: fresh_metric() for kind in kinds}
    body = b""
    for kind, metric in names.items():
        for n, grower in enumerate(growers(kind)):
            content = b"".join(
                histogram(DAY.start_ms + at * 1000, native) for at, native in samples(grower, n)
            )
            body += series({"__name__": metric, "n": str(n)}, content)
    write(url, body)
    return names


def ask(url: str, query: str, at_s: float) -> list[dict]:
    params = {"query": query, "time": DAY.start_ms / 1000 + at_s}
    answer = requests.get(f"{url}/api/v1/query", params, timeout=30)
    answer.raise_for_status()
    return answer.json()["data"]["result"]


def is_older(version: str) -> bool:
    """Than Prometheus 3, which may be on PATH."""
    program = find(version)
    assert program
    return program.version.startswith("2.")


def increase(version: str, metric: str, window_s: int) -> str:
    """From the sample at the window's beginning to the one at its end. Since Prometheus 3 a window
    does not have its beginning: a ms more, which is extrapolated.
    """
    if is_older(version):
        return f"increase({metric}[{window_s}s])"
    return f"increase({metric}[{window_s}s1ms]) * {window_s} / {window_s}.001"


def buckets(answer: list[dict]) -> Buckets:
    return {
        (float(low) + 0.0, float(high)): float(number)
        for _, low, high, number in answer[0]["histogram"][1].get("buckets", [])
    }


def made(tmp_path, url: str, metric: str) -> Place:
    return exported_samples(tmp_path, url, "stored", metric, (DAY, DAY.plus(1)))


def same(got: Buckets, wanted: Buckets) -> None:
    assert got.keys() == wanted.keys()
    for key, number in wanted.items():
        assert got[key] == pytest.approx(number, rel=1e-9), key


def of_rows(rows: list[dict]) -> Buckets:
    return {(row["lower"] + 0.0, row["upper"]): row["increase"] for row in rows}


def quantiles(url: str, query: str, at_s: float) -> tuple[float, ...]:
    answers = (ask(url, f"histogram_quantile({q}, {query})", at_s) for q in QUANTILES)
    return tuple(float(answer[0]["value"][1]) for answer in answers)


IN_HOURS = """
    SELECT hour, bucket.lower, bucket.upper, sum(bucket.increase) AS increase
    FROM (SELECT hour, n, unnest(histogram.bucket_increase) AS bucket FROM stored_hourly)
    WHERE n = $n OR $n = '' GROUP BY ALL
"""


def growers(kind: str) -> list[Grower]:
    luck = random.Random(f"seed of {kind}")
    if kind == "custom":
        return [CustomGrower(luck, 0, is_float=False, negative=False) for _ in range(4)]
    return [
        Grower(luck, 2 if n == 4 else 3, is_float=kind == "floats", negative=n % 2 == 1)
        for n in range(5 if kind == "coarser" else 4)
    ]


@pytest.mark.parametrize("kind", ["integers", "floats", "custom"])
def test_growth_and_quantiles_are_those_of_promql(tmp_path, version, url, metrics, lake, kind):
    if kind not in metrics:
        pytest.skip("2.42 has no custom bounds")
    metric = metrics[kind]
    place = made(tmp_path, url, metric)
    with connect(place.settings) as session:
        # Within hours, by series and summed up.
        for n in ("", "1", "2"):
            rows = session.rows(IN_HOURS, {"n": n})
            for hour in HOURS[1:4]:
                of = f'{metric}{{n="{n}"}}' if n else metric
                at, query = hour * 3600 + 3540, f"sum({increase(version, of, 3540)})"
                within = [row for row in rows if row["hour"].hour == hour]
                same(of_rows(within), buckets(ask(url, query, at)))
                if is_older(version) or hour == HOURS[2]:
                    continue  # 2.42 interpolates linearly
                values = ", ".join(f"histogram_quantile(lower, upper, increase, {q})"
                                   for q in QUANTILES)  # fmt: skip
                [of_sql] = session.ask(
                    f"SELECT {values} FROM ({IN_HOURS}) "
                    f"WHERE hour = TIMESTAMPTZ '{within[0]['hour']}'", {"n": n}
                ).rows  # fmt: skip
                assert of_sql == pytest.approx(quantiles(url, query, at), rel=1e-9), (n, hour)
        # Over the edges of hours and of days.
        args = f"('stored', '{metric}', DATE '{DAY}', DATE '{DAY.plus(2)}')"
        for macro in ("day", "hour"):
            rows = session.rows(
                "SELECT lower, upper, sum(increase) AS increase "
                f"FROM histogram_increase_by_{macro}{args} WHERE n = '0' GROUP BY ALL"
            )
            whole = HOURS[-1] * 3600 + 3540
            of = f'{metric}{{n="0"}}'
            same(of_rows(rows), buckets(ask(url, f"sum({increase(version, of, whole)})", whole)))
        rows = session.rows(
            "SELECT lower, upper, sum(increase) AS increase FROM histogram_increase_by_day"
            f"('stored', '{metric}', DATE '{DAY.plus(1)}', DATE '{DAY.plus(2)}') GROUP BY ALL"
        )
        same(
            of_rows(rows),
            buckets(ask(url, f"sum({increase(version, metric, 3600)})", 24 * 3600 + 3540)),
        )
        resets = session.rows("SELECT n, sum(histogram.resets) AS n_resets FROM stored_hourly "
                              "GROUP BY n")  # fmt: skip
    assert {row["n"]: row["n_resets"] > 0 for row in resets} == {
        "0": False, "1": True, "2": True, "3": False,
    }  # fmt: skip
    assert lake("verify", "--config", str(place.config))[0] == 0


def test_a_coarser_resolution_without_a_reset(tmp_path, version, url, metrics, lake):
    """PromQL has all buckets at the coarsest resolution; a rollup has those that grew since."""
    metric = metrics["coarser"]
    place = made(tmp_path, url, metric)
    with connect(place.settings) as session:
        rows = [row for row in session.rows(IN_HOURS, {"n": "4"}) if row["hour"].hour == 1]
    of = f'{metric}{{n="4"}}'
    wanted = buckets(ask(url, f"sum({increase(version, of, 3540)})", 3600 + 3540))

    by_wider: Buckets = Counter()
    for row in rows:
        [wider] = [key for key in wanted if key[0] <= row["lower"] and row["upper"] <= key[1]]
        by_wider[wider] += row["increase"]
    same(by_wider, wanted)
    assert any(row["upper"] / row["lower"] < 1.5 for row in rows if row["lower"] > ZERO)
    assert lake("verify", "--config", str(place.config))[0] == 0
