"""Days on which a query of several streams, or a masked line, is not what it seems: exactly."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.faulty_proxy import FaultyProxy
from support.loki_client import Entry, Labels, LokiClient
from support.loki_days import DAY, HOUR, MS, Row, pairs, pushed, read, rows_of

from lake.base.errors import Incomplete
from lake.servers import Binary, Stack, start
from lake.systems.loki.config import LokiDataset, LokiSource
from lake.systems.loki.reading import LokiReader

SECOND = 1000 * MS
MASK = '| json msg="msg" | line_format "{{.msg}}"'
OLD = pytest.mark.loki(below="3.0")


@pytest.fixture(scope="session")
def chunky(loki_program: Binary) -> Iterator[Stack]:
    """Small answers; chunks are stored as soon as they are flushed."""
    with start(
        ["loki"],
        programs={"loki": loki_program},
        loki_multi_tenant=True,
        loki_limits={"max_entries_limit_per_query": 300},
        loki_config={"ingester": {"flush_check_period": "100ms"}},
    ) as running:
        yield running


@pytest.fixture
def server(chunky: Stack, job: str) -> LokiClient:
    """A tenant of its own."""
    return LokiClient(chunky.endpoints["loki"]["url"], tenant=job)


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
        everything += pushed(labels, entries)
    server.wait_for(f'{{job="{job}"}}', DAY.end_ns, len(everything))
    for selector in (f'{{job="{job}"}}', "{}"):
        table, details = read(server, selector, tmp_path)
        assert sorted(rows_of(table)) == sorted(everything)
        assert details["limit"] == 300
    table, _ = read(server, f'{{job="{job}"}} |= "tick" != "burst"', tmp_path)
    assert sorted(rows_of(table)) == sorted(row for row in everything if row[2] == "tick")


@OLD
def test_what_an_old_version_can_not_have(loki: LokiClient, job: str, tmp_path: Path) -> None:
    loki.push({"job": job}, [(DAY.start_ns, '{"a": "1"}', {}), (DAY.start_ns + 1, "x", {})])
    table, details = read(loki, f'{{job="{job}"}}', tmp_path)
    assert details["server_version"] == "2.2.1"
    assert details["structured_metadata"] == "not supported by this version"
    assert table["metadata"].to_pylist() == [None, None]
    table, _ = read(loki, f'{{job="{job}"}} | json', tmp_path)
    assert table["metadata"].to_pylist() == [[("a", "1")], [("__error__", "JSONParserErr")]]


@OLD
def test_a_line_that_is_pushed_twice(server: LokiClient, job: str, tmp_path: Path) -> None:
    """The same line twice at one ns, in a chunk and over two: what Loki stores of it."""
    at = DAY.start_ns + HOUR
    server.push({"job": job}, [(at, "twice", {}), (at, "twice", {}), (at, "other", {})])
    server.store()
    server.push({"job": job}, [(at, "twice", {}), (at + 1, "last", {})])
    server.store()
    table, _ = read(server, f'{{job="{job}"}}', tmp_path)
    given = server.lines(f'{{job="{job}"}}', DAY.start_ns, DAY.end_ns)
    assert sorted(table["line"].to_pylist()) == sorted(given)
    assert set(given) == {"last", "other", "twice"}


def of_user(user: str, text: str = "request handled") -> str:
    return json.dumps({"msg": text, "user": f"{user}@example.test"})


def masked(labels: Labels, texts: Mapping[int, str]) -> list[Row]:
    """What has to come back through MASK, which puts the text into the metadata, too."""
    return [(pairs(labels), ts, text, pairs({"msg": text})) for ts, text in texts.items()]


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
    if " or " in pipeline and not server.takes_metadata:
        selector = selector.replace(' or "request"', "").replace('|= "x"', '|~ "x|request"')
    hour, second = at + 3 * HOUR, at + 5 * HOUR
    first: list[Entry] = [
        (at + SECOND, of_user("kim"), {}),
        (at + SECOND, of_user("lee"), {}),
        (at + 2 * SECOND, of_user("kim"), {}),
        (hour - MS, of_user("ann"), {}),
        (hour, of_user("eve", "x on the hour"), {}),
        (hour, of_user("bob", "x another"), {}),
    ]
    next_one: list[Entry] = [
        (hour, of_user("joe", "x another"), {}),
        (hour + 1, of_user("joe"), {}),
        (second, of_user("joe", "x last"), {}),
    ]
    chunks_of(server, {"job": job}, first, next_one, [(second + SECOND, of_user("kim"), {})])
    wait_until(lambda: len(server.lines(selector, at, DAY.end_ns)) >= 6)
    # While chunks are both stored and in memory, Loki 2.2 may count lines of one instant twice.
    wait_until(lambda: server.count(selector, DAY.end_ns, "24h") == 10)
    table, details = read(server, selector, tmp_path)
    given = server.lines(selector, at, DAY.end_ns)
    lines = table["line"].to_pylist()
    assert not [line for line in lines if "@" in line]
    kept = [*first, *next_one, (second + SECOND, of_user("kim"), {})]
    request = "r handled" if "replace" in pipeline else "request handled"
    expected = {
        (ts, json.loads(line)["msg"].replace("request handled", request)) for ts, line, _ in kept
    }
    assert {(row["ts_ns"], row["line"]) for row in table.to_pylist()} == expected
    # What the lake has beside Loki's own answer is what Loki leaves out on full hours.
    answered, extra = list(lines), []
    for line in given:
        answered.remove(line)
    extra = answered
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
        if always and not server.takes_metadata:
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


@OLD
@pytest.mark.parametrize("pipeline", ["", '|= "e"', "| json"])
def test_streams_that_share_only_the_last_ns(
    loki: LokiClient, job: str, tmp_path: Path, pipeline: str
) -> None:
    """This version's counts leave that ns out, and a joint query merges its lines."""
    expected: list[Row] = []
    for pod in "abc":
        labels = {"job": job, "pod": pod}
        entries: list[Entry] = [(DAY.end_ns - 1, '{"x": "same"}', {})]
        if pod != "c":
            entries = [(DAY.start_ns + HOUR, f'{{"x": "one {pod}"}}', {}), *entries]
        loki.push(labels, entries)
        loki.push(labels, [(DAY.end_ns, '{"x": "next day"}', {})])
        expected += pushed(labels, entries)
    loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, len(expected))
    selector = f'{{job="{job}"}} {pipeline}'
    table, _ = read(loki, selector, tmp_path)
    assert sorted(row[:3] for row in rows_of(table)) == sorted(row[:3] for row in expected)
    reader = LokiReader(LokiSource(url=loki.url))
    assert reader.count(dataset_of(selector), DAY).rows == len(expected)
    reader.close()


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.3)


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


@OLD
@pytest.mark.slow
def test_streams_that_are_listed_before_their_lines_are_found(
    loki_program: Binary, job: str, tmp_path: Path
) -> None:
    """Of old lines that are in memory this version shows streams, and no line."""
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


def dataset_of(selector: str) -> LokiDataset:
    return LokiDataset(name="logs", source="loki", selector=selector)


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
        entries = [(ts, line, {}) for ts, line in entries]  # type: ignore[misc]
        server.push({"job": run, **of}, entries)
        expected |= set(pushed({"job": run, **of}, entries))
        if data.draw(st.booleans()):
            server.store()
    table, _ = read(server, f'{{job="{run}"}}', tmp_path)
    assert sorted(rows_of(table)) == sorted(expected)
