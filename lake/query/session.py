"""A DuckDB session with the lake's tables.

Belongs here: opening it, defining tables in it when they are first read.
Does not: the tables' SQL, its memory and threads (limits), how answers are shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import duckdb

from lake.base.day import Day
from lake.config.settings import Settings
from lake.query import growth, inexact, notes, partitions
from lake.query.answers import Answer, ArrowAnswer
from lake.query.connection import (
    connect_duckdb,
    in_one_transaction,
    lock_settings,
    macro_statements,
)
from lake.query.failures import Hint, arrow_as_duckdb, explained, spelled
from lake.query.limits import Limits
from lake.query.metrics import with_metric_notes
from lake.query.proxies import proxy_statements
from lake.query.question import Question, Range, Reads
from lake.query.s3 import authority_statements, secret_statement
from lake.query.statements import refuse_outward, require_one_reading
from lake.query.stored import StoredTables
from lake.query.tables import Table
from lake.query.time_axis import is_called, macro_statement
from lake.query.understanding import understand
from lake.query.zones import LOCAL_BETWEEN

if TYPE_CHECKING:
    import pyarrow as pa

_WORD = re.compile(r"\w+")
_FETCH_ROWS = 2048
_BATCH_ROWS = 16_384
_OWN_DEFINITION = re.compile(r"\bCREATE\b[^;]*?\b(?:VIEW|MACRO|FUNCTION)\b", re.IGNORECASE)


@dataclass(frozen=True)
class _Shape:
    """How a dataset is defined: with the whole of `_rest`, and the days of its views.

    In a request, days of None leave the views as they are: they are not read. A view is bound when
    it is made, and that opens an object.
    """

    with_rest: bool = True
    days: Range | None = field(default_factory=Range)


class Lake:
    """One connection to DuckDB, in memory: what is written there ends with it. Statements
    that write elsewhere are refused; `connection` is DuckDB's own, without that check.

    Each dataset of the configuration is a view of its name and a table macro
    `NAME_between(from_day, to_day)`, a half-open range of DATEs that reads only those days'
    objects. Every table has `day`. Only days with a manifest are seen, as they are when a
    statement begins. Times are UTC. Those of Loki have both a second time, as
    `NAME_with_level` and `NAME_with_level_between`: with the lines' level. Rollups are
    `NAME_hourly` and `NAME_hourly_between`: of the days whose rollup is made from their table.
    `NAME_local_between(from_day, to_day, in_zone)` reads days of a time zone.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises Refused (credentials), Missing (the httpfs extension), UsageError (ca_file)."""
        self.settings = settings
        self._shapes: dict[str, _Shape] = {}
        self._behind: set[str] = set()  # datasets that the session's own views and macros read
        self._query_starts: dict[str, str] = {}  # of datasets, as `query_starts_of` has them
        self._has_time_axis = False  # whether the macro `incident` is defined
        self._shared = False  # whether relations may be outstanding that read the definitions
        on_s3 = settings.lake.root.startswith("s3://")
        self.connection = connect_duckdb(httpfs=on_s3)
        self._limits = Limits(self.connection, on_s3=on_s3)
        self._stored = StoredTables(settings, lambda: self.connection)
        if on_s3:
            for statement in (*authority_statements(settings.s3), *proxy_statements(settings.s3)):
                self.connection.execute(statement)
            self.connection.execute(secret_statement(settings.lake.root, settings.s3))
        self.connection.execute(in_one_transaction(macro_statements()))
        lock_settings(self.connection)

    def sql(self, query: str, params: Any = None) -> Any:
        """The answer as a `duckdb.DuckDBPyRelation`, None for a statement without one.

        `params` fill `?` (a list) or `$name` (a dict). The relation is computed when it is
        looked at: `.fetchall()`, `.to_arrow_table()`, `.show()`; what DuckDB can't read then
        is an error of its own. What would write files, attach databases or load extensions
        is refused. Raises LakeError.
        """
        with explained(self.settings.lake.root, self._hint(query)):
            refuse_outward(self.connection, query)
        self._shared = True
        whole = Question(understood=False, every_column=True)
        self._limits.wait_for_s3()
        return self._ask(query, whole, lambda: self.connection.sql(query, params=params))

    def ask(
        self,
        query: str,
        params: Any = None,
        *,
        as_text: Collection[str] = (),
        local: bool = False,
    ) -> Answer:
        """The answer as it is computed, of one statement that reads; `params` as for `sql`.

        `as_text`: types (lake.query.inexact) whose values are DuckDB's text. `local`: no object of
        S3 is read. Raises LakeError.
        """
        if not local:
            self._limits.wait_for_s3()
        answer, question = self._answer(query, params)
        where, understood = self.settings.lake.root, question.understood
        with explained(where):
            if statement := inexact.as_text(answer, query, as_text, understood=understood):
                answer = self.connection.execute(statement, params)
        described = answer.description or ()
        left_out = (
            *self._notes(notes.nan_in_order, query, question),
            *self._notes(notes.left_out, query, question),
            *self._unsure(question),
        )
        rows, of_metrics = with_metric_notes(self._fetch(answer), question, self.connection)
        return Answer(
            columns=tuple(column[0] for column in described),
            types=tuple(str(column[1]) for column in described),
            rows=rows,
            notes=(
                *self._notes(notes.missing, query, question),
                *of_metrics,
                *self._notes(notes.ordered_as_text, query, question),
                *left_out,
            ),
            left_out=left_out,
        )

    def ask_arrow(self, query: str, params: Any = None) -> ArrowAnswer:
        """As `ask`, with the rows as Arrow record batches. Raises LakeError."""
        self._limits.wait_for_s3()
        answer, question = self._answer(query, params)
        described = answer.description or ()
        with explained(self.settings.lake.root), arrow_as_duckdb():
            reader = answer.to_arrow_reader(_BATCH_ROWS)
        kinds = (notes.missing, notes.ordered_as_text, notes.nan_in_order, notes.left_out)
        return ArrowAnswer(
            columns=tuple(column[0] for column in described),
            types=tuple(str(column[1]) for column in described),
            schema=reader.schema,
            batches=self._batches(reader),
            notes=(
                *(note for kind in kinds for note in self._notes(kind, query, question)),
                *self._unsure(question),
            ),
        )

    def rows(self, query: str, params: Any = None) -> list[dict[str, Any]]:
        """The answer as one dict per row, values as Python has them. Raises LakeError."""
        answer = self.ask(query, params)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    def understood(self, query: str, params: Any = None) -> Question:
        """What one statement that reads would read; nothing is run. Raises LakeError."""
        with explained(self.settings.lake.root, self._hint(query)):
            require_one_reading(self.connection, query)
            of = (self.connection, query, params, self._views, self.datasets)
            question = understand(*of)
        # A column is preferred to what DuckDB has of that name.
        if question.now and any(
            question.now & set(self.table(name).tree.names()) for name in question.datasets
        ):
            question = understand(*of, now_by_name=False)
        return question

    def mentioned(self, query: str) -> list[str]:
        """The datasets that the SQL names, in the configuration's order."""
        words = set(_WORD.findall(query.lower()))
        datasets = {
            dataset
            for view, dataset in self._views.items()
            if words & {view, f"{view}_between", f"{view}{LOCAL_BETWEEN}"}
        }
        return [name for name in self._stored.names if name in datasets]

    def days(self, dataset: str) -> set[Day]:
        """The days of a dataset that are in the lake. Raises LakeError."""
        return set(self.table(dataset).manifests)

    def table(self, dataset: str) -> Table:
        """A dataset, or its rollups by their view's name, as manifests describe it. Raises
        LakeError.
        """
        return self._stored.table(dataset)

    def read_tables(self, names: Iterable[str]) -> None:
        """Reads manifests of several datasets, and of rollups by their views' names, at once; those
        that have changed again. Raises LakeError.
        """
        wanted = set(names)
        for changed in self._stored.forget_changed(wanted):
            self._shapes.pop(changed, None)
            self._has_time_axis = False
        self._stored.read(wanted)

    def define(self, dataset: str) -> None:
        """Makes the range macro of a dataset, or of its rollups, for statements on `connection`;
        no other table. Raises LakeError.
        """
        self._limits.wait_for_s3()
        self._define({dataset}, Question())

    def tables(self) -> list[Table]:
        """All datasets of the configuration, and the rollups of those that have any. Raises
        LakeError.
        """
        rollups = [self.table(name) for name in self._stored.hourly]
        return [*map(self.table, self.datasets), *(table for table in rollups if table.manifests)]

    def close(self) -> None:
        """Ends the session."""
        self.connection.close()

    def __enter__(self) -> Lake:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, query: str, params: Any) -> tuple[duckdb.DuckDBPyConnection, Question]:
        question = self.understood(query, params)
        answer = self._ask(query, question, lambda: self.connection.execute(query, params))
        return answer, question

    def _ask(self, query: str, question: Question, run: Callable[[], Any]) -> Any:
        mentioned = self._undefined.union(self._shapes).intersection(
            (*self.mentioned(query), *question.datasets, *self._behind)
        )
        if _OWN_DEFINITION.search(query):
            self._behind |= mentioned
        # What is not understood and names no table may ask for their list.
        of_partitions = partitions.is_called(query)
        known = bool(mentioned or self._shapes or question.understood or of_partitions)
        self._define(mentioned if known else self._listed, question)
        if of_partitions:
            self.read_tables(self._stored.names)
            partitions.define(self.connection, map(self.table, self._stored.names))
        if is_called(query):
            self._define_time_axis(question)
        self._limits.bound_memory(query)
        where = self.settings.lake.root
        with explained(where, self._hint(query)):
            try:
                return run()
            except duckdb.CatalogException:
                # A name may be put together by the SQL itself.
                if not self._undefined:
                    raise
        self._define(self._listed, question)
        with explained(where, self._hint(query)):
            return run()

    def _define_time_axis(self, question: Question) -> None:
        """The macro over all datasets; again where any of them has changed."""
        self._define({*self.datasets}, question)
        if self._has_time_axis:
            return
        statement = macro_statement(self.settings, map(self.table, self.datasets))
        with explained(self.settings.lake.root):
            self.connection.execute(statement)
        self._has_time_axis = True

    def _fetch(self, answer: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
        while True:
            with explained(self.settings.lake.root):
                rows = answer.fetchmany(_FETCH_ROWS)
            if not rows:
                return
            yield from rows

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        while True:
            with explained(self.settings.lake.root), arrow_as_duckdb():
                batch = next(reader, None)
            if batch is None:
                return
            yield batch

    def _define(self, names: set[str], question: Question) -> None:
        """Makes the tables as the statement needs them.

        One that is understood gets a view of only the days that its filters leave, of their
        types, and `_rest` where it reads it. Relations are computed later, when the next
        statement may have made other definitions: where there may be any, they stay whole.
        """
        self.read_tables(names)
        for name in sorted(names):
            shape = _Shape()
            if question.understood and not self._shared:
                reads = question.datasets.get(name)
                days = reads.view_range() if reads and reads.views else None
                shape = _Shape(question.reads_rest, days)
            self._shape(name, shape)

    def _shape(self, name: str, shape: _Shape) -> None:
        before = self._shapes.get(name)
        table = self.table(name)
        statements = []
        if before is None or before.with_rest != shape.with_rest:
            statements = table.definitions(with_rest=shape.with_rest)
        defined = before.days if before and not statements else Range()
        if shape.days is None:
            shape = replace(shape, days=defined)
        elif shape.days != defined:
            statements += table.views(shape.days.start, shape.days.end)
        base = self.table(table.rolled_up) if table.rolled_up else table
        literal = growth.starts_literal(base)
        if self._query_starts.get(base.dataset, growth.NO_STARTS) != literal:
            self._query_starts[base.dataset] = literal
            statements.append(growth.starts_macro(self._query_starts))
        with explained(self.settings.lake.root):
            for statement in statements:
                self.connection.execute(statement)
        self._shapes[name] = shape

    @property
    def datasets(self) -> list[str]:
        """The names of the datasets, in the configuration's order."""
        return self._stored.datasets

    @property
    def table_names(self) -> list[str]:
        """Those of all views and range macros, also of rollups that no day has."""
        return [name for view in self._views for name in (view, f"{view}_between")]

    @property
    def _views(self) -> dict[str, str]:
        """Each view's name and its dataset."""
        return self._stored.with_level | {name: name for name in self._stored.names}

    @property
    def _undefined(self) -> set[str]:
        return {*self._stored.names} - self._shapes.keys()

    @property
    def _listed(self) -> set[str]:
        """Those of the undefined that a list of tables shows: without rollups that no day has."""
        return {
            name
            for name in self._undefined
            if name not in self._stored.hourly or self.table(name).manifests
        }

    def _notes(
        self,
        kind: Callable[[Table, Reads | None, Question], Iterator[str]],
        query: str,
        question: Question,
    ) -> Iterator[str]:
        read = question.datasets if question.understood else self.mentioned(query)
        for name in self._stored.names:
            if name in read:
                yield from kind(self.table(name), question.datasets.get(name), question)

    def _unsure(self, question: Question) -> Iterator[str]:
        for name, reads in question.datasets.items():
            table = self.table(name)
            base = self.table(table.rolled_up) if table.rolled_up else table
            yield from growth.unsure(table, base, reads, question)

    def _hint(self, query: str) -> Hint:
        def in_rest(name: str) -> str:
            tables = map(self.table, self.mentioned(query))
            return "; ".join(filter(None, (notes.in_rest(table, name) for table in tables)))

        names = ", ".join(map(spelled, self.datasets))
        levels = ", ".join(self._stored.with_level)
        with_levels = f"; with the level of log lines: {levels}" if levels else ""
        return Hint(
            f"the tables are {names}{with_levels}; their rollups: NAME_hourly; for a range of "
            "days: NAME_between(DATE, DATE)",
            {table.dataset: _why_empty(table) for table in self._stored.empty},
            in_rest,
        )


def _why_empty(table: Table) -> str:
    if table.rolled_up and table.unrolled:
        return f"{table.dataset} has no current rollup: `lake rollup {table.rolled_up}` makes them"
    return f"{table.dataset} has no day in the lake yet"
