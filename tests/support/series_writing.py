"""Remote write's message, by hand."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import numpy as np

Series = tuple[Mapping[str, str], np.ndarray, np.ndarray]
"""Labels, ms since the epoch, values."""


def write_request(series: Iterable[Series]) -> bytes:
    body = b""
    for labels, times, values in series:
        encoded = b"".join(
            _field(1, _field(1, name.encode()) + _field(2, value.encode()))
            for name, value in sorted(labels.items())
        )
        for at, value in zip(times.tolist(), values.tolist(), strict=True):
            encoded += _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(at))
        body += _field(1, encoded)
    return body


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
