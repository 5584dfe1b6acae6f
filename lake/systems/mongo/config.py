"""MongoDB in lake.toml.

Belongs here: keys, defaults, rules. Does not: using them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from lake.config.datasets import Dataset, RowsAre
from lake.config.sections import MongoUri, Section, SourceSection, SystemConfig
from lake.privacy.rules import folded


class MongoSource(SourceSection):
    """`[sources.mongo]`."""

    uri: MongoUri
    database: Annotated[str, Field(min_length=1)]
    timeout_s: Annotated[float, Field(gt=0)] = 60


class MongoSnapshots(Section):
    """`[snapshots.mongo]`."""

    tool: Literal["auto", "mongodump", "native"] = "auto"
    scope: Literal["full", "day"] = "full"


class MongoDataset(Dataset):
    """A collection; a document belongs to the UTC day of its time field."""

    applies_rules: ClassVar[bool] = True
    rows_are: ClassVar[RowsAre] = "documents"
    read_by: ClassVar[str] = "collection"
    is_apart: ClassVar[bool] = True
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

    @model_validator(mode="after")
    def _rules_leave_what_a_day_needs(self) -> Self:
        time_path = folded(self.time_field.split("."))
        for rule in self.columns:
            path = folded(rule.path)
            length = min(len(path), len(time_path))
            if path[:length] == time_path[:length]:
                raise ValueError(
                    f"columns: {rule.text!r} holds the time field, by which a document belongs to "
                    "its day: no rule may change it"
                )
            if path[0] == "_id" and (rule.kind != "hash" or len(path) > 1):
                raise ValueError(
                    f"columns: {rule.text!r} can only be hashed, and as a whole: by _id documents "
                    "are sorted, compared and restored"
                )
            if path[0] == "_id" and self.time_fallback:
                raise ValueError('columns: _id has the day where time_fallback = "_id" is set')
        return self


CONFIG = SystemConfig(
    MongoSource,
    MongoDataset,
    hot_days=90,
    snapshots=MongoSnapshots,
    columns={
        "_id": "identifier of the document",
        "_rest": "canonical Extended JSON of what the typed columns can't hold exactly, else NULL",
        "_raw": "BSON of the document where Extended JSON can't express it, else NULL",
    },
    other_columns="field of the document",
)
