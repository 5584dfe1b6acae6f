"""Streams that appear while a day is read, or are listed before their lines are found.

Belongs here: that their lines are read, or the day counts as late, and that no other day does. Does
not: lines that streams have in common (test_loki_by_stream.py).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.faulty_proxy import FaultyProxy
from support.loki_client import Entry, Labels, LokiClient
from support.loki_days import (
    DAY,
    HOUR,
    MS,
    dataset_of,
    pairs,
    pushed,
    read,
    rows_of,
)
from support.waiting import wait_until

from lake.base.errors import Incomplete
from lake.servers import Binary, start
from lake.systems.loki.config import LokiSource
from lake.systems.loki.reading import LokiReader

OLD = pytest.mark.loki(below="3.0")


@OLD
@pytest.mark.parametrize("pipeline", ["", '|= "e"', "| json"])
def test_streams_that_appear_during_the_read(
    loki: LokiClient, job: str, tmp_path: Path, pipeline: str
) -> None:
    """After the first list of streams: one whose labels contain another's, one whose line a
    joint query merges with another's.
    """
    at, line = DAY.start_ns + HOUR, '{"e": "same"}'
    early: list[Labels] = [{"job": job}, {"job": job, "pod": "a"}]
    late: list[Labels] = [{"job": job, "zone": "z"}, {"job": job, "pod": "b"}]

    def push_late(path: str) -> None:
        if path.endswith("/series") and not arrived:
            arrived.append(path)
            for labels in late:
                loki.push(labels, [(at, line, {})])

    for labels in early:
        loki.push(labels, [(at, line, {})])
    arrived: list[str] = []
    proxy = FaultyProxy(loki.url, lambda path, _: None)
    proxy.before = push_late
    with proxy.running():
        table, details = read(LokiClient(proxy.url), f'{{job="{job}"}} {pipeline}', tmp_path, loki)
    assert arrived
    lines = sorted(row[:3] for row in rows_of(table))
    assert lines == sorted((pairs(labels), at, line) for labels in [*early, *late])
    assert details["streams"] == 4


@pytest.mark.loki(at_least="3.0")
def test_a_new_stream_whose_metadata_look_like_anothers_label(
    server: LokiClient, job: str, tmp_path: Path
) -> None:
    """In a mixed answer the new stream's line has the labels of the one that was listed."""
    at = DAY.start_ns + HOUR
    listed: list[Entry] = [(at, "listed", {})]
    late: list[Entry] = [(at + 1, "late", {"pod": "a"})]

    def push_late(path: str) -> None:
        if path.endswith("/series") and not arrived:
            arrived.append(path)
            server.push({"job": job}, late)
            server.wait_for(f'{{job="{job}"}}', DAY.end_ns, 2)

    server.push({"job": job, "pod": "a"}, listed)
    server.wait_for(f'{{job="{job}"}}', DAY.end_ns, 1)
    arrived: list[str] = []
    proxy = FaultyProxy(server.url, lambda path, _: None)
    proxy.without_headers = {"X-Loki-Response-Encoding-Flags"}
    proxy.before = push_late
    with proxy.running():
        table, _ = read(LokiClient(proxy.url, server.tenant), f'{{job="{job}"}}', tmp_path)
    assert arrived
    expected = [*pushed({"job": job, "pod": "a"}, listed), *pushed({"job": job}, late)]
    assert sorted(rows_of(table)) == sorted(expected)


@OLD
def test_streams_that_appear_for_ever(loki: LokiClient, job: str, tmp_path: Path) -> None:
    def push_another(path: str) -> None:
        if path.endswith("/series"):
            arrived.append(path)
            loki.push({"job": job, "n": f"{len(arrived)}"}, [(DAY.start_ns, "x", {})])

    arrived: list[str] = []
    proxy = FaultyProxy(loki.url, lambda path, _: None)
    proxy.before = push_another
    with proxy.running(), pytest.raises(Incomplete, match="appear faster") as error:
        read(LokiClient(proxy.url), f'{{job="{job}"}} | logfmt', tmp_path)
    assert job in str(error.value)
    assert len(arrived) < 10


@pytest.mark.loki(below="2.6")
@pytest.mark.slow
def test_streams_that_are_listed_before_their_lines_are_found(
    loki_program: Binary, job: str, tmp_path: Path
) -> None:
    """Of old lines that are in memory these versions show streams, and no line."""
    with start(
        ["loki"],
        programs={"loki": loki_program},
        loki_config={"ingester": {"query_store_max_look_back_period": "0s", "max_chunk_age": "1h"}},
    ) as running:
        loki = LokiClient(running.endpoints["loki"]["url"])
        loki.push({"job": job}, [(DAY.start_ns + HOUR, "not yet", {})])
        reader = LokiReader(LokiSource(url=loki.url))
        unseen = {
            selector: reader.unseen(dataset_of(selector.format(job)), DAY)
            for selector in ('{{job="{}"}}', '{{job="{}"}} |= "x"', '{{job="no-{}"}}', "{{}}")
        }
        reader.close()
    assert list(unseen.values()) == [1, 1, 0, 1]


@pytest.mark.parametrize(
    "times",
    [
        (DAY.start_ns - HOUR, DAY.start_ns - 1),  # Loki 3.7 lists this chunk for DAY
        (DAY.start_ns - HOUR, DAY.start_ns - MS),
        (DAY.end_ns, DAY.end_ns + HOUR),
        (DAY.end_ns - 1,),  # of DAY, and left out of a count by 2.2
    ],
)
def test_a_chunk_that_ends_or_begins_at_midnight_makes_no_day_late(
    server: LokiClient, job: str, times: tuple[int, ...]
) -> None:
    server.push({"job": job}, [(ts, f"at {ts}", {}) for ts in times])
    server.store()
    wait_until(lambda: len(server.lines(f'{{job="{job}"}}', times[0], times[-1] + 1)) > 0)
    reader = LokiReader(LokiSource(url=server.url, tenant=server.tenant))
    assert reader.unseen(dataset_of(f'{{job="{job}"}}'), DAY) == 0
    assert reader.unseen(dataset_of("{}"), DAY) == 0
    reader.close()


@OLD
def test_a_stored_chunk_that_begins_at_midnight_makes_no_day_late(
    loki: LokiClient, job: str
) -> None:
    """2.2.1 lists it for the day before, once it is stored and out of memory: after minutes, so
    that a proxy adds it to the list here. Lists that end 1 ms earlier do not have it.
    """
    stream = {"job": job}
    loki.push(stream, [(DAY.end_ns, "at midnight", {})])

    def with_stream(url: str, answer: bytes) -> bytes:
        end = re.search(r"\bend=(\d+)", url)
        if "/series" not in url or not end or int(end[1]) <= DAY.end_ns - MS:
            return answer
        listed.append(url)
        return json.dumps({"status": "success", "data": [stream, *others]}).encode()

    listed: list[str] = []
    others: list[Labels] = []
    proxy = FaultyProxy(loki.url, lambda path, _: None)
    proxy.edit = with_stream
    with proxy.running():
        reader = LokiReader(LokiSource(url=proxy.url))
        dataset = dataset_of(f'{{job="{job}"}}')
        assert reader.unseen(dataset, DAY) == 0
        others.append({"job": job, "pod": "hidden"})  # has no line at midnight to show
        assert reader.unseen(dataset, DAY) == 1
        reader.close()
    assert listed


def test_a_day_whose_lines_a_pipeline_leaves_out_is_empty(loki: LokiClient, job: str) -> None:
    loki.push({"job": job}, [(DAY.start_ns + HOUR, "there", {})])
    loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, 1)
    reader = LokiReader(LokiSource(url=loki.url))
    assert reader.unseen(dataset_of(f'{{job="{job}"}} |= "not there"'), DAY) == 0
    reader.close()
