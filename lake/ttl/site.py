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
from lake.systems.registry import open_expiry


@dataclass(frozen=True)
class Site:
    """What a guard works with. `clock` is this machine's."""

    settings: Settings
    store: Store
    source_of: Callable[[str], Source]
    expiry_of: Callable[[str], Expiry | None]
    clock: Callable[[], datetime] = utc_now


@contextmanager
def opened(settings: Settings, store: Store, source_of: Callable[[str], Source]) -> Iterator[Site]:
    """A site whose connections for expiry end with the block; those of sources are the caller's."""
    expiries: dict[str, Expiry | None] = {}

    def expiry_of(name: str) -> Expiry | None:
        if name not in expiries:
            expiries[name] = open_expiry(name, settings)
        return expiries[name]

    try:
        yield Site(settings, store, source_of, expiry_of)
    finally:
        for expiry in expiries.values():
            if expiry:
                expiry.close()
