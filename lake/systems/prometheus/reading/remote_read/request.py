"""The request: one ReadRequest.

Belongs here: its protobuf form. Does not: HTTP.

Source: prompb/remote.proto and prompb/types.proto (ReadRequest, Query, LabelMatcher).
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from lake.base.protobuf import field, varint
from lake.systems.prometheus.reading.promql import OPERATORS, Matcher

PATH = "/api/v1/read"
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Read-Version": "0.1.0",
}
STREAMED = "application/x-streamed-protobuf"
SAMPLED = "application/x-protobuf"

# Tags: field number × 8 + wire type (0 a varint, 2 with a length).
_QUERIES, _ACCEPTED = 0x0A, 0x12
_START, _END, _MATCHERS = 0x08, 0x10, 0x1A
_TYPE, _NAME, _VALUE = 0x08, 0x12, 0x1A
_SAMPLES, _STREAMED_XOR_CHUNKS = 0, 1


def read_request(
    matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, streamed: bool = True
) -> bytes:
    """The body, snappy-compressed: samples with start_ms <= ts <= end_ms, chunks preferred.

    Without hints: those would override the range.
    """
    query = (
        _varint_field(_START, start_ms)
        + _varint_field(_END, end_ms)
        + b"".join(field(_MATCHERS, _matcher(matcher)) for matcher in matchers)
    )
    accepted = [_STREAMED_XOR_CHUNKS, _SAMPLES] if streamed else [_SAMPLES]
    body = field(_QUERIES, query) + field(_ACCEPTED, bytes(accepted))
    compressed: bytes = pa.Codec("snappy").compress(body, asbytes=True)
    return compressed


def _matcher(matcher: Matcher) -> bytes:
    return (
        _varint_field(_TYPE, OPERATORS.index(matcher.operator))
        + field(_NAME, matcher.name.encode())
        + field(_VALUE, matcher.value.encode())
    )


def _varint_field(tag: int, number: int) -> bytes:
    return bytes([tag]) + varint(number)
