"""What the tables are exported from, as external assets: the beginning of Dagster's lineage.

Belongs here: one asset of a source, or of each MongoDB collection. Does not: addresses (they may
hold secrets), requests to a source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import dagster as dg

from assets.names import SOURCES, kind_of
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.systems.protocol import code
from lake.systems.registry import system

_REFUSED = re.compile(r"[^A-Za-z0-9_.-]")


def source_key(dataset: Dataset) -> dg.AssetKey:
    """`sources/SYSTEM`, of a collection `sources/mongo/COLLECTION`: characters that Dagster refuses
    there as their code points, a blank as `_20_`.
    """
    part = _REFUSED.sub(lambda match: f"_{ord(match[0]):x}_", _part(dataset))
    return dg.AssetKey([SOURCES, dataset.source, *([part] if part else [])])


def source_specs(settings: Settings) -> Iterator[dg.AssetSpec]:
    """The specs of all datasets' sources, each source once."""
    of_key = {source_key(dataset): dataset for dataset in settings.dataset}
    for key, dataset in of_key.items():
        read = system(dataset.source)
        part = _part(dataset)
        yield dg.AssetSpec(
            key,
            description=f"The collection {code(part)} in {read.title}."
            if part
            else f"{read.title}: its {read.rows}.",
            group_name=SOURCES,
            kinds={kind_of(read.title)},
            tags={"source": dataset.source},
        )


def sources_of(settings: Settings, name: str) -> list[dg.AssetKey]:
    """The keys of one system."""
    keys = (source_key(dataset) for dataset in settings.dataset if dataset.source == name)
    return list(dict.fromkeys(keys))


def _part(dataset: Dataset) -> str:
    """The part of a server that the dataset is, where it is a part."""
    return str(getattr(dataset, "collection", ""))
