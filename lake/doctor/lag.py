"""Is everything exported that its source is going to delete?

Belongs here: the lag against [hot]. Does not: the whole ledger (lake.status).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lake.base.day import Day
from lake.base.sizes import counted
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.coverage import expected_days
from lake.hot import HotDays, hot_days
from lake.partition.layout import MANIFESTS, partition_of_manifest
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.retired import is_retired, read_retired
from lake.store import Store
from lake.systems.check import Check


def check(settings: Settings, store: Store) -> Iterator[Check]:
    """One check per dataset, or one for all before the first export.

    Raises what the store raises.
    """
    today = Day.today()
    covered = {dataset: _covered(store, dataset, today) for dataset in settings.dataset}
    held = {day for days in covered.values() for day in days}
    yield from _of_no_dataset(settings, store)
    if not held:
        remedy = f"lake export --day {today.plus(-1)}"
        yield Check("coverage", "warn", "nothing is exported yet", remedy)
        return
    retired = read_retired(store)
    for dataset, days in covered.items():
        expected = [
            day
            for day in expected_days(settings, held, today)
            if day in days or not is_retired(settings, dataset, day, retired, today)
        ]
        yield _coverage(dataset, expected, days, hot_days(settings, dataset.source, today=today))


def _of_no_dataset(settings: Settings, store: Store) -> Iterator[Check]:
    """Days under a name that lake.toml does not have, after a rename, say."""
    partitions = filter(None, (partition_of_manifest(stat.key) for stat in store.list(MANIFESTS)))
    days = Counter(name for name, _ in partitions)
    names = days.keys() - {dataset.name for dataset in settings.dataset}
    if names:
        listed = ", ".join(f"{name} ({counted(days[name], 'day')})" for name in sorted(names))
        yield Check(
            "coverage",
            "warn",
            f"the lake has days of datasets that lake.toml does not have: {listed}",
            "add them again as they were: retention, erasures, verification and queries leave out "
            "what has no dataset",
        )


def _covered(store: Store, dataset: Dataset, today: Day) -> set[Day]:
    ledger = read_ledger(store, dataset.name)
    return {
        day
        for day, manifest in ledger.items()
        if isinstance(manifest, Manifest) and not manifest.is_premature(today)
    }


def _coverage(dataset: Dataset, expected: list[Day], covered: set[Day], hot: HotDays) -> Check:
    subject, today = f"dataset {dataset.name}", hot.today
    yesterday = today.plus(-1)
    missing = [day for day in expected if day not in covered]
    if not missing:
        first = f"exported from {expected[0]} to {yesterday}" if expected else "exported"
        return Check(subject, "ok", first)
    days = "1 day is" if len(missing) == 1 else f"{len(missing)} days are"
    summary = f"{days} not exported, the first is {missing[0]}"
    remedy = f"lake export {dataset.name} --from {missing[0]} --to {today}"
    left = hot.days_left(missing[0])
    if not hot.keeps(missing[0]):
        return Check(
            subject, "fail", f"{summary}, older than the {hot.kept_days} days kept", remedy
        )
    # A fifth of the time is left for someone to notice and act.
    state = "fail" if left < max(1, hot.kept_days // 5) else "warn"
    if missing == [yesterday] and state == "warn":
        return Check(subject, "ok", "exported except yesterday")
    return Check(
        subject, "fail" if state == "fail" else "warn", f"{summary}, {left} days left", remedy
    )
