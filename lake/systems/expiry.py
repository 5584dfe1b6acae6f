"""How a dataset's rows expire at its source.

Belongs here: the types that a system and the guard exchange. Does not: which limit is right.
"""

from __future__ import annotations

from dataclasses import dataclass

NEVER_S = 2**31 - 1
"""The greatest limit that an index has: 68 years. What is older than that expires nevertheless."""


@dataclass(frozen=True)
class Index:
    """An index on the time field. `limit_s` is None where it lets nothing expire."""

    name: str
    limit_s: int | None = None


@dataclass(frozen=True)
class ExpiryRule:
    """How rows expire now.

    `index` is the one that the guard uses, of several on the time field that with the lowest
    limit; `twins` are the names of the others there that have one: they are raised with it.
    `left` are those that a guard made on what was the time field before, and that still delete
    rows. `others` describes further ones that delete rows of the same collection; `obstacle` is why
    no limit can be set, "" where one can. `scope` names what expires: datasets of one scope lose
    the same rows. `identity` differs where that was recreated under its name; "" where unknown.
    """

    scope: str = ""
    index: Index | None = None
    twins: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    obstacle: str = ""
    identity: str = ""
    left: tuple[Index, ...] = ()

    @property
    def limit_s(self) -> int | None:
        """The limit in force; None: no row expires by the index."""
        return self.index.limit_s if self.index else None
