"""What a guard works with: settings, store, sources, and their limits.

Belongs here: opening the connections for expiry, ending them. Does not: what a guard does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from lake.base.clock import utc_now
from lake.config.settings import Settings
from lake.store import Store
from lake.systems.protocol import Expiry, Source
from lake.systems.registry import open_expiring_source, open_expiry


@dataclass(frozen=True)
class GuardSite:
    """What a guard works with. `clock` is this machine's."""

    settings: Settings
    store: Store
    source_of: Callable[[str], Source]
    expiry_of: Callable[[str], Expiry | None]
    clock: Callable[[], datetime] = utc_now


@contextmanager
def opened(
    settings: Settings, store: Store, source_of: Callable[[str], Source]
) -> Iterator[GuardSite]:
    """A site whose connections for expiry end with the block; those of sources are the caller's.

    A source that reads replicas is not: one of its own reads the server that deletes rows. A row
    that has not reached the replica yet is not proven.
    """
    expiries: dict[str, Expiry | None] = {}
    sources: dict[str, Source | None] = {}

    def expiry_of(name: str) -> Expiry | None:
        if name not in expiries:
            expiries[name] = open_expiry(name, settings)
        return expiries[name]

    def expiring_source_of(name: str) -> Source:
        if name not in sources:
            sources[name] = open_expiring_source(name, settings)
        return sources[name] or source_of(name)

    try:
        yield GuardSite(settings, store, expiring_source_of, expiry_of)
    finally:
        for source in sources.values():
            if source:
                source.close()
        for expiry in expiries.values():
            if expiry:
                expiry.close()
