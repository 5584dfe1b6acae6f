"""Windows, shards and JSON without any server."""

from __future__ import annotations

import json
import math
import struct
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.prometheus_history import DAY

from lake.base.errors import BadData, TransientError
from lake.config.datasets import duration_ms
from lake.http.client import HttpAnswer
from lake.systems.labels import metric_bucket, series_id
from lake.systems.prometheus.reading import plan, scan
from lake.systems.prometheus.reading.answer import Matrix, matrix

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Co"]), max_size=12) | st.sampled_from(
    ['"values":[[', "]]", "}]]", '","histograms":[[', "\\", '"', '"result":[', "],[\n"]
)
assert scan  # loaded once, before hypothesis looks at the clock

EVERY_MS = plan.Window(0, 2**31 - 1, 1)
DECIMALS = st.from_regex(r"\A-?[0-9]{1,25}(\.[0-9]{1,25})?(e[+-]?[0-9]{1,3})?\Z").filter(
    lambda text: text.isascii()
)
FLOATS = st.floats(width=64) | st.sampled_from([-0.0, 5e-324, math.inf, -math.inf, math.nan])
TIMES_MS = st.integers(min_value=0, max_value=2**31 - 2)


def written(value: float) -> str:
    """As Go's strconv writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isfinite(value) and value == int(value) and abs(value) < 1e21:
        return f"{value:.0f}"
    return repr(value) if math.isfinite(value) else f"{value:+}".replace("inf", "Inf")


def bits(value: float) -> int:
    """All NaN are one."""
    return -1 if math.isnan(value) else struct.unpack("<q", struct.pack("<d", value))[0]


def seconds(ms: int) -> Decimal | int:
    return Decimal(ms) / 1000 if ms % 1000 else ms // 1000


def body(result: object, *, compact: bool = True, **more: object) -> bytes:
    envelope = {"status": "success", "data": {"resultType": "matrix", "result": result}, **more}
    separators = (",", ":") if compact else (", ", ": ")
    text = json.dumps(envelope, separators=separators, default=lambda d: f"\ue000{d}\ue000")
    return text.replace(r'"\ue000', "").replace(r'\ue000"', "").encode()


def answer(content: bytes) -> HttpAnswer:
    return HttpAnswer("http://test/api/v1/query_range", 200, {}, content)


def scanned(content: bytes, window: plan.Window = EVERY_MS, *, clip: bool = False) -> Matrix:
    return matrix(answer(content), window, clip=clip)


def ms_of(parsed: Matrix, window: plan.Window = EVERY_MS) -> list[int]:
    return [window.start_ms + window.step_ms * int(step) for step in parsed.step_of]


SERIES = st.lists(
    st.fixed_dictionaries(
        {
            "metric": st.dictionaries(TEXTS, TEXTS, max_size=4),
            "values": st.dictionaries(
                TIMES_MS, st.one_of(FLOATS.map(written), DECIMALS), min_size=1, max_size=6
            ).map(lambda points: [(seconds(at), points[at]) for at in sorted(points)]),
        }
    ),
    max_size=5,
)


@given(SERIES, st.booleans())
def test_every_time_and_value_survives(result, compact):
    parsed = scanned(body(result, compact=compact, warnings=['"result":[']))
    assert parsed.envelope["warnings"] == ['"result":[']
    assert [json.loads(labels) for labels in parsed.labels] == [
        series["metric"] for series in result
    ]
    assert parsed.rows.tolist() == [len(series["values"]) for series in result]
    expected = [pair for series in result for pair in series["values"]]
    assert ms_of(parsed) == [int(at * 1000) for at, _ in expected]
    assert [bits(value) for value in parsed.values] == [bits(float(text)) for _, text in expected]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50))
def test_doubles_of_any_bits_are_read_as_they_were(patterns):
    doubles = [struct.unpack("<d", pattern.to_bytes(8, "little"))[0] for pattern in patterns]
    values = [[number, written(double)] for number, double in enumerate(doubles)]
    parsed = scanned(body([{"metric": {}, "values": values}]))
    assert [bits(value) for value in parsed.values] == [bits(double) for double in doubles]


@given(st.lists(DECIMALS, min_size=1, max_size=50))
def test_decimals_are_the_nearest_double(texts):
    parsed = scanned(body([{"metric": {}, "values": list(enumerate(texts))}]))
    assert [bits(value) for value in parsed.values] == [bits(float(text)) for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        "9007199254740993", "9007199254740992.5", "9007199254740993e0", "1e23", "8.5e22",
        "2.2250738585072011e-308", "2.2250738585072014e-308", "4.9e-324", "2e-324", "1e-400",
        "1.7976931348623157e308", "1.7976931348623159e+308", "1e309", "1e99999999999",
        "0.000000000000000000000000000000000000000000000000001", "-0.0e5", "00012.500", "5.",
        "123456789012345678901234567890", "0.1000000000000000055511151231257827021181583404541015",
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124", "+7", "1E3",
    ],
)  # fmt: skip
def test_numbers_at_the_edges(text):
    parsed = scanned(body([{"metric": {}, "values": [[1, text]]}]))
    assert bits(parsed.values[0]) == bits(float(text))


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
    parsed = scanned(body(result))
    assert parsed.rows.tolist() == [4, 1, 1]
    assert ms_of(parsed) == [1500, 3250, 9000, 12000, 7000, 7000]
    assert repr(parsed.values.tolist()) == "[1.0, nan, nan, nan, nan, -0.0]"
    taken = parsed.histograms.to_pylist()
    assert [histogram is None for histogram in taken] == [True, False, True, False, False, True]
    assert math.isnan(taken[1].pop("sum"))
    assert taken[1] == {
        "count": 3.0,
        "buckets": [
            {"lower": -0.5, "upper": 0.5, "count": 1.0, "bounds": 3},
            {"lower": 1.0, "upper": math.inf, "count": 2.0, "bounds": 0},
        ],
    }
    assert taken[3] == {"count": 0.0, "sum": 0.0, "buckets": []}


@pytest.mark.parametrize(
    "histogram",
    [
        {"sum": "1"},
        {"count": None, "sum": "1"},
        {"count": "x", "sum": "1"},
        {"count": "1", "sum": "1", "buckets": [[0, "1", "2"]]},
        {"count": "1", "sum": "1", "buckets": [[0, "1", "2", "3"], [0, "1"]]},
        {"count": "1", "sum": "1", "buckets": [[0, "1", "2", None]]},
        {"count": "1", "sum": "1", "buckets": [[999, "1", "2", "3"]]},
        {"count": "1", "sum": "1", "buckets": 7},
        "text",
    ],
)
def test_histograms_of_another_shape_are_refused(histogram):
    with pytest.raises(BadData):
        scanned(body([{"metric": {"a": "b"}, "histograms": [[1, histogram]]}]))


def test_histograms_in_numbers_instead_of_texts():
    histogram = {"count": 3, "sum": 2.5, "buckets": [[0, 1, "2", 3.0]]}
    parsed = scanned(body([{"metric": {"a": "b"}, "histograms": [[1, histogram]]}]))
    buckets = [{"lower": 1.0, "upper": 2.0, "count": 3.0, "bounds": 0}]
    assert parsed.histograms.to_pylist() == [{"count": 3.0, "sum": 2.5, "buckets": buckets}]


WHOLE = body([{"metric": {"a": "b"}, "values": [[1, "2"], [2, "3"]]}])


@pytest.mark.parametrize("kept", range(1, len(WHOLE) - 1))
def test_broken_off_body_is_never_a_short_day(kept):
    with pytest.raises(TransientError):
        scanned(WHOLE[:kept])


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
        scanned(body(result))


def test_members_that_nobody_asked_for_do_no_harm():
    series = {"stats": {"x": 1}, "values": [[1, "2"]], "metric": {"a": "b"}, "more": 1}
    parsed = scanned(body([series]))
    assert (parsed.labels, parsed.values.tolist()) == ([b'{"a":"b"}'], [2.0])


@pytest.mark.parametrize(
    "values", ['[1,"x"]', '["y","1"]', "[1]", '[1,"1"],2', "[]", '[1,"1_0"]', '[1," 1"]',
               '[1,""]', '[1,"."]', '[1,"1e"]', '[1,"0x1"]', '[1,"Infinite"]', '[1,"1"],'],
)  # fmt: skip
def test_values_that_are_no_numbers_are_refused(values):
    text = f'{{"status":"success","data":{{"result":[{{"metric":{{}},"values":[{values}]}}]}}}}'
    with pytest.raises((BadData, TransientError)):
        scanned(text.encode())


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
        ("up", True),
        ('job:x:rate5m {a="b"}', True),
        ("up{}", True),
        ("NaN", False),
        ("inf", False),
        ("up offset 5m", False),
        ("rate(up[5m])", False),
        ('{a="b"} offset 5m', False),
        ('{a="b"}[5m]', False),
        ('{"my.metric",a="b"}', True),
        ('{"__name__"=~"a|b"}', True),
        ('{a="b" or a="c"}', False),
        ('{a="b"} # {', True),
        ("up # all of them\n", True),
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
        text = json.loads(tail.removeprefix("~").removesuffix("}"), strict=False)
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


def test_many_series_are_asked_for_in_short_windows():
    day = plan.whole_day(DAY, 15_000)
    assert len(plan.windows(day, 10_000, 5760, 5760)) == 5760 // 15
    assert plan.windows(day, 10**9, 5760, 5760)[0].steps == 1
    by_ms = plan.whole_day(DAY, 1)
    assert len(plan.windows(by_ms, 10_000, by_ms.steps, 5760)) == 5760 // 15
    assert plan.windows(by_ms, 1, by_ms.steps, 5760) == [by_ms]


def test_samples_from_before_the_window_are_dropped_where_ranges_hold_them():
    window = plan.Window(1000, 1000, 1)
    result = [
        {"metric": {"a": "1"}, "values": [[0.999, "0"], [1, "1"], [1.5, "2"]]},
        {"metric": {"a": "2"}, "values": [[0.999, "0"], [0.9994, "1e-320"]]},
        {"metric": {"a": "3"}, "values": [[1.999, "3"]]},
    ]
    parsed = scanned(body(result), window, clip=True)
    assert (parsed.rows.tolist(), parsed.values.tolist()) == ([2, 0, 1], [1, 2, 3])
    assert ms_of(parsed, window) == [1000, 1500, 1999]


@pytest.mark.parametrize("times", ["0.000,15.001", "0,30", "15,0", "-15,0", "0,0"])
def test_times_that_were_not_asked_for_are_refused(times):
    values = [[float(at), "1"] for at in times.split(",")]
    with pytest.raises(BadData, match="other times"):
        scanned(body([{"metric": {"a": "b"}, "values": values}]), plan.Window(0, 2, 15_000))


def test_ids_keep_a_metric_together():
    labels, other = ({"__name__": "m", "a": text} for text in "xy")
    assert series_id(labels, "m") >> 52 == series_id(other, "m") >> 52 == metric_bucket("m")
    assert series_id(labels, "m") != series_id(other, "m")
