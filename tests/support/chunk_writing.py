"""Frames, chunked series and XOR chunks, written bit by bit: what the reader is held against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from support.remote_writing import field, varint, zigzag

XOR = 1


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def frame(message: bytes) -> bytes:
    return varint(len(message)) + crc32c(message).to_bytes(4) + message


def chunk(kind: int, data: bytes, first_ms: int = 0, last_ms: int = 0) -> bytes:
    """A Chunk as a field of a ChunkedSeries."""
    times = b"\x08" + varint(first_ms) + b"\x10" + varint(last_ms)
    return field(0x12, times + b"\x18" + varint(kind) + field(0x22, data))


def message(labels: Mapping[str, str], chunks: Iterable[bytes]) -> bytes:
    """A ChunkedReadResponse with one series."""
    pairs = b"".join(
        field(0x0A, field(0x0A, name.encode()) + field(0x12, value.encode()))
        for name, value in sorted(labels.items())
    )
    return field(0x0A, pairs + b"".join(chunks))


def xor_chunk(samples: Sequence[tuple[int, int]]) -> bytes:
    """Of (ms, the double's bits), as tsdb/docs/format/chunks.md has it."""
    out = len(samples).to_bytes(2)
    if not samples:
        return out
    at, value = samples[0]
    out += zigzag(at) + value.to_bytes(8)
    if len(samples) == 1:
        return out
    delta = samples[1][0] - at
    out += varint(delta)
    bits = ""
    window = None
    for number, (time, now) in enumerate(samples[1:], 1):
        if number > 1:
            change = (time - at) - delta
            delta = time - at
            bits += _delta_of_deltas(change)
        at = time
        xored, value = now ^ value, now
        if not xored:
            bits += "0"
            continue
        leading, trailing = min(31, 64 - xored.bit_length()), (xored & -xored).bit_length() - 1
        if window and leading >= window[0] and trailing >= window[1]:
            bits += "10"
        else:
            window = leading, trailing
            bits += f"11{leading:05b}{(64 - leading - trailing) % 64:06b}"
        width = 64 - window[0] - window[1]
        bits += f"{xored >> window[1]:0{width}b}"
    bits += "0" * (-len(bits) % 8)
    return out + bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def _delta_of_deltas(change: int) -> str:
    if not change:
        return "0"
    for prefix, width in (("10", 14), ("110", 17), ("1110", 20)):
        if -(2 ** (width - 1)) + 1 <= change <= 2 ** (width - 1):
            return prefix + f"{change % 2**width:0{width}b}"
    return "1111" + f"{change % 2**64:064b}"
