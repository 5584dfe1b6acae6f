"""MongoDB in lake.toml.

Belongs here: keys, defaults, rules. Does not: using them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from lake.config.datasets import Dataset
from lake.config.sections import MongoUri, Section, SourceSection, SystemConfig


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


CONFIG = SystemConfig(MongoSource, MongoDataset, hot_days=90, snapshots=MongoSnapshots)
