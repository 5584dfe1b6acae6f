"""The last verification of each dataset and of the lake's records, kept for alerts and metrics.

Belongs here: the object `guard/verify.json`. Does not: verifying (verify).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from lake.base.clock import utc_now
from lake.base.errors import BadData, Missing
from lake.base.members import of_members
from lake.store import Store

if TYPE_CHECKING:
    from lake.verify import Finding

KEY = "guard/verify.json"
RECORDS = "audit log"
"""Stands for the audit log and the records of deletions; no dataset has such a name."""


@dataclass(frozen=True)
class Verified:
    """When a dataset's days were verified, how many of them, and how many differ.

    `first` is the first that differs, "" where none does. Of RECORDS `failures` are problems, and
    `first` is the text of the first; `partitions` is 0.
    """

    at: str
    partitions: int
    failures: int
    first: str = ""


def record(
    store: Store,
    datasets: Sequence[str],
    findings: Sequence[Finding],
    problems: Sequence[str] | None = None,
) -> None:
    """Replaces what is kept of these datasets, and of the lake's records, if they were checked, by
    their problems. Raises what the store raises, and BadData.
    """
    kept = recorded(store)
    at = utc_now().isoformat(timespec="seconds")
    for name in datasets:
        of_dataset = [finding for finding in findings if finding.dataset == name]
        bad = sorted(finding.day for finding in of_dataset if not finding.ok)
        kept[name] = Verified(at, len(of_dataset), len(bad), str(bad[0]) if bad else "")
    if problems is not None:
        kept[RECORDS] = Verified(at, 0, len(problems), problems[0] if problems else "")
    text = json.dumps({name: asdict(verified) for name, verified in sorted(kept.items())}, indent=1)
    store.write(KEY, f"{text}\n".encode())


def recorded(store: Store) -> dict[str, Verified]:
    """By dataset; those that were never verified are not there. Raises BadData."""
    try:
        kept = json.loads(store.read(KEY)).items()
        return {name: of_members(Verified, fields) for name, fields in kept}
    except Missing:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise BadData(
            "the record of the last verification can't be read",
            where=store.url(KEY),
            found=error,
            remedy="delete the object; `lake verify --record` writes it again",
        ) from error
