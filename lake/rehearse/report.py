"""A rehearsal's report in the lake: reports/rehearsal/YYYY-MM-DD.{json,html}.

Belongs here: its keys, earlier reports. Does not: the page's content (page).
"""

from __future__ import annotations

import json
import re
from typing import Any

from lake.base.errors import BadData
from lake.rehearse.page import render
from lake.store import Store
from lake.systems.comparison import Rehearsal

PREFIX = "reports/rehearsal/"
_KEY = re.compile(re.escape(PREFIX) + r"(\d{4}-\d\d-\d\d)\.json")


def store_report(store: Store, rehearsal: Rehearsal) -> dict[str, str]:
    """Writes both objects, in the place of those of the same day; their URLs."""
    report = rehearsal.to_json()
    json_key, html_key = (f"{PREFIX}{rehearsal.day}.{kind}" for kind in ("json", "html"))
    page = render(report, _earlier(store, rehearsal.day))
    store.write(html_key, page.encode())
    store.write(json_key, (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode())
    return {"json": store.url(json_key), "html": store.url(html_key)}


def _earlier(store: Store, day: str) -> list[dict[str, Any]]:
    """Reports of days before, oldest first."""
    reports = {}
    for stat in store.list(PREFIX):
        match = _KEY.fullmatch(stat.key)
        if match and match[1] < day:
            reports[match[1]] = _parsed(store, stat.key)
    return [reports[name] for name in sorted(reports)]


def _parsed(store: Store, key: str) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(store.read(key))
        report["day"], report["snapshots"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(
            "an earlier report that can't be read",
            where=store.url(key),
            found=error,
            remedy="remove it: only the plot needs it",
        ) from error
    return report
