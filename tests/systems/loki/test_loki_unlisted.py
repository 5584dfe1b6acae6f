"""Streams about an instant that `/series` does not list, and metadata that looks like one."""

from __future__ import annotations

from typing import cast

from support.loki_days import DAY

from lake.systems.loki.reading.api import Api
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.oversized_instant import streams_around
from lake.systems.loki.reading.version import Dialect, Version


class FakeApi:
    """One listed stream, whose lines have metadata named like another stream's label."""

    dialect = Dialect(Version("3.7.6"))

    def __init__(self) -> None:
        self.labels = {f"label_{n}": "x" for n in range(10)}
        self.queries: list[str] = []

    def series(self, *_: object) -> list[dict[str, str]]:
        return [self.labels]

    def label_names(self, *_: object) -> list[str]:
        return [*self.labels, "trace"]

    def vector(self, query: str, _: int) -> list[tuple[dict[str, str], float]]:
        self.queries.append(query)
        if " by " in query:
            return [({**self.labels, "trace": f"{n}"}, 1.0) for n in range(400)]
        return [] if "trace=~" in query else [({}, 1.0)]


def test_many_values_of_metadata_named_like_a_label_take_a_query_each() -> None:
    api = FakeApi()
    selector = Selector.parse('{label_0="x"}')
    assert streams_around(cast(Api, api), selector, DAY.start_ns + 5) == [api.labels]
    assert len(api.queries) == 1 + 10 + 400
