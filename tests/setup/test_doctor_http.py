"""`lake doctor` on Prometheus and Loki: addresses, queries, retention, snapshots.

Belongs here: checks of both sources and of their datasets. Does not: MongoDB
(test_doctor_mongo.py).
"""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

import pytest
from support.doctor_checks import only_line
from support.serving import HttpServer, serving

from lake.servers.ports import free_ports

HTTP = """
[lake]
root = "data"
[sources.prometheus]
url = "{prometheus}"
[sources.loki]
url = "{loki}"
[[dataset]]
name = "metrics"
source = "prometheus"
query = '{query}'
mode = "{mode}"
[[dataset]]
name = "lines"
source = "loki"
selector = '{selector}'
"""

GOOD = {"query": "http_server_requests_seconds_count", "mode": "range", "selector": '{a="b"}'}


@pytest.mark.parametrize(
    ("changes", "subject", "state", "text"),
    [
        ({}, "dataset metrics", "ok", "the query returns"),
        ({"mode": "raw"}, "dataset metrics", "ok", "the query returns"),
        ({"query": "sum(rate(up[5m]))"}, "dataset metrics", "warn", "returns nothing now"),
        ({"query": "1 + 1"}, "dataset metrics", "ok", "returns 1 series"),
        ({"query": "sum(("}, "dataset metrics", "fail", "correct `query`"),
        ({"query": "sum(up)", "mode": "raw"}, "dataset metrics", "fail", "selectors only"),
        ({"selector": '{container=~".+"}'}, "dataset lines", "ok", "finds lines"),
        ({"selector": '{none="x"}'}, "dataset lines", "warn", "no line since yesterday"),
        ({"selector": "{container="}, "dataset lines", "fail", "not a log selector"),
    ],
)
def test_queries_and_selectors(doctor, endpoints, changes, subject, state, text):
    _, checks = doctor(HTTP.format(**endpoints, **(GOOD | changes)))
    assert text in only_line(checks, subject, state)
    assert checks["prometheus"][0][0] == checks["loki"][0][0] == "ok"


def test_servers_that_are_away_or_swapped(doctor, endpoints):
    port = free_ports(["x"])["x"]
    away = endpoints | {"prometheus": f"http://127.0.0.1:{port}"}
    _, checks = doctor(HTTP.format(**away, **GOOD))
    assert "connection failed" in only_line(checks, "prometheus", "fail")
    assert checks["loki"][0][0] == "ok"
    swapped = {"prometheus": endpoints["loki"], "loki": endpoints["prometheus"]}
    _, checks = doctor(HTTP.format(**swapped, **GOOD))
    for source in swapped:
        assert f"[sources.{source}]" in only_line(checks, source, "fail")


def test_retention_shorter_than_configured(doctor, endpoints):
    hot = "[hot]\nprometheus = 40000\n"
    _, checks = doctor(HTTP.format(**endpoints, **GOOD) + hot)
    line = only_line(checks, "prometheus", "fail")
    assert "keeps 36500 days only" in line


def test_what_snapshots_read(doctor, filled, endpoints, tmp_path):
    """Warnings: exports need none of it."""
    plain = HTTP.format(**endpoints, **GOOD)
    own = {name: filled[0].endpoints[name] for name in ("prometheus", "loki")}
    section = "[snapshots.{0}]\ndata_dir = '{1}'\n"
    good = section.format("prometheus", own["prometheus"]["data_dir"])
    good += section.format("loki", own["loki"]["data_dir"])
    good += f"config_file = '{own['loki']['config_file']}'\n"
    _, checks = doctor(plain + good)
    lines = checks["snapshots of prometheus"] + checks["snapshots of loki"]
    assert [state for state, _ in lines] == ["ok"] * 4
    away = section.format("prometheus", tmp_path / "p") + section.format("loki", tmp_path / "l")
    _, checks = doctor(plain + away + f"config_file = '{tmp_path / 'c.yml'}'\n")
    line = only_line(checks, "snapshots of prometheus", "warn")
    assert f"[snapshots.prometheus] data_dir: no such directory: {tmp_path / 'p'}" in line
    assert "mount the volume here (writable)" in line
    (_, directory), (_, file) = checks["snapshots of loki"]
    assert "mount the volume here (read-only), or run `lake snapshot loki`" in directory
    assert "set [snapshots.loki] config_file to the server's file" in file


class Flags(BaseHTTPRequestHandler):
    """A Prometheus as far as its flags."""

    answer = b""

    def do_GET(self) -> None:
        is_flags = self.path.startswith("/api/v1/status/flags") and self.answer
        self.send_response(200 if is_flags else 503)
        self.end_headers()
        self.wfile.write(self.answer if is_flags else b"")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b'{"data": {"web.enable-admin-api": "false"}}', "admin API is off"),
        (b'{"data": {"web.enable-admin-api": "true"}}', "admin API is on"),
        (b'{"data": {}}', "can't be read"),
        (b"", "can't be read"),
    ],
)
def test_the_admin_api(doctor, monkeypatch, answer, text):
    monkeypatch.setattr(Flags, "answer", answer)
    server = HttpServer(Flags)
    with serving(server):
        url = f"http://127.0.0.1:{server.server_port}"
        _, checks = doctor(f"[lake]\nroot = 'data'\n[sources.prometheus]\nurl = '{url}'\n")
    state, line = checks["snapshots of prometheus"][1]
    assert text in line
    assert (state == "ok") == (text == "admin API is on")
