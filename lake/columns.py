"""What a column means, by its system and its name.

Belongs here: the meaning and the unit of a column. Does not: what stored days add to that
(catalog), how it is shown.
"""

from __future__ import annotations

from lake.base.sizes import counted
from lake.config.systems import configs

DAY = "UTC day, the lake's partition"
# How names of columns end that have a unit.
_UNITS = {
    "_ns": "nanoseconds",
    "_us": "microseconds",
    "_ms": "milliseconds",
    "Ms": "milliseconds",
    "_seconds": "seconds",
    "Seconds": "seconds",
    "_bytes": "bytes",
    "Bytes": "bytes",
    "_percent": "percent",
    "Percent": "percent",
}


def meaning(source: str, column: str) -> str:
    """What a column of the system's tables means."""
    system = configs()[source]
    return system.columns.get(column, system.other_columns)


def elsewhere(number: int) -> str:
    """How many of a column's values it does not hold."""
    verb = "is" if number == 1 else "are"
    return f"{counted(number, 'value')} {verb} in _rest or _raw only"


def unit(column: str, known: str = "") -> str:
    """`in milliseconds, by its name`; "" where the name has no unit, or what is known has it."""
    named = next((unit for end, unit in _UNITS.items() if column.endswith(end)), None)
    return f"in {named}, by its name" if named and named not in known else ""
