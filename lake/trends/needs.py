"""What a trend reads of a lake, by content instead of datasets' names.

Belongs here: inputs and their columns as a trend's header describes them. Does not: reading
headers (files), which dataset has the content (fitting).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Literal

from lake.config.datasets import RowsAre

Kind = Literal["counter", "histogram", "lines", "documents"]
_OF_COUNTERS = frozenset({"day", "series_id", "metric", "increase"})
OWN_COLUMNS: Mapping[Kind, Set[str]] = {
    "counter": _OF_COUNTERS,
    "histogram": _OF_COUNTERS | {"lower", "upper"},
    "lines": frozenset({"day", "stream_id", "level", "lines", "bytes"}),
    "documents": frozenset({"day"}),
}
"""What an input's rows have beside the header's columns."""
_CHOSEN = frozenset({"metric", "level"})  # of these, what a header may name as if they were labels


@dataclass(frozen=True)
class InputColumn:
    """A column of an input: of the first of the `labels`, or of documents' field at `path`.

    `needed`: without it the lake does not fit; else it is NULL there.
    """

    name: str
    needed: bool
    labels: tuple[str, ...] = ()
    type: str = "VARCHAR"
    path: tuple[str, ...] = ()

    def repeats(self, kind: Kind) -> bool:
        """Whether an input of this kind has another column of its name."""
        name = self.name.lower()
        is_same = name in _CHOSEN and self.labels == (name,)
        return name in OWN_COLUMNS[kind] and not is_same

    def describe(self) -> str:
        """As a message names it."""
        return "field " + ".".join(self.path) if self.path else "label " + " or ".join(self.labels)


@dataclass(frozen=True)
class Input:
    """A table that the statement reads under `name`; `metrics` are those of a counter or of native
    histograms.

    Of the inputs that are `either`, one is enough: the others have no rows.
    """

    name: str
    kind: Kind
    metrics: tuple[str, ...] = ()
    columns: tuple[InputColumn, ...] = ()
    either: bool = False

    @property
    def rows_are(self) -> RowsAre:
        """The kind of datasets that may have it."""
        return "counter" if self.kind == "histogram" else self.kind

    def with_column(self, column: InputColumn) -> Input:
        """The same with one more column."""
        return replace(self, columns=(*self.columns, column))

    @property
    def options(self) -> set[str]:
        """The options whose values are metrics or labels here."""
        texts = (*self.metrics, *(label for column in self.columns for label in column.labels))
        return {text.removeprefix("$") for text in texts if text.startswith("$")}

    def filled(self, options: dict[str, str]) -> Input:
        """With the options' values; a label of an option without a value is left out, and a
        metric of one fits any.
        """

        def values(texts: tuple[str, ...]) -> tuple[str, ...]:
            filled = (options.get(t[1:]) if t.startswith("$") else t for t in texts)
            return tuple(text for text in filled if text)

        columns = []
        for column in self.columns:
            labels = values(column.labels)
            # A label that the user names has to be there.
            needed = column.needed or any(label.startswith("$") for label in column.labels)
            needed = needed and bool(labels or column.path)
            columns.append(replace(column, labels=labels, needed=needed))
        return replace(self, metrics=values(self.metrics), columns=tuple(columns))
