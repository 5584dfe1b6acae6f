"""All lines of an instant that has more of them than a page.

Belongs here: requests that return more than one page of lines of one time.
Does not: ordinary paging.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lake.base.errors import Incomplete
from lake.systems.loki.reading.api import Api, TooMany, Unordered
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.narrowing import DEEPEST, LINE, halves
from lake.systems.loki.reading.paging import HOUR, MS, lead_ns
from lake.systems.loki.reading.unlisted import labels_without_metadata, streams_with_lines

_RAISED_LIMIT = 100_000
_SAMPLE = 20  # lines of a page that is too large a message
_AROUND_NS = 1_000_000_000  # /series rounds to milliseconds, and fails on less than one


class OversizedInstant:
    """Reads single instants: with the highest limit, else stream by stream, else by the texts and
    metadata in which a stream's lines differ; these are no longer in the answer's order.
    """

    def __init__(self, api: Api, selector: Selector) -> None:
        self._api = api
        self._selector = selector

    def at(self, ts_ns: int) -> pa.Table:
        """All lines of that time. Raises Incomplete where no request returns them."""
        limit = self._api.limit
        if limit.within(_RAISED_LIMIT) > limit.usual:
            rows, _ = self._whole(self._selector, ts_ns, lead_ns(ts_ns))
            if rows is not None:
                return rows
        series = streams_around(self._api, self._selector, ts_ns)
        if not series:
            raise Incomplete(
                "Loki returns lines of an instant, but /loki/api/v1/series lists no stream of them",
                where=f"{self._selector} at {ts_ns} ns",
                expected="at least one stream",
                found="no stream",
                remedy="raise max_entries_limit_per_query in Loki's limits_config, or for this "
                "tenant",
            )
        return pa.concat_tables(
            self._of_stream(self._selector.of_stream(labels, series), ts_ns) for labels in series
        )

    def _of_stream(self, stream: Selector, ts_ns: int, depth: int = 0) -> pa.Table:
        lead = lead_ns(ts_ns)
        rows, sample = self._whole(stream, ts_ns, lead)
        if rows is not None:
            return rows
        parts = halves(stream, [_apart(row) for row in sample.to_pylist()])
        if parts is None and lead:  # all are alike, and of both times
            rows, _ = self._whole(stream, ts_ns, 0)
            if rows is not None:
                return rows
        if parts is None or depth > DEEPEST:
            raise Incomplete(
                "one stream has more lines at one instant than Loki returns in one response, and "
                "they differ in nothing that a query can select",
                where=f"{stream} at {ts_ns} ns",
                expected=f"fewer than {self._api.limit.within(_RAISED_LIMIT)} lines",
                remedy="raise max_entries_limit_per_query in Loki's limits_config, or for this "
                "tenant",
            )
        return pa.concat_tables(self._of_stream(part, ts_ns, depth + 1) for part in parts)

    def _whole(self, selector: Selector, ts_ns: int, lead: int) -> tuple[pa.Table | None, pa.Table]:
        """The lines, or None where one answer can't hold them; and some of them in any case."""
        start, end = ts_ns - lead, ts_ns + 1
        try:
            page = self._api.page(selector, start, end, _RAISED_LIMIT)
        except Unordered:  # the lead is of another part
            return self._whole(selector, ts_ns, 0)
        except TooMany:
            first = ts_ns if self._api.dialect.parts_ns else start
            return None, self._api.page(selector, first, end, _SAMPLE).rows
        if page.full:
            return None, page.rows
        return page.rows.filter(pc.equal(page.rows["ts_ns"], ts_ns)), page.rows


def _apart(row: Mapping[str, Any]) -> dict[str, str]:
    return {LINE: row["line"], **dict(row["metadata"] or ())}


def streams_around(api: Api, selector: Selector, ts_ns: int) -> list[dict[str, str]]:
    """The label sets of the streams that have lines about that time, those not listed too: at the
    time, or in the lead before it, which may have filled the page.

    Not beyond a full hour: Loki's frontend splits the request at midnight, by default, and
    leaves out the last millisecond before.
    """
    end_ns = min(ts_ns + _AROUND_NS, (ts_ns // HOUR + 1) * HOUR)
    streams = api.series(selector, ts_ns - _AROUND_NS, end_ns)
    span = (ts_ns - lead_ns(ts_ns)) // MS * MS, (ts_ns // MS + 1) * MS
    counted: dict[str, bool] = {}
    for metric in streams_with_lines(api, selector, *span):
        if metric not in streams:
            labels = labels_without_metadata(api, selector, metric, *span, counted)
            if labels not in streams:
                streams.append(labels)
    return streams
