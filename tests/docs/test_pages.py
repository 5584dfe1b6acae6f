"""Each command of the pages is run, in the page's order, on real servers with two days of the demo.

That each block is run, here or elsewhere, is test_every_block's. Settings on a page are added to
its lake.toml where they stand.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator

import duckdb
import pymongo
import pytest
import yaml
from support.documented import PAGES, ROOT, blocks, with_steps
from support.loaded_site import Site
from support.page_lake import (
    BUCKET,
    PASSWORD,
    Pages,
    of_section,
    opened_pages,
    run_all,
    with_skip,
    wrong,
)
from support.page_shell import lines_of

from lake.demo.datasets import DATABASE
from lake.servers import find
from lake.servers.ports import free_ports
from lake.servers.s3 import REGION

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # the first runs all of README


@pytest.fixture(scope="module")
def pages(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with opened_pages(site, tmp_path_factory.mktemp("pages")) as opened:
        yield opened


def test_readme(pages: Pages) -> None:
    """At first one of two days is exported: `lake status` and the review have an open point."""
    assert wrong(pages.readme, {"lake status": (1, 0), "lake review": 1}) == []
    directory = pages.folder / "readme"
    made = {"incident.html", "lake.duckdb", "lake.json", "lake.db", "usage.parquet"}
    assert made <= {path.name for path in directory.iterdir()}
    assert len(duckdb.connect().sql(f"FROM '{directory}/usage.parquet'").fetchall()) > 100
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
    """A rule of the page on a field that the demo has: the stored hash is that of its command."""
    shell = pages.shell(
        "privacy",
        {
            '"user.email"': "userId",
            "/run/secrets/": "",
            "kim@example.org": "user-0000",  # calls every day
            "D --to D": f"{pages.site.last} --to {pages.site.end}",
            "NAME": "usage_analytics",
        },
    )
    page = (ROOT / "docs/privacy.md").read_text("utf-8")
    config = shell.directory / "lake.toml"
    own = re.sub(r'\[\[dataset\]\]\nname = "usage_analytics"\n[^\[]*', "", config.read_text())
    config.write_text(own)
    steps = with_steps(ROOT / "docs/privacy.md")
    (secret,) = re.findall(r"# made by: (openssl .+)", page)
    (digest,) = re.findall(r"`(printf [^`]+)`", page)
    assert "$LAKE_PRIVACY" not in digest  # ps would show it
    (again,) = re.findall(r"`(lake export NAME [^`]+)`", page)
    done = [shell.run(f"{secret} > lake_hash_key"), *run_all(shell, steps)]
    done += [shell.run(again), shell.run(digest)]
    hashed = done[-1].out.split()[-1]
    query = f"SELECT count(*) AS n FROM usage_analytics WHERE userId = '{hashed}'"
    done.append(shell.run(f'lake query --csv "{query}"'))
    assert wrong(done) == []
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
    (directory / "dagster-home/history").mkdir(parents=True)
    (directory / "dagster-home/history/runs.db").write_text("runs")
    (directory / "dagster-home/dagster.yaml").write_text("mounted")
    (pages.folder / "home/.aws").mkdir()
    (pages.folder / "home/.aws/credentials").write_text("[default]\n")
    config = directory / "config/lake.toml"
    shell.env["LAKE_CONFIG"] = str(config)

    def review() -> None:
        config.write_text(with_skip(config.read_text()))

    def migrate() -> None:
        (directory / "dagster-home/history/runs.db").write_text("newer")
        (directory / "dagster-home/history/newer.db").touch()
        (directory / "dagster-home/dagster.yaml").write_text("the newer one")

    before = {"docker compose run --rm lake bucket plan": review, "docker compose stop": migrate}
    done = run_all(shell, of_section("docs/deploy.md", "With Docker Compose"), before)
    # The first plan is of a bucket that is not there; one day of two is exported.
    done.append(shell.run("docker compose run --rm lake export"))
    done.append(shell.run("docker compose run --rm lake status"))
    statuses = {"lake bucket plan": 1, "lake status": (1, 1, 0)}
    assert wrong(done, statuses) == []
    assert {".env", "lake.env", "dagster-home.tgz"} <= {path.name for path in directory.iterdir()}
    history = directory / "dagster-home/history"
    assert [(path.name, path.read_text()) for path in history.iterdir()] == [("runs.db", "runs")]
    assert (directory / "dagster-home/dagster.yaml").read_text() == "the newer one"
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
