"""Days of which a query of several streams leaves lines out, merges or mixes them: exactly.

Belongs here: streams with lines, times or labels in common, at any time of the day. Does not:
streams that appear late (test_loki_late_streams.py), masked lines (test_loki_masked.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.faulty_proxy import FaultyProxy
from support.loki_client import Entry, Labels, LokiClient
from support.loki_days import (
    DAY,
    HOUR,
    MASK,
    MS,
    SECOND,
    Row,
    dataset_of,
    of_user,
    pairs,
    pushed,
    read,
    rows_of,
)

from lake.servers import Stack
from lake.systems.loki.config import LokiSource
from lake.systems.loki.reading import LokiReader

OLD = pytest.mark.loki(below="3.0")


@pytest.mark.slow
@pytest.mark.parametrize("masking", [False, True])
def test_streams_that_end_at_one_instant(
    loki: LokiClient, job: str, tmp_path: Path, *, masking: bool
) -> None:
    """600 streams write at the same nanosecond, on a full hour: the same line, or lines that
    the pipeline makes the same.
    """
    expected: list[Row] = []
    for number in range(600):
        labels = {"job": job, "pod": f"pod-{number}"}
        texts = {
            DAY.start_ns + 5 * HOUR + number * 1_000_003: f"begin {number}",
            DAY.start_ns + 6 * HOUR: "end",
        }
        user = f"user-{number}"
        entries: list[Entry] = [
            (ts, of_user(user, text) if masking else text, {}) for ts, text in texts.items()
        ]
        loki.push(labels, entries)
        expected += masked(labels, texts) if masking else pushed(labels, entries)
    selector = f'{{job="{job}"}} {MASK if masking else ""}'
    loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, 1200)
    table, details = read(loki, selector, tmp_path)
    assert sorted(rows_of(table)) == sorted(expected)
    assert details["streams"] == 600
    assert details["requests"] < 1400


@pytest.mark.parametrize("masking", [False, True])
def test_lines_on_every_full_hour(
    server: LokiClient, job: str, tmp_path: Path, *, masking: bool
) -> None:
    """Each is the last line of a chunk: Loki 3 counts it, and no log query returns it."""
    expected: list[Row] = []
    for hour in range(24):
        at = DAY.start_ns + hour * HOUR
        labels = {"job": job, "pod": f"pod-{hour}"}
        texts = {at - SECOND: "before", at: f"on the hour {hour}"}
        entries: list[Entry] = [
            (ts, of_user(f"user-{hour}", text) if masking else text, {})
            for ts, text in texts.items()
        ]
        server.push(labels, entries)
        rows = masked(labels, texts) if masking else pushed(labels, entries)
        expected += [row for row in rows if row[1] >= DAY.start_ns]
    server.store()
    server.wait_for(f'{{job="{job}"}}', DAY.end_ns, 47)
    selector = f'{{job="{job}"}} {MASK if masking else ""}'
    table, details = read(server, selector, tmp_path)
    assert sorted(rows_of(table)) == sorted(expected)
    lacking = 47 - len(server.lines(selector, DAY.start_ns, DAY.end_ns))
    assert details["recovered_lines"] == lacking
    assert lacking == 24 or not server.takes_metadata  # else the test would show nothing


@pytest.mark.parametrize("masking", [False, True])
def test_lines_on_both_sides_of_each_cut(
    server: LokiClient, job: str, tmp_path: Path, *, masking: bool
) -> None:
    """The last ns before a full hour, which 2.6 to 2.9 do not count, and the hour itself, whose
    line their log queries leave out at a chunk's end: two faults that hide each other.
    """
    expected: list[Row] = []
    for hour in range(1, 4):
        at, labels = DAY.start_ns + hour * HOUR, {"job": job, "pod": f"pod-{hour}"}
        texts = {at - 1: "before", at: "on the hour"}
        user = f"user-{hour}"
        entries: list[Entry] = [
            (ts, of_user(user, text) if masking else text, {}) for ts, text in texts.items()
        ]
        server.push(labels, entries)
        expected += masked(labels, texts) if masking else pushed(labels, entries)
    server.store()
    table, _ = read(server, f'{{job="{job}"}} {MASK if masking else ""}', tmp_path)
    assert sorted(rows_of(table)) == sorted(expected)
    reader = LokiReader(LokiSource(url=server.url, tenant=server.tenant))
    assert reader.count(dataset_of(f'{{job="{job}"}}'), DAY).rows == 6
    reader.close()


def test_a_stream_with_one_line_in_the_last_ns_of_an_hour(
    server: LokiClient, job: str, tmp_path: Path
) -> None:
    """2.6 to 2.9 do not count it, and their `/series` lacks the stream once it is stored."""
    entries: list[Entry] = [(DAY.start_ns + HOUR - 1, "only", {})]
    server.push({"job": job}, entries)
    server.store()
    table, _ = read(server, f'{{job="{job}"}}', tmp_path)
    assert rows_of(table) == pushed({"job": job}, entries)


@pytest.mark.slow
def test_long_streams_with_lines_in_common(server: LokiClient, job: str, tmp_path: Path) -> None:
    """Streams longer than an answer, some labels of one in another's, lines on full hours."""
    everything: list[Row] = []
    streams: list[Labels] = [{"job": job}, {"job": job, "pod": "a"}, {"job": job, "pod": 'b"\\'}]
    for number, labels in enumerate(streams):
        entries: list[Entry] = [
            (DAY.start_ns + n * 20 * SECOND, "tick" if n % 3 else f"{number}", {})
            for n in range(1500)
        ]
        entries += [(DAY.end_ns - 5, f"burst {n}", {}) for n in range(700)]
        server.push(labels, entries)
        everything += pushed(as_stored(server, labels), entries)
    server.wait_for(f'{{job="{job}"}}', DAY.end_ns, len(everything))
    for selector in (f'{{job="{job}"}}', "{}"):
        table, details = read(server, selector, tmp_path)
        assert sorted(rows_of(table)) == sorted(everything)
        assert details["limit"] == 300
    table, _ = read(server, f'{{job="{job}"}} |= "tick" != "burst"', tmp_path)
    assert sorted(rows_of(table)) == sorted(row for row in everything if row[2] == "tick")


@pytest.mark.loki(below="2.9")
def test_what_an_old_version_can_not_have(loki: LokiClient, job: str, tmp_path: Path) -> None:
    loki.push({"job": job}, [(DAY.start_ns, '{"a": "1"}', {}), (DAY.start_ns + 1, "x", {})])
    table, details = read(loki, f'{{job="{job}"}}', tmp_path)
    assert details["server_version"] == (loki.version or "2.2.1")
    assert details["structured_metadata"] == "not supported by this version"
    assert table["metadata"].to_pylist() == [None, None]
    table, _ = read(loki, f'{{job="{job}"}} | json', tmp_path)
    parsed, failed = table["metadata"].to_pylist()
    assert parsed == [("a", "1")]
    assert ("__error__", "JSONParserErr") in failed  # details of it are beside it from 2.8 on


@OLD
def test_a_line_that_is_pushed_twice(server: LokiClient, job: str, tmp_path: Path) -> None:
    """The same line twice at one ns, in a chunk and over two: what Loki stores of it."""
    at = DAY.start_ns + HOUR + SECOND
    server.push({"job": job}, [(at, "twice", {}), (at, "twice", {}), (at, "other", {})])
    server.store()
    server.push({"job": job}, [(at, "twice", {}), (at + 1, "last", {})])
    server.store()
    table, _ = read(server, f'{{job="{job}"}}', tmp_path)
    given = server.lines(f'{{job="{job}"}}', DAY.start_ns, DAY.end_ns)
    assert sorted(table["line"].to_pylist()) == sorted(given)
    assert set(given) == {"last", "other", "twice"}


def as_stored(server: LokiClient, labels: Labels) -> Labels:
    """2.9 keeps a label's value as the JSON of a push spells it, escapes and all."""
    if not server.version.startswith("2.9."):
        return labels
    return {n: json.dumps(value, ensure_ascii=False)[1:-1] for n, value in labels.items()}


def masked(labels: Labels, texts: Mapping[int, str]) -> list[Row]:
    """What has to come back through MASK, which puts the text into the metadata, too."""
    return [(pairs(labels), ts, text, pairs({"msg": text})) for ts, text in texts.items()]


@OLD
@pytest.mark.parametrize("pipeline", ["", '|= "e"', "| json"])
def test_streams_that_share_only_the_last_ns(
    loki: LokiClient, job: str, tmp_path: Path, pipeline: str
) -> None:
    """Counts of these versions leave that ns out, and a joint query may merge its lines."""
    expected: list[Row] = []
    for pod in "abc":
        labels = {"job": job, "pod": pod}
        entries: list[Entry] = [(DAY.end_ns - 1, '{"x": "same"}', {})]
        if pod != "c":
            entries = [(DAY.start_ns + HOUR, f'{{"x": "one {pod}"}}', {}), *entries]
        loki.push(labels, entries)
        loki.push(labels, [(DAY.end_ns, '{"x": "next day"}', {})])
        expected += pushed(labels, entries)
    loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, 2)
    selector = f'{{job="{job}"}} {pipeline}'
    table, _ = read(loki, selector, tmp_path)
    assert sorted(row[:3] for row in rows_of(table)) == sorted(row[:3] for row in expected)
    reader = LokiReader(LokiSource(url=loki.url))
    assert reader.count(dataset_of(selector), DAY).rows == len(expected)
    reader.close()


@pytest.mark.loki(at_least="3.0")
def test_answers_that_mix_labels_and_metadata(server: LokiClient, job: str, tmp_path: Path) -> None:
    """As 2.9 gives them: here a proxy takes the header away that asks for more."""
    at = DAY.start_ns + HOUR
    streams: list[tuple[Labels, list[Entry]]] = [
        ({"job": job}, [(at, "end", {"pod": "a"}), (at + 1, "x", {}), (at + 2, "x", {"t": "1"})]),
        ({"job": job, "pod": "a"}, [(at, "end", {}), (at + 3, "y", {"t": "2"})]),
        ({"job": job, "zone": "z"}, [(at, "end", {"t": "3"})]),
    ]
    for labels, entries in streams:
        server.push(labels, entries)
    server.wait_for(f'{{job="{job}"}}', DAY.end_ns, 6)
    expected = sorted(row for labels, entries in streams for row in pushed(labels, entries))
    proxy = FaultyProxy(server.url, lambda path, _: None)
    proxy.without_headers = {"X-Loki-Response-Encoding-Flags"}
    with proxy.running():
        mixed = LokiClient(proxy.url, server.tenant)
        table, details = read(mixed, f'{{job="{job}"}}', tmp_path)
        parsed, _ = read(mixed, f'{{job="{job}"}} | logfmt', tmp_path)
    assert sorted(rows_of(table)) == expected
    assert details["streams_read_alone"] == 3  # all: the first's labels are among the others'
    # Loki 3's own answer takes the second stream's `end` for the first's, metadata and all.
    assert sorted(rows_of(parsed)) == expected


_streams = st.lists(
    st.fixed_dictionaries(
        {}, optional={"pod": st.sampled_from("ab"), "Zone": st.sampled_from(["x", 'ü`"\\\n'])}
    ),
    min_size=1,
    max_size=4,
    unique_by=pairs,
)
_lines = st.lists(
    st.tuples(
        st.sampled_from([0, 1, MS, HOUR - 1, HOUR, HOUR + MS, 5 * HOUR, 24 * HOUR - 1]),
        st.sampled_from(["", "end", "a", '{"msg": "m"}', "\x00é💥"]),
    ),
    min_size=1,
    max_size=20,
)


@pytest.mark.slow
@OLD
@given(labels=_streams, data=st.data())
@settings(
    max_examples=15, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_any_day_of_few_lines_in_several_streams(
    chunky: Stack, tmp_path: Path, labels: list[dict[str, str]], data: st.DataObject
) -> None:
    """Lines that are alike at times that are alike, on whole hours and at the day's edges."""
    run = f"any-{time.monotonic_ns()}"
    server = LokiClient(chunky.endpoints["loki"]["url"], tenant=run)
    expected: set[Row] = set()
    for of in labels:
        entries: list[Entry] = sorted(
            {(DAY.start_ns + at, line): {} for at, line in data.draw(_lines)}
        )  # type: ignore[assignment]
        # 2.4 to 2.9 lose empty lines at a chunk's begin, which no query returns.
        entries = [(ts, line, {}) for ts, line in entries if line or not server.version]  # type: ignore[misc]
        server.push({"job": run, **of}, entries)
        expected |= set(pushed(as_stored(server, {"job": run, **of}), entries))
        if data.draw(st.booleans()):
            server.store()
    table, _ = read(server, f'{{job="{run}"}}', tmp_path)
    assert sorted(rows_of(table)) == sorted(expected)
