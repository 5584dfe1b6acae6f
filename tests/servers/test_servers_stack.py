"""Starting, stopping and breaking real servers."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pyarrow as pa
import pymongo
import pytest
import requests
from support.looking import exists, listening, within
from support.on_request import needed

from lake.base.errors import PermanentError, UsageError
from lake.servers import SERVER_NAMES, Binary, Stack, server, start
from lake.servers.ports import LOOPBACK

DAY_S = 86_400


def s3_client(endpoint: dict[str, str]):
    return boto3.client(
        "s3",
        endpoint_url=endpoint["endpoint_url"],
        aws_access_key_id=endpoint["access_key"],
        aws_secret_access_key=endpoint["secret_key"],
        region_name="us-east-1",
    )


def push(url: str, label: str, lines: dict[int, str], **headers: str) -> requests.Response:
    """Pushes lines by their time in ns."""
    values = [[str(ns), line] for ns, line in lines.items()]
    body = {"streams": [{"stream": {"job": label}, "values": values}]}
    return requests.post(f"{url}/loki/api/v1/push", json=body, headers=headers, timeout=10)


def lines_of(url: str, label: str, start_ns: int, end_ns: int, **more: str) -> dict[int, str]:
    parameters = {"query": f'{{job="{label}"}}', "start": start_ns, "end": end_ns, **more}
    answer = requests.get(f"{url}/loki/api/v1/query_range", params=parameters, timeout=10)
    answer.raise_for_status()
    streams = answer.json()["data"]["result"]
    return {int(ns): line for stream in streams for ns, line in stream["values"]}


def write(url: str, metric: str, samples: dict[int, float]) -> requests.Response:
    """Remote write of one series; times in ms."""

    def varint(number: int) -> bytes:
        groups = [number >> shift & 127 for shift in range(0, max(7, number.bit_length()), 7)]
        return bytes([*(group | 128 for group in groups[:-1]), groups[-1]])

    def message(field: int, body: bytes) -> bytes:
        return varint(field << 3 | 2) + varint(len(body)) + body

    series = message(1, message(1, b"__name__") + message(2, metric.encode()))
    for ms, value in samples.items():
        series += message(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(ms))
    body = pa.compress(message(1, series), codec="snappy", asbytes=True)
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    return requests.post(f"{url}/api/v1/write", data=body, headers=headers, timeout=10)


def value_of(url: str, metric: str, at_s: float) -> list[str]:
    parameters = {"query": metric, "time": str(at_s)}
    answer = requests.get(f"{url}/api/v1/query", params=parameters, timeout=10).json()
    return [series["value"][1] for series in answer["data"]["result"]]


def test_endpoints_say_how_to_reach_each_server(stack: Stack) -> None:
    endpoints = stack.endpoints
    assert {name: sorted(endpoint) for name, endpoint in endpoints.items()} == {
        "mongo": ["uri"],
        "prometheus": ["data_dir", "url"],
        "loki": ["config_file", "data_dir", "url"],
        "s3": ["access_key", "endpoint_url", "secret_key"],
    }
    json.dumps(endpoints)
    with pymongo.MongoClient(endpoints["mongo"]["uri"]) as client:
        assert client.admin.command("ping")["ok"] == 1
    for name, path in (("prometheus", "/-/ready"), ("loki", "/ready")):
        assert requests.get(endpoints[name]["url"] + path, timeout=5).ok
        assert Path(endpoints[name]["data_dir"]).is_dir()
    assert "schema_config" in json.loads(Path(endpoints["loki"]["config_file"]).read_text())
    assert "Buckets" in s3_client(endpoints["s3"]).list_buckets()


def test_every_server_listens_on_the_loopback_only(stack: Stack) -> None:
    for name in SERVER_NAMES:
        ports = set(stack[name].ports.values())
        # Parts that readiness does not wait for may come later.
        assert within(30, lambda name=name, ports=ports: set(listening(stack[name].pid)) == ports)
        addresses = listening(stack[name].pid)
        assert set(addresses.values()) == {LOOPBACK}, (name, addresses)


def test_prometheus_takes_writes_and_scrapes_nothing(prometheus_url: str) -> None:
    flags = requests.get(f"{prometheus_url}/api/v1/status/flags", timeout=5).json()["data"]
    assert flags["web.enable-remote-write-receiver"] == "true"
    assert flags["web.enable-admin-api"] == "true"
    assert "native-histograms" in flags["enable-feature"]
    targets = requests.get(f"{prometheus_url}/api/v1/targets", timeout=5).json()["data"]
    assert targets["activeTargets"] == []


def old_lines() -> dict[int, str]:
    now = time.time_ns()
    return {now - age * DAY_S * 10**9: f"{age} days old" for age in (300, 100, 8, 1, 0)}


def pushed_and_read(url: str, label: str, lines: dict[int, str]) -> None:
    for ns, line in lines.items():
        assert push(url, label, {ns: line}).status_code == 204
    for ns, line in lines.items():
        assert lines_of(url, label, ns - 10**9, ns + 10**9) == {ns: line}


def test_loki_takes_old_lines_and_returns_them_at_once(loki_url: str) -> None:
    pushed_and_read(loki_url, "old", old_lines())


@pytest.mark.loki(at_least="2.4")
def test_loki_takes_lines_in_any_order(loki_url: str) -> None:
    lines = old_lines()
    pushed_and_read(loki_url, "any_order", dict(reversed(lines.items())))


@pytest.mark.loki(at_least="3.0")
def test_loki_takes_structured_metadata(loki_url: str) -> None:
    now = time.time_ns()
    body = {"streams": [{"stream": {"job": "m"}, "values": [[str(now), "x", {"trace": "7"}]]}]}
    assert requests.post(f"{loki_url}/loki/api/v1/push", json=body, timeout=10).status_code == 204
    parameters = {"query": '{job="m"} | trace="7"', "start": now - 1000, "end": now + 1000}
    answer = requests.get(f"{loki_url}/loki/api/v1/query_range", params=parameters, timeout=10)
    (stream,) = answer.json()["data"]["result"]
    assert stream["values"] == [[str(now), "x"]]


def test_ferretdb_keeps_documents_over_a_restart() -> None:
    needed("ferretdb")
    with start(["ferretdb"]) as stack:
        uri = stack.endpoints["ferretdb"]["uri"]
        with pymongo.MongoClient(uri) as client:
            client.kept.documents.insert_many([{"_id": n, "n": n * 1.5} for n in range(10)])
            assert client.server_info()["version"].startswith("7.")
        assert set(listening(stack["ferretdb"].pid).values()) == {LOOPBACK}
        stack["ferretdb"].restart()
        with pymongo.MongoClient(uri) as client:
            documents = client.kept.documents.find({"n": {"$gte": 12}}, sort=[("_id", 1)])
            assert list(documents) == [{"_id": 8, "n": 12.0}, {"_id": 9, "n": 13.5}]


def test_a_loki_of_each_version_restarts_with_its_data(loki_program: Binary) -> None:
    with start(["loki"], programs={"loki": loki_program}) as stack:
        url, lines = stack.endpoints["loki"]["url"], old_lines()
        pushed_and_read(url, "kept", lines)
        stack["loki"].kill()  # it lives from its write-ahead log
        stack["loki"].start()
        for ns, line in lines.items():
            assert lines_of(url, "kept", ns - 10**9, ns + 10**9) == {ns: line}


def test_loki_keeps_its_default_page_limit(loki_url: str) -> None:
    parameters = {"query": '{job="x"}', "limit": 5001}
    answer = requests.get(f"{loki_url}/loki/api/v1/query_range", params=parameters, timeout=5)
    assert answer.status_code == 400
    assert "5000" in answer.text


@pytest.mark.loki(at_least="2.9")
def test_loki_reports_volumes(loki_url: str) -> None:
    parameters = {"query": '{job="x"}'}
    volume = requests.get(f"{loki_url}/loki/api/v1/index/volume", params=parameters, timeout=5)
    assert volume.status_code == 200


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Servers that may be broken, in a directory that is kept."""
    with start(SERVER_NAMES, tmp_path_factory.mktemp("own")) as stack:
        yield stack


@pytest.mark.slow
def test_a_restart_keeps_address_and_data(own: Stack) -> None:
    before = own.endpoints
    now = time.time_ns()
    with pymongo.MongoClient(before["mongo"]["uri"]) as client:
        client.kept.documents.insert_one({"_id": 1, "text": "kept"})
    assert write(before["prometheus"]["url"], "kept", {now // 10**6: 42.5}).status_code == 204
    assert push(before["loki"]["url"], "kept", {now: "kept"}).status_code == 204
    s3_client(before["s3"]).create_bucket(Bucket="kept")
    s3_client(before["s3"]).put_object(Bucket="kept", Key="k", Body=b"kept")

    pids = [own[name].pid for name in SERVER_NAMES]
    for name in ("mongo", "s3"):
        own[name].restart()
    for name in ("prometheus", "loki"):  # these have a write-ahead log to live from
        own[name].kill()
        assert not own[name].running
        own[name].start()

    assert not any(exists(pid) for pid in pids)
    assert own.endpoints == before
    with pymongo.MongoClient(before["mongo"]["uri"]) as client:
        assert client.kept.documents.find_one() == {"_id": 1, "text": "kept"}
    assert value_of(before["prometheus"]["url"], "kept", now / 10**9 + 1) == ["42.5"]
    assert lines_of(before["loki"]["url"], "kept", now - 1, now + 1) == {now: "kept"}
    assert s3_client(before["s3"]).get_object(Bucket="kept", Key="k")["Body"].read() == b"kept"


def test_a_stopped_server_is_gone_and_says_so(own: Stack) -> None:
    pid = own["prometheus"].pid
    own["prometheus"].stop()
    assert not exists(pid)
    with pytest.raises(PermanentError, match="prometheus is not running"):
        _ = own["prometheus"].pid
    own["prometheus"].start()
    assert own["prometheus"].running


def test_a_restart_on_a_taken_port_says_so(own: Stack) -> None:
    own["prometheus"].stop()
    port = own["prometheus"].ports["http"]
    with socket.create_server((LOOPBACK, port)), pytest.raises(PermanentError) as raised:
        own["prometheus"].start()
    assert str(port) in str(raised.value)
    own["prometheus"].start()


@pytest.mark.slow
def test_a_directory_keeps_data_ports_and_keys(tmp_path: Path) -> None:
    names = ["prometheus", "s3"]
    now_s = time.time()
    with start(names, tmp_path) as stack:
        first = stack.endpoints
        assert write(first["prometheus"]["url"], "kept", {int(now_s * 1000): 7.0}).ok
    assert stat.S_IMODE((tmp_path / "s3/s3.json").stat().st_mode) == 0o600
    with start(names, tmp_path) as stack:
        assert stack.endpoints == first
        assert value_of(first["prometheus"]["url"], "kept", now_s + 1) == ["7"]

    port = stack["prometheus"].ports["http"]
    with socket.create_server((LOOPBACK, port)), start(["prometheus"], tmp_path) as stack:
        moved = stack.endpoints["prometheus"]["url"]
        assert moved != first["prometheus"]["url"]
        assert value_of(moved, "kept", now_s + 1) == ["7"]
    # What was not started keeps what is remembered of it.
    assert set(json.loads((tmp_path / "ports.json").read_text())) == set(names)


@pytest.mark.slow
def test_a_directory_in_use_is_refused(own: Stack) -> None:
    with pytest.raises(PermanentError, match="is in use"):
        start(["prometheus"], own.directory)
    assert own["prometheus"].running


def test_throw_away_data_are_removed() -> None:
    with start(["prometheus", "loki"]) as stack:
        directory = stack.directory
        assert (directory / "loki/data").is_dir()
    assert not directory.exists()


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    (tmp_path / "prometheus/data").mkdir(parents=True)
    (tmp_path / "prometheus/data/wal").touch()  # it has to be a directory
    with pytest.raises(PermanentError) as raised:
        start(["loki", "prometheus"], tmp_path)
    parts = raised.value.parts
    assert parts["where"] == str(tmp_path / "prometheus/server.log")
    assert "wal" in parts["found"]
    assert "remedy" in parts
    # The other one is not left running.
    assert "level=" in (tmp_path / "prometheus/server.log").read_text()
    ports = json.loads((tmp_path / "loki/loki-config.yml").read_text())["server"]
    with socket.create_server((LOOPBACK, ports["http_listen_port"])):
        pass


def test_a_wrong_loki_setting_shows_loki_s_own_words(tmp_path: Path) -> None:
    with pytest.raises(PermanentError) as raised:
        start(["loki"], loki_limits={"max_entries_limit_per_query": "many"})
    assert "many" in raised.value.parts["found"]


def test_a_port_taken_in_between_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ports that were free when chosen are not when the server wants them."""
    real = server.free_ports
    with socket.create_server((LOOPBACK, 0)) as thief:
        offers = [{"http": thief.getsockname()[1]}]
        monkeypatch.setattr(
            server, "free_ports", lambda roles: offers.pop() if offers else real(roles)
        )
        with start(["prometheus"]) as stack:
            assert not offers
            assert requests.get(stack.endpoints["prometheus"]["url"] + "/-/ready", timeout=5).ok


def test_an_unknown_name_names_the_servers() -> None:
    with pytest.raises(UsageError) as raised:
        start(["mongo", "grafana"])
    assert (
        raised.value.parts["expected"]
        == "mongo, prometheus, loki, s3, prometheus3, loki2, ferretdb, alertmanager, cortex"
    )


def test_a_server_whose_supervisor_was_killed_ends_too(own: Stack) -> None:
    pid = own["prometheus"].pid
    supervisor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert supervisor != os.getpid()
    os.kill(supervisor, signal.SIGKILL)
    assert within(60, lambda: not exists(pid))
    assert within(60, lambda: not own["prometheus"].running)
    own["prometheus"].start()
    assert own["prometheus"].running


def test_a_file_is_no_directory_for_servers(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="can't be used"):
        start(["prometheus"], tmp_path / "file")


@pytest.mark.slow
def test_options(tmp_path: Path) -> None:
    names = ["mongo", "prometheus", "loki"]
    with start(
        names,
        mongo_auth=True,
        prometheus_out_of_order="90d",
        loki_limits={"max_entries_limit_per_query": 100},
        loki_multi_tenant=True,
    ) as stack:
        endpoints = stack.endpoints
        uri = endpoints["mongo"]["uri"]
        with pymongo.MongoClient(uri) as client:
            client.kept.documents.insert_one({"_id": 1})
        stranger = pymongo.MongoClient("mongodb://" + uri.rpartition("@")[2])
        with stranger, pytest.raises(pymongo.errors.OperationFailure):
            stranger.kept.documents.find_one()

        now_ms = int(time.time() * 1000)
        for age_days in (0, 60, 30):
            samples = {now_ms - age_days * DAY_S * 1000: 1.0}
            assert write(endpoints["prometheus"]["url"], "late", samples).status_code == 204

        url = endpoints["loki"]["url"]
        now = time.time_ns()
        assert push(url, "x", {now: "of a"}, **{"X-Scope-OrgID": "a"}).status_code == 204
        assert push(url, "x", {now: "of nobody"}).status_code == 401
        over = requests.get(
            f"{url}/loki/api/v1/query_range",
            params={"query": '{job="x"}', "limit": 101},
            headers={"X-Scope-OrgID": "a"},
            timeout=5,
        )
        assert over.status_code == 400


def test_no_secret_of_ours_reaches_a_server(own: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("LAKE_PRIVACY__HASH_KEY", "somebody's key")
    for name in SERVER_NAMES:
        own[name].restart()
        environment = Path(f"/proc/{own[name].pid}/environ").read_bytes()
        assert b"AWS_" not in environment
        assert b"LAKE_" not in environment
    assert os.environ["AWS_ACCESS_KEY_ID"] == "somebody"
