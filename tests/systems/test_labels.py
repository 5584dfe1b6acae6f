"""Which label gets a column, and ids that never change."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lake.systems.labels import (
    column_names,
    has_column,
    label_arrays,
    label_fields,
    labels_id,
    metric_bucket,
    series_id,
)

FIXED = {"ts", "day", "labels"}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
LABELS = st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=5)


def test_the_name_alone_decides():
    names = ["pod", "Pod", "ts", "day", "_1", "service.name", "ÄB", "äb", "pod"]
    assert column_names(names, FIXED) == ("_1", "pod", "service.name", "äb")
    assert not has_column("Day", FIXED)
    assert not has_column("a\0b", FIXED)  # no SQL could name it


@given(st.lists(LABELS, max_size=6))
def test_each_label_is_in_one_place(label_sets):
    columns = column_names((name for labels in label_sets for name in labels), FIXED)
    fields = label_fields(columns)
    arrays = label_arrays(label_sets, columns)
    table = pa.table(arrays, schema=pa.schema(fields))
    for row, labels in zip(table.to_pylist(), label_sets, strict=True):
        in_map = dict(row.pop("labels"))
        in_columns = {name: value for name, value in row.items() if value is not None}
        assert not in_map.keys() & in_columns.keys()
        assert {**in_map, **in_columns} == {k: v for k, v in labels.items() if v}
        assert all(not has_column(name, FIXED) for name in in_map)


def test_ids_stay_what_they_are():
    # From `printf '\0\0\0\1a\0\0\0\1b…' | b2sum -l 64`: a change would split each series in two.
    assert labels_id({}) == -1970711489451281740
    assert labels_id({"c": "é", "a": "b"}) == -8417379131741335727
    assert labels_id({"c": "é", "a": "b", "none": ""}) == -8417379131741335727
    assert series_id({"a": "b", "__name__": "up"}, "up") == -6953241262388890221
    assert metric_bucket("up") == -1544


@given(LABELS, LABELS, TEXTS)
def test_ids_tell_label_sets_apart(labels, other, metric):
    same = {k: v for k, v in labels.items() if v} == {k: v for k, v in other.items() if v}
    assert (labels_id(labels) == labels_id(other)) == same
    assert (series_id(labels, metric) == series_id(other, metric)) == same
    assert series_id(labels, metric) >> 52 == metric_bucket(metric)
    assert -(2**63) <= series_id(labels, metric) < 2**63


def test_length_belongs_to_the_hash():
    assert labels_id({"a": "bc"}) != labels_id({"ab": "c"})
    assert labels_id({"a": "b", "c": "d"}) != labels_id({"a": "bcd"})
