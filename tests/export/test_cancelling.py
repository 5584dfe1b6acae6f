"""Cancelling while a source hangs: its time-out is minutes, the wait is seconds."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pymongo
import pytest
from support.rewriting_proxy import rewriting

from lake.base.day import Day
from lake.base.errors import LakeError, Stopped
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.mongo.reading import MongoReader

DAY = Day.today().plus(-2)
# By default. What ends well before them was ended.
HTTP_TIME_OUT_S, MONGO_TIME_OUT_S = 150, 60


@pytest.fixture
def silent() -> Iterator[tuple[str, threading.Event]]:
    """The URL of a server that takes every request and answers none; set when one came."""
    came = threading.Event()
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                held.append(connection)
                came.set()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", came
    for connection in held:
        connection.close()


def ended_by(number: int, came: threading.Event, folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit status and standard error of a `lake` that got a signal when it had asked."""
    command = [sys.executable, "-m", "lake", *arguments]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert came.wait(60)
        time.sleep(0.5)
        begun = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=2 * HTTP_TIME_OUT_S)
        assert time.monotonic() - begun < HTTP_TIME_OUT_S - 20
    return process.returncode, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_an_export_whose_source_hangs(silent, tmp_path, number):
    url, came = silent
    (tmp_path / "lake.toml").write_text(
        f'[lake]\nroot = "data"\n[sources.prometheus]\nurl = "{url}"\n'
        + "".join(
            f'[[dataset]]\nname = "{name}"\nsource = "prometheus"\nquery = "up"\nmode = "{mode}"\n'
            for name, mode in (("a", "range"), ("b", "raw"))
        )
    )
    status, err = ended_by(number, came, tmp_path, "export", "--day", str(DAY), "--jobs", "2")
    assert status == 130
    assert "stopping the running exports" in err
    assert "Traceback" not in err
    assert not list((tmp_path / "data").rglob("*.parquet"))
    assert not list((tmp_path / "data").rglob(".parts/*"))


def test_one_signal_ends_a_command_that_reads(silent, tmp_path):
    url, came = silent
    addresses = ("--prometheus", url, "--loki", url)
    status, err = ended_by(signal.SIGINT, came, tmp_path, "init", *addresses)
    assert status == 130
    assert err.rstrip().endswith("interrupted")
    assert not (tmp_path / "lake.toml").exists()


@pytest.mark.parametrize("operation", ["count", "read"])
def test_stop_ends_what_waits_for_a_mongodb_that_hangs(
    mongo_uri, mongo_database, tmp_path, operation
):
    with pymongo.MongoClient(mongo_uri) as client:
        client[mongo_database].events.insert_one({"timestamp": datetime.now(UTC)})
    dataset = MongoDataset(name="events", source="mongo", collection="events")
    word = b"aggregate" if operation == "count" else b"find"
    hangs = threading.Event()
    with rewriting(mongo_uri, {}, swallowed=word, hangs=hangs) as uri:
        reader = MongoReader(MongoSource(uri=uri, database=mongo_database, timeout_s=60))
        _ends_promptly(reader, dataset, operation, tmp_path, hangs)


def test_stop_ends_what_waits_for_a_mongodb_that_is_down(tmp_path):
    dataset = MongoDataset(name="events", source="mongo", collection="events")
    reader = MongoReader(MongoSource(uri="mongodb://127.0.0.1:1", database="d"))
    waits = threading.Event()
    threading.Timer(0.5, waits.set).start()
    _ends_promptly(reader, dataset, "count", tmp_path, waits)


def _ends_promptly(
    reader: MongoReader,
    dataset: MongoDataset,
    operation: str,
    scratch: Path,
    waits: threading.Event,
) -> None:
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            if operation == "count":
                reader.count(dataset, DAY)
            else:
                with reader.read(dataset, DAY, scratch):
                    pass
        except LakeError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert waits.wait(100)
    time.sleep(0.5)
    assert thread.is_alive()
    begun = time.monotonic()
    reader.stop()
    thread.join(2 * MONGO_TIME_OUT_S)
    reader.close()
    assert time.monotonic() - begun < MONGO_TIME_OUT_S - 10
    assert [type(error) for error in errors] == [Stopped]
    with pytest.raises(Stopped):
        reader.count(dataset, DAY)


DAGSTER = """
[lake]
root = "data"
first_day = {day}
[sources.prometheus]
url = "{url}"
[[dataset]]
name = "requests"
source = "prometheus"
query = "up"
"""


@pytest.mark.slow
def test_dagster_ends_a_run_whose_source_hangs(silent, tmp_path):
    url, came = silent
    (tmp_path / "lake.toml").write_text(DAGSTER.format(url=url, day=DAY))
    (tmp_path / "home").mkdir()
    environment = os.environ | {
        "LAKE_CONFIG": str(tmp_path / "lake.toml"),
        "DAGSTER_HOME": str(tmp_path / "home"),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }
    command = [str(Path(sys.executable).with_name("dagster")), "asset", "materialize"]
    command += ["--select", "requests", "--partition", str(DAY), "-m", "assets.definitions"]
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert came.wait(120)
        time.sleep(0.5)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=2 * HTTP_TIME_OUT_S)
        assert time.monotonic() - begun < HTTP_TIME_OUT_S - 20
    assert process.returncode != 0
