"""What `import lake` offers to notebooks and scripts.

Belongs here: few functions and one class over the use cases, with plain arguments. Does not: any
rule of its own. `lake/__init__.py` loads this module when a name of it is first used.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from lake.base.day import Day
from lake.base.errors import BadData, LakeError, UsageError
from lake.config.datasets import Dataset
from lake.config.settings import Settings, load
from lake.export import Exporter, Outcome
from lake.partition.ledger import read_ledger, read_manifest
from lake.partition.manifest import Manifest
from lake.query import connect
from lake.query.failures import explained
from lake.query.kinds import folded, quoted_name
from lake.query.tables import Table
from lake.status import DatasetStatus, read_status
from lake.store import Store, open_store
from lake.verify import Finding, to_verify, verify_many

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DataLake", "Day", "LakeError", "Manifest", "Settings", "connect", "open"]

AnyDay = Day | date | str  # a string is YYYY-MM-DD; a day is a UTC day

_NAMED = 30  # columns


class DataLake:
    """The lake of one configuration. Connections are opened when a method needs them.

    Days are UTC days: a `Day`, a `date` or `YYYY-MM-DD`. `end` is exclusive everywhere. Every
    method raises LakeError: `what`, `parts` (where, expected, found, remedy).
    """

    def __init__(self, settings: Settings, exporter: Exporter | None = None) -> None:
        self.settings = settings
        self._exporter = exporter
        self._store: Store | None = None

    @property
    def datasets(self) -> list[str]:
        """The names of the datasets that are configured."""
        return [dataset.name for dataset in self.settings.dataset]

    def manifests(self, dataset: str) -> dict[Day, Manifest]:
        """The manifest of each exported day, oldest first."""
        name = self._dataset(dataset).name
        manifests = {}
        for day, manifest in sorted(read_ledger(self._opened_store(), name).items()):
            if isinstance(manifest, BadData):
                raise manifest
            manifests[day] = manifest
        return manifests

    def manifest(self, dataset: str, day: AnyDay) -> Manifest | None:
        """The manifest of one day, None where the day is not exported."""
        return read_manifest(self._opened_store(), self._dataset(dataset).name, _day(day))

    def status(
        self, start: AnyDay | None = None, end: AnyDay | None = None, *, recount: bool = False
    ) -> list[DatasetStatus]:
        """The state of each dataset and closed day, as `lake status` prints it.

        With `recount`, days inside the lateness window are re-counted at the sources.
        """
        source_of = self._opened_exporter().source if recount else None
        first, last = _optional(start), _optional(end)
        return read_status(self.settings, self._opened_store(), source_of, first, last)

    def read(
        self,
        dataset: str,
        start: AnyDay | None = None,
        end: AnyDay | None = None,
        *,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Rows of the exported days as an Arrow table; columns by default all, and `day`.

        The whole result is in memory. To filter or aggregate first, use `connect`. Raises
        UsageError for a column that no day has.
        """
        name = self._dataset(dataset).name
        table = quoted_name(f"{name}_between")
        # A session sees the days that are exported when it reads a dataset.
        with connect(self.settings) as session, explained(self.settings.lake.root):
            days = session.days(name)
            chosen = _chosen(session.table(name), columns)
            first = _optional(start) or min(days, default=Day.today())
            last = _optional(end) or max(days, default=first).plus(1)
            query = f"SELECT {chosen} FROM {table}(DATE '{first}', DATE '{last}')"  # noqa: S608
            return session.sql(query).to_arrow_table()

    def export(
        self,
        dataset: str,
        day: AnyDay,
        *,
        force: bool = False,
        open_day: bool = False,
        allow_shrink: bool = False,
    ) -> Outcome:
        """Exports one day, as `lake export` does. `state` of the result: exported, rewritten or
        skipped; `manifest`: the day's manifest.
        """
        exporter, chosen = self._opened_exporter(), self._dataset(dataset)
        return exporter.export(
            chosen, _day(day), force=force, open_day=open_day, allow_shrink=allow_shrink
        )

    def verify(
        self,
        dataset: str,
        days: Sequence[AnyDay] | None = None,
        *,
        recount: bool = False,
    ) -> list[Finding]:
        """Reads objects back and compares them with their manifests, by default of every day.

        With `recount`, days that the source still keeps are re-counted there.
        """
        chosen = None if days is None else [_day(day) for day in days]
        source_of = self._opened_exporter().source if recount else None
        store = self._opened_store()
        partitions = to_verify(store, [self._dataset(dataset)], chosen)
        return list(verify_many(self.settings, store, partitions, source_of))

    def cost(self, what_if: Sequence[str] = ()) -> dict[str, Any]:
        """What `lake cost --json` prints: stored bytes, their cost in `prices.currency` a month and
        the forecast of twelve months. `what_if` has changes, KEY=VALUE.
        """
        from lake.cost import make_report  # noqa: PLC0415  only here
        from lake.cost.choosing import chosen_prices, policy_of  # noqa: PLC0415

        store = self._opened_store()
        prices = chosen_prices(self.settings, store, None, None)
        return make_report(
            self.settings, store, prices, policy_of(self.settings), what_if
        ).to_json()

    def trends(self, start: AnyDay, end: AnyDay) -> list[dict[str, Any]]:
        """The trends that fit the lake and need no option, as the page of `lake report` plots them.

        Each has `name`, `title`, `datasets`, `days`, `panels` and `notes`; a panel `label`, `style`
        (`lines` or `bars`) and `series`, with a `label` and one of `values`, a number or None, for
        each of `days`. One that can't be computed has `problem` instead.
        """
        from lake.report.trends import Trends  # noqa: PLC0415  only here

        with closing(Trends(self.settings, _day(start), _day(end))) as fitting:
            return [fitting.plotted(number) for number, _ in enumerate(fitting.fits)]

    def close(self) -> None:
        """Closes the sources' connections."""
        if self._exporter:
            self._exporter.close()
            self._exporter = None

    def __enter__(self) -> DataLake:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _dataset(self, name: str) -> Dataset:
        return self.settings.dataset_named(name)

    def _opened_store(self) -> Store:
        if self._store is None:
            self._store = self._exporter.store if self._exporter else open_store(self.settings)
        return self._store

    def _opened_exporter(self) -> Exporter:
        if self._exporter is None:
            self._exporter = Exporter(self.settings, self._opened_store())
        return self._exporter


def open(config: str | Settings | None = None) -> DataLake:  # noqa: A001  named for `lake.open`
    """The lake of that configuration: a file's path, settings, or None for LAKE_CONFIG and
    ./lake.toml. Raises ConfigError.
    """
    return DataLake(config if isinstance(config, Settings) else load(config))


def _chosen(table: Table, columns: Sequence[str] | None) -> str:
    """The columns for a SELECT."""
    if columns is None:
        return "*"
    known = {folded(name) for name in table.column_names}
    is_list = len(columns) > 0 and not isinstance(columns, str)
    if not is_list or not known.issuperset(map(folded, columns)):
        names = table.column_names
        more = ", …" if len(names) > _NAMED else ""
        raise UsageError(
            f"not columns of {table.dataset}",
            expected=f"a list of names: {', '.join(names[:_NAMED])}{more}",
            found=repr(columns),
            remedy="`lake describe` lists all columns"
            if table.manifests
            else "`lake export`: no day of it is in the lake yet",
        )
    return ", ".join(map(quoted_name, columns))


def _day(value: AnyDay) -> Day:
    if isinstance(value, Day):
        return value
    if isinstance(value, str):
        return Day.parse(value)
    if isinstance(value, datetime) or not isinstance(value, date):
        raise UsageError(
            "not a day", expected="a Day, a date or YYYY-MM-DD: a UTC day", found=repr(value)
        )
    return Day(value)


def _optional(value: AnyDay | None) -> Day | None:
    return None if value is None else _day(value)
