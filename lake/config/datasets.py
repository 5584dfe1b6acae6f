"""What is exported: one dataset is one table, read from one place in one source.

Belongs here: what every `[[dataset]]` of lake.toml has, and the rules of names.
Does not: the keys of one system (its `config`).
"""

from __future__ import annotations

import keyword
import re

from pydantic import BaseModel, ConfigDict, field_validator

from lake.config.systems import packages

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
        *("export", "guard", "rehearsal", "rehearse", "snapshot", "ttl_guard"),
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
    """One `[[dataset]]`; a system's `config` adds its own keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str

    @field_validator("name")
    @classmethod
    def _name_is_an_identifier(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("a name is a lower-case letter, then up to 62 of a-z, 0-9 and _")
        return name
