"""Writes the dashboards of deploy/grafana/dashboards again.

    .venv/bin/python scripts/dashboards [DIRECTORY]

Belongs here: which dashboards there are, their files. Does not: panels (coverage, capacity,
service), what they have in common (parts).
"""

from __future__ import annotations

import sys
from pathlib import Path

import capacity
import coverage
import service
from grafana_foundation_sdk.cog.encoder import JSONEncoder

INTO = Path(__file__).parents[2] / "deploy/grafana/dashboards"
DASHBOARDS = {
    "lake-coverage.json": coverage.dashboard,
    "lake-capacity.json": capacity.dashboard,
    "service-quarter.json": service.dashboard,
}


def main(into: Path) -> None:
    """One file each."""
    into.mkdir(parents=True, exist_ok=True)
    for name, dashboard in DASHBOARDS.items():
        built = dashboard().build()
        for number, panel in enumerate(built.panels, 1):
            panel.id_val = number
        text = JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(built)
        (into / name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else INTO)
