"""Days read from a real Loki, against what was pushed into it and Loki's own count."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests
from support.loki_client import Entry, LokiClient
from support.loki_days import DAY, HOUR, MS, Row, assert_rows, pushed, read, rows_of

from lake.base.errors import Incomplete, LakeError, Refused
from lake.partition.parquet import write_parquet
from lake.servers import Binary, start
from lake.systems.loki.config import LokiDataset, LokiSource
from lake.systems.loki.reading import LokiReader
from lake.systems.loki.reading.reader import PROBE


@pytest.mark.loki(at_least="3.0")
def test_labels_metadata_and_the_edges_of_a_day(loki: LokiClient, job: str, tmp_path: Path) -> None:
    at = DAY.start_ns
    first = {"job": job, "Upper": "A", "day": "x", "line": "y", "ts_ns": "z", "pod": 'a"\\\n'}
    second = {"job": job, "zone": "ü"}
    entries: list[Entry] = [
        (at, "first of the day", {}),
        (at + 999, "under a µs", {"trace_id": "1", "Upper_meta": "ü"}),
        (at + 5 * HOUR, "", {"empty": "line"}),
        (at + 5 * HOUR + 1, '<a href="x">\t\u2028</a>', {}),
        (DAY.end_ns - 1, "last of the day", {}),
    ]
    outside: list[Entry] = [(at - 1, "the day before", {}), (DAY.end_ns, "the day after", {})]
    loki.push(first, sorted([*entries, *outside]))
    loki.push(second, [(at + 7, "other columns", {})])
    loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, 6 if loki.counts_last_ns else 5)
    table, details = read(loki, f'{{job="{job}"}}', tmp_path)
    assert sorted(rows_of(table)) == sorted(
        [*pushed(first, entries), *pushed(second, [(at + 7, "other columns", {})])]
    )
    own = set(table.column_names) - {"ts", "ts_ns", "stream_id", "line", "labels", "metadata"}
    assert own == {"job", "pod", "service_name", "zone"}
    assert {name for row in table["labels"].to_pylist() for name, _ in row} == {
        "Upper", "day", "line", "ts_ns"
    }  # fmt: skip
    assert details["pages"] == 1
    assert details["streams"] == 2


@pytest.mark.loki(at_least="3.0")
def test_metadata_named_like_a_label_and_lines_that_differ_in_metadata_only(
    loki: LokiClient, job: str, tmp_path: Path
) -> None:
    at = DAY.start_ns + 12 * HOUR
    labels = {"job": job}
    # 3.0 to 3.2 fail to answer any query of a line whose metadata have a name with a dot.
    dotted = "a.b" if loki.counts_last_ns else "a_b"
    loki.push(
        labels,
        [
            (at, "same", {"trace": "1"}),
            (at, "same", {"trace": "2"}),
            (at, "same", {"trace": "2"}),  # stored once
            (at, "named", {"job": "other", dotted: "dotted"}),
        ],
    )
    loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, 3 if loki.tells_metadata_apart else 2)
    table, details = read(loki, f'{{job="{job}"}}', tmp_path)
    first, second = (at, "same", {"trace": "1"}), (at, "same", {"trace": "2"})
    named = (at, "named", {"job": "other", "a_b": "dotted"})
    if loki.tells_metadata_apart:
        assert sorted(rows_of(table)) == sorted(pushed(labels, [first, second, named]))
        assert "equal_lines" not in details
    else:
        assert sorted(rows_of(table)) == sorted(pushed(labels, [first, named]))
        assert "returned once" in details["equal_lines"]


def test_thousands_of_lines_at_one_ns_in_several_streams(
    loki: LokiClient, job: str, tmp_path: Path
) -> None:
    at = DAY.start_ns + 7 * HOUR + 3 * MS
    everything: list[Row] = []
    for pod in ("a", "b", "c"):
        labels = {"job": job, "pod": pod} | ({"nested": "x"} if pod == "c" else {})
        entries: list[Entry] = [(at, f"line {n}", {}) for n in range(2500)]
        entries += [(at + 1 + n // 100, f"later {n}", {}) for n in range(1000)]
        loki.push(labels, entries)
        everything += pushed(labels, entries)
    loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, len(everything))
    table, details = read(loki, f'{{job="{job}"}}', tmp_path)
    rows = rows_of(table)
    assert sorted(rows) == sorted(everything)
    # A stream's lines of one ns are in the order of Loki's answer, which is not as pushed.
    for pod in ("a", "b", "c"):
        texts = [line for labels, _, line, _ in rows if ("pod", pod) in labels]
        of_pod = f'{{job="{job}", pod="{pod}"}}'
        assert texts[:2500] == loki.lines(of_pod, at - 1, at + 1, limit=5000)
    assert details["limit"] == 5000
    assert details["recovered_lines"] == 0


def test_the_same_day_gives_the_same_bytes(loki: LokiClient, job: str, tmp_path: Path) -> None:
    for pod in range(3):
        loki.push(
            {"job": job, "pod": f"{pod}"},
            [(DAY.start_ns + n * 37_000_000_000, f"{n}", {"n": f"{n}"}) for n in range(2300)],
        )
    loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, 6900)
    sums = set()
    for parallel in (1, 5):
        settings = LokiSource(url=loki.url, max_parallel=parallel)
        scratch = tmp_path / f"{parallel}"
        scratch.mkdir()
        dataset = LokiDataset(name="logs", source="loki", selector=f'{{job="{job}"}}')
        with LokiReader(settings).read(dataset, DAY, scratch) as stream:
            written = write_parquet(stream, _Nowhere())  # type: ignore[arg-type]
        assert written.rows == 6900
        sums.add(written.sha256)
    assert len(sums) == 1


class _Nowhere:
    def write(self, data: bytes) -> None:
        """Only the hash is of interest."""


def test_a_pipeline_filters_and_parses(loki: LokiClient, job: str, tmp_path: Path) -> None:
    at = DAY.start_ns + 30 * MS
    loki.push(
        {"job": job},
        [
            (at, '{"user": "kim", "status": 200}', {}),
            (at + 1, '{"user": "lee", "status": 500}', {"status": "odd"}),
            (at + 2, "no JSON: kim", {}),
        ],
    )
    loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, 3)
    table, _ = read(loki, f'{{job="{job}"}} |= "kim" | json', tmp_path)
    by_line = {row["line"]: dict(row["metadata"]) for row in table.to_pylist()}
    assert by_line['{"user": "kim", "status": 200}']["user"] == "kim"
    assert by_line["no JSON: kim"]["__error__"] == "JSONParserErr"
    assert len(by_line) == 2


def test_a_server_that_gives_a_hundred_lines_an_answer(
    small: LokiClient, job: str, tmp_path: Path
) -> None:
    everything: list[Row] = []
    for pod in range(3):
        labels = {"job": job, "pod": f"{pod}"}
        entries: list[Entry] = [
            (DAY.start_ns + HOUR + n // 60 * MS, f"line {n}", {"n": f"{n}"}) for n in range(300)
        ]
        small.push(labels, entries)
        everything += pushed(labels, entries)
    small.wait_for(f'{{job="{job}"}}', DAY.end_ns, 900)
    table, details = read(small, f'{{job="{job}"}}', tmp_path)
    assert sorted(rows_of(table)) == sorted(everything)
    assert details["limit"] == 100


def test_one_stream_with_more_lines_at_one_ns_than_an_answer_holds(
    small: LokiClient, job: str, tmp_path: Path
) -> None:
    labels, at = {"job": job}, DAY.start_ns + MS
    entries: list[Entry] = [(at, f"line {n}", {}) for n in range(600)]
    entries += [(at, "équal", {"trace": f"{n:x}"}) for n in range(200)]
    entries += [(at - 1, f"before {n}", {}) for n in range(150)]
    entries += [(at, "", {}), (at, "line", {})]
    small.push(labels, entries)
    small.wait_for(f'{{job="{job}"}}', DAY.end_ns, 952 if small.tells_metadata_apart else 753)
    table, _ = read(small, f'{{job="{job}"}}', tmp_path)
    assert_rows(small, rows_of(table), pushed(labels, entries))


@pytest.mark.slow
def test_lines_that_ordinary_queries_leave_out(small: LokiClient, job: str, tmp_path: Path) -> None:
    """The last line of a chunk, where it sits at a full hour, or at another cut of the server."""
    selector = f'{{job="{job}"}}'
    labels = {"job": job, "pod": "a"}
    nested = {"job": job, "pod": "a", "trace": "1"}
    early, late = DAY.start_ns + 5 * HOUR, DAY.start_ns + 9 * HOUR + HOUR // 2
    last: list[Entry] = [
        (early, "last at the hour", {"trace": "1"}),
        (early, "last at the hour", {"trace": "2"}),
    ]
    chunks: list[list[Entry]] = [
        [(DAY.start_ns - 5 * MS, "the day before", {}), (DAY.start_ns, "at midnight", {})],
        [(early - HOUR, "before", {}), *last],
        [(early, "first of the next", {}), (early + 1, "after", {}), (late, "at half past", {})],
        [(late + 1, "after all", {})],
    ]
    everything: list[Row] = []
    for chunk in chunks:
        small.push(labels, chunk)
        small.push(nested, chunk)
        everything += [*pushed(labels, chunk), *pushed(nested, chunk)]
        small.store()
    everything = [row for row in everything if row[1] >= DAY.start_ns]
    deadline = time.monotonic() + 40
    while "at midnight" in small.lines(selector, DAY.start_ns, DAY.end_ns):
        assert time.monotonic() < deadline, "still answered from memory"
        time.sleep(0.5)
    table, details = read(small, selector, tmp_path)
    assert_rows(small, rows_of(table), everything)
    assert details["recovered_lines"] == (8 if small.tells_metadata_apart else 6)


def test_the_same_line_with_other_metadata_in_another_chunk(
    small: LokiClient, job: str, tmp_path: Path
) -> None:
    for trace in ("1", "2"):
        small.push({"job": job}, [(DAY.start_ns + 5, "same", {"trace": trace})])
        small.store()
    table, details = read(small, f'{{job="{job}"}}', tmp_path)
    traces = sorted(dict(row)["trace"] for row in table["metadata"].to_pylist())
    if small.tells_metadata_apart:
        assert traces == ["1", "2"]
    else:
        assert len(traces) == 1
        assert traces[0] in {"1", "2"}
        assert "returned once" in details["equal_lines"]


@pytest.mark.parametrize("split", ["15m", "1h"])
def test_streams_of_different_rates_over_many_parts_of_a_split_query(
    loki_program: Binary, job: str, tmp_path: Path, split: str
) -> None:
    """Before 3.7 a full page of several parts has lines taken from the streams in turn:
    one stream has a line a minute all day, the other hundreds within a second.
    """
    slow: list[Entry] = [(DAY.start_ns + n * 60_000 * MS + 7, f"slow {n}", {}) for n in range(1440)]
    fast: list[Entry] = [
        (DAY.start_ns + hour * HOUR + HOUR // 3 + n * MS, f"fast {hour} {n}", {})
        for hour in range(1, 4)
        for n in range(250)
    ]
    limits = {"max_entries_limit_per_query": 300, "split_queries_by_interval": split}
    with start(["loki"], programs={"loki": loki_program}, loki_limits=limits) as running:
        loki = LokiClient(running.endpoints["loki"]["url"])
        loki.push({"job": job, "pod": "slow"}, slow)
        loki.push({"job": job, "pod": "fast"}, fast)
        loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, 2190)
        table, details = read(loki, f'{{job="{job}"}}', tmp_path)
    expected = [
        *pushed({"job": job, "pod": "slow"}, slow),
        *pushed({"job": job, "pod": "fast"}, fast),
    ]
    assert sorted(rows_of(table)) == sorted(expected)
    assert details["recovered_lines"] == 0
    assert details.get("streams_read_alone", 0) == 0


def test_tenants_see_their_own_lines(small: LokiClient, job: str, tmp_path: Path) -> None:
    other = LokiClient(small.url, tenant=f"{job}-other")
    for client in (small, other):
        client.push({"job": job}, [(DAY.start_ns + 5, client.tenant, {})])
        client.wait_for(f'{{job="{job}"}}', DAY.end_ns, 1)
        table, _ = read(client, f'{{job="{job}"}}', tmp_path)
        assert table["line"].to_pylist() == [client.tenant]
    with pytest.raises(Refused, match="tenant"):
        read(LokiClient(small.url), f'{{job="{job}"}}', tmp_path)


def test_a_day_without_lines_has_the_schema(loki: LokiClient, job: str, tmp_path: Path) -> None:
    table, details = read(loki, f'{{job="{job}"}}', tmp_path)
    assert table.num_rows == 0
    assert table.column_names == ["ts", "ts_ns", "stream_id", "line", "labels", "metadata"]
    assert details["max_query_lookback"] == "0s"


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ('{a="b"} |', "syntax error"),
        ('{a="b"} | unwrap x', "syntax error"),
        ("job", "matchers in braces first"),
    ],
)
def test_what_is_no_log_selector(
    loki: LokiClient, tmp_path: Path, selector: str, said: str
) -> None:
    with pytest.raises(LakeError, match=said):
        read(loki, selector, tmp_path)


@pytest.mark.loki(at_least="3.0")
def test_a_selector_of_all_that_lacks_a_label(loki: LokiClient, tmp_path: Path) -> None:
    """Loki 2.2 takes it, for every stream."""
    with pytest.raises(LakeError, match="one matcher that no empty value can match"):
        read(loki, '{a=~".*"}', tmp_path)


def test_a_day_beyond_the_look_back_is_no_empty_day(
    loki_program: Binary, job: str, tmp_path: Path
) -> None:
    limits = {"max_query_lookback": "240h"}
    with start(["loki"], programs={"loki": loki_program}, loki_limits=limits) as running:
        loki = LokiClient(running.endpoints["loki"]["url"])
        loki.push({"job": job}, [(DAY.start_ns, "too old to be seen", {})])
        with pytest.raises(Incomplete, match="max_query_lookback = "):
            read(loki, f'{{job="{job}"}}', tmp_path)


def test_the_probe_is_a_query_of_every_version(loki: LokiClient) -> None:
    """A probe that fails counts as a slow one, and Loki 2.4 to 2.8 fail at `1`."""
    path, params = PROBE
    assert requests.get(f"{loki.url}{path}", params=params, timeout=60).status_code == 200
