"""Streams in JSON, scanned in one go by compiled code: no Python object per line.

Belongs here: the loops over an answer's bytes. Does not: what the columns mean (answer).

Loki writes this JSON without white space and with its members in one order; text of any
other shape is not taken, and the caller reads it by slower means.
"""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

from typing import Any

import numpy as np

from lake.compiled import (
    BOOL,
    BYTES,
    I32_ROWS,
    I32S,
    I64,
    I64S,
    U8S,
    compiled,
    inlined,
    several,
    starts_with,
)

_STREAM = np.frombuffer(b'{"stream":{', np.uint8)
_VALUES = np.frombuffer(b',"values":[', np.uint8)
_STRUCTURED = np.frombuffer(b'"structuredMetadata":{', np.uint8)
_PARSED = np.frombuffer(b'"parsed":{', np.uint8)
_QUOTE, _BACKSLASH, _COMMA, _COLON, _U = ord('"'), ord("\\"), ord(","), ord(":"), ord("u")
_OPEN, _CLOSE, _LIST, _END = ord("{"), ord("}"), ord("["), ord("]")

_PLAIN = np.full(256, -1, np.int16)  # what a backslash and a letter stand for
for _letter, _meant in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True):
    _PLAIN[_letter] = _meant

LEAST_LINE = 12
"""Bytes: `["1","",{}],`."""
LEAST_ITEM = 7
"""Bytes: `"":"x",` of metadata."""
LEAST_STREAM = 24
"""Bytes: `{"stream":{},"values":[]}`, without the last."""

_SPANS = I32_ROWS
_PAIR = several(I64, I64)


@inlined
def _is(text: Any, at: Any, character: Any) -> Any:
    return at < len(text) and text[at] == character


@compiled(I64(BYTES, I64))
def _string_end(text: Any, at: Any) -> Any:
    """Where the closing quote is of a string whose text begins at `at`.

    Negative where there are escapes in it; 0 where it has no end.
    """
    escaped = False
    while at < len(text):
        if text[at] == _QUOTE:
            return -at if escaped else at
        if text[at] == _BACKSLASH:
            escaped = True
            at += 1
        at += 1
    return 0


@compiled(BOOL(BYTES, _SPANS, I64, I64))
def _before(text: Any, items: Any, item: Any, other: Any) -> Any:
    """Whether an item's name is less than another's."""
    a, b = items[item, 0], items[other, 0]
    while a < items[item, 1] and b < items[other, 1]:
        if text[a] != text[b]:
            return text[a] < text[b]
        a += 1
        b += 1
    return a == items[item, 1] and b < items[other, 1]


@compiled(I64(BYTES, _SPANS, I64, I64))
def _sort(text: Any, items: Any, first: Any, end: Any) -> Any:
    """Sorts an entry's items by name, of equal names keeps the last; where they end now."""
    for new in range(first + 1, end):
        at = new
        while at > first and _before(text, items, at, at - 1):
            for part in range(4):
                items[at, part], items[at - 1, part] = items[at - 1, part], items[at, part]
            at -= 1
    kept = first
    for item in range(first, end):
        if item + 1 < end and not _before(text, items, item, item + 1):
            continue
        for part in range(4):
            items[kept, part] = items[item, part]
        kept += 1
    return kept


@compiled(I64(BYTES, I64))
def _labels_end(text: Any, at: Any) -> Any:
    """The place behind the object of strings whose members begin at `at`; 0 without an end."""
    while at < len(text) and text[at] != _CLOSE:
        if text[at] == _QUOTE:
            at = abs(_string_end(text, at + 1))
            if at == 0:
                return np.int64(0)
        at += 1
    return at + 1 if at < len(text) else np.int64(0)


@compiled(_PAIR(BYTES, I64, _SPANS, I64))
def _members(text: Any, at: Any, items: Any, n_items: Any) -> Any:
    """Takes the members of one category; the place behind its end, or 0, and how many items."""
    while not _is(text, at, _CLOSE):
        if not _is(text, at, _QUOTE):
            return np.int64(0), n_items
        name = at + 1
        end = _string_end(text, name)
        # A name with escapes could not be compared with others.
        if end <= 0 or not (_is(text, end + 1, _COLON) and _is(text, end + 2, _QUOTE)):
            return np.int64(0), n_items
        items[n_items, 0], items[n_items, 1] = name, end
        value = end + 3
        end = _string_end(text, value)
        if end == 0:
            return np.int64(0), n_items
        items[n_items, 2], items[n_items, 3] = value, end
        n_items += 1
        at = abs(end) + 1
        if _is(text, at, _COMMA):
            at += 1
    return at + 1, n_items


@compiled(_PAIR(BYTES, I64, _SPANS, I64))
def _categories(text: Any, at: Any, items: Any, n_items: Any) -> Any:
    """Takes the object of categories that begins at `at`, its items sorted; like `_members`."""
    if not _is(text, at, _OPEN):
        return np.int64(0), n_items
    at += 1
    first = n_items
    parsed = False
    while not _is(text, at, _CLOSE):
        if starts_with(text, at, _STRUCTURED) and not parsed:  # whose items go before
            at += len(_STRUCTURED)
        elif starts_with(text, at, _PARSED):
            at += len(_PARSED)
            parsed = True
        else:
            return np.int64(0), n_items
        at, n_items = _members(text, at, items, n_items)
        if at == 0:
            return np.int64(0), n_items
        if _is(text, at, _COMMA):
            at += 1
    return at + 1, _sort(text, items, first, n_items)


@compiled(_PAIR(BYTES, I64))
def _time(text: Any, at: Any) -> Any:
    """The place of a time's closing quote, or 0, and the time."""
    time = np.int64(0)
    first = at
    while at < len(text) and 48 <= text[at] <= 57:
        time = time * 10 + (np.int64(text[at]) - 48)
        at += 1
    if at == first or at - first > 19 or not _is(text, at, _QUOTE):
        return np.int64(0), time
    return at, time


@compiled(I64(BYTES, I64, I64S, _SPANS, I64))
def _time_and_line(text: Any, at: Any, times: Any, lines: Any, row: Any) -> Any:
    """Takes `["time","line",`; the place behind it, or 0."""
    if not (_is(text, at, _LIST) and _is(text, at + 1, _QUOTE)):
        return np.int64(0)
    at, times[row] = _time(text, at + 2)
    if at == 0 or not (_is(text, at + 1, _COMMA) and _is(text, at + 2, _QUOTE)):
        return np.int64(0)
    at += 3
    end = _string_end(text, at)
    if end == 0 or not _is(text, abs(end) + 1, _COMMA):
        return np.int64(0)
    lines[row, 0], lines[row, 1] = at, end
    return abs(end) + 2


@compiled(several(I64, I64, I64, I64)(BYTES, I64, _SPANS, I64S, _SPANS, I32S, _SPANS))
def scan(
    text: Any, at: Any, streams: Any, times: Any, lines: Any, item_ends: Any, items: Any
) -> Any:
    """Takes the array of streams whose first member begins at `at`.

    Fills for each stream where its labels begin and end and how many lines there are up to
    its own's end; for each line its time, where it begins and ends (negative: with escapes),
    where its items end; for each item where name and value begin and end (the value's end
    like a line's). Gives the place behind the array, or 0 where the text is of another shape,
    and the numbers of streams, lines and items.
    """
    wrong = (np.int64(0), np.int64(0), np.int64(0), np.int64(0))
    n_streams, n_lines, n_items = np.int64(0), np.int64(0), np.int64(0)
    item_ends[0] = 0
    more = not _is(text, at, _END)
    while more:
        if not starts_with(text, at, _STREAM):
            return wrong
        streams[n_streams, 0] = at + len(_STREAM) - 1
        at = _labels_end(text, at + len(_STREAM))
        if at == 0 or not starts_with(text, at, _VALUES):
            return wrong
        streams[n_streams, 1] = at
        at += len(_VALUES)
        line = not _is(text, at, _END)
        while line:
            at = _time_and_line(text, at, times, lines, n_lines)
            if at != 0:
                at, n_items = _categories(text, at, items, n_items)
            if at == 0 or not _is(text, at, _END):
                return wrong
            n_lines += 1
            item_ends[n_lines] = n_items
            line = _is(text, at + 1, _COMMA)
            at += 2 if line else 1
        if not (_is(text, at, _END) and _is(text, at + 1, _CLOSE)):
            return wrong
        streams[n_streams, 2] = n_lines
        n_streams += 1
        more = _is(text, at + 2, _COMMA)
        at += 3 if more else 2
    if not _is(text, at, _END):
        return wrong
    return at + 1, n_streams, n_lines, n_items


@compiled(I64(BYTES, I64))
def _hex(text: Any, at: Any) -> Any:
    """Four hexadecimal digits, or -1."""
    number = np.int64(0)
    for i in range(4):
        digit = np.int64(text[at + i])
        if 48 <= digit <= 57:
            digit -= 48
        elif 97 <= digit | 32 <= 102:
            digit = (digit | 32) - 87
        else:
            return np.int64(-1)
        number = number * 16 + digit
    return number


@compiled(_PAIR(BYTES, I64, I64))
def _point(text: Any, at: Any, end: Any) -> Any:
    """The place behind `\\uXXXX` (or two, for one character) whose digits begin at `at`.

    And the character, or -1 where it is none: half a one has no UTF-8.
    """
    if at + 4 > end:
        return at, np.int64(-1)
    point = _hex(text, at)
    at += 4
    if 0xD800 <= point < 0xDC00 and at + 6 <= end and text[at] == _BACKSLASH:
        low = _hex(text, at + 2) if text[at + 1] == _U else np.int64(-1)
        if not 0xDC00 <= low < 0xE000:
            return at, np.int64(-1)
        return at + 6, 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00)
    return at, np.int64(-1) if 0xD800 <= point < 0xE000 else point


@compiled(I64(U8S, I64, I64))
def _put(out: Any, to: Any, point: Any) -> Any:
    """Writes a character in UTF-8; the place behind it."""
    if point < 0x80:
        out[to] = point
        return to + 1
    if point < 0x800:
        out[to] = 0xC0 | point >> 6
    elif point < 0x10000:
        out[to] = 0xE0 | point >> 12
    else:
        out[to] = 0xF0 | point >> 18
        to += 1
        out[to] = 0x80 | point >> 12 & 63
    if point >= 0x800:
        to += 1
        out[to] = 0x80 | point >> 6 & 63
    out[to + 1] = 0x80 | point & 63
    return to + 2


@compiled(I64(BYTES, I64, I64, U8S, I64))
def _unescaped(text: Any, at: Any, end: Any, out: Any, to: Any) -> Any:
    """Writes a string's text as UTF-8; where it ends in `out`, or -1 where it is not JSON."""
    while at < end:
        if text[at] != _BACKSLASH:
            out[to] = text[at]
            at += 1
            to += 1
            continue
        kind = text[at + 1]
        at += 2
        if kind == _U:
            at, point = _point(text, at, end)
        else:
            point = np.int64(_PLAIN[kind])
        if point < 0:
            return np.int64(-1)
        to = _put(out, to, point)
    return to


@compiled(I64(BYTES, _SPANS, I64, I64, I32S, U8S))
def gather(text: Any, spans: Any, column: Any, rows: Any, offsets: Any, out: Any) -> Any:
    """The strings of `spans[:, column]` to `spans[:, column + 1]`, one after the other.

    Fills `offsets` (one more than rows) and `out`. Gives the bytes, or -1 where one is not JSON.
    """
    to = np.int64(0)
    offsets[0] = 0
    for row in range(rows):
        at, end = np.int64(spans[row, column]), np.int64(spans[row, column + 1])
        if end < 0:
            to = _unescaped(text, at, -end, out, to)
            if to < 0:
                return np.int64(-1)
        else:
            for i in range(at, end):
                out[to] = text[i]
                to += 1
        offsets[row + 1] = to
    return to
