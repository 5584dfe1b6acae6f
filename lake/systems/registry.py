"""Which systems there are, and the one of a name.

Belongs here: names, loading a system where it is used. Does not: what a system offers (protocol).
"""

from __future__ import annotations

from lake.base.errors import ConfigError, UsageError
from lake.config.settings import Settings
from lake.config.systems import load
from lake.partition.manifest import Manifest
from lake.systems import SYSTEMS
from lake.systems.protocol import Expiry, Snapshotter, Source, System
from lake.systems.source import accounted, is_whole
from lake.systems.unquoting import UnquotingSource


def system(name: str) -> System:
    """The system of that name. Raises UsageError for an unknown one."""
    if name not in SYSTEMS:
        raise UsageError("no such system", expected=", ".join(SYSTEMS), found=name)
    loaded: System = load(name, "system").SYSTEM
    return loaded


def configured_systems(settings: Settings) -> list[str]:
    """Those with a `[sources.…]`."""
    return [name for name in SYSTEMS if getattr(settings.sources, name) is not None]


def backed_up_systems(settings: Settings) -> list[str]:
    """Those of them that have snapshots."""
    return [name for name in configured_systems(settings) if system(name).has_snapshots]


def daily_systems(settings: Settings) -> list[str]:
    """Those of which snapshots are taken daily.

    A system with a `[snapshots.…]` of its own in lake.toml is meant, whether its files are
    seen or not: then the run fails with that error. One without is meant where its files are.
    """
    meant = settings.snapshots.model_fields_set
    return [
        name
        for name in backed_up_systems(settings)
        if name in meant or system(name).files_are_here(settings)
    ]


def tenant_of(settings: Settings, name: str) -> str:
    """The tenant of `[sources.NAME]`; "" where there is none."""
    return str(getattr(getattr(settings.sources, name), "tenant", ""))


def open_source(name: str, settings: Settings) -> Source:
    """The source of that name; sends nothing yet. Raises ConfigError."""
    return UnquotingSource(system(name).open_source(_section(name, settings)))


def open_expiring_source(name: str, settings: Settings) -> Source | None:
    """A source that reads the server which deletes rows; None where that of `open_source` does.
    Sends nothing yet. Raises ConfigError.
    """
    section = _section(name, settings)
    own = system(name).where_rows_expire(section)
    return None if own == section else UnquotingSource(system(name).open_source(own))


def open_snapshotter(name: str, settings: Settings) -> Snapshotter:
    """The system's. Raises UsageError for an unknown one, ConfigError for one without settings."""
    chosen = system(name)
    _section(name, settings)
    return chosen.open_snapshotter(settings)


def open_expiry(name: str, settings: Settings) -> Expiry | None:
    """The system's; None where it has no expiry to guard. Raises ConfigError without settings."""
    _section(name, settings)
    return system(name).open_expiry(settings)


def count_problem(manifest: Manifest) -> str:
    """How a manifest's rows and its source's count disagree; empty where they do not."""
    rows, counted = accounted(manifest.rows, manifest.details), manifest.source_count
    if is_whole(rows, counted, may_count_low=system(manifest.source).may_count_low):
        return ""
    return f"{rows} rows are stored, the source counted {counted}"


def _section(name: str, settings: Settings) -> object:
    section: object = getattr(settings.sources, name)
    if section is None:
        raise ConfigError(f"[sources.{name}] is not configured")
    return section
