"""The questions that the HTTP API is asked, and whether an answer may be believed.

Belongs here: paths, parameters, envelopes, warnings, asking again for less.
Does not: samples (answer), cutting a day by plan (plan).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from lake.base.datasets import PrometheusDataset
from lake.base.errors import BadData, Refused, TransientError
from lake.sources.http import Answer, Http, Overloaded, Params, Rejected, Tally, TooLarge, shortened
from lake.sources.prometheus.plan import MAX_STEPS, Window, of_metrics, splittable

_LOG = logging.getLogger(__name__)
_MOST_BYTES = 32 << 20  # a larger answer is asked for in halves
_LONGEST_URL = 2000
_MOST_ANNOTATIONS = 20
_HOUR_MS = 3_600_000
_TERMS = 20  # of a sum over metrics
# A store of Thanos that is away must be an error, its replicas are one, and downsampled
# blocks are no samples; other servers pass over these parameters.
_THANOS = {"partial_response": "false", "dedup": "true", "max_source_resolution": "0s"}
# Caches in front of Thanos and Mimir may hold an answer from before late samples came.
_FRESH = {"Cache-Control": "no-store"}
# The engine's remarks on a query; whatever else is a warning says that data is missing.
_REMARKS = ("PromQL info:", "PromQL warning:")

Result = TypeVar("Result")


class Questions:
    """One dataset's questions; `tally` and `remarks` gather what is worth telling."""

    def __init__(self, http: Http, dataset: PrometheusDataset) -> None:
        self._http = http
        self._dataset = dataset
        self.tally = Tally()
        self.remarks: set[str] = set()

    def in_parts(self, window: Window, ask: Callable[[Window], Result]) -> list[Result]:
        """The answers for a window, halved as long as the server or we can't bear it."""
        try:
            return [ask(window)]
        except (TooLarge, Rejected, Overloaded) as error:
            if window.steps == 1 or not _less_may_help(error):
                raise
            self.check_splittable()
            _LOG.info("%s: asking for less: %s", self._dataset.name, error.what)
        first, second = window.halves()
        return [*self.in_parts(first, ask), *self.in_parts(second, ask)]

    def check_splittable(self) -> None:
        """Raises Refused where parts of a day would not add up."""
        if not splittable(self._dataset.query):
            raise Refused(
                "a query with @ start() or @ end() can't be asked in parts, but has to be",
                where=self._where,
                found=self._dataset.query,
                remedy="name the time itself, or choose a larger step",
            )

    def matrix(self, query: str, window: Window) -> Answer:
        """The body of `query_range`; its envelope is not checked yet."""
        params = {
            "query": query,
            "start": _seconds(window.start_ms),
            "end": _seconds(window.end_ms),
            "step": f"{window.step_ms}ms",
            **_THANOS,
        }
        halvable = window.steps > 1 and splittable(self._dataset.query)
        return self._ask(
            "/api/v1/query_range",
            params,
            # GET where it will do: read-only access may be limited to it.
            form=len(query) > _LONGEST_URL,
            max_bytes=_MOST_BYTES if halvable else None,
            attempts_if_slow=2 if halvable else None,
        )

    def _instant(self, query: str, at_ms: int, *, max_bytes: int | None = None) -> Answer:
        return self._ask(
            "/api/v1/query",
            {"query": query, "time": _seconds(at_ms), **_THANOS},
            form=len(query) > _LONGEST_URL,
            max_bytes=max_bytes,
            attempts_if_slow=2,
        )

    def range_vector(self, selector: str, window: Window) -> Answer:
        """The stored samples at the window's ms, and up to version 2 also at the ms before it.

        Ranges hold their first ms up to version 2 and leave it out from version 3 on.
        The envelope is not checked yet.
        """
        query = f"{selector}\n[{window.steps}ms]"
        return self._instant(query, window.end_ms, max_bytes=_MOST_BYTES)

    def stored(self, day: Window) -> int:
        """How many samples the day's ms have: PromQL's own count of them."""
        # The bounds of this range are two steps; a version that leaves one out counts 1.
        probe = self._instant("count_over_time(vector(1)[1s:1s])", day.start_ms)
        surplus_ms = self._sum(probe) - 1

        def over(part: Window, selector: str) -> str:
            return f"{selector}\n[{max(1, part.steps - surplus_ms)}ms]"

        def names(part: Window) -> list[dict[str, Any]]:
            query = f"count by (__name__) (last_over_time({over(part, self._dataset.query)}))"
            return self._result(self._instant(query, part.end_ms), "vector")

        found = {
            series["metric"].get("__name__", "")
            for answer in self.in_parts(day, names)
            for series in answer
        }
        # One metric a term: without its name, which the function drops, series could be equal.
        selectors = sorted({of_metrics(self._dataset.query, [name]) for name in found})

        def ask(part: Window, group: list[str]) -> int:
            terms = [f"(sum(count_over_time({over(part, one)})) or vector(0))" for one in group]
            return self._sum(self._instant(" + ".join(terms), part.end_ms))

        groups = [selectors[i : i + _TERMS] for i in range(0, len(selectors), _TERMS)]
        return sum(
            count for group in groups for count in self.in_parts(day, partial(ask, group=group))
        )

    def total(self, day: Window) -> int:
        """How many samples all steps of the day give: PromQL's own count of each step."""
        parts = list(day.parts(MAX_STEPS))
        if len(parts) > 1:
            self.check_splittable()
        series = [
            found
            for part in parts
            for answer in self.in_parts(part, lambda part: self._counts("", part))
            for found in answer
        ]
        return sum(int(float(value)) for found in series for _, value in found["values"])

    def sizes(self, day: Window) -> dict[str, int]:
        """About how many series each metric has (`""`: without a name), looked at hourly."""
        step_ms = max(_HOUR_MS, day.step_ms)
        hourly = Window(day.start_ms, (day.end_ms - day.start_ms) // step_ms + 1, step_ms)
        sizes: dict[str, int] = {}
        for answer in self.in_parts(hourly, lambda part: self._counts("by (__name__) ", part)):
            for found in answer:
                name = found["metric"].get("__name__", "")
                most = max(int(float(value)) for _, value in found["values"])
                sizes[name] = max(most, sizes.get(name, 0))
        return sizes

    def metric_names(self, start_ms: int, end_ms: int) -> list[str]:
        """All that the selector matches in that time, and perhaps a few more."""
        answer = self._ask(
            "/api/v1/label/__name__/values",
            {
                "match[]": self._dataset.query,
                "start": _seconds(start_ms),
                "end": _seconds(end_ms),
                "partial_response": "false",
            },
        )
        return [str(name) for name in self.checked(answer.json())["data"] or ()]

    def check_stores(self, start_ms: int, end_ms: int) -> None:
        """Raises TransientError where a Thanos store that should know the time is away.

        Without this its samples would be missing and no warning would say so.
        """
        try:
            answer = self._ask("/api/v1/stores", {}, attempts_if_slow=2).json()
        except (Refused, BadData):  # only Thanos has this list
            _LOG.debug("%s: no list of stores", self._dataset.name)
            return
        for store in _stores(answer):
            if store.get("lastError") and (
                store.get("minTime", start_ms) < end_ms and store.get("maxTime", end_ms) >= start_ms
            ):
                raise TransientError(
                    "a store of Thanos is away, so the answer would have holes",
                    where=store.get("name"),
                    found=store["lastError"],
                    remedy="bring the store back, or take it out of Thanos Query",
                )

    def checked(self, envelope: Any) -> dict[str, Any]:
        """A successful and whole answer. Raises BadData, Refused, TransientError."""
        if not isinstance(envelope, dict) or "status" not in envelope:
            raise BadData(
                "not an answer of Prometheus' API",
                where=self._where,
                found=shortened(repr(envelope)),
            )
        if envelope["status"] != "success" or "data" not in envelope:
            raise Refused("the query failed", where=self._where, found=envelope.get("error"))
        warnings = [*(envelope.get("warnings") or ()), *(envelope.get("infos") or ())]
        missing = [text for text in warnings if not text.startswith(_REMARKS)]
        if missing:
            raise TransientError(
                "the answer is partial",
                where=self._where,
                expected="no warnings",
                found=shortened("; ".join(missing)),
                remedy="look at the stores behind the server",
            )
        if len(self.remarks) < _MOST_ANNOTATIONS:
            self.remarks.update(warnings)
        return envelope

    def _counts(self, grouping: str, window: Window) -> list[dict[str, Any]]:
        try:
            answer = self.matrix(f"count {grouping}({self._dataset.query}\n)", window)
        except Refused as error:
            # A number is no vector, which is what count takes.
            if "scalar" not in error.parts.get("found", ""):
                raise
            answer = self.matrix(f"count {grouping}(vector({self._dataset.query}\n))", window)
        return self._result(answer, "matrix")

    def _sum(self, answer: Answer) -> int:
        return sum(int(float(one["value"][1])) for one in self._result(answer, "vector"))

    def _result(self, answer: Answer, kind: str) -> list[dict[str, Any]]:
        data = self.checked(answer.json())["data"]
        if not isinstance(data, dict) or data.get("resultType") != kind:
            raise BadData(
                "not the kind of answer that was asked for",
                where=self._where,
                expected=f"a {kind}",
                found=shortened(repr(data)),
            )
        found: list[dict[str, Any]] = data["result"]
        return found

    def _ask(self, path: str, params: Params, *, form: bool = False, **options: Any) -> Answer:
        ask = self._http.post if form else self._http.get
        try:
            return ask(path, params, headers=_FRESH, tally=self.tally, **options)
        except Rejected as error:
            if error.status != 400:
                raise
            raise Refused(
                "the server does not accept the query",
                where=self._where,
                expected="a PromQL selector or expression",
                found=_message(error.text),
                remedy=f"correct `query` of dataset {self._dataset.name!r} in lake.toml",
            ) from error

    @property
    def _where(self) -> str:
        return f"dataset {self._dataset.name}: {self._dataset.query}"


def _less_may_help(error: TooLarge | Rejected | Overloaded) -> bool:
    if isinstance(error, Rejected):
        return error.status in (413, 422)
    return not (isinstance(error, Overloaded) and error.status == 429)


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.3f}"


def _message(text: str) -> str:
    """What the server says in an error's body."""
    try:
        said = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        said = text
    return shortened(str(said))


def _stores(answer: Any) -> list[Mapping[str, Any]]:
    """Of all kinds, as Thanos lists them."""
    kinds = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(kinds, dict):
        return []
    return [store for stores in kinds.values() for store in stores or ()]
