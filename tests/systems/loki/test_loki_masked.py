"""Lines that a pipeline masks: read whole, and never as they were before.

Belongs here: masked lines that are alike, on full hours, lost on the way. Does not: streams that
end at one instant, masked or not (test_loki_by_stream.py).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.faulty_proxy import FaultyProxy
from support.loki_client import Entry, Labels, LokiClient
from support.loki_days import (
    DAY,
    HOUR,
    MASK,
    MS,
    SECOND,
    of_user,
    read,
)
from support.waiting import wait_until

from lake.base.errors import Incomplete


def chunks_of(server: LokiClient, labels: Labels, *chunks: list[Entry]) -> None:
    """Each is a chunk of its own, and all are out of memory."""
    for chunk in chunks:
        server.push(labels, chunk)
        server.store()


@pytest.mark.slow
@pytest.mark.parametrize(
    "pipeline",
    [
        MASK,
        '| json | line_format "{{.msg}}" | label_format user="x"',
        '| json | line_format "{{.msg}}" # | json',
        '|= "msg" | json msg="msg" | line_format "{{.msg}}" |= "x" or "request"',
        '| regexp `"msg": "(?P<msg>[^"]*)"` | line_format `{{ .msg | replace "request" "r" }}`',
        '| json msg="msg" | line_format `{"_entry": "{{.msg}}"}` | unpack',
    ],
)
def test_masked_lines_stay_masked(
    server: LokiClient, job: str, tmp_path: Path, pipeline: str
) -> None:
    """Two lines alike once masked, in one chunk and over two; lines on full hours."""
    at, selector = DAY.start_ns, f'{{job="{job}"}} {pipeline}'
    if " or " in pipeline and not server.takes_or:
        selector = selector.replace(' or "request"', "").replace('|= "x"', '|~ "x|request"')
    hour, last = at + 3 * HOUR, at + 5 * HOUR
    chunks: list[list[Entry]] = [
        [
            (at + SECOND, of_user("kim"), {}),
            (at + SECOND, of_user("lee"), {}),
            (at + 2 * SECOND, of_user("kim"), {}),
            (hour - MS, of_user("ann"), {}),
            (hour, of_user("eve", "x on the hour"), {}),
            (hour, of_user("bob", "x another"), {}),
        ],
        [
            (hour, of_user("joe", "x another"), {}),
            (hour + 1, of_user("joe"), {}),
            (last, of_user("joe", "x last"), {}),
        ],
        [(last + SECOND, of_user("kim"), {})],
    ]
    chunks_of(server, {"job": job}, *chunks)
    wait_until(lambda: len(server.lines(selector, at, DAY.end_ns)) >= 6)
    # While chunks are both stored and in memory, Loki 2.2 may count lines of one instant twice.
    wait_until(lambda: server.count(selector, DAY.end_ns, "24h") == 10)
    table, details = read(server, selector, tmp_path)
    given = server.lines(selector, at, DAY.end_ns)
    lines = table["line"].to_pylist()
    assert not [line for line in lines if "@" in line]
    request = "r handled" if "replace" in pipeline else "request handled"
    expected = {
        (ts, json.loads(line)["msg"].replace("request handled", request))
        for chunk in chunks
        for ts, line, _ in chunk
    }
    assert {(row["ts_ns"], row["line"]) for row in table.to_pylist()} == expected
    # What the lake has beside Loki's own answer is what Loki leaves out on full hours.
    extra = list(lines)
    for line in given:
        extra.remove(line)
    assert len(extra) == details["recovered_lines"]
    assert all(line.startswith("x ") for line in extra)


@pytest.mark.slow
@pytest.mark.parametrize("always", [False, True])
def test_a_lost_line_is_not_taken_for_a_merged_one(
    server: LokiClient, job: str, tmp_path: Path, *, always: bool
) -> None:
    """The proxy takes one line that is alone at its instant out of the masked answers."""
    at, selector = DAY.start_ns + HOUR + SECOND, f'{{job="{job}"}} {MASK}'
    rest: list[Entry] = [
        (at, of_user("lee"), {}),
        (at + SECOND, of_user("a", "lost line"), {}),
        (at + HOUR, of_user("k"), {}),
    ]
    chunks_of(server, {"job": job}, [(at, of_user("kim"), {})], rest)
    wait_until(lambda: len(server.lines(selector, DAY.start_ns, DAY.end_ns)) >= 3)
    proxy, edited = FaultyProxy(server.url, lambda path, _: None), []

    def without_line(url: str, answer: bytes) -> bytes:
        masked = "/query_range" in url and "monitoring_lake_original" not in url
        if not masked or b"lost line" not in answer or (edited and not always):
            return answer
        edited.append(url)
        body = json.loads(answer)
        for stream in body["data"]["result"]:
            stream["values"] = [value for value in stream["values"] if value[1] != "lost line"]
        return json.dumps(body).encode()

    proxy.edit = without_line
    with proxy.running():
        through = LokiClient(proxy.url, server.tenant)
        if always and not server.lines_are_labels:
            with pytest.raises(Incomplete, match="log queries return") as error:
                read(through, selector, tmp_path, server)
            assert job in str(error.value)
            return
        table, details = read(through, selector, tmp_path, server)
    assert edited
    rows = sorted({(row["ts_ns"], row["line"]) for row in table.to_pylist()})
    assert rows == [
        (at, "request handled"), (at + SECOND, "lost line"), (at + HOUR, "request handled")
    ]  # fmt: skip
    assert table.num_rows + details["merged_lines"] == 4


@pytest.mark.loki(at_least="3.0")
def test_a_metric_query_that_masks_otherwise_is_no_way_to_ask(
    server: LokiClient, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the filter that keeps a line_format, originals would come: that fails loudly."""
    monkeypatch.setattr("lake.systems.loki.reading.logql._KEEP_FORMAT", "")
    hour = DAY.start_ns + 3 * HOUR
    first: list[Entry] = [(hour - MS, of_user("ann"), {}), (hour, of_user("eve"), {})]
    chunks_of(server, {"job": job}, first, [(hour + SECOND, of_user("joe"), {})])
    selector = f'{{job="{job}"}} {MASK}'
    wait_until(lambda: len(server.lines(selector, DAY.start_ns, DAY.end_ns)) == 2)
    with pytest.raises(Incomplete, match="metric queries"):
        read(server, selector, tmp_path)
