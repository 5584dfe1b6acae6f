"""Looks at all the servers that are named.

Belongs here: which server is looked at with which settings, and keeping secrets out of
what is written. Does not: what a server holds (mongo, prometheus, loki).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lake.base.errors import UsageError
from lake.base.explain import explain
from lake.base.overrides import (
    apply_environment,
    password_of,
    register_secrets,
    variable_of,
    without_secrets,
)
from lake.base.settings import LokiSource, PrometheusSource, Settings, SourcesSection
from lake.systems.loki import discovery as loki
from lake.systems.mongo import discovery as mongo
from lake.systems.prometheus import discovery as prometheus
from lake.systems.found import FoundSource, Value

_OURS = "LAKE_SOURCES__"
_ADDRESS = {"mongo": "uri", "prometheus": "url", "loki": "url"}
_UNKNOWN = "/"  # no database is called so: it stands there until the server has been asked


def look(addresses: Mapping[str, str | None], env: Mapping[str, str]) -> list[FoundSource]:
    """What the servers hold: `addresses` by source, whatever else a server needs by `env`.

    `env` may give addresses, too. Raises UsageError where there is none, and what asking
    the servers raises.
    """
    sources = _sources(addresses, env)
    looks = []
    with ThreadPoolExecutor() as pool:
        if sources.mongo:
            named = None if sources.mongo.database == _UNKNOWN else sources.mongo.database
            looks.append(
                pool.submit(mongo.look, sources.mongo, named, without_secrets(sources.mongo.uri))
            )
        if sources.prometheus:
            keys = _http_keys(sources.prometheus)
            looks.append(pool.submit(prometheus.look, sources.prometheus, keys))
        if sources.loki:
            looks.append(pool.submit(loki.look, sources.loki, _http_keys(sources.loki)))
        found = [one.result() for one in looks]
    return [_with_variables(one, sources) for one in found]


def _sources(addresses: Mapping[str, str | None], env: Mapping[str, str]) -> SourcesSection:
    data: dict[str, Any] = {}
    origin = apply_environment(data, {k: v for k, v in env.items() if k.startswith(_OURS)})
    tables = data.setdefault("sources", {})
    for source, address in addresses.items():
        if address:
            key = ("sources", source, _ADDRESS[source])
            tables.setdefault(source, {})[key[-1]] = address
            origin[key] = f"--{source}"
    if not any(_ADDRESS[name] in table for name, table in tables.items() if name in _ADDRESS):
        raise UsageError(
            "no server to look at",
            expected="--mongo URI, --prometheus URL or --loki URL, one or more of them",
            remedy="name a server; a secret is safer in "
            + variable_of(("sources", "mongo", "uri")),
        )
    register_secrets(data, env)
    if "mongo" in tables:
        tables["mongo"].setdefault("database", _UNKNOWN)
    try:
        return Settings.model_validate({"lake": {"root": "unused"}, **data}).sources
    except ValidationError as error:
        raise explain(error, Settings, data, Path("command line"), origin) from None


def _http_keys(section: PrometheusSource | LokiSource) -> dict[str, Value]:
    """What of the section may stand in a file."""
    user = re.match(r"\w+://([^/?#:@]*)(?::[^/?#]*)?@", section.url)
    keys: dict[str, Value] = {"url": without_secrets(section.url)}
    if username := section.username or (user[1] if user else ""):
        keys["username"] = username
    if section.tenant:
        keys["tenant"] = section.tenant
    return keys


def _with_variables(found: FoundSource, sources: SourcesSection) -> FoundSource:
    """Names the variables for what may not stand in the file."""
    section = getattr(sources, found.source)
    prefix: tuple[str, ...] = ("sources", found.source)
    if found.source == "mongo":
        secret = [(*prefix, "uri")] if section.uri != without_secrets(section.uri) else []
    else:
        with_password = section.password.get_secret_value() or password_of(section.url)
        secret = [
            *([(*prefix, "password")] if with_password else []),
            *([(*prefix, "bearer_token")] if section.bearer_token.get_secret_value() else []),
            *([(*prefix, "headers")] if section.headers else []),
        ]
    variables = tuple(variable_of(key) for key in secret)
    return replace(found, variables=variables)
