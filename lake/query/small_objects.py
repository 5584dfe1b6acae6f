"""Many small objects of a folder on S3, one or a few for each day, read in parallel.

Belongs here: which are read by a pattern and which by name. Does not: what they hold, caches.

For an object that is named DuckDB sends a HEAD and a GET; for those of a pattern one LIST and the
GETs, one after the other. A pattern has ten days: enough to save requests, and few enough for a
quarter to keep all connections busy.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import duckdb

from lake.query.kinds import quoted_text
from lake.query.tables import without_patterns

CONNECTIONS = 16  # at once, to S3
ESCAPED = re.compile(r"[&<>\"']")  # in S3's listings, which DuckDB does not take back
FEW = 3 * CONNECTIONS  # objects that are read by name in less time than a pattern's ten GETs
_PATTERN_BYTES = 16 << 20  # the result of a pattern is in memory
_DAY = re.compile(r"(.*)(\d{4}-\d\d-\d)(\d.*)", re.DOTALL)

Connected = Callable[[], duckdb.DuckDBPyConnection]


def read_small(
    connected: Connected, sizes: Mapping[str, int], held: Collection[str], by_name: int = FEW
) -> Iterator[tuple[str, bytes]]:
    """URL and content of each object of `sizes`; all are in one folder. `held` are the URLs of
    those and the others there, which a pattern would read as well. Up to `by_name` objects are
    read by name: the quicker way if other folders are not read at the same time, with more
    requests.

    Raises duckdb.Error.
    """
    if not sizes:
        return
    connected()  # before the threads, each of which would connect
    patterns = list(_patterns(sizes, held, by_name))
    by_tail = {_tail(url): url for url in sizes}
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for part in pool.map(lambda pattern: _matching(connected, pattern), patterns):
            for file, content in part:
                if url := by_tail.pop(_tail(file), None):
                    yield url, content
        # Those that are in no pattern, or are gone since the listing: then this read raises.
        rest = list(by_tail.values())
        parts = [rest[n::CONNECTIONS] for n in range(CONNECTIONS)]
        for part in pool.map(lambda urls: _named(connected, urls), parts):
            for file, content in part:
                yield by_tail[_tail(file)], content


def _patterns(sizes: Mapping[str, int], held: Collection[str], by_name: int) -> Iterator[str]:
    """Those of which most is wanted."""
    if len(sizes) <= by_name or any(ESCAPED.search(url) for url in sizes):
        return
    there: dict[tuple[str, str], int] = defaultdict(int)
    for url in held:
        there[_ten(url)] += 1
    wanted: dict[tuple[str, str], list[int]] = defaultdict(list)
    for url, size in sizes.items():
        wanted[_ten(url)].append(size)
    for (before, after), those in wanted.items():
        most = 2 * len(those) > there[before, after]
        if before and most and len(those) > 1 and sum(those) <= _PATTERN_BYTES:
            yield f"{without_patterns(before)}[0-9]{without_patterns(after)}"


def _ten(url: str) -> tuple[str, str]:
    """What stands before and after the last digit of the day; ("", "") without a day."""
    match = _DAY.fullmatch(url)
    return (match[1] + match[2], match[3][1:]) if match else ("", "")


def _tail(url: str) -> str:
    """What distinguishes an object of the folder; a listing may spell a root otherwise."""
    match = _DAY.fullmatch(url)
    return match[2] + match[3] if match else url.rpartition("/")[2]


def _matching(connected: Connected, pattern: str) -> list[tuple[str, bytes]]:
    """Nothing where an object is replaced or removed meanwhile: those are read by name."""
    try:
        return _read(connected, quoted_text(pattern))
    except duckdb.IOException:
        return []


def _named(connected: Connected, urls: Sequence[str]) -> list[tuple[str, bytes]]:
    if not urls:
        return []
    listed = ", ".join(quoted_text(without_patterns(url)) for url in urls)
    return _read(connected, f"[{listed}]")


def _read(connected: Connected, files: str) -> list[tuple[str, bytes]]:
    query = f"SELECT filename, content FROM read_blob({files})"  # noqa: S608
    return connected().cursor().execute(query).fetchall()
