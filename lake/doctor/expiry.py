"""Does the expiry guard run, what has it last decided, and is there a limit without a guard?

Belongs here: the dead-man alarm, the last decision, limits left behind. Does not: a new plan
(`lake ttl plan`).
"""

from __future__ import annotations

from collections.abc import Iterator

from lake.config.settings import Settings
from lake.export import Exporter
from lake.store import Store
from lake.systems.check import Check
from lake.ttl.silence import silences
from lake.ttl.site import opened
from lake.ttl.terms import terms_of
from lake.ttl.turn import remembered
from lake.ttl.unguarded import unguarded

_LEFT = "guard a dataset of it, or hold the index by collMod: expireAfterSeconds 2147483647"


def check(settings: Settings, store: Store) -> Iterator[Check]:
    """One check a dataset that is enabled, and one a limit that no guard looks after. Raises what
    the store raises, and BadData.
    """
    enabled = [dataset.name for dataset in settings.dataset if terms_of(settings, dataset).enabled]
    records = remembered(store).datasets
    if not enabled and not records:
        return
    exporter = Exporter(settings, store)  # its sources are not opened
    with opened(settings, store, exporter.source) as site:
        silent = {silence.dataset: silence for silence in silences(settings, store, site.expiry_of)}
        sources = sorted({dataset.source for dataset in settings.dataset})
        left = [text for source in sources for text in unguarded(site, source)]
    for text in left:
        yield Check("expiry", "warn", text, _LEFT)
    for name in enabled:
        subject, record = f"expiry of {name}", records.get(name)
        if name in silent:
            yield Check(subject, "fail", str(silent[name]), "lake ttl apply")
        elif record and record.get("decision") not in ("limit", None):
            summary = f"the guard ended {record['at']}: {record['decision']}"
            yield Check(subject, "warn", summary, "lake ttl plan shows what is not proven")
        elif record and record.get("others"):
            summary = f"the guard ended {record['at']}: further limits delete rows past it"
            yield Check(subject, "warn", summary, "lake ttl plan names them")
        elif record:
            yield Check(subject, "ok", f"the guard ended {record.get('at')}")
