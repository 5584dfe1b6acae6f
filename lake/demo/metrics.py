"""The requests as the counters, histograms and gauges that Micrometer exposes.

Belongs here: names, labels and values at each scrape. Does not: getting them into
Prometheus (into_prometheus).

Every series is there at every scrape from the first one, at 0 before anything happened, and
begins at 0 again after a restart. So for each UTC day the increase of a counter, corrected
for its resets and taken from that day's samples alone, is what the day's requests add up to.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from lake.base.day import Day
from lake.demo.dialogue import LLM, MODELS, STAGES, TTS, URIS, Request, requests_of
from lake.demo.scenario import Scenario

_TARGET = {"application": "miyou", "instance": "miyou-api:8080"}
_ANSWERS = {  # status → (outcome, exception)
    200: ("SUCCESS", "none"),
    500: ("SERVER_ERROR", "TtsSynthesisException"),
    503: ("SERVER_ERROR", "UpstreamUnavailableException"),
}
_REQUEST_BUCKETS = ("0.5", "1.0", "2.0", "4.0", "8.0", "+Inf")
_STAGE_BUCKETS = ("0.05", "0.2", "0.5", "1.0", "2.0", "+Inf")
_FAILING_STAGES = (LLM, TTS)
_MAX_WINDOW_MS = 120_000  # Micrometer forgets a maximum after two minutes
_ACTIVE = "dialogue_pipeline_active"
Change = tuple[int, int]


@dataclass(frozen=True)
class SeriesDay:
    """One series on one day.

    `changes` are (scrape number, value from then on), the first at scrape 0; the values of
    `…_seconds_sum` and `…_seconds_max` are held in milliseconds: `text` gives what is exposed.
    """

    name: str
    labels: str
    changes: tuple[Change, ...]

    def text(self, value: int) -> str:
        """The value in the series' unit, as it is written."""
        return repr(self.number(value))

    def number(self, value: int) -> int | float:
        """The value in the series' unit."""
        return value / 1000 if self.name.endswith(("_seconds_sum", "_seconds_max")) else value

    def runs(self, scrapes: int) -> Iterator[tuple[int, int, int]]:
        """(from scrape, up to and without scrape, value)."""
        for (start, value), (end, _) in pairwise([*self.changes, (scrapes, 0)]):
            yield start, end, value

    def values(self, scrapes: int) -> list[int | float]:
        """The value at each scrape."""
        return [
            number
            for start, end, value in self.runs(scrapes)
            for number in (self.number(value),) * (end - start)
        ]


@dataclass(frozen=True)
class MetricsDay:
    """All samples of one day: every series has one at every scrape."""

    day: Day
    scrapes: Sequence[int]
    series: Sequence[SeriesDay]

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.scrapes) * len(self.series)


def metrics_of(scenario: Scenario) -> Iterator[MetricsDay]:
    """The window's days in order: the counters run on from day to day."""
    totals: Counter[str] = Counter()
    for day in scenario.each_day():
        requests, scrapes = requests_of(scenario, day), scenario.scrapes(day)
        changes = _counters(totals, requests, scrapes, _resets(scenario, scrapes))
        changes |= _gauges(requests, scrapes)
        series = [SeriesDay(*_split(key), tuple(changes[key])) for key in series_keys()]
        yield MetricsDay(day, scrapes, series)


def _resets(scenario: Scenario, scrapes: Sequence[int]) -> list[int]:
    """The numbers of the first scrapes after a restart."""
    first, last = scrapes[0], scrapes[-1]
    return [
        bisect_left(scrapes, restart.ready_ms)
        for restart in scenario.restarts
        if first < restart.ready_ms <= last
    ]


def _counters(
    totals: Counter[str], requests: Sequence[Request], scrapes: Sequence[int], resets: list[int]
) -> dict[str, list[Change]]:
    """What each counter shows; `totals` is taken over and left at the day's end."""
    seen_at: dict[int, list[Request]] = defaultdict(list)
    for request in requests:
        seen_at[bisect_left(scrapes, request.finished_ms)].append(request)
    changes: dict[str, list[Change]] = {key: [(0, totals[key])] for key in _counter_keys()}
    for number in sorted({*seen_at, *resets}):
        touched: set[str] = set()
        if number in resets:
            touched.update(totals)
            totals.clear()
        for request in seen_at.get(number, ()):
            for key, increment in _increments(request):
                totals[key] += increment
                touched.add(key)
        for key in touched:
            changes[key].append((number, totals[key]))
    return changes


def _gauges(requests: Sequence[Request], scrapes: Sequence[int]) -> dict[str, list[Change]]:
    """Requests under way, and the longest of the last two minutes."""
    values: dict[str, list[int]] = {key: [0] * len(scrapes) for key in _gauge_keys()}
    for request in requests:
        first = bisect_left(scrapes, request.started_ms)
        done = bisect_left(scrapes, request.finished_ms)
        forgotten = bisect_left(scrapes, request.finished_ms + _MAX_WINDOW_MS)
        for number in range(first, done):
            values[_ACTIVE_KEY][number] += 1
        longest = values[_http("max", request.uri, request.status)]
        for number in range(done, forgotten):
            longest[number] = max(longest[number], request.total_latency_ms)
    return {key: _changes(shown) for key, shown in values.items()}


def _changes(values: Sequence[int]) -> list[Change]:
    return [
        (number, value)
        for number, value in enumerate(values)
        if number == 0 or value != values[number - 1]
    ]


def _increments(request: Request) -> Iterator[tuple[str, int]]:
    """Counter → by how much the request raises it."""
    http = _http_labels(request.uri, request.status)
    yield from _observe("http_server_requests_seconds", http, request.total_latency_ms)
    status = "FAILED" if request.failure else "COMPLETED"
    pipeline = (("status", status),)
    yield from _observe("dialogue_pipeline_duration_seconds", pipeline, request.total_latency_ms)
    for stage in request.stages:
        labels = (("stage", stage.name), ("status", stage.status))
        yield from _observe("dialogue_pipeline_stage_duration_seconds", labels, stage.duration_ms)
    outcome = "error" if request.failure and request.failure.stage == LLM else "success"
    yield _key("llm_requests_total", (("model", request.model), ("outcome", outcome))), 1
    spent = {"prompt": request.prompt_tokens, "completion": request.completion_tokens}
    for kind, tokens in spent.items():
        if tokens:
            yield _key("llm_tokens_total", (("model", request.model), ("type", kind))), tokens
    synthesis = request.stage(TTS)
    if synthesis and not synthesis.failed:
        yield _key("tts_synthesis_seconds_count"), 1
        yield _key("tts_synthesis_seconds_sum"), synthesis.duration_ms
        yield _key("tts_audio_chunks_total"), request.audio_chunks


def _buckets(name: str) -> tuple[str, ...]:
    return _STAGE_BUCKETS if "stage" in name else _REQUEST_BUCKETS


Labels = tuple[tuple[str, str], ...]


def _observe(name: str, labels: Labels, milliseconds: int) -> Iterator[tuple[str, int]]:
    """One observation of a histogram."""
    yield _key(f"{name}_count", labels), 1
    yield _key(f"{name}_sum", labels), milliseconds
    for bound in _buckets(name):
        if milliseconds <= float(bound) * 1000:
            yield _key(f"{name}_bucket", (*labels, ("le", bound))), 1


def _histogram_keys(name: str, labels: Labels) -> Iterator[str]:
    yield _key(f"{name}_count", labels)
    yield _key(f"{name}_sum", labels)
    for bound in _buckets(name):
        yield _key(f"{name}_bucket", (*labels, ("le", bound)))


@cache
def _key(name: str, labels: Labels = ()) -> str:
    """The series as it stands in the exposition: name{labels}."""
    pairs = sorted({**_TARGET, **dict(labels)}.items())
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in pairs) + "}"


def _split(key: str) -> tuple[str, str]:
    name, brace, labels = key.partition("{")
    return name, brace + labels


def _http_labels(uri: str, status: int) -> Labels:
    outcome, exception = _ANSWERS[status]
    return (
        ("exception", exception),
        ("method", "POST"),
        ("outcome", outcome),
        ("status", str(status)),
        ("uri", uri),
    )


def _http(suffix: str, uri: str, status: int) -> str:
    return _key(f"http_server_requests_seconds_{suffix}", _http_labels(uri, status))


_ACTIVE_KEY = _key(_ACTIVE)


@cache
def _gauge_keys() -> tuple[str, ...]:
    return (_ACTIVE_KEY, *(_http("max", uri, status) for uri in URIS for status in _ANSWERS))


@cache
def _counter_keys() -> tuple[str, ...]:
    keys: list[str] = []
    for uri in URIS:
        for status in _ANSWERS:
            keys += _histogram_keys("http_server_requests_seconds", _http_labels(uri, status))
    for ended, stages in (("COMPLETED", STAGES), ("FAILED", _FAILING_STAGES)):
        keys += _histogram_keys("dialogue_pipeline_duration_seconds", (("status", ended),))
        for stage in stages:
            labels = (("stage", stage), ("status", ended))
            keys += _histogram_keys("dialogue_pipeline_stage_duration_seconds", labels)
    for model in MODELS:
        keys += [
            _key("llm_requests_total", (("model", model), ("outcome", outcome)))
            for outcome in ("success", "error")
        ]
        keys += [
            _key("llm_tokens_total", (("model", model), ("type", kind)))
            for kind in ("prompt", "completion")
        ]
    keys += [
        _key(name)
        for name in (
            "tts_synthesis_seconds_count",
            "tts_synthesis_seconds_sum",
            "tts_audio_chunks_total",
        )
    ]
    return tuple(keys)


@cache
def series_keys() -> tuple[str, ...]:
    """Every series, as name{labels}, in the order of the days' `series`."""
    return tuple(sorted((*_counter_keys(), *_gauge_keys())))
