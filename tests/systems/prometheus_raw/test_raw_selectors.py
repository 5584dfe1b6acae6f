"""The selectors' parser, held against Prometheus' own."""

from __future__ import annotations

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.servers import find, start
from lake.systems.prometheus.reading.promql import NAME, Matcher, NoSelector, matchers


@pytest.fixture(scope="module")
def parser_url():
    if find("prometheus3") is None:
        pytest.skip("prometheus3 is not installed: lake services install prometheus3")
    with start(["prometheus3"]) as stack:
        yield stack.endpoints["prometheus3"]["url"]


PIECES = st.sampled_from(
    ["up", "a:b", "inf", "le", "__name__", "=", "!=", "=~", "!~", "{", "}", ",", " ", "\n",
     "# c\n", '"x"', "'y'", "`z\\`", r'"\"\\\n\t\x41\u00e9\U0001F600\101"', r"'\''", '"', "é",
     '"m.x"', "offset 5m", "@ 1", "[5m]", "sum(", ")", "1", '"a|b.*"', '""', r'"\q"', "\\"]
)  # fmt: skip
MATCHER = st.tuples(
    st.sampled_from(["a", "le", "_x1", "__name__", '"utf.8 é"']),
    st.sampled_from(["=", "!=", " =~ ", "!~"]),
    st.sampled_from(['"x"', "'y z'", "`\\d+`", r'"\x41\n"', '""', '"a|b"', '"é{,}#"']),
).map("".join)
WELL_FORMED = st.tuples(
    st.sampled_from(["", "up", "job:x:rate5m", " up\n"]),
    st.lists(MATCHER, max_size=3).map(lambda texts: "{" + ", ".join(texts) + "}"),
).map("".join)


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(PIECES, max_size=7).map("".join) | WELL_FORMED)
def test_the_same_matchers_as_the_server_finds(parser_url, query):
    """What the server takes for one plain selector is one here, with the same matchers."""
    answer = requests.get(f"{parser_url}/api/v1/parse_query", {"query": query}, timeout=30).json()
    tree = answer.get("data", {})
    plain = tree.get("type") == "vectorSelector" and not (
        tree["offset"] or tree["timestamp"] or tree["startOrEnd"]
    )
    try:
        parsed = matchers(query)
    except NoSelector:
        assert not plain
        return
    if plain:
        reported = [
            Matcher(matcher["name"], matcher["type"], matcher["value"])
            for matcher in tree["matchers"]
        ]
        assert sorted(parsed, key=repr) == sorted(reported, key=repr)
    else:
        assert answer["status"] == "error", tree  # no other expression is taken for a selector


@pytest.mark.parametrize(
    "query",
    ["", "sum(up)", "up offset 5m", "up[5m]", "up @ 1", "up + up", "1", "Inf", "nan", '"up"',
     "{a=b}", "{a}", "{,}", 'up{a="b"', 'up{a="b"}}', 'up{a="b" c="d"}', 'up{a=="b"}',
     'up{a="\n"}', r'up{a="\q"}', r'up{a="\xff"}', r'up{a="\uD800"}', 'up{a="b', "up up"],
)  # fmt: skip
def test_anything_else_is_no_selector(query):
    with pytest.raises(NoSelector):
        matchers(query)


def test_every_way_to_write_a_string():
    query = r"""up{a="\"\\\a\b\f\n\r\t\v\x41\101\u00e9\U0001F600", b='\'"', c=`\n"`,}"""
    assert matchers(query) == (
        Matcher(NAME, "=", "up"),
        Matcher("a", "=", '"\\\a\b\f\n\r\t\vAAé😀'),
        Matcher("b", "=", "'\""),
        Matcher("c", "=", '\\n"'),
    )
    assert matchers('{"m.x", "l.y"!~"1"}') == (Matcher(NAME, "=", "m.x"), Matcher("l.y", "!~", "1"))
