"""A Loki's configuration, as far as it contains where its data are and how to read them.

Belongs here: directories, object stores, schema periods, taking secrets out. Does not: copying
files (loki), the configuration of a restored server (loki_restored).

The running server's `/config` has every default and flag in it, but not the secrets; the file
has those. Loki has two families of storage clients: the older ones (`filesystem.directory`,
`aws`) and, with `use_thanos_objstore`, those below `object_store`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from lake.base.errors import BadData, PermanentError

_STORES = {  # index store → section and key of its active directory, name below Loki's prefix
    "tsdb": ("storage_config.tsdb_shipper.active_index_directory", "tsdb-shipper-active"),
    "boltdb-shipper": (
        "storage_config.boltdb_shipper.active_index_directory",
        "boltdb-shipper-active",
    ),
    "boltdb": ("storage_config.boltdb.directory", "index"),
}
_CACHES = (
    ("storage_config.tsdb_shipper.cache_location", "tsdb-shipper-cache"),
    ("storage_config.boltdb_shipper.cache_location", "boltdb-shipper-cache"),
)
# Of each family of clients the first that is there.
_CHUNKS = (
    "storage_config.filesystem.directory",
    "common.storage.filesystem.chunks_directory",
)
_THANOS_CHUNKS = (
    "storage_config.object_store.filesystem.dir",
    "common.storage.object_store.filesystem.dir",
)
_S3_SECTIONS = ("storage_config.aws", "common.storage.s3")
_THANOS_S3_SECTIONS = ("storage_config.object_store.s3", "common.storage.object_store.s3")
_INDEX_PREFIXES = (
    "storage_config.tsdb_shipper.shared_store_key_prefix",
    "storage_config.boltdb_shipper.shared_store_key_prefix",
)
_WAL = "ingester.wal.dir"
_S3 = ("s3", "aws")
_RESTORED_CHUNKS = "chunks"  # where objects of a bucket are in a restored data directory
_SECRET = re.compile(
    r"(?i)secret|passw|pwd|token|credential|connection_?string|service_?account|authorization"
    r"|(^|[_-])sas([_-]|$)|key([_-]?(id|base64|data))?$"
)
_NO_SECRETS = frozenset({"num_tokens", "tokens_file_path"})  # of a ring
# Users and passwords in a URL; the signature of a shared access URL.
_IN_URL = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]+(?=@)|(?<=[?&]sig=)[^&\s]+")
_MASKED = re.compile(r"\*+|<secret>")
REMOVED = "REMOVED"


@dataclass(frozen=True)
class LokiPlaces:
    """Where a Loki's data are, relative to its data directory, and in which object store.

    `chunks` holds chunks and index in a restored directory; `own_chunks` is their directory in
    the source's, None where all of them are in S3. `wal` is None without one. `active` is by
    index store. `s3` is the section of the client (`prefix`: of its keys). `periods` are the
    schema's.
    """

    chunks: PurePosixPath
    own_chunks: PurePosixPath | None
    wal: PurePosixPath | None
    active: Mapping[str, PurePosixPath]
    periods: tuple[Mapping[str, Any], ...]
    multi_tenant: bool
    index_prefix: str = ""
    caches: tuple[PurePosixPath, ...] = ()
    s3: Mapping[str, Any] | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """What a restore needs, for the manifest."""
        return {
            "chunks": str(self.chunks),
            "wal": None if self.wal is None else str(self.wal),
            "active": {store: str(path) for store, path in self.active.items()},
            "periods": [dict(period) for period in self.periods],
            "multi_tenant": self.multi_tenant,
            "index_prefix": self.index_prefix,
        }

    @classmethod
    def of_json(cls, layout: Mapping[str, Any], where: str) -> LokiPlaces:
        """The way back of `to_json`. Raises BadData."""
        try:
            chunks = PurePosixPath(layout["chunks"])
            return cls(
                chunks=chunks,
                own_chunks=chunks,
                wal=None if layout["wal"] is None else PurePosixPath(layout["wal"]),
                active={store: PurePosixPath(path) for store, path in layout["active"].items()},
                periods=tuple(layout["periods"]),
                multi_tenant=bool(layout["multi_tenant"]),
                index_prefix=str(layout["index_prefix"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise BadData("invalid layout of a Loki snapshot", where=where, found=error) from error


def read_config(file: Path) -> dict[str, Any]:
    """The file's. Raises BadData where it is not a Loki configuration."""
    try:
        return _parsed(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise BadData("not a Loki configuration", where=file, found=error) from error


def running_config(text: str) -> dict[str, Any] | None:
    """What `/config` returned, None where it is not a Loki configuration (a gateway's page)."""
    try:
        config = _parsed(text)
    except (yaml.YAMLError, KeyError, TypeError):
        return None
    config.setdefault("auth_enabled", False)  # old versions leave out what is false
    return config


def _parsed(text: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(text)
    for period in config["schema_config"]["configs"]:
        _ = period["object_store"], period["from"], period["schema"]
    return config


def without_secrets(text: str) -> str:
    """The configuration without passwords, keys and tokens, and without comments.

    Comments may contain secrets that were in use once.
    """
    return str(yaml.safe_dump(_redacted(yaml.safe_load(text)), sort_keys=False))


def _redacted(value: Any, *, secret: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            key: _redacted(below, secret=secret or _is_secret(str(key)))
            for key, below in value.items()
        }
    if isinstance(value, list):
        return [_redacted(below, secret=secret) for below in value]
    if value is None or value == "":
        return value
    if secret:
        return REMOVED
    return _IN_URL.sub(REMOVED, value) if isinstance(value, str) else value


def _is_secret(key: str) -> bool:
    return bool(_SECRET.search(key)) and key not in _NO_SECRETS


def places(
    config: Mapping[str, Any], data_dir: Path, file: Path, secrets: Mapping[str, Any] | None = None
) -> LokiPlaces:
    """Where the data of a Loki of this configuration are.

    `secrets` is the file's configuration, where `config` is the running server's. Raises
    PermanentError where data are elsewhere than below `data_dir`, or in S3.
    """
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
    thanos = get(config, "storage_config.use_thanos_objstore") is True
    directories = _directories(config, periods, thanos=thanos, file=file)
    roots = _roots(config, data_dir, directories)
    paths = {
        key: PurePosixPath(default) if value is None else _below(value, roots, key, file)
        for key, (value, default) in directories.items()
    }
    on_s3 = bool(stores & set(_S3))
    own = next((path for key, path in paths.items() if key in (*_CHUNKS, *_THANOS_CHUNKS)), None)
    return LokiPlaces(
        chunks=PurePosixPath(_RESTORED_CHUNKS) if on_s3 or own is None else own,
        own_chunks=own,
        wal=paths.get(_WAL),
        active={store: paths[key] for store, (key, _) in _STORES.items() if key in paths},
        periods=tuple(_period(period) for period in periods),
        multi_tenant=bool(config.get("auth_enabled", True)),
        index_prefix=next(
            (str(prefix) for key in _INDEX_PREFIXES if (prefix := get(config, key))), ""
        ),
        caches=tuple(_caches(config, roots)),
        s3=_s3(config, secrets or config, thanos=thanos) if on_s3 else None,
    )


def _directories(
    config: Mapping[str, Any], periods: list[Mapping[str, Any]], *, thanos: bool, file: Path
) -> dict[str, tuple[str | None, str]]:
    """Of what a snapshot needs: key → its value, and its name where there is none."""
    directories: dict[str, tuple[str | None, str]] = {}
    if any(period["object_store"] == "filesystem" for period in periods):
        keys = _THANOS_CHUNKS if thanos else _CHUNKS
        key = next((key for key in keys if get(config, key)), None)
        if key is None:
            raise PermanentError(
                "Loki's configuration names no directory for its chunks",
                where=f"{file}: {keys[0]}",
                expected="a directory; without one Loki writes to the directory it was started in",
                remedy="set it in Loki's configuration",
            )
        directories[key] = (str(get(config, key)), "")
    if get(config, "ingester.wal.enabled") is not False:
        directories[_WAL] = (get(config, _WAL), "wal")
    for store in {str(period.get("store")) for period in periods} & set(_STORES):
        key, name = _STORES[store]
        directories[key] = (get(config, key), name)
    return directories


def _caches(config: Mapping[str, Any], roots: list[str]) -> Iterator[PurePosixPath]:
    for key, name in _CACHES:
        value = PurePosixPath(str(get(config, key) or name))
        if not value.is_absolute():
            yield value
        for root in roots:
            if value.is_relative_to(root):
                yield value.relative_to(root)


def _roots(
    config: Mapping[str, Any], data_dir: Path, directories: Mapping[str, tuple[str | None, str]]
) -> list[str]:
    """What the data directory is called in the configuration."""
    own = [root for root in (str(get(config, "common.path_prefix") or ""), str(data_dir)) if root]
    absolute = [PurePosixPath(value) for value, _ in directories.values() if value is not None]
    if not absolute or any(path.is_relative_to(root) for path in absolute for root in own):
        return own
    if not all(path.is_absolute() for path in absolute):
        return own
    # A container's, mounted here at another place: its own name where the same folders are there.
    common = PurePosixPath(os.path.commonpath([path.parent for path in absolute]))
    same = all((data_dir / path.relative_to(common)).is_dir() for path in absolute)
    return [*own, str(common)] if same else own


def get(config: Any, path: str) -> Any:
    """The value below these sections; None for what is not there or empty."""
    for name in path.split("."):
        config = config.get(name) if isinstance(config, Mapping) else None
    return None if config in ("", {}, []) else config


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


def _period(period: Mapping[str, Any]) -> dict[str, Any]:
    """What every version understands of a schema's period."""
    kept: dict[str, Any] = {
        name: str(period[name]) for name in ("from", "store", "object_store", "schema")
        if name in period
    }  # fmt: skip
    for name in ("index", "chunks"):
        table = period.get(name) or {}
        if table.get("prefix"):
            kept[name] = {key: table[key] for key in ("prefix", "period") if table.get(key)}
        if name == "index" and table.get("path_prefix"):
            kept.setdefault(name, {})["path_prefix"] = table["path_prefix"]
    if period.get("row_shards"):
        kept["row_shards"] = int(period["row_shards"])
    return kept


def _s3(config: Mapping[str, Any], secrets: Mapping[str, Any], *, thanos: bool) -> dict[str, Any]:
    """The client's section, with the secrets that the file has; both families' keys alike."""
    sections = _THANOS_S3_SECTIONS if thanos else _S3_SECTIONS
    own = next((section for path in sections if (section := _set(get(secrets, path)))), {})
    running = next((section for path in sections if (section := _set(get(config, path)))), {})
    section = running | {
        key: value
        for key, value in own.items()
        if key not in running or key == "s3" or _is_secret(key)
    }
    if "bucket_name" in section:
        section["bucketnames"] = section.pop("bucket_name")
    prefixes = (
        "storage_config.object_store.storage_prefix" if thanos else "storage_config.object_prefix",
        "common.storage.object_store.storage_prefix" if thanos else "storage_config.object_prefix",
    )
    section["prefix"] = next(
        (str(prefix) for path in prefixes if (prefix := get(config, path))), ""
    )
    return section


def _set(section: Any) -> dict[str, Any]:
    """Without what is empty or masked."""
    return {
        key: value
        for key, value in (section or {}).items()
        if value not in (None, "", {}, []) and not _MASKED.fullmatch(str(value))
    }
