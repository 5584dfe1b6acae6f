"""Each channel against a receiver of its own kind, and what it shows when it fails."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import requests
from support.on_request import needed
from support.receivers import http_receiver, smtp_receiver
from support.tls import certificates

from lake.alerts import Alert, open_channels
from lake.alerts.channels import deliver
from lake.config.settings import load
from lake.servers import start

FIRING = Alert(
    "LakeExportFailed",
    "critical",
    "export failed: events <b> & co",
    "where: x\nremedy: `y`",
    {"source": "mongo", "cause": "abc"},
    started_at=datetime(2026, 11, 28, 0, 31, tzinfo=UTC),
)
TOKEN = "T0AB12/B0CD34/xyzSECRETtoken99"
PASSWORD = "pass:word/0042"


def email(box, *more: str) -> str:
    lines = [
        "[alerts.email]",
        'host = "127.0.0.1"',
        f"port = {box.port}",
        'sender = "lake@example.org"',
        'to = ["ops@example.org", "on-call@example.org"]',
        *more,
    ]
    return "\n".join(lines) + "\n"


def sent(settings, alert=FIRING):
    return list(deliver(open_channels(settings), alert))


def test_a_webhook_gets_what_slack_takes(config, receiver):
    file = config(f'[alerts]\nwebhook_url = "{receiver.url}/hook"\n')
    (delivery,) = sent(load(file, {}))
    assert delivery.error is None
    ((method, path, body),) = receiver.requests
    assert (method, path, list(body)) == ("POST", "/hook", ["text"])
    assert "*critical: export failed: events &lt;b&gt; &amp; co*" in body["text"]
    assert "where: x\nremedy: `y`" in body["text"]


def test_an_email_arrives(config, mailbox):
    (delivery,) = sent(load(config(email(mailbox, "starttls = false")), {}))
    assert delivery.error is None
    (message,) = mailbox.messages
    assert message["Subject"] == "[monitoring-lake] critical: export failed: events <b> & co"
    assert mailbox.recipients == [["ops@example.org", "on-call@example.org"]]
    text = message.get_content().splitlines()
    assert {"where: x", "remedy: `y`", "cause: abc", "since: 2026-11-28 00:31 UTC"} <= set(text)


@pytest.mark.parametrize("place", ["environment", "file"])
def test_an_email_over_tls_with_a_login(config, tmp_path, place):
    made = certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server)
    with smtp_receiver(context, ("lake", PASSWORD)) as box:
        more = ['username = "lake"', f'ca_file = "{made.ca}"']
        env = {}
        if place == "file":
            (tmp_path / "password").write_text(PASSWORD + "\n")
            more.append('password_file = "password"')
        else:
            env["LAKE_ALERTS__EMAIL__PASSWORD"] = PASSWORD
        (delivery,) = sent(load(config(email(box, *more)), env))
        assert delivery.error is None
        assert (box.logins, box.over_tls, len(box.messages)) == ([("lake", PASSWORD)], [True], 1)
        # An authority that is not trusted: nothing is said to such a server.
        untrusting = load(config(email(box, 'username = "lake"')), env | {
            "LAKE_ALERTS__EMAIL__PASSWORD": PASSWORD
        })  # fmt: skip
        (delivery,) = sent(untrusting)
        assert "TLS: certificate verify failed" in str(delivery.error)
        assert len(box.logins) == 1


@pytest.mark.parametrize("by", ["setting", "port"])
def test_an_email_over_tls_from_the_first_byte(config, tmp_path, monkeypatch, by):
    made = certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server)
    with smtp_receiver(context, ("lake", PASSWORD), implicit=True) as box:
        env = {"LAKE_ALERTS__EMAIL__PASSWORD": PASSWORD}
        more = ['username = "lake"', f'ca_file = "{made.ca}"']
        if by == "setting":
            more.append("implicit_tls = true")
        else:  # its own port is above 1023
            monkeypatch.setattr("lake.config.alerts._SMTPS", box.port)
        (delivery,) = sent(load(config(email(box, *more)), env))
        assert delivery.error is None
        assert (box.logins, box.over_tls, len(box.messages)) == ([("lake", PASSWORD)], [True], 1)
        untrusting = [line for line in more if "ca_file" not in line]
        (delivery,) = sent(load(config(email(box, *untrusting)), env))
        assert "TLS: certificate verify failed" in str(delivery.error)
        assert len(box.logins) == 1


@pytest.mark.parametrize(("port", "more", "implicit"), [
    (465, "", True),
    (587, "", False),
    (465, "implicit_tls = false", False),
    (2465, "implicit_tls = true", True),
    (465, "starttls = false", True),
])  # fmt: skip
def test_which_ports_begin_with_tls(config, port, more, implicit):
    lines = ['host = "mail.example.org"', f"port = {port}", 'sender = "a@b"', 'to = ["c@d"]']
    file = config("\n".join(["[alerts.email]", *lines, 'username = "u"', more]) + "\n")
    section = load(file, {"LAKE_ALERTS__EMAIL__PASSWORD": PASSWORD}).alerts.email
    assert section.begins_with_tls is implicit


@pytest.mark.servers
def test_a_real_alertmanager(config):
    needed("alertmanager")
    with start(["alertmanager"]) as running:
        url = running.endpoints["alertmanager"]["url"]
        settings = load(config(f'[alerts]\nalertmanager_url = "{url}"\n'), {})
        (delivery,) = sent(settings)
        assert delivery.error is None
        (alert,) = requests.get(f"{url}/api/v2/alerts", timeout=20).json()
        assert alert["labels"] == {
            "alertname": "LakeExportFailed",
            "severity": "critical",
            "source": "mongo",
            "cause": "abc",
        }
        assert alert["annotations"]["summary"] == "export failed: events <b> & co"
        assert alert["status"]["state"] == "active"
        assert datetime.fromisoformat(alert["endsAt"]) > datetime.now(UTC) + timedelta(hours=2)
        resolved = Alert.from_json(
            FIRING.to_json() | {"ended_at": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()}
        )
        (delivery,) = sent(settings, resolved)
        assert delivery.error is None
        assert requests.get(f"{url}/api/v2/alerts", timeout=20).json() == []


def test_lake_alert_test(config, receiver, mailbox, run):
    file = config(
        f'[alerts]\nwebhook_url = "{receiver.url}/hook"\nheartbeat_url = "{receiver.url}/beat"\n'
        + email(mailbox, "starttls = false")
    )
    code, out, err = run("alert", "test", "--config", file, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "channels": [
            {"channel": name, "ok": True, "error": None}
            for name in ("webhook", "email", "heartbeat")
        ]
    }
    assert [request[:2] for request in receiver.requests] == [("POST", "/hook"), ("GET", "/beat")]
    assert "test message of monitoring-lake" in mailbox.messages[0]["Subject"]
    receiver.status = 500
    code, out, _ = run("alert", "test", "--config", file)
    assert code == 1
    assert "webhook      failed: the webhook does not accept the message" in out
    assert "email        accepted" in out
    assert run("alert", "test", "--config", config(""))[0] == 2


@pytest.mark.parametrize("answer", ["refused", "error", "gone", "unresolved"])
@pytest.mark.parametrize("place", ["environment", "file"])
def test_no_secret_when_the_webhook_fails(config, tmp_path, run, caplog, answer, place):
    """In errors, logs and JSON; the receiver repeats the URL in its answer."""
    caplog.set_level(logging.DEBUG)
    with http_receiver() as closed:
        host = closed.url
    host = "http://no.such.host.invalid" if answer == "unresolved" else host
    with http_receiver() as running:
        running.status = {"refused": 403, "error": 502}.get(answer, 200)
        running.answer = f"no such hook: /services/{TOKEN}"
        url = f"{running.url if answer in ('refused', 'error') else host}/services/{TOKEN}"
        env = {}
        if place == "file":
            (tmp_path / "hook").write_text(url + "\n")
            file = config('[alerts]\nwebhook_url_file = "hook"\n')
        else:
            file, env = config(""), {"LAKE_ALERTS__WEBHOOK_URL": url}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            shown = [*map(str, run("--verbose", "alert", "test", "--config", file))]
            shown += [*map(str, run("alert", "test", "--config", file, "--json"))]
        settings = load(file, env)
        shown += [repr(settings), str(settings), repr(open_channels(settings))]
        shown += [str(sent(settings)[0].error), repr(sent(settings))]
    assert shown[0] == "1"
    assert "the webhook does not" in shown[1]
    for text in shown:
        assert "SECRETtoken" not in text
        assert TOKEN not in text
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("lake")]
    assert not any("SECRETtoken" in text for text in ours)


def test_no_password_when_the_login_fails(config, tmp_path, run, monkeypatch):
    made = certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server)
    monkeypatch.setenv("LAKE_ALERTS__EMAIL__PASSWORD", PASSWORD)
    with smtp_receiver(context, ("lake", "another")) as box:
        file = config(email(box, 'username = "lake"', f'ca_file = "{made.ca}"'))
        code, out, err = run("alert", "test", "--config", file)
    assert (code, err) == (1, "")
    assert "the mail server refuses the login" in out
    assert "SMTP 535" in out
    assert box.logins[0] == ("lake", PASSWORD)
    assert PASSWORD not in out + err


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('webhook_url = "https://hooks.slack.com/s/T0AB12CDE/B0CD34EFG/x"', "a secret in the"),
        ('heartbeat_url = "https://hc.example/1b2c3d4e-5f60"', "a secret in the"),
        ('webhook_url = "ftp://x"', "begins with http:// or https://"),
        ('webhook_url = "http://a/b"\nwebhook_url_file = "x"', "not both"),
        ("critical_hours = 72", "at most warn_hours"),
        ('[alerts.email]\nhost = "h"\nsender = "a@b"\nto = ["a@b"]\npassword = "p"', "a secret"),
        ('[alerts.email]\nhost = "h"\nsender = "a"\nto = ["a@b"]', "one address"),
        (
            '[alerts.email]\nhost = "h"\nsender = "a@b"\nto = ["a@b"]\nusername = "u"\n'
            "starttls = false",
            "in the clear",
        ),
        (
            '[alerts.email]\nhost = "h"\nsender = "a@b"\nto = ["a@b"]\nimplicit_tls = true\n'
            "starttls = true",
            "not both",
        ),
    ],
)  # fmt: skip
def test_wrong_settings(config, run, line, text):
    code, _, err = run("alert", "test", "--config", config(f"[alerts]\n{line}\n"))
    assert code == 2
    assert text in err
    assert "T0AB12CDE" not in err
    assert "1b2c3d4e" not in err


def test_a_secret_file_that_is_not_there_stops_no_other_channel(config, mailbox, run):
    file = config('[alerts]\nwebhook_url_file = "gone"\n' + email(mailbox, "starttls = false"))
    code, out, _ = run("alert", "test", "--config", file)
    assert code == 1
    assert "webhook      failed: a secret's file can't be read" in out
    assert len(mailbox.messages) == 1


def test_recipients_of_the_environment(config, mailbox):
    file = config(email(mailbox, "starttls = false"))
    env = {"LAKE_ALERTS__EMAIL__TO": "one@example.org, two@example.org"}
    sent(load(file, env))
    assert mailbox.recipients == [["one@example.org", "two@example.org"]]


def test_half_of_a_secret_is_not_shown(config, receiver):
    receiver.status, receiver.answer = 404, "x" * 190 + f"/services/{TOKEN} was not found"
    file = config("[alerts]\n")
    env = {"LAKE_ALERTS__WEBHOOK_URL": f"{receiver.url}/services/{TOKEN}"}
    (delivery,) = sent(load(file, env))
    assert "HTTP 404" in str(delivery.error)
    assert "/serv" not in str(delivery.error)


@pytest.mark.parametrize("status", [200, 302, 500])
def test_an_answer_without_end_is_not_read_to_its_end(config, status):
    def endless(connection: socket.socket) -> None:
        connection.recv(65536)
        with suppress(OSError):
            connection.sendall(
                f"HTTP/1.1 {status} x\r\nLocation: http://127.0.0.1:1/\r\n\r\n".encode()
            )
            while True:
                connection.sendall(b"x" * 65536)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: endless(server.accept()[0]), daemon=True)
        thread.start()
        port = server.getsockname()[1]
        file = config(f'[alerts]\nwebhook_url = "http://127.0.0.1:{port}/hook"\n')
        (delivery,) = sent(load(file, {}))
        thread.join(10)
    assert not thread.is_alive()
    assert (delivery.error is None) == (status == 200)
    assert status == 200 or f"HTTP {status}" in str(delivery.error)
