"""Grafana's provisioning format and API calls. No Grafana server runs here: both are held
against its documentation, the calls by a server that records them."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

import pytest
import yaml
from support.serving import HttpServer, serving

from lake.base.errors import PermanentError, Refused, TransientError
from lake.restore.grafana import PROVISIONING, REMOVAL, added_to, write_provisioning

URL = {"url": "http://127.0.0.1:9"}


@pytest.fixture
def grafana():
    """Records (method, path, token, body); `status` says what it answers to a method."""
    requests_, status = [], {"DELETE": 404, "POST": 200}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            requests_.append((self.command, self.path, self.headers.get("Authorization"), body))
            self.send_response(status[self.command])
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_DELETE = do_POST  # noqa: N815

    server = HttpServer(Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}/grafana/", requests_, status


def test_a_source_is_there_while_the_server_is(grafana):
    url, requests_, status = grafana
    with added_to(url, "loki", "2026-07-05", URL, "two", {"GRAFANA_TOKEN": "t0ken"}):
        (removed, added) = requests_
        status["DELETE"] = 200
    uid = "/grafana/api/datasources/uid/lake-loki-2026-07-05"
    assert removed == ("DELETE", uid, "Bearer t0ken", None)
    method, path, _, body = added
    assert (method, path) == ("POST", "/grafana/api/datasources")
    assert body == {
        "name": "lake loki 2026-07-05",
        "uid": "lake-loki-2026-07-05",
        "type": "loki",
        "access": "proxy",
        "url": URL["url"],
        "jsonData": {"httpHeaderName1": "X-Scope-OrgID"},
        "secureJsonData": {"httpHeaderValue1": "two"},
    }
    assert requests_[2:] == [removed]


def test_an_error_takes_it_away_too(grafana):
    url, requests_, _ = grafana
    with pytest.raises(KeyError), added_to(url, "prometheus", "2026-07-05", URL, "", {}):
        raise KeyError
    assert [request[0] for request in requests_] == ["DELETE", "POST", "DELETE"]
    assert requests_[0][2] is None


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (401, Refused, "GRAFANA_TOKEN"),
        (403, Refused, "GRAFANA_TOKEN"),
        (409, PermanentError, "409"),
    ],
)
def test_what_grafana_refuses_is_told(grafana, answer, kind, text):
    url, _, status = grafana
    status["POST"] = answer
    with (
        pytest.raises(kind, match="Grafana") as failed,
        added_to(url, "loki", "2026-07-05", URL, "", {"GRAFANA_TOKEN": "s3cret-t0ken"}),
    ):
        pass
    assert text in str(failed.value)
    assert "s3cret-t0ken" not in str(failed.value)


def test_a_grafana_that_is_not_there():
    with (
        pytest.raises(TransientError, match="can't be reached"),
        added_to("http://127.0.0.1:1", "loki", "2026-07-05", URL, "", {}),
    ):
        pass
    with added_to(None, "loki", "2026-07-05", URL):
        pass
    with pytest.raises(PermanentError, match="no data source"), added_to("x", "mongo", "", {}):
        pass


def test_provisioning_files(tmp_path):
    with write_provisioning(tmp_path, "prometheus", "2026-07-05", URL):
        provisioning = yaml.safe_load((tmp_path / PROVISIONING).read_text())
        (source,) = provisioning["datasources"]
        assert provisioning["apiVersion"] == 1
        # Every key of it is one that Grafana documents for a provisioned data source.
        assert set(source) <= {"name", "uid", "type", "access", "url", "jsonData",
                               "secureJsonData", "orgId", "editable"}  # fmt: skip
        assert (source["type"], source["access"], source["url"]) == (
            "prometheus", "proxy", URL["url"],
        )  # fmt: skip
    assert not (tmp_path / PROVISIONING).exists()
    removal = yaml.safe_load((tmp_path / REMOVAL).read_text())
    assert removal == {"apiVersion": 1, "deleteDatasources": [{"name": source["name"], "orgId": 1}]}
    with write_provisioning(tmp_path / "none", "mongo", "2026-07-05", {}):
        assert not (tmp_path / "none").exists()
