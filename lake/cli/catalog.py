"""`lake catalog`.

Belongs here: its options, and what is printed. Does not: the files (lake.catalog, lake.spark).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lake.cli.options import config_option, json_option

if TYPE_CHECKING:
    from lake.query import Lake


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--spark", is_flag=True, help="Writes a JSON description for Spark instead.")
@json_option
@config_option
def catalog(file: Path, spark: bool, as_json: bool, config: str | None) -> None:
    """Writes a DuckDB file with views of the lake's tables.

    The file is for other clients of DuckDB: duckdb itself, DBeaver, Metabase. It holds no data
    and no credentials. It covers the days that are in the lake now; write it again after an
    export. Its view lake_catalog has its age, the macro lake_catalog_missing() the days
    that it lacks, or that were written again since.
    Tables and columns have comments: source, unit, time zone, rules.

    With --spark the file is JSON for deploy/spark/lake_tables.py, which makes the same tables
    in a Spark session.

    \b
    Example:  lake catalog lake.duckdb
    """
    from lake.catalog import opening_script, opening_statements, write_catalog  # noqa: PLC0415
    from lake.query import connect  # noqa: PLC0415

    with connect(config) as lake:
        if spark:
            _write_for_spark(lake, file, as_json=as_json)
            return
        write_catalog(lake, file)
    if as_json:
        tables = [dataset.name for dataset in lake.settings.dataset]
        opened = opening_statements(lake.settings, file)
        catalog_file = {"file": str(file), "tables": tables, "open": opened}
        click.echo(json.dumps(catalog_file, ensure_ascii=False))
    else:
        click.echo(opening_script(lake.settings, file))


def _write_for_spark(lake: Lake, file: Path, *, as_json: bool) -> None:
    from lake.spark import write_description  # noqa: PLC0415

    described = write_description(lake, file)
    tables = [table["name"] for table in described["tables"]]
    views = [view for table in described["tables"] for view in (table["name"], *table["variants"])]
    opened = ["from lake_tables import open_lake", f"open_lake(spark, {str(file)!r})"]
    if as_json:
        shown = {"file": str(file), "tables": tables, "views": views, "open": opened}
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    listed = ", ".join(views) or "no table"
    click.echo(f"# {file} has {listed}. With deploy/spark/lake_tables.py, in PySpark:")
    click.echo("\n".join(opened))
