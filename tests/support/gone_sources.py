"""Changes to a copy of a loaded lake, so that only its snapshots are left, and reads of it."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.base.day import Day
from support.loaded_site import Site


def without_sources(site: Site) -> None:
    """Nothing listens at the sources' addresses any more."""
    text = site.config.read_text()
    text = re.sub(r'"mongodb://[^"]*"', '"mongodb://127.0.0.1:1"', text)
    site.config.write_text(re.sub(r'url = "http://[^"]*"', 'url = "http://127.0.0.1:1"', text))


def with_dataset(site: Site, **keys: Any) -> None:
    """One more in lake.toml."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    site.config.write_text("\n".join([site.config.read_text(), "[[dataset]]", *lines, ""]))


def manifest_of(site: Site, dataset: str, day: Day) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(site.store.read(f"manifests/{dataset}/{day}.json"))
    return manifest


def table_of(site: Site, dataset: str, day: Day) -> pa.Table:
    return pq.read_table(io.BytesIO(site.store.read(f"tables/{dataset}/day={day}/data.parquet")))


def remove_tables(site: Site) -> None:
    for kind in ("tables/", "manifests/", "rollups/"):
        for stat in list(site.store.list(kind)):
            site.store.delete(stat.key)
