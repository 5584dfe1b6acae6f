"""A look at Prometheus, or what speaks its API: metric families, scrape interval, retention.

Belongs here: how metrics are grouped into datasets. Does not: reading samples (reading).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from contextlib import closing
from itertools import pairwise, takewhile
from statistics import median
from typing import Any

from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import BadData, Refused, TransientError
from lake.config.datasets import duration_ms
from lake.http.client import Http, NoSuchPath, Params
from lake.systems.discovered import DiscoveredSource, DiscoveredTable, Value
from lake.systems.periods import first_day, last_day
from lake.systems.prometheus.config import PrometheusSource
from lake.systems.prometheus.reading.promql import NAME, exactly, literally, matcher, matching

ATTEMPTS = 2  # who types a command waits for the answer
_DAY_S = 86_400
_DEFAULT_KEPT_DAYS = 15
_DEFAULT_STEP_S = 15
_LOOK_BACK_S = 300  # Prometheus' default: a step has the newest sample of the time before it
_FEW = 3  # metrics that make a family worth a table of its own
_MOST_TABLES = 20
_SEPARATOR = re.compile(r"[_.]")  # of a name's words; OpenTelemetry's names have dots
_SUFFIX = re.compile(r"[_.](total|sum|count|bucket|max|min|created|info)$")
_UNITS = frozenset({"bytes", "milliseconds", "ms", "ratio", "seconds"})
# Words for how a metric is carried, not for what it measures: http_server is a family, http is not.
_CARRIERS = frozenset({"http", "grpc", "rpc", "db"})


class PrometheusServer:
    """This look's requests to the HTTP API."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def data(self, path: str, params: Params | None = None) -> Any:
        """The answer's `data`. Raises BadData where it is none of this API."""
        answer = self._http.get(f"/api/v1/{path}", params, attempts=ATTEMPTS)
        body = answer.json()
        if not isinstance(body, dict) or body.get("status") != "success" or "data" not in body:
            raise BadData("not a response of Prometheus' API", where=answer.url)
        return body["data"]

    def optional(self, path: str) -> Mapping[str, Any]:
        """Empty where the server has no such page, as Thanos and Mimir."""
        try:
            data = self.data(path)
        except (Refused, BadData):
            return {}
        return data if isinstance(data, dict) else {}

    def version(self) -> str:
        """Empty where the server does not report it."""
        return str(self.optional("status/buildinfo").get("version", ""))

    def kept_days(self) -> int | None:
        """None where the server does not report it, or keeps by size."""
        flags = self.optional("status/flags")
        text = flags.get("storage.tsdb.retention.time")
        if text is None:
            return None
        kept_ms = duration_ms(str(text))
        # 0 stands for the default, unless a size was given; then the time is unknown.
        if not kept_ms and flags.get("storage.tsdb.retention.size", "0B") != "0B":
            return None
        return max(1, kept_ms // (_DAY_S * 1000)) if kept_ms else _DEFAULT_KEPT_DAYS

    def names(self, start: Day, end: Day) -> list[str]:
        """The metrics of [start, end), and perhaps a few more."""
        params = {"start": str(start.start_ms // 1000), "end": str(end.start_ms // 1000 - 1)}
        return [str(name) for name in self.data("label/__name__/values", params) or ()]

    def vector(self, query: str, at_s: float) -> list[dict[str, Any]]:
        """An instant query's result."""
        samples: list[dict[str, Any]] = self.data("query", {"query": query, "time": f"{at_s:.3f}"})[
            "result"
        ]
        return samples


def look(section: PrometheusSource, keys: Mapping[str, Value]) -> DiscoveredSource:
    """One table per metric family; together they hold every metric, each once.

    `keys` may stand in a file. Raises what lake.http raises.
    """
    with closing(Http(section, "prometheus")) as http:
        server = PrometheusServer(http)
        version, kept = server.version(), server.kept_days()
        oldest = first_day(lambda start, end: bool(server.names(start, end)), kept)
        tables = _tables(server, oldest) if oldest else ()
    return DiscoveredSource(
        source="prometheus",
        section=keys,
        summary=f"Prometheus API {version}".rstrip() + ("" if oldest else ", no metrics"),
        hot_days=kept,
        hot_basis="storage.tsdb.retention.time" if kept else "the server does not report it",
        tables=tables,
        oldest=oldest,
    )


def _tables(server: PrometheusServer, oldest: Day) -> tuple[DiscoveredTable, ...]:
    last = last_day(lambda start, end: bool(server.names(start, end)), oldest)
    names = server.names(oldest, Day.today().plus(1))
    at_s = _last_sample_s(server, names, last)
    series = _series(server, at_s)
    families = group(names)
    ranked = sorted(families, key=lambda prefix: -sum(series.get(n, 0) for n in families[prefix]))
    own = [prefix for prefix in ranked if len(families[prefix]) >= _FEW][:_MOST_TABLES]
    known = {prefix: pattern(prefix, families[prefix]) for prefix in sorted(own)}
    tables = [
        _table(server, prefix, _selector(matching(NAME, known[prefix])), members, series, at_s)
        for prefix, members in ((prefix, families[prefix]) for prefix in sorted(own))
    ]
    if rest := [name for prefix in families if prefix not in own for name in families[prefix]]:
        others = [matching(NAME, "|".join(known.values()), but=True)] if own else []
        query = _selector(matching(NAME, ".+"), *others)
        name = "other_metrics" if own else "metrics"
        tables.append(_table(server, name, query, rest, series, at_s))
    return tuple(tables)


def group(names: list[str]) -> dict[str, list[str]]:
    """Metrics by what their names begin with; no such prefix begins another's names.

    jvm_memory_used_bytes and jvm_gc_pause_seconds_sum are of `jvm`,
    http_server_requests_seconds_count and …_sum of `http_server_requests`.
    """
    kin: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in names:
        words = _SEPARATOR.split(name)
        # A name that begins with an underscore has empty words first: alone they are any metric's.
        first = next((at for at, word in enumerate(words) if word), len(words) - 1)
        kin[tuple(words[: first + (2 if words[first] in _CARRIERS else 1)])].append(name)
    return {_prefix(key, members): sorted(members) for key, members in kin.items()}


def _prefix(key: tuple[str, ...], names: list[str]) -> str:
    """The words that all begin with, without units and what a histogram adds; at least the key."""
    bases = [_SEPARATOR.split(_SUFFIX.sub("", name)) for name in names]
    same = takewhile(lambda words: len(set(words)) == 1, zip(*bases, strict=False))
    prefix = [words[0] for words in same]
    while len(prefix) > len(key) and prefix[-1] in _UNITS:
        prefix.pop()
    return "_".join(prefix if len(prefix) >= len(key) else key)


def pattern(prefix: str, names: Collection[str]) -> str:
    """The regular expression of a family whose metrics have these names."""
    # A dot between words matches an underscore as well: both are of this family.
    separator = "[_.]" if any("." in name for name in names) else "_"
    words = (_word(word) for word in prefix.split("_"))
    return f"{separator.join(words)}({separator}.*)?"


def _word(text: str) -> str:
    return re.sub(r"[^\w]", lambda odd: _odd(odd[0]), text, flags=re.ASCII)


def _odd(character: str) -> str:
    """In brackets where RE2 allows that: more legible between PromQL's quotes than backslashes."""
    return literally(character) if character in "^\\]" else f"[{character}]"


def _selector(*matchers: str) -> str:
    return "{" + ", ".join(matchers) + "}"


def _table(
    server: PrometheusServer,
    name: str,
    query: str,
    metrics: list[str],
    series: Mapping[str, int],
    at_s: float,
) -> DiscoveredTable:
    interval = _interval_s(server, metrics, series, at_s)
    seen = [f"{len(metrics)} metrics, {sum(series.get(metric, 0) for metric in metrics):,} series"]
    seen.append(
        f"a sample every {interval} s" if interval else "too few samples to estimate the interval"
    )
    if series and _has_natives(server, query, at_s):
        seen.append('with native histograms: mode = "raw" reads these faster')
    keys: dict[str, Value] = {"source": "prometheus", "query": query}
    if interval and interval > _LOOK_BACK_S:
        seen.append("mode raw: at most steps there is no sample in the 5m before")
        keys["mode"] = "raw"
    else:
        keys |= {"mode": "range", "step": f"{interval or _DEFAULT_STEP_S}s"}
    return DiscoveredTable(name, keys, tuple(seen))


def _last_sample_s(server: PrometheusServer, names: list[str], last: Day) -> float:
    """About when the newest samples are from, in seconds since the epoch."""
    now_s = utc_now().timestamp()
    end_s = min(now_s, last.end_ms / 1000 - 1)
    params = {
        "query": f"count({_selector(matcher(NAME, names[:5]))})",
        "start": f"{last.start_ms / 1000:.3f}",
        "end": f"{end_s:.3f}",
        "step": "60s",
    }
    points = [
        point
        for series in server.data("query_range", params)["result"]
        for point in series["values"]
    ]
    return float(points[-1][0]) if points else end_s


def _series(server: PrometheusServer, at_s: float) -> dict[str, int]:
    """How many series each metric has; empty where that is too much for the server."""
    try:
        samples = server.vector('count by (__name__) ({__name__=~".+"})', at_s)
    except (Refused, TransientError) as error:
        if isinstance(error, NoSuchPath):
            raise
        return {}
    return {
        sample["metric"].get("__name__", ""): int(float(sample["value"][1])) for sample in samples
    }


def _has_natives(server: PrometheusServer, query: str, at_s: float) -> bool:
    """Whether there are native histograms; not where the server has no function of theirs."""
    try:
        return bool(server.vector(f"count(histogram_count({query}))", at_s))
    except (Refused, TransientError) as error:
        if isinstance(error, NoSuchPath):
            raise
        return False


def _interval_s(
    server: PrometheusServer, metrics: list[str], series: Mapping[str, int], at_s: float
) -> int | None:
    """The usual distance between samples in whole seconds, of the metric with fewest series."""
    alive = [name for name in metrics if series.get(name)]
    if not alive:
        return None
    name = min(alive, key=lambda metric: series[metric])
    matrix = server.vector(f"{exactly({NAME: name})}[30m]", at_s)
    gaps = [
        after[0] - before[0]
        for series_ in matrix
        for before, after in pairwise(series_.get("values") or series_.get("histograms") or ())
    ]
    return max(1, round(median(gaps))) if gaps else None
