"""Assets of MongoDB.

Belongs here: how a collection is described. Does not: what an export does (exports).
"""

from __future__ import annotations

from dagster import AssetsDefinition

from assets.exports import export_asset
from lake.base.datasets import MongoDataset
from lake.base.settings import Settings


def mongo_asset(settings: Settings, dataset: MongoDataset) -> AssetsDefinition:
    """One collection, by the UTC day of its documents' time field."""
    fallback = f", else of `{dataset.time_fallback}`" if dataset.time_fallback else ""
    return export_asset(
        settings,
        dataset,
        kind="mongodb",
        description=(
            f"Documents of the collection `{dataset.collection}`, "
            f"by the UTC day of `{dataset.time_field}`{fallback}."
        ),
    )
