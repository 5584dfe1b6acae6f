"""A lake with days in every state, and a page of it; what was done to which day is known.

Belongs here: making both. Does not: claims.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.holds import changing
from lake.report import Site, gather, write
from lake.store import Store, open_store
from support.ledger_days import ago, export, lake, recounted
from support.made_partitions import put

HOSTILE = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">'
DAYS = 40
NAMES = ("events", "requests", "lines")
_TREND = f"""-- {HOSTILE}
-- grain: a day and text
-- inputs: events
-- parameters: from_day, to_day
-- x: day
-- series: text
-- panel: rows {HOSTILE} | lines | number
SELECT day, text || '{HOSTILE}' AS text, count(*)::BIGINT AS number
FROM events_between($from_day, $to_day) GROUP BY ALL ORDER BY ALL
"""


@dataclass
class ShownLake:
    """`states` has each dataset's days with the state that was made, `held` those under a hold."""

    config: Path
    settings: Settings
    store: Store
    states: dict[tuple[str, Day], str] = field(default_factory=dict)
    held: set[tuple[str, Day]] = field(default_factory=set)

    @property
    def root(self) -> Path:
        return Path(self.settings.lake.root)

    def object(self, name: str, day: Day) -> Path:
        return self.root / f"tables/{name}/day={day}/data.parquet"

    def manifest(self, name: str, day: Day) -> Path:
        return self.root / f"manifests/{name}/{day}.json"

    def claim(self, name: str, day: Day) -> dict[str, Any]:
        """The manifest as it is stored."""
        return json.loads(self.manifest(name, day).read_text("utf-8"))

    def page(self, folder: Path, source_of: Callable[[str], Any] | None = None) -> Path:
        facts = gather(self.settings, self.store, source_of)
        write(Site(self.settings, self.store, facts, 92), folder)
        return folder / "index.html"


def empty_lake(folder: Path) -> ShownLake:
    """Without a first day no day is expected."""
    file, _, _ = lake(folder, ago(1))
    text = file.read_text("utf-8")
    file.write_text("".join(line for line in text.splitlines(True) if "first_day" not in line))
    settings = load(str(file), {})
    return ShownLake(file, settings, open_store(settings))


def shown_lake(folder: Path) -> ShownLake:
    """Every dataset has 40 days of 3 rows, but for what is done to single days here."""
    made = ShownLake(*lake(folder, ago(DAYS)))
    days = [ago(number) for number in range(1, DAYS + 1)]
    for name in NAMES:
        export(made.store, made.settings, name, days)
        made.states |= {(name, day): "verified" for day in days}

    made.manifest("events", ago(3)).unlink()
    made.states["events", ago(3)] = "missing"
    recounted(made.store, "events", ago(7), 5)
    made.states["events", ago(7)] = "differs"
    nothing = pa.table({"text": pa.array([], pa.string())})
    put(made.store, made.settings.dataset_named("events"), ago(15), nothing)
    made.states["events", ago(15)] = "empty"
    made.object("lines", ago(5)).write_bytes(b"half")
    made.states["lines", ago(5)] = "damaged"
    made.manifest("requests", ago(9)).write_text(f"{{{HOSTILE}")
    made.states["requests", ago(9)] = "damaged"

    changing.add(made.settings, made.store, ["events"], ago(12), ago(10), f"a case {HOSTILE}")
    made.held = {("events", ago(12)), ("events", ago(11))}
    (folder / "trends").mkdir()
    (folder / "trends/hostile.sql").write_text(_TREND)
    return made
