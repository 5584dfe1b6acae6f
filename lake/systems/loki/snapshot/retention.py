"""How far back a Loki keeps every line, by its running configuration.

Belongs here: the settings that remove lines. Does not: asking for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from lake.systems.loki.snapshot.config import get

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[ywdhms])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}


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
        yield duration(get(config, "table_manager.retention_period"))


def _limits(limits: Any) -> Iterator[timedelta]:
    yield duration(get(limits, "retention_period"))
    for stream in get(limits, "retention_stream") or []:
        yield duration(get(stream, "period"))


def duration(value: Any) -> timedelta:
    """`744h0m0s` or `31d`; 0 for anything that is not a duration."""
    text = str(value or "")
    if not re.fullmatch(f"(?:{_PART.pattern})+", text):
        return timedelta()
    return timedelta(seconds=sum(float(n) * _SECONDS[unit] for n, unit in _PART.findall(text)))
