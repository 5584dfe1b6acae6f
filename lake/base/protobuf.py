"""The wire format of Protocol Buffers, as far as requests are written by hand.

Belongs here: numbers and fields with a length. Does not: any message.
Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations


def varint(number: int) -> bytes:
    """Base 128, the lowest first; two's complement of 64 bits."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(tag: int, content: bytes) -> bytes:
    """A field with a length: `tag` is its number × 8 + 2."""
    return bytes([tag]) + varint(len(content)) + content
