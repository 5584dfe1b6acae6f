"""`lake review`.

Belongs here: options, the text on a terminal. Does not: what a review has.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lake.base.sizes import counted, size
from lake.cli.completing import FileType
from lake.cli.options import config_option, json_option
from lake.cli.writing import write_file

if TYPE_CHECKING:
    from lake.review import Review


@click.command()
@click.option(
    "--html", "html", type=FileType(), metavar="FILE", help="Also writes the page to FILE."
)
@click.option(
    "--why",
    default="periodic review",
    show_default=True,
    metavar="TEXT",
    help="Reason in the audit log.",
)
@click.option("--preview", is_flag=True, help="Records nothing: the next review begins as before.")
@click.option("--sources", is_flag=True, help="Also re-counts late days at the sources.")
@json_option
@config_option
def review(
    html: str | None,
    why: str,
    preview: bool,
    sources: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Writes the retention and legal review.

    \b
    What is kept of each dataset, for how long and under which hold;
    the proof of coverage: days by state, gaps, the last verification;
    deletions, erasures, holds and changes of TTL since the last review;
    snapshots, rehearsals, the chain of the audit log; open points.

    Stores the page below reports/review/ and appends an entry to the audit log; the next review
    starts from that entry.

    Cost: reads every manifest and every entry of the audit log. No request to a source without
    --sources.

    Exit status: 1 if there are open points.

    \b
    Example:  lake review --html review.html
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.export import Exporter  # noqa: PLC0415
    from lake.review import gather, record, render  # noqa: PLC0415

    settings = load(config)
    with closing(Exporter(settings)) as exporter:
        gathered = gather(settings, exporter.store, exporter.source if sources else None)
        page = render(gathered)
        if html:  # before it is recorded: a review that nobody can read is none
            write_file(Path(html), page)
        entry = None if preview else record(exporter.store, gathered, page, why)
    if html:
        click.echo(f"wrote {html}", err=True)
    if as_json:
        recorded = entry and {"entry": entry.sequence, **entry.details}
        click.echo(json.dumps({**gathered.to_json(), "recorded": recorded}, indent=1))
    else:
        for line in _lines(gathered):
            click.echo(line)
        if entry:
            click.echo(f"recorded as entry {entry.sequence}: {entry.details['page']}")
    if gathered.open_points():
        sys.exit(1)


def _lines(gathered: Review) -> Iterator[str]:
    since = gathered.since.at[:16].replace("T", " ") + " UTC" if gathered.since else "the beginning"
    yield f"{gathered.root}, since {since}"
    for dataset in gathered.datasets:
        days = f"{dataset.first} … {dataset.last}" if dataset.first else "no days"
        holds = f", held by {', '.join(dataset.holds)}" if dataset.holds else ""
        yield (
            f"  {dataset.dataset}: {days}, {counted(dataset.rows, 'row')}, "
            f"{size(dataset.bytes)}, kept {dataset.kept}{holds}"
        )
    for system in gathered.systems:
        yield f"  snapshots of {system.system}: {system.snapshots}, kept {system.kept}"
    chain = "unbroken" if not gathered.chain.problems else "broken"
    yield f"  {len(gathered.changes)} changes; audit log of {gathered.chain.entries}, {chain}"
    points = gathered.open_points()
    yield f"{len(points)} open {'point' if len(points) == 1 else 'points'}"
    for point in points:
        yield f"  - {point}"
