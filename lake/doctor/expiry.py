"""Does the expiry guard run, what has it last decided, and is there a limit without a guard?

Belongs here: the dead-man alarm, the last decision, limits left behind, the user's rights.
Does not: a new plan (`lake ttl plan`).
"""

from __future__ import annotations

from collections.abc import Iterator

from lake.base.errors import LakeError
from lake.config.settings import Settings
from lake.export import Exporter
from lake.store import Store
from lake.systems.check import Check
from lake.systems.registry import configured_systems
from lake.ttl.silence import silences
from lake.ttl.site import GuardSite, opened
from lake.ttl.terms import guarded
from lake.ttl.turn import remembered
from lake.ttl.unguarded import unguarded

_LEFT = "guard a dataset of it, or hold the index by collMod: expireAfterSeconds 2147483647"


def check(settings: Settings, store: Store) -> Iterator[Check]:
    """One check a dataset that is enabled, another where its user may not set limits, and one a
    limit that no guard looks after. Raises what the store raises, and BadData.
    """
    enabled = [dataset.name for dataset in guarded(settings)]
    records = remembered(store).datasets
    if not enabled and not records:
        return
    exporter = Exporter(settings, store)  # its sources are not opened
    with opened(settings, store, exporter.source) as site:
        silent = {silence.dataset: silence for silence in silences(settings, store, site.expiry_of)}
        # Also of a system whose last dataset was removed.
        left = [text for name in configured_systems(settings) for text in unguarded(site, name)]
        rights = [check for name in enabled for check in _rights(site, settings, name)]
    yield from rights
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
        else:
            yield Check(subject, "warn", "the guard has never run", "lake ttl apply, in a terminal")


def _rights(site: GuardSite, settings: Settings, name: str) -> Iterator[Check]:
    dataset = settings.dataset_named(name)
    try:
        expiry = site.expiry_of(dataset.source)
        lacking = expiry.lacking(dataset) if expiry else []
    except LakeError:
        return  # the checks of the source report it
    subject = f"rights for the expiry of {name}"
    if lacking is None:
        yield Check(
            subject,
            "warn",
            "unknown: the server does not list the user's privileges",
            "make sure that lake ttl apply may create an index and change its limit",
        )
    elif lacking:
        rights = " and ".join(lacking)
        yield Check(
            subject,
            "fail",
            f"the user lacks {rights}: lake ttl apply can neither set nor hold a limit",
            f"grant it {rights} on the collection (role `dbAdmin`)",
        )
