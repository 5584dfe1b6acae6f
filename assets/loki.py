"""Assets of Loki.

Belongs here: how a selector is described. Does not: what an export does (exports).
"""

from __future__ import annotations

from dagster import AssetsDefinition

from assets.exports import export_asset
from lake.base.datasets import LokiDataset
from lake.base.settings import Settings


def loki_asset(settings: Settings, dataset: LokiDataset) -> AssetsDefinition:
    """The lines of all streams that a selector matches."""
    return export_asset(
        settings,
        dataset,
        kind="loki",
        description=f"Lines of\n```\n{dataset.selector}\n```",
    )
