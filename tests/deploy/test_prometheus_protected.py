"""deploy/prometheus: held against promtool; and a real Prometheus on it, read with a login."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
import yaml
from support.tls import Certificates, certificates

from lake.base.day import Day
from lake.base.errors import LakeError
from lake.config.datasets import duration_ms
from lake.config.settings import load
from lake.servers import find, find_all
from lake.servers.ports import LOOPBACK, free_ports
from lake.servers.process import Process
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader

HERE = Path(__file__).parents[2] / "deploy/prometheus"
PASSWORD = "a-password-of-this-test"
# Bcrypt of it with the least cost.
HASH = "$2y$04$abcdefghijklmnopqrstuu4PjS.6bR4mrb9uvSnT58J85kaMhkZqq"
UP = PrometheusDataset(name="up", source="prometheus", query="up", mode="raw")


def flags() -> list[str]:
    return (HERE / "flags.args").read_text("utf-8").split()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Certificates]:
    """The folder's files with certificates and passwords of their own."""
    home = tmp_path_factory.mktemp("prometheus")
    shutil.copytree(HERE, home, dirs_exist_ok=True)
    (home / "tls").mkdir()
    made = certificates(home / "tls")
    shutil.copy(home / "tls/server.key", home / "tls/server-key.pem")
    (home / "secrets").mkdir()
    (home / "secrets/scrape-password").write_text(PASSWORD)
    web = home / "web.yml"
    web.write_text(
        re.sub(r"(?m)(: )\$2y\$\S+$", lambda match: match[1] + HASH, web.read_text("utf-8"))
    )
    return home, made


@pytest.mark.parametrize("program", find_all("promtool"), ids=lambda binary: binary.version)
def test_promtool_accepts_the_files(files, program):
    home, _ = files
    for check in (["config", "prometheus.yml"], ["web-config", "web.yml"]):
        done = subprocess.run([program.path, "check", *check], cwd=home, capture_output=True,
                              text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_hashes_in_the_file_are_of_no_password():
    users = yaml.safe_load((HERE / "web.yml").read_text("utf-8"))["basic_auth_users"]
    assert "lake" in users
    assert all("REPLACE" in hashed for hashed in users.values())


def test_the_deadline_is_the_lakes_default_and_late_samples_are_counted(tmp_path: Path):
    (tmp_path / "lake.toml").write_text(
        '[lake]\nroot = "x"\n[sources.prometheus]\nurl = "http://p:9090"\n'
    )
    settings = load(str(tmp_path / "lake.toml"), {})
    given = dict(flag.removeprefix("--").partition("=")[::2] for flag in flags())
    days = duration_ms(given["storage.tsdb.retention.time"]) // duration_ms("1d")
    assert days == settings.hot.prometheus
    tsdb = yaml.safe_load((HERE / "prometheus.yml").read_text("utf-8"))["storage"]["tsdb"]
    window = duration_ms(tsdb["out_of_order_time_window"]) // duration_ms("1d")
    assert settings.sources.prometheus.lateness_days > window


@pytest.fixture(scope="module")
def url(files) -> Iterator[str]:
    """A Prometheus of flags.args and web.yml, which scrapes itself."""
    program = find("prometheus")
    if program is None:
        pytest.skip("no Prometheus here: `lake services install prometheus` gets one")
    home, made = files
    port = free_ports(["http"])["http"]
    config = yaml.safe_load((home / "prometheus.yml").read_text("utf-8"))
    config["global"]["scrape_interval"] = "1s"
    scrape = config["scrape_configs"][0]
    scrape["static_configs"] = [{"targets": [f"{LOOPBACK}:{port}"]}]
    scrape["tls_config"] = {"ca_file": str(made.ca)}
    config["scrape_configs"] = [scrape]
    (home / "running.yml").write_text(yaml.safe_dump(config), "utf-8")
    here = {
        "/etc/prometheus/prometheus.yml": str(home / "running.yml"),
        "/etc/prometheus/web.yml": str(home / "web.yml"),
        "=/prometheus": f"={home / 'data'}",
        "0.0.0.0:9090": f"{LOOPBACK}:{port}",
    }
    given = flags()
    for old, new in here.items():
        given = [flag.replace(old, new) for flag in given]
    process = Process([str(program.path), *given], home=home, log=home / "log", grace_s=5,
                      environment=os.environ, throw_away=False)  # fmt: skip
    url = f"https://{LOOPBACK}:{port}"
    try:
        deadline = time.monotonic() + 60
        while not scraped(url, made.ca):
            assert time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.2)
        yield url
    finally:
        process.kill()


def scraped(url: str, ca: Path) -> bool:
    """Whether it has scraped itself, with the login and over TLS."""
    try:
        answer = requests.get(f"{url}/api/v1/query", params={"query": 'up{job="prometheus"} == 1'},
                              auth=("lake", PASSWORD), verify=str(ca), timeout=5)  # fmt: skip
        return answer.ok and bool(answer.json()["data"]["result"])
    except requests.RequestException:
        return False


@pytest.mark.servers
def test_nothing_answers_without_a_login(files, url):
    _, made = files
    for method, path in (("GET", "/api/v1/query?query=up"), ("GET", "/metrics"),
                         ("POST", "/api/v1/admin/tsdb/snapshot"),
                         ("POST", "/api/v1/admin/tsdb/delete_series?match[]=up")):  # fmt: skip
        answer = requests.request(method, f"{url}{path}", verify=str(made.ca), timeout=30)
        assert answer.status_code == 401, path


@pytest.mark.servers
def test_a_login_takes_a_snapshot(files, url):
    _, made = files
    answer = requests.post(f"{url}/api/v1/admin/tsdb/snapshot", auth=("lake", PASSWORD),
                           verify=str(made.ca), timeout=60)  # fmt: skip
    assert answer.status_code == 200, answer.text


@pytest.mark.servers
def test_the_lake_reads_with_the_login_and_not_without(files, url):
    _, made = files
    login = {"username": "lake", "password": PASSWORD, "ca_file": str(made.ca)}
    with closing(PrometheusReader(PrometheusSource(url=url, **login))) as reader:
        assert reader.count(UP, Day.today()).rows >= 1
    without = PrometheusReader(PrometheusSource(url=url, ca_file=str(made.ca)))
    with closing(without), pytest.raises(LakeError, match="401"):
        without.count(UP, Day.today())
