"""A Loki's configuration, as far as it says how its files are to be read.

Belongs here: which of its sections a restored server needs, with paths of the new place.
Does not: copying files (loki), starting a server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lake.base.errors import BadData

# Section → keys that belong to the data; everything else belongs to the old server's place.
_KEPT: dict[str, tuple[str, ...]] = {
    "schema_config": (),
    "storage_config": ("filesystem", "tsdb_shipper", "boltdb_shipper", "boltdb"),
    "common": ("storage",),
    "ingester": ("wal",),
}


def restored_config(file: Path, source_dir: str, data_dir: Path) -> dict[str, Any]:
    """The sections, each path below `source_dir` moved to `data_dir`; retention stays off.

    Raises BadData where it is no Loki configuration, or data lie elsewhere than on a disk.
    """
    try:
        config = yaml.safe_load(file.read_text("utf-8"))
        periods = config["schema_config"]["configs"]
        stores = {period["object_store"] for period in periods}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise BadData("not a Loki configuration", where=file, found=error) from error
    if elsewhere := stores - {"filesystem"}:
        raise BadData(
            "the snapshot's Loki did not store on a file system",
            where=file,
            expected="object_store: filesystem",
            found=", ".join(sorted(map(str, elsewhere))),
        )
    kept: dict[str, Any] = {}
    for section, keys in _KEPT.items():
        found = config.get(section) or {}
        part = {key: found[key] for key in keys if key in found} if keys else found
        if part:
            kept[section] = _moved(part, source_dir.rstrip("/"), str(data_dir))
    # Retention would remove what has just come back.
    kept["compactor"] = {"retention_enabled": False}
    kept["limits_config"] = {"retention_period": "0s"}
    return kept


def is_multi_tenant(file: Path) -> bool:
    """Whether its requests need a tenant: Loki's default."""
    config = yaml.safe_load(file.read_text("utf-8"))
    return bool(config.get("auth_enabled", True))


def _moved(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _moved(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [_moved(one, old, new) for one in value]
    if isinstance(value, str) and (value == old or value.startswith(old + "/")):
        return new + value[len(old) :]
    return value
