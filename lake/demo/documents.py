"""The requests as the service's four MongoDB collections.

Belongs here: field names and BSON types as a Java service writes them. Does not: inserting
them (into_mongo).

Collections, all with the time field `timestamp` (a BSON Date):

usage_analytics            one document a request; `timestamp` is the request's end. Failed
                           requests have `error` and lack `tts`, and where the LLM failed its
                           numbers too. Release 2.4.0 added `client`.
performance_metrics        one document a request: its pipeline run with `stages`
metrics_rollups            one document per minute that has requests: counts, tokens, latencies
stage_performance_rollups  one document per minute and stage

`Integer` becomes int32, `Long` int64, `Double` double.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bson import Int64, ObjectId

from lake.demo.dialogue import DOCUMENT, LLM, MEMORY, TTS, Request, Stage
from lake.demo.scenario import minute_of
from lake.demo.utterances import java_length

COLLECTIONS = (
    "usage_analytics",
    "performance_metrics",
    "metrics_rollups",
    "stage_performance_rollups",
)
_PREVIEW = 20
_MACHINE = bytes.fromhex("6d69797531")  # the part of an ObjectId that names the process
Document = dict[str, Any]


def documents_of(requests: Sequence[Request]) -> dict[str, list[Document]]:
    """Collection → the documents of one day's requests, in order of `timestamp`."""
    minutes: dict[int, list[Request]] = defaultdict(list)
    for request in requests:
        minutes[minute_of(request.finished_ms)].append(request)
    documents = {
        "usage_analytics": [_usage(request) for request in requests],
        "performance_metrics": [_performance(request) for request in requests],
        "metrics_rollups": [_rollup(at, group) for at, group in minutes.items()],
        "stage_performance_rollups": [
            rollup for at, group in minutes.items() for rollup in _stage_rollups(at, group)
        ],
    }
    return {name: _with_ids(documents[name]) for name in COLLECTIONS}


def _with_ids(documents: Iterable[Document]) -> list[Document]:
    """The second, the process and a counter: the same for the same history."""
    return [
        {"_id": _object_id(document["timestamp"], number), **document}
        for number, document in enumerate(documents)
    ]


def _object_id(at: datetime, number: int) -> ObjectId:
    seconds = int(at.timestamp())
    return ObjectId(seconds.to_bytes(4, "big") + _MACHINE + number.to_bytes(3, "big"))


def _date(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000)


def _without_none(fields: Mapping[str, Any]) -> Document:
    """Spring's converter leaves a null property out."""
    return {name: value for name, value in fields.items() if value is not None}


def _usage(request: Request) -> Document:
    tokens = request.total_tokens
    llm_credits = round(tokens * (0.0125 if request.model == "gpt-4o" else 0.0025), 4)
    tts_credits = round(request.audio_length_ms / 1000 * 0.12, 4)
    return _without_none(
        {
            "timestamp": _date(request.finished_ms),
            "requestId": request.request_id,
            "userId": request.user_id,
            "sessionId": request.session_id,
            "input": _input(request),
            "llm": _llm(request),
            "retrieval": _retrieval(request),
            "tts": _tts(request),
            "response": _latencies(request),
            "cost": {
                "llmCredits": llm_credits,
                "ttsCredits": tts_credits,
                "totalCredits": round(llm_credits + tts_credits, 4),
            },
            "error": _error(request),
            "client": _client(request),
        }
    )


def _input(request: Request) -> Document:
    text = request.text
    preview = text if len(text) <= _PREVIEW else text[:_PREVIEW] + "…"
    return {"text": text, "length": java_length(text), "preview": preview}


def _llm(request: Request) -> Document:
    stage = request.stage(LLM)
    if stage is None or stage.failed:
        return {"model": request.model}
    return {
        "model": request.model,
        "promptTokens": request.prompt_tokens,
        "completionTokens": request.completion_tokens,
        "totalTokens": request.total_tokens,
        "completionTimeMs": Int64(stage.duration_ms),
    }


def _retrieval(request: Request) -> Document:
    stages = [request.stage(name) for name in (MEMORY, DOCUMENT)]
    return {
        "memoryCount": request.memory_count,
        "documentCount": request.document_count,
        "timeMs": Int64(sum(stage.duration_ms for stage in stages if stage)),
    }


def _tts(request: Request) -> Document | None:
    stage = request.stage(TTS)
    if stage is None or stage.failed:
        return None
    return {
        "sentenceCount": request.sentence_count,
        "audioChunks": request.audio_chunks,
        "synthesisTimeMs": Int64(stage.duration_ms),
        "audioLengthMs": Int64(request.audio_length_ms),
    }


def _latencies(request: Request) -> Document:
    fields = {
        "totalLatencyMs": request.total_latency_ms,
        "firstLatencyMs": request.first_latency_ms,
        "lastLatencyMs": request.last_latency_ms,
    }
    return {name: Int64(value) for name, value in fields.items() if value is not None}


def _error(request: Request) -> Document | None:
    failure = request.failure
    if failure is None:
        return None
    return {"code": failure.code, "stage": failure.stage, "message": failure.message}


def _client(request: Request) -> Document | None:
    if request.release < "2.4.0":
        return None
    return {"language": request.language, "release": request.release}


def _performance(request: Request) -> Document:
    return {
        "timestamp": _date(request.finished_ms),
        "requestId": request.request_id,
        "status": "FAILED" if request.failure else "COMPLETED",
        "startedAt": _date(request.started_ms),
        "finishedAt": _date(request.finished_ms),
        **_latencies(request),
        "stages": [
            {
                "name": stage.name,
                "status": stage.status,
                "startedAt": _date(stage.started_ms),
                "durationMs": Int64(stage.duration_ms),
                "attributes": _attributes(request, stage),
            }
            for stage in request.stages
        ],
    }


def _attributes(request: Request, stage: Stage) -> Document:
    """The stage's attributes; each stage has other keys."""
    if stage.failed and request.failure:
        return {"errorCode": request.failure.code}
    by_stage: dict[str, Document] = {
        MEMORY: {"memoryCount": request.memory_count},
        DOCUMENT: {"documentCount": request.document_count, "index": "miyou-documents"},
        LLM: {"model": request.model, "totalTokens": request.total_tokens},
        TTS: {"sentenceCount": request.sentence_count, "audioChunks": request.audio_chunks},
    }
    return by_stage.get(stage.name, {"release": request.release})


def _rollup(minute_ms: int, requests: Sequence[Request]) -> Document:
    latency = sum(request.total_latency_ms for request in requests)
    return {
        "timestamp": _date(minute_ms),
        "requestCount": Int64(len(requests)),
        "errorCount": Int64(sum(request.failure is not None for request in requests)),
        "promptTokens": Int64(sum(request.prompt_tokens for request in requests)),
        "completionTokens": Int64(sum(request.completion_tokens for request in requests)),
        "totalTokens": Int64(sum(request.total_tokens for request in requests)),
        "totalLatencyMs": Int64(latency),
        "avgLatencyMs": latency / len(requests),
    }


def _stage_rollups(minute_ms: int, requests: Sequence[Request]) -> Iterable[Document]:
    groups: dict[str, list[Stage]] = defaultdict(list)
    for request in requests:
        for stage in request.stages:
            groups[stage.name].append(stage)
    for name, stages in groups.items():
        latency = sum(stage.duration_ms for stage in stages)
        yield {
            "timestamp": _date(minute_ms),
            "stage": name,
            "count": Int64(len(stages)),
            "errorCount": Int64(sum(stage.failed for stage in stages)),
            "totalLatencyMs": Int64(latency),
            "avgLatencyMs": latency / len(stages),
        }
