"""Covers by label and sorted runs, without any server."""

from __future__ import annotations

import json
import math
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.base.errors import BadData, TransientError
from lake.http.client import TooLarge
from lake.systems.labels import series_id
from lake.systems.prometheus.reading import plan, scan
from lake.systems.prometheus.reading.answer import Matrix
from lake.systems.prometheus.reading.blocks import SampleTable, label_columns
from lake.systems.prometheus.reading.narrowing import Piece, pieces
from lake.systems.prometheus.reading.runs import Room, Runs

assert scan  # loaded once, before hypothesis looks at the clock

DAY = plan.Window(0, 100, 1000)
VALUES = st.sampled_from(
    ["a", "b.c", "b+c", 'q"uote', "back\\slash", "é|x", "", "(", "Z", "7", "a7"]
)
SERIES = st.fixed_dictionaries(
    {"__name__": st.sampled_from(["m", "n", "o.p"]), "job": st.just("j")},
    optional={"pod": st.text("abc019_Z", min_size=1, max_size=4), "le": VALUES},
)
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)("(?:[^"\\]|\\.)*")')


def selected(query: str, labels: dict[str, str]) -> bool:
    """What the selector's text means, by PromQL's rules and Python's regular expressions."""
    held = MATCHER.findall(query)
    assert "{" + ",".join("".join(matcher) for matcher in held) + "}" == query
    for name, operator, text in held:
        value, wanted = labels.get(name, ""), json.loads(text)
        same = re.fullmatch(wanted, value) if "~" in operator else value == wanted
        if bool(same) == operator.startswith("!"):
            return False
    return True


class Labels:
    """A server's labels: what it lists may be too much, or stale."""

    def __init__(self, series, most=1000, forgotten=()) -> None:
        self.series, self.most, self.forgotten = series, most, forgotten

    def _those(self, query):
        return [labels for labels in self.series if selected(query, labels)]

    def label_names(self, query, window):
        return sorted({name for labels in self._those(query) for name in labels})

    def label_values(self, label, query, window):
        values = {labels.get(label, "") for labels in self._those(query)} - {"", *self.forgotten}
        if len(values) > self.most:
            raise TooLarge("too many")
        return sorted(values)

    def sizes_by(self, label, query, window):
        counts: dict[str, int] = {}
        for labels in self._those(query):
            counts[labels.get(label, "")] = counts.get(labels.get(label, ""), 0) + 1
        return counts


def leaves(source, piece, most):
    parts = pieces(source, piece, DAY, most) if piece.series > most else []
    return [leaf for part in parts for leaf in leaves(source, part, most)] or [piece]


@given(st.lists(SERIES, min_size=1, max_size=40), st.integers(1, 5), st.sampled_from([1, 3, 1000]),
       st.sets(st.sampled_from(["a", "b.c", "m"])))  # fmt: skip
@settings(deadline=None)
def test_pieces_select_each_series_once(series, most, listed, forgotten):
    source = Labels(series, listed, forgotten)
    whole = Piece('{job="j"}', len(series))
    parts = leaves(source, whole, most)
    for labels in series:
        assert sum(selected(piece.query, labels) for piece in parts) == 1


def test_pieces_are_as_small_as_wanted():
    series = [
        {"__name__": "m", "job": "j", "pod": f"p-{n % 30}", "le": str(n // 30)} for n in range(300)
    ]
    parts = leaves(Labels(series), Piece('{job="j"}', 300), 26)
    sizes = [sum(selected(piece.query, labels) for labels in series) for piece in parts]
    assert sum(sizes) == 300
    assert max(sizes) <= 26
    assert sum(size > 0 for size in sizes) <= 300 // 20
    crowded = leaves(Labels(series, most=5), Piece('{job="j"}', 300), 26)
    assert max(sum(selected(piece.query, labels) for labels in series) for piece in crowded) < 100


def test_a_label_that_all_lack_or_share_tells_nothing_apart():
    same = [{"__name__": "m", "job": "j"}] * 9
    assert pieces(Labels(same), Piece('{job="j"}', 9), DAY, 3) == []
    assert pieces(Labels(same), Piece("sum(m)", 9), DAY, 3) == []


def test_a_server_without_label_lists_leaves_time():
    class Away(Labels):
        def label_values(self, label, query, window):
            raise TransientError("away")

    assert pieces(Away([{"__name__": "m", "job": "j"}]), Piece('{job="j"}', 9), DAY, 3) == []


def text_of(labels: dict[str, str]) -> bytes:
    return json.dumps(labels, separators=(",", ":")).encode()


def matrix_of(samples: dict[str, list[tuple[int, float]]], window: plan.Window) -> Matrix:
    kept = {
        name: [(step, value) for step, value in rows
               if window.start_ms <= step * 1000 <= window.end_ms]
        for name, rows in samples.items()
    }  # fmt: skip
    kept = {name: rows for name, rows in kept.items() if rows}
    first = window.start_ms // 1000
    flat = [pair for rows in kept.values() for pair in rows]
    return Matrix(
        {},
        [text_of({"__name__": "m", "pod": name}) for name in kept],
        np.array([len(rows) for rows in kept.values()], np.int64),
        np.array([step - first for step, _ in flat], np.int32),
        np.array([value for _, value in flat], np.float64),
    )


SAMPLES = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.dictionaries(st.integers(0, 99), st.floats(), min_size=1, max_size=20).map(
        lambda points: sorted(points.items())
    ),
    max_size=12,
)


@given(SAMPLES, st.integers(1, 40), st.booleans(), st.sampled_from([1, 7, 10**6]), st.randoms())
@settings(deadline=None)
def test_runs_give_all_rows_in_order(samples, most_steps, in_files, block_rows, luck):
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as scratch:
        patch.setattr("lake.systems.prometheus.reading.runs._BLOCK_ROWS", block_rows)
        patch.setattr("lake.systems.prometheus.reading.blocks.BATCH_ROWS", 13)
        runs = Runs(Path(scratch), Room(0 if in_files else 10**6))
        windows = list(DAY.parts(most_steps))
        luck.shuffle(windows)
        for window in windows:
            runs.add(matrix_of(samples, window), window)
        table = SampleTable(label_columns(["pod"]))
        batches = list(table.batches(runs.blocks()))
        assert sum(len(block.ids) for block in runs.blocks()) == len(samples)
        runs.close()
        assert not list(Path(scratch).iterdir())
    assert all(batch.num_rows == 13 for batch in batches[:-1])
    rows = [row for batch in batches for row in batch.to_pylist()]
    rows_read = [(row["series_id"], row["pod"], round(row["ts"].timestamp()), row["value"],
              row["nan"], row["metric"], row["labels"]) for row in rows]  # fmt: skip
    expected = [
        (series_id({"__name__": "m", "pod": name}, "m"), name, step,
         *((None, "nan") if math.isnan(value) else (value, None)), "m", [])
        for name, rows in samples.items() for step, value in rows
    ]  # fmt: skip
    assert repr(rows_read) == repr(sorted(expected, key=lambda row: (row[0], row[2])))


def test_ids_that_collide_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("lake.systems.prometheus.reading.runs.series_id", lambda *_: 1)
    window = plan.Window(0, 1, 1000)
    both = matrix_of({"a": [(0, 1.0)], "b": [(0, 1.0)]}, window)
    with pytest.raises(BadData, match="collide"):
        Runs(tmp_path, Room(0)).add(both, window)
    runs = Runs(tmp_path, Room(0))
    for name in "ab":
        runs.add(matrix_of({name: [(0, 1.0)]}, window), window)
    with pytest.raises(BadData, match="same id"):
        list(runs.blocks())


def test_a_label_that_was_not_listed_is_no_lost_value(tmp_path):
    window = plan.Window(0, 1, 1000)
    runs = Runs(tmp_path, Room(0))
    runs.add(matrix_of({"a": [(0, 1.0)]}, window), window)
    with pytest.raises(TransientError, match="pod"):
        list(SampleTable(()).batches(runs.blocks()))
