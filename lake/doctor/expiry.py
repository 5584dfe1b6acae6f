"""Does the expiry guard run, and what has it last decided?

Belongs here: the dead-man alarm and the last decision. Does not: a new plan (`lake ttl plan`).
"""

from __future__ import annotations

from collections.abc import Iterator

from lake.config.settings import Settings
from lake.export import Exporter
from lake.store import Store
from lake.systems.check import Check
from lake.ttl.plan import opened
from lake.ttl.silence import silences
from lake.ttl.terms import terms_of
from lake.ttl.turn import remembered


def check(settings: Settings, store: Store) -> Iterator[Check]:
    """One check a dataset that is enabled. Raises what the store raises, and BadData."""
    enabled = [dataset.name for dataset in settings.dataset if terms_of(settings, dataset).enabled]
    if not enabled:
        return
    exporter = Exporter(settings, store)  # its sources are not opened
    with opened(settings, store, exporter.source) as site:
        silent = {silence.dataset: silence for silence in silences(settings, store, site.expiry_of)}
    records = remembered(store).datasets
    for name in enabled:
        subject, record = f"expiry of {name}", records.get(name)
        if name in silent:
            yield Check(subject, "fail", str(silent[name]), "lake ttl apply")
        elif record and record.get("decision") not in ("limit", None):
            summary = f"the guard ended {record['at']}: {record['decision']}"
            yield Check(subject, "warn", summary, "lake ttl plan shows what is not proven")
        elif record:
            yield Check(subject, "ok", f"the guard ended {record.get('at')}")
