"""A whole day against a Loki in memory: every line exactly once, in order."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.loki_in_memory import HOUR, MS, FakeLoki, Line, labels_of

from lake.base.day import Day
from lake.base.errors import Incomplete, TransientError
from lake.systems.loki.reading import missing
from lake.systems.loki.reading.api import Page
from lake.systems.loki.reading.config import LokiConfig
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.missing import MissingLines, short_milliseconds
from lake.systems.loki.reading.reading import Reading, page_lines
from lake.systems.loki.reading.split import Split
from lake.systems.loki.reading.spool import RunWriter, Spool

DAY = Day.parse("2026-03-01")
SELECTOR = Selector.parse('{job="fake"}')


def read(loki: FakeLoki, split: Split | None = None) -> tuple[pa.Table, list[int]]:
    """The day's rows, and the times of those that were recovered.

    What is known of the server's split is the truth, unless said otherwise.
    """
    split = split or Split(loki.split_ns, "")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        reading = Reading(loki, SELECTOR, DAY, scratch, 2, page_lines())  # type: ignore[arg-type]
        stretches = reading.stretches()
        lost = MissingLines(loki, SELECTOR, DAY, Spool(stretches), split).rows()  # type: ignore[arg-type]
        late = RunWriter(scratch / "recovered.arrow")
        late.add(lost)
        spool = Spool([late.close(), *stretches])
        return pa.Table.from_batches(spool.sorted_batches(), lost.schema), lost["ts_ns"].to_pylist()


def expected(loki: FakeLoki) -> list[tuple[object, ...]]:
    """Stream id, time, text, metadata of the day's lines, as a multiset in a fixed order."""
    return sorted(
        (loki.streams.id_of(labels_of(line.stream)), line.ts_ns, line.text, line.metadata)
        for line in loki.lines
        if DAY.start_ns <= line.ts_ns < DAY.end_ns
    )


def exported(rows: pa.Table) -> list[tuple[object, ...]]:
    return [
        (row["stream_id"], row["ts_ns"], row["line"], tuple(row["metadata"]))
        for row in rows.to_pylist()
    ]


# Times that crowd together and sit where Loki's flaws are: hours, whole milliseconds, ± 1 ns.
times = st.builds(
    lambda hour, ms, ns: DAY.start_ns + hour * HOUR + ms * MS + ns,
    st.sampled_from([-1, 0, 1, 2, 5, 23, 24]),
    st.sampled_from([0, 0, 1, 2, 1_800_000]),
    st.sampled_from([-1, 0, 0, 0, 1, 500_000]),
)
lines = st.builds(
    Line,
    stream=st.integers(0, 3),
    chunk=st.integers(0, 2),
    ts_ns=times,
    text=st.sampled_from(["", "a", "b"]),
    metadata=st.sampled_from([(), (("trace", "1"),), (("trace", "2"), ("user", "ü"))]),
)


def stored_once(kept: list[Line]) -> list[Line]:
    """Equal lines with equal metadata are one line to Loki."""
    return list(
        {(line.stream, line.ts_ns, line.text, line.metadata): line for line in kept}.values()
    )


def fullest(loki: FakeLoki) -> int:
    """The most lines that one stream has at one instant."""
    together: dict[tuple[int, int], int] = {}
    for line in loki.lines:
        key = line.stream, line.ts_ns
        together[key] = together.get(key, 0) + 1
    return max(together.values(), default=0)


@given(
    kept=st.lists(lines, max_size=60),
    cap=st.integers(1, 30),
    widest_ns=st.sampled_from([25 * HOUR, 24 * HOUR, HOUR, HOUR // 7]),
    split_ns=st.sampled_from([HOUR, HOUR // 4, 2 * HOUR, 1000 * HOUR]),
    known=st.booleans(),
    in_turn=st.booleans(),
    few_rows=st.sampled_from([0, 1000]),  # up to which one query looks at all cuts
)
@settings(max_examples=100, deadline=None)
def test_every_line_comes_once(
    kept: list[Line],
    cap: int,
    widest_ns: int,
    split_ns: int,
    known: bool,
    in_turn: bool,
    few_rows: int,
) -> None:
    kept = stored_once(kept)
    loki = FakeLoki(kept, cap=cap, widest_ns=widest_ns, split_ns=split_ns, in_turn=in_turn)
    try:
        with patch.object(missing, "_FEW_ROWS", few_rows):
            rows, _ = read(loki, None if known else Split.of(LokiConfig()))
    except Incomplete:
        assert cap == 1  # a single line does not show what tells it from others
        return
    assert sorted(exported(rows)) == expected(loki)
    order = [(row["stream_id"], row["ts_ns"]) for row in rows.to_pylist()]
    assert order == sorted(order)


@given(kept=st.lists(lines, max_size=60))
@settings(max_examples=30, deadline=None)
def test_a_line_left_out_is_not_hidden_by_a_count_that_is_too_low(kept: list[Line]) -> None:
    kept = stored_once(kept)
    loki = FakeLoki(kept, cap=150, low_count=True)
    rows, _ = read(loki)
    assert sorted(exported(rows)) == expected(loki)


@given(
    times=st.lists(st.integers(0, 300), unique=True, min_size=40, max_size=120),
    cap=st.integers(5, 20),
    chunk_ms=st.integers(2, 20),
)
@settings(max_examples=30, deadline=None)
def test_pages_that_start_at_a_whole_millisecond_lose_nothing(
    times: list[int], cap: int, chunk_ms: int
) -> None:
    at = DAY.start_ns + HOUR + MS
    kept = [Line(n % 3, ms // chunk_ms, at + ms * MS, f"{n}") for n, ms in enumerate(times)]
    loki = FakeLoki(kept, cap=cap)
    rows, recovered = read(loki)
    assert sorted(exported(rows)) == expected(loki)
    assert recovered == []  # not even for a while


@given(kept=st.lists(lines, max_size=60), longest=st.integers(5, 20))
@settings(max_examples=20, deadline=None)
def test_a_page_that_is_too_large_a_message_is_made_shorter(kept: list[Line], longest: int) -> None:
    loki = FakeLoki(kept, cap=30, longest=longest)
    try:
        rows, _ = read(loki)
    except Incomplete:
        assert fullest(loki) > longest
        return
    assert sorted(exported(rows)) == expected(loki)


def test_the_page_that_does_not_hold_the_day_is_its_beginning() -> None:
    at = DAY.start_ns + 5 * HOUR
    asked: list[tuple[int, int]] = []

    class Noting(FakeLoki):
        def page(self, selector: Selector, start_ns: int, end_ns: int, limit: int) -> Page:
            asked.append((start_ns, end_ns))
            return super().page(selector, start_ns, end_ns, limit)

    loki = Noting([Line(0, 0, at + n * HOUR, f"{n}") for n in range(12)], cap=10)
    rows, _ = read(loki)
    assert sorted(exported(rows)) == expected(loki)
    hours = sorted(start for start, _ in asked[1:])
    assert len(hours) == 10  # those from the tenth line on, which may not be the last of its time
    assert hours[0] == at + 9 * HOUR - 1


@pytest.mark.parametrize("split_ns", [HOUR // 4, HOUR, 2 * HOUR])
def test_first_lines_of_a_split_query_that_are_not_the_earliest(split_ns: int) -> None:
    slow = [Line(0, 0, DAY.start_ns + n * HOUR // 60 + 7, f"slow {n}") for n in range(1440)]
    fast = [
        Line(1, hour, DAY.start_ns + hour * HOUR + HOUR // 3 + n * MS + 1, f"fast {hour} {n}")
        for hour in (1, 2, 3)
        for n in range(250)
    ]
    loki = FakeLoki([*slow, *fast], cap=300, split_ns=split_ns, in_turn=True)
    rows, recovered = read(loki)
    assert sorted(exported(rows)) == expected(loki)
    assert recovered == []


@pytest.mark.parametrize("longest", [1_000_000, 50])
@pytest.mark.parametrize("apart_ns", [0, 1])
def test_a_line_before_a_full_hour_is_of_another_part_than_what_follows(
    longest: int, apart_ns: int
) -> None:
    """A page from a full hour on begins 1 ns before it; with `apart_ns` 0 an instant fills it."""
    at = DAY.start_ns + 3 * HOUR
    kept = [Line(0, 0, at - 1, "before"), Line(1, 0, at - 1, "before")]
    kept += [Line(n % 2, 1, at + n * apart_ns, f"after {n}") for n in range(150)]
    loki = FakeLoki(kept, cap=60, longest=longest, split_ns=HOUR, in_turn=True)
    rows, _ = read(loki)
    assert sorted(exported(rows)) == expected(loki)


def test_equal_times_of_a_stream_keep_their_order_across_pages() -> None:
    at = DAY.start_ns + 3 * HOUR + 7
    kept = [Line(0, 0, at + n // 4, f"{n}") for n in range(400)]
    rows, recovered = read(FakeLoki(kept, cap=11))
    assert rows["line"].to_pylist() == [f"{n}" for n in range(400)]
    assert recovered == []


def test_a_line_left_out_at_a_full_hour_is_recovered_in_its_place() -> None:
    at = DAY.start_ns + 5 * HOUR
    kept = [
        Line(1, 0, at - 5, "before"),
        Line(1, 0, at, "last of its chunk", (("trace", "1"),)),
        Line(1, 1, at, "first of the next"),
        Line(1, 1, at + 5, "after"),
        Line(2, 0, at, "another stream"),
    ]
    rows, recovered = read(FakeLoki(kept))
    assert recovered == [at]
    texts = rows["line"].to_pylist()
    start = texts.index("before")
    in_order = ["before", "last of its chunk", "first of the next", "after"]
    assert texts[start : start + 4] == in_order
    assert rows["metadata"].to_pylist()[start + 1] == [("trace", "1")]


def test_more_lines_left_out_than_one_metric_query_tells() -> None:
    at = DAY.start_ns + 5 * HOUR
    kept = [Line(s, 0, at - MS * 2, "before") for s in range(3)]
    kept += [Line(s, 0, at, f"{n % 30}", (("n", f"{n}"),)) for s in range(3) for n in range(40)]
    loki = FakeLoki(kept)
    rows, recovered = read(loki)
    assert recovered == [at] * 120
    assert sorted(exported(rows)) == expected(loki)


def test_one_stream_with_more_lines_at_one_instant_than_the_cap() -> None:
    at = DAY.start_ns + MS
    kept = [Line(0, 0, at, "x" * 1500 + f"{n}") for n in range(50)]
    kept += [Line(0, 0, at, "equal", (("trace", f"{n}"),)) for n in range(50)]
    loki = FakeLoki([*kept, Line(0, 0, at, ""), Line(0, 0, at - 1, "before")], cap=7)
    rows, _ = read(loki)
    assert sorted(exported(rows)) == expected(loki)


def test_lines_that_nothing_tells_apart_fail_loudly() -> None:
    kept = [Line(0, 0, DAY.start_ns + 1, "x") for _ in range(20)]
    with pytest.raises(Incomplete) as caught:
        read(FakeLoki(kept, cap=10))
    assert "max_entries_limit_per_query" in str(caught.value)


def test_an_outage_ends_the_reading() -> None:
    kept = [Line(0, 0, DAY.start_ns + n * MS * 1000 * 60, f"{n}") for n in range(1400)]
    with pytest.raises(TransientError):
        read(FakeLoki(kept, cap=100, widest_ns=1000))


@given(
    missing=st.sets(st.integers(0, 999), max_size=5),
    present=st.lists(st.integers(0, 999 * MS), max_size=50),
)
def test_gaps_are_found_by_halves(missing: set[int], present: list[int]) -> None:
    there = sorted(present)
    kept = sorted([*there, *(at * MS for at in missing)])

    def between(times: list[int], start: int, end: int) -> int:
        return sum(start <= at < end for at in times)

    found_gaps = short_milliseconds(
        lambda start, end: between(kept, start, end),
        lambda start, end: between(there, start, end),
        0,
        1000 * MS,
    )
    assert list(found_gaps) == [at * MS for at in sorted(missing)]


def test_what_arrived_since_it_was_read_is_added_once() -> None:
    at = DAY.start_ns + 5 * HOUR
    loki = FakeLoki([Line(0, 0, at - 5, "early")])
    with tempfile.TemporaryDirectory() as folder:
        reading = Reading(loki, SELECTOR, DAY, Path(folder), 2, page_lines())  # type: ignore[arg-type]
        spool = Spool(reading.stretches())
        late = [Line(0, 1, at, "late"), Line(0, 1, at + 5, "later"), Line(0, 1, at + MS, "last")]
        now = FakeLoki([*loki.lines, *late], streams=loki.streams)
        lost = MissingLines(now, SELECTOR, DAY, spool, Split(HOUR, "")).rows()  # type: ignore[arg-type]
    assert lost["line"].to_pylist() == ["late", "later", "last"]
