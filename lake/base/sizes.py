"""Bytes and counts as human-readable text.

Belongs here: numbers with units. Does not: tables.
"""

from __future__ import annotations

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_HOURS_SHOWN = 96  # from then on days are


def size(count: float) -> str:
    """Three digits and a decimal unit: 1.24 GB."""
    number = float(count)
    for unit in _UNITS[:-1]:
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.4g} {_UNITS[-1]}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number of things: 1 row, 2,345 rows."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def hours_or_days(hours: float) -> str:
    """A time: 72 h, 3,649 days."""
    return f"{hours:,.0f} h" if abs(hours) < _HOURS_SHOWN else f"{hours / 24:,.0f} days"
