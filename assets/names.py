"""Names of the assets.

Belongs here: a dataset's name as Dagster takes it. Does not: which names are valid in lake.toml.

One name that Dagster refuses, or that two definitions have, keeps the whole code location from
being loaded: no schedule runs any more.
"""

from __future__ import annotations

from lake.base.datasets import RESERVED_NAMES


def asset_name(dataset: str) -> str:
    """The dataset's name; `config` becomes `Config`, which no other dataset can have."""
    return dataset.capitalize() if dataset in RESERVED_NAMES else dataset
