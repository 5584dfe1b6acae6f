"""Limits that a guard has made and that none looks after any more.

Belongs here: which scopes enabled datasets have, and what else has a limit. Does not: whether a
limit is right (plan).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from lake.base.errors import LakeError
from lake.ttl.site import GuardSite
from lake.ttl.terms import DAY_S, terms_of


def unguarded(site: GuardSite, source: str, scopes: Collection[str] | None = None) -> Iterator[str]:
    """Limits that a guard has made and that none looks after: of a collection that was renamed, of
    a dataset that was disabled or removed. Not those that `[ttl] elsewhere` names. None where the
    source does not show them.
    """
    expiry = site.expiry_of(source)
    try:
        limits = expiry.limits() if expiry else {}
    except LakeError:
        return  # its plans report it
    guarded = {*(guarded_scopes(site) if scopes is None else scopes), *site.settings.ttl.elsewhere}
    for scope, index in sorted(limits.items()):
        if scope not in guarded:
            days = (index.limit_s or 0) / DAY_S
            yield (
                f"index {index.name!r} of {scope}: deletes after {days:g} days what no "
                "guard has proven: no dataset of it is guarded here (if another lake does: [ttl] "
                "elsewhere)"
            )


def guarded_scopes(site: GuardSite) -> Counter[str]:
    """The scopes of enabled datasets, and how many each has."""
    scopes: Counter[str] = Counter()
    for dataset in site.settings.dataset:
        expiry = site.expiry_of(dataset.source)
        if expiry and terms_of(site.settings, dataset).enabled:
            scopes[expiry.scope(dataset)] += 1
    return scopes
