"""Metric families as OpenMetrics text.

Belongs here: names, escapes, the order of lines. Does not: which metrics there are.

All families are gauges: parsers then read the same of OpenMetrics and of Prometheus'
older text format, such as node_exporter's textfile collector and `promtool check metrics`.
https://github.com/OpenObservability/OpenMetrics
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Value = int | float


@dataclass
class Family:
    """One gauge. `unit` is the end of its name, empty for a plain number."""

    name: str
    help: str
    unit: str = ""
    samples: list[tuple[Mapping[str, str], Value]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.unit and not self.name.endswith(f"_{self.unit}"):
            raise ValueError(f"{self.name} does not end with its unit, {self.unit}")

    def add(self, value: Value | None, **labels: str) -> None:
        """One sample; none where there is no value."""
        if value is not None:
            self.samples.append((labels, value))


def rendered(families: Iterable[Family]) -> str:
    """The exposition, with the end mark. Families without samples are left out."""
    lines = [line for family in families if family.samples for line in _lines(family)]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _lines(family: Family) -> Iterator[str]:
    yield f"# TYPE {family.name} gauge"
    if family.unit:
        yield f"# UNIT {family.name} {family.unit}"
    yield f"# HELP {family.name} {_escaped(family.help)}"
    for labels, value in family.samples:
        pairs = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
        yield f"{family.name}{{{pairs}}} {value}" if pairs else f"{family.name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
