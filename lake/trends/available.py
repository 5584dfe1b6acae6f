"""The trends that there are: those of the package and the user's own files.

Belongs here: finding files, names. Does not: headers (files), what fits a lake (fitting).
"""

from __future__ import annotations

from pathlib import Path

from lake.base.errors import ConfigError, UsageError
from lake.base.resources import resource_path
from lake.config.settings import Settings
from lake.trends.files import Trend, read_trend


def all_trends(settings: Settings | None = None) -> list[Trend]:
    """In the order of their names; with settings the user's own, too.

    Raises BadData for a wrong header, ConfigError for a file with the name of a built-in trend.
    """
    return [read_trend(path) for _, path in sorted(_files(settings).items())]


def trend_named(name: str, settings: Settings | None = None) -> Trend:
    """Raises UsageError naming the valid ones, BadData for a wrong header of this one, ConfigError
    as all_trends.
    """
    files = _files(settings)
    if name not in files:
        raise UsageError(
            f"no trend {name!r}",
            expected="one of " + ", ".join(sorted(files)),
            remedy="`lake trend` lists them with descriptions",
        )
    return read_trend(files[name])


def _files(settings: Settings | None) -> dict[str, Path]:
    own = _in(resource_path("sql/trends"))
    users = _in(Path(settings.lake.trends)) if settings else {}
    for name in sorted(own.keys() & users.keys()):
        raise ConfigError(
            f"a trend {name!r} is built in",
            where=users[name],
            expected="a name that no built-in trend has",
            remedy="rename the file",
        )
    return {**own, **users}


def _in(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in folder.glob("*.sql") if path.is_file()}
