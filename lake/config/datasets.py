"""What is exported: one dataset is one table, read from one place in one source.

Belongs here: what every `[[dataset]]` of lake.toml has, and the rules of names.
Does not: the keys of one system (its `config`).
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
)

from lake.config.systems import packages
from lake.privacy.applying import Rules
from lake.privacy.rules import Rule, rules_of

RowsAre = Literal["counter", "lines", "documents"]
_UNITS_MS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")  # a table, a folder and part of a variable's name
# Datasets may have these names, but Dagster keeps them for itself, or they are names of our own
# definitions there: such an asset gets another name, and `lake init` writes none of them.
RESERVED_NAMES = frozenset(
    [
        *(word for word in keyword.kwlist if word.islower()),
        *("arg_dict", "bool", "conf", "config", "context", "dict", "float", "input"),
        *("input_arg_dict", "int", "meta", "output", "output_arg_dict", "str", "type"),
        *("export", "guard", "rehearsal", "rehearse", "retention", "retention_run", "snapshot"),
        *("ttl_guard", "verification", "verify"),
        *("check_days", "lake_status", "read_days"),
        *(f"snapshot_{name}" for name in packages()),
    ]
)
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d+){unit})?" for unit in _UNITS_MS), re.ASCII)


def duration_ms(text: str) -> int:
    """A Prometheus duration (`15s`, `1m30s`, `500ms`) in milliseconds.

    Source: https://prometheus.io/docs/prometheus/latest/querying/basics/#float-literals-and-time-durations
    Raises ValueError.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(f"a Prometheus duration such as 15s or 1m30s, not {text!r}")
    return sum(
        int(number) * _UNITS_MS[unit] for unit, number in match.groupdict().items() if number
    )


class Dataset(BaseModel):
    """One `[[dataset]]`; a system's `config` adds its own keys.

    `columns` are the rules of its columns. They are no part of the definition that manifests
    record and compare: a rule is added without exporting every day again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str
    applies_rules: ClassVar[bool] = False  # whether the system's source does
    # What its rows are, of every dataset of the system; None where manifests' schemas decide.
    rows_are: ClassVar[RowsAre | None] = None
    # The key that names what is read: with the same value two datasets have the same rows. With
    # another one they may still share some, unless `is_apart`.
    read_by: ClassVar[str] = ""
    is_apart: ClassVar[bool] = False
    # The version of the rules of its own rollups; None where SQL files define them.
    rollup_rules: ClassVar[int | None] = None
    columns: Annotated[tuple[Rule, ...], BeforeValidator(rules_of), Field(exclude=True)] = ()
    _hash_key: SecretStr = PrivateAttr(SecretStr(""))

    def shares_rows(self, definition: Mapping[str, Any]) -> bool | None:
        """Whether its rows are those of a dataset that was defined so; None where only the source
        could tell.
        """
        if definition.get("source") != self.source:
            return False
        if self.read_by and definition.get(self.read_by) == getattr(self, self.read_by):
            return True
        return False if self.is_apart else None

    def rules(self) -> Rules:
        """Those of the columns, ready to be applied. Raises ConfigError without their key."""
        return Rules(self.columns, self._hash_key.get_secret_value()) if self.columns else Rules()

    def recorded_rules(self) -> list[dict[str, Any]]:
        """As a manifest records them; without their key the id of it is empty."""
        if not self._hash_key.get_secret_value():
            return [rule.to_json() for rule in self.columns]
        return self.rules().to_json()

    def under(self, stored: Sequence[Mapping[str, Any]]) -> Self:
        """The dataset with the rules that a manifest records: those which its rows went through."""
        dataset = self.model_copy(update={"columns": tuple(map(Rule.from_json, stored))})
        dataset._hash_key = self._hash_key
        return dataset

    def with_key(self, key: SecretStr) -> Self:
        """The dataset with the key that its hashes are made with."""
        dataset = self.model_copy()
        dataset._hash_key = key
        return dataset

    @field_validator("name")
    @classmethod
    def _name_is_an_identifier(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("a name is a lower-case letter, then up to 62 of a-z, 0-9 and _")
        return name

    @field_validator("columns")
    @classmethod
    def _rules_are_applied(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        if rules and not cls.applies_rules:
            raise ValueError("no rules: this system's source does not apply any")
        return rules
