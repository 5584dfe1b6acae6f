"""What a shell completes after `lake`: datasets, trends, days and files.

Belongs here: types of click that offer them, from this machine alone. Does not: the scripts of the
shells (completion), how they take words (completion_words), completion in `lake shell`
(shell_words).

Nothing is requested over the network: days of a lake on S3 are those of the manifests that the last
query left in the cache. What can't be read offers nothing, for a shell has no place for errors.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from lake.base.errors import LakeError

if TYPE_CHECKING:
    from lake.base.day import Day
    from lake.config.settings import Settings

_MOST = 400  # days that are offered


class DatasetType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """The name of a dataset; the command itself checks it."""

    name = "text"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The datasets of the configuration."""
        del param
        return _items(ctx, incomplete, lambda settings: [d.name for d in settings.dataset])


class TrendType(click.ParamType):  # type: ignore[type-arg]
    """The name of a trend."""

    name = "text"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The trends of the package and of the configuration."""
        del param
        return _items(ctx, incomplete, _trends)


class FileType(click.ParamType):  # type: ignore[type-arg]
    """A file's name, as text: the command itself opens it."""

    name = "text"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The shell's own completion of files."""
        del ctx, param
        return [CompletionItem(incomplete, type="file")]


def complete_days(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The days in the lake, newest first; of `--to`, which is exclusive, those after them."""
    after = 1 if param.name == "end" else 0

    def days(settings: Settings) -> Iterable[str]:
        held = sorted(_days(settings, _named(ctx)), reverse=True)[:_MOST]
        return [str(day.plus(after)) for day in held]

    return _items(ctx, incomplete, days)


def _items(
    ctx: click.Context, incomplete: str, words: Callable[[Settings], Iterable[str]]
) -> list[CompletionItem]:
    from lake.config.settings import load  # noqa: PLC0415

    config = ctx.params.get("config") or ctx.find_root().params.get("config_of_group")
    with suppress(LakeError, OSError, RuntimeError):  # no home directory
        if config and not Path(config).exists():  # as typed: ~/lake.toml, $DIR/lake.toml
            config = os.path.expandvars(Path(config).expanduser())
        offered = words(load(config))
        return [CompletionItem(word) for word in offered if _fits(word, incomplete)]
    return []


def _fits(word: str, incomplete: str) -> bool:
    """Not what a line can't hold as typed, nor what a command takes for an option."""
    return word.startswith(incomplete) and word.isprintable() and not word.startswith("-")


def _trends(settings: Settings) -> Iterator[str]:
    from lake.trends import all_trends  # noqa: PLC0415

    yield from (trend.name for trend in all_trends(settings))


def _named(ctx: click.Context) -> list[str]:
    """What the line has as arguments; an option without its value keeps click from parsing them."""
    value: Any = ctx.params.get("dataset") or ctx.params.get("datasets") or ctx.args
    return [value] if isinstance(value, str) else list(value)


def _days(settings: Settings, datasets: list[str]) -> set[Day]:
    from lake.partition.layout import manifest_prefix, partition_of_manifest  # noqa: PLC0415
    from lake.query.manifests import known_names  # noqa: PLC0415

    days = set()
    names = [dataset.name for dataset in settings.dataset]
    for name in [name for name in datasets if name in names] or names:
        prefix = manifest_prefix(name)
        partitions = (partition_of_manifest(prefix + n) for n in known_names(settings, prefix))
        days |= {partition[1] for partition in partitions if partition}
    return days
