"""Requests to the HTTP API, and the checks of its answers.

Belongs here: paths, parameters, envelopes, warnings. Does not: what to request, and less of it
where that is too much (questions), samples (answer).
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any

from lake.base.clock import utc_now
from lake.base.errors import BadData, Refused, TransientError
from lake.http.client import Http, HttpAnswer, Params, Rejected, RequestTally, shortened
from lake.systems.prometheus.config import PrometheusDataset
from lake.systems.prometheus.reading import stores
from lake.systems.prometheus.reading.plan import Window
from lake.systems.prometheus.reading.promql import is_selector, splittable

_LOG = logging.getLogger(__name__)
_MOST_BYTES = 16 << 20  # a larger answer is requested in pieces
_MOST_LISTED_BYTES = 1 << 20
_LOOK_BACK_MS = 3_600_000  # what a window's first steps see may be older; the default is 5 min
_HEAD_MS = 3_600_000  # less than the age of the head's oldest samples, but after a start
_LONGEST_URL = 2000
_MOST_ANNOTATIONS = 20
# A store of Thanos that is away must be an error, its replicas are one, and downsampled
# blocks are no samples; other servers pass over these parameters.
_THANOS = {"partial_response": "false", "dedup": "true", "max_source_resolution": "0s"}
# VictoriaMetrics' cluster, too, returns an error instead on request.
_WHOLE = {**_THANOS, "deny_partial_response": "1"}
# Caches in front of Thanos and Mimir may hold an answer from before late samples came.
_FRESH = {"Cache-Control": "no-store"}
# The engine's remarks on a query; any other warning means that data is missing.
_REMARKS = ("PromQL info:", "PromQL warning:")

# In the words of Mimir, Cortex, VictoriaMetrics and proxies: the query is right, but too large.
_TOO_MUCH = re.compile(r"(?i)exceed|too (?:many|large|long|big)|limit")


class Api:
    """Requests for one dataset; `tally` and `remarks` gather what is worth reporting."""

    def __init__(self, http: Http, dataset: PrometheusDataset, min_stores: int = 0) -> None:
        self._http = http
        self._dataset = dataset
        self._min_stores = min_stores
        self.tally = RequestTally()
        self.remarks: set[str] = set()
        self.stores = 0
        """Number of Thanos' stores at the last request."""

    def matrix(self, query: str, window: Window, **options: Any) -> HttpAnswer:
        """The body of `query_range`; its envelope is not checked yet."""
        params = {
            "query": query,
            "start": _seconds(window.start_ms),
            "end": _seconds(window.end_ms),
            "step": f"{window.step_ms}ms",
            **_WHOLE,
        }
        divisible = is_selector(query) or (window.steps > 1 and splittable(query))
        return self._ask(
            "/api/v1/query_range",
            params,
            # GET where it will do: read-only access may be limited to it.
            form=len(query) > _LONGEST_URL,
            max_bytes=_MOST_BYTES if divisible else None,
            attempts_if_slow=2 if divisible else None,
            **options,
        )

    def instant(self, query: str, at_ms: int, **options: Any) -> HttpAnswer:
        """The body of `query`; its envelope is not checked yet."""
        return self._ask(
            "/api/v1/query",
            {"query": query, "time": _seconds(at_ms), **_WHOLE},
            form=len(query) > _LONGEST_URL,
            attempts_if_slow=2,
            **options,
        )

    def range_vector(self, selector: str, window: Window, **options: Any) -> HttpAnswer:
        """The stored samples at the window's ms, and up to version 2 also at the ms before it.

        Ranges hold their first ms up to version 2 and leave it out from version 3 on.
        The envelope is not checked yet.
        """
        query = f"{selector}\n[{window.steps}ms]"
        return self.instant(query, window.end_ms, max_bytes=_MOST_BYTES, **options)

    def listed(
        self, path: str, query: str, window: Window, max_bytes: int | None = _MOST_LISTED_BYTES
    ) -> list[str]:
        """Names or values at the path for a selector in a window, and perhaps a few more."""
        params = {
            "match[]": query,
            "start": _seconds(window.start_ms - _LOOK_BACK_MS),
            "end": _seconds(window.end_ms),
            "partial_response": "false",
            "deny_partial_response": "1",
        }
        answer = self._ask(
            f"/api/v1/{path}",
            params,
            # Only GET returns values.
            form=path == "labels" and len(query) > _LONGEST_URL,
            max_bytes=max_bytes,
            attempts_if_slow=2,
        )
        return [str(name) for name in self.checked(answer.json())["data"] or ()]

    def listed_until_now(
        self, path: str, query: str, window: Window, max_bytes: int | None = _MOST_LISTED_BYTES
    ) -> list[str]:
        """The same, with what is listed now.

        Of samples that came out of order and are not in a block yet, Prometheus (2.42 to 3.16)
        lists nothing where the head has no others as old. Lists of the head's own time have them:
        they are of all its series.
        """
        names = self.listed(path, query, window, max_bytes)
        now_ms = int(utc_now().timestamp() * 1000)
        start_ms = max(window.end_ms, now_ms - _HEAD_MS)
        if start_ms < now_ms:
            recent = Window(start_ms, 2, now_ms - start_ms)
            names = sorted({*names, *self.listed(path, query, recent, max_bytes)})
        return names

    def check_stores(self, start_ms: int, end_ms: int) -> None:
        """Raises TransientError where a Thanos store that should cover the time is away."""
        try:
            answer = self._ask("/api/v1/stores", {}, attempts_if_slow=2).json()
        except (Refused, BadData):  # only Thanos has this list
            _LOG.debug("%s: no list of stores", self._dataset.name)
            listed = []
        else:
            listed = stores.listed(answer)
        self.stores = len(listed)
        stores.require(listed, self._min_stores, self.where)
        stores.refuse_holes(listed, start_ms, end_ms)

    def checked(self, envelope: Any) -> dict[str, Any]:
        """A successful and whole answer. Raises BadData, Refused, TransientError."""
        if not isinstance(envelope, dict) or "status" not in envelope:
            raise BadData(
                "not a response of Prometheus' API",
                where=self.where,
                found=shortened(repr(envelope)),
            )
        if envelope["status"] != "success" or "data" not in envelope:
            raise Refused("the query failed", where=self.where, found=envelope.get("error"))
        if envelope.get("isPartial"):  # VictoriaMetrics: some of its storage nodes are away
            raise TransientError(
                "the response is partial",
                where=self.where,
                expected='no "isPartial": true',
                found='"isPartial": true',
                remedy="check the storage nodes behind the server",
            )
        warnings = [*(envelope.get("warnings") or ()), *(envelope.get("infos") or ())]
        missing = [text for text in warnings if not text.startswith(_REMARKS)]
        if missing:
            raise TransientError(
                "the response is partial",
                where=self.where,
                expected="no warnings",
                found=shortened("; ".join(missing)),
                remedy="check the stores behind the server",
            )
        if len(self.remarks) < _MOST_ANNOTATIONS:
            self.remarks.update(warnings)
        return envelope

    def sum_of(self, answer: HttpAnswer) -> int:
        """Of a vector of whole numbers."""
        return sum(int(float(sample["value"][1])) for sample in self.result_of(answer, "vector"))

    def result_of(self, answer: HttpAnswer, kind: str) -> list[dict[str, Any]]:
        """The series or samples of a matrix or vector. Raises what `checked` raises."""
        data = self.checked(answer.json())["data"]
        if not isinstance(data, dict) or data.get("resultType") != kind:
            raise BadData(
                "not the kind of response that was requested",
                where=self.where,
                expected=f"a {kind}",
                found=shortened(repr(data)),
            )
        result: list[dict[str, Any]] = data["result"]
        return result

    def _ask(self, path: str, params: Params, *, form: bool = False, **options: Any) -> HttpAnswer:
        ask = self._http.post if form else self._http.get
        # Answers that were cut short within their framing are no JSON: requested again.
        options.setdefault("check", HttpAnswer.json)
        try:
            return ask(path, params, headers=_FRESH, tally=self.tally, **options)
        except Rejected as error:
            if error.status != 400 or _TOO_MUCH.search(error.text):
                raise
            raise Refused(
                "the server does not accept the query",
                where=self.where,
                expected="a PromQL selector or expression",
                found=_message(error.text),
                remedy=f"correct `query` of dataset {self._dataset.name!r} in lake.toml",
            ) from error

    @property
    def where(self) -> str:
        """The dataset and its query, for errors."""
        return f"dataset {self._dataset.name}: {self._dataset.query}"


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.3f}"


def _message(text: str) -> str:
    """The server's message in an error's body."""
    try:
        message = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        message = text
    return shortened(str(message))
