"""`lake iceberg`.

Belongs here: options and the report. Does not: Iceberg.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from lake.base.errors import UsageError
from lake.base.printable import shown
from lake.base.sizes import counted
from lake.cli.completing import DatasetType
from lake.cli.options import config_option, json_option


@click.command()
@click.argument("dataset", type=DatasetType(), nargs=-1)
@click.option(
    "--sqlite",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SQLite file with the catalog; created if missing.",
)
@click.option("--catalog", metavar="NAME", help="Catalog of PyIceberg's configuration.")
@click.option(
    "--namespace",
    metavar="NAME",
    default="monitoring",
    show_default=True,
    help="Namespace of the tables.",
)
@json_option
@config_option
def iceberg(
    dataset: tuple[str, ...],
    sqlite: Path | None,
    catalog: str | None,
    namespace: str,
    as_json: bool,
    config: str | None,
) -> None:
    """Registers the lake's Parquet files as Iceberg tables.

    Trino, Athena, Snowflake and Spark read Iceberg tables. The Parquet files are neither moved
    nor changed. Only metadata is written: with --sqlite below iceberg/ in the lake, otherwise
    where the catalog keeps it. Each run brings the tables in line with the days that were
    exported, replaced or dropped since the last one, in one commit per table. Run it after
    exports.

    Iceberg needs one type per column. It widens integers, FLOAT to DOUBLE, and DECIMALs of one
    scale; a column whose type differs otherwise between days is left out and reported. Times in
    milliseconds are reported too: in Spark, conditions such as ts >= … match no rows on them.
    docs/engines.md has views that avoid this.
    The tables are marked gc.enabled=false, so engines that respect it delete no file.

    Needs the extra `iceberg`: pip install 'monitoring-lake[iceberg]'.

    \b
    Example:  lake iceberg --sqlite lake.iceberg.db
    """
    from lake.iceberg import open_catalog, sync_table  # noqa: PLC0415
    from lake.query import connect  # noqa: PLC0415

    if (sqlite is None) == (catalog is None):
        raise UsageError("name a catalog", expected="one of --sqlite FILE and --catalog NAME")
    results = []
    with connect(config) as lake:
        names = [named.name for named in lake.settings.datasets_named(dataset)]
        opened = open_catalog(lake.settings, file=sqlite, name=catalog)
        for name in names:
            result = sync_table(lake, opened, namespace, name)
            results.append(asdict(result))
            click.echo(
                f"{result.table}: {counted(result.days, 'day')} with rows; {result.added:,} added, "
                f"{result.replaced:,} replaced, {result.removed:,} removed",
                err=as_json,
            )
            for path, types in result.left_out.items():
                click.echo(shown(f"{result.table} leaves out {path}: {types}"), err=True)
    times = [f"{r['table']} ({', '.join(r['milliseconds'])})" for r in results if r["milliseconds"]]
    if times:
        click.echo(
            "times in milliseconds: Iceberg for Java (Spark) finds no rows when they are compared "
            f"by =, > or >=: {shown(', '.join(times))}; docs/engines.md has views that avoid this",
            err=True,
        )
    if as_json:
        click.echo(json.dumps(results, ensure_ascii=False))
