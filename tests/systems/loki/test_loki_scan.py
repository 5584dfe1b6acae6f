"""Answers read by compiled code, against Python's own JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.base.errors import BadData, TransientError
from lake.http.client import HttpAnswer
from lake.systems.loki.reading.answer import Streams, _scanned, rows_of

_HEAD = {"resultType": "streams", "encodingFlags": ["categorize-labels"]}
texts = st.one_of(st.text(max_size=12), st.text('"\\/{}[],:\n\tu0dé💥', max_size=12))
names = st.sampled_from(["a", "ab", "b", "Z", "trace_id", "é"])
pairs = st.dictionaries(names, texts, max_size=4)
lines = st.tuples(
    st.integers(0, 2**62).map(str),
    texts,
    st.fixed_dictionaries({}, optional={"structuredMetadata": pairs, "parsed": pairs}),
)
streams = st.fixed_dictionaries({"stream": pairs, "values": st.lists(lines, max_size=6)})
results = st.lists(streams, max_size=4)


def written(result: list[Any], *, ascii_only: bool, stats: bool) -> bytes:
    """As Loki writes it: without white space, escaped as its encoder does or as another may."""
    ordered = [
        {
            "stream": stream["stream"],
            "values": [
                # Structured metadata goes first.
                (ts, line, dict(sorted(categories.items(), reverse=True)))
                for ts, line, categories in stream["values"]
            ],
        }
        for stream in result
    ]
    data = {**_HEAD, "result": ordered} | ({"stats": {"summary": {"[": "]}"}}} if stats else {})
    body = {"status": "success", "data": data}
    return json.dumps(body, ensure_ascii=ascii_only, separators=(",", ":")).encode() + b"\n"


def expected(result: list[Any]) -> list[tuple[object, ...]]:
    rows = []
    for stream in result:
        labels = {name: value for name, value in stream["stream"].items() if value}
        for ts, line, categories in stream["values"]:
            metadata = {**categories.get("structuredMetadata", {}), **categories.get("parsed", {})}
            rows.append((Streams().id_of(labels), int(ts), line, sorted(metadata.items())))
    return rows


def read(content: bytes) -> list[tuple[object, ...]]:
    table = rows_of(HttpAnswer("http://loki", 200, {}, content), Streams())
    table.validate(full=True)
    return [tuple(row.values()) for row in table.to_pylist()]


@given(results, st.booleans(), st.booleans())
@settings(deadline=None)
def test_every_answer_is_read_as_json_reads_it(
    result: list[Any], ascii_only: bool, stats: bool
) -> None:
    content = written(result, ascii_only=ascii_only, stats=stats)
    assert read(content) == expected(result)
    if not (ascii_only and "\\u00e9" in content.decode()):  # a name with escapes
        assert _scanned(content, Streams()) is not None


@given(results, st.data())
@settings(deadline=None)
def test_damage_is_never_read_as_something_else(result: list[Any], data: st.DataObject) -> None:
    """Where compiled code takes a text at all, JSON takes it, too, and finds the same."""
    content = bytearray(written(result, ascii_only=True, stats=True))
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] = data.draw(st.sampled_from(b'"\\{}[],:u0a \x00\xff'))
    table = _scanned(bytes(content), Streams())
    if table is not None:
        body = json.loads(content, strict=False)
        rows = [tuple(row.values()) for row in table.to_pylist()]
        assert rows == expected(body["data"]["result"])


@pytest.mark.parametrize("half", [r"\ud83d", r"\ude00", r"\ud83dx", r"\ud83d\u0041"])
def test_half_a_character_is_refused(half: str) -> None:
    content = written([{"stream": {"a": "b"}, "values": [["1", "HALF", {}]]}], ascii_only=True,
                      stats=False)  # fmt: skip
    with pytest.raises(BadData):
        read(content.replace(b"HALF", half.encode()))


def test_what_broke_off_is_told_from_what_is_odd() -> None:
    content = written([{"stream": {"a": "b"}, "values": [["1", "x", {}]]}], ascii_only=True,
                      stats=True)  # fmt: skip
    with pytest.raises(TransientError):
        read(content[:-20])
