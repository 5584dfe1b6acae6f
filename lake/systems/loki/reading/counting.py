"""Loki's own count of lines, which no paging and no limit can cut.

Belongs here: counting a stretch of time. Does not: what a difference means.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from lake.base.day import Day
from lake.base.errors import Refused
from lake.systems.loki.reading.api import UNPARSED, Api, TooMany, TooWide, Unparsed
from lake.systems.loki.reading.counting_by_labels import counted_by_labels
from lake.systems.loki.reading.ends import ends_with_lines
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.oversized_instant import OversizedInstant
from lake.systems.loki.reading.paging import HOUR, MS, SECOND, Bound, pages
from lake.systems.loki.reading.split import Split
from lake.systems.loki.reading.stream_set import StreamSet

_NUMBER = "monitoring_lake_number"

_Count = Callable[[Mapping[int, Selector], int, int], dict[int, int]]


def counted(api: Api, selector: Selector, start_ns: int, end_ns: int) -> int:
    """The lines of [start, end), both whole milliseconds; in parts where that is too much."""
    try:
        return _counted_at_once(api, selector, start_ns, end_ns)
    except TooWide:
        if end_ns - start_ns <= SECOND:
            raise
    # First by hours, into which Loki's frontend cuts its work, then by halves.
    half = (end_ns - start_ns) // MS // 2 * MS
    part = HOUR if end_ns - start_ns > HOUR else half
    starts = range(start_ns, end_ns, part)
    return sum(counted(api, selector, at, min(at + part, end_ns)) for at in starts)


def _counted_at_once(api: Api, selector: Selector, start_ns: int, end_ns: int) -> int:
    # A range is open on the left and closed on the right.
    duration_ms, drops = (end_ns - start_ns) // MS, api.dialect.drops
    try:
        vector = api.vector(selector.count(duration_ms, drops=drops), end_ns - 1)
    except Refused as error:
        plain = selector.count(duration_ms, drops=False)
        if not drops or not _is_unparsed(error) or plain == selector.count(duration_ms):
            raise
        vector = api.vector(plain, end_ns - 1)  # the same error where the selector is wrong
        api.dialect.learn_no_drop()
    return int(sum(value for _, value in vector))


def counted_day(
    api: Api, selector: Selector, day: Day, parallel: int, split: Callable[[], Split]
) -> int:
    """The lines of the day, all streams at once, with those that 3.0 to 3.2 leave out of a count.

    These are in the last ns of each part of a split query. Where the server hides its
    configuration, only the day's last ns is looked at: for each minute's there would be thousands
    of requests. Before 3.0 only a count by streams has them.
    """
    start_ns, end_ns = day.start_ns, day.end_ns
    if api.dialect.by_stream or not api.dialect.version.splits_counts:
        return counted(api, selector, start_ns, end_ns)

    def count(these: Mapping[int, Selector], start_ns: int, end_ns: int) -> dict[int, int]:
        return {key: counted(api, part, start_ns, end_ns) for key, part in these.items()}

    only = {0: selector}
    counts = count(only, start_ns, end_ns)
    cuts = split()
    known = cuts if cuts.known else None
    _add_ends(api, selector, only, counts, (start_ns, end_ns), parallel, known, count)
    return counts[0]


def counted_streams(
    api: Api,
    streams: StreamSet,
    of: Selector,
    start_ns: int,
    end_ns: int,
    parallel: int,
    wanted: Collection[int] | None = None,
    split: Split | None = None,
) -> dict[int, int]:
    """The lines of [start, end) of each single stream by its id, many in one request.

    `split`: where the server splits its queries; its parts leave out their last ns, too.
    """
    selectors = {
        number: streams.selector(labels, of)
        for number, labels in streams.all().items()
        if wanted is None or number in wanted
    }

    def count(these: Mapping[int, Selector], start_ns: int, end_ns: int) -> dict[int, int]:
        counts = counted_by_labels(api, streams, of, these, start_ns, end_ns, parallel)
        rest = {number: these[number] for number in these.keys() - counts.keys()}
        return counts | _counted_groups(api, rest, start_ns, end_ns, parallel)

    counts = count(selectors, start_ns, end_ns)
    _add_ends(api, of, selectors, counts, (start_ns, end_ns), parallel, split, count)
    return counts


def _add_ends(
    api: Api,
    of: Selector,
    selectors: Mapping[int, Selector],
    counts: dict[int, int],
    span: tuple[int, int],
    parallel: int,
    split: Split | None,
    count: _Count,
) -> None:
    """Adds the lines in the last ns of the span, and of its parts, that a count leaves out."""
    start_ns, end_ns = span
    for number, rows in _uncounted(api, selectors, end_ns, parallel, count).items():
        counts[number] += rows
    for at in ends_with_lines(api, of, split, start_ns, end_ns):
        last = _uncounted(api, selectors, at, parallel, count)
        here = {number: selectors[number] for number, rows in last.items() if rows}
        within = _within(here, at, split.interval_ns if split else 0, count)
        for number in here:
            counts[number] += max(0, last[number] - within[number])


def _within(
    selectors: Mapping[int, Selector], at_ns: int, interval_ns: int, count: _Count
) -> dict[int, int]:
    """The lines in the ns before `at_ns` that a longer count includes: all, if it is not split."""
    before = count(selectors, at_ns - interval_ns, at_ns)
    after = count(selectors, at_ns, at_ns + interval_ns)
    both = count(selectors, at_ns - interval_ns, at_ns + interval_ns)
    return {number: both[number] - before[number] - after[number] for number in selectors}


def _uncounted(
    api: Api, selectors: Mapping[int, Selector], end_ns: int, parallel: int, count: _Count
) -> dict[int, int]:
    """The lines of each selector at `end_ns` - 1 that a count up to there leaves out.

    A range is open at both ends up to Loki 3.2. So a count that ends 1 ns later shows the
    streams that may have such lines; of these the last millisecond is read.
    """
    if api.dialect.by_stream is False and not api.dialect.version.splits_counts:
        return {}
    later = count(selectors, end_ns + 1 - MS, end_ns + 1)
    later_selectors = {number: selectors[number] for number, rows in later.items() if rows}
    counts = count(later_selectors, end_ns - MS, end_ns)
    with ThreadPoolExecutor(parallel, "loki-ends") as pool:
        reads = pool.map(
            lambda selector: _read_at_end(api, selector, end_ns), later_selectors.values()
        )
        return {
            number: min(last, max(0, rows - counts[number]))
            for number, (rows, last) in zip(later_selectors, reads, strict=True)
        }


def _read_at_end(api: Api, selector: Selector, end_ns: int) -> tuple[int, int]:
    """How many lines of the selector are read in the last ms, and in its last ns.

    With the texts from before a pipeline, which may make lines equal: a count has them all.
    """
    api = api.resolving(lambda labels: (0, dict(labels)))
    lines = selector if selector.filters_only else selector.originals()
    bound = Bound(api.limit.usual, 1, patience=50)
    tables = pages(
        partial(api.page, lines), OversizedInstant(api, lines).at, end_ns - MS, end_ns, bound
    )
    times = [table["ts_ns"].to_numpy() for table in tables]
    return sum(map(len, times)), sum(int((stamps == end_ns - 1).sum()) for stamps in times)


def _counted_groups(
    api: Api, selectors: Mapping[int, Selector], start_ns: int, end_ns: int, parallel: int
) -> dict[int, int]:
    items = list(selectors.items())
    together = api.dialect.together
    groups = [dict(items[at : at + together]) for at in range(0, len(items), together)]
    with ThreadPoolExecutor(parallel, "loki-counts") as pool:
        counts = pool.map(lambda group: _counted_group(api, group, start_ns, end_ns), groups)
        return {number: rows for group in counts for number, rows in group.items()}


def _counted_group(
    api: Api, group: Mapping[int, Selector], start_ns: int, end_ns: int
) -> dict[int, int]:
    if len(group) == 1:
        return {
            number: _counted_stream(api, selector, start_ns, end_ns)
            for number, selector in group.items()
        }
    if len(group) > api.dialect.together:  # as another group has shown meanwhile
        return _counted_halves(api, group, start_ns, end_ns)
    duration_ms, drops = (end_ns - start_ns) // MS, api.dialect.drops
    names = {f"{at}": number for at, number in enumerate(group)}
    query = " or ".join(
        f'label_replace({selector.count(duration_ms, drops=drops)}, "{_NUMBER}", "{at}", "", "")'
        for at, selector in enumerate(group.values())
    )
    try:
        vector = api.vector(query, end_ns - 1)
    except Unparsed:
        api.dialect.learn_together(len(group) // 2)
        return _counted_halves(api, group, start_ns, end_ns)
    except (TooWide, TooMany):
        return _counted_halves(api, group, start_ns, end_ns)
    except Refused as error:
        # Loki 2.2 now and then fails to parse a long query that it parses in two parts.
        if not _is_unparsed(error):
            raise
        return _counted_halves(api, group, start_ns, end_ns)
    counts = {names[metric[_NUMBER]]: int(value) for metric, value in vector}
    return {number: counts.get(number, 0) for number in group}


def _counted_halves(
    api: Api, group: Mapping[int, Selector], start_ns: int, end_ns: int
) -> dict[int, int]:
    items = list(group.items())
    half = len(items) // 2
    return {
        number: rows
        for part in (items[:half], items[half:])
        for number, rows in _counted_group(api, dict(part), start_ns, end_ns).items()
    }


def _counted_stream(api: Api, selector: Selector, start_ns: int, end_ns: int) -> int:
    """As `counted`, with the lines between two parts; those at the end are `uncounted`."""
    try:
        return _counted_at_once(api, selector, start_ns, end_ns)
    except TooWide:
        if end_ns - start_ns <= SECOND:
            raise
    middle = _middle(start_ns, end_ns)
    parts = [(start_ns, middle), (middle, end_ns)]
    count = partial(_counted_groups, api, parallel=1)
    between = sum(_uncounted(api, {0: selector}, middle, 1, count).values())
    return between + sum(_counted_stream(api, selector, *part) for part in parts)


def _middle(start_ns: int, end_ns: int) -> int:
    """A full hour where there is one, for Loki's frontend cuts its work there."""
    unit = HOUR if end_ns - start_ns > HOUR else MS
    return start_ns + max(1, (end_ns - start_ns) // unit // 2) * unit


def _is_unparsed(error: Refused) -> bool:
    return bool(UNPARSED.search(str(error.parts.get("found"))))
