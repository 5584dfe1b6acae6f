"""How the state of a day is shown: a letter in data, a symbol on the page, its meaning.

Belongs here: the table that the page and its scripts share. Does not: how a state follows from
manifest and object (lake.status).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """`remedy` is a command; `{dataset}`, `{day}` and `{next}`, the day after, are filled in."""

    letter: str
    symbol: str
    meaning: str
    remedy: str = ""


_EXPORT = "lake export {dataset} --day {day}"
FROM_SNAPSHOT = f"{_EXPORT} --from-snapshot"
"""Of a missing day of which the source has nothing any more."""
SHOWN = {
    "verified": Shown("v", "", "as many rows as the source counted"),
    "empty": Shown("e", "0", "verified, with no rows"),
    "late": Shown("l", "+", "the source has grown since the export", _EXPORT),
    "missing": Shown("m", "–", "closed, but not exported", _EXPORT),
    "differs": Shown(
        "d",
        "≠",
        "the source counted another number of rows",
        "lake verify {dataset} --from {day} --to {next} --source",
    ),
    "damaged": Shown("x", "×", "the object does not match its manifest", f"{_EXPORT} --force"),
    "retired": Shown("r", "·", "deleted by [retention], not expected"),
}
