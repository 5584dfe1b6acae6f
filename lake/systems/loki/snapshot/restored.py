"""The configuration of a Loki on restored files, in the words of its version.

Belongs here: which keys each version takes, what keeps restored data alive. Does not: reading a
source's configuration (loki_config), starting a server.

Loki ends at once over an unknown key. So nothing is copied from the source but what
determines how the data are read; what was in S3 is in the file system now.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lake.base.errors import PermanentError
from lake.snapshots.manifest import SnapshotManifest
from lake.systems.loki.snapshot.config import LokiPlaces, places, read_config

CONFIG = "source-config.yml"
LAYOUT = "layout"  # of a manifest's details
LOKI_PORT = 3100
Version = tuple[int, ...]
_FILESYSTEM = "filesystem"
_LOOPBACK = "127.0.0.1"
_SHIPPERS = {"tsdb": "tsdb_shipper", "boltdb-shipper": "boltdb_shipper"}
_CACHES = {"tsdb": "tsdb-shipper-cache", "boltdb-shipper": "boltdb-shipper-cache"}
# The lowest versions of …
_RETENTION = (2, 3)  # the compactor's retention
_COMMON = (2, 4)  # the section `common`
_SCHEMAS = {"v12": (2, 5), "v13": (2, 9)}
_TSDB = (2, 8)
_NO_SHARED_STORE = (3, 0)  # the schema's object store is where the index is
_OBJECT_STORE = (3, 3)  # the second family of storage clients
_TSDB_ALONE = (3, 8)  # no boltdb, and none of its keys in a period of the schema
_NEWEST = (99, 0)


def version_of(text: str) -> Version:
    """Major and minor of `3.7.6` or `main-abc`; what has no number counts as the newest."""
    match = re.match(r"v?(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else _NEWEST


def restored_places(manifest: SnapshotManifest, folder: Path) -> LokiPlaces:
    """Where the files of a restored snapshot are. `folder` has its source's configuration.

    Raises BadData, PermanentError where the manifest or that file can't be understood.
    """
    layout = manifest.details.get(LAYOUT)
    if layout is not None:
        return LokiPlaces.of_json(layout, f"manifest of {manifest.system} {manifest.day}")
    file = folder / CONFIG  # of an earlier version of this program
    return places(read_config(file), Path(str(manifest.details["data_dir"])), file)


def require_readable(places: LokiPlaces, version: Version, program: str) -> None:
    """Raises PermanentError where this version can't read the index or the chunks."""
    for period in places.periods:
        lowest = max(
            _SCHEMAS.get(str(period["schema"]), (0, 0)),
            _TSDB if period.get("store") == "tsdb" else (0, 0),
        )
        if version < lowest:
            raise PermanentError(
                "the Loki on this machine is too old for the snapshot",
                where=program,
                expected=f"Loki {'.'.join(map(str, lowest))} or newer, for store "
                f"{period.get('store')}, schema {period['schema']}",
                found=f"Loki {'.'.join(map(str, version))}",
                remedy="put a newer `loki` on PATH, or use compose.yaml beside the restored files",
            )
        if str(period.get("store")).startswith("boltdb") and _TSDB_ALONE <= version < _NEWEST:
            raise PermanentError(
                "the Loki on this machine is too new for the snapshot",
                where=program,
                expected=f"Loki 3.7 or older: later ones read no store {period['store']}",
                found=f"Loki {'.'.join(map(str, version))}",
                remedy="put an older `loki` on PATH, or use compose.yaml beside the restored files",
            )


def restored_config(places: LokiPlaces, data_dir: Path, version: Version) -> dict[str, Any]:
    """Sections for a server whose data directory is `data_dir`; retention off."""
    stores = {str(period.get("store")) for period in places.periods}
    config: dict[str, Any] = {
        "schema_config": {
            "configs": [_period(places, period, version) for period in places.periods]
        },
        "storage_config": _storage(places, stores, data_dir, version),
        "ingester": _ingester(places, data_dir, version),
        "compactor": {"working_directory": str(data_dir / "compactor")},
    }
    if version < _NO_SHARED_STORE:
        config["compactor"]["shared_store"] = _FILESYSTEM
    if version >= _RETENTION:  # it would remove what has just come back
        config["compactor"]["retention_enabled"] = False
        config["limits_config"] = {"retention_period": "0s"}
    if version >= _NO_SHARED_STORE and not _takes_metadata(places.periods[-1]):
        config["limits_config"]["allow_structured_metadata"] = False  # it ends at once otherwise
    return config


def _takes_metadata(period: Mapping[str, Any]) -> bool:
    return period.get("store") == "tsdb" and str(period["schema"]) >= "v13"


def _period(places: LokiPlaces, period: Mapping[str, Any], version: Version) -> dict[str, Any]:
    restored = {**period, "object_store": _FILESYSTEM}
    index = dict(restored.get("index") or {})
    prefix = index.pop("path_prefix", "") or places.index_prefix
    if prefix and version >= _NO_SHARED_STORE:
        index["path_prefix"] = prefix
    if index:
        restored["index"] = index
    if version >= _TSDB_ALONE:
        restored.pop("row_shards", None)
        restored.pop("chunks", None)
    return restored


def _storage(
    places: LokiPlaces, stores: set[str], data_dir: Path, version: Version
) -> dict[str, Any]:
    chunks = str(data_dir / places.chunks)
    section: dict[str, Any] = {_FILESYSTEM: {"directory": chunks}}
    if version >= _OBJECT_STORE:  # whichever family is the default
        section["use_thanos_objstore"] = False
        section["object_store"] = {_FILESYSTEM: {"dir": chunks}}
    for store in sorted(stores & set(_SHIPPERS)):
        shipper = {
            "active_index_directory": str(data_dir / places.active[store]),
            "cache_location": str(data_dir / _CACHES[store]),
        }
        if version < _NO_SHARED_STORE:
            shipper["shared_store"] = _FILESYSTEM
            if places.index_prefix:
                shipper["shared_store_key_prefix"] = places.index_prefix
        section[_SHIPPERS[store]] = shipper
    if "boltdb" in stores:
        section["boltdb"] = {"directory": str(data_dir / places.active["boltdb"])}
    return section


def _ingester(places: LokiPlaces, data_dir: Path, version: Version) -> dict[str, Any]:
    wal = {"enabled": True, "dir": str(data_dir / (places.wal or "wal"))}
    return {"wal": wal, "max_transfer_retries": 0} if version < _COMMON else {"wal": wal}


def standalone_config(places: LokiPlaces, data_dir: Path, version: Version) -> dict[str, Any]:
    """A whole configuration: for a container, or for a Loki started by hand."""
    config = restored_config(places, data_dir, version)
    ring = {"kvstore": {"store": "inmemory"}}
    # One process waits for no other: it answers at once, and ends at once.
    lifecycler: dict[str, Any] = {"min_ready_duration": "0s", "final_sleep": "0s"}
    config["ingester"]["lifecycler"] = lifecycler
    if version >= _COMMON:
        config["common"] = {
            "path_prefix": str(data_dir),
            "replication_factor": 1,
            "ring": ring,
            "instance_addr": _LOOPBACK,  # its parts reach each other, whatever it listens on
        }
    else:
        lifecycler |= {"address": _LOOPBACK, "ring": {**ring, "replication_factor": 1}}
    config["auth_enabled"] = places.multi_tenant
    config["server"] = {"http_listen_port": LOKI_PORT}
    config["querier"] = {"query_ingesters_within": "0s"}
    return config
