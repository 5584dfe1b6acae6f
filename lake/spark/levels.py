"""The level of log lines in Spark SQL.

Belongs here: the expression of the column `level`. Does not: where a level is looked for
(lake.query.levels).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cache

from lake.base.resources import resource_path
from lake.query.levels import LINE, Place, places_in
from lake.spark.templates import template
from lake.spark.types import quoted_name, quoted_text

_NAME = re.compile(r"'([^']+)': '([^']+)'")


def level_column(columns: Collection[str], level_from: Sequence[str]) -> str:
    """The first level that a place of the row has; NULL where none has."""
    texts = ", ".join(_texts(place) for place in places_in(columns, level_from))
    if not texts:
        return "CAST(NULL AS STRING)"
    names = f"transform(concat({texts}), t -> try_element_at({_levels()}, lower(t)))"
    return f"get(filter({names}, n -> n IS NOT NULL), 0)"


def _texts(place: Place) -> str:
    """An array of the texts that may be a level there."""
    if place.key:
        return f"array({quoted_name(place.column)}[{quoted_text(place.key)}])"
    if place.column == LINE:
        return template("level_texts").format(line=quoted_name(LINE))
    return f"array({quoted_name(place.column)})"


@cache
def _levels() -> str:
    """The map of the macro level_name."""
    text = (resource_path("sql/macros") / "level_name.sql").read_text("utf-8")
    pairs = (f"{quoted_text(key)}, {quoted_text(level)}" for key, level in _NAME.findall(text))
    return f"map({', '.join(pairs)})"
