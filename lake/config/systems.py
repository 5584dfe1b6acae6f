"""Which systems there are, and what each adds to lake.toml.

Belongs here: names, packages, loading their `config`. Does not: any system, what it offers
(lake.systems.protocol).

Other packages add systems by an entry point: docs/new-system.md.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from lake.base.errors import ConfigError

if TYPE_CHECKING:
    from lake.config.sections import SystemConfig

ENTRY_POINTS = "monitoring_lake.systems"
_OWN = {name: f"lake.systems.{name}" for name in ("mongo", "prometheus", "loki")}


@cache
def packages() -> dict[str, str]:
    """The systems' packages by the name in lake.toml. The project's own come first."""
    others = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    return _OWN | {name: others[name] for name in sorted(others) if name not in _OWN}


@cache
def configs() -> dict[str, SystemConfig]:
    """What each system adds to lake.toml. Raises ConfigError where one can't be loaded."""
    return {name: load(name, "config").CONFIG for name in packages()}


def load(name: str, module: str) -> Any:
    """A module of that system's package. Raises ConfigError where it can't be imported."""
    package = packages()[name]
    try:
        return import_module(f"{package}.{module}")
    except ImportError as error:
        if name in _OWN:
            raise
        raise ConfigError(
            f"the system {name!r} can't be loaded",
            where=f"{package}.{module}, by the entry point {name!r} of {ENTRY_POINTS}",
            found=error,
            remedy="install its package again, or remove it",
        ) from error
