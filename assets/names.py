"""Names of assets and of their kinds.

Belongs here: names as Dagster takes them. Does not: which names are valid in lake.toml.

One name that Dagster refuses, or that two definitions have, keeps the whole code location from
being loaded: no schedule runs any more.
"""

from __future__ import annotations

import re

from lake.config.datasets import RESERVED_NAMES

SOURCES = "sources"
"""The first part of the keys of sources' assets, and their group."""
ROLLUPS = "rollups"
"""The first part of the keys of rollups' assets; in names of Dagster's, two underscores follow."""


def asset_name(dataset: str) -> str:
    """The dataset's name; `config` becomes `Config`, which no other dataset can have."""
    reserved = dataset in RESERVED_NAMES or dataset.startswith(f"{ROLLUPS}__")
    return dataset.capitalize() if reserved else dataset


def kind_of(title: str) -> str:
    """A system's title as a kind, for which Dagster has icons: `mongodb`."""
    return re.sub("[^a-z0-9_]+", "_", title.lower())
