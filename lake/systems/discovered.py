"""What discovery found on a server: its tables, retention and oldest data.

Belongs here: the types, and names fit for datasets. Does not: looking, writing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lake.base.day import Day
from lake.config.datasets import RESERVED_NAMES

_LONGEST = 63
_ID_NAMES = ("requestid", "reqid", "traceid", "correlationid", "transactionid", "sessionid")
UNLIMITED_DAYS = 3650  # `hot_days` where nothing expires by itself
Value = str | int


@dataclass(frozen=True)
class DiscoveredTable:
    """One `[[dataset]]`: its keys but for `name`, and what was seen.

    `name` is a wish; `unique_name` makes it valid. `why_not` is the reason not to export
    it as it is: then it is written as a comment. `id_fields`: paths of identifiers of a
    request, a trace or a session.
    """

    name: str
    keys: Mapping[str, Value]
    seen: tuple[str, ...] = ()
    why_not: str = ""
    id_fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class DiscoveredSource:
    """One server: its section, what it keeps, its tables.

    `summary` describes the server in one line. `hot_days` is None where it is unknown;
    `hot_basis` names the setting or answer that it comes from; `oldest` is the first UTC day
    of data. `variables` have to be set, for what they hold is secret.
    """

    source: str
    section: Mapping[str, Value]
    summary: str
    hot_days: int | None
    hot_basis: str
    tables: tuple[DiscoveredTable, ...] = ()
    oldest: Day | None = None
    variables: tuple[str, ...] = ()


def id_fields(paths: Iterable[str]) -> tuple[str, ...]:
    """Those of the paths whose last name is an identifier's, the narrowest ones first."""
    named = {path: _ID_NAMES.index(name) for path in paths if (name := _plain(path)) in _ID_NAMES}
    return tuple(sorted(named, key=lambda path: (named[path], path)))


def _plain(path: str) -> str:
    """`requestid` of `client.requestId` and of `x-request-id`."""
    return re.sub(r"[^a-z]", "", path.rpartition(".")[2].lower()).removeprefix("x")


def unique_name(wish: str, taken: Collection[str], rows: str = "rows") -> str:
    """A dataset's name: `usageAnalytics` becomes `usage_analytics`, a second one `…_2`.

    A name that Dagster reserves gets the name of its `rows` behind it: `config_metrics`.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", wish).lower()
    plain = re.sub(r"[^a-z0-9]+", "_", words).strip("_") or "dataset"
    base = (plain if plain[0].isalpha() else f"t_{plain}")[:_LONGEST]
    if base in RESERVED_NAMES:
        base = f"{base}_{rows}"
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base[: _LONGEST - len(str(number)) - 1]}_{number}"
    return name
