"""What is hard to read whole from a real Loki: all of it, against what was pushed."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.faulty_proxy import Fault, FaultyProxy
from support.loki_client import Entry, LokiClient
from support.loki_days import DAY, HOUR, MS, Pairs, Row, assert_rows, pairs, pushed, read, rows_of

from lake.base.errors import LakeError, TransientError
from lake.servers import Stack

QUARTER = HOUR // 4
SELECTOR = '{job=~".+"}'


@pytest.fixture
def tenant(small_loki: Stack) -> Callable[[str], LokiClient]:
    return lambda name: LokiClient(small_loki.endpoints["loki"]["url"], tenant=name)


@pytest.mark.slow
def test_lines_left_out_wherever_the_server_cuts(
    tenant: Callable[[str], LokiClient], small: LokiClient, job: str, tmp_path: Path
) -> None:
    """More of them in a stream than a metric query tells; with the configuration hidden, too."""
    clients = [*map(tenant, ("split-15m", "split-2h", "split-none")), small]
    cuts = {
        "midnight": DAY.start_ns,
        "quarter": DAY.start_ns + 7 * HOUR + QUARTER,
        "half": DAY.start_ns + 9 * HOUR + 2 * QUARTER,
        "even": DAY.start_ns + 8 * HOUR,
    }
    many: list[Entry] = [
        (cuts["even"], f"{n % 400:05}", {"n": f"{n}"} if n < 450 else {}) for n in range(700)
    ]
    everything: list[Row] = []
    for chunk in range(2):
        for pod, at in cuts.items():
            labels = {"job": job, "pod": pod}
            entries: list[Entry] = (
                [(at - 2 * MS, "before", {}), (at, "last", {"a": "1"}), (at, "last", {"a": "2"})]
                if chunk == 0
                else [(at, "first of the next", {}), (at + 1, "after", {})]
            )
            if (pod, chunk) == ("even", 0):
                entries += many
            for client in clients:
                client.push(labels, entries)
            everything += pushed(labels, entries)
        small.store()
    expected = {row for row in everything if row[1] >= DAY.start_ns}
    of_job = f'{{job="{job}"}}'
    recovered = {}
    for client in clients:
        table, details = read(client, of_job, tmp_path)
        assert_rows(client, rows_of(table), expected)
        recovered[client.tenant] = details["recovered_lines"]
    apart = small.tells_metadata_apart
    last = 2 if apart else 1
    last_of_many = last + (len(set(pushed({}, many))) if apart else 400)
    assert recovered == {
        "split-15m": 3 * last + last_of_many,
        "split-2h": last + last_of_many,
        "split-none": 0,
        small.tenant: 2 * last + last_of_many,
    }
    hide = FaultyProxy(small.url, lambda path, _: 404 if "conf" in path else None)
    with hide.running():
        table, details = read(LokiClient(hide.url, small.tenant), of_job, tmp_path)
    assert details["split_interval"] == "unknown"
    assert_rows(small, rows_of(table), expected)


@pytest.mark.slow
def test_everything_is_every_stream_once(
    tenant: Callable[[str], LokiClient], job: str, tmp_path: Path
) -> None:
    """Streams that share no label; a new one while it is read; Loki's own streams left out."""
    client = tenant("plain-labels")
    at = DAY.start_ns + 3 * HOUR
    streams = [{"a": job}, {"b": job}, {"a": job, "b": job}, {"c": job, "d": "1"}, {"D": job}]
    own = [{"__pattern__": job}, {"__aggregated_metric__": job}]

    def lines_of(number: int) -> list[Entry]:
        return [(at + n, f"{number} {n}", {}) for n in range(3 if number else 120)]

    for number, labels in enumerate([*streams, *own]):
        client.push(labels, lines_of(number))
    late = {"zz_late": job}

    def push_late(path: str) -> None:
        if path.endswith("/labels") and not arrived:
            arrived.append(True)
            client.push(late, [(at, "late", {})])

    arrived: list[bool] = []
    proxy = FaultyProxy(client.url, lambda path, _: None)
    proxy.before = push_late
    with proxy.running():
        table, details = read(LokiClient(proxy.url, client.tenant), "{}", tmp_path)
    expected = [row for n, labels in enumerate(streams) for row in pushed(labels, lines_of(n))]
    assert sorted(rows_of(table)) == sorted([*expected, *pushed(late, [(at, "late", {})])])
    assert arrived
    assert details["selectors"] == 6
    table, _ = read(client, '{} |= "0 11"', tmp_path)
    assert table.num_rows == 11


@pytest.mark.slow
def test_streams_of_a_midnight_alone(
    tenant: Callable[[str], LokiClient], job: str, tmp_path: Path
) -> None:
    """Loki's lists of labels and of streams leave out the last millisecond before some times.

    Only of what is stored: labels in memory are listed whatever their time.
    """
    at = DAY.end_ns - MS
    lone, crowded = tenant(f"{job}-lone"), tenant(job)
    # Whatever else is in an index file is listed with it.
    lone.push({"only": job}, [(at, "alone", {}), (DAY.end_ns - 1, "alone", {})])
    crowd: list[Entry] = [(at, f"{number}", {}) for number in range(150)]
    crowded.push({"job": job}, crowd)
    lone.forget(DAY.start_ns, DAY.end_ns)
    table, _ = read(lone, "{}", tmp_path)
    assert [row["ts_ns"] for row in table.to_pylist()] == [at, DAY.end_ns - 1]
    table, _ = read(crowded, SELECTOR, tmp_path)
    assert sorted(rows_of(table)) == sorted(pushed({"job": job}, crowd))


def test_several_tenants_at_once(
    tenant: Callable[[str], LokiClient], job: str, tmp_path: Path
) -> None:
    both = tenant(f"{job}-a|{job}-b")
    everything: list[Row] = []
    for name in both.tenant.split("|"):
        entries: list[Entry] = [(DAY.start_ns + n // 130, f"{n}", {"k": name}) for n in range(260)]
        tenant(name).push({"job": job}, entries)
        everything += pushed({"job": job, "__tenant_id__": name}, entries)
    both.wait_for(SELECTOR, DAY.end_ns, 520)
    for selector in (SELECTOR, "{}"):
        table, _ = read(both, selector, tmp_path)
        assert sorted(rows_of(table)) == sorted(everything)


@pytest.mark.slow
def test_faults_on_the_way_lose_nothing(small: LokiClient, job: str, tmp_path: Path) -> None:
    everything: list[Row] = []
    for pod in range(3):
        entries: list[Entry] = [
            (DAY.start_ns + n * 70_000_000_000, f"{pod} {n}", {"n": f"{n}"}) for n in range(1200)
        ]
        small.push({"job": job, "pod": f"{pod}"}, entries)
        everything += pushed({"job": job, "pod": f"{pod}"}, entries)
    small.wait_for(SELECTOR, DAY.end_ns, len(everything))
    faults: dict[int, Fault] = {
        9: 429, 20: 500, 21: 503, 30: "cut", 40: 504, 50: "slow", 60: 502, 61: 429, 75: "cut",
    }  # fmt: skip
    proxy = FaultyProxy(small.url, lambda _, number: faults.get(number))
    with proxy.running():
        through = LokiClient(proxy.url, small.tenant)
        table, details = read(through, SELECTOR, tmp_path, small, timeout_s=2)
    assert sorted(rows_of(table)) == sorted(everything)
    assert {fault for _, fault in proxy.done} >= set(faults.values())
    assert details["retries"] or details["requests"]
    dead = FaultyProxy(small.url, lambda path, n: 404 if "conf" in path or n > 20 else None)
    with dead.running(), pytest.raises(LakeError):
        read(LokiClient(dead.url, small.tenant), SELECTOR, tmp_path)
    cut = FaultyProxy(small.url, lambda path, n: "cut" if path.endswith("range") else None)
    with cut.running(), pytest.raises(TransientError):
        read(LokiClient(cut.url, small.tenant), SELECTOR, tmp_path)


# Times that crowd together and sit where things go wrong: midnight, hours, cuts, whole ms, ± 1 ns.
_times = st.builds(
    lambda hour, quarter, ms, ns: DAY.start_ns + hour * HOUR + quarter * QUARTER + ms * MS + ns,
    st.sampled_from([0, 1, 5, 24]),
    st.sampled_from([0, 0, 1, 2]),
    st.sampled_from([0, 0, 0, 1, -1, 1000]),
    st.sampled_from([-1, 0, 0, 0, 1, 999_999]),
)
_texts = st.one_of(
    st.sampled_from(["", "a", "b", "level=error", '{"level":"warn"}', "\x00\x1f", "💥 ü\\u0041"]),
    st.text(st.characters(codec="utf-8"), max_size=40),
)
_metadata = st.dictionaries(
    st.sampled_from(["trace", "user.id", "Upper", "job", "level"]),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
    max_size=3,
)
_labels = st.fixed_dictionaries(
    {"job": st.just("job")},
    optional={
        "pod": st.sampled_from(["a", 'q"\\\n`', "ü💥"]),
        "Upper": st.just("x"),
        "line": st.just("a label"),
    },
)
_chunk = st.lists(st.tuples(_times, _texts, _metadata), min_size=1, max_size=60)
_days = st.lists(st.tuples(_labels, _chunk), min_size=1, max_size=6)


def stored(client: LokiClient, labels: dict[str, str], entry: Entry) -> Row:
    """By Loki's own rules: a metadata name is made an identifier, then told from a label's."""
    ts, line, metadata = entry
    kept = {}
    for name, value in metadata.items():
        name = name.replace(".", "_")  # noqa: PLW2901
        kept[f"{name}_extracted" if name in labels else name] = client.stored_value(value)
    return pairs(labels), ts, line, pairs(kept)


def _without_dots(entry: Entry) -> Entry:
    ts, line, metadata = entry
    return ts, line, {name.replace(".", "_"): value for name, value in metadata.items()}


@pytest.mark.slow
@given(
    rounds=st.lists(_days, min_size=1, max_size=3), crowd=st.integers(0, 150), seed=st.integers(0)
)
@settings(
    max_examples=6, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_any_day_comes_back_as_it_was_pushed(
    tenant: Callable[[str], LokiClient],
    tmp_path: Path,
    rounds: list[list[tuple[dict[str, str], list[Entry]]]],
    crowd: int,
    seed: int,
) -> None:
    """Each round ends in chunks of its own; equal lines in several rounds are one line.

    Before 3.7 none differ in metadata only, which Loki may count twice and return once, and no
    name of metadata has a dot, with which metric queries leave a line out: a day with such lines at
    a cut is refused.
    """
    client = tenant(f"any-{uuid.uuid4().hex}")
    rng = random.Random(seed)
    expected: set[Row] = set()
    sent: dict[tuple[Pairs, int, str], Mapping[str, str]] = {}
    for number, day in enumerate(rounds):
        for labels, entries in day:
            if not client.returns_first_empty_line:
                entries = [(ts, line or "empty", rest) for ts, line, rest in entries]  # noqa: PLW2901
            if not client.tells_metadata_apart:
                entries = [  # noqa: PLW2901
                    entry
                    for entry in map(_without_dots, entries)
                    if sent.setdefault((pairs(labels), *entry[:2]), entry[2]) == entry[2]
                ]
            if not entries:
                continue
            at = rng.choice(entries)[0]
            together: list[Entry] = [(at, f"crowd {n}", {}) for n in range(crowd)]
            client.push(labels, [*entries, *together] if number == 0 else entries)
            for entry in [*entries, *(together if number == 0 else ())]:
                if DAY.start_ns <= entry[0] < DAY.end_ns:
                    expected.add(stored(client, labels, entry))
        if number or rng.random() < 0.7:
            client.store()
    table, _ = read(client, SELECTOR, tmp_path)
    assert sorted(rows_of(table)) == sorted(expected)
