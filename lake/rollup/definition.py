"""Which rollup a dataset has.

Belongs here: the choice between a system's own rollup and a SQL file. Does not: either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lake.base.errors import ConfigError
from lake.config.datasets import Dataset
from lake.config.rollups import OWN_TIME_FIELD, own_file, parameters_of, rollup_file
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
    if own:
        if (users := own_file(settings, dataset)).is_file():
            raise ConfigError(
                f"dataset {dataset.name!r} has a built-in rollup",
                where=users,
                expected=f"no SQL file for a dataset of {dataset.source}",
                remedy="remove the file, or write its statement as a trend",
            )
        return own
    path = rollup_file(settings, dataset)
    if path is None:
        return None
    rollup = read_rollup_file(path)
    parameters = parameters_of(settings, dataset)
    return _dated_by(rollup, parameters) if parameters else rollup


def _dated_by(rollup: SqlRollup, parameters: Mapping[str, Any]) -> SqlRollup:
    """The package's own over a collection whose documents have their time in another field."""
    path = tuple(parameters["time_field"].split("."))
    columns = tuple(
        replace(column, path=path) if column.path == (OWN_TIME_FIELD,) else column
        for column in rollup.columns
    )
    return replace(rollup, columns=columns, shape=replace(rollup.shape, parameters=parameters))


def refuse_unknown_files(settings: Settings) -> None:
    """Raises ConfigError for a user's file that no dataset has the name of."""
    names = sorted(dataset.name for dataset in settings.dataset)
    for path in sorted(Path(settings.lake.rollups).glob("*.sql")):
        if path.stem not in names:
            raise ConfigError(
                "a rollup file that belongs to no dataset",
                where=path,
                expected="DATASET.sql, of a dataset in lake.toml: " + ", ".join(names),
                found=path.stem,
                remedy="rename the file, or add the [[dataset]]",
            )
