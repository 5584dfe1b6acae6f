"""The comparison of a restored Prometheus with the lake's samples.

Belongs here: PromQL over plain HTTP, on other paths than an export's. Does not: exports'
own reading and counting (comparing).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lake.http.client import Http
from lake.systems.comparison import RehearsalCheck
from lake.systems.prometheus.config import PrometheusSource
from lake.systems.prometheus.reading.promql import NAME, exactly, of_metrics
from lake.systems.prometheus.reading.ruled import RuledLabels
from lake.systems.rehearsed import RehearsedPartition

_MOST_STEPS = 10_000  # Prometheus' limit of one query_range is 11,000
_HOUR_MS = 3_600_000
_TOLERANCE = 1e-9  # both add floats, in another order
_PROBE_MS = 300_000
_TERMS = 20  # metrics in one query
_TERM = "monitoring_lake_term"  # a label that no series has
_LONGEST_MS = 30 * 86_400_000


class PrometheusQuestions:
    """Queries a restored server."""

    def __init__(self, endpoint: Mapping[str, str]) -> None:
        self._http = Http(PrometheusSource(url=endpoint["url"]), "prometheus")

    def first_answer(self, _taken: datetime) -> None:
        """Something that only a working server answers."""
        self._ask("query", query="1", time="0")

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def newest(self, end: datetime) -> datetime | None:
        """Of all samples, if there is one in the 30 days before `end`."""
        end_ms = round(end.timestamp() * 1000)
        length = _PROBE_MS
        while not self._any(end_ms, length):
            if length >= _LONGEST_MS:
                return None
            length = min(length * 4, _LONGEST_MS)
        without = 0  # so long before the end there is no sample
        while length - without > 1:
            half = (length + without) // 2
            length, without = (half, without) if self._any(end_ms, half) else (length, half)
        closed = self._major() < 3  # before, a range held its left end
        return datetime.fromtimestamp((end_ms - length - closed) / 1000, UTC)

    def _any(self, end_ms: int, length_ms: int) -> bool:
        """Whether a sample lies so shortly before the end."""
        # last_over_time keeps the metrics' names; timestamp() would make equal label sets.
        query = f'count(last_over_time({{__name__=~".+"}}[{length_ms}ms]))'
        return bool(self._ask("query", query=query, time=_s(end_ms - 1)))

    def checks(self, part: RehearsedPartition, seed: int, samples: int) -> Iterator[RehearsalCheck]:
        """Sums over all, and some values one by one."""
        if part.dataset.mode == "raw":
            yield self._hours(part)
            yield self._series(part, seed, samples)
        else:
            yield self._steps(part)
            yield self._vectors(part, seed, samples)

    def _steps(self, part: RehearsedPartition) -> RehearsalCheck:
        """The sum of every step of the day."""
        check = RehearsalCheck("the values of each step, added up")
        query, step_ms = f"sum({part.dataset.query})", part.dataset.step_ms
        there: dict[int, float] = {}
        for start in range(part.day.start_ms, part.day.end_ms, step_ms * _MOST_STEPS):
            end = min(start + step_ms * _MOST_STEPS, part.day.end_ms) - step_ms
            window = {"start": _s(start), "end": _s(end), "step": _s(step_ms)}
            for series in self._ask("query_range", query=query, **window):
                there |= {round(at * 1000): float(v) for at, v in series.get("values", [])}
        _compare_sums(check, part.rows("prometheus_steps"), there)
        return check

    def _hours(self, part: RehearsedPartition) -> RehearsalCheck:
        """The sum of every hour of the day."""
        check = RehearsalCheck("the samples of each hour, added up")
        # A range is open on its left since version 3, and was closed before.
        length = _HOUR_MS if self._major() >= 3 else _HOUR_MS - 1
        day = part.day
        window = {
            "start": _s(day.start_ms + _HOUR_MS - 1),
            "end": _s(day.end_ms - 1),
            "step": "1h",
        }
        there: dict[int, float] = {}
        selectors = self._by_metric(part)
        for first in range(0, len(selectors), _TERMS):
            query = f"sum({_united(selectors[first : first + _TERMS], length)})"
            for series in self._ask("query_range", query=query, **window):
                for at, value in series.get("values", ()):
                    start = round(at * 1000) - _HOUR_MS + 1
                    there[start] = there.get(start, 0.0) + float(value)
        _compare_sums(check, part.rows("prometheus_hours"), there)
        return check

    def _by_metric(self, part: RehearsedPartition) -> list[str]:
        """The dataset's selector for each metric that the day has on the server."""
        query, day = part.dataset.query, part.day
        length = day.end_ms - day.start_ms
        counted = f"count by (__name__) (last_over_time({query}[{length}ms]))"
        samples = self._ask("query", query=counted, time=_s(day.end_ms - 1))
        names = sorted(sample["metric"].get(NAME, "") for sample in samples)
        return [of_metrics(query, [name]) for name in names]

    def _vectors(self, part: RehearsedPartition, seed: int, samples: int) -> RehearsalCheck:
        """All series at some steps, the first and the last among them."""
        check = RehearsalCheck("every series at some steps, value by value")
        step_ms = part.dataset.step_ms
        steps = range(part.day.start_ms, part.day.end_ms, step_ms)
        picked = random.Random(seed).sample(steps, min(samples, len(steps)))  # noqa: S311
        chosen = sorted({steps[0], steps[-1], *picked})
        here: dict[int, dict[str, str]] = {at: {} for at in chosen}
        for row in part.rows("prometheus_at", steps=chosen):
            if row["histogram"] is None:
                here[row["at_ms"]][_series(part.labels(row))] = _value(row)
        rules = part.dataset.rules()
        ruled = RuledLabels(rules, part.dataset.name).of if rules else dict
        for at in chosen:
            vector = self._ask("query", query=part.dataset.query, time=_s(at))
            there = {
                _series(ruled(sample["metric"])): sample["value"][1]
                for sample in vector
                if "value" in sample
            }
            _compare_values(check, _iso(at), here[at], there)
        return check

    def _series(self, part: RehearsedPartition, seed: int, samples: int) -> RehearsalCheck:
        """All samples of some series."""
        check = RehearsalCheck("every sample of some series, value by value")
        if part.dataset.columns:
            check.remark = "left out: by labels that have rules no series can be looked up"
            return check
        here: dict[str, dict[str, str]] = {}
        labels: dict[str, dict[str, str]] = {}
        for row in part.rows("prometheus_series", seed=seed, wanted=samples):
            if row["histogram"] is None:
                name = _series(part.labels(row))
                labels[name] = part.labels(row)
                here.setdefault(name, {})[str(row["at_ms"])] = _value(row)
        for name, values in here.items():
            query = f"{exactly(labels[name])}[{part.day.end_ms - part.day.start_ms}ms]"
            there: dict[str, str] = {}
            for series in self._ask("query", query=query, time=_s(part.day.end_ms - 1)):
                if _series(series["metric"]) == name:
                    samples_ = ((round(at * 1000), v) for at, v in series.get("values", []))
                    there |= {str(at): v for at, v in samples_ if at >= part.day.start_ms}
            _compare_values(check, name, values, there)
        return check

    def _major(self) -> int:
        build = self._http.get("/api/v1/status/buildinfo").json()["data"]
        return int(str(build["version"]).removeprefix("v").split(".")[0])

    def _ask(self, path: str, **params: str) -> list[dict[str, Any]]:
        answer = self._http.post(f"/api/v1/{path}", params).json()
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result if answer["data"]["resultType"] != "scalar" else []


def _united(selectors: Sequence[str], length_ms: int) -> str:
    """The sums over time of several metrics, which may differ in nothing but the name."""
    return " or ".join(
        f'label_replace(sum_over_time({selector}[{length_ms}ms]),"{_TERM}","{number}","","")'
        for number, selector in enumerate(selectors)
    )


def _compare_sums(
    check: RehearsalCheck, rows: Sequence[Mapping[str, Any]], there: dict[int, float]
) -> None:
    for row in rows:
        restored = there.pop(row["at_ms"], None)
        if row["histograms"]:
            check.remark = "sums leave out where there are native histograms"
            continue
        expected = math.nan if row["nans"] else row["total"]
        same = restored is not None and _is_close(expected, restored, row["size"])
        check.compare(_iso(row["at_ms"]), expected, restored, same=same)
    for at, value in there.items():
        check.differ(_iso(at), "no samples", value)


def _is_close(ours: float, other: float, size: float | None) -> bool:
    if math.isnan(ours) or math.isnan(other):
        return math.isnan(ours) and math.isnan(other)
    return ours == other or math.isclose(ours, other, rel_tol=0, abs_tol=_TOLERANCE * (size or 0))


def _compare_values(
    check: RehearsalCheck, where: str, here: Mapping[str, str], there: Mapping[str, str]
) -> None:
    """Values as text: of the lake by `repr`, of Prometheus as it writes them."""
    for name, value in here.items():
        restored = there.get(name)
        same = restored is not None and _same_float(value, restored)
        check.compare(
            f"{where} {name}", value, "no sample" if restored is None else restored, same=same
        )
    for name in there.keys() - here.keys():
        check.differ(f"{where} {name}", "no sample", there[name])


def _same_float(ours: str, other: str) -> bool:
    here, there = float(ours), float(other)
    if math.isnan(here) or math.isnan(there):
        return math.isnan(here) and math.isnan(there)
    return here == there and math.copysign(1, here) == math.copysign(1, there)


def _value(row: Mapping[str, Any]) -> str:
    return "NaN" if row["nan"] is not None else repr(row["value"])


def _series(labels: Mapping[str, str]) -> str:
    """A label set as a name: the same for the same labels."""
    return exactly({k: labels[k] for k in sorted(labels)})


def _s(ms: int) -> str:
    return f"{ms / 1000:.3f}"


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
