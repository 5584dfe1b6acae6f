"""One partition of the lake on the local disk, proven and ready for queries.

Belongs here: fetching it, the questions of sql/rehearsal. Does not: the restored server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lake.base.day import Day
from lake.base.resources import resource_path
from lake.config.systems import configs
from lake.partition.content import fetch
from lake.partition.manifest import Manifest
from lake.process.scratch import explained_full_disk, scratch_directory
from lake.query import Lake
from lake.store import Store


@dataclass(frozen=True)
class RehearsedPartition:
    """`file` is the object, byte for byte; `dataset` what it was exported as.

    `fixed` are the columns that are no labels.
    """

    dataset: Any
    day: Day
    manifest: Manifest
    file: Path
    lake: Lake
    fixed: frozenset[str]

    def rows(self, question: str, **params: Any) -> list[dict[str, Any]]:
        """The answer to a statement of sql/rehearsal."""
        sql = resource_path(f"sql/rehearsal/{question}.sql").read_text("utf-8")
        return self.lake.rows(sql, {"object": str(self.file), **params})

    def labels(self, row: Mapping[str, Any]) -> dict[str, str]:
        """All labels of a row of Prometheus or Loki."""
        own: dict[str, str] = {
            name: row[name] for name in self.label_names() if row[name] is not None
        }
        if row.get("metric") is not None:
            own["__name__"] = row["metric"]
        return {**own, **row["labels"]}

    def label_names(self) -> list[str]:
        """Of the columns that labels have of their own."""
        names = [str(column["name"]) for column in self.manifest.schema]
        return [name for name in names if name not in self.fixed]


@contextmanager
def fetched(
    store: Store, manifest: Manifest, lake: Lake, fixed: frozenset[str]
) -> Iterator[RehearsedPartition]:
    """The partition, while the block runs. Raises what `fetch` raises."""
    with explained_full_disk(), scratch_directory() as folder:
        file = folder / "data.parquet"
        with file.open("wb") as out:
            fetch(store, manifest, out)
        day = Day.parse(manifest.day)
        yield RehearsedPartition(_dataset(manifest, lake), day, manifest, file, lake, fixed)


def _dataset(manifest: Manifest, lake: Lake) -> Any:
    """As it was exported, and under the rules that its rows went through; manifests of early
    versions have no definition.
    """
    if manifest.definition:
        dataset = configs()[manifest.source].dataset.model_validate(manifest.definition)
    else:
        (dataset,) = lake.settings.datasets_named((manifest.dataset,))
    return dataset.with_key(lake.settings.privacy.hash_key).under(manifest.rules)
