"""Assets of Prometheus, Thanos Query and Mimir.

Belongs here: how a query is described. Does not: what an export does (exports).
"""

from __future__ import annotations

from dagster import AssetsDefinition

from assets.exports import export_asset
from lake.base.datasets import PrometheusDataset
from lake.base.settings import Settings


def prometheus_asset(settings: Settings, dataset: PrometheusDataset) -> AssetsDefinition:
    """One selector or expression."""
    how = "Stored samples" if dataset.mode == "raw" else f"Values every {dataset.step}"
    return export_asset(
        settings,
        dataset,
        kind="prometheus",
        description=f"{how} of\n```\n{dataset.query}\n```",
    )
