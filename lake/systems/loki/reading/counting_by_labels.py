"""Many streams counted by one query, where that is exact: from Loki 2.6 on.

Belongs here: which streams, and the query. Does not: counting each by itself (counting).

Equal lines of several streams are no longer merged there. A query of 50 single streams costs
25 times as much as one of all of them: the frontend cuts each into half-hours.

Structured metadata, which 2.9 can have, and what a parser adds are among an answer's labels: one
that has the name of another stream's label makes a line look like that stream's. So streams whose
labels are a part of another's are left to the caller, and so is everything where the answer has
labels of no known stream.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from lake.base.errors import Refused
from lake.systems.loki.reading.api import Api, TooMany, TooWide
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.paging import MS
from lake.systems.loki.reading.stream_set import StreamSet

_MOST = 250  # streams of one answer; max_query_series is 500 by default
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_Labels = Mapping[str, str]


def counted_by_labels(
    api: Api,
    streams: StreamSet,
    of: Selector,
    wanted: Collection[int],
    start_ns: int,
    end_ns: int,
    parallel: int,
) -> dict[int, int]:
    """The lines of [start, end) by the stream's id; without the streams that it cannot count."""
    version, labels = api.dialect.version, streams.all()
    if version.merges_streams or not of.keeps_labels:
        return {}
    names = sorted({name for own in labels.values() for name in own})
    if len(wanted) < 2 or not all(map(_NAME.fullmatch, names)):
        return {}
    may_have_more = version.knows_metadata or not of.filters_only
    unclear = streams.ambiguous() if may_have_more else set()
    parts = [(of, set(wanted))]
    if len(labels) > _MOST:
        parts = list(_parts(of, {number: labels[number] for number in wanted}))

    def count(part: tuple[Selector, set[int]]) -> dict[int, int]:
        selector, numbers = part
        query = selector.count((end_ns - start_ns) // MS, drops=api.dialect.drops, by=names)
        try:
            vector = api.vector(query, end_ns - 1)
        except (TooMany, TooWide, Refused):
            return {}  # one by one they may be counted
        counts = dict.fromkeys(numbers, 0)
        for metric, value in vector:
            number = streams.number(metric)
            if number is None:
                return {}
            counts[number] = int(value)
        return {number: counts[number] for number in numbers - unclear}

    with ThreadPoolExecutor(parallel, "loki-counts") as pool:
        return {number: rows for part in pool.map(count, parts) for number, rows in part.items()}


def _parts(of: Selector, labels: Mapping[int, _Labels]) -> Iterator[tuple[Selector, set[int]]]:
    """Selectors of at most _MOST of these streams each, where one label distinguishes them."""
    values: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for name in {name for own in labels.values() for name in own}:
        for number, own in labels.items():
            values[name][own.get(name, "")].add(number)
    name = max(sorted(values), key=lambda name: len(values[name]))
    together: set[int] = set()
    chosen: list[str] = []
    for value, numbers in values[name].items():
        if together and len(together) + len(numbers) > _MOST:
            yield of.narrowed(name, chosen), together
            together, chosen = set(), []
        together = together | numbers
        chosen.append(value)
    yield of.narrowed(name, chosen), together
