"""Label values of any text go into each version of Loki, or are reported as left out.

The judge is Loki's own JSON push, for which Loki spells and parses the labels itself.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.made_partitions import LINES, PAIRS, SETTINGS, put

from lake.base.day import Day
from lake.replay import replayed
from lake.servers import Binary
from lake.store.directory import DirectoryStore
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.replay.label_values import parses_again
from lake.systems.partitions import SERVER_VERSION

pytestmark = pytest.mark.servers

DAY = Day.parse("2026-03-14")
STORED = [
    "plain", "café", "語", "😀", "C:\\", 'say "x"', '"', "'`{}", "a\\b", "\r\n", "\a", "\t",
    "\x7fz", "\x7f\n", "\u2028-", "\u2028\u2028", "\ufeffz", "\x00z", "\U0010ffff.", "a\x1bb", " ",
]  # fmt: skip
# The last character is not printable, or it stands before a quote or a backslash.
UNPARSED_BY_2_2 = [
    "\x7f", "\x00", "end\u2028", "\u00a0", "\ufeff", "\U0010ffff", '\x7f"', "\x7f\\", '\x7f"z',
    "\x01\x02\x03",
]  # fmt: skip
REPLACED = ["\ufffd", "before \ufffd after"]


def table(values: list[str]) -> pa.Table:
    """A stream for each value, with as many lines as it has characters."""
    rows = [(number, n) for number, value in enumerate(values) for n in range(len(value))]
    return pa.table(
        {
            "ts": pa.array([DAY.start_ms * 1000] * len(rows)).cast(pa.timestamp("us", "UTC")),
            "ts_ns": [DAY.start_ns + n for _, n in rows],
            "stream_id": [number for number, _ in rows],
            "line": [f"line {n} of {number}" for number, n in rows],
            "a": [values[number] for number, _ in rows],
            "labels": pa.array([[]] * len(rows), PAIRS),
            "metadata": pa.array([[]] * len(rows), PAIRS),
        }
    )


def series(url: str) -> list[str]:
    window = {"match[]": '{a!=""}', "start": DAY.start_ns, "end": DAY.end_ns}
    answer = requests.get(f"{url}/loki/api/v1/series", window, timeout=60)
    assert answer.ok, answer.text
    return sorted(stream["a"] for stream in answer.json()["data"])


def lines_of(url: str, value: str) -> list[str]:
    query = str(Selector.parse("{}").exactly({"a": value}, []))
    window = {"query": query, "start": DAY.start_ns, "end": DAY.end_ns, "direction": "forward"}
    answer = requests.get(f"{url}/loki/api/v1/query_range", window, timeout=60)
    assert answer.ok, answer.text
    streams = answer.json()["data"]["result"]
    return [line for stream in streams for _, line in stream["values"]]


def test_what_is_stored_comes_back_and_the_rest_is_reported(loki_program: Binary, tmp_path):
    old = loki_program.version == "2.2.1"
    values = [*STORED, *UNPARSED_BY_2_2, *REPLACED]
    stored = STORED if old else [*STORED, *UNPARSED_BY_2_2]
    store = DirectoryStore(tmp_path / "lake")
    part = put(store, LINES, DAY, table(values), {SERVER_VERSION: loki_program.version})
    with replayed(SETTINGS, store, [part]) as result:
        assert result.stack["loki"].program == loki_program
        url = result.endpoints["loki"]["url"]
        assert series(url) == sorted(stored)
        for value in stored:
            number = values.index(value)
            assert lines_of(url, value) == [f"line {n} of {number}" for n in range(len(value))]
        size = sum(map(len, stored))
        rows = sum(map(len, values))
        assert result.days == {
            "lines": {str(DAY): {"rows": rows, "countable": size, "found": size}}
        }
        reported = [remark for remark in result.remarks if "not replayed" in remark]
        numbers = [int(re.match(r"[\d,]+", remark)[0].replace(",", "")) for remark in reported]
        replaced = sum(map(len, REPLACED))
        assert numbers == ([sum(map(len, UNPARSED_BY_2_2)), replaced] if old else [replaced])
        assert all("label a" in remark for remark in reported)
        assert any("U+FFFD" in remark for remark in reported)
        assert any("Loki 2.2.1 cannot parse" in remark for remark in reported) == old


def test_a_day_of_which_nothing_can_be_stored(tmp_path):
    store = DirectoryStore(tmp_path / "lake")
    part = put(store, LINES, DAY, table(REPLACED))
    with replayed(SETTINGS, store, [part]) as result:
        rows = sum(map(len, REPLACED))
        assert result.days == {"lines": {str(DAY): {"rows": rows, "countable": 0, "found": 0}}}
        assert sum(remark.startswith(f"{rows} lines are not") for remark in result.remarks) == 1


# No code points whose category differs between versions of Unicode.
ODD = st.sampled_from(['"', "\\", "\n", "\x00", "\x7f", "\u0085", "\u2028", "\ufeff", "\U000e0001"])
TEXTS = st.text(ODD | st.characters(max_codepoint=0x5FF, exclude_categories=["Cn"]), min_size=1)


@given(TEXTS)
@example('\x7f\\"')
@example("\x7f\x7f\\")
@example("\x1f\\0")
@example("\x1f\\0123")
@example("\x1f\\477 ")
@example("\x1f\\udabc ")
@example("\x1f\\U0010ffff ")
@example("\x1f\\U0000d800 ")
@example("\x1f\\U00110000 ")
@example("\x1f\\x41z")
@example("\x1f\\q")
@settings(deadline=None, max_examples=200)
def test_loki_itself_refuses_exactly_these(loki_program, loki_url, value):
    answer = requests.post(
        f"{loki_url}/loki/api/v1/push",
        json={
            "streams": [{"stream": {"of_any_text": value}, "values": [[str(DAY.start_ns), "x"]]}]
        },
        timeout=60,
    )
    assert answer.status_code in (204, 400), answer.text
    skips = loki_program.version == "2.2.1"
    assert (answer.status_code == 204) == parses_again(value, skips=skips), answer.text


@pytest.mark.parametrize(
    ("value", "parses"),
    [("x", True), ("\x7f", False), ("\x7fx", True), ('\x7f"', False), ("\x01\x02", True)],
)
def test_the_old_parser(value, parses):
    assert parses_again(value, skips=True) == parses
    assert parses_again(value, skips=False)
