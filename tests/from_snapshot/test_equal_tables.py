"""A table from a snapshot equals the one exported in time; the source is gone by then."""

from __future__ import annotations

import hashlib
import json

import pytest
from support.gone_sources import (
    manifest_of,
    remove_tables,
    table_of,
    with_dataset,
    without_sources,
)
from support.left_behind import left_in
from support.loaded_site import SYSTEMS

from lake.base.day import day_range


@pytest.mark.slow
def test_every_table_equals_the_one_exported_in_time(own, site, lake, restores, temporary):
    remove_tables(own)
    without_sources(own)
    more = ("--from-snapshot", "--json", "--config", str(own.config))
    span = ("--from", str(own.first), "--to", str(own.end))
    status, out, err = lake("export", *span, *more)
    assert status == 0, err
    assert sorted(restores.snapshots) == sorted((system, str(own.end)) for system in SYSTEMS)
    assert "within the lateness window" in err
    # The first value of a range query is that of a sample before midnight. The site's Prometheus
    # has none, and by its retention it never had one.
    days = json.loads(out)["partitions"]
    assert {each["state"] for each in days} == {"exported"}

    for dataset in own.settings.dataset:
        for day in day_range(own.first, own.end):
            was, now = manifest_of(site, dataset.name, day), manifest_of(own, dataset.name, day)
            assert now["rows"] > 0
            for name in ("fingerprint", "rows", "schema", "source_count"):
                assert now[name] == was[name]
            assert table_of(own, dataset.name, day).equals(table_of(site, dataset.name, day))
            assert now["count_method"].endswith(f", in the snapshot {dataset.source} {own.end}")
            key = f"{dataset.source}/{str(own.end).replace('-', '/')}/manifest.json"
            stored, source = own.store.read(key), now["details"]["snapshot"]
            assert source["manifest_sha256"] == hashlib.sha256(stored).hexdigest()
            assert (source["system"], source["day"]) == (dataset.source, str(own.end))
            assert source["created_at"] == json.loads(stored)["created_at"]
            assert source["within_lateness"]
            assert "snapshot" not in was["details"]

    # What is there is not read again, and nothing is restored for it.
    assert len(restores.servers) == 3
    assert not any(server.is_up for server in restores.servers)
    assert left_in(temporary) == []
    restores.snapshots.clear()
    status, out, _ = lake("export", *span, *more)
    assert (status, json.loads(out)["skipped"]) == (0, len(days))
    assert restores.snapshots == []


LATER = (
    {"source": "mongo", "collection": "performance_metrics"},
    {"source": "prometheus", "query": "llm_tokens_total", "mode": "raw"},
    {"source": "loki", "selector": '{container=~".+"} |= "a"'},
)


@pytest.mark.slow
@pytest.mark.parametrize("keys", LATER, ids=SYSTEMS)
def test_a_dataset_defined_after_the_snapshot(own, site, lake, restores, tmp_path, keys):
    in_time = site.copy(tmp_path / "in_time")
    for place in (own, in_time):
        with_dataset(place, name="later", **keys)
    without_sources(own)
    span = ("later", "--day", str(own.last))
    assert lake("export", *span, "--config", str(in_time.config))[0] == 0
    status, _, err = lake("export", *span, "--from-snapshot", "--config", str(own.config))
    assert status == 0, err
    was, now = (manifest_of(place, "later", own.last) for place in (in_time, own))
    assert now["rows"] > 0
    assert (now["fingerprint"], now["rows"]) == (was["fingerprint"], was["rows"])
    assert restores.snapshots == [(keys["source"], str(own.end))]


@pytest.mark.slow
def test_a_collection_that_the_snapshot_lacks_is_no_empty_day(own, lake, restores, temporary):
    with_dataset(own, name="later", source="mongo", collection="usage_analytic")
    status, out, _ = lake(
        *("export", "later", "--day", str(own.last), "--from-snapshot", "--allow-shrink"),
        *("--json", "--config", str(own.config)),
    )
    error = json.loads(out)["partitions"][0]["error"]
    assert status == 1
    assert error["what"] == "no collection 'usage_analytic' in the snapshot"
    assert "usage_analytics" in error["expected"]
    assert list(own.store.list("tables/later")) == []
    assert left_in(temporary) == []


def test_no_snapshot(own, lake, restores):
    """Nothing is restored, and the message lists what there is."""
    before = own.first.plus(-3)
    status, out, _ = lake(
        *("export", "container_logs", "--day", str(before), "--from-snapshot"),
        *("--json", "--config", str(own.config.with_name("lake.toml"))),
    )
    assert status == 2  # before [lake] first_day
    text = own.config.read_text().replace(str(own.first), "2026-01-01", 1)
    own.config.write_text(text)
    status, out, _ = lake(
        *("export", "container_logs", "--day", str(before), "--from-snapshot"),
        *("--json", "--config", str(own.config)),
    )
    error = json.loads(out)["partitions"][0]["error"]
    assert status == 1
    assert error["what"] == f"no snapshot of loki holds {before} whole"
    assert error["found"] == f"{own.end} holds {own.first} … {own.last}"
    status, out, _ = lake(
        *("export", "container_logs", "--day", str(own.last), "--from-snapshot"),
        *("--snapshot", str(before), "--force", "--json", "--config", str(own.config)),
    )
    error = json.loads(out)["partitions"][0]["error"]
    assert error["found"] == "no snapshot of that day"
    assert restores.snapshots == []
