"""Is everything exported that its source will drop some day?

Belongs here: the lag against [hot]. Does not: the whole ledger (lake.status).
"""

from __future__ import annotations

from collections.abc import Iterator

from lake.base.datasets import Dataset
from lake.base.day import Day, day_range
from lake.base.manifest import Manifest, read_ledger
from lake.base.settings import Settings
from lake.base.store import Store
from lake.doctor.check import Check


def check(settings: Settings, store: Store) -> Iterator[Check]:
    """One check a dataset, or one for all before the first export. Raises what the store raises."""
    covered = {dataset: _covered(store, dataset) for dataset in settings.dataset}
    if not any(covered.values()):
        remedy = f"lake export --day {Day.today().plus(-1)}"
        yield Check("coverage", "warn", "nothing is exported yet", remedy)
        return
    for dataset, days in covered.items():
        yield _coverage(dataset, days, getattr(settings.hot, dataset.source))


def _covered(store: Store, dataset: Dataset) -> set[Day]:
    ledger = read_ledger(store, dataset.name)
    return {day for day, found in ledger.items() if isinstance(found, Manifest)}


def _coverage(dataset: Dataset, covered: set[Day], hot_days: int) -> Check:
    subject, today = f"dataset {dataset.name}", Day.today()
    yesterday = today.plus(-1)
    if not covered:
        return Check(
            subject,
            "warn",
            "nothing is exported yet",
            f"lake export {dataset.name} --day {yesterday}",
        )
    missing = [day for day in day_range(min(covered), today) if day not in covered]
    if not missing:
        return Check(subject, "ok", f"exported from {min(covered)} to {yesterday}")
    found = f"{len(missing)} days are not exported, the first is {missing[0]}"
    remedy = f"lake export {dataset.name} --from {missing[0]} --to {today}"
    left = hot_days - missing[0].days_until(today)
    if left < 0:
        return Check(subject, "fail", f"{found}, older than the {hot_days} days kept", remedy)
    # A fifth of the time is left for someone to notice and act.
    state = "fail" if left < max(1, hot_days // 5) else "warn"
    if missing == [yesterday] and state == "warn":
        return Check(subject, "ok", "exported but for yesterday")
    return Check(
        subject, "fail" if state == "fail" else "warn", f"{found}, {left} days left", remedy
    )
