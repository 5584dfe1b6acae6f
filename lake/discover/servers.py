"""Looks at all the servers that are named.

Belongs here: which server is looked at with which settings, and keeping secrets out of
what is written. Does not: what a server holds (mongo, prometheus, loki).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lake.base.errors import UsageError
from lake.config.explain import explain
from lake.config.overrides import (
    apply_environment,
    register_secrets,
    variable_of,
)
from lake.config.settings import Settings, SourcesSection
from lake.systems import SYSTEMS
from lake.systems.discovered import DiscoveredSource
from lake.systems.registry import system

_OURS = "LAKE_SOURCES__"


def look(addresses: Mapping[str, str | None], env: Mapping[str, str]) -> list[DiscoveredSource]:
    """What the servers hold: `addresses` by source, whatever else a server needs by `env`.

    `env` may give addresses, too. Raises UsageError where there is none, and what asking
    the servers raises.
    """
    sources = _sources(addresses, env)
    sections = [(name, section) for name in SYSTEMS if (section := getattr(sources, name))]
    with ThreadPoolExecutor() as pool:
        looked_at = list(pool.map(lambda pair: system(pair[0]).look(pair[1]), sections))
    return [_with_variables(source, sources) for source in looked_at]


def _sources(addresses: Mapping[str, str | None], env: Mapping[str, str]) -> SourcesSection:
    data: dict[str, Any] = {}
    origin = apply_environment(data, {k: v for k, v in env.items() if k.startswith(_OURS)})
    tables = data.setdefault("sources", {})
    for source, address in addresses.items():
        if address:
            key = ("sources", source, system(source).address)
            tables.setdefault(source, {})[key[-1]] = address
            origin[key] = f"--{source}"
    named = {name: tables[name] for name in SYSTEMS if name in tables}
    if not any(system(name).address in table for name, table in named.items()):
        raise UsageError(
            "no server is named",
            expected="--mongo URI, --prometheus URL or --loki URL, one or more of them",
            remedy="name a server; a secret is safer in "
            + variable_of(("sources", "mongo", "uri")),
        )
    register_secrets(data, env)
    for name, table in named.items():
        tables[name] = {**system(name).placeholders, **table}
    try:
        return Settings.model_validate({"lake": {"root": "unused"}, **data}).sources
    except ValidationError as error:
        raise explain(error, Settings, data, Path("command line"), origin) from None


def _with_variables(found_source: DiscoveredSource, sources: SourcesSection) -> DiscoveredSource:
    """Names the variables for what may not stand in the file."""
    secret = system(found_source.source).secret_keys(getattr(sources, found_source.source))
    variables = tuple(variable_of(("sources", found_source.source, *key)) for key in secret)
    return replace(found_source, variables=variables)
