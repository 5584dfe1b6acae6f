"""One store's objects into another.

Belongs here: the copy. Does not: which stores, and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from lake.base.layout import MANIFESTS
from lake.base.store.face import ObjectStat, Store

_PARALLEL = 8


def mirror(source: Store, target: Store, prefix: str = "") -> tuple[int, int]:
    """Makes `target` hold what `source` holds below the prefix: (objects, bytes) copied.

    Data come before manifests, and manifests go first, so that no manifest ever stands
    without its object. What has the same size and is no manifest is taken as the same.
    """
    wanted = {stat.key: stat for stat in source.list(prefix)}
    present = {stat.key: stat for stat in target.list(prefix)}
    for key in sorted(present.keys() - wanted.keys(), key=lambda key: not _is_manifest(key)):
        target.delete(key)
    todo = [stat for stat in wanted.values() if _differs(stat, present.get(stat.key))]

    def copy(stat: ObjectStat) -> int:
        with target.upload(stat.key) as upload:
            return sum(upload.write(chunk) for chunk in source.chunks(stat.key))

    copied = 0
    with ThreadPoolExecutor(_PARALLEL) as pool:
        for phase in _phases(todo):
            copied += sum(pool.map(copy, phase))
    return len(todo), copied


def _is_manifest(key: str) -> bool:
    return key.startswith(MANIFESTS)


def _differs(stat: ObjectStat, present: ObjectStat | None) -> bool:
    return present is None or present.bytes != stat.bytes or _is_manifest(stat.key)


def _phases(todo: list[ObjectStat]) -> Iterator[list[ObjectStat]]:
    for manifests in (False, True):
        yield [stat for stat in todo if _is_manifest(stat.key) is manifests]
