"""Loki in lake.toml.

Belongs here: keys, defaults, rules. Does not: using them.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from lake.config.datasets import Dataset, RowsAre
from lake.config.sections import HttpSection, Section, SystemConfig
from lake.privacy.rules import folded, refuse_label_twice

_NO_RULE = frozenset({"day", "ts", "ts_ns", "stream_id", "labels", "metadata"})


class LokiSource(HttpSection):
    """`[sources.loki]`."""

    # reject_old_samples_max_age is one week by default: until then a day can grow.
    lateness_days: Annotated[int, Field(ge=0)] = 8


class LokiSnapshots(Section):
    """`[snapshots.loki]`."""

    data_dir: str = "/loki"
    config_file: str = "/etc/loki/loki-config.yml"


class LokiDataset(Dataset):
    """The lines of all streams that a selector matches."""

    applies_rules: ClassVar[bool] = True
    rows_are: ClassVar[RowsAre] = "lines"
    read_by: ClassVar[str] = "selector"
    rollup_rules: ClassVar[int] = 2
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

    @model_validator(mode="after")
    def _rules_are_of_lines_labels_or_metadata(self) -> Self:
        for rule in self.columns:
            *parents, name = folded(rule.path)
            if parents not in ([], ["labels"], ["metadata"]):
                raise ValueError(
                    f"columns: {rule.text!r} is not a line, NAME of a label, labels.NAME or "
                    "metadata.NAME"
                )
            if not parents and name in _NO_RULE:
                raise ValueError(
                    f"columns: {name!r} can't have a rule: a line belongs to its day, its stream "
                    "and its place by it; a label of that name is labels." + name
                )
        refuse_label_twice(self.columns, ("line",))
        return self


CONFIG = SystemConfig(
    LokiSource,
    LokiDataset,
    hot_days=30,
    snapshots=LokiSnapshots,
    columns={
        "ts": "time of the line, microseconds",
        "ts_ns": "time of the line, nanoseconds since 1970-01-01 UTC",
        "stream_id": "hash of all labels, the same every day",
        "line": "text of the line",
        "labels": "labels without a column of their own",
        "metadata": "structured metadata",
    },
    other_columns="label of the stream, NULL where absent",
)
