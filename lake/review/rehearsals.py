"""Reports of rehearsals, in short.

Belongs here: reading them. Does not: rehearsing, their pages (lake.rehearse).
"""

from __future__ import annotations

import json
import re

from lake.review.review import Rehearsal
from lake.store import Store

_KEY = re.compile(r"reports/rehearsal/(\d{4}-\d\d-\d\d)\.json")
_SHOWN = 12


def rehearsals_of(store: Store) -> tuple[list[Rehearsal], list[str]]:
    """The last ones, newest first, and what can't be read. Raises what the store raises."""
    days = {
        match[1]: stat.key
        for stat in store.list("reports/rehearsal/")
        if (match := _KEY.fullmatch(stat.key))
    }
    rehearsals, problems = [], []
    for day in sorted(days, reverse=True)[:_SHOWN]:
        try:
            report = json.loads(store.read(days[day]))
            rehearsals.append(
                Rehearsal(
                    day, bool(report["ok"]), len(report["snapshots"]), len(report["differences"])
                )
            )
        except (ValueError, TypeError, KeyError) as error:
            problems.append(f"{days[day]} can't be read: {error}")
    return rehearsals, problems
