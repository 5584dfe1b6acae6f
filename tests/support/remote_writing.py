"""Samples and native histograms into a real Prometheus, by remote write 1.0."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import requests

HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def varint(number: int) -> bytes:
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def zigzag(number: int) -> bytes:
    return varint((number << 1) ^ (number >> 63))


def field(tag: int, content: bytes) -> bytes:
    return varint(tag) + varint(len(content)) + content


def double(value: float) -> bytes:
    return struct.pack("<d", value)


def series(labels: Mapping[str, str], content: bytes) -> bytes:
    """A TimeSeries as a field of a WriteRequest."""
    pairs = b"".join(
        field(0x0A, field(0x0A, name.encode()) + field(0x12, value.encode()))
        for name, value in sorted(labels.items())
    )
    return field(0x0A, pairs + content)


def floats(samples: Iterable[tuple[int, int]]) -> bytes:
    """Of (ms, the double's bits)."""
    return b"".join(
        field(0x12, b"\x09" + struct.pack("<Q", bits) + b"\x10" + varint(at_ms))
        for at_ms, bits in samples
    )


def histogram(at_ms: int, value: Mapping[str, Any]) -> bytes:
    """`spans` are (offset, length); counts are absolute, integers or, if `is_float`, doubles."""
    packed = b""
    is_float = value.get("is_float", False)
    packed += b"\x11" + double(value["count"]) if is_float else b"\x08" + varint(value["count"])
    packed += b"\x19" + double(value["sum"])
    packed += b"\x20" + zigzag(value["schema"]) + b"\x29" + double(value["zero_threshold"])
    packed += b"\x39" + double(value["zeros"]) if is_float else b"\x30" + varint(value["zeros"])
    for spans, counts, tags in (
        (value["negative_spans"], value["negative"], (0x42, 0x4A, 0x52)),
        (value["positive_spans"], value["positive"], (0x5A, 0x62, 0x6A)),
    ):
        for offset, length in spans:
            packed += field(tags[0], b"\x08" + zigzag(offset) + b"\x10" + varint(length))
        if is_float:
            packed += field(tags[2], b"".join(map(double, counts)))
        else:
            deltas = [now - before for before, now in zip([0, *counts], counts, strict=False)]
            packed += field(tags[1], b"".join(map(zigzag, deltas)))
    packed += b"\x70" + varint(value.get("reset_hint", 0)) + b"\x78" + varint(at_ms)
    for bound in value.get("custom", ()):
        packed += b"\x81\x01" + double(bound)
    return field(0x22, packed)


def write(url: str, *written: bytes) -> None:
    body = pa.Codec("snappy").compress(b"".join(written), asbytes=True)
    answer = requests.post(f"{url}/api/v1/write", data=body, headers=HEADERS, timeout=60)
    assert answer.status_code // 100 == 2, answer.text
