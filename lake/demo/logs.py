"""The requests as log lines of four containers.

Belongs here: streams, lines, structured metadata. Does not: pushing them (into_loki).

A request leaves exactly one line `request finished` in `miyou-api` and exactly one line in
the gateway's access log, on its own UTC day. `miyou-api` writes JSON with the request and
trace id as structured metadata; `miyou-pipeline` writes logfmt, and stack traces as the
lines they are, some of one nanosecond. No time is a whole millisecond.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from lake.base.day import Day
from lake.demo.dialogue import Request, RequestFailure, Stage
from lake.demo.scenario import HOUR_MS, Scenario

FINISHED = "request finished"
_MINUTE_MS = 60_000
_SLOW_MS = 2_500
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_AGENTS = ("okhttp/4.12.0", "Miyou/2.4 CFNetwork/1494.0.7 Darwin/23.4.0", "Mozilla/5.0")
_SERVICES = {
    "miyou-api": "api",
    "miyou-pipeline": "pipeline",
    "gateway": "gateway",
    "mongo": "database",
}


class Stream(NamedTuple):
    """What names a stream; `labels` are those that Alloy's Docker discovery sets."""

    container: str
    level: str

    @property
    def labels(self) -> dict[str, str]:
        """Stream labels."""
        return {
            "container": self.container,
            "service": _SERVICES[self.container],
            "level": self.level,
        }


class Line(NamedTuple):
    """One line; `ts_ns` is UTC."""

    ts_ns: int
    text: str
    metadata: Mapping[str, str]


Entries = Iterator[tuple[Stream, Line]]
_API = {level: Stream("miyou-api", level) for level in ("info", "warn", "error")}
_PIPELINE = {level: Stream("miyou-pipeline", level) for level in ("info", "warn", "error")}
_ACCESS, _GATEWAY_ERROR = Stream("gateway", "info"), Stream("gateway", "error")
_MONGO = Stream("mongo", "info")


def lines_of(scenario: Scenario, day: Day, requests: Sequence[Request]) -> dict[Stream, list[Line]]:
    """Each stream's lines of the UTC day in order of time."""
    rng = random.Random(f"{scenario.seed}/{day}/logs")  # noqa: S311  repeatable, no secret
    streams: dict[Stream, list[Line]] = defaultdict(list)
    for request in requests:
        for stream, line in _request_lines(rng, request):
            streams[stream].append(line)
    for stream, line in _background(rng, scenario, day):
        streams[stream].append(line)
    return {
        stream: sorted(streams[stream], key=lambda line: line.ts_ns) for stream in sorted(streams)
    }


def _request_lines(rng: random.Random, request: Request) -> Entries:
    jitter_ns = rng.randint(1, 900_000)
    yield from _api_lines(request, jitter_ns)
    for stage in request.stages:
        yield from _stage_lines(request, stage, jitter_ns)
    at_ns = _ns(request.finished_ms + rng.randint(1, 3), jitter_ns)
    yield _ACCESS, Line(at_ns, _access_line(rng, request), {})


def _api_lines(request: Request, jitter_ns: int) -> Entries:
    ids = {"requestId": request.request_id, "userId": request.user_id, "uri": request.uri}
    metadata = {"trace_id": request.trace_id, "request_id": request.request_id}
    thread = f"http-nio-8080-exec-{1 + int(request.trace_id[:2], 16) % 10}"

    def line(at_ms: int, level: str, logger: str, message: str, **more: object) -> Line:
        text = _json(at_ms, level, logger, thread, message, **ids, **more)
        return Line(_ns(at_ms, jitter_ns), text, metadata)

    started, finished = request.started_ms, request.finished_ms
    controller = "com.miyou.dialogue.DialogueController"
    yield _API["info"], line(started, "info", controller, "request received")
    failure = request.failure
    if failure:
        reason = f"{failure.exception}: {failure.message}"
        advice = "com.miyou.web.ErrorAdvice"
        yield _API["error"], line(finished, "error", advice, reason, code=failure.code)
    elif request.total_latency_ms > _SLOW_MS * 2:
        yield _API["warn"], line(finished, "warn", controller, "slow answer")
    outcome = {
        "status": request.status,
        "durationMs": request.total_latency_ms,
        "totalTokens": request.total_tokens,
        "release": request.release,
    }
    yield _API["info"], line(finished, "info", controller, FINISHED, **outcome)


def _stage_lines(request: Request, stage: Stage, jitter_ns: int) -> Entries:
    fields = f"stage={stage.name} duration_ms={stage.duration_ms} request_id={request.request_id}"
    at_ns = _ns(stage.finished_ms, jitter_ns)
    if stage.failed and request.failure:
        head = _logfmt(stage.finished_ms, "error", "stage failed", fields)
        # Docker gives each line a time of its own, but not always another one.
        for number, text in enumerate((head, *_stack_trace(request.failure))):
            yield _PIPELINE["error"], Line(at_ns + number // 2, text, {})
        return
    level, message = (
        ("warn", "slow stage") if stage.duration_ms > _SLOW_MS else ("info", "stage completed")
    )
    yield _PIPELINE[level], Line(at_ns, _logfmt(stage.finished_ms, level, message, fields), {})


def _stack_trace(failure: RequestFailure) -> tuple[str, ...]:
    stage = "".join(word.capitalize() for word in failure.stage.split("_")) + "Stage"
    return (
        f"com.miyou.pipeline.{failure.exception}: {failure.code}",
        f"\tat com.miyou.pipeline.{stage}.run({stage}.java:118)",
        "\tat com.miyou.pipeline.DialoguePipeline.lambda$run$4(DialoguePipeline.java:73)",
        "\tat java.base/java.util.concurrent.ThreadPoolExecutor.runWorker("
        "ThreadPoolExecutor.java:1144)",
        f"Caused by: {failure.cause}: {failure.message}",
        f"\tat com.miyou.client.Upstream.call(Upstream.java:{200 + len(failure.code)})",
        "\t... 3 more",
    )


def _access_line(rng: random.Random, request: Request) -> str:
    at = datetime.fromtimestamp(request.finished_ms // 1000, UTC)
    month = _MONTHS[at.month - 1]  # strftime's would depend on the locale
    size = 180 if request.failure else 900 + request.audio_length_ms * 4
    return (
        f"203.0.113.{rng.randint(1, 254)} - - [{at:%d}/{month}/{at:%Y:%H:%M:%S} +0000] "
        f'"POST {request.uri} HTTP/1.1" {request.status} {size} "-" "{rng.choice(_AGENTS)}" '
        f"rt={request.total_latency_ms / 1000:.3f} rid={request.request_id}"
    )


def _background(rng: random.Random, scenario: Scenario, day: Day) -> Entries:
    """Lines that the containers write without a request."""
    downtimes = [(restart.stop_ms, restart.ready_ms) for restart in scenario.restarts]
    for at_ms in range(day.start_ms + 7_000, day.end_ms, 5 * _MINUTE_MS):
        jitter_ns = rng.randint(1, 999_999)
        if not any(stop <= at_ms <= ready for stop, ready in downtimes):
            yield from _service_background(rng, scenario, at_ms, jitter_ns)
        yield _MONGO, Line(_ns(at_ms + 1_300, jitter_ns), _mongo_line(rng, at_ms + 1_300), {})
    for restart in scenario.restarts:
        if day.start_ms <= restart.stop_ms < day.end_ms:
            yield from _restart_lines(rng, restart.stop_ms, restart.ready_ms, restart.reason)


def _service_background(
    rng: random.Random, scenario: Scenario, at_ms: int, jitter_ns: int
) -> Entries:
    text = _json(
        at_ms,
        "info",
        "com.miyou.metrics.RollupScheduler",
        "scheduling-1",
        "rollups written",
        durationMs=rng.randint(3, 40),
        release=scenario.release(at_ms),
    )
    yield _API["info"], Line(_ns(at_ms, jitter_ns), text, {})
    if at_ms // _MINUTE_MS % 10 == 0:
        outage = scenario.outage
        down = outage.start_ms <= at_ms < outage.end_ms
        level, state = ("warn", "llm=DOWN tts=UP") if down else ("info", "llm=UP tts=UP")
        text = _logfmt(at_ms + 400, level, "health check", state)
        yield _PIPELINE[level], Line(_ns(at_ms + 400, jitter_ns), text, {})


def _restart_lines(rng: random.Random, stop_ms: int, ready_ms: int, reason: str) -> Entries:
    application = "com.miyou.MiyouApplication"
    for at_ms, message in (
        (stop_ms, f"Shutting down: {reason}"),
        (ready_ms, f"Started MiyouApplication in {rng.uniform(7, 11):.3f} seconds"),
    ):
        text = _json(at_ms, "info", application, "main", message)
        yield _API["info"], Line(_ns(at_ms, rng.randint(1, 999_999)), text, {})
    for at_ms in range(stop_ms + 1_000, ready_ms, 15_000):
        at = datetime.fromtimestamp(at_ms // 1000, UTC)
        text = (
            f"{at:%Y/%m/%d %H:%M:%S} [error] 29#29: connect() failed (111: Connection refused) "
            'while connecting to upstream, upstream: "http://172.18.0.5:8080/actuator/health"'
        )
        yield _GATEWAY_ERROR, Line(_ns(at_ms, rng.randint(1, 999_999)), text, {})


def _mongo_line(rng: random.Random, at_ms: int) -> str:
    if at_ms // HOUR_MS % 2:
        message = ("STORAGE", 22430, "WiredTiger message", {"checkpoint": rng.randint(1, 9_999)})
    else:
        message = ("NETWORK", 22943, "Connection accepted", {"connectionCount": rng.randint(4, 24)})
    component, number, text, attributes = message
    entry = {
        "t": {"$date": _iso(at_ms)},
        "s": "I",
        "c": component,
        "id": number,
        "ctx": "thread1",
        "msg": text,
        "attr": attributes,
    }
    return json.dumps(entry, separators=(",", ":"))


def _json(at_ms: int, level: str, logger: str, thread: str, message: str, **fields: object) -> str:
    entry = {
        "@timestamp": _iso(at_ms),
        "level": level.upper(),
        "logger_name": logger,
        "thread_name": thread,
        "message": message,
        **fields,
    }
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=False)


def _logfmt(at_ms: int, level: str, message: str, fields: str) -> str:
    return f'ts={_iso(at_ms)} level={level} msg="{message}" {fields}'


def _iso(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def _ns(at_ms: int, jitter_ns: int) -> int:
    return at_ms * 1_000_000 + jitter_ns
