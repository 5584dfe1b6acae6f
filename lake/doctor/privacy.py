"""Column rules: is their key set, do they match anything, which days lack them?

Belongs here: what manifests and the configuration show. Does not: looking into rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lake.base.day import Day
from lake.base.errors import ConfigError
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.partition.definition import has_other_rules
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.privacy.applying import RULED_VALUES
from lake.store import Store
from lake.systems.check import Check, failed
from lake.systems.registry import system

_DAYS = 7  # the newest ones, of which a rule should match some value


def check(settings: Settings, store: Store) -> Iterator[Check]:
    """Some checks per dataset with rules. Raises what the store raises."""
    for dataset in settings.dataset:
        ledger = read_ledger(store, dataset.name)
        held = {day: each for day, each in sorted(ledger.items()) if isinstance(each, Manifest)}
        others = [day for day, manifest in held.items() if has_other_rules(dataset, manifest)]
        if dataset.columns or others:
            yield _days(dataset, held, others)
        if not dataset.columns:
            continue
        subject = f"rules of {dataset.name}"
        try:
            dataset.rules()
        except ConfigError as error:
            yield failed(subject, error)
        recent = [manifest for day, manifest in held.items() if day not in others][-_DAYS:]
        yield from _unmatched(subject, dataset, recent)
    for name in sorted({dataset.source for dataset in settings.dataset if dataset.columns}):
        if system(name).has_snapshots:
            yield Check(
                f"snapshots of {name}",
                "ok",
                "snapshots hold everything: no column rule is applied to them; anybody who may "
                f"read {name}/ sees what the rules drop",
            )


def _days(dataset: Dataset, held: dict[Day, Manifest], others: Sequence[Day]) -> Check:
    subject = f"rules of {dataset.name}"
    if not others:
        return Check(subject, "ok", f"{len(dataset.columns)}, on all {len(held)} days")
    days = "1 day was" if len(others) == 1 else f"{len(others)} days were"
    return Check(
        subject,
        "warn",
        f"{days} exported under other column rules, {others[0]} to {others[-1]}",
        f"lake export {dataset.name} --from {others[0]} --to {others[-1].plus(1)} --force, for "
        "the days that the source still keeps",
    )


def _unmatched(subject: str, dataset: Dataset, recent: Sequence[Manifest]) -> Iterator[Check]:
    """A rule without a single value is often a misspelt path."""
    if not any(manifest.rows for manifest in recent):
        return
    for rule in dataset.columns:
        values = (manifest.details.get(RULED_VALUES, {}).get(rule.text, 0) for manifest in recent)
        if not any(values):
            yield Check(
                subject,
                "warn",
                f"{rule.text} has no value on the newest {len(recent)} days",
                "compare the path with `lake describe` and the source's documents",
            )
