"""A selector cut into several that together select the same series, each once.

Belongs here: by which label, and which of its values go together.
Does not: when a selector has to be cut (promql_day, questions), time.

By metric name where there are several, else by the label that separates most series.
Whatever the listed values are, the last piece takes all others and the label's absence: the
cover is disjoint and complete even where the list is neither fresh nor whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lake.base.errors import LakeError
from lake.http.client import TooLarge
from lake.systems.prometheus.reading.plan import Window
from lake.systems.prometheus.reading.promql import (
    NAME,
    is_selector,
    matcher,
    matching,
    name_of,
    narrowed,
)

_MOST_VALUES = 2000  # named in one request's text
_MOST_ENDINGS = 8
_ENDINGS = ("[0-3]", "[4-7]", "[89]", "[a-f]", "[g-z]")  # of values that are too many to list


class Labels(Protocol):
    """What a server reports of the series of a selector in a window."""

    def label_names(self, query: str, window: Window) -> list[str]:
        """Perhaps a few too many."""

    def label_values(self, label: str, query: str, window: Window) -> list[str]:
        """Perhaps a few too many. Raises TooLarge."""

    def sizes_by(self, label: str, query: str, window: Window) -> Mapping[str, int]:
        """About how many series have each value."""


@dataclass(frozen=True)
class Piece:
    """A selector, and a guess how many series it has."""

    query: str
    series: int


def pieces(labels: Labels, whole: Piece, window: Window, most_series: int) -> list[Piece]:
    """The selector in pieces of about `most_series` series; empty where no label separates any.

    Pieces are at least two.
    """
    if not is_selector(whole.query):
        return []
    try:
        label, values = _telling(labels, whole.query, window)
        if not label:
            return []
        if not values:
            return _by_ending(whole, label)
        sizes = _sizes(labels, label, values, whole, window)
    except LakeError:
        return []  # the server lists no labels: time is left
    return _by_values(whole.query, label, sizes, most_series)


def _telling(labels: Labels, query: str, window: Window) -> tuple[str, list[str]]:
    """The label to cut by and its values, none where they are too many; "" without one."""
    best: tuple[str, list[str]] = ("", [])
    crowded = ""
    names = [name for name in labels.label_names(query, window) if name != NAME]
    for name in [NAME, *names]:
        try:
            values = sorted({value for value in labels.label_values(name, query, window) if value})
        except TooLarge:
            crowded = crowded or name
            continue
        if len(values) > _MOST_VALUES:
            crowded = crowded or name
        elif len(values) > max(1, len(best[1])):
            best = name, values
            if name == NAME:
                break
    return best if best[0] else (crowded, [])


def _sizes(
    labels: Labels, label: str, values: Sequence[str], whole: Piece, window: Window
) -> dict[str, int]:
    equal = max(1, whole.series // len(values))
    try:
        known = labels.sizes_by(label, whole.query, window)
    except LakeError:
        known = dict.fromkeys(values, equal)  # too many even to be counted
    return {value: known.get(value, 1) for value in values}


def _by_values(query: str, label: str, sizes: Mapping[str, int], most: int) -> list[Piece]:
    # Two pieces at least: each further one holds what the limit allows.
    limit = max(1, min(most, sum(sizes.values()) // 2))
    groups = list(_grouped(sizes, limit))
    listed = [
        Piece(narrowed(query, matcher(label, group)), sum(sizes[value] for value in group))
        for group in groups
    ]
    others = narrowed(query, matcher(label, list(sizes), but=True))
    return [*listed, Piece(others, 1)]


def _grouped(sizes: Mapping[str, int], limit: int) -> Iterator[list[str]]:
    held: list[str] = []
    size = 0
    for value, series in sizes.items():
        if held and size + series > limit:
            yield held
            held, size = [], 0
        held.append(value)
        size += series
    if held:
        yield held


def _by_ending(whole: Piece, label: str) -> list[Piece]:
    """By the last character, or the one before those that were taken already.

    That is what can be done without knowing the values.
    """
    taken = whole.query.count(f'{name_of(label)}=~"(?s:.*)[')
    if taken == _MOST_ENDINGS:
        return []
    after = f"(?s:.{{{taken}}})" if taken else ""
    by_ending = [matching(label, f"(?s:.*){ending}{after}") for ending in _ENDINGS]
    others = matching(label, f"(?s:.*)[0-9a-z]{after}", but=True)
    each = max(1, whole.series // len(_ENDINGS))
    return [Piece(narrowed(whole.query, ending), each) for ending in [*by_ending, others]]
