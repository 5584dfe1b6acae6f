"""Column rules, applied to lines, their metadata and the labels of streams.

Belongs here: rows under rules before they are written to disk, streams under rules. Does not:
what a rule makes of a text (lake.privacy), reading rows.

While a day is read rows keep the ids of Loki's own streams, by which they are counted and
compared. Streams that rules make equal are one stream in the table, with all their lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lake.privacy.applying import Rules
from lake.privacy.rules import Rule, folded
from lake.systems.labels import labels_id
from lake.systems.loki.reading.answer import METADATA

_LINE = "line"
_QUOTES_THE_LINE = "__error_details__"  # of a parser


class RuledRows:
    """The rows of one dataset as its rules leave them. Safe to use from several threads."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        own = rules.below()
        self._line: Rule | None = own.pop(_LINE, None)
        self._labels = {**own, **rules.below("labels")}
        self._metadata = rules.below("metadata")
        if self._line:
            self._metadata.setdefault(_QUOTES_THE_LINE, Rule((_QUOTES_THE_LINE,), "drop"))

    @property
    def changes_lines(self) -> bool:
        """Whether a line's text may be another one."""
        return self._line is not None

    @property
    def changes_labels(self) -> bool:
        """Whether a stream's labels may be other ones."""
        return bool(self._labels)

    def table(self, rows: pa.Table) -> pa.Table:
        """Rows with the schema ROWS."""
        if self._line and rows.num_rows:
            lines = self._lines(self._line, rows[_LINE].combine_chunks())
            rows = rows.set_column(rows.schema.get_field_index(_LINE), rows.schema.field(_LINE),
                                   lines)  # fmt: skip
        if self._metadata and rows.num_rows:
            index = rows.schema.get_field_index("metadata")
            maps = [self._items(items) for items in rows["metadata"].to_pylist()]
            rows = rows.set_column(index, rows.schema.field(index), pa.array(maps, METADATA))
        return rows

    def row(self, row: dict[str, Any]) -> dict[str, Any]:
        """One row as a dict."""
        ruled = dict(row)
        if self._line:
            ruled[_LINE] = self._rules.of_text(self._line, row[_LINE]) or ""
        if self._metadata:
            ruled["metadata"] = self._items(row["metadata"])
        return ruled

    def streams(
        self, streams: Mapping[int, Mapping[str, str]]
    ) -> tuple[dict[int, dict[str, str]], dict[int, int]]:
        """The streams of the table by their ids there, and for each stream's own id that one."""
        if not self._labels:
            return {number: dict(labels) for number, labels in streams.items()}, {}
        renamed, ruled = {}, {}
        for number, labels in streams.items():
            kept = self._rules.labels(labels, self._labels)
            renamed[number] = labels_id(kept)
            ruled[renamed[number]] = kept
        return dict(sorted(ruled.items())), renamed

    def labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """One label set."""
        return self._rules.labels(labels, self._labels, counted=False)

    def _lines(self, rule: Rule, lines: pa.Array) -> pa.Array:
        self._rules.count(rule, len(lines))
        if rule.kind == "drop":
            return pa.array([""], pa.string()).take(pa.array([0] * len(lines)))
        if rule.kind == "truncate":
            return pc.utf8_slice_codeunits(lines, 0, rule.length)
        of_text = self._rules.of_text
        return pa.array([of_text(rule, line) for line in lines.to_pylist()], pa.string())

    def _items(self, items: Any) -> list[tuple[str, str]] | None:
        """Metadata sorted by name; NULL stays."""
        if items is None:
            return None
        kept = []
        for name, value in items:
            rule = self._metadata.get(folded((name,))[0])
            if rule is None:
                kept.append((name, value))
                continue
            if name != _QUOTES_THE_LINE:
                self._rules.count(rule)
            if (text := self._rules.of_text(rule, value)) is not None:
                kept.append((name, text))
        return kept
