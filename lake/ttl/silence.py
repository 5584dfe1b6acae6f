"""Guards that have not run for too long although rows expire.

Belongs here: the alarm, from what the last guard has left. Does not: running one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lake.base.clock import utc_now
from lake.base.errors import LakeError
from lake.config.settings import Settings
from lake.store import Store
from lake.systems.expiry import NEVER_S
from lake.systems.protocol import Expiry
from lake.ttl.terms import terms_of
from lake.ttl.turn import remembered


@dataclass(frozen=True)
class Silence:
    """A dataset whose guard has not come to an end since `last`, None: never."""

    dataset: str
    last: datetime | None
    hours: int
    limit_s: int | None

    def __str__(self) -> str:
        since = f"since {self.last:%Y-%m-%d %H:%M} UTC" if self.last else "yet"
        return (
            f"{self.dataset}: the expiry guard has not run {since} (more than {self.hours} "
            "hours), and documents keep expiring; run `lake ttl apply`"
        )

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        last = self.last.isoformat() if self.last else None
        return {"dataset": self.dataset, "last": last, "limit_s": self.limit_s}


def silences(
    settings: Settings,
    store: Store,
    expiry_of: Callable[[str], Expiry | None] | None = None,
    now: datetime | None = None,
) -> list[Silence]:
    """Of enabled datasets with a limit in force, as the source shows it, or without `expiry_of`
    as the last guard has left it. Raises what the store raises, and BadData.
    """
    silences_ = []
    hours, records = settings.ttl.max_silence_hours, None
    for dataset in settings.dataset:
        if not terms_of(settings, dataset).enabled:
            continue
        records = records or remembered(store)
        record = records.datasets.get(dataset.name, {})
        limit_s = record.get("limit_s")
        if expiry_of:
            try:
                expiry = expiry_of(dataset.source)
                limit_s = expiry.rule(dataset).limit_s if expiry else None
            except LakeError:
                pass  # the last known limit: whoever reports on the source reports this too
        last = datetime.fromisoformat(record["at"]) if record.get("at") else None
        silent = last is None or (now or utc_now()) - last > timedelta(hours=hours)
        if silent and limit_s is not None and limit_s < NEVER_S:
            silences_.append(Silence(dataset.name, last, hours, limit_s))
    return silences_
