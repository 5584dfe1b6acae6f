"""The statements and expressions of sql/spark.

Belongs here: reading them. Does not: what is put into them.
"""

from __future__ import annotations

from functools import cache

from lake.base.resources import resource_path


@cache
def template(name: str) -> str:
    """A file's text without its comments."""
    lines = (resource_path("sql/spark") / f"{name}.sql").read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))
