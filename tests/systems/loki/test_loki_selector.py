"""LogQL taken apart and put together."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.base.errors import ConfigError
from lake.systems.loki.reading.logql import Selector


@pytest.mark.parametrize(
    ("text", "matchers", "pipeline"),
    [
        ('{a="b"}', '{a="b"}', ""),
        (' { a = "b" } ', '{ a = "b" }', ""),
        ('{a="}", b=`{"`} |= "{}"', '{a="}", b=`{"`}', '|= "{}"'),
        ('{a="\\"}"} | json', '{a="\\"}"}', "| json"),
        ("{a=~`\\d+`}\n  # why\n| logfmt", "{a=~`\\d+`}", "# why\n| logfmt"),
        ("{}", "{}", ""),
    ],
)
def test_matchers_and_pipeline_are_told_apart(text: str, matchers: str, pipeline: str) -> None:
    assert Selector.parse(text) == Selector(matchers, pipeline)


@pytest.mark.parametrize("text", ["", "job", 'a="b"', '{a="b"', 'rate({a="b"}[1m])', '{a="b}'])
def test_what_has_no_matchers_in_front(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Selector.parse(text)
    assert "container" in str(caught.value)


def test_a_streams_selector_excludes_streams_with_more_labels() -> None:
    labels = {"b": "2", "a": "1"}
    others = [labels, {"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "x", "d": "4"}]
    stream = Selector.parse('{a=~".+"} |= "x"').of_stream(labels, others)
    assert str(stream) == '{a="1", b="2", c=""} |= "x"'


@given(st.dictionaries(st.sampled_from("abc"), st.text(min_size=1), min_size=1))
def test_values_are_quoted(labels: dict[str, str]) -> None:
    stream = Selector.parse('{a="b"}').of_stream(labels, [])
    again = Selector.parse(str(stream))
    assert again == stream
    strings = re.findall(r'"(?:[^"\\]|\\.)*"', again.matchers)
    assert [json.loads(text) for text in strings] == [labels[name] for name in sorted(labels)]


def test_counts_name_the_duration() -> None:
    assert Selector.parse('{a="b"}').count(86_400_000) == 'sum(count_over_time({a="b"} [24h]))'
    assert "[1ms]" in Selector.parse('{a="b"}').count(1)
