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
from tempfile import TemporaryDirectory
from typing import Any

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.demo.datasets import DATABASE, demo_datasets

BUCKET = "monitoring-lake-demo"
_MEMORY = Path("/dev/shm")  # noqa: S108  a quarter's backfill waits for the disk for a minute
_KEPT_DAYS = 3650  # the demo's servers let nothing expire


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
        """The configuration that every `lake` command takes."""
        return self.root / "lake.toml"

    @property
    def environment(self) -> Path:
        """What a shell sources to speak to the running demo. Holds keys: mode 0600."""
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
    def trends(self) -> Path:
        """Plots."""
        return self.root / "trends"

    def holds(self, first: Day, days: int) -> bool:
        """Whether that window was loaded whole before."""
        return bool(self._loaded() == _window(first, days))

    def _loaded(self) -> Any:
        return json.loads(self.marker.read_text("utf-8")) if self.marker.exists() else None

    def prepare(self, first: Day, days: int, *, fresh: bool) -> bool:
        """Makes the directory ready; True where the window is loaded already.

        Raises UsageError where the directory holds something that is not the demo's.
        """
        if self.root.exists() and any(self.root.iterdir()) and not self.marker.exists():
            raise UsageError(
                "the directory is not the demo's",
                where=self.root,
                expected="an empty or new directory, or one of an earlier demo",
                remedy="name another one by --dir",
            )
        if self.holds(first, days) and not fresh:
            return True
        if self.root.exists():
            shutil.rmtree(self.root)
        self.root.mkdir(parents=True)
        self.marker.write_text("{}\n", "utf-8")
        return False

    def mark_loaded(self, first: Day, days: int) -> None:
        """From now on `prepare` need not load it again."""
        self.marker.write_text(json.dumps(_window(first, days)) + "\n", "utf-8")

    def write_config(
        self, root: str, first: Day, endpoints: Mapping[str, Mapping[str, str]]
    ) -> None:
        """lake.toml with that `[lake] root`; Dagster's partitions begin at `first`."""
        part = self.config.with_suffix(".part")
        part.write_text(_toml(root, first, endpoints), "utf-8")
        part.replace(self.config)

    @contextmanager
    def history_in_memory(self) -> Iterator[Path]:
        """The history in a directory in memory, where the system has one; kept at the end."""
        with TemporaryDirectory(prefix="lake-", dir=_MEMORY if _MEMORY.is_dir() else None) as name:
            working = Path(name) / "history"
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


def _window(first: Day, days: int) -> dict[str, Any]:
    return {"first": str(first), "days": days}


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
