"""In the launchpad, days may be read from snapshots."""

from __future__ import annotations

import dagster as dg
import pytest
from support.gone_sources import manifest_of, remove_tables, without_sources

from assets.definitions import build


@pytest.mark.slow
def test_a_run_reads_days_from_snapshots(site, tmp_path, monkeypatch):
    own = site.copy(tmp_path / "own")
    remove_tables(own)
    without_sources(own)
    with dg.DagsterInstance.ephemeral() as instance:
        result = (
            build(own.settings)
            .resolve_implicit_global_asset_job_def()
            .execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey("usage_analytics")],
                run_config={"ops": {"usage_analytics": {"config": {"from_snapshot": True}}}},
                tags={
                    "dagster/asset_partition_range_start": str(own.first),
                    "dagster/asset_partition_range_end": str(own.last),
                },
            )
        )
    events = {
        event.partition: event
        for event in result.asset_materializations_for_node("usage_analytics")
        if event.asset_key.path == ["usage_analytics"]
    }
    assert sorted(events) == [str(own.first), str(own.last)]
    for day in (own.first, own.last):
        was, now = (manifest_of(place, "usage_analytics", day) for place in (site, own))
        assert now["fingerprint"] == was["fingerprint"]
        shown = events[str(day)].metadata
        assert shown["fingerprint"].value == was["fingerprint"]
        assert shown["snapshot"].value == str(own.end)
