"""A matrix in JSON, scanned in one go by compiled code: no Python object per sample.

Belongs here: the loops over an answer's bytes. Does not: what the numbers mean (answer).

Servers write this JSON without white space and with its members in one order; text of any
other shape is not taken, and the caller brings it into that one first.
"""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

from typing import Any

import numpy as np

from lake.compiled import (
    BYTES,
    F64S,
    I32S,
    I64,
    I64_ROWS,
    I64S,
    READ_F64S,
    U8S,
    VOID,
    compiled,
    inlined,
    several,
    starts_with,
)

# What a scan found.
DONE, OTHER_SHAPE, OTHER_TIMES = 0, 1, 2

_METRIC = np.frombuffer(b'{"metric":{', np.uint8)
_VALUES = np.frombuffer(b',"values":[[', np.uint8)
_HISTOGRAMS = np.frombuffer(b',"histograms":[[', np.uint8)
_END_OF_HISTOGRAMS = np.frombuffer(b"}]]", np.uint8)


@inlined
def _milliseconds(text: Any, at: Any) -> Any:
    """A time in seconds as the nearest ms, where it ends, and whether it is a number."""
    negative = text[at] == 45
    if negative:
        at += 1
    ms: Any = 0
    first = at
    while True:
        digit = np.int64(text[at]) - 48
        if digit < 0 or digit > 9:
            break
        ms = ms * 10 + digit
        at += 1
    if at == first or at - first > 15:
        return 0, at, False
    ms *= 1000
    if text[at] == 46:
        at += 1
        first, unit = at, 100
        while True:
            digit = np.int64(text[at]) - 48
            if digit < 0 or digit > 9:
                break
            # The fourth decimal rounds; what follows it is a double's noise.
            ms += digit * unit if at - first < 3 else (at - first == 3 and digit >= 5)
            unit //= 10
            at += 1
        if at == first:
            return 0, at, False
    return (-ms if negative else ms), at, True


@compiled(
    several(I64, I64, I64, I64)(
        BYTES, I64, I64, I64, I64, I64, I64_ROWS, I64_ROWS, I32S, U8S, I32S
    )
)  # fmt: skip
def matrix(  # noqa: PLR0912, PLR0915
    text: Any,
    at: int,
    start_ms: int,
    step_ms: int,
    steps: int,
    clip: int,
    spans: Any,
    histograms: Any,
    step_of: Any,
    values: Any,
    ends: Any,
) -> Any:
    """(what was found, series, samples, where it ended).

    `at` is behind the result's `[`, the end is at its `]`. Of each series `spans` holds where
    its labels begin and end, and how many floats it has; `histograms` where their text begins
    and ends, both 0 where it has none. Of the floats, series by series, `step_of` holds the whole
    steps since `start_ms`, `values` the texts of all, and `ends` where each one's text ends; its
    first entry is 0. With `clip` samples before `start_ms` are passed over. There must be room for
    all, and a NUL behind the text, where every loop here ends.
    """
    size = len(text)
    series = samples = 0
    ends[0] = 0
    if text[at] == 93:
        return DONE, 0, 0, at
    while True:
        if not starts_with(text, at, _METRIC):
            return OTHER_SHAPE, series, samples, at
        at += len(_METRIC)
        spans[series, 0] = at - 1
        quoted = False
        while at < size:
            c = text[at]
            if quoted:
                if c == 92:
                    at += 1
                elif c == 34:
                    quoted = False
            elif c == 34:
                quoted = True
            elif c == 125:
                break
            at += 1
        at += 1
        if at >= size:
            return OTHER_SHAPE, series, samples, at
        spans[series, 1] = at
        first = samples
        has_samples = False
        if starts_with(text, at, _VALUES):
            has_samples = True
            at += len(_VALUES)
            last = np.int64(-1)
            due = start_ms
            while True:
                if at >= size:
                    return OTHER_SHAPE, series, samples, at
                ms, at, good = _milliseconds(text, at)
                if not good or text[at] != 44 or text[at + 1] != 34:
                    return OTHER_SHAPE, series, samples, at
                at += 2
                to = ends[samples]
                while at < size and text[at] != 34:
                    values[to] = text[at]
                    to += 1
                    at += 1
                if at >= size or text[at + 1] != 93:
                    return OTHER_SHAPE, series, samples, at
                if ms != due:
                    step = (ms - start_ms) // step_ms
                    if step * step_ms + start_ms != ms:
                        return OTHER_TIMES, series, samples, at
                else:
                    step = last + 1
                due = ms + step_ms
                if step > last:
                    if step >= steps:
                        return OTHER_TIMES, series, samples, at
                    step_of[samples] = step
                    samples += 1
                    ends[samples] = to
                    last = step
                elif clip == 0 or step >= 0 or last >= 0:
                    return OTHER_TIMES, series, samples, at
                if clip != 0 and step < 0:
                    due = start_ms
                at += 2
                if text[at] == 44 and text[at + 1] == 91:
                    at += 2
                    continue
                if text[at] != 93:
                    return OTHER_SHAPE, series, samples, at
                at += 1
                break
        spans[series, 2] = samples - first
        histograms[series, 0] = histograms[series, 1] = 0
        if starts_with(text, at, _HISTOGRAMS):
            has_samples = True
            at += len(_HISTOGRAMS)
            histograms[series, 0] = at
            while not starts_with(text, at, _END_OF_HISTOGRAMS):
                at += 1
                if at >= size:
                    return OTHER_SHAPE, series, samples, at
            histograms[series, 1] = at + 1
            at += len(_END_OF_HISTOGRAMS)
        if not has_samples or text[at] != 125:
            return OTHER_SHAPE, series, samples, at
        at += 1
        series += 1
        if text[at] == 93:
            return DONE, series, samples, at
        if text[at] != 44:
            return OTHER_SHAPE, series, samples, at
        at += 1


@compiled(VOID(I64S, I64S, I32S, READ_F64S, I32S, F64S))
def gather(
    starts: Any, rows: Any, step_of: Any, values: Any, steps_out: Any, values_out: Any
) -> None:
    """Pieces of the samples, `rows` of them from `starts` on, one after another."""
    to = 0
    for i in range(len(starts)):
        for at in range(starts[i], starts[i] + rows[i]):
            steps_out[to] = step_of[at]
            values_out[to] = values[at]
            to += 1


@compiled(VOID(I64S, I64S, I64S, I64, I32S, READ_F64S, I64S, F64S))
def gather_timed(
    starts: Any, rows: Any, from_ms: Any, step_ms: int, step_of: Any, values: Any,
    ms_out: Any, values_out: Any,
) -> None:  # fmt: skip
    """The same with times: each piece's steps count from its own `from_ms`."""
    to = 0
    for i in range(len(starts)):
        begin = from_ms[i]
        for at in range(starts[i], starts[i] + rows[i]):
            ms_out[to] = begin + step_ms * step_of[at]
            values_out[to] = values[at]
            to += 1
