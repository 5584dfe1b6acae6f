"""The store and the expiry of a site in operation, with a fault put in between.

Belongs here: a store that refuses, a server's clock that is ahead. Does not: when that happens
(operation_faults).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from lake.base.errors import LakeError
from lake.store import Store
from lake.systems.protocol import Expiry


class Refusing:
    """A store that refuses every request, as S3 does by `error`."""

    def __init__(self, store: Store, error: Callable[[str], LakeError]) -> None:
        self.url = store.url
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def refuse(key: object = "", *_: object, **__: object) -> Any:
            raise self._error(self.url(key if isinstance(key, str) else ""))

        return refuse


class Ahead:
    """An Expiry whose server's clock is the simulated one."""

    def __init__(self, expiry: Expiry, clock: Callable[[], dt.datetime]) -> None:
        self._expiry = expiry
        self.clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._expiry, name)
