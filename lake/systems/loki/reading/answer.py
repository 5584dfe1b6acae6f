"""Loki's answers, from JSON to Arrow rows.

Belongs here: what an answer has to look like, and the columns of a row on its way.
Does not: requests, or the columns of the partition.

From 3.0 on an answer lists a stream's labels and a line's metadata apart. Older versions, and
proxies that remove the request's header, mix them: see `mixed_rows`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from lake.base.errors import BadData, TransientError
from lake.http.client import HttpAnswer, shortened
from lake.systems.labels import labels_id

METADATA = pa.map_(pa.string(), pa.string())
ROWS = pa.schema(
    [
        pa.field("stream_id", pa.int64()),
        pa.field("ts_ns", pa.int64()),  # since the epoch
        pa.field("line", pa.string()),
        pa.field("metadata", METADATA),
    ]
)
_FLAG = "categorize-labels"
_PARTIAL = re.compile(r"\bpartial|incomplete", re.IGNORECASE)
_HEAD = (
    b'{"status":"success","data":{"resultType":"streams",'
    b'"encodingFlags":["categorize-labels"],"result":['
)


Resolve = Callable[[Mapping[str, str]], tuple[int, dict[str, str]]]
"""An answer's labels → the stream's id, and the metadata among them."""


class Mixed(BadData):
    """The answer has lines, with labels and metadata mixed."""


class Streams:
    """The label sets met so far and their ids; safe to use from several threads."""

    def __init__(self) -> None:
        self._ids: dict[frozenset[tuple[str, str]], int] = {}
        self._labels: dict[int, dict[str, str]] = {}
        self._by_json: dict[bytes, int] = {}
        self._lock = Lock()

    def id_of(self, labels: Mapping[str, str]) -> int:
        """The stream's id. Raises BadData where two label sets share one."""
        labels = {name: value for name, value in labels.items() if value}  # empty is absent
        key = frozenset(labels.items())
        with self._lock:
            known = self._ids.get(key)
            if known is None:
                known = self._ids[key] = labels_id(labels)
                if self._labels.setdefault(known, labels) != labels:
                    raise BadData(
                        "two streams have the same id",
                        expected="different 64-bit hashes",
                        found=f"{labels} and {self._labels[known]}",
                        remedy="split the dataset into two selectors",
                    )
        return known

    def id_of_json(self, labels: bytes) -> int:
        """`id_of` the labels that this JSON object holds."""
        known = self._by_json.get(labels)
        if known is None:
            known = self._by_json[labels] = self.id_of(json.loads(labels))
        return known

    def labels(self) -> dict[int, dict[str, str]]:
        """Id → labels of all streams, in the order of the ids."""
        with self._lock:
            return dict(sorted(self._labels.items()))


def data_of(answer: HttpAnswer, result_type: str) -> list[Any]:
    """The result of a query's answer. Raises TransientError (cut off, partial) and BadData."""
    result: list[Any] = _data(answer, result_type)["result"]
    return result


def _data(answer: HttpAnswer, result_type: str) -> dict[str, Any]:
    try:
        # A metadata value may hold bytes that are no UTF-8; lines come with them replaced.
        body = json.loads(answer.content.decode("utf-8", "replace"))
    except json.JSONDecodeError:
        body = answer.json()  # its error distinguishes a cut answer from one that is not JSON
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("result"), list):
        raise _odd(answer, "the response has no result", found=shortened(str(body)))
    if data.get("resultType") != result_type:
        raise _odd(
            answer,
            "the response has the wrong result type",
            expected=f"{result_type}, as for a log selector; a metric expression returns no lines",
            found=data.get("resultType"),
        )
    if marks := _partial_marks(body):
        raise TransientError(
            "the response is marked as partial",
            where=answer.url,
            expected="all of the data",
            found=shortened("; ".join(marks)),
            remedy="run it again when all components of Loki are up",
        )
    return data


def _partial_marks(body: Mapping[str, Any]) -> list[str]:
    """The marks of a partial answer: servers and gateways use different ones."""
    marks = []
    for part in (body, body["data"]):
        marks += [f"{name}: true" for name in ("isPartial", "partial") if part.get(name) is True]
        warnings = part.get("warnings")
        texts = warnings if isinstance(warnings, list) else ()
        marks += [str(warning) for warning in texts if _PARTIAL.search(str(warning))]
    return marks


def rows_of(answer: HttpAnswer, streams: Streams) -> pa.Table:
    """One row per line, with the schema `ROWS`; a stream's lines in the answer's order.

    Raises Mixed, TransientError (cut off, or partial) and BadData.
    """
    rows = _scanned(answer.content, streams)
    if rows is not None:
        return rows
    data = _data(answer, "streams")
    if data["result"] and _FLAG not in (data.get("encodingFlags") or ()):
        raise Mixed(
            "labels and structured metadata are mixed in the response",
            where=answer.url,
            expected="an answer to the header X-Loki-Response-Encoding-Flags: " + _FLAG,
        )
    return _rows(answer, lambda: _table(data["result"], streams))


def categorizes(answer: HttpAnswer) -> bool:
    """Whether the answer declares that it lists labels and metadata apart; it may have no lines."""
    return answer.content.startswith(_HEAD)


def mixed_rows(answer: HttpAnswer, resolve: Resolve, *, metadata: bool) -> pa.Table:
    """The same for answers that mix labels and metadata.

    `metadata`: whether a line without any has an empty map, not NULL.
    Raises TransientError (cut off, or partial) and BadData.
    """
    result = data_of(answer, "streams")
    return _rows(answer, lambda: _mixed_table(result, resolve, metadata=metadata))


def _rows(answer: HttpAnswer, made: Callable[[], pa.Table]) -> pa.Table:
    try:
        return made()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _odd(
            answer,
            "the streams in the response have an unexpected format",
            expected="[time, line, {categories}]",
            found=f"{type(error).__name__}: {error}",
        ) from error


def _scanned(content: bytes, streams: Streams) -> pa.Table | None:
    """The same by compiled code; None for a format that the code does not parse."""
    from lake.systems.loki.reading import scan  # noqa: PLC0415  compiled code, which only reading needs

    if not content.startswith(_HEAD) or not _is_utf8(content):
        return None
    text, size = np.frombuffer(content, np.uint8), len(content)
    spans = np.empty((size // scan.LEAST_STREAM + 1, 3), np.int32)
    times = np.empty(size // scan.LEAST_LINE + 1, np.int64)
    lines = np.empty((len(times), 2), np.int32)
    item_ends = np.empty(len(times) + 1, np.int32)
    items = np.empty((size // scan.LEAST_ITEM + 1, 4), np.int32)
    end, n_streams, n_lines, n_items = scan.scan(
        text, len(_HEAD), spans, times, lines, item_ends, items
    )
    if not end or not _ends_well(content[end:]):
        return None
    texts = _strings(text, lines, 0, n_lines)
    names, values = _strings(text, items, 0, n_items), _strings(text, items, 2, n_items)
    if texts is None or names is None or values is None:
        return None
    try:
        ids = [streams.id_of_json(content[start:stop]) for start, stop in spans[:n_streams, :2]]
    except ValueError:  # labels that are no JSON, or no text
        return None
    counts = np.diff(spans[:n_streams, 2], prepend=0)
    metadata = pa.MapArray.from_arrays(pa.array(item_ends[: n_lines + 1]), names, values)
    columns = [
        pa.array(np.repeat(np.array(ids, np.int64), counts)),
        pa.array(times[:n_lines].copy()),
        texts,
        metadata,
    ]
    return pa.table(columns, ROWS)


def _is_utf8(content: bytes) -> bool:
    """Metadata may hold other bytes."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _ends_well(rest: bytes) -> bool:
    """What comes behind the streams is all of the answer's own end, and no mark of a part."""
    try:
        return not _partial_marks(json.loads(b'{"data":{"result":[]' + rest))
    except ValueError:
        return False


def _strings(text: np.ndarray, spans: np.ndarray, column: int, rows: int) -> pa.Array | None:
    """None where one of them is not a string in JSON."""
    from lake.systems.loki.reading import scan  # noqa: PLC0415  as above

    starts, ends = spans[:rows, column], np.abs(spans[:rows, column + 1])
    offsets = np.empty(rows + 1, np.int32)
    out = np.empty(int((ends - starts).sum()), np.uint8)
    size = scan.gather(text, spans, column, rows, offsets, out)
    if size < 0:
        return None
    buffers = [pa.py_buffer(offsets), pa.py_buffer(out)]
    return pa.StringArray.from_buffers(rows, *buffers)


def _table(result: list[Any], streams: Streams) -> pa.Table:
    ids: list[int] = []
    times: list[int] = []
    lines: list[str] = []
    ends, keys, values = [0], [], []
    for stream in result:
        entries = stream["values"]
        ids += [streams.id_of(stream["stream"])] * len(entries)
        for ts, line, categories in entries:
            times.append(int(ts))
            lines.append(line)
            for name, value in _metadata(categories):
                keys.append(name)
                values.append(value)
            ends.append(len(keys))
    metadata = pa.MapArray.from_arrays(
        pa.array(ends, pa.int32()), pa.array(keys, pa.string()), pa.array(values, pa.string())
    )
    return pa.table([pa.array(ids, pa.int64()), pa.array(times, pa.int64()), lines, metadata], ROWS)


def _mixed_table(result: list[Any], resolve: Resolve, *, metadata: bool) -> pa.Table:
    ids: list[int] = []
    times: list[int] = []
    lines: list[str] = []
    items: list[list[tuple[str, str]] | None] = []
    for stream in result:
        number, rest = resolve(stream["stream"])
        for ts, line, *categories in stream["values"]:
            metadata_ = {**rest, **(dict(_metadata(categories[0])) if categories else {})}
            ids.append(number)
            times.append(int(ts))
            lines.append(line)
            items.append(sorted(metadata_.items()) if metadata_ or metadata else None)
    return pa.table(
        [pa.array(ids, pa.int64()), pa.array(times, pa.int64()), lines, pa.array(items, METADATA)],
        ROWS,
    )


def _metadata(categories: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """Structured metadata and what a pipeline's parsers found, sorted by name."""
    entries = dict(categories.get("structuredMetadata", {}))
    if "parsed" in categories:
        entries.update(categories["parsed"])
    return iter(sorted(entries.items()))


def _odd(answer: HttpAnswer, what: str, **parts: Any) -> BadData:
    return BadData(what, where=answer.url, **parts)
