"""Windows, shards and JSON without any server."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_history import DAY

from lake.base.datasets import duration_ms
from lake.base.errors import BadData, TransientError
from lake.sources.http import Answer
from lake.sources.labels import metric_bucket, series_id
from lake.sources.prometheus import plan, spool
from lake.sources.prometheus.answer import RawSeries, samples, split

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Co"]), max_size=12) | st.sampled_from(
    ['"values":[[', "]]", "}]]", '","histograms":[[', "\\", '"', '"result":[', "],[\n"]
)
FLOATS = st.floats(width=64) | st.sampled_from([-0.0, 5e-324, math.inf, -math.inf, math.nan])
TIMES_MS = st.integers(min_value=0, max_value=4_102_444_800_000)


def written(value: float) -> str:
    """As Go's strconv writes it."""
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else f"{value:+}".replace("inf", "Inf")


def seconds(ms: int) -> Decimal | int:
    return Decimal(ms) / 1000 if ms % 1000 else ms // 1000


def body(result: object, *, compact: bool = True, **more: object) -> bytes:
    envelope = {"status": "success", "data": {"resultType": "matrix", "result": result}, **more}
    separators = (",", ":") if compact else (", ", ": ")
    text = json.dumps(envelope, separators=separators, default=lambda d: f"\ue000{d}\ue000")
    return text.replace(r'"\ue000', "").replace(r'\ue000"', "").encode()


def answer(content: bytes) -> Answer:
    return Answer("http://test/api/v1/query_range", 200, {}, content)


SERIES = st.lists(
    st.fixed_dictionaries(
        {
            "metric": st.dictionaries(TEXTS, TEXTS, max_size=4),
            "values": st.lists(
                st.tuples(TIMES_MS.map(seconds), FLOATS.map(written)), min_size=1, max_size=6
            ),
        }
    ),
    max_size=5,
)


@given(SERIES, st.booleans())
def test_every_time_and_value_survives(result, compact):
    envelope, series = split(answer(body(result, compact=compact, warnings=['"result":['])))
    assert envelope["warnings"] == ['"result":[']
    assert [json.loads(one.labels) for one in series] == [one["metric"] for one in result]
    table, rows = samples(series)
    assert rows == [len(one["values"]) for one in result]
    expected = [pair for one in result for pair in one["values"]]
    assert table["ts"].cast(pa.int64()).to_pylist() == [int(at * 1000) for at, _ in expected]
    for got, (_, text) in zip(table["value"].to_pylist(), expected, strict=True):
        if text == "NaN":
            assert got is None
        else:
            assert repr(got) == repr(float(text))


def test_histograms_and_floats_of_one_series_come_in_order_of_time():
    histogram = {
        "count": "3",
        "sum": "NaN",
        "buckets": [[3, "-0.5", "0.5", "1"], [0, "1", "+Inf", "2"]],
    }
    result = [
        {
            "metric": {"__name__": "h"},
            "values": [[1.5, "1"], [9, "NaN"]],
            "histograms": [[3.25, histogram], [12, {"count": "0", "sum": "0"}]],
        },
        {"metric": {"__name__": "i"}, "histograms": [[7, histogram]]},
        {"metric": {"__name__": "j"}, "values": [[7, "-0"]]},
    ]  # fmt: skip
    _, series = split(answer(body(result)))
    table, rows = samples(series)
    assert rows == [4, 1, 1]
    assert table["ts"].cast(pa.int64()).to_pylist() == [1500, 3250, 9000, 12000, 7000, 7000]
    assert repr(table["value"].to_pylist()) == "[1.0, None, None, None, None, -0.0]"
    found = table["histogram"].to_pylist()
    assert [one is None for one in found] == [True, False, True, False, False, True]
    assert math.isnan(found[1].pop("sum"))
    assert found[1] == {
        "count": 3.0,
        "buckets": [
            {"lower": -0.5, "upper": 0.5, "count": 1.0, "bounds": 3},
            {"lower": 1.0, "upper": math.inf, "count": 2.0, "bounds": 0},
        ],
    }
    assert found[3] == {"count": 0.0, "sum": 0.0, "buckets": []}


WHOLE = body([{"metric": {"a": "b"}, "values": [[1, "2"], [2, "3"]]}])


@pytest.mark.parametrize("kept", range(1, len(WHOLE) - 1))
def test_broken_off_body_is_never_a_short_day(kept):
    with pytest.raises(TransientError):
        split(answer(WHOLE[:kept]))


@pytest.mark.parametrize(
    "result",
    [
        [{"metric": {"a": "b"}}],
        [{"metric": {"a": "b"}, "value": [1, "2"]}],
        [{"values": [[1, "2"]]}],
        [{"metric": {"a": "b"}, "values": [[1, "2"]]}, "text"],
        ["text"],
        {"a": "b"},
        None,
    ],
)
def test_series_of_another_shape_are_refused(result):
    with pytest.raises(BadData):
        split(answer(body(result)))


def test_members_that_nobody_asked_for_do_no_harm():
    series = {"stats": {"x": 1}, "values": [[1, "2"]], "metric": {"a": "b"}, "more": 1}
    assert split(answer(body([series])))[1] == [RawSeries(b'{"a":"b"}', b'1,"2"', b"")]


@pytest.mark.parametrize("values", [b'1,"x"', b'"y","1"', b"1", b'1,"1",2', b""])
def test_values_that_are_no_numbers_are_refused(values):
    with pytest.raises(BadData):
        samples([RawSeries(b"{}", values, b"")])


@pytest.mark.parametrize("step", ["100ms", "1s", "7s", "15s", "1m", "7m", "1h", "1d", "1ms"])
@pytest.mark.parametrize("most", [1, 7, 11_000])
def test_windows_tile_the_day(step, most):
    step_ms = duration_ms(step)
    day = plan.whole_day(DAY, step_ms)
    parts = list(day.parts(max(most, day.steps // 2000)))
    assert parts[0].start_ms == DAY.start_ms
    assert DAY.end_ms - step_ms <= parts[-1].end_ms < DAY.end_ms
    assert sum(part.steps for part in parts) == day.steps
    for before, after in pairwise(parts):
        assert after.start_ms == before.end_ms + step_ms
    if day.steps > 1:
        first, second = day.halves()
        assert first.steps + second.steps == day.steps
        assert second.start_ms == first.end_ms + step_ms


@pytest.mark.parametrize(
    ("query", "plain"),
    [
        ('{__name__=~"http_.*"}', True),
        (' { a = "x" , b!~`y` , } ', True),
        ("""{a='it\\'s',b="}"}""", True),
        ("up", False),
        ('up{a="b"}', False),
        ('{a="b"} offset 5m', False),
        ('{a="b"}[5m]', False),
        ('{"my.metric",a="b"}', False),
        ('{a="b" or a="c"}', False),
        ('{a="b"} # {', False),
        ("{}", False),
        ('sum({a="b"})', False),
    ],
)
def test_which_queries_can_be_asked_metric_by_metric(query, plain):
    assert plan.is_selector(query) == plain


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.integers(1, 300), max_size=300))
def test_shards_cover_each_metric_once_in_order_of_ids(sizes):
    shards = plan.shards('{job="a"}', sizes, 5760)
    assert sum(shard.series for shard in shards) == sum(sizes.values()) + 1
    names = []
    for shard in shards:
        head, _, tail = shard.query.partition("__name__=")
        assert head == '{job="a",'
        text = json.loads(tail.removeprefix("~").removesuffix("}"))
        names.append([text] if not tail.startswith("~") else [])
    buckets = [metric_bucket(name) for group in names for name in group]
    assert buckets == sorted(buckets)


def test_names_are_quoted_as_a_regular_expression_and_as_text():
    first, second = sorted(['a.b"c', "é|x"], key=metric_bucket)
    quoted = {'a.b"c': r"a\\.b\"c", "é|x": r"é\\|x"}
    queries = [shard.query for shard in plan.shards('{j="a"}', {first: 1, second: 1}, 10)]
    assert len(queries) == 1
    parts = [quoted[first], quoted[second]]
    at = sorted([first, second, ""], key=metric_bucket).index("")
    parts.insert(at, "")
    assert queries[0] == '{j="a",__name__=~"' + "|".join(parts) + '"}'


def test_a_metric_with_many_series_is_asked_in_short_windows():
    day = plan.whole_day(DAY, 15_000)
    many = plan.Shard("x", 10_000)
    assert len(plan.windows(day, many, 5760, 5760)) == 5760 // 15
    assert plan.windows(day, plan.Shard("x", 10**9), 5760, 5760)[0].steps == 1
    by_ms = plan.whole_day(DAY, 1)
    assert len(plan.windows(by_ms, many, by_ms.steps, 5760)) == 5760 // 15
    assert plan.windows(by_ms, plan.Shard("x", 1), by_ms.steps, 5760) == [by_ms]


def test_samples_from_before_the_window_are_dropped_where_ranges_hold_them(tmp_path):
    series = [
        RawSeries(b'{"a":"1"}', b'0.999,"0"],[1,"1"],[1.5,"2"', b""),
        RawSeries(b'{"a":"2"}', b'0.999,"0"', b""),
        RawSeries(b'{"a":"3"}', b'1.999,"3"', b""),
    ]
    ids = {one.labels: n for n, one in enumerate(series)}
    kept = spool.write(tmp_path / "x", plan.Window(1000, 1000, 1), series, ids.get, clip=True)
    assert (list(kept.ids), list(kept.rows)) == ([0, 2], [2, 1])
    found = [(one, pa.Table.from_batches(pieces)) for one, pieces in spool.merged([kept])]
    assert [(one, table["value"].to_pylist()) for one, table in found] == [(0, [1, 2]), (2, [3])]


@pytest.mark.parametrize("times", ["0.000,15.001", "0,30", "15,0", "-15,0", "0,0"])
def test_times_that_were_not_asked_for_are_refused(tmp_path, times):
    first, second = times.split(",")
    series = [RawSeries(b'{"a":"b"}', f'{first},"1"],[{second},"2"'.encode(), b"")]
    with pytest.raises(BadData, match="other times"):
        spool.write(tmp_path / "x", plan.Window(0, 2, 15_000), series, lambda _: 1)


def test_ids_that_collide_are_refused(tmp_path):
    series = [RawSeries(labels, b'0,"1"', b"") for labels in (b'{"a":"b"}', b'{"a":"c"}')]
    with pytest.raises(BadData, match="collide"):
        spool.write(tmp_path / "x", plan.Window(0, 1, 1), series, lambda _: 1)


def test_ids_keep_a_metric_together():
    one, other = ({"__name__": "m", "a": text} for text in "xy")
    assert series_id(one, "m") >> 52 == series_id(other, "m") >> 52 == metric_bucket("m")
    assert series_id(one, "m") != series_id(other, "m")
