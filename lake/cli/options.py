"""Options that several commands share.

Belongs here: decorators, and types of click for days. Does not: commands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from lake.base.day import Day, day_range, require_range
from lake.base.errors import UsageError
from lake.cli.completing import FileType, complete_days

Command = TypeVar("Command", bound=Callable[..., Any])


class DayType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A UTC day on the command line."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Day:
        """Fails as click does: with the option's name."""
        if isinstance(value, Day):
            return value
        try:
            return Day.parse(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The days in the lake, as far as this machine's cache has them."""
        return complete_days(ctx, param, incomplete)


def _config_of_group(ctx: click.Context, _: click.Parameter, value: str | None) -> str | None:
    """`lake --config X status` and `lake status --config X` mean the same."""
    root = ctx.find_root().params.get("config_of_group")
    return value or root


def config_option(command: Command) -> Command:
    """`--config FILE`, passed as `config`."""
    return click.option(
        "--config",
        type=FileType(),
        metavar="FILE",
        callback=_config_of_group,
        help="Configuration file (default: $LAKE_CONFIG, else ./lake.toml).",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`, passed as `as_json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Prints JSON to standard output, and nothing else."
    )(command)


def days_options(command: Command) -> Command:
    """`--day D` or `--from D --to D` (exclusive), passed as `day`, `start` and `end`."""
    for option in (
        click.option("--to", "end", type=DayType(), help="End day (UTC, exclusive)."),
        click.option("--from", "start", type=DayType(), help="Start day (UTC)."),
        click.option("--day", type=DayType(), help="A single UTC day."),
    ):
        command = option(command)
    return command


def chosen_days(day: Day | None, start: Day | None, end: Day | None) -> list[Day] | None:
    """The days that the options name, None where none is given. Raises UsageError."""
    if day and (start or end):
        raise UsageError("--day and --from/--to exclude each other")
    if day:
        return [day]
    if not start and not end:
        return None
    if not (start and end):
        raise UsageError("--from and --to belong together", expected="both, --to exclusive")
    require_range(start, end)
    return list(day_range(start, end))


def require_days(days: list[Day] | None) -> list[Day]:
    """The chosen days. Raises UsageError where none is."""
    if days is None:
        raise UsageError("no days are named", expected="--day D, or --from D --to D")
    return days
