"""A trend's file: a header that describes it, and one statement.

Belongs here: reading and checking headers. Does not: what of a lake fits (fitting), running the
statement (asking).

A header's first line is the trend's description. Below it stand `-- key: value` lines:

    grain        what one row is
    input        NAME | counter | METRIC, METRIC, …    growth of these metrics; of one target (job,
                 instance) on one day the first that it exports
                 NAME | histogram | METRIC, METRIC, …  the same of native histograms, by bucket
                 NAME | lines                          log lines
                 NAME | documents                      documents
                 what the statement reads, as a table NAME. One line per input
    column       NAME.COLUMN = LABEL, LABEL, …         the first of these labels
                 NAME.COLUMN TYPE = PATH               of documents: a field, dotted
                 a column of the input that the trend needs. One line per column
    optional     the same, NULL where the lake does not have it
    either       inputs of metrics of which one is enough, by comma: the others have no rows
    inputs       datasets that the statement reads by their names, by comma
    parameters   from_day, to_day: the statement's `$from_day` and `$to_day`; `every` where it
                 takes the period as `$every`; others are options that `lake trend` requires
    every        the period where no option chooses one: day (the default), week, month, quarter
    x            the column of the time axis
    keys         the columns that identify a row of one period, by comma; without it `series`
    series       the column whose values separate the lines; left out where the panels'
                 columns do
    panel        label | lines, bars or stacked | columns, by comma; one line per panel

An empty comment ends these lines; prose below it may have colons.

METRIC, LABEL may be `$metric`, `$by`: the value of that option.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from lake.base.headers import Header
from lake.trends.needs import Input, InputColumn, Kind

Style = Literal["lines", "bars", "stacked"]
RANGE_PARAMETERS = ("from_day", "to_day")
EVERY = "every"
OPTIONS = ("metric", "by")
_KEYS = (
    "grain", "input", "column", "optional", "either", "inputs", "parameters", "every", "x",
    "keys", "series", "panel",
)  # fmt: skip
_SEVERAL = frozenset({"input", "column", "optional", "panel"})
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_OF_DOCUMENTS = re.compile(r"([a-z_]\w*)\.([a-z_]\w*)\s+(\S.*?)\s*=\s*(\S.*)")
_OF_LABELS = re.compile(r"([a-z_]\w*)\.([a-z_]\w*)\s*=\s*(\S.*)")
_PERIODS = ("day", "week", "month", "quarter")


@dataclass(frozen=True)
class Panel:
    """One set of axes: what is drawn, how, and the label with the unit."""

    label: str
    style: Style
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Trend:
    """One trend. `inputs` are names of datasets, `needs` what is found by content."""

    name: str
    description: str
    grain: str
    inputs: tuple[str, ...]
    needs: tuple[Input, ...]
    parameters: tuple[str, ...]
    every: str
    x: str
    keys: tuple[str, ...]
    series: str | None
    panels: tuple[Panel, ...]
    sql: str
    path: Path

    @property
    def options(self) -> tuple[str, ...]:
        """The parameters that are options of `lake trend`."""
        return tuple(name for name in self.parameters if name in OPTIONS)

    @property
    def has_periods(self) -> bool:
        """Whether the statement takes the period: for --compare, --weekly, --monthly."""
        return EVERY in self.parameters


def read_trend(path: Path) -> Trend:
    """Raises BadData with file and line where the header is invalid."""
    return _TrendFile(path).trend()


class _TrendFile:
    def __init__(self, path: Path) -> None:
        self._header = Header(path, "trend", _KEYS, _SEVERAL)

    def trend(self) -> Trend:
        """All of it, checked."""
        header = self._header
        header.require("grain", "parameters", "x", "panel")
        needs = self._needs()
        inputs = header.names("inputs")
        if not needs and not inputs:
            raise header.wrong(1, "a line `-- input: …` or `-- inputs: …`", "neither")
        series = header.text("series")
        return Trend(
            name=header.path.stem,
            description=header.description,
            grain=header.text("grain") or "",
            inputs=inputs,
            needs=needs,
            parameters=self._parameters(needs),
            every=self._every(),
            x=header.text("x") or "",
            keys=header.names("keys") or ((series,) if series else ()),
            series=series,
            panels=tuple(self._panel(*line) for line in header.lines["panel"]),
            sql=header.sql,
            path=header.path,
        )

    def _parameters(self, needs: tuple[Input, ...]) -> tuple[str, ...]:
        line, text = self._header.lines["parameters"][0]
        names = self._header.listed(line, text)
        lacking = [name for name in RANGE_PARAMETERS if name not in names]
        other = [name for name in names if name not in (*RANGE_PARAMETERS, EVERY, *OPTIONS)]
        if lacking or other:
            expected = f"{', '.join(RANGE_PARAMETERS)}, and perhaps {EVERY}, {', '.join(OPTIONS)}"
            raise self._header.wrong(line, expected, text)
        used = {name for need in needs for name in need.options}
        if undeclared := sorted(used - set(names)):
            raise self._header.wrong(line, f"{text}, {', '.join(undeclared)}", text)
        return names

    def _every(self) -> str:
        if EVERY not in self._header.lines:
            return "day"
        line, text = self._header.lines[EVERY][0]
        if text not in _PERIODS:
            raise self._header.wrong(line, f"one of {', '.join(_PERIODS)}", text)
        return text

    def _needs(self) -> tuple[Input, ...]:
        inputs: dict[str, Input] = {}
        for line, text in self._header.lines.get("input", []):
            need = self._input(line, text)
            if need.name in inputs:
                raise self._header.wrong(line, "inputs of different names", text)
            inputs[need.name] = need
        for key in ("column", "optional"):
            for line, text in self._header.lines.get(key, []):
                name, column = self._column(line, text, inputs, needed=key == "column")
                had = {other.name.lower() for other in inputs[name].columns}
                if column.name.lower() in had or column.repeats(inputs[name].kind):
                    raise self._header.wrong(line, "a name that no other column has", text)
                inputs[name] = inputs[name].with_column(column)
        for name in self._either(inputs):
            inputs[name] = replace(inputs[name], either=True)
        return tuple(inputs.values())

    def _either(self, inputs: Mapping[str, Input]) -> tuple[str, ...]:
        if "either" not in self._header:
            return ()
        line, text = self._header.lines["either"][0]
        names = self._header.listed(line, text)
        of_metrics = [name for name, need in inputs.items() if need.metrics]
        if len(names) < 2 or not {*names} <= {*of_metrics}:
            listed = ", ".join(of_metrics) or "inputs of metrics"
            raise self._header.wrong(line, f"two or more of {listed}", text)
        return names

    def _input(self, line: int, text: str) -> Input:
        match [part.strip() for part in text.split("|")]:
            case [name, ("counter" | "histogram") as kind, metrics] if _NAME.fullmatch(name):
                return Input(name, kind, self._header.listed(line, metrics))
            case [name, ("lines" | "documents") as kind] if _NAME.fullmatch(name):
                return Input(name, kind)
        kinds = ", ".join(f"NAME | {kind}" for kind in get_args(Kind))
        raise self._header.wrong(
            line, f"{kinds}; metrics follow a counter or histogram: | METRIC, METRIC", text
        )

    def _column(
        self, line: int, text: str, inputs: dict[str, Input], *, needed: bool
    ) -> tuple[str, InputColumn]:
        typed, plain = _OF_DOCUMENTS.fullmatch(text), _OF_LABELS.fullmatch(text)
        name = (typed or plain or [""] * 2)[1]
        if name not in inputs:
            expected = "INPUT.COLUMN = LABEL, LABEL, or INPUT.COLUMN TYPE = PATH; INPUT is one of "
            raise self._header.wrong(line, expected + (", ".join(inputs) or "the inputs"), text)
        if inputs[name].kind == "documents":
            if typed is None:
                raise self._header.wrong(line, "INPUT.COLUMN TYPE = PATH, for documents", text)
            return name, InputColumn(
                typed[2], needed, type=typed[3], path=self._header.field_path(line, typed[4])
            )
        if plain is None:
            raise self._header.wrong(line, "INPUT.COLUMN = LABEL, LABEL, for labels", text)
        return name, InputColumn(plain[2], needed, labels=self._header.listed(line, plain[3]))

    def _panel(self, line: int, text: str) -> Panel:
        match [part.strip() for part in text.split("|")]:
            case [label, ("lines" | "bars" | "stacked") as style, columns]:
                return Panel(label, style, self._header.listed(line, columns))
        raise self._header.wrong(line, f"label | {', '.join(get_args(Style))} | columns", text)
