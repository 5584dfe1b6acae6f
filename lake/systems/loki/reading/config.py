"""Loki's configuration by its own pages: `/config`, `/runtime_config`, limits.

Belongs here: the pages as YAML, and the settings that reading and retention depend on.
Does not: directories and object stores (lake.systems.loki.snapshot.config).

Versions indent and order these pages differently, so they are parsed, never searched as
text. Secrets are masked in them by Loki itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

_SPLITS = ("split_queries_by_interval", "split_ingester_queries_by_interval")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[ywdhms])", re.ASCII)
_DURATION = re.compile(f"(?:{_PART.pattern})+", re.ASCII)
_DAY_MS = 86_400_000
_UNITS_MS = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": _DAY_MS,
    "w": 7 * _DAY_MS,
    "y": 365 * _DAY_MS,
}
_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class LokiConfig:
    """`config` and `overrides` (tenant → limits) are empty where the pages are not shown."""

    config: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, config: str, runtime_config: str = "") -> LokiConfig:
        """Whatever is not a configuration counts as none: a gateway may answer with anything."""
        overrides = _mapping(runtime_config).get("overrides")
        return cls(_mapping(config), overrides if isinstance(overrides, Mapping) else {})

    def get(self, *path: str) -> str | None:
        """A plain value; None where it is absent."""
        value: Any = self.config
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return None if value is None or isinstance(value, Mapping | list) else str(value)

    def limit(self, name: str, tenant: str) -> str | None:
        """A tenant's limit: its own, or everybody's."""
        own = self.overrides.get(tenant or "fake")
        value = own.get(name) if isinstance(own, Mapping) else None
        return self.get("limits_config", name) if value is None else str(value)

    def split_intervals(self) -> list[str]:
        """Every interval into which queries may be cut, each once: of all tenants."""
        intervals = [self.get("limits_config", name) for name in _SPLITS]
        intervals.append(self.get("query_range", _SPLITS[0]))
        for limits in self.overrides.values():
            if isinstance(limits, Mapping):
                intervals += [str(limits[name]) for name in _SPLITS if limits.get(name) is not None]
        return [setting for setting in dict.fromkeys(intervals) if setting]

    def kept_days(self, tenant: str) -> int | None:
        """The days after which Loki deletes lines, of the stream that it keeps for the
        shortest time; 0 where it deletes none, None where the pages do not contain it.
        """
        by_compactor = self.get("compactor", "retention_enabled")
        by_tables = self.get("table_manager", "retention_deletes_enabled")
        if "true" not in (by_compactor, by_tables):
            return 0 if "false" in (by_compactor, by_tables) else None
        periods = []
        if by_compactor == "true":
            periods += [self.limit("retention_period", tenant), *self._of_streams(tenant)]
        if by_tables == "true":
            periods.append(self.get("table_manager", "retention_period"))
        return shortest_days(period for period in periods if period is not None)

    def _of_streams(self, tenant: str) -> Iterator[str]:
        own = self.overrides.get(tenant or "fake")
        sections = (own, self.config.get("limits_config"))
        for section in sections:
            rules = section.get("retention_stream") if isinstance(section, Mapping) else None
            if isinstance(rules, list):
                yield from (str(rule.get("period")) for rule in rules if isinstance(rule, Mapping))
                return


def shortest_days(periods: Iterable[str]) -> int | None:
    """Whole days of the shortest; 0 where all are 0, for ever; None where none is a duration."""
    known = [ms for ms in map(milliseconds, periods) if ms is not None]
    if not known:
        return None
    limited = [ms for ms in known if ms]
    return max(1, min(limited) // _DAY_MS) if limited else 0


def milliseconds(duration: str) -> int | None:
    """Of Go's `744h0m0s` and `1.5h`, and Prometheus' `31d`; None for anything else."""
    if duration == "0":
        return 0
    if not _DURATION.fullmatch(duration):
        return None
    return round(sum(float(n) * _UNITS_MS[unit] for n, unit in _PART.findall(duration)))


def _mapping(text: str) -> Mapping[str, Any]:
    """Values stay text. YAML takes no control characters, which no setting here needs."""
    try:
        content = yaml.load(_NOT_PRINTABLE.sub("", text), yaml.CBaseLoader)  # noqa: S506  (makes strings, lists and dicts only)
    except (yaml.YAMLError, RecursionError):
        return {}
    return content if isinstance(content, Mapping) else {}
