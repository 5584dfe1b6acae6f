"""The files of sql/trends: a header that describes, and one statement.

Belongs here: reading and checking headers. Does not: running the statement.

A header's first line is the trend's description. Below it stand `-- key: value` lines:

    grain        what one row is
    inputs       the datasets that are read, by comma
    parameters   from_day, to_day: the statement's `$from_day` and `$to_day`
    x            the column of the time axis
    series       the column whose values tell the lines apart; left out where the panels'
                 columns do
    panel        label | lines, bars or stacked | columns, by comma; one line a panel
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from lake.base.errors import BadData, UsageError
from lake.base.resources import resource_path

Style = Literal["lines", "bars", "stacked"]
_KEY = re.compile(r"--\s*(grain|inputs|parameters|x|series|panel):\s*(.+)")


@dataclass(frozen=True)
class Panel:
    """One set of axes: what is drawn, how, and the label with the unit."""

    label: str
    style: Style
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Trend:
    """One trend. `inputs` are names of datasets."""

    name: str
    description: str
    grain: str
    inputs: tuple[str, ...]
    x: str
    series: str | None
    panels: tuple[Panel, ...]
    sql: str


def all_trends() -> list[Trend]:
    """In the order of their names. Raises BadData where a header is not as it has to be."""
    folder = resource_path("sql/trends")
    return [_read(path) for path in sorted(folder.glob("*.sql"))]


def trend_named(name: str) -> Trend:
    """Raises UsageError naming the valid ones."""
    trends = {trend.name: trend for trend in all_trends()}
    if name not in trends:
        raise UsageError(
            f"no trend {name!r}",
            expected="one of " + ", ".join(trends),
            remedy="`lake trend` lists them with descriptions",
        )
    return trends[name]


def _read(path: Path) -> Trend:
    sql = path.read_text("utf-8")
    first, *rest = sql.splitlines()
    keys: dict[str, list[str]] = {}
    for line in rest:
        if match := _KEY.fullmatch(line.rstrip()):
            keys.setdefault(match[1], []).append(match[2])
    lacking = [key for key in ("grain", "inputs", "parameters", "x", "panel") if key not in keys]
    if not first.startswith("-- ") or lacking:
        raise BadData(
            "a trend's header is not whole",
            where=path,
            expected="a description, then grain, inputs, parameters, x and panel",
            found="no " + ", ".join(lacking or ["description"]),
        )
    return Trend(
        name=path.stem,
        description=first.removeprefix("-- ").strip(),
        grain=keys["grain"][0],
        inputs=_names(keys["inputs"][0]),
        x=keys["x"][0],
        series=keys.get("series", [None])[0],
        panels=tuple(_panel(text, path) for text in keys["panel"]),
        sql=sql,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _panel(text: str, path: Path) -> Panel:
    match [part.strip() for part in text.split("|")]:
        case [label, ("lines" | "bars" | "stacked") as style, columns]:
            return Panel(label, style, _names(columns))
    raise BadData(
        "not a panel",
        where=path,
        expected=f"label | {', '.join(get_args(Style))} | columns",
        found=text,
    )
