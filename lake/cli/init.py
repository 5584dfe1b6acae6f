"""`lake init`.

Belongs here: options, the file that is written, what is printed. Does not: looking at servers
(lake.discover).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lake.base.errors import LakeError, UsageError
from lake.cli.completing import FileType
from lake.cli.hints import lake_command, quoted
from lake.cli.options import config_option, json_option
from lake.cli.writing import require_writable
from lake.process.scratch import replaced_at_once

if TYPE_CHECKING:
    from lake.discover import DiscoveredSource, LakeToml
    from lake.store.s3 import S3Store

_DEFAULT_ROOT = "lake-data"


@click.command()
@click.option("--mongo", metavar="URI", help="MongoDB server: mongodb://host:27017/database")
@click.option("--prometheus", metavar="URL", help="Prometheus server: http://host:9090[/prefix]")
@click.option("--loki", metavar="URL", help="Loki server: http://host:3100[/prefix]")
@click.option(
    "--root",
    default=_DEFAULT_ROOT,
    show_default=True,
    metavar="ROOT",
    help="Location of the lake: s3://bucket[/prefix] or a directory.",
)
@click.option("--s3-endpoint", metavar="URL", help="S3 endpoint (default: AWS).")
@click.option("--s3-region", metavar="NAME", help="Region of the S3 bucket.")
@click.option("--create-bucket", is_flag=True, help="Creates the S3 bucket if it does not exist.")
@click.option(
    "--output", type=FileType(), metavar="FILE", help="File to write (default: that of --config)."
)
@click.option("--force", is_flag=True, help="Overwrites an existing file.")
@json_option
@config_option
def init(
    mongo: str | None,
    prometheus: str | None,
    loki: str | None,
    root: str,
    s3_endpoint: str | None,
    s3_region: str | None,
    create_bucket: bool,
    output: str | None,
    force: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Inspects servers and writes a lake.toml that exports them.

    The file is commented and covers every collection, metric family and log stream found.
    Name at least one server. Secrets are never written; pass them in the environment
    (LAKE_SOURCES__MONGO__URI, LAKE_SOURCES__LOKI__BEARER_TOKEN, ...).

    \b
    Example:  lake init --prometheus http://127.0.0.1:9090 --root s3://my-bucket
    """
    from lake.config.settings import DEFAULT_FILE  # noqa: PLC0415
    from lake.discover import LakeToml, look  # noqa: PLC0415

    path = Path(output or config or os.environ.get("LAKE_CONFIG") or DEFAULT_FILE)
    require_writable(path, force=force, remedy="name another file by --output")
    s3 = _s3_keys(os.environ, root, s3_endpoint, s3_region, create_bucket=create_bucket)
    sources = look({"mongo": mongo, "prometheus": prometheus, "loki": loki}, os.environ)
    written = LakeToml(_root_seen_from(path, root), sources, s3)
    _write(path, written.render())
    if as_json:
        click.echo(json.dumps(_to_json(path, written), indent=1))
    else:
        _print_found(path, written)
    _report_variables(sources)
    _check_bucket(path, create=create_bucket)


def _root_seen_from(path: Path, root: str) -> str:
    """A directory is typed as seen from here, and read as seen from the file."""
    if "://" in root or path.parent.resolve() == Path.cwd():
        return root
    try:
        return str(Path(root).expanduser().absolute())
    except RuntimeError as error:  # as lake.toml is read
        raise UsageError(
            "--root names the home of a user that this machine does not have",
            expected="a directory; ~ is your own home, ./~name a folder of that name",
            found=root,
        ) from error


def _s3_keys(
    env: Mapping[str, str],
    root: str,
    endpoint: str | None,
    region: str | None,
    *,
    create_bucket: bool,
) -> dict[str, str]:
    """The keys of [s3]: the options', else what the environment has of them. None is secret."""
    options = {"endpoint_url": endpoint, "region": region}
    if (endpoint or region or create_bucket) and not root.startswith("s3://"):
        raise UsageError(
            "the S3 options need a root on S3",
            where="--root",
            expected="s3://bucket[/prefix]",
            found=root,
        )
    prefix = "LAKE_S3__"
    known = {k.removeprefix(prefix).lower(): v for k, v in env.items() if k.startswith(prefix)}
    return known | {key: value for key, value in options.items() if value}


def _check_bucket(path: Path, *, create: bool) -> None:
    """Reports whether the root's bucket exists; creates it on request."""
    from lake.config.settings import load  # noqa: PLC0415

    settings = load(str(path))
    if not settings.lake.root.startswith("s3://"):
        return
    from lake.store.s3 import S3Store  # noqa: PLC0415  boto3 takes 0.3 s to import

    store = S3Store(settings.lake.root, settings.s3)
    if create:
        _create_bucket(store)
        return
    try:
        exists = store.bucket_exists()
    except LakeError as error:
        click.echo(
            f"The bucket could not be inspected; `lake doctor` checks it.\n{error}", err=True
        )
        return
    if not exists:
        option = "" if path == Path("lake.toml") else f" --config {quoted(path)}"
        click.echo(
            f"Bucket {store.bucket} does not exist yet. Create it and set it up with\n"
            f"  {lake_command()} bucket apply{option}",
            err=True,
        )


def _create_bucket(store: S3Store) -> None:
    if store.bucket_exists():
        click.echo(f"Bucket {store.bucket} exists.", err=True)
    else:
        store.create_bucket()
        click.echo(f"Bucket {store.bucket} created.", err=True)


def _write(path: Path, text: str) -> None:
    """A file that could not be read back is not left there."""
    from lake.config.settings import load  # noqa: PLC0415

    with replaced_at_once(path) as part:
        part.write_text(text, "utf-8")
        load(str(part), {})


def _to_json(path: Path, written: LakeToml) -> dict[str, object]:
    return {
        "file": str(path.absolute()),
        "datasets": written.datasets(),
        "left_out": {name: table.why_not for name, table in written.tables() if table.why_not},
        "first_day": str(written.first_day()) if written.first_day() else None,
        "hot": {source.source: source.hot_days for source in written.sources},
        "variables": [variable for source in written.sources for variable in source.variables],
    }


def _print_found(path: Path, written: LakeToml) -> None:
    from lake.systems.discovered import UNLIMITED_DAYS  # noqa: PLC0415

    for source in written.sources:
        limited = source.hot_days not in (None, UNLIMITED_DAYS)
        kept = f"keeps {source.hot_days} days" if limited else source.hot_basis
        since = f", oldest data from {source.oldest}" if source.oldest else ""
        click.echo(f"{source.summary}: {kept}{since}")
    for name, table in written.tables():
        remark = f"left out, {table.why_not}" if table.why_not else "; ".join(table.seen)
        click.echo(f"  {name}: {remark}")
    click.echo(f"\nWritten: {path}. Review it, then run:")
    option = "" if path == Path("lake.toml") else f" --config {quoted(path)}"
    lake, yesterday, first = lake_command(), written.today.plus(-1), written.first_day()
    click.echo(f"  {lake} doctor{option}")
    click.echo(f"  {lake} export{option} --day {yesterday}")
    if first and first < yesterday:
        click.echo(f"  {lake} export{option} --from {first} --to {written.today}")
    click.echo(f"  {lake} status{option}")


def _report_variables(sources: list[DiscoveredSource]) -> None:
    for variable in (variable for source in sources for variable in source.variables):
        click.echo(f"Secrets are not written: set {variable} wherever lake runs.", err=True)
