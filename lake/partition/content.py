"""Fetches a partition's object whole and compares it with its manifest.

Belongs here: the one way to the rows of a partition that have to be what was proven.
Does not: what is made of them, or looking at objects without a claim (scratch).
"""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from lake.base.errors import BadData, Missing
from lake.partition.manifest import Manifest
from lake.store import Store


def fetch(store: Store, manifest: Manifest, file: BinaryIO) -> None:
    """Writes the object to the file, which then stands at its beginning.

    Raises BadData where its SHA-256 is not its manifest's, Missing where it is gone.
    """
    digest = hashlib.sha256()
    try:
        for chunk in store.chunks(manifest.key):
            digest.update(chunk)
            file.write(chunk)
    except Missing as error:
        raise gone(store, manifest) from error
    if digest.hexdigest() != manifest.sha256:
        raise altered(store, manifest, f"SHA-256 {manifest.sha256}", digest.hexdigest())
    file.seek(0)


def gone(store: Store, manifest: Manifest) -> Missing:
    """The error for an object that is not there."""
    return Missing(
        f"the object of {manifest.dataset} {manifest.day} is gone",
        where=store.url(manifest.key),
        remedy=_remedy(manifest),
    )


def altered(store: Store, manifest: Manifest, expected: str, found: object) -> BadData:
    """The error for an object that is another one."""
    return BadData(
        f"the object of {manifest.dataset} {manifest.day} is not the one of its manifest",
        where=store.url(manifest.key),
        expected=expected,
        found=found,
        remedy=_remedy(manifest),
    )


def _remedy(manifest: Manifest) -> str:
    return (
        f"lake export {manifest.dataset} --day {manifest.day} --force, while the source keeps the "
        "day; else restore a snapshot"
    )
