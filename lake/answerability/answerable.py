"""The answer to `lake can`: every table of a statement, and the effort.

Belongs here: putting both together. Does not: their parts (days, effort), what is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lake.answerability.days import VERDICTS, Snapshots, TableDays, Verdict, table_days
from lake.answerability.effort import Effort, RestoreEffort, query_effort, restore_effort
from lake.base.day import Day
from lake.cost.choosing import chosen_prices
from lake.cost.prices import Prices
from lake.query import Lake
from lake.query.estimate import estimate, tables_read, touched_days
from lake.query.failures import WrongSQL
from lake.query.statements import kinds_of
from lake.store import open_store

_EXPLAIN = "EXPLAIN "


@dataclass(frozen=True)
class Answerability:
    """`understood`: False where the days are those of every table that the statement mentions."""

    tables: tuple[TableDays, ...]
    query: Effort
    restores: tuple[RestoreEffort, ...]
    prices: Prices
    understood: bool

    @property
    def verdict(self) -> Verdict:
        """That of the table of which the lake has least."""
        return max((table.verdict for table in self.tables), key=VERDICTS.index, default="exact")

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "answer": self.verdict,
            "understood": self.understood,
            "tables": [table.to_json() for table in self.tables],
            "query": self.query.to_json(),
            "restores": [restore.to_json() for restore in self.restores],
            "currency": self.prices.currency,
            "region": self.prices.code,
            "note": self.prices.note,
        }


def answerability(lake: Lake, sql: str) -> Answerability:
    """Whether the lake answers the statement, which is not run. Raises LakeError."""
    settings, today = lake.settings, Day.today()
    store = open_store(settings)
    question = lake.understood(sql)
    read = list(tables_read(lake, sql, question))
    checked = f"{_EXPLAIN}{sql}"
    # Without a day a table has no columns. PIVOT is several statements, EXPLAIN has no EXPLAIN.
    if all(table.manifests for table in read) and kinds_of(lake.connection, checked) == ["EXPLAIN"]:
        _check(lake, checked)
    snapshots: dict[str, Snapshots] = {}
    tables = []
    for table in read:
        source = settings.dataset_named(table.rolled_up or table.dataset).source
        of_system = snapshots.setdefault(source, Snapshots(store, source))
        tables.append(table_days(lake, table, question, of_system, today))
    prices = chosen_prices(settings, store)
    keys = {
        table.dataset: {table.key(table.dataset, day) for day in touched_days(table, question)}
        for table in read
        if not table.rolled_up
    }
    restores = [
        restore_effort(store, prices, snapshots[system].manifests[taken], days)
        for (system, taken), days in sorted(_restored(tables).items())
    ]
    effort = query_effort(store, prices, estimate(lake, sql), keys)
    return Answerability(tuple(tables), effort, tuple(restores), prices, question.understood)


def _check(lake: Lake, explained: str) -> None:
    """Names and types of the statement after EXPLAIN; nothing is read. Raises LakeError."""
    try:
        lake.ask(explained)
    except WrongSQL as error:
        if "found" in error.parts:  # the place in the statement as it was given
            error.parts["found"] = _without_explain(str(error.parts["found"]))
        raise


def _without_explain(message: str) -> str:
    """DuckDB's line of the statement and the mark below it."""
    before, line, after = message.partition(f"LINE 1: {_EXPLAIN}")
    if not line:
        return message
    text, mark, below = after.partition("\n")
    return f"{before}LINE 1: {text}{mark}{below.replace(' ' * len(_EXPLAIN), '', 1)}"


def _restored(tables: list[TableDays]) -> dict[tuple[str, Day], set[Day]]:
    """System and day of each snapshot that is needed, with the days that it has."""
    needed: dict[tuple[str, Day], set[Day]] = {}
    for table in tables:
        for missing in table.missing:
            if missing.snapshot:
                needed.setdefault((table.source, missing.snapshot), set()).add(missing.day)
    return needed
