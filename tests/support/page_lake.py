"""A lake in a bucket that README's commands make, on which the other pages' commands run.

Belongs here: servers, the lake.toml, what stands for a page's names, running its steps. Does not:
what is expected of a page (tests/docs/test_pages.py), a shell (page_shell).
"""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pymongo

from lake.base.cache import cache_dir
from lake.demo.datasets import DATABASE
from lake.servers import start
from lake.servers.s3 import REGION
from support.documented import ROOT, CodeBlock, blocks
from support.loaded_site import Site
from support.page_shell import Done, PageShell, environment, lines_of, why_not_run
from support.receivers import Mailbox, Receiver, http_receiver, smtp_receiver

BUCKET = "miyou-monitoring-archive"
PASSWORD = "of the tests"
# What the suite's S3 server does not implement (docs/deploy.md, "Other servers").
_SKIP = 'skip = ["public_access", "policy"]'
Statuses = Mapping[str, int | Sequence[int]]


@dataclass
class Pages:
    """A bucket, three servers, receivers of alerts; the lake.toml that README made."""

    site: Site
    folder: Path
    env: dict[str, str]
    s3_options: str
    receiver: Receiver
    mailbox: Mailbox
    config: str = ""
    readme: list[Done] = field(default_factory=list)
    bucket: list[Done] = field(default_factory=list)

    def shell(self, name: str, names: Mapping[str, str] | None = None) -> PageShell:
        """For one page: a directory with lake.toml; `names` go before those of all pages."""
        directory = self.folder / name
        directory.mkdir(parents=True)
        if self.config:
            (directory / "lake.toml").write_text(self.config)
        return PageShell(directory, dict(self.env), {**(names or {}), **self._names()})

    def _names(self) -> dict[str, str]:
        site, endpoints = self.site, self.site.endpoints
        first, last, end = map(str, (site.first, site.last, site.end))
        return {
            "mongodb://127.0.0.1:27017/miyou": f"{endpoints['mongo']['uri']}/{DATABASE}",
            "http://127.0.0.1:9090": endpoints["prometheus"]["url"],
            "http://127.0.0.1:3100": endpoints["loki"]["url"],
            f"--root s3://{BUCKET}": f"--root s3://{BUCKET}{self.s3_options} --create-bucket",
            "2026Q3": f"{site.last.date.year}Q{(site.last.date.month - 1) // 3 + 1}",
            "--from 2026-08-28 --to 2026-11-27": f"--from {last} --to {end}",
            "--from 2026-07-01 --to 2026-08-01": f"--from {first} --to {last}",
            "--from 2026-07-01 --to 2026-10-01": f"--from {first} --to {end}",
            "--from 2026-10-01 --to 2026-11-01": f"--from {first} --to {end}",
            "2026-11-28": end,
            "2026-11-27": last,
            "2026-09-30": last,
            "2026-07-06": last,
            "YYYY-MM-DD": last,
            "DATASET --day D": f"usage_analytics --day {last}",
        }

    def run_readme(self) -> None:
        shell = self.shell("readme")
        file = shell.directory / "lake.toml"

        def review() -> None:
            """As `lake init` says: the servers' directories."""
            places = self.site.endpoints
            keys = {"prometheus": ["data_dir"], "loki": ["data_dir", "config_file"]}
            with file.open("a") as text:
                for system, names in keys.items():
                    values = (f"{name} = {json.dumps(places[system][name])}\n" for name in names)
                    text.write(f"[snapshots.{system}]\n{''.join(values)}")
            # As `lake init` writes it of servers that keep as much as most do.
            text, kept = file.read_text(), {"mongo": 90, "prometheus": 15, "loki": 30}
            for system, days in kept.items():
                text = re.sub(rf"^{system} = \d+ ", f"{system} = {days} ", text, flags=re.MULTILINE)
            file.write_text(text)
            self.config = text

        def enable() -> None:
            file.write_text(f"{self.config}\n[ttl]\nenabled = true\ndays = 90\n")

        shell.env["LAKE_ALERTS__WEBHOOK_URL"] = self.receiver.url
        before = {"lake doctor": review, "lake ttl plan": enable}
        steps = [block for block in blocks(ROOT / "README.md") if block.language != "toml"]
        self.readme = run_all(shell, steps, before)
        # What the page has in words; other pages need it.
        for line in ("lake export", "lake snapshot mongo", "lake snapshot loki", "lake status"):
            self.readme.append(shell.run(line))

    def set_up_bucket(self) -> None:
        """As docs/deploy.md has it; the other pages' lake.toml then has `skip` in [bucket]."""
        self.config = with_skip(self.config)
        shell = self.shell("bucket", {"bucket apply": "bucket apply --yes"})
        self.bucket = run_all(shell, of_section("docs/deploy.md", "The bucket"))


def with_skip(config: str) -> str:
    """The lake.toml of `lake init`, with `skip` in its [bucket]."""
    assert config.count("\n# skip = []\n") == 1
    return config.replace("# skip = []", _SKIP)


def of_section(page: str, *sections: str) -> list[CodeBlock]:
    return [block for block in blocks(ROOT / page) if block.section in sections]


@contextmanager
def opened_pages(site: Site, folder: Path) -> Iterator[Pages]:
    """README's commands have run, and the bucket is set up."""
    (folder / "home").mkdir()
    with ExitStack() as running:
        s3 = running.enter_context(start(["s3"])).endpoints["s3"]
        receiver = running.enter_context(http_receiver())
        mailbox = running.enter_context(smtp_receiver(login=("lake", PASSWORD)))
        env = environment(
            folder / "home",
            {
                "AWS_ACCESS_KEY_ID": s3["access_key"],
                "AWS_SECRET_ACCESS_KEY": s3["secret_key"],
                "AWS_EC2_METADATA_DISABLED": "true",
                "LAKE_CACHE_DIR": str(cache_dir()),
                "BROWSER": "true",  # of `lake ui --open`
            },
        )
        options = f" --s3-endpoint {s3['endpoint_url']} --s3-region {REGION}"
        opened = Pages(site, folder, env, options, receiver, mailbox)
        opened.run_readme()
        opened.set_up_bucket()
        yield opened
        _without_limits(site.endpoints["mongo"]["uri"])


def _without_limits(uri: str) -> None:
    """The site's servers are other tests' as well."""
    with pymongo.MongoClient(uri) as client:
        database = client[DATABASE]
        for collection in map(database.get_collection, database.list_collection_names()):
            for name, index in collection.index_information().items():
                if "expireAfterSeconds" in index:
                    collection.drop_index(name)
                    collection.create_index(index["key"], name=name)


def run_all(
    shell: PageShell,
    steps: Sequence[CodeBlock],
    before: Mapping[str, Callable[[], None]] | None = None,
) -> list[Done]:
    """The steps' commands that can be run; settings are added to lake.toml. `before` is what a
    person does before a command.
    """
    done = []
    for step in steps:
        if step.language == "toml":
            with (shell.directory / "lake.toml").open("a") as file:
                file.write("\n" + shell.named(textwrap.dedent(step.text)))
        elif step.language in ("sh", "crontab"):
            for line in lines_of(step):
                (before or {}).get(line, lambda: None)()
                if why_not_run(line) is None:
                    done.append(shell.run(line))
    return done


def wrong(done: Sequence[Done], statuses: Statuses | None = None) -> list[str]:
    """Those that ended with another status than 0, or than `statuses` has for the beginning of
    the command: one, or one after the other.
    """
    seen: Counter[str] = Counter()
    others = []
    for command in done:
        begins = next((b for b in statuses or {} if f"{command.line} ".startswith(f"{b} ")), "")
        expected = (statuses or {}).get(begins, 0)
        if not isinstance(expected, int):
            expected = expected[min(seen[begins], len(expected) - 1)]
        seen[begins] += 1
        if command.status != expected:
            others.append(f"{command}, not {expected}")
    print(*others, sep="\n\n")
    return others
