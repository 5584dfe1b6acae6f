"""The requests of a day: users, texts, times, and the pipeline's result.

Belongs here: one request as it happened, in no system yet. Does not: how MongoDB,
Prometheus or Loki hold it (documents, metrics, logs).

A day is a pure function of (scenario, day); all times are milliseconds since the epoch.
"""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from lake.base.day import Day
from lake.demo.scenario import HOUR_MS, Scenario, hour_weights
from lake.demo.utterances import pick_language, say

URIS = ("/api/v1/dialogue", "/api/v1/dialogue/stream")
MODELS = ("gpt-4o-mini", "gpt-4o")
MEMORY, DOCUMENT, PROMPT, LLM, TTS = STAGES = (
    "MEMORY_RETRIEVAL",
    "DOCUMENT_RETRIEVAL",
    "PROMPT_BUILDING",
    "LLM_COMPLETION",
    "TTS_SYNTHESIS",
)
_USERS = 240  # at scale 1
_TURNS = (1, 2, 3, 4, 5, 6, 8)
_TURN_WEIGHTS = (16, 22, 22, 16, 11, 8, 5)
_TTS_SLOWER = 1.55  # since the deploy
_CALLS_IN_OUTAGE = (16, 5)  # sessions more while it is down, and after it is up again


@dataclass(frozen=True, slots=True)
class RequestFailure:
    """Why a request failed; `status` is the HTTP answer."""

    code: str
    stage: str
    status: int
    exception: str
    cause: str
    message: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the pipeline."""

    name: str
    started_ms: int
    duration_ms: int
    failed: bool

    @property
    def finished_ms(self) -> int:
        """When it was over."""
        return self.started_ms + self.duration_ms

    @property
    def status(self) -> str:
        """As the service's enum has it."""
        return "FAILED" if self.failed else "COMPLETED"


@dataclass(frozen=True, slots=True)
class Request:
    """One utterance and its answer. Tokens, sentences and chunks are 0 where none came."""

    request_id: str
    trace_id: str
    session_id: str
    user_id: str
    uri: str
    release: str
    language: str
    text: str
    model: str
    started_ms: int
    finished_ms: int
    stages: tuple[Stage, ...]
    memory_count: int
    document_count: int
    prompt_tokens: int
    completion_tokens: int
    sentence_count: int
    audio_chunks: int
    audio_length_ms: int
    first_latency_ms: int | None
    last_latency_ms: int | None
    failure: RequestFailure | None

    @property
    def total_latency_ms(self) -> int:
        """From the request's arrival to the end of the answer."""
        return self.finished_ms - self.started_ms

    @property
    def total_tokens(self) -> int:
        """Prompt and completion."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.failure.status if self.failure else 200

    def stage(self, name: str) -> Stage | None:
        """The step of that name, if the request got there."""
        return next((stage for stage in self.stages if stage.name == name), None)


@dataclass(frozen=True, slots=True)
class _Session:
    session_id: str
    user_id: str
    uri: str
    language: str
    started_ms: int
    turns: int


_UPSTREAM = (LLM, 503, "UpstreamUnavailableException")
TIMED_OUT = RequestFailure(
    "LLM_TIMEOUT", *_UPSTREAM, "java.net.http.HttpTimeoutException", "request timed out"
)
RATE_LIMITED = RequestFailure(
    "LLM_RATE_LIMITED", *_UPSTREAM, "com.miyou.llm.RateLimitedException", "429 Too Many Requests"
)
UNAVAILABLE = RequestFailure(
    "LLM_UNAVAILABLE", *_UPSTREAM, "java.net.ConnectException", "Connection refused"
)
TTS_FAILED = RequestFailure(
    "TTS_FAILED",
    TTS,
    500,
    "TtsSynthesisException",
    "java.io.EOFException",
    "audio stream ended after 0 bytes",
)


def requests_of(scenario: Scenario, day: Day) -> list[Request]:
    """All requests of the UTC day, in order of their end."""
    rng = random.Random(f"{scenario.seed}/{day}/dialogue")  # noqa: S311  repeatable, no secret
    pauses = scenario.pauses(day)
    served = [
        request
        for session in _sessions(rng, scenario, day)
        for request in _turns(rng, scenario, session)
        if not any(pause.touches(request.started_ms, request.finished_ms) for pause in pauses)
        and request.finished_ms < day.end_ms
    ]
    return sorted(served, key=lambda request: (request.finished_ms, request.request_id))


def _sessions(rng: random.Random, scenario: Scenario, day: Day) -> Iterator[_Session]:
    expected = scenario.expected_sessions(day)
    weights = hour_weights(day)
    for _ in range(max(1, round(rng.gauss(expected, math.sqrt(expected) * 0.6)))):
        hour = rng.choices(range(24), cum_weights=weights)[0]
        started_ms = day.start_ms + hour * HOUR_MS + rng.randrange(HOUR_MS)
        yield _session(rng, scenario, started_ms)
    if day == scenario.outage_day:
        # People who get no answer call again.
        outage = scenario.outage
        spans = ((outage.start_ms, outage.down_ms), (outage.up_ms, outage.end_ms))
        for calls, (start, end) in zip(_CALLS_IN_OUTAGE, spans, strict=True):
            for _ in range(calls * scenario.scale):
                yield _session(rng, scenario, rng.randrange(start, end))


def _session(rng: random.Random, scenario: Scenario, started_ms: int) -> _Session:
    # Few users call often: the square favours the low numbers.
    user = int(_USERS * scenario.scale * rng.random() ** 2)
    return _Session(
        session_id=_uuid(rng),
        user_id=f"user-{user:04d}",
        uri=rng.choices(URIS, (1, 3))[0],
        language=pick_language(rng),
        started_ms=started_ms,
        turns=rng.choices(_TURNS, _TURN_WEIGHTS)[0],
    )


def _turns(rng: random.Random, scenario: Scenario, session: _Session) -> Iterator[Request]:
    at = session.started_ms
    text = say(rng, session.language)
    for _ in range(session.turns):
        request = _request(rng, scenario, session, at, text)
        yield request
        at = request.finished_ms + rng.randint(2_500, 14_000)
        # After an error the user repeats the text.
        text = text if request.failure else say(rng, session.language)


def _request(
    rng: random.Random, scenario: Scenario, session: _Session, started_ms: int, text: str
) -> Request:
    failure = _failure(rng, scenario, started_ms)
    model = rng.choices(MODELS, (4, 1))[0]
    memories, documents = rng.randint(0, 8), rng.randint(0, 5)
    prompt = 180 + 14 * memories + 55 * documents + len(text) + rng.randint(0, 40)
    completion = _around(rng, 85, 0.45)
    sentences = max(1, round(completion / 22))
    durations = {
        MEMORY: _around(rng, 30 + 3 * memories, 0.3),
        DOCUMENT: _around(rng, 90 + 12 * documents, 0.35),
        PROMPT: _around(rng, 7, 0.3),
        LLM: _llm_ms(rng, model, completion, failure),
        TTS: _tts_ms(rng, sentences, slower=started_ms >= scenario.deploy.stop_ms),
    }
    stages = _stages(started_ms + rng.randint(1, 9), durations, failure)
    llm_answered = failure is None or failure.stage != LLM
    spoken = failure is None
    finished_ms = stages[-1].finished_ms + rng.randint(2, 18)
    first_audio_ms = stages[-1].started_ms + durations[TTS] // sentences
    return Request(
        request_id=_uuid(rng),
        trace_id=f"{rng.getrandbits(128):032x}",
        session_id=session.session_id,
        user_id=session.user_id,
        uri=session.uri,
        release=scenario.release(started_ms),
        language=session.language,
        text=text,
        model=model,
        started_ms=started_ms,
        finished_ms=finished_ms,
        stages=stages,
        memory_count=memories,
        document_count=documents,
        prompt_tokens=prompt if llm_answered else 0,
        completion_tokens=completion if llm_answered else 0,
        sentence_count=sentences if spoken else 0,
        audio_chunks=sentences * rng.randint(3, 6) if spoken else 0,
        audio_length_ms=sentences * rng.randint(1_400, 2_600) if spoken else 0,
        first_latency_ms=first_audio_ms - started_ms if spoken else None,
        last_latency_ms=stages[-1].finished_ms - started_ms if spoken else None,
        failure=failure,
    )


def _failure(rng: random.Random, scenario: Scenario, at_ms: int) -> RequestFailure | None:
    outage = scenario.outage
    options: tuple[RequestFailure | None, ...]
    weights: tuple[int, ...]
    if outage.start_ms <= at_ms < outage.down_ms:
        options, weights = (UNAVAILABLE, TIMED_OUT, None), (60, 25, 15)
    elif outage.up_ms <= at_ms < outage.end_ms:
        options, weights = (UNAVAILABLE, RATE_LIMITED, None), (10, 25, 65)
    else:
        options, weights = (TIMED_OUT, RATE_LIMITED, TTS_FAILED, None), (5, 3, 4, 988)
    return rng.choices(options, weights)[0]


def _llm_ms(rng: random.Random, model: str, completion: int, failure: RequestFailure | None) -> int:
    if failure is TIMED_OUT:
        return 10_000 + rng.randint(1, 30)
    if failure in (RATE_LIMITED, UNAVAILABLE):
        return _around(rng, 240, 0.3)
    per_token = 9 if model == MODELS[0] else 16
    return _around(rng, 320 + per_token * completion, 0.2)


def _tts_ms(rng: random.Random, sentences: int, *, slower: bool) -> int:
    return _around(rng, (60 + 110 * sentences) * (_TTS_SLOWER if slower else 1), 0.18)


def _stages(
    started_ms: int, durations: dict[str, int], failure: RequestFailure | None
) -> tuple[Stage, ...]:
    """One after the other, up to the one that failed."""
    stages: list[Stage] = []
    at = started_ms
    for name, duration in durations.items():
        failed = failure is not None and failure.stage == name
        stages.append(Stage(name, at, duration, failed))
        at += duration
        if failed:
            break
    return tuple(stages)


def _around(rng: random.Random, median: float, spread: float) -> int:
    return max(1, round(rng.lognormvariate(math.log(median), spread)))


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
