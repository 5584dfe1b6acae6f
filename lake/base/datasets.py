"""What is exported: one dataset is one table, read from one place in one source.

Belongs here: the `[[dataset]]` tables of lake.toml as types, and their rules.
Does not: how a source is asked.
"""

from __future__ import annotations

import keyword
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

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
        *("export", "rehearsal", "rehearse", "snapshot"),
        *("snapshot_loki", "snapshot_mongo", "snapshot_prometheus"),
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


class _Dataset(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str

    @field_validator("name")
    @classmethod
    def _name_is_an_identifier(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("a name is a lower-case letter, then up to 62 of a-z, 0-9 and _")
        return name


class MongoDataset(_Dataset):
    """A collection; a document belongs to the UTC day of its time field."""

    source: Literal["mongo"]
    collection: Annotated[str, Field(min_length=1)]
    time_field: Annotated[str, Field(min_length=1)] = "timestamp"
    time_fallback: Literal["_id"] | None = None

    @field_validator("time_field")
    @classmethod
    def _time_field_is_a_path(cls, path: str) -> str:
        if any(not name or name.startswith("$") for name in path.split(".")):
            raise ValueError(
                f"a path is names joined by dots, none empty or with $ first: {path!r}"
            )
        return path


class PrometheusDataset(_Dataset):
    """A selector or an expression, resampled at `step` or as the stored samples."""

    source: Literal["prometheus"]
    query: Annotated[str, Field(min_length=1)]
    mode: Literal["range", "raw"] = "range"
    step: str = "15s"

    @field_validator("step")
    @classmethod
    def _step_is_a_duration(cls, step: str) -> str:
        if not 0 < duration_ms(step) <= _UNITS_MS["d"]:
            raise ValueError(f"a step above 0 and of at most 1d, not {step!r}")
        return step

    @property
    def step_ms(self) -> int:
        """The step in milliseconds."""
        return duration_ms(self.step)


class LokiDataset(_Dataset):
    """The lines of all streams that a selector matches."""

    source: Literal["loki"]
    selector: Annotated[str, Field(min_length=1)]
    # Where queries look for a line's level first. What is exported does not depend on it, so it
    # is no part of the definition that manifests record.
    level_from: Annotated[tuple[str, ...], Field(exclude=True)] = ()

    @field_validator("level_from", mode="before")
    @classmethod
    def _one_place_is_a_list(cls, places: Any) -> Any:
        return (places,) if isinstance(places, str) else places

    @field_validator("level_from")
    @classmethod
    def _places_have_names(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        if "" in places or len(set(places)) < len(places):
            raise ValueError(
                'names of labels or metadata keys, or "line", each once and none empty: '
                f"{list(places)!r}"
            )
        return places


Dataset = Annotated[MongoDataset | PrometheusDataset | LokiDataset, Field(discriminator="source")]
KINDS: dict[str, type[BaseModel]] = {
    "mongo": MongoDataset,
    "prometheus": PrometheusDataset,
    "loki": LokiDataset,
}
