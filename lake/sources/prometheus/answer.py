"""A matrix in JSON turned into Arrow, without a Python object a sample.

Belongs here: the JSON of range queries, how times and values are written in it.
Does not: HTTP, envelopes' meaning (api), labels' columns.

Servers write this JSON without white space and in one order, so samples are cut out as
text and parsed as CSV. An answer of any other shape is brought into that one first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from lake.base.errors import BadData
from lake.sources.http import Answer, shortened

TS_TYPE = pa.timestamp("ms", tz="UTC")
HISTOGRAM_TYPE = pa.struct(
    [
        ("count", pa.float64()),
        ("sum", pa.float64()),
        (
            "buckets",
            pa.list_(
                pa.struct(
                    [
                        ("lower", pa.float64()),
                        ("upper", pa.float64()),
                        ("count", pa.float64()),
                        # 0: open left, 1: open right, 2: both open, 3: both closed
                        ("bounds", pa.int8()),
                    ]
                )
            ),
        ),
    ]
)
FLOATS = pa.schema([("ts", TS_TYPE), ("value", pa.float64())])
MIXED = pa.schema([*FLOATS, ("histogram", HISTOGRAM_TYPE)])

_RESULT = b'"result":['
_SERIES = re.compile(rb'\{"metric":(\{(?:"(?:[^"\\]|\\.)*"|[:,])*\})')
_VALUES = b',"values":[['
_HISTOGRAMS = b',"histograms":[['
_READ = csv.ReadOptions(column_names=["ts", "value"], use_threads=False)
_CONVERT = csv.ConvertOptions(
    column_types={"ts": pa.float64(), "value": pa.float64()},
    null_values=["NaN"],
    strings_can_be_null=True,
)


@dataclass(frozen=True)
class RawSeries:
    """One series as it stands in the JSON: labels (an object), samples without their brackets."""

    labels: bytes
    values: bytes
    histograms: bytes


def split(answer: Answer) -> tuple[Any, list[RawSeries]]:
    """The envelope with an empty result, and the series.

    Raises TransientError where the body broke off, BadData where it is no matrix.
    """
    found = _scan(answer.content)
    if found is None:
        envelope = answer.json()
        if isinstance(envelope, dict) and envelope.get("status") == "error":
            return envelope, []
        found = _scan(_compacted(envelope))
    if found is None:
        raise BadData(
            "not an answer to a range query",
            where=answer.url,
            expected="series with metric, values, histograms",
            found=shortened(answer.content[:2000].decode(errors="replace")),
        )
    return found


def samples(series: Sequence[RawSeries]) -> tuple[pa.Table, list[int]]:
    """Their samples one after another, as FLOATS or MIXED, and how many each has.

    Times are exact to the ms. NaN becomes a NULL, infinities and -0 stay. Raises BadData.
    """
    try:
        if any(one.histograms for one in series):
            tables = [_mixed(one) for one in series]
            return pa.concat_tables(tables), [table.num_rows for table in tables]
        return _floats([one.values for one in series])
    except (pa.ArrowInvalid, ValueError, KeyError, TypeError) as error:
        raise BadData("samples that can't be read", found=shortened(str(error))) from error


def _scan(body: bytes) -> tuple[Any, list[RawSeries]] | None:
    """None where the body has another shape, or is broken."""
    start = body.find(_RESULT) + len(_RESULT)
    if start < len(_RESULT):
        return None
    series: list[RawSeries] = []
    at = start
    while match := _SERIES.match(body, at):
        values, at = _cut(body, match.end(), _VALUES, b"]]")
        # Nothing but a histogram's end and the list's is written like this.
        histograms, at = _cut(body, at, _HISTOGRAMS, b"}]]")
        series.append(RawSeries(match[1], values, histograms))
        if not body.startswith(b"}", at) or not (values or histograms):
            return None
        at += 1
        if not body.startswith(b",", at):
            break
        at += 1
    if not body.startswith(b"]", at):
        return None
    try:
        return json.loads(body[:start] + body[at:]), series
    except ValueError:
        return None


def _cut(body: bytes, at: int, head: bytes, tail: bytes) -> tuple[bytes, int]:
    """What stands between head and the list's end, and where it goes on; empty if no head."""
    if not body.startswith(head, at):
        return b"", at
    end = body.find(tail, at)
    if end < 0:
        return b"", at
    end += len(tail)
    return body[at + len(head) : end - 2], end


def _compacted(envelope: Any) -> bytes:
    """The same answer as the usual servers write it."""
    data = envelope.get("data") if isinstance(envelope, dict) else None
    if isinstance(data, dict) and isinstance(data.get("result"), list):
        order = ("metric", "values", "histograms")
        result = [
            {key: one[key] for key in order if one.get(key) or key == "metric"}
            for one in data["result"]
            if isinstance(one, dict) and "metric" in one
        ]
        if len(result) == len(data["result"]):
            envelope = {**envelope, "data": {**data, "result": result}}
    return json.dumps(envelope, separators=(",", ":")).encode()


def _floats(values: Sequence[bytes]) -> tuple[pa.Table, list[int]]:
    lines = [text.replace(b"],[", b"\n") for text in values]
    counts = [text.count(b"\n") + 1 for text in lines]
    if not lines:
        return FLOATS.empty_table(), []
    text = b"\n".join(lines).replace(b'"+Inf"', b'"inf"')
    read = csv.read_csv(pa.BufferReader(text), read_options=_READ, convert_options=_CONVERT)
    table = pa.table([_times(read["ts"]), read["value"]], schema=FLOATS)
    if table.num_rows != sum(counts):
        raise ValueError(f"{sum(counts)} samples in the text, {table.num_rows} read")
    return table, counts


def _times(seconds: pa.ChunkedArray) -> pa.ChunkedArray:
    # A double's seconds are off by less than 10⁻⁶ s, so the nearest ms is the one written.
    return pc.cast(pc.cast(pc.round(pc.multiply(seconds, 1000.0)), pa.int64()), TS_TYPE)


def _mixed(series: RawSeries) -> pa.Table:
    """One series with histograms, and perhaps floats between them, in the order of time."""
    tables = []
    if series.values:
        floats, _ = _floats([series.values])
        nothing = pa.nulls(floats.num_rows, HISTOGRAM_TYPE)
        tables.append(floats.append_column(MIXED.field("histogram"), nothing))
    if series.histograms:
        entries = json.loads(b"[[" + series.histograms + b"]]")
        times = pa.chunked_array([pa.array([float(at) for at, _ in entries], pa.float64())])
        found = pa.array([_histogram(entry) for _, entry in entries], HISTOGRAM_TYPE)
        tables.append(
            pa.table([_times(times), pa.nulls(len(found), pa.float64()), found], schema=MIXED)
        )
    return pa.concat_tables(tables).sort_by("ts")


def _histogram(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "count": float(entry["count"]),
        "sum": float(entry["sum"]),
        "buckets": [
            {"lower": float(lower), "upper": float(upper), "count": float(n), "bounds": bounds}
            for bounds, lower, upper, n in entry.get("buckets", ())
        ],
    }
