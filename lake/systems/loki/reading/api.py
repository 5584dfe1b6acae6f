"""Loki's HTTP API: one request, its answer, and the meaning of its errors.

Belongs here: paths, parameters, the texts of Loki's errors.
Does not: which requests to send, and in what order.

Above what lake.http raises:
TooWide     the time range is too long for the server: request a shorter one
Unparsed    the query is too long for the server: request less in one
Unordered   lines may be missing between those of the page: request it up to a part's end
TooMany     the page is too large a message: request fewer lines
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lake.base.errors import BadData, LakeError, PermanentError, Refused, TransientError
from lake.http.client import Http, HttpAnswer, Overloaded, Rejected, RequestTally, TooLarge
from lake.systems.loki.reading.answer import (
    Mixed,
    Resolve,
    Streams,
    categorizes,
    data_of,
    mixed_rows,
    rows_of,
)
from lake.systems.loki.reading.config import LokiConfig
from lake.systems.loki.reading.limit import Limit
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.remedies import remedy_for
from lake.systems.loki.reading.version import Dialect

_LOG = logging.getLogger(__name__)
_PAGE_BYTES = 16 << 20  # of one answer, which stands in memory as a whole
_SERIES_BYTES = 256 << 20  # a million streams
_LONG_QUERY = 2000  # characters; longer ones do not go into a URL
INDEX_LABEL = "__name__"  # of the older index itself, no stream's
_CAP = re.compile(r"max_entries_limit(?:_per_query)? \(\d+ > (\d+)\)")
_TOO_WIDE = re.compile(
    "would read too many bytes|too large to execute|time range exceeds the limit|deadline exceeded"
)
_TOO_MANY = re.compile("larger than (the )?max|ResourceExhausted")
_SIZES = re.compile(r"\((\d+) vs\.? (\d+)\)")
UNPARSED = re.compile("parse error")
_TOO_MANY_SERIES = re.compile(r"maximum (number )?of series")
_FRESH = {"Cache-Control": "no-cache"}  # Loki caches counts, and that there was nothing
NARROWEST_NS = 1_000_000_000
"""Shorter time ranges are not split."""
_SLOW_ATTEMPTS = 2  # after the first one
_CATEGORIZED = {"X-Loki-Response-Encoding-Flags": "categorize-labels", **_FRESH}


class TooWide(TransientError):
    """The server may answer for a shorter time range."""


class Unparsed(TooWide):
    """The server fails to parse a long query, or its own copy of one, and parses it in two parts.

    Loki up to 2.8 may lose characters of a query at each 1,024th, 2.6 and 2.8 with status 500.
    """


class Unordered(TooWide):
    """A full page has lines of several parts of a split query: earlier ones may be missing.

    Parts end at multiples of `parts_ns`.
    """

    def __init__(self, parts_ns: int) -> None:
        super().__init__(
            "the first lines of a split query may not be the earliest",
            expected=f"lines of one part of {parts_ns} ns",
        )
        self.parts_ns = parts_ns


class TooMany(PermanentError):
    """The server may answer with fewer lines or series: an estimated `times` fewer."""

    def __init__(self, what: str, *, times: float = 2.0, **parts: Any) -> None:
        super().__init__(what, **parts)
        self.times = times


@dataclass(frozen=True)
class Page:
    """Lines, and the requested limit: a page of that length may not be all."""

    rows: pa.Table
    limit: int

    @property
    def full(self) -> bool:
        """Whether there may be more."""
        return int(self.rows.num_rows) >= self.limit


class Api:
    """Requests of one task; safe to use from several threads.

    `limit` and `dialect` outlive it: the server's limits and features are detected once.
    """

    def __init__(self, http: Http, limit: Limit, dialect: Dialect | None = None) -> None:
        self._http = http
        self.limit = limit
        self.dialect = dialect or Dialect()
        self.streams = Streams()
        self.tally = RequestTally()

    def page(self, selector: Selector, start_ns: int, end_ns: int, limit: int) -> Page:
        """The first lines of [start, end), all that share a time in one stream in their order.

        Raises TooWide, Unordered, TooMany, and what the head of this module names.
        """
        while True:
            most = self.limit.within(limit)
            params = {
                "query": str(selector),
                "start": str(start_ns),
                "end": str(end_ns),
                "limit": str(most),
                "direction": "forward",
            }
            try:
                smallest = end_ns - start_ns <= NARROWEST_NS
                answer = self._ask("query_range", params, _CATEGORIZED, smallest=smallest)
            except Rejected as error:
                cap = _CAP.search(error.text)
                if cap is None or int(cap[1]) >= most:
                    raise _explained(error, str(selector)) from None
                _LOG.info("loki: max_entries_limit_per_query is %s lines", cap[1])
                self.limit.learn(int(cap[1]))
                continue
            rows = self._rows(answer)
            _check(answer, rows, start_ns, end_ns, most)
            page = Page(rows, most)
            check_order(page, start_ns, self.dialect.parts_ns)
            return page

    def resolving(self, resolve: Resolve) -> Api:
        """The same for answers that mix labels and metadata: `resolve` separates them."""
        return _ResolvingApi(self, resolve)

    def _rows(self, answer: HttpAnswer) -> pa.Table:
        try:
            rows = rows_of(answer, self.streams)
        except Mixed:
            self.dialect.learn(categorized=False)
            raise
        if rows.num_rows or categorizes(answer):
            self.dialect.learn(categorized=True)
        return rows

    def vector(
        self, query: str, at_ns: int, *, smallest: bool = False
    ) -> list[tuple[dict[str, str], float]]:
        """An instant query's series, each with its value; never from a cache.

        `smallest`: the query can't be split, so it is repeated after a timeout.
        """
        params = {"query": query, "time": str(at_ns)}
        result = data_of(self._metric("query", params, smallest=smallest), "vector")
        return [(series["metric"], float(series["value"][1])) for series in result]

    def sum_at_steps(self, query: str, start_ns: int, end_ns: int, step_s: int) -> dict[int, int]:
        """A `sum()` at start, start + step, …: second since the epoch → value.

        Start has to be a multiple of the step; where there is nothing to sum up, no value.
        """
        params = {
            "query": query,
            "start": str(start_ns),
            "end": str(end_ns),
            "step": f"{step_s}s",
        }
        result = data_of(self._metric("query_range", params), "matrix")
        return {int(at): int(float(value)) for s in result for at, value in s["values"]}

    def series(self, selector: Selector, start_ns: int, end_ns: int) -> list[dict[str, str]]:
        """The label sets of the streams; the range has to be some milliseconds long."""
        params = {"match[]": selector.matchers, "start": str(start_ns), "end": str(end_ns)}
        try:
            with _translated():
                body = self._send("series", params, {}, max_bytes=_SERIES_BYTES).json()
        except Rejected as error:
            raise _explained(error, selector.matchers) from None
        streams = body.get("data", []) if isinstance(body, dict) else None
        if not isinstance(streams, list):
            raise BadData(
                "the response has no list of series", where=self._http.url("/loki/api/v1/series")
            )
        return sorted(streams, key=lambda labels: sorted(labels.items()))

    def label_names(self, start_ns: int, end_ns: int) -> list[str]:
        """Those of all streams of [start, end), two midnights; perhaps of a few more.

        Loki leaves out the last millisecond before `end`, unless that is a midnight, at which
        the frontend splits these requests; then it must not be later.
        """
        params = {"start": str(start_ns), "end": str(end_ns)}
        with _translated():
            body = self._send("labels", params, _FRESH).json()
        names = body.get("data", []) if isinstance(body, dict) else None
        if not isinstance(names, list):
            raise BadData(
                "the response has no list of labels", where=self._http.url("/loki/api/v1/labels")
            )
        own = set() if self.dialect.version.categorizes else {INDEX_LABEL}
        return sorted(set(names) - own)

    def configuration(self) -> LokiConfig:
        """Loki's configuration with the tenants' overrides, as far as its pages show it.

        A gateway may hide those pages; that is not an error.
        """
        return LokiConfig.parse(*map(self._page_text, ("/config", "/runtime_config")))

    def _page_text(self, path: str) -> str:
        try:
            answer = self._http.get(path, attempts=2, max_bytes=_PAGE_BYTES, tally=self.tally)
        except LakeError as error:
            _LOG.info("loki: %s is not available: %s", path, error.what)
            return ""
        return answer.content.decode("utf-8", "replace")

    def limits(self, tenant: str) -> Mapping[str, Any]:
        """A tenant's limits, as Loki reports them from 3.5 on; empty where it does not."""
        try:
            body = self._http.get(
                "/loki/api/v1/drilldown-limits",
                # Required even without tenants; "fake" is Loki's name for that tenant.
                headers={"X-Scope-OrgID": tenant or "fake"},
                attempts=2,
                tally=self.tally,
            ).json()
        except LakeError as error:  # an older Loki, or a gateway that hides it or fails at it
            _LOG.info("loki: the tenant's limits are not available: %s", error.what)
            return {}
        limits = body.get("limits")
        return limits if isinstance(limits, dict) else {}

    def _metric(self, name: str, params: dict[str, str], *, smallest: bool = False) -> HttpAnswer:
        try:
            return self._ask(name, params, _FRESH, smallest=smallest)
        except Rejected as error:
            raise _explained(error, params["query"]) from None

    def _ask(
        self,
        name: str,
        params: dict[str, str],
        headers: Mapping[str, str],
        *,
        smallest: bool = False,
    ) -> HttpAnswer:
        with _translated():
            return self._send(name, params, headers, smallest=smallest)

    def _send(
        self,
        name: str,
        params: dict[str, str],
        headers: Mapping[str, str],
        *,
        smallest: bool = False,
        max_bytes: int = _PAGE_BYTES,
    ) -> HttpAnswer:
        """Retries failures that a retry can fix, but not those that a smaller request fixes."""
        path = f"/loki/api/v1/{name}"
        long = sum(map(len, params.values())) > _LONG_QUERY
        send = self._http.post if long else self._http.get
        options: dict[str, Any] = {
            "headers": headers, "max_bytes": max_bytes, "tally": self.tally
        }  # fmt: skip
        try:
            return send(path, params, attempts=1, **options)
        except Overloaded as error:
            slow = error.status in (None, 504)
            mended = _TOO_MANY.search(error.text) or UNPARSED.search(error.text)
            if (slow and not smallest) or mended:
                raise
            if slow:
                options["attempts"] = _SLOW_ATTEMPTS
            _LOG.info("loki: %s; trying again", error.what)
        except TransientError as error:
            _LOG.info("loki: %s; trying again", error.what)
        return send(path, params, **options)


class _ResolvingApi(Api):
    """Shares everything with the Api that it was made of."""

    def __init__(self, api: Api, resolve: Resolve) -> None:
        super().__init__(api._http, api.limit, api.dialect)
        self.streams, self.tally = api.streams, api.tally
        self._resolve = resolve

    def _rows(self, answer: HttpAnswer) -> pa.Table:
        metadata = self.dialect.version.knows_metadata
        return mixed_rows(answer, self._resolve, metadata=metadata)


@contextmanager
def _translated() -> Iterator[None]:
    """Turns errors that a smaller request fixes into TooMany and TooWide."""
    try:
        yield
    except (TooLarge, Overloaded, Rejected) as error:
        parts: dict[str, Any] = error.parts
        text = getattr(error, "text", "")
        if isinstance(error, TooLarge) or _TOO_MANY.search(text):
            raise TooMany(error.what, times=_times_too_large(text), **parts) from None
        if isinstance(error, Rejected) and _TOO_MANY_SERIES.search(text):
            raise TooMany(error.what, **parts) from None
        if isinstance(error, Overloaded) and UNPARSED.search(text):
            raise Unparsed(error.what, **parts) from None
        wide = _TOO_WIDE.search(text) or isinstance(error, Overloaded)
        if wide and getattr(error, "status", None) != 429:
            raise TooWide(error.what, **parts) from None
        raise


def _times_too_large(text: str) -> float:
    """From gRPC's `(15418233 vs. 4194304)`, with a margin."""
    sizes = _SIZES.search(text)
    return max(2.0, 1.1 * int(sizes[1]) / int(sizes[2])) if sizes else 2.0


def _explained(error: Rejected, query: str) -> Refused:
    return Refused(
        "Loki rejects the query",
        where=error.parts.get("where"),
        expected="a log selector in LogQL",
        found=f"{error.text.strip()} (query: {query})",
        remedy=remedy_for(error.text),
    )


def check_order(page: Page, start_ns: int, parts_ns: int) -> None:
    """Raises Unordered. Before Loki 2.5 parts are counted from the query's start.

    No line is missing where all are of one part: that part alone has filled the page.
    """
    if parts_ns and page.full and page.rows.num_rows:
        times = page.rows["ts_ns"].to_numpy()
        first, last = int(times.min()), int(times.max())
        for origin in (0, start_ns):
            if (first - origin) // parts_ns != (last - origin) // parts_ns:
                raise Unordered(parts_ns)


def _check(answer: HttpAnswer, rows: pa.Table, start_ns: int, end_ns: int, limit: int) -> None:
    """Paging relies on this."""
    times = rows["ts_ns"].to_numpy()
    if rows.num_rows > limit or (
        rows.num_rows and not (start_ns <= times.min() and times.max() < end_ns)
    ):
        raise BadData(
            "the response has lines outside the requested range or beyond the limit",
            where=answer.url,
            expected=f"at most {limit} lines of [{start_ns}, {end_ns})",
            found=f"{rows.num_rows} lines of [{times.min()}, {times.max()}]",
        )
