"""Streams that have lines and that `/series` does not list: from Loki 2.6 on.

Belongs here: finding them. Does not: reading them.

A Loki of one process takes the streams of the last hours (`max_chunk_age` and half an hour, 2.5 h
by default) from the ingester alone, and one of several processes takes flushed chunks from an
index that has them up to a quarter of an hour later. So a stream is not listed once its last chunk
is flushed, while queries return its lines. `/labels` and metric queries know it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping

from lake.base.errors import Refused
from lake.systems.loki.reading.api import Api, TooMany, TooWide
from lake.systems.loki.reading.cover import LEFT_OUT
from lake.systems.loki.reading.ends import ends_with_lines
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.paging import HOUR, MS
from lake.systems.loki.reading.split import Split
from lake.systems.loki.reading.stream_set import StreamSet, streams_between

_LOG = logging.getLogger(__name__)
_DAY_NS = 24 * HOUR
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def all_streams(
    api: Api, selector: Selector, start_ns: int, end_ns: int, split: Split
) -> StreamSet:
    """The streams that may have lines in [start, end), two midnights: those not listed, too."""
    streams = streams_between(api, selector, start_ns, end_ns)
    for labels in streams_with_lines(api, selector, start_ns, end_ns, split):
        if streams.number(labels) is None:
            streams.add(labels)
    return streams


def streams_with_lines(
    api: Api, selector: Selector, start_ns: int, end_ns: int, split: Split | None = None
) -> Iterator[Mapping[str, str]]:
    """The labels of the streams with lines in [start, end), as a metric query returns them.

    None of a version whose `/series` is complete, and none where one answer can't hold those of an
    hour: what is read then stays below its count. Structured metadata with the name of another
    stream's label may add labels of no stream.
    """
    if not api.dialect.version.leaves_out_streams:
        return
    first = start_ns // _DAY_NS * _DAY_NS
    names = sorted(set(api.label_names(first, -(-end_ns // _DAY_NS) * _DAY_NS)) - LEFT_OUT)
    if names and all(map(_NAME.fullmatch, names)):
        plain = Selector(selector.matchers, "")
        yield from _of_range(api, plain, names, start_ns, end_ns, split)


def labels_without_metadata(
    api: Api,
    selector: Selector,
    metric: Mapping[str, str],
    start_ns: int,
    end_ns: int,
    counted: dict[str, bool],
) -> dict[str, str]:
    """Those of a metric's labels that a matcher finds together: none that is a line's metadata.

    All of them before 2.9. Where another stream has the metadata's value as its label at that
    time, the labels may be that stream's. `counted`: the queries sent so far, and whether each has
    found lines; metrics that differ in metadata only share most of them.
    """
    version = api.dialect.version
    if version.numbers is not None and not version.knows_metadata:
        return dict(metric)
    own: dict[str, str] = {}
    of = Selector(selector.matchers, "")
    for name, value in sorted(metric.items()):
        narrower = of.narrowed(name, [value])
        # Longer by a ms: up to 3.2 a range is open at both ends.
        query = narrower.count((end_ns - start_ns) // MS + 1)
        if query not in counted:
            counted[query] = bool(api.vector(query, end_ns))
        if counted[query]:
            own[name], of = value, narrower
    return own


def _of_range(
    api: Api,
    selector: Selector,
    names: list[str],
    start_ns: int,
    end_ns: int,
    split: Split | None,
) -> Iterator[Mapping[str, str]]:
    try:
        query = selector.count((end_ns - start_ns) // MS, by=names)
        vector = api.vector(query, end_ns - 1)
        if api.dialect.version.splits_counts:
            for at in [*ends_with_lines(api, selector, split, start_ns, end_ns), end_ns]:
                vector += api.vector(selector.count(1, by=names), at)
    except Refused as error:
        _LOG.info("loki: streams that are not listed can't be found: %s", error.parts.get("found"))
        return
    except (TooMany, TooWide) as error:
        if end_ns - start_ns <= HOUR:
            _LOG.info("loki: streams that are not listed can't be found: %s", error.what)
            return
    else:
        yield from ({name: value for name, value in m.items() if value} for m, _ in vector)
        return
    for at in range(start_ns, end_ns, HOUR):
        yield from _of_range(api, selector, names, at, min(at + HOUR, end_ns), split)
