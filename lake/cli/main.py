"""The command's root: its groups, its errors and its exit status.

Belongs here: which commands there are, and how an error ends the program.
Does not: any command.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from types import TracebackType

import click

from lake import __version__
from lake.base.errors import LakeError, UsageError
from lake.base.proxies import spare_loopback
from lake.base.redaction import RedactingFormatter, redact
from lake.cli import standard_streams
from lake.cli.completing import FileType
from lake.cli.signals import prompt_interrupts

# Section of --help → name → module and attribute, in their order. Imported when called for.
_SECTIONS = {
    "Set up": {
        "demo": "lake.cli.demo:demo",
        "services": "lake.cli.services:services",
        "init": "lake.cli.init:init",
        "doctor": "lake.cli.doctor:doctor",
        "bucket": "lake.cli.bucket:bucket",
        "dagster": "lake.cli.dagster:dagster",
        "completion": "lake.cli.completion:completion",
    },
    "Export": {
        "export": "lake.cli.export:export",
        "recheck": "lake.cli.export:recheck",
        "status": "lake.cli.status:status",
        "verify": "lake.cli.verify:verify",
        "rollup": "lake.cli.rollup:rollup",
        "drop": "lake.cli.drop:drop",
    },
    "Query": {
        "query": "lake.cli.query:query",
        "shell": "lake.cli.shell:shell",
        "can": "lake.cli.can:can",
        "describe": "lake.cli.describe:describe",
        "trend": "lake.cli.trend:trend",
        "incident": "lake.cli.incident:incident",
        "catalog": "lake.cli.catalog:catalog",
        "iceberg": "lake.cli.iceberg:iceberg",
        "documents": "lake.cli.documents:documents",
    },
    "Snapshots and recovery": {
        "snapshot": "lake.cli.snapshot:snapshot",
        "snapshots": "lake.cli.snapshots:snapshots",
        "restore": "lake.cli.restore:restore",
        "replay": "lake.cli.replay:replay",
        "rehearse": "lake.cli.rehearse:rehearse",
    },
    "Retention": {
        "ttl": "lake.cli.ttl:ttl",
        "retention": "lake.cli.retention:retention",
        "hold": "lake.cli.hold:hold",
        "erase": "lake.cli.erase:erase",
    },
    "Operation": {
        "alert": "lake.cli.alert:alert",
        "metrics": "lake.cli.metrics:metrics",
        "cost": "lake.cli.cost:cost",
        "report": "lake.cli.report:report",
        "ui": "lake.cli.report:ui",
        "review": "lake.cli.review:review",
    },
}
COMPLETE = "_LAKE_COMPLETE"  # the variable with which a shell's script calls, by click's rule
_COMMANDS = {name: target for commands in _SECTIONS.values() for name, target in commands.items()}


def _command(name: str) -> click.Command:
    module, _, attribute = _COMMANDS[name].partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    return command


class _Root(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _command(cmd_name) if cmd_name in _COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A list for each section, all with one width of names."""
        width = max(map(len, _COMMANDS))
        for section, names in _SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(section):
                formatter.write_dl(
                    [
                        (name.ljust(width), command.get_short_help_str(limit=80))
                        for name, command in commands
                        if command
                    ]
                )


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_of_group",
    type=FileType(),
    metavar="FILE",
    help="Configuration file (default: $LAKE_CONFIG, else ./lake.toml).",
)
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Logs requests to standard error, except those that DuckDB sends.",
)
@click.version_option(__version__, prog_name="monitoring-lake", help="Shows the version and exits.")
def root(config_of_group: str | None, verbose: bool) -> None:  # noqa: ARG001  read by config_option
    """Archives MongoDB, Prometheus and Loki as verified Parquet on S3.

    \b
    Try it:         lake demo
    Set up:         lake init, lake doctor, lake export --day YYYY-MM-DD
    Scheduled runs: lake dagster DIRECTORY
    Check:          lake status, lake verify
    Query:          lake query "SELECT ...", lake trend
    Recover:        lake restore SYSTEM --day YYYY-MM-DD --into DIR --serve

    \b
    Exit status: 0 success; 1 failure, or a difference was found;
    2 wrong usage or configuration; 130 interrupted.
    """
    level = logging.DEBUG if verbose else logging.WARNING
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("lake").setLevel(level)


def main() -> None:
    """Runs the command and exits. An error goes to standard error, without a traceback."""
    sys.excepthook = _redacting_excepthook
    spare_loopback()
    standard_streams.prepare()
    if COMPLETE in os.environ:  # by a shell's script
        importlib.import_module("lake.cli.completion_words")
    try:
        standard_streams.refuse_unreadable_arguments()
        with prompt_interrupts():
            status = root.main(standalone_mode=False)
            sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except standard_streams.ReaderGoneError:
        sys.exit(0)
    except LakeError as error:
        click.echo(f"lake: {error}", err=True)
        if isinstance(error, UsageError) and error.shows_help and "remedy" not in error.parts:
            click.echo(f"`{_called()} --help` lists the arguments and options.", err=True)
        sys.exit(error.exit_code)
    sys.exit(status if isinstance(status, int) else 0)  # click's own, of --help and the like


def _called() -> str:
    """The command that was called: `lake export`, `lake hold add`."""
    words = iter(sys.argv[1:])
    name = next((word for word in words if word in _COMMANDS), None)
    if name is None:
        return "lake"
    command = _command(name)
    subcommands = command.commands if isinstance(command, click.Group) else {}
    return " ".join(["lake", name, *[word for word in words if word in subcommands][:1]])


def _redacting_excepthook(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """A mistake of ours needs its traceback, but not the secrets in it."""
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))
