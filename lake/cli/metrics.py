"""`lake metrics`.

Belongs here: options, where the text goes. Does not: the metrics.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from lake.base.errors import UsageError
from lake.cli.completing import FileType
from lake.cli.options import config_option
from lake.cli.writing import write_file

_MODE = 0o644  # node_exporter runs as another user


@click.command()
@click.option(
    "--output",
    "output",
    type=FileType(),
    metavar="FILE",
    help="Writes FILE atomically, for node_exporter's textfile collector (default: standard "
    "output).",
)
@click.option(
    "--storage", is_flag=True, help="Prints stored bytes and their cost instead (see lake cost)."
)
@click.option("--sources", is_flag=True, help="Also re-counts late days at the sources.")
@config_option
def metrics(output: str | None, storage: bool, sources: bool, config: str | None) -> None:
    """Prints the state of the lake in the OpenMetrics format.

    \b
    For each dataset:
      days by state, the lag, the time at which the source deletes the first
      unproven row;
      the newest proven day with its rows and bytes, the last successful export;
      rollups by state; the expiry guard: last run, limit, whether it is held.
    For each system: the newest snapshot's age, the days that it holds in full,
      the last rehearsal.
    When retention last ran.

    With --storage instead: bytes and objects of every version by kind and storage class, growth,
    costs.

    Cost: lists all manifests; reads the new ones, each system's newest snapshot manifest and
    the last report of a rehearsal. No request to a source without --sources. --storage lists every
    version below the root; once a day is enough.

    deploy/prometheus/rules/monitoring-lake.yml has alert rules for these metrics.

    \b
    Example:  lake metrics --output /var/lib/node_exporter/textfile/lake.prom
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.export import Exporter  # noqa: PLC0415
    from lake.metrics import families, rendered, storage_families  # noqa: PLC0415
    from lake.query.cached_store import cached_store  # noqa: PLC0415

    if storage and sources:
        raise UsageError("--storage and --sources exclude each other")
    settings = load(config)
    with closing(Exporter(settings)) as exporter:
        if storage:
            metric_families, left_out = storage_families(settings, exporter.store)
            if left_out:
                click.echo(f"note: {left_out}", err=True)
        else:
            source_of = exporter.source if sources else None
            store = cached_store(settings, exporter.store)
            metric_families = families(settings, store, source_of)
    text = rendered(metric_families)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_file(Path(output), text, _MODE)
