"""The demo's directory: what lies where, and whether it is the demo's to empty.

Belongs here: paths, the marker, lake.toml. Does not: starting or filling anything.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lake.base.causes import cause
from lake.base.day import Day, day_range
from lake.base.errors import UsageError
from lake.demo.datasets import DATABASE, demo_datasets
from lake.demo.scenario import Scenario
from lake.process.scratch import scratch_directory

BUCKET = "monitoring-lake-demo"
_MEMORY = Path("/dev/shm")  # noqa: S108  a quarter's backfill waits for the disk for a minute
_KEPT_DAYS = 3650  # the demo's servers let nothing expire


_SIGNATURE = {"monitoring_lake_demo": 1}
DEFAULT_DAYS = 92


@dataclass(frozen=True)
class DemoWindow:
    """The demo's UTC days, `days` of them from `first` on, with `scale` times the traffic, and
    whether the servers hold them.
    """

    first: Day
    days: int
    scale: int
    loaded: bool

    @property
    def scenario(self) -> Scenario:
        """What happens in it."""
        return Scenario(self.first, self.days, scale=self.scale)

    @property
    def end(self) -> Day:
        """Exclusive."""
        return self.first.plus(self.days)

    def each_day(self) -> list[Day]:
        """In order."""
        return list(day_range(self.first, self.end))


@dataclass(frozen=True)
class Place:
    """DIR and what is below it."""

    root: Path

    @property
    def marker(self) -> Path:
        """Says that the directory is the demo's, and what was loaded."""
        return self.root / "demo.json"

    @property
    def config(self) -> Path:
        """The configuration that every `lake` command takes; its root is the copy in `lake`."""
        return self.root / "lake.toml"

    @property
    def serving(self) -> Path:
        """The configuration while the servers run: its root is on their S3."""
        return self.root / "serving.toml"

    @property
    def environment(self) -> Path:
        """What a shell sources to use the running demo. Holds keys: mode 0600."""
        return self.root / "env.sh"

    @property
    def servers(self) -> Path:
        """The servers' data."""
        return self.root / "servers"

    @property
    def dagster(self) -> Path:
        """Dagster's home."""
        return self.root / "dagster"

    @property
    def history(self) -> Path:
        """Dagster's runs and events, while it does not run."""
        return self.root / "dagster-history"

    @property
    def lake(self) -> Path:
        """The lake's objects as files, once the S3 server has stopped."""
        return self.root / "lake"

    @property
    def plots(self) -> Path:
        """Plots of the trends; `trends` is for the user's own SQL."""
        return self.root / "plots"

    def prepare(self, days: int | None, scale: int | None = None, *, fresh: bool) -> DemoWindow:
        """Makes the directory ready for that many days up to yesterday, with that much traffic.

        Without `fresh` what is there is kept. Raises UsageError where the directory holds
        something that is not the demo's, or a demo of other days or traffic than requested, and
        where it can't be used.
        """
        try:
            return self._prepared(days, scale, fresh=fresh)
        except OSError as error:
            raise UsageError(
                "the directory can't be used",
                where=self.root,
                expected="a directory that can be created or written to",
                found=cause(error),
                remedy="name another one by --dir",
            ) from error

    def _prepared(self, days: int | None, scale: int | None, *, fresh: bool) -> DemoWindow:
        mark = self._mark()
        if mark is None and self.root.exists() and any(self.root.iterdir()):
            raise UsageError(
                "the directory is not the demo's",
                where=self.root,
                expected="an empty or new directory, or one of an earlier demo",
                remedy="name another one by --dir",
            )
        if mark and "days" in mark and not fresh:
            if days not in (None, mark["days"]):
                raise UsageError(
                    "the directory holds a demo of another length",
                    where=self.root,
                    expected=f"{days} days",
                    found=f"{mark['days']} days from {mark['first']} on",
                    remedy="omit --days to keep using it, or replace it with --fresh",
                )
            loaded = DemoWindow(
                Day.parse(mark["first"]), mark["days"], mark.get("scale", 1), loaded=True
            )
            if scale not in (None, loaded.scale):
                raise UsageError(
                    "the directory holds a demo of another scale",
                    where=self.root,
                    expected=f"--scale {scale}",
                    found=f"--scale {loaded.scale}",
                    remedy="omit --scale to keep using it, or replace it with --fresh",
                )
            return loaded
        self._empty()
        self.marker.write_text(json.dumps(_SIGNATURE) + "\n", "utf-8")
        length = days or DEFAULT_DAYS
        return DemoWindow(Day.today().plus(-length), length, scale or 1, loaded=False)

    def _mark(self) -> dict[str, Any] | None:
        """The marker, if this is a directory of the demo."""
        try:
            mark = json.loads(self.marker.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        ours = isinstance(mark, dict) and mark.items() >= _SIGNATURE.items()
        return mark if ours else None

    def _empty(self) -> None:
        """Removes what the demo makes, and nothing else."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (self.servers, self.dagster, self.history, self.lake, self.plots):
            if folder.exists():
                shutil.rmtree(folder)
        for file in (self.config, self.serving, self.environment):
            file.unlink(missing_ok=True)

    def mark_loaded(self, window: DemoWindow) -> None:
        """From now on `prepare` need not load it again."""
        mark = {
            **_SIGNATURE,
            "first": str(window.first),
            "days": window.days,
            "scale": window.scale,
        }
        self.marker.write_text(json.dumps(mark) + "\n", "utf-8")

    def write_serving(self, first: Day, endpoints: Mapping[str, Mapping[str, str]]) -> None:
        """The lake on S3; Dagster's partitions begin at `first`."""
        _replace(self.serving, _toml(f"s3://{BUCKET}", first, endpoints))

    def write_config(self, first: Day, endpoints: Mapping[str, Mapping[str, str]]) -> None:
        """The lake in the directory, which needs no server."""
        _replace(self.config, _toml(self.lake.name, first, endpoints))

    def end_serving(self) -> None:
        """What only a running demo can be reached by goes."""
        for file in (self.serving, self.environment):
            file.unlink(missing_ok=True)

    @contextmanager
    def history_in_memory(self) -> Iterator[Path]:
        """The history in a directory in memory, where the system has one; kept at the end."""
        with scratch_directory(parent=_MEMORY if _MEMORY.is_dir() else None) as folder:
            working = folder / "history"
            if self.history.exists():
                shutil.copytree(self.history, working)
            working.mkdir(exist_ok=True)
            try:
                yield working
            finally:
                part = self.history.with_suffix(".part")
                shutil.rmtree(part, ignore_errors=True)
                shutil.copytree(working, part)
                shutil.rmtree(self.history, ignore_errors=True)
                part.rename(self.history)

    def write_environment(self, variables: Mapping[str, str]) -> None:
        """env.sh: `export NAME='value'` lines, readable by the user alone."""
        self.environment.touch(mode=0o600)
        lines = [f"export {name}='{value}'\n" for name, value in variables.items()]
        self.environment.write_text("".join(lines), "utf-8")


def _replace(file: Path, text: str) -> None:
    part = file.with_suffix(".part")
    part.write_text(text, "utf-8")
    part.replace(file)


def _toml(root: str, first: Day, endpoints: Mapping[str, Mapping[str, str]]) -> str:
    mongo, prometheus, loki = (endpoints[name] for name in ("mongo", "prometheus", "loki"))
    sections: list[tuple[str, Mapping[str, Any]]] = [
        ("[lake]", {"root": root, "first_day": str(first)}),
        ("[s3]", {"endpoint_url": endpoints["s3"]["endpoint_url"], "region": "us-east-1"}),
        ("[sources.mongo]", {"uri": mongo["uri"], "database": DATABASE}),
        ("[sources.prometheus]", {"url": prometheus["url"]}),
        ("[sources.loki]", {"url": loki["url"]}),
        ("[snapshots.prometheus]", {"data_dir": prometheus["data_dir"]}),
        (
            "[snapshots.loki]",
            {"data_dir": loki["data_dir"], "config_file": loki["config_file"]},
        ),
        ("[hot]", dict.fromkeys(("mongo", "prometheus", "loki"), _KEPT_DAYS)),
        *(("[[dataset]]", table) for table in demo_datasets()),
    ]
    # JSON's strings and numbers are TOML's, too.
    return "\n".join(
        "\n".join([head, *(f"{k} = {json.dumps(v)}" for k, v in values.items()), ""])
        for head, values in sections
    )
