"""Requests decoded by the tests' own protobuf walk; labels and lines with any characters."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.base.errors import UsageError
from lake.replay import find_partitions, replayed
from lake.systems.loki.replay import push
from lake.systems.prometheus.replay.remote_write import (
    STALE,
    Samples,
    labels_field,
    request,
    with_gaps_marked,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,6}", fullmatch=True)
DAY_MS = 86_400_000


def uvarint(data, pos):
    number = shift = 0
    while True:
        byte = data[pos]
        number |= (byte & 0x7F) << shift
        pos, shift = pos + 1, shift + 7
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, pos


def signed(number):
    return number - (1 << 64) if number >> 63 else number


def fields(data):
    """(number, value) of each field."""
    pos, values = 0, []
    while pos < len(data):
        tag, pos = uvarint(data, pos)
        if tag & 7 == 0:
            value, pos = uvarint(data, pos)
        else:
            size, pos = uvarint(data, pos) if tag & 7 == 2 else (8, pos)
            value, pos = bytes(data[pos : pos + size]), pos + size
            assert len(value) == size
        values.append((tag >> 3, value))
    return values


def pairs_of(content):
    (_, name), (_, value) = fields(content)
    return name.decode(), value.decode()


def body(compressed):
    """Snappy's block format says the size first."""
    size, _ = uvarint(compressed, 0)
    return pa.Codec("snappy").decompress(compressed, size, asbytes=True)


SERIES = st.dictionaries(
    st.integers(-(2**63), 2**63 - 1),
    st.tuples(
        st.dictionaries(NAMES, TEXTS, max_size=4),
        st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(0, 2**64 - 1)), min_size=1),
    ),
    min_size=1,
    max_size=4,
)


@given(SERIES)
def test_a_write_request_has_the_samples_with_their_bits(series):
    labels = {number: labels_field(list(pairs.items())) for number, (pairs, _) in series.items()}
    rows = [(number, *sample) for number, (_, samples) in series.items() for sample in samples]
    ids, ts, bits = zip(*rows, strict=True)
    samples = Samples(np.array(ids), np.array(ts), np.array(bits, np.uint64))
    pushed = []
    for number, content in fields(body(request(samples, labels))):
        assert number == 1
        message = fields(content)
        own = [pairs_of(value) for tag, value in message if tag == 1]
        assert own == sorted(own)
        taken = [dict(fields(value)) for tag, value in message if tag == 2]
        pushed.append(
            (
                dict(own),
                [(signed(sample[2]), int.from_bytes(sample[1], "little")) for sample in taken],
            )
        )
    assert pushed == list(series.values())


@given(st.lists(st.sets(st.integers(0, 23), min_size=1), min_size=1, max_size=4), st.data())
def test_gaps_are_marked_where_a_step_has_no_value(hours, data):
    """However the rows are cut; against a plain walk over all steps."""
    step = DAY_MS // 24
    rows = [(number, hour * step) for number, own in enumerate(hours) for hour in sorted(own)]
    ids, ts = (np.array(side, np.int64) for side in zip(*rows, strict=True))
    expected = []
    for number, own in enumerate(hours):
        for hour in sorted(own):
            expected.append((number, hour * step, 0))
            if hour == 23:
                expected.append((number, DAY_MS - 1, STALE))
            elif hour + 1 not in own:
                expected.append((number, (hour + 1) * step, STALE))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows) - 1)))) if len(rows) > 1 else []
    gaps = []
    ids, ts = np.append(ids, -1), np.append(ts, 0)  # whoever comes after the last
    begin = 0
    for end in [*cuts, len(rows)]:
        part = Samples(
            ids[begin : end + 1], ts[begin : end + 1], np.zeros(end + 1 - begin, np.uint64)
        )
        marked = with_gaps_marked(part, step, DAY_MS)
        gaps += zip(marked.ids.tolist(), marked.ts_ms.tolist(), marked.bits.tolist(), strict=True)
        begin = end
    assert gaps == expected


LINES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(-(2**62), 2**62),
        TEXTS | st.text("x", min_size=100, max_size=300),
        st.dictionaries(TEXTS, TEXTS, max_size=3),
    ),
    min_size=1,
    max_size=30,
)


@given(LINES, st.integers(0, 3), st.sampled_from([1, 200, 4 << 20]))
@settings(deadline=None)
def test_a_push_request_has_the_lines(lines, skipped, most_bytes):
    lines.sort(key=lambda line: line[0])
    pair_type = pa.map_(pa.string(), pa.string())
    table = pa.record_batch(
        {
            "ts_ns": [line[1] for line in lines],
            "line": [line[2] for line in lines],
            "metadata": pa.array([list(line[3].items()) for line in lines], pair_type),
        }
    ).slice(min(skipped, len(lines) - 1))
    lines = lines[min(skipped, len(lines) - 1) :]
    ids = [line[0] for line in lines]
    starts = [n for n, number in enumerate(ids) if n == 0 or ids[n - 1] != number]
    labels = [push.stream_labels([("id", str(ids[n]))]) for n in starts]
    streams = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(push, "_MOST_BYTES", most_bytes)
        for compressed in push.requests(table, np.array(starts), labels):
            for _, stream in fields(body(compressed)):
                (_, own), *entries = fields(stream)
                assert entries
                for _, entry in entries:
                    (_, time), (_, line), *pairs = fields(entry)
                    (_, seconds), (_, nanos) = fields(time)
                    streams.append(
                        (own, signed(seconds) * 10**9 + nanos, line.decode(),
                         dict(pairs_of(pair) for _, pair in pairs))
                    )  # fmt: skip
    wanted = [(f'{{id="{line[0]}"}}'.encode(), *line[1:]) for line in lines]
    assert streams == wanted


@pytest.mark.parametrize("names", [("odd", "same_again"), ("logs", "few_logs")])
def test_datasets_that_share_series_or_streams_are_refused(replay_site, names):
    store, chosen = replay_site.store, replay_site.settings.datasets_named(names)
    partitions = find_partitions(store, chosen, replay_site.days, allow_missing=False)
    with (
        pytest.raises(UsageError, match="the same s") as refused,
        replayed(replay_site.settings, store, partitions),
    ):
        pass
    assert refused.value.parts["where"].startswith(f"{names[0]} and {names[1]}")


def test_the_order_of_the_datasets_does_not_matter(replay_site):
    """Each combination lists the same partitions by day."""
    store = replay_site.store
    for names in itertools.permutations(("odd", "gaps"), 2):
        chosen = replay_site.settings.datasets_named(names)
        partitions = find_partitions(store, chosen, replay_site.days, allow_missing=False)
        assert [partition.day for partition in partitions] == sorted(
            partition.day for partition in partitions
        )
        assert [partition.dataset.name for partition in partitions] == [*names, *names]
