"""Types of progress reports: callbacks that long operations call.

Belongs here: their signatures. Does not: showing progress (lake.servers.progress, lake.cli).
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, str], None]
"""Called with the name of what is being done and its current step; as often as one likes."""

ByteProgress = Callable[[int], None]
"""Called with the number of bytes since the last call, from any thread."""


def silent(_name: str, _text: str) -> None:
    """A Progress that shows nothing."""


def silent_bytes(_bytes: int) -> None:
    """A ByteProgress that shows nothing."""
