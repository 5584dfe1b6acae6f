"""docs/restore.py, run by a Python that has no other package: what it lays out is right."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import bson
import pymongo
import pytest
import requests
from support.full_disk import files_of_at_most
from support.loaded_site import Site

from lake.base.resources import resource_path
from lake.servers import find
from lake.servers.ports import free_ports
from lake.snapshots.manifest import read_snapshot, snapshot_days

pytestmark = pytest.mark.slow
SYSTEMS = ("mongo", "prometheus", "loki")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Without site-packages, the environment's variables and the working directory."""
    script = resource_path("docs/restore.py")
    return subprocess.run(
        [sys.executable, "-I", "-S", str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def objects(site: Site) -> Path:
    """The bucket as a directory: what an S3 client fetches."""
    return site.config.parent / "lake"


def snapshot(site: Site, system: str):
    return read_snapshot(site.store, system, snapshot_days(site.store, system)[-1])


def test_it_needs_no_package():
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import lake"], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert run("--help").returncode == 0


@pytest.mark.parametrize("system", SYSTEMS)
def test_it_lies_beside_the_snapshots(site, system):
    assert site.store.read(f"{system}/restore.py") == resource_path("docs/restore.py").read_bytes()


@pytest.mark.parametrize("system", SYSTEMS)
def test_it_lists_the_objects_that_it_needs(site, objects, tmp_path, system):
    """Those suffice: fetched alone, they are restored."""
    manifest = snapshot(site, system)
    listed = run(system, "--objects", objects, "--snapshot", manifest.day, "--list")
    keys = listed.stdout.split()
    assert (listed.returncode, keys) == (0, [stored.key for stored in manifest.objects])
    year, month, day = manifest.day.split("-")
    for key in (*keys, f"{system}/{year}/{month}/{day}/manifest.json"):
        (tmp_path / "some" / key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(objects / key, tmp_path / "some" / key)
    done = run(
        system, "--objects", tmp_path / "some", "--day", site.last, "--into", tmp_path / "in to"
    )
    assert done.returncode == 0, done.stderr
    files = [file for file in (tmp_path / "in to").rglob("*") if file.is_file()]
    assert len(files) >= manifest.paths


def test_mongo_is_what_mongorestore_takes(site, objects, tmp_path):
    """Every document of the server, byte for byte; by mongorestore itself where it is here."""
    done = run("mongo", "--objects", objects, "--day", site.last, "--into", tmp_path / "in to")
    assert done.returncode == 0, done.stderr
    (dump,) = (tmp_path / "in to/dump").iterdir()
    with pymongo.MongoClient(site.endpoints["mongo"]["uri"]) as client:
        raw = bson.codec_options.CodecOptions(document_class=bson.raw_bson.RawBSONDocument)
        for name in client[dump.name].list_collection_names():
            documents = client[dump.name].get_collection(name, codec_options=raw).find()
            stored = gzip.decompress((dump / f"{name}.bson.gz").read_bytes())
            assert sorted(bson.decode_iter(stored), key=repr) == sorted(
                (bson.decode(document.raw) for document in documents), key=repr
            )
            assert json.loads(gzip.decompress((dump / f"{name}.metadata.json.gz").read_bytes()))
    command = next(line for line in done.stdout.splitlines() if line.startswith("mongorestore "))
    if shutil.which("mongorestore"):
        _mongorestore(command, site, dump.name)


def test_archives_of_one_day_s_documents_have_a_command_each(tmp_path):
    folder, stored = "mongo/2026/07/06/run/files", []
    for name in ("a", "b"):
        key, content = f"{folder}/{name}.archive.gz", gzip.compress(name.encode())
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        stored.append({"key": key, "bytes": len(content), "sha256": sha256})
    files = [{**each, "path": Path(each["key"]).name, "offset": 0, "at": 0} for each in stored]
    manifest = {
        "system": "mongo",
        "day": "2026-07-06",
        "created_at": "2026-07-06T12:00:00+00:00",
        "whole_days": ["2026-07-05"],
        "objects": stored,
        "files": files,
    }
    (tmp_path / "mongo/2026/07/06/manifest.json").write_text(json.dumps(manifest))
    done = run("mongo", "--objects", tmp_path, "--day", "2026-07-05", "--into", tmp_path / "into")
    assert done.returncode == 0, done.stderr
    commands = [line for line in done.stdout.splitlines() if line.startswith("mongorestore ")]
    assert [line.rpartition("/")[2] for line in commands] == ["a.archive.gz", "b.archive.gz"]
    assert all("--gzip --archive=" in line for line in commands)


def _mongorestore(command: str, site: Site, database: str) -> None:
    from lake.servers import start  # noqa: PLC0415

    with start(["mongo"], mongo_ttl=False) as stack:
        uri = stack.endpoints["mongo"]["uri"]
        there = command.replace("mongodb://127.0.0.1:27017", uri)
        done = subprocess.run(
            shlex.split(there), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        with (
            pymongo.MongoClient(uri) as restored,
            pymongo.MongoClient(site.endpoints["mongo"]["uri"]) as original,
        ):
            for name in original[database].list_collection_names():
                expected = original[database][name].count_documents({})
                assert restored[database][name].count_documents({}) == expected


def test_prometheus_starts_on_it_by_the_printed_command(site, objects, tmp_path):
    done = run("prometheus", "--objects", objects, "--day", site.last, "--into", tmp_path / "in to")
    assert done.returncode == 0, done.stderr
    command = next(line for line in done.stdout.splitlines() if line.startswith("prometheus --"))
    port = free_ports(["http"])["http"]
    query = {"query": '{__name__=~".+"}[1d]', "time": (site.last.end_ms - 1) / 1000}
    expected = _samples(site.endpoints["prometheus"]["url"], query)
    with running(command, "prometheus", {"127.0.0.1:9090": f"127.0.0.1:{port}"}):
        wait_for(f"http://127.0.0.1:{port}/-/ready")
        assert _samples(f"http://127.0.0.1:{port}", query) == expected
    assert expected


def test_loki_starts_on_it_by_the_printed_command(site, objects, tmp_path):
    done = run("loki", "--objects", objects, "--day", site.last, "--into", tmp_path / "in to")
    assert done.returncode == 0, done.stderr
    command = next(line for line in done.stdout.splitlines() if line.startswith("loki -"))
    expected = _lines(site.endpoints["loki"]["url"], site)
    ports = free_ports(["http", "grpc"])
    config = tmp_path / "in to/loki/loki-restored.yml"
    fields = json.loads(config.read_text())
    fields["server"] |= {"http_listen_port": ports["http"], "grpc_listen_port": ports["grpc"]}
    config.write_text(json.dumps(fields))
    url = f"http://127.0.0.1:{ports['http']}"
    with running(command, "loki", {}):
        wait_for(f"{url}/ready")
        end = time.monotonic() + 90  # before 2.4 the index of past days is read once a minute
        while (counts := _lines(url, site)) != expected and time.monotonic() < end:
            time.sleep(1)
        assert counts == expected
    assert expected


def _lines(url: str, site: Site) -> dict[str, str]:
    """How many of the day, by stream: before 2.6 a sum over several counts some lines twice."""
    params = {
        "query": 'sum by (container, level) (count_over_time({container=~".+"}[24h]))',
        "time": str(site.last.end_ns - 1),
    }
    answer = requests.get(f"{url}/loki/api/v1/query", params=params, timeout=30).json()
    return {
        "/".join(series["metric"].values()): series["value"][1]
        for series in answer["data"]["result"]
    }


@contextmanager
def running(command: str, program: str, other: Mapping[str, str]) -> Iterator[None]:
    """The printed command, with the program that is here and an address that is free."""
    for old, new in other.items():
        command = command.replace(old, new)
    binary = find(program)
    assert binary is not None
    started = subprocess.Popen(
        [str(binary.path), *shlex.split(command)[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        started.terminate()
        started.wait(30)


def wait_for(url: str) -> None:
    """Until it answers with success."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if requests.get(url, timeout=2).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    pytest.fail(f"{url} does not answer")


def _samples(url: str, query: dict[str, object]) -> dict[str, list[list[object]]]:
    answer = requests.get(f"{url}/api/v1/query", params=query, timeout=30).json()
    return {json.dumps(series["metric"]): series["values"] for series in answer["data"]["result"]}


def test_the_runbooks_way_without_the_package(site, objects, tmp_path):
    """Its commands as they stand, but for the client that fetches, the day and the address."""
    page = resource_path("docs/runbook-restore.md").read_text("utf-8")
    match = re.search(
        r"<!-- without: restore -->\n```sh\n(.*?)\n```\n```\n(.*?)```", page, re.DOTALL
    )
    assert "aws s3 sync s3://" in page
    shutil.copytree(objects / "prometheus", tmp_path / "lake/prometheus")
    command = shlex.split(match[1].replace("2026-11-22", str(site.last)))
    done = subprocess.run(
        [sys.executable, "-I", "-S", *command[1:]],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shapes = [
        [re.sub(r"\S*\d\S*|\S*/incident/\S*", "#", line) for line in text.splitlines()]
        for text in (done.stdout, match[2])
    ]
    assert shapes[0] == shapes[1]


class Damage:
    """A copy of the bucket's folder of one system, to be altered."""

    def __init__(self, site: Site, objects: Path, folder: Path) -> None:
        self.manifest = snapshot(site, "prometheus")
        self.objects, self.into = folder / "objects", folder / "into"
        shutil.copytree(objects / "prometheus", self.objects / "prometheus")

    def restore(self, *options: object) -> subprocess.CompletedProcess[str]:
        chosen = options or ("--day", self.manifest.held_days()[-1])
        return run("prometheus", "--objects", self.objects, "--into", self.into, *chosen)

    def refused(self, *options: object) -> str:
        """What it says; nothing was laid out."""
        done = self.restore(*options)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert not [file for file in self.into.rglob("*") if file.is_file()]
        return done.stderr


@pytest.fixture
def damage(site, objects, tmp_path) -> Damage:
    return Damage(site, objects, tmp_path)


def test_an_altered_object_is_refused(damage):
    stored = damage.manifest.objects[-1]
    file = damage.objects / stored.key
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert f"{stored.key} is not the stored object" in damage.refused()


def test_a_missing_object_is_named(damage):
    key = damage.manifest.objects[0].key
    (damage.objects / key).unlink()
    assert f"an object is missing: fetch {key}" in damage.refused()


def test_a_day_that_no_snapshot_holds_lists_those_that_there_are(damage):
    message = damage.refused("--day", "2020-01-01")
    assert "no snapshot that holds the whole of 2020-01-01" in message
    assert f"{damage.manifest.day}: holds " in message
    assert "no snapshot named 2020-01-01" in damage.refused("--snapshot", "2020-01-01")


def test_a_path_that_leads_out_is_refused(damage):
    year, month, day = damage.manifest.day.split("-")
    file = damage.objects / f"prometheus/{year}/{month}/{day}/manifest.json"
    fields = json.loads(file.read_text())
    fields["files"][0]["path"] = "../outside"
    file.write_text(json.dumps(fields))
    assert "leads out of the directory" in damage.refused()


def test_a_directory_in_use_is_refused(damage):
    damage.into.mkdir()
    (damage.into / "mine").write_text("x")
    done = damage.restore()
    assert (done.returncode, "is not empty" in done.stderr) == (1, True)
    assert [file.name for file in damage.into.iterdir()] == ["mine"]


def test_a_disk_without_room_is_an_error_of_one_line(damage):
    with files_of_at_most(100):
        done = damage.restore()
    message = "restore.py: File too large: directory of --into"
    assert (done.returncode, done.stderr.strip()) == (1, message)
