"""Which rollup a dataset has.

Belongs here: the choice between a system's own rollup and a file of SQL. Does not: either.
"""

from __future__ import annotations

from pathlib import Path

from lake.base.errors import ConfigError
from lake.base.resources import resource_path
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.rollup.sql import SqlRollup, read_rollup_file
from lake.systems.registry import system
from lake.systems.rollup import Rollup

AnyRollup = Rollup | SqlRollup


def rollup_of(settings: Settings, dataset: Dataset) -> AnyRollup | None:
    """The system's own, else the user's file, else the one that comes with the package.

    Raises ConfigError for a user's file of a dataset that has a rollup of its own, BadData for
    a wrong header.
    """
    own = system(dataset.source).rollup(dataset)
    users = Path(settings.lake.rollups) / f"{dataset.name}.sql"
    if own:
        if users.is_file():
            raise ConfigError(
                f"dataset {dataset.name!r} has a rollup without a file",
                where=users,
                expected=f"files of datasets other than those of {dataset.source}",
                remedy="remove the file, or write its statement as a trend",
            )
        return own
    if users.is_file():
        return read_rollup_file(users)
    # The package's own are of collections, whatever their datasets' names are.
    content = getattr(dataset, "collection", dataset.name)
    ours = {path.stem: path for path in (resource_path("sql") / "rollups").glob("*.sql")}
    return read_rollup_file(ours[content]) if content in ours else None


def refuse_unknown_files(settings: Settings) -> None:
    """Raises ConfigError for a user's file that no dataset has the name of."""
    names = sorted(dataset.name for dataset in settings.dataset)
    for path in sorted(Path(settings.lake.rollups).glob("*.sql")):
        if path.stem not in names:
            raise ConfigError(
                "a rollup of no dataset",
                where=path,
                expected="DATASET.sql, of a dataset in lake.toml: " + ", ".join(names),
                found=path.stem,
                remedy="rename the file, or add the [[dataset]]",
            )
