"""The lake's tables as one JSON file, which deploy/spark/lake_tables.py opens in any Spark session.

Belongs here: the file. Does not: a table's groups (tables).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lake import __version__
from lake.base.causes import cause
from lake.base.clock import utc_now
from lake.base.errors import PermanentError, UsageError
from lake.process.scratch import replaced_at_once
from lake.query import Lake
from lake.spark.tables import described_table
from lake.store.opening import root_url

FORM = "monitoring-lake tables for Spark, 1"


def describe_lake(lake: Lake) -> dict[str, Any]:
    """All tables of the lake with the days that are in it now; no object is looked for.

    `root` is a path or an s3:// URL, keys of files lie below it. Raises LakeError.
    """
    return {
        "form": FORM,
        "version": __version__,
        "written_at": utc_now().isoformat(timespec="seconds"),
        "root": root_url(lake.settings),
        "tables": [described_table(table) for table in lake.tables()],
    }


def write_description(lake: Lake, file: Path) -> dict[str, Any]:
    """Creates or replaces the file at once; returns what it holds. It has no data and no
    credentials. Raises UsageError where the file is something else, LakeError where a manifest
    can't be read.
    """
    described = describe_lake(lake)
    text = json.dumps(described, ensure_ascii=False, indent=1)
    try:
        _refuse_other_files(file)
        with replaced_at_once(file) as part:
            part.write_text(text, "utf-8")
    except OSError as error:
        raise PermanentError(
            "the description can't be written",
            where=file,
            found=cause(error),
            remedy="free some space there, or write it to another directory",
        ) from error
    return described


def _refuse_other_files(file: Path) -> None:
    if not file.exists():
        return
    try:
        form = json.loads(file.read_text("utf-8"))["form"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _other(file, cause(error)) from error
    if form != FORM:
        raise _other(file, form)


def _other(file: Path, found: object) -> UsageError:
    return UsageError(
        "the file exists and is not a description of a lake for Spark",
        where=file,
        expected="a new file, or one that `lake catalog --spark` wrote",
        found=found,
        remedy="name another file",
    )
