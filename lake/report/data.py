"""The page's data as scripts: a file from disk may load a script, but may not fetch JSON.

Belongs here: their shape. Does not: reading the lake (gathering), drawing (site).

Each file calls `lakeData(NAME, VALUE)`. Text is ASCII, and no `<` stands in it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from lake.base.day import Day, day_range
from lake.base.errors import BadData
from lake.base.redaction import redact
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.report.facts import DatasetFacts, Facts
from lake.report.states import FROM_SNAPSHOT, SHOWN
from lake.status import DayStatus
from lake.store import Store

_COLUMNS = 100  # of a manifest's schema that are listed
_NO_DAY = " "  # neither expected nor exported


def script(name: str, value: Any) -> bytes:
    """The file."""
    text = redact(json.dumps(value, separators=(",", ":"))).replace("<", "\\u003c")
    return f"lakeData({json.dumps(name)},{text});\n".encode()


def calendar(facts: Facts) -> bytes:
    """Every day of every dataset: a letter for its state, its rows and bytes, whether it is held.

    `first` is the day of the first letter of all datasets.
    """
    days = [day for of in facts.datasets for day in (*of.status.days, *of.status.retired)]
    span = list(day_range(min(days), max(days).plus(1))) if days else []
    return script(
        "calendar",
        {
            "at": facts.at.isoformat(timespec="seconds"),
            "first": str(span[0]) if span else None,
            "states": {
                shown.letter: [state, shown.symbol, shown.meaning] for state, shown in SHOWN.items()
            },
            "datasets": [_row(dataset, span) for dataset in facts.datasets],
        },
    )


def _row(facts: DatasetFacts, span: Iterable[Day]) -> dict[str, Any]:
    retired = dict.fromkeys(facts.status.retired, SHOWN["retired"].letter)
    letters = retired | {
        day: SHOWN[status.state].letter for day, status in facts.status.days.items()
    }
    days = list(span)
    statuses = [facts.status.days.get(day) for day in days]
    return {
        "name": facts.name,
        "source": facts.status.source,
        "states": "".join(letters.get(day, _NO_DAY) for day in days),
        "held": "".join("h" if day in facts.held else _NO_DAY for day in days),
        "rows": [status.rows if status else None for status in statuses],
        "bytes": [status.bytes if status else None for status in statuses],
    }


def months(facts: DatasetFacts) -> list[str]:
    """Those of the dataset's days, `YYYY-MM`, oldest first."""
    days = (*facts.status.days, *facts.status.retired)
    return sorted({str(day)[:7] for day in days})


def month_scripts(facts: DatasetFacts, store: Store, only: str = "") -> dict[str, bytes]:
    """By month, or of one: what there is about each day. Raises what the store raises."""
    start, end = _range(only) if only else (None, None)
    manifests = read_ledger(store, facts.name, start, end)
    days: dict[str, dict[str, Any]] = defaultdict(dict)
    for day in sorted({*facts.status.days, *facts.status.retired}):
        if not only or str(day)[:7] == only:
            status = facts.status.days.get(day)
            days[str(day)[:7]][str(day)] = _day(facts, day, status, manifests)
    return {month: script(f"days/{facts.name}/{month}", of) for month, of in days.items()}


def _range(month: str) -> tuple[Day, Day]:
    start = Day.parse(f"{month}-01")
    later = start.plus(31).date
    return start, Day(later.replace(day=1))


def _day(
    facts: DatasetFacts,
    day: Day,
    status: DayStatus | None,
    manifests: Mapping[Day, Manifest | BadData],
) -> dict[str, Any]:
    state = status.state if status else "retired"
    shown, manifest = SHOWN[state], manifests.get(day)
    remedy = shown.remedy
    if state == "missing" and day in facts.lag.lost:
        remedy = FROM_SNAPSHOT
    about: dict[str, Any] = {
        "state": state,
        "meaning": shown.meaning,
        "remedy": remedy.format(dataset=facts.name, day=day, next=day.plus(1)),
        "holds": list(facts.held.get(day, ())),
    }
    if status:
        about |= {"recount": status.recount, "rollup": status.rollup}
    if isinstance(manifest, BadData):
        about["problem"] = str(manifest)
    elif manifest:
        about |= _manifest(manifest)
    return about


def _manifest(manifest: Manifest) -> dict[str, Any]:
    left_out = manifest.details.get("left_out")
    return {
        "rows": manifest.rows,
        "bytes": manifest.bytes,
        "sha256": manifest.sha256,
        "fingerprint": manifest.fingerprint,
        "source_count": manifest.source_count,
        "count_method": manifest.count_method,
        "created_at": manifest.created_at,
        "version": manifest.version,
        "key": manifest.key,
        "window": manifest.window,
        "definition": manifest.definition,
        "rules": manifest.rules,
        "left_out": sum(left_out.values()) if isinstance(left_out, dict) else 0,
        "columns": len(manifest.schema),
        "schema": [
            [str(column.get("name")), str(column.get("type"))]
            for column in manifest.schema[:_COLUMNS]
        ],
        "history": manifest.history[::-1],
    }
