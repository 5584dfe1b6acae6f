"""A trend's file: a header that describes it, and one statement.

Belongs here: reading and checking headers. Does not: what of a lake fits (fitting), running the
statement (asking).

A header's first line is the trend's description. Below it stand `-- key: value` lines:

    grain        what one row is
    input        NAME | counter | METRIC, METRIC, …    growth of these metrics; of one target (job,
                 instance) on one day the first that it exports
                 NAME | lines                          log lines
                 NAME | documents                      documents
                 what the statement reads, as a table NAME. One line an input
    column       NAME.COLUMN = LABEL, LABEL, …         the first of these labels
                 NAME.COLUMN TYPE = PATH               of documents: a field, dotted
                 a column of the input that the trend needs. One line a column
    optional     the same, NULL where the lake does not have it
    inputs       datasets that the statement reads by their names, by comma
    parameters   from_day, to_day: the statement's `$from_day` and `$to_day`; `every` where it
                 takes the period as `$every`; others are options that `lake trend` requires
    every        the period without --weekly or --compare: day (the default), week, month, quarter
    x            the column of the time axis
    keys         the columns that identify a row of one period, by comma; without it `series`
    series       the column whose values separate the lines; left out where the panels'
                 columns do
    panel        label | lines, bars or stacked | columns, by comma; one line a panel

An empty comment ends these lines; prose below it may have colons.

METRIC, LABEL may be `$metric`, `$by`: the value of that option.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lake.base.causes import cause
from lake.base.errors import BadData
from lake.base.headers import KEY_LINE, unknown_key
from lake.trends.needs import Column, Input, Kind

Style = Literal["lines", "bars", "stacked"]
RANGE_PARAMETERS = ("from_day", "to_day")
EVERY = "every"
OPTIONS = ("metric", "by")
_KEYS = (
    "grain", "input", "column", "optional", "inputs", "parameters", "every", "x", "keys",
    "series", "panel",
)  # fmt: skip
_SEVERAL = frozenset({"input", "column", "optional", "panel"})
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_OF_DOCUMENTS = re.compile(r"([a-z_]\w*)\.([a-z_]\w*)\s+(\S.*?)\s*=\s*(\S.*)")
_OF_LABELS = re.compile(r"([a-z_]\w*)\.([a-z_]\w*)\s*=\s*(\S.*)")
_PATH = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')
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
        """Whether the statement takes the period: for --weekly and --compare."""
        return EVERY in self.parameters


def read_trend(path: Path) -> Trend:
    """Raises BadData with file and line where the header is not as it has to be."""
    return _Header(path).trend()


class _Header:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._sql = path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise self._wrong(1, "a text in UTF-8", error) from error
        except OSError as error:
            raise BadData(
                "a trend's file can't be read",
                where=path,
                found=cause(error),
                remedy="correct its permissions, or remove it",
            ) from error
        first, *rest = self._sql.splitlines() or [""]
        if not first.startswith("-- "):
            raise self._wrong(1, "a description: `-- What the trend shows`", first)
        self._description = first.removeprefix("-- ").strip()
        self._found: dict[str, list[tuple[int, str]]] = {}
        for number, line in enumerate(rest, 2):
            if not line.startswith("--"):
                break
            if (match := KEY_LINE.fullmatch(line.rstrip())) and match[1] in _KEYS:
                self._add(number, match[1], match[2].strip())
        if other := unknown_key(self._sql.splitlines(), _KEYS):
            raise self._wrong(other[0], f"one of {', '.join(_KEYS)}", other[1])

    def _add(self, number: int, key: str, text: str) -> None:
        if not text:
            raise self._wrong(number, f"a value of {key!r}", "none")
        if key in self._found and key not in _SEVERAL:
            raise self._wrong(number, f"one line {key!r}", "a second one")
        self._found.setdefault(key, []).append((number, text))

    def trend(self) -> Trend:
        """All of it, checked."""
        for key in ("grain", "parameters", "x", "panel"):
            if key not in self._found:
                raise self._wrong(1, f"a header with a line `-- {key}: …`", f"no {key}")
        needs = self._needs()
        inputs = self._names("inputs")
        if not needs and not inputs:
            raise self._wrong(1, "a line `-- input: …` or `-- inputs: …`", "neither")
        series = self._text("series")
        return Trend(
            name=self._path.stem,
            description=self._description,
            grain=self._text("grain") or "",
            inputs=inputs,
            needs=needs,
            parameters=self._parameters(needs),
            every=self._every(),
            x=self._text("x") or "",
            keys=self._names("keys") or ((series,) if series else ()),
            series=series,
            panels=tuple(self._panel(*line) for line in self._found["panel"]),
            sql=self._sql,
            path=self._path,
        )

    def _text(self, key: str) -> str | None:
        return self._found[key][0][1] if key in self._found else None

    def _names(self, key: str) -> tuple[str, ...]:
        if key not in self._found:
            return ()
        line, text = self._found[key][0]
        return self._listed(line, text)

    def _listed(self, line: int, text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(","))
        if not all(names) or len(set(names)) < len(names):
            raise self._wrong(line, "different names, by comma", text)
        return names

    def _parameters(self, needs: tuple[Input, ...]) -> tuple[str, ...]:
        line, text = self._found["parameters"][0]
        names = self._listed(line, text)
        lacking = [name for name in RANGE_PARAMETERS if name not in names]
        other = [name for name in names if name not in (*RANGE_PARAMETERS, EVERY, *OPTIONS)]
        if lacking or other:
            expected = f"{', '.join(RANGE_PARAMETERS)}, and perhaps {EVERY}, {', '.join(OPTIONS)}"
            raise self._wrong(line, expected, text)
        used = {name for need in needs for name in need.options}
        if undeclared := sorted(used - set(names)):
            raise self._wrong(line, f"{text}, {', '.join(undeclared)}", text)
        return names

    def _every(self) -> str:
        if EVERY not in self._found:
            return "day"
        line, text = self._found[EVERY][0]
        if text not in _PERIODS:
            raise self._wrong(line, f"one of {', '.join(_PERIODS)}", text)
        return text

    def _needs(self) -> tuple[Input, ...]:
        inputs: dict[str, Input] = {}
        for line, text in self._found.get("input", []):
            need = self._input(line, text)
            if need.name in inputs:
                raise self._wrong(line, "inputs of different names", text)
            inputs[need.name] = need
        for key in ("column", "optional"):
            for line, text in self._found.get(key, []):
                name, column = self._column(line, text, inputs, needed=key == "column")
                inputs[name] = inputs[name].with_column(column)
        return tuple(inputs.values())

    def _input(self, line: int, text: str) -> Input:
        match [part.strip() for part in text.split("|")]:
            case [name, "counter", metrics] if _NAME.fullmatch(name):
                return Input(name, "counter", self._listed(line, metrics))
            case [name, ("lines" | "documents") as kind] if _NAME.fullmatch(name):
                return Input(name, kind)
        kinds = ", ".join(f"NAME | {kind}" for kind in get_args(Kind))
        raise self._wrong(line, f"{kinds}; metrics follow a counter: | METRIC, METRIC", text)

    def _column(
        self, line: int, text: str, inputs: dict[str, Input], *, needed: bool
    ) -> tuple[str, Column]:
        typed, plain = _OF_DOCUMENTS.fullmatch(text), _OF_LABELS.fullmatch(text)
        name = (typed or plain or [""] * 2)[1]
        if name not in inputs:
            expected = "INPUT.COLUMN = LABEL, LABEL, or INPUT.COLUMN TYPE = PATH; INPUT is one of "
            raise self._wrong(line, expected + (", ".join(inputs) or "the inputs"), text)
        if inputs[name].kind == "documents":
            if typed is None:
                raise self._wrong(line, "INPUT.COLUMN TYPE = PATH, for documents", text)
            return name, Column(typed[2], needed, type=typed[3], path=self._field(line, typed[4]))
        if plain is None:
            raise self._wrong(line, "INPUT.COLUMN = LABEL, LABEL, for labels", text)
        return name, Column(plain[2], needed, labels=self._listed(line, plain[3]))

    def _field(self, line: int, text: str) -> tuple[str, ...]:
        names, at = [], 0
        while match := _PATH.match(text, at):
            names.append(match[1].replace('""', '"') if match[1] else match[2].strip())
            at = match.end()
            if at == len(text):
                return tuple(names)
            if text[at] != ".":
                break
            at += 1
        raise self._wrong(line, 'a path such as response.latencyMs or "a.b".c', text)

    def _panel(self, line: int, text: str) -> Panel:
        match [part.strip() for part in text.split("|")]:
            case [label, ("lines" | "bars" | "stacked") as style, columns]:
                return Panel(label, style, self._listed(line, columns))
        raise self._wrong(line, f"label | {', '.join(get_args(Style))} | columns", text)

    def _wrong(self, line: int, expected: str, found: Any) -> BadData:
        return BadData(
            "wrong header of a trend",
            where=f"{self._path}, line {line}",
            expected=expected,
            found=found,
            remedy="correct the file; docs/reference.md describes the header",
        )
