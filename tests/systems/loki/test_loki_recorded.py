"""Answers recorded from a Loki 3.7: what the parser makes of them, without any server.

`pushed.json` is what was written before; the other files are the bodies of the answers.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lake.http.client import HttpAnswer
from lake.systems.loki.reading.answer import Mixed, Streams, data_of, rows_of

FOLDER = Path(__file__).parent / "recorded"


def answer(name: str) -> HttpAnswer:
    content = (FOLDER / f"{name}.json").read_bytes()
    return HttpAnswer(url=name, status=200, headers={}, content=content)


def pushed() -> list[tuple[frozenset, int, str, frozenset]]:
    """Labels, time, line and metadata of each line, in the form in which Loki keeps them.

    A key of metadata that is a label's gets `_extracted`, a dot becomes `_`, an empty value is
    none, and Loki adds `service_name` to the labels and `detected_level` to the metadata.
    """
    rows = []
    for stream in json.loads((FOLDER / "pushed.json").read_text("utf-8")):
        labels = stream["stream"]
        kept = frozenset((labels | {"service_name": labels["app"]}).items())
        for ts, line, metadata in stream["values"]:
            names = {
                key: f"{key}_extracted" if key in labels else key.replace(".", "_")
                for key in metadata
            }
            rows.append(
                (kept, int(ts), line, frozenset((names[k], v) for k, v in metadata.items() if v))
            )
    return rows


def parsed(name: str) -> list[tuple[frozenset, int, str, dict[str, str]]]:
    streams = Streams()
    table = rows_of(answer(name), streams)
    labels = streams.labels()
    return [
        (
            frozenset(labels[row["stream_id"]].items()),
            row["ts_ns"],
            row["line"],
            dict(row["metadata"] or ()),
        )
        for row in table.to_pylist()
    ]


def test_labels_and_metadata_of_the_categorised_answer():
    lines = [
        (labels, ts, line, frozenset(item for item in meta.items() if item[0] != "detected_level"))
        for labels, ts, line, meta in parsed("query_range")
    ]
    key = lambda row: (row[1], row[2], sorted(row[0]), sorted(row[3]))  # noqa: E731
    assert sorted(lines, key=key) == sorted(pushed(), key=key)
    levels = {line: meta["detected_level"] for _, _, line, meta in parsed("query_range")}
    assert levels['{"level":"error","msg":"läuft \\u00fc"}'] == "error"
    assert levels["same"] == "unknown"


def test_what_a_parser_adds_is_metadata_and_the_labels_stay():
    plain, with_json = parsed("query_range"), parsed("query_range_json")
    assert {row[0] for row in with_json} == {row[0] for row in plain}
    (error,) = [meta for _, _, line, meta in with_json if line.startswith('{"level"')]
    assert error["msg"] == "läuft ü"
    assert error["trace_id"] == "a1"


def test_without_the_header_labels_and_metadata_are_mixed():
    with pytest.raises(Mixed):
        rows_of(answer("query_range_plain"), Streams())


def test_an_empty_answer_has_no_rows():
    assert rows_of(answer("query_range_empty"), Streams()).num_rows == 0


def test_the_count_is_that_of_the_lines():
    (only,) = data_of(answer("count"), "vector")
    assert (
        int(only["value"][1]) == len(pushed()) == rows_of(answer("query_range"), Streams()).num_rows
    )
