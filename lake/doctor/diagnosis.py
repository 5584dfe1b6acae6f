"""All checks in their order.

Belongs here: which checks there are. Does not: a check's own work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lake.base.errors import ConfigError
from lake.base.sizes import counted
from lake.config.overrides import PREFIX
from lake.config.settings import Settings, find_file, load
from lake.doctor import alerts, expiry, lag, privacy, store, tools
from lake.partition.layout import MANIFESTS
from lake.query.cached_store import cached_store
from lake.store import open_store
from lake.store.listed_once import ListedOnce
from lake.systems.check import Check, failed, guarded
from lake.systems.registry import configured_systems, system


def diagnose(config: str | None, env: Mapping[str, str]) -> Iterator[Check]:
    """Looks at the configuration and at all that it names; yields each check when it is done."""
    try:
        settings = load(config, env)
    except ConfigError as error:
        yield failed("configuration", error)
        return
    yield _configuration(settings, config, env)
    yield from guarded("store", store.check(settings))
    yield from guarded("queries", store.check_queries(settings))
    yield from guarded("holds", store.check_holds(settings))
    for name in configured_systems(settings):
        yield from guarded(name, system(name).diagnose(settings))
    # Two checks read every manifest: listed and read once.
    manifests = ListedOnce(cached_store(settings, open_store(settings)), MANIFESTS)
    yield from guarded("coverage", lag.check(settings, manifests))
    yield from guarded("expiry", expiry.check(settings, open_store(settings)))
    yield from guarded("rules", privacy.check(settings, manifests))
    yield from guarded("alerts", alerts.check(settings))
    for name in configured_systems(settings):
        yield from system(name).diagnose_snapshots(settings)
    yield from tools.check(settings)


def _configuration(settings: Settings, config: str | None, env: Mapping[str, str]) -> Check:
    summary = f"{find_file(config, env)}, {counted(len(settings.dataset), 'dataset')}"
    if variables := sorted(name for name in env if name.startswith(PREFIX) and "__" in name):
        summary += f"; overridden by {', '.join(variables)}"
    if not settings.dataset:
        return Check("configuration", "warn", summary, "add a [[dataset]]; `lake init` writes some")
    return Check("configuration", "ok", summary)
