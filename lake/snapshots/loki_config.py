"""A Loki's configuration, as far as it says where its data are and how they are to be read.

Belongs here: directories, object store, which sections a restored server needs.
Does not: copying files (loki), starting a server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from lake.base.errors import BadData, PermanentError

# Section → keys that belong to the data; everything else belongs to the old server's place.
_KEPT: dict[str, tuple[str, ...]] = {
    "schema_config": (),
    "storage_config": ("filesystem", "tsdb_shipper", "boltdb_shipper", "boltdb"),
    "common": ("storage",),
    "ingester": ("wal",),
}
_WAL = "ingester.wal.dir"
# Where data are that a snapshot needs; without the key Loki takes the last part below its prefix.
_DIRECTORIES = (
    ("common.storage.filesystem.chunks_directory", None),
    ("storage_config.filesystem.directory", None),
    ("storage_config.tsdb_shipper.active_index_directory", "tsdb-shipper-active"),
    ("storage_config.boltdb_shipper.active_index_directory", "boltdb-shipper-active"),
    (_WAL, "wal"),
)
_CACHES = (
    ("storage_config.tsdb_shipper.cache_location", "tsdb-shipper-cache"),
    ("storage_config.boltdb_shipper.cache_location", "boltdb-shipper-cache"),
)
_CHUNKS = "chunks"
_S3 = ("s3", "aws")
_LOWEST_SCHEMA = 12  # of which chunks' names in S3 can be told in a file system
_SECRET = re.compile(r"(?i)secret|password|token|account_key|credentials")
_IN_URL = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]+(?=@)")
REMOVED = "REMOVED"


@dataclass(frozen=True)
class LokiPlaces:
    """Where a Loki's data are, relative to its data directory, and in which object store.

    `chunks` holds chunks and index; for S3 they get there by the restore. `periods` are the
    schema's: object store and first day.
    """

    chunks: PurePosixPath
    wal: PurePosixPath
    active: tuple[PurePosixPath, ...]
    caches: tuple[PurePosixPath, ...]
    s3: dict[str, Any] | None
    periods: tuple[tuple[str, str], ...]


def read_config(file: Path) -> dict[str, Any]:
    """Raises BadData where it is no Loki configuration."""
    try:
        config: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
        for period in config["schema_config"]["configs"]:
            _ = period["object_store"], period["from"], period["schema"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise BadData("not a Loki configuration", where=file, found=error) from error
    return config


def without_secrets(text: str) -> str:
    """The configuration with passwords, keys and tokens taken out, else as it was written."""
    secrets: list[str] = []
    wanted = _redacted(yaml.safe_load(text), secrets)
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, REMOVED)
    try:
        same = yaml.safe_load(text) == wanted
    except yaml.YAMLError:
        same = False
    # A secret in several lines, or one that is a word of the configuration, takes the long way.
    return text if same else yaml.safe_dump(wanted, sort_keys=False)


def _redacted(value: Any, secrets: list[str], *, secret: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            key: _redacted(one, secrets, secret=secret or bool(_SECRET.search(str(key))))
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_redacted(one, secrets, secret=secret) for one in value]
    if not isinstance(value, str) or not value:
        return value
    found = [value] if secret else _IN_URL.findall(value)
    secrets += found
    for one in found:
        value = value.replace(one, REMOVED)
    return value


def places(config: dict[str, Any], data_dir: Path, file: Path) -> LokiPlaces:
    """Raises PermanentError where data are kept elsewhere than below `data_dir`, or in S3."""
    periods = config["schema_config"]["configs"]
    stores = {str(period["object_store"]) for period in periods}
    if elsewhere := stores - {"filesystem", *_S3}:
        raise PermanentError(
            "Loki's chunks are in an object store that can't be copied from here",
            where=f"{file}: schema_config",
            expected="object_store: filesystem or s3",
            found=", ".join(sorted(elsewhere)),
            remedy="copy its bucket with its provider's tools; `lake export` works with any store",
        )
    roots = [root for root in (_prefix(config), str(data_dir)) if root]
    found: dict[str, PurePosixPath] = {}
    for path, default in (*_DIRECTORIES, *_CACHES):
        value = _get(config, path)
        if value is None and default is None:
            continue
        found[path] = PurePosixPath(default or "") if value is None else _below(
            str(value), roots, path, file
        )  # fmt: skip
    chunks = [found[path] for path, default in _DIRECTORIES if default is None and path in found]
    on_s3 = bool(stores & set(_S3))
    if on_s3:
        _require_schema(periods, file)
    return LokiPlaces(
        chunks=PurePosixPath(_CHUNKS) if on_s3 or not chunks else chunks[-1],
        wal=found[_WAL],
        active=tuple(found[path] for path, name in _DIRECTORIES if name and name != "wal"),
        caches=tuple(found[path] for path, _ in _CACHES),
        s3=_s3(config) if on_s3 else None,
        periods=tuple((str(one["object_store"]), str(one["from"])) for one in periods),
    )


def restored_config(file: Path, source_dir: str, data_dir: Path) -> dict[str, Any]:
    """What a server on restored files needs, its directories moved to `data_dir`; retention off.

    What was in S3 is in the file system now. Raises BadData where it is no Loki configuration,
    PermanentError where it names directories outside of the old data directory `source_dir`.
    """
    config = read_config(file)
    found = places(config, Path(source_dir), file)
    roots = [root.rstrip("/") for root in (_prefix(config), source_dir) if root]
    kept: dict[str, Any] = {}
    for section, keys in _KEPT.items():
        old = config.get(section) or {}
        part = {key: old[key] for key in keys if key in old} if keys else old
        if part:
            kept[section] = _moved(part, roots, str(data_dir))
    if found.s3 is not None:
        kept.get("common", {}).pop("storage", None)
        for period in kept["schema_config"]["configs"]:
            period["object_store"] = "filesystem"
    storage = kept.setdefault("storage_config", {})
    storage["filesystem"] = {"directory": str(data_dir / found.chunks)}
    # Retention would remove what has just come back.
    kept["compactor"] = {"retention_enabled": False}
    kept["limits_config"] = {"retention_period": "0s"}
    return kept


def is_multi_tenant(file: Path) -> bool:
    """Whether its requests need a tenant: Loki's default."""
    config = yaml.safe_load(file.read_text("utf-8"))
    return bool(config.get("auth_enabled", True))


def _prefix(config: dict[str, Any]) -> str:
    return str(_get(config, "common.path_prefix") or "")


def _get(config: Any, path: str) -> Any:
    for name in path.split("."):
        config = (config or {}).get(name)
    return config or None


def _below(value: str, roots: list[str], key: str, file: Path) -> PurePosixPath:
    for root in roots:
        if PurePosixPath(value).is_relative_to(root):
            return PurePosixPath(value).relative_to(root)
    raise PermanentError(
        "Loki keeps data outside of its data directory",
        where=f"{file}: {key}",
        expected=f"a directory below {' or '.join(roots)}",
        found=value,
        remedy="set [snapshots.loki] data_dir to the directory that holds all of Loki's data; "
        "where it is mounted at another place here, set Loki's common.path_prefix",
    )


def _require_schema(periods: list[dict[str, Any]], file: Path) -> None:
    for period in periods:
        version = int(str(period["schema"]).removeprefix("v"))
        if version < _LOWEST_SCHEMA:
            raise PermanentError(
                "chunks of this schema can't be restored into a file system",
                where=f"{file}: schema_config",
                expected=f"schema v{_LOWEST_SCHEMA} or newer",
                found=f"v{version} from {period['from']}",
                remedy="`lake export` and `lake replay` work with any schema",
            )


def _s3(config: dict[str, Any]) -> dict[str, Any]:
    return dict(_get(config, "storage_config.aws") or _get(config, "common.storage.s3") or {})


def _moved(value: Any, old: list[str], new: str) -> Any:
    if isinstance(value, dict):
        return {key: _moved(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [_moved(one, old, new) for one in value]
    if isinstance(value, date):
        return value.isoformat()  # what it was in the file
    for root in old:
        if isinstance(value, str) and (value == root or value.startswith(root + "/")):
            return new + value[len(root) :]
    return value
