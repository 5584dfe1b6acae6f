"""`lake snapshot`, `lake snapshots`, `lake restore`: what a person types, and what may go wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
import yaml
from support.answers import prometheus_samples
from support.places import DAY, TODAY

from lake.base.errors import PermanentError
from lake.restore.directory import bring_down
from lake.servers import find
from lake.servers.ports import LOOPBACK

D, T = str(DAY), str(TODAY)  # of data, of the snapshot


@pytest.fixture
def here(place, own_prometheus):
    endpoint = own_prometheus.endpoints["prometheus"]
    return place(
        sources__prometheus={"url": endpoint["url"]},
        snapshots__prometheus={"data_dir": endpoint["data_dir"]},
    )


@pytest.fixture
def restored(here):
    here.take("prometheus")
    here.restore("prometheus")
    return here


def test_the_commands_from_end_to_end(here, lake, own_prometheus, tmp_path):
    config = ("--config", str(here.config))
    code, out, _ = lake("snapshots", *config)
    assert (code, "no snapshots yet" in out) == (0, True)
    code, out, err = lake("snapshot", "prometheus", "--json", *config)
    assert code == 0, err
    printed = json.loads(out)
    assert (printed["system"], printed["day"], printed["counts"]["day_samples"]) == (
        "prometheus",
        T,
        8640,
    )
    assert printed["whole_days"] == [D]
    assert 0 < printed["sent_bytes"] == printed["bytes"]
    code, out, _ = lake("snapshot", "prometheus", "--day", T, *config)
    assert f"restore with: lake restore prometheus --snapshot {T} --into DIR --serve" in out
    assert f"holds whole: {D}" in out
    (row,) = json.loads(lake("snapshots", "--json", *config)[1])
    assert row["restore"] == f"lake restore prometheus --snapshot {T} --into DIR --serve"
    assert f"holds {D}" in lake("snapshots", *config)[1]
    code, out, _ = lake("snapshots", "verify", "--json", *config)
    assert (code, json.loads(out)[0]["ok"]) == (0, True)
    code, out, _ = lake("snapshots", "verify", "prometheus", "--sample", "10%", *config)
    assert (code, "ok  1 object," in out) == (0, True)
    into = tmp_path / "back"
    code, out, _ = lake("restore", "prometheus", "--day", D, "--into", str(into), *config)
    assert code == 0
    assert into.stat().st_mode & 0o777 == 0o700  # no rule is applied to a snapshot
    assert f"restore prometheus --snapshot {T} --into {into} --serve" in out
    assert "docker compose -f" in out
    serving = subprocess.Popen(
        [sys.executable, "-m", "lake", "restore", "prometheus", "--day", D, "--into", str(into),
         "--serve", *config],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    url = json.loads(serving.stdout.readline())["prometheus"]["url"]
    expected = own_prometheus.endpoints["prometheus"]["url"]
    assert prometheus_samples(url, DAY) == prometheus_samples(expected, DAY)
    source = yaml.safe_load((into / "grafana-datasource.yaml").read_text())["datasources"][0]
    assert source["url"] == url
    code, _, err = lake("restore", "prometheus", "--day", D, "--into", str(into), *config)
    assert (code, "another process uses the directory" in err) == (2, True)
    assert prometheus_samples(url, DAY) == prometheus_samples(expected, DAY)
    code, out, err = lake("restore", "prometheus", "--into", str(into), "--down", "--json")
    assert (code, "server stopped" in err) == (0, True)
    assert json.loads(out) == {"directory": str(into), "stopped": True}
    assert serving.wait(20) == 0
    assert "as in the snapshot: day_samples = 8640" in serving.stderr.read()
    assert not into.exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)
    code, out, _ = lake("snapshots", "remove", "prometheus", "--day", T, "--json", *config)
    assert json.loads(out)["freed_bytes"] > 0
    assert lake("snapshots", "clean", *config)[0] == 0
    left = [stat.key for stat in here.store.list("prometheus/") if "journal" not in stat.key]
    assert left == ["prometheus/restore.py"]


def test_an_incident_has_the_server_of_its_day_beside_it(here, own_prometheus):
    here.take("prometheus")
    serving = subprocess.Popen(
        [sys.executable, "-m", "lake", "incident", "--at", f"{D}T12:00", "--restore", "--json",
         "--config", str(here.config)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert json.loads(serving.stdout.readline())["at"] == f"{D}T12:00:00Z"
    url = json.loads(serving.stdout.readline())["prometheus"]["url"]
    expected = own_prometheus.endpoints["prometheus"]["url"]
    assert prometheus_samples(url, DAY) == prometheus_samples(expected, DAY)
    serving.send_signal(signal.SIGINT)
    _, err = serving.communicate(timeout=30)
    assert serving.returncode == 0, err
    assert f"prometheus: {D} is whole in the snapshot of {T}" in err
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


def test_an_incident_without_a_snapshot_has_no_server(here, lake):
    code, _, err = lake("incident", "--at", f"{D}T12:00", "--restore", "--config", str(here.config))
    assert code == 1
    assert f"prometheus was not restored: no snapshot of prometheus holds {D} whole" in err


def test_down_ends_a_restore_that_still_goes_on(here, tmp_path):
    here.take("prometheus")
    into, note = tmp_path / "back", tmp_path / "back/serving.pid"
    restoring = subprocess.Popen(
        [sys.executable, "-m", "lake", "restore", "prometheus", "--day", D, "--into", str(into),
         "--serve", "--config", str(here.config)],
    )  # fmt: skip
    while not (note.exists() and note.read_text()):
        assert restoring.poll() is None
        time.sleep(0.01)
    assert bring_down(into)
    restoring.wait(20)
    assert not into.exists()


def test_a_signal_right_after_the_address_is_the_orderly_end(restored):
    serving = subprocess.Popen(
        [sys.executable, "-m", "lake", "restore", "prometheus", "--snapshot", str(TODAY),
         "--into", str(restored.folder / "into"), "--serve", "--config", str(restored.config)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert serving.stdout.readline()
    serving.send_signal(signal.SIGINT)
    _, err = serving.communicate(timeout=60)
    assert serving.returncode == 0, err


def test_what_is_damaged_is_not_relied_on_by_a_fresh_snapshot(here, lake):
    config = ("--config", str(here.config))
    here.take("prometheus", DAY)
    biggest = max(here.manifest("prometheus", DAY).objects, key=lambda stored: stored.bytes)
    content = bytearray(here.store.read(biggest.key))
    content[len(content) // 2] ^= 1
    here.store.write(biggest.key, bytes(content))
    again = here.take("prometheus").manifest
    assert biggest in again.objects
    code, _, err = lake("snapshots", "verify", "prometheus", "--day", T, *config)
    assert (code, "lake snapshot prometheus --fresh" in err) == (1, True)
    assert lake("snapshot", "prometheus", "--fresh", *config)[0] == 0
    assert biggest not in here.manifest("prometheus").objects
    # Those after it rely on the sound ones, though a damaged one is still listed.
    here.take("prometheus")
    assert biggest not in here.manifest("prometheus").objects
    assert lake("snapshots", "verify", "prometheus", "--day", T, *config)[0] == 0


def test_damage_is_found_by_the_commands(here, lake, tmp_path):
    config = ("--config", str(here.config))
    here.take("prometheus")
    key = here.manifest("prometheus").objects[0].key
    content = bytearray(here.store.read(key))
    content[9] ^= 1
    here.store.write(key, bytes(content))
    code, out, _ = lake("snapshots", "verify", *config)
    assert (code, "DAMAGED" in out, key in out) == (1, True, True)
    code, _, err = lake(
        "restore", "prometheus", "--day", D, "--into", str(tmp_path / "back"), *config
    )
    assert (code, key in err) == (1, True)
    here.store.write(f"prometheus/{T.replace('-', '/')}/manifest.json", b"{")
    for command in (("snapshots",), ("snapshots", "verify")):
        code, out, err = lake(*command, *config)
        assert (code, "invalid snapshot manifest" in out + err) == (1, True)
    code, _, err = lake("snapshots", "verify", "--sample", "0%", *config)
    assert (code, "invalid --sample" in err) == (2, True)
    assert lake("snapshots", "verify", "--day", D, *config)[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("restore", "prometheus", "--into", "x"),
        ("restore", "prometheus", "--day", D, "--into", "x", "--grafana", "http://g"),
        ("restore", "mongo", "--day", D, "--into", "x", "--serve", "--grafana", "http://g"),
        ("restore", "prometheus", "--down", "--into", "nowhere"),
        ("snapshot", "mongo"),
        ("snapshot", "prometheus", "--day", D),
        ("restore", "prometheus", "--day", D, "--snapshot", T, "--into", "x"),
    ],
)
def test_wrong_usage(here, lake, arguments, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = () if "--down" in arguments else ("--config", str(here.config))
    assert lake(*arguments, *config)[0] == 2
    assert not (tmp_path / "x").exists()


def test_down_leaves_other_directories_alone(restored, lake, tmp_path):
    into = restored.folder / "into"
    code, _, err = lake("restore", "loki", "--into", str(into), "--down")
    assert (code, "another system" in err) == (2, True)
    assert into.exists()
    assert lake("restore", "prometheus", "--into", str(tmp_path), "--down")[0] == 2
    assert into.exists()
    assert lake("restore", "prometheus", "--into", str(into), "--down")[0] == 0
    assert not into.exists()


def test_down_removes_what_a_link_leads_to(restored, lake, tmp_path):
    (tmp_path / "link").symlink_to(restored.folder / "into")
    code, _, err = lake("restore", "prometheus", "--into", str(tmp_path / "link"), "--down")
    assert (code, err.splitlines()[-1]) == (0, f"{tmp_path / 'link'} removed")
    assert not (restored.folder / "into").exists()
    assert not (tmp_path / "link").is_symlink()


def test_a_port_that_is_taken(restored):
    with restored.served("prometheus") as served:
        port = int(served.endpoint["url"].rpartition(":")[2])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((LOOPBACK, port))
        other.listen()
        with restored.served("prometheus") as served:
            assert served.endpoint["url"] != f"http://{LOOPBACK}:{port}"
            assert served.checked == {"day_samples": 8640}


def test_a_server_that_can_t_start_shows_its_log(restored):
    (restored.folder / "into/prometheus/data/wal").write_text("no directory")
    with pytest.raises(PermanentError, match="ended while it was starting") as failed:
        restored.serve("prometheus")
    assert "not a directory" in failed.value.parts["found"]
    assert "server.log" in failed.value.parts["where"]


def test_a_machine_without_the_server(restored, lake, monkeypatch, tmp_path):
    into = restored.folder / "into"
    server = find("prometheus")
    assert server
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("LAKE_CACHE_DIR", str(tmp_path / "empty"))
    command = ("restore", "prometheus", "--day", D, "--into", str(into))
    code, _, err = lake(*command, "--config", str(restored.config))
    assert code == 0
    assert "note: no usable prometheus on this machine" in err
    code, _, err = lake(*command, "--serve", "--config", str(restored.config))
    assert code == 1
    assert "lake services install prometheus" in err
    assert "docker compose up" in err
    service = yaml.safe_load((into / "compose.yaml").read_text())["services"]["prometheus"]
    assert service["image"] == f"prom/prometheus:v{server.version}"
    (volume,) = service["volumes"]
    assert (into / volume.partition(":")[0] / "").is_dir()
    assert "--storage.tsdb.retention.time=100y" in service["command"]


def test_an_interrupted_snapshot_ends_in_order(here):
    """SIGTERM while it is stopped in the middle: nothing stays, not even on the server's disk."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lake", "snapshot", "prometheus", "--config", str(here.config)],
        env={**os.environ, "LAKE_FAULT": "SIGTERM begin prometheus/*/packs/*"},
    )
    assert process.wait(60) == 130
    assert not [stat for stat in here.store.list("") if "manifest" in stat.key]
    data = Path(here.settings.snapshots.prometheus.data_dir)
    assert list((data / "snapshots").iterdir()) == []
