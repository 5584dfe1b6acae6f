"""The files of the page by path, and writing them.

Belongs here: which files there are, writing them into a directory. Does not: their content, HTTP.

    index.html                      facts, tables
    site/*.js                       scripts
    data/calendar.js                every day's state
    data/days/DATASET/YYYY-MM.js    manifests of a month, loaded by a click
    data/trends.js, data/trends/N.js
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from lake.base.causes import cause
from lake.base.errors import UsageError
from lake.config.settings import Settings
from lake.process.scratch import replaced_at_once
from lake.report.data import calendar, month_scripts, months
from lake.report.facts import Facts
from lake.report.page import render
from lake.report.trends import TrendFiles
from lake.store import Store

SCRIPTS = ("uplot/uPlot.iife.min.js", "page.js", "calendar.js", "day.js", "charts.js")
LICENCE = "uplot/LICENSE"
INDEX = "index.html"
_MODE = 0o644  # a web server runs as another user
_MONTH = re.compile(r"data/days/([a-z][a-z0-9_]*)/(\d{4}-\d\d)\.js")
_TREND = re.compile(r"data/trends/(\d{1,4})\.js")


class Site:
    """One state of the lake as files, for several threads at a time.

    `days` is the number of closed days that the trends cover. Trends of the state `before` are
    kept where nothing that they read has changed since.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        facts: Facts,
        days: int,
        before: Site | None = None,
    ) -> None:
        self._store = store
        self._days = days
        self.facts = facts
        self._trends = TrendFiles(settings, facts, days)
        if before and before._trends == self._trends:
            self._trends = before._trends

    def content(self, path: str) -> bytes | None:
        """A file's content, None where there is no such file. Raises what the store raises."""
        if path == INDEX:
            return render(self.facts, self._days).encode()
        if path.startswith("site/"):
            return asset(path.removeprefix("site/"))
        if path == "data/calendar.js":
            return calendar(self.facts)
        if path == "data/trends.js":
            return self._trends.listed()
        if match := _MONTH.fullmatch(path):
            return self._month(match[1], match[2])
        if match := _TREND.fullmatch(path):
            return self._trends.plotted(int(match[1]))
        return None

    def all(self) -> Iterator[tuple[str, bytes]]:
        """Every file, the page last: what it needs is there before."""
        for name in (*SCRIPTS, LICENCE):
            yield f"site/{name}", asset(name) or b""
        yield "data/calendar.js", calendar(self.facts)
        for dataset in self.facts.datasets:
            for month, content in month_scripts(dataset, self._store).items():
                yield f"data/days/{dataset.name}/{month}.js", content
        number = 0
        while (plotted := self._trends.plotted(number)) is not None:
            yield f"data/trends/{number}.js", plotted
            number += 1
        yield "data/trends.js", self._trends.listed()
        yield INDEX, render(self.facts, self._days).encode()

    def _month(self, name: str, month: str) -> bytes | None:
        for dataset in self.facts.datasets:
            if dataset.name == name and month in months(dataset):
                return month_scripts(dataset, self._store, month).get(month)
        return None


def asset(name: str) -> bytes | None:
    """A file of the package's own, None where there is none."""
    if name not in (*SCRIPTS, LICENCE):
        return None
    return resources.files("lake.report").joinpath("site", *name.split("/")).read_bytes()


def write(site: Site, folder: Path) -> int:
    """Writes the files, removes those of an earlier page that are no more, returns their number.

    Raises UsageError where the directory can't be written or has a page of something else, and what
    the store raises.
    """
    try:
        _refuse_other_pages(folder / INDEX)
        written = set()
        for path, content in site.all():
            _replace(folder / path, content)
            written.add(folder / path)
        for old in [*folder.glob("data/days/*/*.js"), *folder.glob("data/trends/*.js")]:
            if old not in written:
                old.unlink()
    except OSError as error:
        raise UsageError(
            "the page can't be written",
            where=folder.absolute(),
            expected="a directory that this user may write",
            found=cause(error),
            remedy="name another directory",
        ) from error
    return len(written)


def _refuse_other_pages(index: Path) -> None:
    """Somebody's page is not to be replaced."""
    marks = (b"monitoring-lake", b"site/page.js")
    if index.exists() and not all(mark in index.read_bytes() for mark in marks):
        raise UsageError(
            "the directory has a page of something else",
            where=index.absolute(),
            expected="a new or empty directory, or one that `lake report --html` wrote",
            found=f"an {index.name} that it did not write",
            remedy="name another directory",
        )


def _replace(file: Path, content: bytes) -> None:
    """In one step: a browser may be reading."""
    with replaced_at_once(file) as part:
        part.write_bytes(content)
        part.chmod(_MODE)
