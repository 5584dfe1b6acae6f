"""Log lines and documents of a lake on one time axis.

Belongs here: the SELECT of each dataset, and where a row's time, identifiers, level and text are.
Does not: metrics (samples), the macro over all three, running it.

Columns of each SELECT: `ts` (TIMESTAMPTZ), `ns` (nanoseconds since the epoch), `dataset`, `kind`
(line or document), `id`, `level` (of a document error or NULL), `text`,
`position` (in the table: the order of rows of one time).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.config.incident import IncidentSection
from lake.query.fields import Identifiers, field_value, identifiers_at
from lake.query.kinds import folded, quoted_name, quoted_text
from lake.query.levels import with_level
from lake.query.merged import LIST, STRUCT, Node
from lake.query.tables import Table
from lake.query.zones import id_time

LINE, DOCUMENT = "line", "document"
ERRORS = ("error", "critical", "fatal")
TEXT_LENGTH = 2000  # characters; longer texts are cut
_NOT_SHOWN = frozenset({"day", "_id", "_rest", "_raw"})
_NO_LABELS = frozenset({"day", "ts", "ts_ns", "stream_id", "line", "labels", "metadata"})
_SAMPLES = frozenset({"series_id", "metric", "value"})
_LINES = frozenset({"stream_id", "line"})
_NO_ID = "('', '-', 'null')"  # as a logger writes that there is none
_IN_WORDS = re.compile(r"\w", re.ASCII)
_FALSE = "('', 'false', '0', '[]', '{}')"


def kind_of(table: Table) -> Literal["counter", "lines", "documents"] | None:
    """What its rows are; None where no day is in the lake."""
    names = table.tree.members.keys()
    if not table.manifests:
        return None
    if names >= _SAMPLES:
        return "counter"
    return "lines" if names >= _LINES else "documents"


@dataclass(frozen=True)
class Rows:
    """Which rows: of the days [first, end), at times in [start, to) and with any of the
    identifiers, where these are given. Days and times are expressions of SQL.
    """

    first: str
    end: str
    start: str = ""
    to: str = ""
    requests: tuple[str, ...] = ()

    def conditions(self, time: str) -> Iterator[str]:
        """Conditions on the time, as SQL."""
        if self.start:
            yield f"{time} >= {self.start}"
        if self.to:
            yield f"{time} < {self.to}"


def instant(at: datetime) -> str:
    """A literal of SQL."""
    return f"TIMESTAMPTZ '{at.astimezone(UTC).isoformat(sep=' ')}'"


def date(day: Day) -> str:
    """A literal of SQL."""
    return f"DATE '{day}'"


def between(table: Table, first: str, end: str, *, level: bool = False) -> str:
    """The dataset's days [first, end), expressions of SQL, in a FROM clause."""
    name = with_level(table.dataset) if level else table.dataset
    return f"{quoted_name(f'{name}_between')}({first}, {end})"


def lines(table: Table, incident: IncidentSection, rows: Rows) -> str:
    """The SELECT of a dataset of log lines."""
    columns = set(table.column_names)
    has_level = table.level_from is not None
    return _select(
        "ts",
        "ts_ns",
        table.dataset,
        LINE,
        _first_text(_line_ids(columns, incident)),
        "level" if has_level else "NULL",
        "line",
        between(table, rows.first, rows.end, level=has_level),
        _conditions(table, incident, rows, "ts"),
    )


def documents(table: Table, dataset: Dataset, incident: IncidentSection, rows: Rows) -> str:
    """The SELECT of a dataset of documents; "" where no row can have the identifier, or where
    no day has the time field.
    """
    time = document_time(table, dataset)
    ids = _document_ids(table, incident)
    if time is None or (rows.requests and not ids):
        return ""
    failed = [
        _has_value(field)
        for path in incident.error_fields
        if (field := field_value(table.tree, path))
    ]
    return _select(
        time,
        f"epoch_ns({time})",
        table.dataset,
        DOCUMENT,
        _first_text([place.first for place in ids]),
        f"if({' OR '.join(failed)}, 'error', NULL)" if failed else "NULL",
        _document_text(table, dataset, incident),
        between(table, rows.first, rows.end),
        _conditions(table, incident, rows, time),
    )


def _select(
    time: str,
    ns: str,
    dataset: str,
    kind: str,
    identifier: str,
    level: str,
    text: str,
    source: str,
    conditions: Sequence[str],
) -> str:
    where = f"\nWHERE {' AND '.join(conditions)}" if conditions else ""
    return (
        f"SELECT {time} AS ts, {ns} AS ns, {quoted_text(dataset)} AS dataset, "
        f"{quoted_text(kind)} AS kind, {identifier} AS id, CAST({level} AS VARCHAR) AS level, "
        f"left({text}, {TEXT_LENGTH}) AS text, "
        f"row_number() OVER () AS position\nFROM {source}{where}"
    )


def identifiers(table: Table, dataset: Dataset, incident: IncidentSection, rows: Rows) -> str:
    """The SELECT of the identifiers in the rows, as `id`; "" where no row can have any."""
    columns = set(table.column_names)
    if kind_of(table) == "lines":
        texts, time = [f"[CAST({text} AS VARCHAR)]" for text in _line_ids(columns, incident)], "ts"
    elif kind_of(table) == "documents":
        texts = [place.all for place in _document_ids(table, incident)]
        time = document_time(table, dataset) or ""
    else:
        return ""
    conditions = _conditions(table, incident, rows, time) if texts and time else []
    if not conditions:
        return ""
    return (
        f"SELECT unnest(flatten([{', '.join(texts)}])) AS id "  # noqa: S608
        f"FROM {between(table, rows.first, rows.end)} "
        f"WHERE {' AND '.join(conditions)}"
    )


def _conditions(table: Table, incident: IncidentSection, rows: Rows, time: str) -> list[str]:
    conditions = list(rows.conditions(time))
    if rows.requests and kind_of(table) == "lines":
        columns = set(table.column_names)
        carries = (_carries(columns, incident, value) for value in rows.requests)
        conditions.append(f"({' OR '.join(carries)})")
    elif rows.requests:
        same = (place.any_of(rows.requests) for place in _document_ids(table, incident))
        conditions.append(f"({' OR '.join(same)})")
    return conditions


def _document_ids(table: Table, incident: IncidentSection) -> list[Identifiers]:
    return [place for path in incident.ids if (place := identifiers_at(table, path))]


def _has_value(field: str) -> str:
    """Whether it is an error: of a number, whether it is not 0."""
    text = f"coalesce(CAST({field} AS VARCHAR), '')"
    return f"({text} NOT IN {_FALSE} AND coalesce(TRY_CAST({text} AS DOUBLE), 1) <> 0)"


def _line_ids(columns: set[str], incident: IncidentSection) -> list[str]:
    """In structured metadata, in labels, then in the line: a key of JSON or logfmt."""
    names = list(dict.fromkeys(path.rpartition(".")[2] for path in incident.ids))
    places = [
        f"{column}[{quoted_text(name)}]"
        for column in ("metadata", "labels")
        if column in columns
        for name in names
    ]
    places += [quoted_name(name) for name in names if name in columns - _NO_LABELS]
    for name in names:
        # The first of an array, or what stands in brackets.
        after = r"""\s*[=:]\s*\[?\s*"?([^\s",;}\[\]][^\s",;}\]]*)"""
        pattern = rf'(?:^|[^A-Za-z0-9_]){re.escape(name)}"?{after}'
        value = f"regexp_extract(line, {quoted_text(pattern)}, 1)"
        places.append(f"CASE WHEN {value} NOT IN {_NO_ID} THEN {value} END")
    return places


def _carries(columns: set[str], incident: IncidentSection, identifier: str) -> str:
    """Whether a line has the identifier: in its text as a whole word, metadata or labels."""
    value = quoted_text(identifier)
    before = r"(?:^|\W)" if _IN_WORDS.match(identifier[:1]) else ""
    after = r"(?:\W|$)" if _IN_WORDS.match(identifier[-1:]) else ""
    word = f"concat({quoted_text(before)}, regexp_escape({value}), {quoted_text(after)})"
    conditions = [f"contains(line, {value}) AND regexp_matches(line, {word})"]
    conditions += [
        f"list_contains(map_values({column}), {value})"
        for column in ("metadata", "labels")
        if column in columns
    ]
    conditions += [f"{quoted_name(p)} = {value}" for p in incident.ids if p in columns - _NO_LABELS]
    return f"({' OR '.join(f'coalesce({text}, false)' for text in conditions)})"


def document_time(table: Table, dataset: Dataset) -> str | None:
    """SQL of a document's time; None where no day has its field."""
    field = field_value(table.tree, str(getattr(dataset, "time_field", "ts")))
    time = f"TRY_CAST({field} AS TIMESTAMPTZ)" if field else None
    if getattr(dataset, "time_fallback", None) and "_id" in table.column_names:
        made = id_time("_id")
        return f"coalesce({time}, {made})" if time else made
    return time


def _document_text(table: Table, dataset: Dataset, incident: IncidentSection) -> str:
    """JSON of `text_fields`, else of all fields but identifiers and the time; without nulls."""
    fields = {
        path: field
        for path in incident.text_fields
        if (field := field_value(table.tree, path)) is not None
    }
    if not fields:
        hidden = {folded(name) for name in (*incident.ids, getattr(dataset, "time_field", ""))}
        fields = {
            name: _elements_without_nulls(table.tree, name)
            for name in table.column_names
            if name not in _NOT_SHOWN and folded(name) not in hidden
        }
        # What failed is read first, and stays where the text is cut.
        errors = {folded(name) for name in incident.error_fields}
        fields = dict(sorted(fields.items(), key=lambda item: folded(item[0]) not in errors))
    if not fields:
        return "''"
    members = ", ".join(f"{quoted_text(name)}: {field}" for name, field in fields.items())
    return f"CAST(json_merge_patch('{{}}', to_json({{{members}}})) AS VARCHAR)"


def _elements_without_nulls(tree: Node, column: str) -> str:
    """A column for `to_json`: the elements of an array have the members of all days, most NULL."""
    node = tree.members.get(folded(column))
    name = quoted_name(column)
    item = node.item if node and node.form == LIST and not node.varying else None
    if item is None or item.form != STRUCT or item.varying:
        return name
    return f"list_transform({name}, lambda item_: json_merge_patch('{{}}', to_json(item_)))"


def _first_text(places: Sequence[str]) -> str:
    texts = [f"nullif(CAST({place} AS VARCHAR), '')" for place in places]
    return f"coalesce({', '.join(['CAST(NULL AS VARCHAR)', *texts])})"
