"""Whether a partition was exported as its dataset is defined now.

Belongs here: comparing a dataset with a manifest's `definition` and `rules`. Does not: what
follows from it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from lake.base.day import Day
from lake.base.errors import PermanentError
from lake.config.datasets import Dataset
from lake.partition.manifest import Manifest
from lake.privacy.applying import differing


def changed_keys(dataset: Dataset, manifest: Manifest) -> list[str]:
    """The keys in which both differ; none where nothing is known of the old definition."""
    was, now = _both(dataset, manifest)
    changed = [name for name in was.keys() | now if was.get(name) != now.get(name)]
    return sorted(changed) if manifest.definition else []


def proves_day(dataset: Dataset, manifest: Manifest, today: Day) -> bool:
    """Whether the partition is of the dataset as it is now, and of a day that was over."""
    return not changed_keys(dataset, manifest) and not manifest.is_premature(today)


def refuse_other_definition(dataset: Dataset, day: Day, manifest: Manifest) -> None:
    """Raises PermanentError: rows of two definitions under one name would answer as one."""
    was, now = _both(dataset, manifest)
    if changed := changed_keys(dataset, manifest):
        raise PermanentError(
            "exported under another definition",
            where=f"{dataset.name} {day}",
            expected=", ".join(f"{name} = {now.get(name)!r}" for name in changed),
            found=", ".join(f"{name} = {was.get(name)!r}" for name in changed),
            remedy="--force exports it as it is defined now; or restore the definition",
        )


def as_exported(dataset: Dataset, manifest: Manifest) -> Dataset:
    """The dataset as the partition was exported, and under the rules that its rows went through:
    what its source is compared by. As it is now where the manifest has no valid definition.
    """
    if changed_keys(dataset, manifest):
        with suppress(ValueError):  # of a version with other keys
            was = type(dataset).model_validate(manifest.definition)
            keys = was.model_dump().keys()
            dataset = dataset.model_copy(update={key: getattr(was, key) for key in keys})
    return dataset.under(manifest.rules)


def has_other_rules(dataset: Dataset, manifest: Manifest) -> bool:
    """Whether the rows went through other column rules than those of today."""
    return differing(manifest.rules, dataset.recorded_rules())


def _both(dataset: Dataset, manifest: Manifest) -> tuple[dict[str, Any], dict[str, Any]]:
    """As it was and as it is. A key that only one of both has is at its default in the other."""
    fields = type(dataset).model_fields
    defaults = {name: field.default for name, field in fields.items() if not field.is_required()}
    return defaults | manifest.definition, defaults | dataset.model_dump()
