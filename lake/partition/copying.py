"""One store's objects into another.

Belongs here: the copy. Does not: which stores, and why.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from lake.partition.layout import MANIFESTS
from lake.store.protocol import ObjectStat, Store

_PARALLEL = 8


def mirror(source: Store, target: Store, prefix: str = "") -> tuple[int, int]:
    """Makes `target` hold what `source` holds below the prefix: (objects, bytes) copied.

    Data come before manifests, and manifests go first, so that no manifest ever stands
    without its object. Everything is copied: an equal size does not mean equal bytes.
    """
    wanted = list(source.list(prefix))
    surplus = {stat.key for stat in target.list(prefix)} - {stat.key for stat in wanted}
    for key in sorted(surplus, key=lambda key: not _is_manifest(key)):
        target.delete(key)

    def copy(stat: ObjectStat) -> int:
        with target.upload(stat.key) as upload:
            return sum(upload.write(chunk) for chunk in source.chunks(stat.key))

    copied = 0
    with ThreadPoolExecutor(_PARALLEL) as pool:
        for manifests in (False, True):
            phase = [stat for stat in wanted if _is_manifest(stat.key) is manifests]
            copied += sum(pool.map(copy, phase))
    return len(wanted), copied


def _is_manifest(key: str) -> bool:
    return key.startswith(MANIFESTS)
