"""Splits a query whose answer is too long into two that together return its lines.

Belongs here: LogQL filters that select some of several lines. Does not: requests.

Lines of one stream at one time differ in their text or in their metadata; two that differ in
neither are one line to Loki. So a few lines of the answer show a character by which the lines
can be split: those with a certain character or a higher one at a certain place, and all
others. Each half has at least one of those lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from lake.systems.loki.reading.logql import ANY, Selector, quoted

LINE = ""
"""Instead of a name: the line itself."""
DEEPEST = 60
"""The highest number of halvings; more would mean that they have no effect."""

Sample = Sequence[Mapping[str, str]]
"""The properties in which lines may differ: the text under LINE, metadata by name."""
_MOST_REPEATED = 1000  # in one {…} of RE2


def halves(selector: Selector, sample: Sample) -> tuple[Selector, Selector] | None:
    """Two selectors that together take each line of `selector` once.

    None where the sample's lines do not differ.
    """
    for name in sorted({name for line in sample for name in line}):
        difference = _difference(sorted(line.get(name, "") for line in sample))
        if difference:
            pattern = _skipped(difference[0]) + f"[{_escaped(difference[1])}-\\x{{10FFFF}}]"
            return selector.piped(_filter(name, "=~", pattern)), selector.piped(
                _filter(name, "!~", pattern)
            )
    return None


def _difference(values: list[str]) -> tuple[int, str] | None:
    """Where the two neighbours next to the middle differ, and the higher one's character."""
    middle = len(values) / 2
    pairs = [(abs(n - middle), a, b) for n, (a, b) in enumerate(pairwise(values), 1) if a != b]
    if not pairs:
        return None
    _, low, high = min(pairs, key=lambda pair: pair[0])
    place = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return place, high[place]


def _skipped(characters: int) -> str:
    whole, rest = divmod(characters, _MOST_REPEATED)
    return f"(?s:.{{{_MOST_REPEATED}}})" * whole + f"(?s:.{{{rest}}})"


def _escaped(character: str) -> str:
    return f"\\x{{{ord(character):X}}}"


def _filter(name: str, operator: str, pattern: str) -> str:
    """A label filter's expression has to match the whole value, a line filter's any part."""
    if name == LINE:
        return f"{operator.replace('=~', '|~')} {quoted('^' + pattern)}"
    return f"| {name} {operator} {quoted(pattern + ANY)}"
