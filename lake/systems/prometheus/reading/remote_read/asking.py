"""Whether a server has remote read, and its answers for a day.

Belongs here: requests, which of them together make a day. Does not: what is in the answers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

from lake.base.day import Day
from lake.base.errors import BadData, ConfigError, Refused
from lake.http.client import Http, HttpAnswer, NoSuchPath, Overloaded, Rejected, TooLarge
from lake.systems.labels import metric_bucket
from lake.systems.prometheus.config import PrometheusDataset
from lake.systems.prometheus.reading.api import Api
from lake.systems.prometheus.reading.plan import Window
from lake.systems.prometheus.reading.promql import (
    NAME,
    Matcher,
    NoSelector,
    literally,
    matchers,
    name_in_path,
)
from lake.systems.prometheus.reading.remote_read import label_sets
from lake.systems.prometheus.reading.remote_read.request import HEADERS, PATH, SAMPLED, read_request
from lake.systems.prometheus.reading.remote_read.stream import Spool, Spooler, Unavailable

_MAX_NAMES = 32  # metrics of one request: what is repeated when an answer breaks off
_FRESH = {"Cache-Control": "no-store"}


class RemoteRead:
    """One dataset's remote read on a server that has it; made by `open`."""

    def __init__(
        self,
        http: Http,
        api: Api,
        dataset: PrometheusDataset,
        own_matchers: Sequence[Matcher],
    ) -> None:
        self._http = http
        self._api = api
        self._dataset = dataset
        self._own_matchers = tuple(own_matchers)
        self.streamed = True
        self.external: dict[str, str] = {}
        self._external_known = True

    @classmethod
    def open(cls, http: Http, api: Api, dataset: PrometheusDataset, day: Day) -> RemoteRead:
        """Raises ConfigError where the query is no selector, Unavailable, what HTTP raises."""
        try:
            own_matchers = matchers(dataset.query)
        except NoSelector as error:
            raise ConfigError(
                "mode raw takes the stored samples of one selector, and nothing else",
                where=f"dataset {dataset.name}: {dataset.query}",
                expected='a selector such as up{job="x"}, without offset, @ and range',
                found=error,
                remedy='correct `query` in lake.toml, or use mode = "range" for an expression',
            ) from None
        opened = cls(http, api, dataset, own_matchers)
        opened.streamed = opened._probe(day)
        opened.external = opened._external_labels(day)
        return opened

    def fetch(self, day: Day, names: Sequence[str], scratch: Path) -> list[Spool]:
        """All answers for the day, in files. `names`: the metrics that the query matches."""
        numbers = count()

        def fetch(of_names: Sequence[str], start_ms: int, end_ms: int) -> list[Spool]:
            path = scratch / f"{next(numbers)}.read"
            try:
                return [self._spooled(self._matchers(of_names), start_ms, end_ms, path)]
            except (TooLarge, Overloaded, Rejected) as error:
                path.unlink(missing_ok=True)
                if start_ms == end_ms or (isinstance(error, Overloaded) and error.status == 429):
                    raise
            middle = (start_ms + end_ms) // 2
            if len(of_names) > 1:
                half = len(of_names) // 2
                parts = [(part, start_ms, end_ms) for part in (of_names[:half], of_names[half:])]
            else:
                parts = [(of_names, start_ms, middle), (of_names, middle + 1, end_ms)]
            return [spool for part in parts for spool in fetch(*part)]

        with ThreadPoolExecutor(self._http.max_parallel, "remote-read") as pool:
            try:
                requests = [
                    pool.submit(fetch, group, day.start_ms, day.end_ms - 1)
                    for group in _groups(names)
                ]
                return [spool for future in requests for spool in future.result()]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _spooled(
        self, conditions: Sequence[Matcher], start_ms: int, end_ms: int, path: Path
    ) -> Spool:
        spooler = Spooler(path, self._http.url(PATH))
        try:
            self._post(conditions, start_ms, end_ms, spooler, attempts_if_slow=2)
        finally:
            spooler.close()
        return spooler.spool

    def _post(
        self,
        conditions: Sequence[Matcher],
        start_ms: int,
        end_ms: int,
        spooler: Spooler,
        **options: Any,
    ) -> HttpAnswer:
        body = read_request(conditions, start_ms, end_ms, streamed=self.streamed)
        tally = self._api.tally
        return self._http.request(
            "POST", PATH, data=body, headers=HEADERS, tally=tally, sink=spooler, **options
        )

    def _matchers(self, names: Sequence[str]) -> tuple[Matcher, ...]:
        if not names:
            return self._own_matchers
        either = "|".join(map(literally, names))
        return (*self._own_matchers, Matcher(NAME, "=~", either))

    def _probe(self, day: Day) -> bool:
        """Whether answers come as chunks. Raises Unavailable."""
        spooler = Spooler(Path("/dev/null"), self._http.url(PATH))
        try:
            # One millisecond: what counts is who answers.
            self._post(self._own_matchers, day.start_ms, day.start_ms, spooler, attempts_if_slow=3)
        except (Refused, BadData) as error:
            raise Unavailable(error.parts.get("found", error.what)) from error
        except Overloaded as error:
            if error.status != 501:
                raise
            raise Unavailable(error.parts.get("found", error.what)) from error
        finally:
            spooler.close()
        return spooler.spool.form != SAMPLED

    def _external_labels(self, day: Day) -> dict[str, str]:
        try:
            config = self._data("/api/v1/status/config", {})["yaml"]
            external = label_sets.external_labels(str(config))
            own = {
                name: self._listed(f"label/{name_in_path(name)}/values", day) for name in external
            }
            label_sets.check_clear(external, self._own_matchers, own)
        except (NoSuchPath, Rejected):
            self._external_known = False
            return {}  # not Prometheus itself: nothing there adds labels
        except (Refused, label_sets.Unclear) as error:
            raise Unavailable(f"external labels: {error}") from error
        return external

    def check_names(self, names: Collection[str], day: Day) -> None:
        """Raises Unavailable where labels were added that the query API lacks."""
        if self._external_known:
            return
        if added := sorted(set(names) - set(self._listed("labels", day))):
            raise Unavailable(f"it adds labels that the query API lacks: {added}")

    def _listed(self, path: str, day: Day) -> list[str]:
        window = Window(day.start_ms, 2, day.end_ms - day.start_ms)
        return self._api.listed_until_now(path, self._dataset.query, window, None)

    def _data(self, path: str, params: dict[str, str]) -> Any:
        answer = self._http.get(path, params, headers=_FRESH, tally=self._api.tally)
        return self._api.checked(answer.json())["data"]


def _groups(names: Sequence[str]) -> list[list[str]]:
    """Neighbours in the order of series' ids; a bucket of ids is in one group."""
    ordered = sorted({"", *names}, key=lambda name: (metric_bucket(name), name))
    groups: list[list[str]] = []
    last = None
    for name in ordered:
        bucket = metric_bucket(name)
        if not groups or (len(groups[-1]) >= _MAX_NAMES and bucket != last):
            groups.append([])
        groups[-1].append(name)
        last = bucket
    return groups
