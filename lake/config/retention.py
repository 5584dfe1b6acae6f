"""`[retention]`: how long the lake keeps what.

Belongs here: keys, defaults, how a time is written. Does not: what a day's age means
(lake.kept), deleting (lake.retention).
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from lake.config.datasets import duration_ms
from lake.config.sections import Section

FOREVER = 3_650_000  # days
_DAY_MS = 86_400_000
_WRITTEN = 'days such as 180, a time of whole days such as "180d", "26w" or "1y", or "forever"'


def _days(value: Any) -> int:
    """Days; a year has 365."""
    if isinstance(value, str):
        if value == "forever":
            return FOREVER
        try:
            milliseconds = int(value) * _DAY_MS if value.isdigit() else duration_ms(value)
        except ValueError:
            raise ValueError(_WRITTEN) from None
        if milliseconds % _DAY_MS:
            raise ValueError(_WRITTEN)
        value = milliseconds // _DAY_MS
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= FOREVER:
        raise ValueError(_WRITTEN)
    return value


def shown_days(days: int) -> int | str:
    """As lake.toml has it: a number, or `forever`."""
    return "forever" if days >= FOREVER else days


Kept = Annotated[int, BeforeValidator(_days, json_schema_input_type=int | str)]
_Number = Annotated[int, Field(ge=0, le=100_000)]


class SnapshotRules(Section):
    """`[retention.snapshots]`: of how many days, ISO weeks, months and years that have snapshots
    the newest one is kept. Without any number all are kept.
    """

    daily: _Number = 0
    weekly: _Number = 0
    monthly: _Number = 0
    yearly: _Number = 0

    @property
    def any(self) -> bool:
        """Whether a rule is set."""
        return any((self.daily, self.weekly, self.monthly, self.yearly))


class RetentionOverride(Section):
    """`[retention.dataset.NAME]`: what differs for one dataset."""

    tables: Kept | None = None
    rollups: Kept | None = None


class SystemRetention(RetentionOverride):
    """`[retention.system.NAME]`: what differs for one system and its datasets."""

    snapshots: SnapshotRules | None = None


_NO_OVERRIDE = RetentionOverride()  # made once: every day of a lake is looked at


class RetentionSection(Section):
    """`[retention]`. Off by default; without a time everything is kept for ever."""

    enabled: bool = False
    tables: Kept = FOREVER
    rollups: Kept = FOREVER
    reports: Kept = FOREVER
    snapshots: SnapshotRules = SnapshotRules()
    system: dict[str, SystemRetention] = Field(default_factory=dict)
    dataset: dict[str, RetentionOverride] = Field(default_factory=dict)

    def times(self, dataset: str, system: str) -> tuple[int, int]:
        """How many days tables and rollups of a dataset are kept: its own value, else its
        system's, else the section's.
        """
        own = self.dataset.get(dataset, _NO_OVERRIDE)
        of_system = self.system.get(system, _NO_OVERRIDE)
        return (
            own.tables or of_system.tables or self.tables,
            own.rollups or of_system.rollups or self.rollups,
        )

    def rules(self, system: str) -> SnapshotRules:
        """The keep rules of a system's snapshots: its own, else the section's."""
        own = self.system.get(system, SystemRetention()).snapshots
        return self.snapshots if own is None else own

    @model_validator(mode="after")
    def _rollups_outlive_tables(self) -> Self:
        pairs = [("[retention]", (self.tables, self.rollups))]
        pairs += [(f"[retention.system.{name}]", self.times("", name)) for name in self.system]
        for where, (tables, rollups) in pairs:
            _require_outliving(where, tables, rollups)
        return self


def _require_outliving(where: str, tables: int, rollups: int) -> None:
    if rollups < tables:
        raise ValueError(
            f"{where} rollups = {shown_days(rollups)} has to be at least tables = "
            f"{shown_days(tables)}: the rollup of a day that is there would be made again"
        )
