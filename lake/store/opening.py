"""From settings to a store.

Belongs here: the choice, the root's address. Does not: the stores.
"""

from __future__ import annotations

from pathlib import Path

from lake.config.settings import Settings
from lake.store.protocol import Store


def root_url(settings: Settings) -> str:
    """`lake.root` as a URL that other engines read, s3:// or file://; no slash at its end."""
    root = settings.lake.root.rstrip("/")
    return root if root.startswith("s3://") else Path(root).resolve().as_uri()


def open_store(settings: Settings) -> Store:
    """The store of `lake.root`; sends no request yet."""
    root = settings.lake.root
    if root.startswith("s3://"):
        from lake.store.s3 import S3Store  # noqa: PLC0415  boto3 takes 0.3 s to import

        return S3Store(root, settings.s3)
    from lake.store.directory import DirectoryStore  # noqa: PLC0415

    return DirectoryStore(Path(root))
