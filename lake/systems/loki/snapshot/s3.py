"""A Loki's chunks and index in S3, named as a Loki on a file system names them.

Belongs here: which bucket, which names. Does not: the order of a snapshot (loki).

On a file system a chunk's key is in base64, for a colon is not allowed everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lake.base.errors import PermanentError
from lake.config.settings import S3Section
from lake.store import ObjectStat, Store
from lake.systems.loki.snapshot.chunks import file_name, is_chunk


@dataclass(frozen=True)
class LokiObject:
    """An object, the file it becomes, and whether it never changes."""

    store: Store
    stat: ObjectStat
    name: str
    is_chunk: bool


def objects(stores: list[Store]) -> Iterator[LokiObject]:
    """All of them, index first. Chunks are immutable: the checksum is in their names."""
    bucket_objects = [
        LokiObject(store, stat, file_name(stat.key), is_chunk(stat.key))
        for store in stores
        for stat in store.list("")
    ]
    yield from sorted(bucket_objects, key=lambda item: (item.is_chunk, item.name))


def bucket_stores(section: Mapping[str, Any], file: Path) -> list[Store]:
    """Its buckets, from Loki's own `s3` section (`LokiPlaces.s3`); keys that are not in it come
    from the AWS default chain. Raises PermanentError where it names no bucket.
    """
    import boto3  # noqa: PLC0415  takes its time

    from lake.store.s3 import S3Store  # noqa: PLC0415  as above

    url = urlsplit(str(section.get("s3") or ""))
    buckets = [name for name in str(section.get("bucketnames") or "").split(",") if name]
    buckets = buckets or [name for name in [url.path.strip("/")] if name]
    if not buckets:
        raise PermanentError(
            "Loki's configuration names no bucket",
            where=f"{file}: storage_config.aws, storage_config.object_store.s3, common.storage",
            expected="bucketnames, bucket_name, or s3://region/bucket",
            remedy="write the bucket there",
        )
    host = url.hostname or ""
    has_port = "." in host or url.port
    endpoint = str(section.get("endpoint") or (f"{host}:{url.port or 443}" if has_port else ""))
    if endpoint and "://" not in endpoint:
        endpoint = f"http{'' if section.get('insecure') else 's'}://{endpoint}"
    region = str(section.get("region") or ("" if has_port else host)) or None
    names = {
        "aws_access_key_id": section.get("access_key_id") or unquote(url.username or ""),
        "aws_secret_access_key": section.get("secret_access_key") or unquote(url.password or ""),
        "aws_session_token": section.get("session_token"),
    }
    # `${…}` is Loki's own environment, not ours.
    keys = {name: value for name, value in names.items() if value and "${" not in str(value)}
    own: dict[str, Any] = {**keys, "region_name": region}
    session = boto3.Session(**own) if len(keys) > 1 else None
    where = S3Section(endpoint_url=endpoint or None, region=region)
    prefix = f"/{section['prefix']}".rstrip("/") if section.get("prefix") else ""
    return [S3Store(f"s3://{bucket}{prefix}", where, session) for bucket in buckets]
