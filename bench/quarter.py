"""A quarter's questions: the lake against VictoriaMetrics, Loki and MongoDB with the same data.

    .venv/bin/python bench/quarter_lake.py FOLDER [sizes], then `lake rollup` there
    .venv/bin/python bench/quarter.py FOLDER [the same sizes] [--rounds 3]
        [--s3 FOLDER] [--victoria-metrics PROGRAM] [--loki URL] [--mongo URI]

Answers are compared before anything is timed. A peer that is not named is left out. The program is
Debian's `victoria-metrics`; Loki and MongoDB are running servers that hold nothing of the kind yet.
Loading takes minutes: 155 million samples of JSON, 10 million lines. The folder of `--s3` has a
lake.toml with the same lake in a bucket.

Each ratio about samples is there twice: of wall time, and of each side's own processor time, which
depends less on what else the machine does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from measuring import machine
from quarter_data import Size
from quarter_documents import of_documents
from quarter_lake import FIRST
from quarter_lines import of_lines
from quarter_samples import of_metrics, of_stores

from lake.base.day import Day
from lake.query import connect


def main() -> None:
    """Runs what is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    for name, default in (("days", 90), ("series", 300), ("lines", 10**7), ("documents", 10**6)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--s3", metavar="FOLDER", type=Path)
    parser.add_argument("--victoria-metrics", metavar="PROGRAM")
    parser.add_argument("--loki", metavar="URL")
    parser.add_argument("--mongo", metavar="URI")
    chosen = parser.parse_args()
    first: Day = FIRST
    size = Size(first, chosen.days, chosen.series, chosen.lines, chosen.documents)
    print(machine())
    if size.series and chosen.s3:
        of_stores(chosen.folder, chosen.s3, size, chosen.rounds)
    if size.series:
        of_metrics(chosen.folder, size, chosen.victoria_metrics, chosen.rounds)
    with connect(str(chosen.folder / "lake.toml")) as lake:
        if size.lines and chosen.loki:
            of_lines(lake, chosen.loki, size, chosen.rounds)
        if size.documents and chosen.mongo:
            of_documents(lake, chosen.mongo, size, chosen.rounds)


if __name__ == "__main__":
    main()
