"""What a reader has to find out about a day, each in as many requests as it takes.

Belongs here: requesting less, by time or label; counts, sizes, names. Does not: requests (api),
samples (answer), cutting a day by plan (plan).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from lake.base.errors import BadData, Refused
from lake.http.client import Http, Overloaded, Rejected, TooLarge
from lake.systems.prometheus.config import PrometheusDataset
from lake.systems.prometheus.reading.api import Api
from lake.systems.prometheus.reading.narrowing import Piece, pieces
from lake.systems.prometheus.reading.plan import MAX_STEPS, Window
from lake.systems.prometheus.reading.promql import (
    is_selector,
    matcher,
    name_in_path,
    name_of,
    narrowed,
    of_metrics,
    replacement,
    splittable,
)

_LOG = logging.getLogger(__name__)
_PIECES = 4  # of what is too much, by label
_MOST_CUTS = 8  # by one label after the other, even if a server lists the same ones again
_UNKNOWN_SERIES = 1_000_000  # of a metric that can't even be counted
_LOOKED_AT_EVERY_MS = 6 * 3_600_000
_TERMS = 20  # of a sum over metrics

Result = TypeVar("Result")


class DayQuestions:
    """One dataset's questions."""

    def __init__(self, http: Http, dataset: PrometheusDataset, min_stores: int = 0) -> None:
        self.api = Api(http, dataset, min_stores)
        self._dataset = dataset

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

    def covered(
        self,
        query: str,
        window: Window,
        ask: Callable[[str, Window], Result],
        *,
        cuts: int = _MOST_CUTS,
    ) -> list[Result]:
        """The answers for a selector and a window, each in pieces as small as need be.

        By metric name, then by label, then by time: what the server or we can't bear.
        """
        try:
            return [ask(query, window)]
        except (TooLarge, Rejected, Overloaded) as error:
            if not _less_may_help(error):
                raise
            whole = Piece(query, _PIECES * 1000)
            parts = pieces(self, whole, window, whole.series // _PIECES) if cuts else []
            if not parts and window.steps == 1:
                raise
            if not parts:
                self.check_splittable()
            _LOG.info("%s: asking for less: %s", self._dataset.name, error.what)
        if parts:
            covered = (self.covered(part.query, window, ask, cuts=cuts - 1) for part in parts)
            return [answer for answers in covered for answer in answers]
        # What no label separates now, none will in less time.
        return [
            result for half in window.halves() for result in self.covered(query, half, ask, cuts=0)
        ]

    def check_splittable(self) -> None:
        """Raises Refused where parts of a day would not add up."""
        if not splittable(self._dataset.query):
            raise Refused(
                "a query with @ start() or @ end() can't be split in parts, but has to be",
                where=self.api.where,
                found=self._dataset.query,
                remedy="name the time itself, or choose a larger step",
            )

    def stored(self, day: Window) -> int:
        """How many samples the day's ms have: PromQL's own count of them."""
        # The bounds of this range are two steps; a version that leaves one out counts 1.
        probe = self.api.instant("count_over_time(vector(1)[1s:1s])", day.start_ms)
        surplus_ms = self.api.sum_of(probe) - 1

        def over(part: Window, selector: str) -> str:
            return f"{selector}\n[{max(1, part.steps - surplus_ms)}ms]"

        def names(part: Window) -> list[dict[str, Any]]:
            query = f"count by (__name__) (last_over_time({over(part, self._dataset.query)}))"
            return self.api.result_of(self.api.instant(query, part.end_ms), "vector")

        stored_names = {
            series["metric"].get("__name__", "")
            for answer in self.in_parts(day, names)
            for series in answer
        }
        # One metric a term: without its name, which the function drops, series could be equal.
        selectors = sorted({of_metrics(self._dataset.query, [name]) for name in stored_names})

        def ask(part: Window, group: list[str]) -> int:
            terms = [
                f"(sum(count_over_time({over(part, selector)})) or vector(0))" for selector in group
            ]
            return self.api.sum_of(self.api.instant(" + ".join(terms), part.end_ms))

        groups = [selectors[i : i + _TERMS] for i in range(0, len(selectors), _TERMS)]
        return sum(
            count for group in groups for count in self.in_parts(day, partial(ask, group=group))
        )

    def total(self, day: Window) -> int:
        """How many samples all steps of the day give: PromQL's own count of each step."""
        windows = list(day.parts(MAX_STEPS))
        if len(windows) > 1:
            self.check_splittable()
        series = [
            sample for window in windows for answer in self._counted(window) for sample in answer
        ]
        return sum(int(float(value)) for entry in series for _, value in entry["values"])

    def _counted(self, window: Window) -> list[list[dict[str, Any]]]:
        """Counts of each step: by time where that will do, so that no shard of ours is in them."""
        query = self._dataset.query
        try:
            return self.in_parts(window, partial(self._counts, "", query))
        except (TooLarge, Rejected, Overloaded) as error:
            if not (_less_may_help(error) and is_selector(query)):
                raise
            return self.covered(query, window, partial(self._counts, ""))

    def sizes(self, day: Window) -> dict[str, int]:
        """About how many series each metric has (`""`: without a name), looked at now and then."""
        step_ms = max(_LOOKED_AT_EVERY_MS, day.step_ms)
        looks = Window(day.start_ms, (day.end_ms - day.start_ms) // step_ms + 1, step_ms)
        ask = partial(self._counts, "by (__name__) ", self._dataset.query)
        try:
            answers = self.in_parts(looks, ask)
        except (TooLarge, Rejected, Overloaded) as error:
            if not (_less_may_help(error) and is_selector(self._dataset.query)):
                raise
            return self._sizes_one_by_one(looks)
        return _largest(sample for answer in answers for sample in answer)

    def _sizes_one_by_one(self, looks: Window) -> dict[str, int]:
        """The same of a server that can't count all of them at once."""
        sizes: dict[str, int] = {}
        for name in self.label_values("__name__", self._dataset.query, looks):
            query = of_metrics(self._dataset.query, [name])
            try:
                counts = self._counts("by (__name__) ", query, looks)
            except (TooLarge, Rejected, Overloaded) as error:
                if not _less_may_help(error):
                    raise
                sizes[name] = _UNKNOWN_SERIES
            else:
                sizes |= _largest(counts)
        return sizes

    def metric_names(self, start_ms: int, end_ms: int) -> list[str]:
        """All that the selector matches in that time, and perhaps a few more."""
        window = Window(start_ms, 2, max(1, end_ms - start_ms))
        return self.api.listed_until_now("label/__name__/values", self._dataset.query, window, None)

    def sizes_by(self, label: str, query: str, window: Window) -> dict[str, int]:
        """About how many series have each value of the label: at three times of the window."""
        step_ms = max(1, (window.steps - 1) // 2) * window.step_ms
        looks = Window(window.start_ms, min(3, window.steps), step_ms)
        return _largest(self._counts(f"by ({name_of(label)}) ", query, looks), label)

    def label_names(self, query: str, window: Window) -> list[str]:
        """All that the selector's series have in that time, and perhaps a few more."""
        return self.api.listed("labels", query, window)

    def label_values(self, label: str, query: str, window: Window) -> list[str]:
        """Those of the selector's series in that time, and perhaps a few more.

        Raises TooLarge where they are more than a request could name.
        """
        return self.api.listed(f"label/{name_in_path(label)}/values", query, window)

    def seen_labels(self, day: Window) -> set[str] | None:
        """The names of the labels that some step of the day has, if the server can list them.

        It lists those of other days, too: each must be seen, in a few series, at one of three times
        or else in a count of all steps.
        """
        query = self._dataset.query
        if not is_selector(query):
            return None
        try:
            left = set(self.api.listed_until_now("labels", query, day)) - {"__name__"}
            noon = Window(day.start_ms + day.steps // 2 * day.step_ms, 1, day.step_ms)
            # Some series of each metric show most. To list all that have a label is dear
            # where it has a million values.
            few = self.api.matrix(f"topk by (__name__) (2, {query}\n)", noon)
            sample = self.api.result_of(few, "matrix")
            seen = {name for series in sample for name in series["metric"]} & left
            left -= seen
            for step in (day.steps // 2, 0, day.steps - 1):
                if not left:
                    break
                at = Window(day.start_ms + step * day.step_ms, 1, day.step_ms)
                terms = [
                    f'label_replace(count({_having(query, name)}),"name",{replacement(name)},"","")'
                    for name in sorted(left)
                ]
                vector = self.api.result_of(self.api.matrix(" or ".join(terms), at), "matrix")
                names = {sample["metric"]["name"] for sample in vector}
                seen, left = seen | names, left - names
            for name in sorted(left):
                for part in day.parts(MAX_STEPS):
                    if self._counts("", _having(query, name), part):
                        seen.add(name)
                        break
        except (Rejected, Overloaded, TooLarge, Refused, BadData) as error:
            _LOG.info("%s: labels are not known at first: %s", self._dataset.name, error.what)
            return None
        return seen

    def _counts(self, grouping: str, query: str, window: Window) -> list[dict[str, Any]]:
        try:
            answer = self.api.matrix(f"count {grouping}({query}\n)", window)
        except Refused as error:
            # A number is no vector, which is what count takes.
            if "scalar" not in error.parts.get("found", ""):
                raise
            answer = self.api.matrix(f"count {grouping}(vector({query}\n))", window)
        return self.api.result_of(answer, "matrix")


def _less_may_help(error: TooLarge | Rejected | Overloaded) -> bool:
    if isinstance(error, Rejected):
        return error.status in (400, 413, 422)
    return not (isinstance(error, Overloaded) and error.status == 429)


def _having(query: str, label: str) -> str:
    return narrowed(query, matcher(label, [""], but=True))


def _largest(counts: Iterable[dict[str, Any]], label: str = "__name__") -> dict[str, int]:
    """The largest count of each of the label's values."""
    sizes: dict[str, int] = {}
    for count in counts:
        value = count["metric"].get(label, "")
        most = max(int(float(number)) for _, number in count["values"])
        sizes[value] = max(most, sizes.get(value, 0))
    return sizes
