"""Each command of the pages is run, in the page's order, on real servers with two days of the demo.

Those of the tutorial, the runbook, the two pages of questions and docs/new-system.md have tests of
their own, as have statements in SQL (test_blocks). What no test machine can run is on a list with
reasons (support.page_shell.NOT_RUN), and is parsed. A new block is run, or fails here.

The lake is in a bucket: README's `lake init` makes it, and the other pages work on it. Settings on
a page are added to its lake.toml where they stand.
"""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pymongo
import pytest
import yaml
from support.documented import PAGES, ROOT, CodeBlock, blocks, with_steps
from support.loaded_site import Site
from support.page_shell import (
    NOT_RUN,
    Done,
    PageShell,
    environment,
    is_shell,
    lines_of,
    unwrapped,
    why_not_run,
)
from support.receivers import Mailbox, Receiver, http_receiver, smtp_receiver

from lake.base.cache import cache_dir
from lake.demo.datasets import DATABASE
from lake.servers import find, start
from lake.servers.ports import free_ports
from lake.servers.s3 import REGION

pytestmark = pytest.mark.slow
COMMANDS = ("sh", "crontab", "js")
# Pages that a test of their own runs as a whole.
OWN = {
    "docs/tutorial.md": "docs/test_blocks.py",
    "docs/quarter.md": "docs/test_quarter.py",
    "docs/questions.md": "docs/test_questions.py",
    "docs/runbook-restore.md": "docs/test_runbook.py",
    "docs/new-system.md": "systems/test_new_system.py",
}
RUN = {
    "CONTRIBUTING.md",
    "README.md",
    "deploy/grafana/README.md",
    "deploy/loki/README.md",
    "deploy/terraform/README.md",
    "docs/deploy.md",
    "docs/engines.md",
    "docs/operations.md",
    "docs/privacy.md",
}
# Of other languages: what runs or reads them.
OTHERS = {
    "sql": "docs/test_blocks.py, docs/test_quarter.py, docs/test_questions.py",
    "toml": "docs/test_blocks.py",
    "python": "iceberg/test_iceberg.py, spark/, systems/test_new_system.py; reference.md here",
    "yaml": "test_prometheus_writes_to_mimir",
    "ini": "test_a_drop_in_of_systemd",
}
BUCKET = "miyou-monitoring-archive"
PASSWORD = "of the tests"
# What the suite's S3 server does not implement (docs/deploy.md, "Other servers").
OTHER_SERVER = """
[bucket]
tables_class = "STANDARD"
snapshots_class = "STANDARD"
skip = ["public_access", "policy"]
"""
Statuses = Mapping[str, int | Sequence[int]]
ALL = sorted(
    {
        (block.page, line)
        for page in PAGES
        for block in blocks(page)
        if block.language == "sh"
        for line in lines_of(block)
    }
)
LINES = [(page, line) for page, line in ALL if why_not_run(line)]


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
        """As docs/deploy.md has it; the other pages' lake.toml then has [bucket]."""
        self.config += OTHER_SERVER
        shell = self.shell("bucket", {"bucket apply": "bucket apply --yes"})
        self.bucket = run_all(shell, of_section("docs/deploy.md", "The bucket"))


def of_section(page: str, *sections: str) -> list[CodeBlock]:
    return [block for block in blocks(ROOT / page) if block.section in sections]


@pytest.fixture(scope="module")
def pages(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("pages")
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


def test_readme(pages: Pages) -> None:
    """At first one of two days is exported: `lake status` and the review have an open point."""
    assert wrong(pages.readme, {"lake status": (1, 0), "lake review": 1}) == []
    directory = pages.folder / "readme"
    made = {"incident.html", "lake.duckdb", "lake.json", "lake.db", "usage.parquet"}
    assert made <= {path.name for path in directory.iterdir()}
    assert len(duckdb.sql(f"FROM '{directory}/usage.parquet'").fetchall()) > 100
    assert len(pages.receiver.texts) == 1


def test_the_bucket(pages: Pages) -> None:
    """It is set up, and then as it is wanted."""
    assert wrong(pages.bucket, {"lake bucket plan": (1, 0)}) == []
    for role in ("admin", "writer", "reader", "restorer", "retention"):
        assert json.loads((pages.folder / f"bucket/{role}.json").read_text())["Statement"]


def test_operations(pages: Pages) -> None:
    smtp = f'host = "127.0.0.1"\nport = {pages.mailbox.port}\nstarttls = false'
    shell = pages.shell(
        "operations",
        {
            "lake ui --open": f"lake ui --open --port {free_ports(('ui',))['ui']}",
            "/srv/lake-report": "lake-report",
            "/etc/lake.toml": "lake.toml",
            "/var/lib/node_exporter/textfile/": "",
            "http://alertmanager:9093": pages.receiver.url,
            'host = "smtp.example.org"': smtp,
            "https://hooks.slack.com/services/…": pages.receiver.url,
            "https://…": f"{pages.receiver.url}/heartbeat",
            "PASSWORD=…": f"PASSWORD='{PASSWORD}'",
            " apply": " apply --yes",
        },
    )
    config = shell.directory / "lake.toml"

    def held() -> None:
        (hold_id,) = [
            of["id"] for of in json.loads(shell.run("lake hold list --json").out)["holds"]
        ]
        shell.names = {"release ID": f"release {hold_id}", **shell.names}

    def enable() -> None:
        config.write_text(config.read_text().replace("[retention]", "[retention]\nenabled = true"))

    shell.env["LAKE_ALERTS__WEBHOOK_URL"] = pages.receiver.url  # for the checklist
    before = {"lake hold release ID --reason TEXT": held, "lake retention apply": enable}
    done = run_all(shell, with_steps(ROOT / "docs/operations.md"), before)
    done.append(shell.run("lake alert test"))
    assert wrong(done, {"lake ui": 130}) == []
    assert pages.mailbox.logins == [("lake", PASSWORD)]
    assert {path for _, path, _ in pages.receiver.requests} >= {"/", "/heartbeat", "/api/v2/alerts"}
    assert (shell.directory / "monitoring-lake-storage.prom").stat().st_size > 1000
    assert "<html" in (shell.directory / "lake-report/index.html").read_text()[:500]


def test_all_expiry_is_stopped_at_once(pages: Pages) -> None:
    """MongoDB's own command, of each collection."""
    (text,) = [b.text for b in blocks(ROOT / "docs/operations.md") if b.language == "js"]
    match = re.fullmatch(r"db\.getSiblingDB\(\"DATABASE\"\)\.runCommand\((.+)\)", text.strip())
    assert match
    with pymongo.MongoClient(pages.site.endpoints["mongo"]["uri"]) as client:
        collection = client[DATABASE]["usage_analytics"]
        names = {"COLLECTION": collection.name, "TIME_FIELD": "timestamp"}
        command = re.sub("|".join(names), lambda name: names[name[0]], match[1])
        client[DATABASE].command(yaml.safe_load(command))
        limits = [of.get("expireAfterSeconds") for of in collection.index_information().values()]
    assert 2147483647 in limits


def test_privacy(pages: Pages) -> None:
    """A rule of the page on a field that the demo has: the stored hash is openssl's."""
    shell = pages.shell(
        "privacy",
        {
            '"user.email"': "userId",
            "/run/secrets/": "",
            "kim@example.org": "user-0020",
            "D --to D": f"{pages.site.last} --to {pages.site.end}",
            "NAME": "usage_analytics",
        },
    )
    page = (ROOT / "docs/privacy.md").read_text("utf-8")
    config = shell.directory / "lake.toml"
    (rules,) = [b.text for b in blocks(ROOT / "docs/privacy.md") if b.language == "toml"]
    own = re.sub(r'\[\[dataset\]\]\nname = "usage_analytics"\n[^\[]*', "", config.read_text())
    config.write_text(own)
    steps = with_steps(ROOT / "docs/privacy.md")
    (secret,) = re.findall(r"# made by: (openssl .+)", page)
    (digest,) = re.findall(r"`(printf [^`]+)`", page)
    (again,) = re.findall(r"`(lake export NAME [^`]+)`", page)
    done = [shell.run(f"{secret} > lake_hash_key"), *run_all(shell, steps)]
    done += [shell.run(again), shell.run(digest)]
    hashed = done[-1].out.split()[-1]
    query = f"SELECT count(*) AS n FROM usage_analytics WHERE userId = '{hashed}'"
    done.append(shell.run(f'lake query --csv "{query}"'))
    assert wrong(done) == []
    assert rules
    assert int(done[-1].out.split()[-1]) > 0


def test_compose(pages: Pages) -> None:
    """In a copy of deploy/compose; what containers would run is run here."""
    site, mongo = pages.site, pages.site.endpoints["mongo"]["uri"]
    bucket = "deployed-with-compose"
    shell = pages.shell(
        "compose",
        {
            "mongodb://mongo:27017/DATABASE": f"{mongo}/{DATABASE}",
            "http://prometheus:9090": site.endpoints["prometheus"]["url"],
            "http://loki:3100": site.endpoints["loki"]["url"],
            "--root s3://BUCKET --s3-region REGION": f"--root s3://{bucket}{pages.s3_options}",
            "/tmp/lake.toml": "made.toml",
            "/var/lib/dagster": "dagster-home",
            "bucket apply": "bucket apply --yes",
        },
    )
    directory = shell.directory
    (directory / "lake.toml").unlink()
    shutil.copytree(ROOT / "deploy/compose", directory, dirs_exist_ok=True)
    (directory / "dagster-home").mkdir()
    (pages.folder / "home/.aws").mkdir()
    (pages.folder / "home/.aws/credentials").write_text("[default]\n")
    config = directory / "config/lake.toml"
    shell.env["LAKE_CONFIG"] = str(config)

    def review() -> None:
        config.write_text(config.read_text() + OTHER_SERVER)

    before = {"docker compose run --rm lake bucket plan": review}
    done = run_all(shell, of_section("docs/deploy.md", "With Docker Compose"), before)
    # The first plan is of a bucket that is not there; one day of two is exported.
    done.append(shell.run("docker compose run --rm lake export"))
    done.append(shell.run("docker compose run --rm lake status"))
    statuses = {"lake bucket plan": 1, "lake status": (1, 1, 0)}
    assert wrong(done, statuses) == []
    assert {".env", "lake.env", "dagster-home.tgz"} <= {path.name for path in directory.iterdir()}
    assert (directory / "secrets/aws-credentials").stat().st_mode & 0o777 == 0o400


def test_systemd(pages: Pages) -> None:
    """Below a directory in place of /; then the steps of the night (their loop: test_systemd)."""
    site = pages.site
    addresses = f"--mongo {site.endpoints['mongo']['uri']}/{DATABASE}"
    addresses += f" --prometheus {site.endpoints['prometheus']['url']}"
    addresses += f" --loki {site.endpoints['loki']['url']}"
    shell = pages.shell(
        "systemd",
        {
            "--mongo … --prometheus … --loki …": addresses,
            "--root s3://BUCKET": f"--root s3://{BUCKET}{pages.s3_options}",
            **{f"/{name}/": f"{name}/" for name in ("etc", "opt", "var")},
        },
    )
    directory = shell.directory
    for name in ("etc/systemd/system", "opt", "var/lib"):
        (directory / name).mkdir(parents=True)
    (directory / "deploy").symlink_to(ROOT / "deploy")
    shutil.copy(ROOT / "deploy/compose/lake.env.example", directory / "lake.env")
    done = run_all(shell, of_section("docs/deploy.md", "With systemd"))
    assert wrong(done) == []
    assert (directory / "etc/monitoring-lake/lake.env").stat().st_mode & 0o777 == 0o600
    units = {path.name for path in (directory / "etc/systemd/system").iterdir()}
    assert "monitoring-lake-code.service" in units
    unit = (ROOT / "deploy/systemd/monitoring-lake-nightly.service").read_text()
    (steps,) = re.findall(r"^ExecStart=.*for step in ([\w ]+);", unit, re.MULTILINE)
    assert wrong([shell.run(f"lake {step}") for step in steps.split()]) == []


def test_kubernetes_and_terraform(pages: Pages) -> None:
    """What remains there without a cluster and an account."""
    steps = of_section("docs/deploy.md", "In Kubernetes") + blocks(
        ROOT / "deploy/terraform/README.md"
    )
    done = run_all(pages.shell("cluster"), steps)
    assert [command.line for command in done] == ["lake doctor", "lake bucket plan"]
    assert wrong(done) == []


def test_engines(pages: Pages) -> None:
    shell = pages.shell("engines")
    assert wrong(run_all(shell, blocks(ROOT / "docs/engines.md"))) == []
    assert "SELECT" in (shell.directory / "http_errors.sql").read_text()


def test_grafana(pages: Pages) -> None:
    shell = pages.shell("grafana", {"/tmp/prometheus": "prometheus"})
    done = run_all(shell, blocks(ROOT / "deploy/grafana/README.md"))
    assert wrong(done) == []
    assert all("grafana-datasource.yaml" in f"{c.out}{c.err}" or c.out for c in done)


def test_loki(pages: Pages) -> None:
    """With the file of the version that is installed."""
    program = find("loki")
    assert program
    name = f"loki-{'3' if program.version.startswith('3') else '2.2'}.yaml"
    shell = pages.shell("loki", {"loki-3.yaml": str(ROOT / "deploy/loki" / name)})
    shell.env |= {
        "PATH": f"{program.path.parent}:{shell.env['PATH']}",
        "LOKI_BUCKET": "logs",
        "AWS_REGION": REGION,
        "SCHEMA_S3_FROM": "2030-01-01",
    }
    assert wrong(run_all(shell, blocks(ROOT / "deploy/loki/README.md"))) == []


def test_make(pages: Pages) -> None:
    """Targets that run for minutes: what make would run."""
    shell = pages.shell("make", {"make ": f"make -C {ROOT} "})
    done = run_all(shell, blocks(ROOT / "CONTRIBUTING.md"))
    (printed,) = [command.out for command in done]
    targets = {
        line.split()[1]
        for page in PAGES
        for block in blocks(page)
        for line in lines_of(block)
        if block.language == "sh" and re.fullmatch(r"make \w+", line)
    }
    assert targets >= {"demo", "test", "check"}
    assert targets <= {line.split()[0] for line in printed.splitlines() if line}
    dry = [shell.run(f"make --dry-run {target}") for target in sorted(targets - {"help"})]
    assert wrong([*done, *dry]) == []


def test_python_of_the_reference(pages: Pages) -> None:
    (text,) = [b.text for b in blocks(ROOT / "docs/reference.md") if b.language == "python"]
    shell = pages.shell("python", {"2026-11-08": str(pages.site.last), "2026-11-01": "2026-01-01"})
    (shell.directory / "example.py").write_text(shell.named(text))
    done = shell.run("python example.py")
    assert wrong([done]) == []
    assert done.out.rstrip().endswith("skipped")


# What every page has to have.


def test_each_block_is_run_or_read() -> None:
    """A new page with commands needs a test here, a new language a reader."""
    for page in PAGES:
        for block in blocks(page):
            if block.language in COMMANDS:
                assert block.page in RUN or block.page in OWN, block
            elif block.language:
                assert block.language in OTHERS, block
            elif "adr" not in page.parts:
                assert not _COMMAND.search(block.text), (
                    f"commands in a block of no language: {block}"
                )


_COMMAND = re.compile(
    r"^\s*(?:\$ |(?:lake|sudo|docker|kubectl|make|pip|python3?|aws|curl|export|source|cp|mongosh|"
    r"terraform|\.venv/bin/\w+) )",
    re.MULTILINE,
)


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_line_that_is_not_run_is_one_of_a_shell(page: str, line: str) -> None:
    """So that a quote or a bracket too few is found."""
    assert is_shell(line), page


def test_the_list_of_what_is_not_run_is_as_short_as_it_can_be() -> None:
    lines = {unwrapped(line) for _, line in LINES}
    assert [
        shape for shape in NOT_RUN if not any(re.fullmatch(shape, line) for line in lines)
    ] == []


def test_each_section_of_the_deployment_is_run() -> None:
    sections = {b.section for b in blocks(ROOT / "docs/deploy.md") if b.language in COMMANDS}
    assert sections == {"The bucket", "With Docker Compose", "With systemd", "In Kubernetes"}


def test_what_the_tutorial_leaves_out_is_on_the_list() -> None:
    text = (ROOT / "docs/tutorial.md").read_text("utf-8")
    left_out = re.findall(r"<!-- not run: .* -->\n```sh\n(.*)\n```", text)
    assert len(left_out) == text.count("<!-- not run")
    assert all(why_not_run(line) for line in left_out)


def test_the_pages_of_questions_have_one_block_an_answer() -> None:
    """Their tests take the first one."""
    for page, number in (("docs/quarter.md", 10), ("docs/questions.md", 20)):
        of_page = blocks(ROOT / page)
        assert len(of_page) == number, page
        assert {block.language for block in of_page} == {"sh", "sql"}


def test_a_drop_in_of_systemd() -> None:
    (text,) = [b.text for page in PAGES for b in blocks(page) if b.language == "ini"]
    drop_in = configparser.ConfigParser(interpolation=None)
    drop_in.optionxform = str  # type: ignore[assignment,method-assign]
    drop_in.read_string(text)
    assert set(drop_in["Service"]) == {"SupplementaryGroups", "ReadWritePaths"}


def test_prometheus_writes_to_mimir(tmp_path: Path) -> None:
    (text,) = [b.text for page in PAGES for b in blocks(page) if b.language == "yaml"]
    promtool = find("promtool")
    assert promtool
    (tmp_path / "prometheus.yml").write_text(text)
    command = [promtool.path, "check", "config", tmp_path / "prometheus.yml"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
