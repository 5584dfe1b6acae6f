"""Where a dataset's rollup is defined by a SQL file, and what shows that it has changed.

Belongs here: the user's file and the package's own. Does not: reading a file (lake.rollup.sql),
a system's own rollups (its `rollup`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lake.base.resources import resource_path
from lake.config.datasets import Dataset
from lake.config.settings import Settings

SQL_RULES = 3
"""The version of the rules by which a file's statement is run."""
OWN_TIME_FIELD = "timestamp"
"""Where the package's own files read a document's time."""


def own_file(settings: Settings, dataset: Dataset) -> Path:
    """The user's file of this dataset, whether it is there or not."""
    return Path(settings.lake.rollups) / f"{dataset.name}.sql"


def rollup_file(settings: Settings, dataset: Dataset) -> Path | None:
    """The user's file, else the one that comes with the package, None without either."""
    if (users := own_file(settings, dataset)).is_file():
        return users
    # The package's own are of collections, whatever their datasets' names are.
    content = getattr(dataset, "collection", dataset.name)
    ours = {path.stem: path for path in (resource_path("sql") / "rollups").glob("*.sql")}
    return ours.get(content)


def parameters_of(settings: Settings, dataset: Dataset) -> Mapping[str, Any]:
    """`time_field` where the package's own file has to read another field than its header names."""
    field = getattr(dataset, "time_field", OWN_TIME_FIELD)
    is_own = not own_file(settings, dataset).is_file()
    return {"time_field": field} if is_own and field != OWN_TIME_FIELD else {}


def rules_of(settings: Settings, dataset: Dataset) -> Mapping[str, Any]:
    """What the definition in a rollup's manifest has to have for the rollup to be today's.

    Empty where the dataset has no rollup now. Of a file that can't be read no rollup is today's.
    """
    if dataset.rollup_rules is not None:
        return {"kind": dataset.source, "version": dataset.rollup_rules}
    if (path := rollup_file(settings, dataset)) is None:
        return {}
    try:
        sql = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        sql = ""  # making the rollup reports what is wrong with the file
    rules = {"kind": "sql", "version": SQL_RULES, "sql_sha256": sql_digest(sql)}
    parameters = parameters_of(settings, dataset)
    return {**rules, "parameters": parameters} if parameters else rules


def sql_digest(sql: str) -> str:
    """The SHA-256 of a file's text, as manifests of its rollups record it."""
    return hashlib.sha256(sql.encode()).hexdigest()
