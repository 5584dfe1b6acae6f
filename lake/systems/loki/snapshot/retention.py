"""How far back a Loki keeps every line, by its running configuration.

Belongs here: the settings that remove lines. Does not: asking for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from lake.systems.loki.reading.config import milliseconds
from lake.systems.loki.snapshot.config import get


def kept_for(
    config: Mapping[str, Any], overrides: Any, tenants: frozenset[str]
) -> timedelta | None:
    """The shortest of all retention periods; None where nothing is removed.

    `overrides`: the runtime configuration, where it could be read.
    """
    periods = [period for period in _periods(config, overrides, tenants) if period]
    return min(periods) if periods else None


def _periods(
    config: Mapping[str, Any], overrides: Any, tenants: frozenset[str]
) -> Iterator[timedelta]:
    if get(config, "compactor.retention_enabled") is True:
        yield from _limits(get(config, "limits_config"))
        for tenant in tenants:
            yield from _limits(get(overrides, f"overrides.{tenant}"))
    if get(config, "table_manager.retention_deletes_enabled") is True:
        yield _duration(get(config, "table_manager.retention_period"))


def _limits(limits: Any) -> Iterator[timedelta]:
    yield _duration(get(limits, "retention_period"))
    for stream in get(limits, "retention_stream") or []:
        yield _duration(get(stream, "period"))


def _duration(value: Any) -> timedelta:
    """0, which removes nothing, for anything that is not a duration."""
    return timedelta(milliseconds=milliseconds(str(value or "")) or 0)
