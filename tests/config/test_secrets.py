"""Secrets of the configuration: refused in the file, read from the environment, never shown.

Belongs here: every place that a secret may stand in, and each message about it. Does not: keys
without secrets (test_settings.py), texts that are redacted (tests/base/test_redaction.py).
"""

from __future__ import annotations

import json

import pytest
from support.settings_file import refusal, replaced

from lake.base.errors import LakeError
from lake.config.overrides import without_secrets
from lake.config.settings import load


@pytest.mark.parametrize(
    ("old", "new", "variable"),
    [
        ('tenant = "t1"', 'password = "hunter22"', "LAKE_SOURCES__LOKI__PASSWORD"),
        ('tenant = "t1"', 'bearer_token = "hunter22"', "LAKE_SOURCES__LOKI__BEARER_TOKEN"),
        ('tenant = "t1"', 'headers = {Authorization = "hunter22"}', "LAKE_SOURCES__LOKI__HEADERS"),
        *(
            ('tenant = "t1"', f'headers = {{{name} = "hunter22"}}', "LAKE_SOURCES__LOKI__HEADERS")
            for name in ("X-JWT-Assertion", "X-Credential", "X-Hub-Signature", "X-Passwd")
        ),
        ("mongodb://", "mongodb://me:hunter22@", "LAKE_SOURCES__MONGO__URI"),
        ("27017", "1/?tls=true&tlsCertificateKeyFilePassword=hunter22", "LAKE_SOURCES__MONGO__URI"),
        ("27017", "1/?TLSCERTIFICATEKEYFILEPASSWORD=hunter22", "LAKE_SOURCES__MONGO__URI"),
        (
            "27017",
            "1/?authMechanismProperties=A:b,AWS_SESSION_TOKEN:hunter22",
            "LAKE_SOURCES__MONGO__URI",
        ),
        (
            "27017",
            "1/?authMechanismProperties=AWS_SESSION_TOKEN%3Ahunter22%2CA:b&w=1",
            "LAKE_SOURCES__MONGO__URI",
        ),
        ("http://127.0.0.1:9090", "http://me:hunter22@h", "LAKE_SOURCES__PROMETHEUS__URL"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(file, old, new, variable):
    error = refusal(replaced(file, old, new))
    assert error.what == "a secret in the configuration file"
    assert variable in error.parts["remedy"]
    assert "hunter22" not in str(error)


def test_headers_without_secrets_may_stand_in_the_file(file):
    replaced(file, 'tenant = "t1"', 'headers = {X-Team = "chat"}')
    assert load(str(file), {}).sources.loki.headers == {"X-Team": "chat"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LAKE_SOURCES__MONGO__URI", "mongodb://me:p%40ss%2Fw0rd-1@h:1/?authSource=admin"),
        (
            "LAKE_SOURCES__MONGO__URI",
            "mongodb://h:1/?w=1&tlsCertificateKeyFilePassword=p%40ss%2Fw0rd-1&appName=x",
        ),
        (
            "LAKE_SOURCES__MONGO__URI",
            "mongodb://h:1/?authMechanismProperties=AWS_SESSION_TOKEN:p%40ss%2Fw0rd-1,A:b",
        ),
        ("LAKE_SOURCES__PROMETHEUS__URL", "https://me:p%40ss%2Fw0rd-1@h:1/prefix"),
        ("LAKE_SOURCES__LOKI__BEARER_TOKEN", "p@ss/w0rd-1"),
        ("LAKE_SOURCES__LOKI__HEADERS", json.dumps({"X-Api-Key": "p@ss/w0rd-1"})),
        ("AWS_SECRET_ACCESS_KEY", "p@ss/w0rd-1"),
    ],
)
def test_secrets_of_the_environment_are_redacted_in_every_spelling(file, variable, value):
    load(str(file), {variable: value})
    for spelling in ("p@ss/w0rd-1", "p%40ss%2Fw0rd-1"):
        assert spelling not in str(LakeError("failed", found=f"login {spelling} refused"))


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://me:pa/ss-Q@h",
        "mongodb://me:pa?ss-Q@h",
        "mongodb://me:1/ss-Q@h",
        "mongodb://me:1 /ss-Q@h",
        "mongodb://me:p@/# ss-Q@h",
        "mongodb://me:p@? ss-Q@h/db",
        "mongodb://me x@y:p@&:/ss-Q@h/db",
        "mongodb://me x@y:p@a/ ss-Q@h/db",
        "mongodb+srv://me:p@a/ ss-Q@h/db",
        "me:pass-Q@h",
        "http://me:ss-Q@h",
    ],
)
def test_a_wrong_uri_does_not_show_its_password(file, uri):
    error = refusal(file, {"LAKE_SOURCES__MONGO__URI": uri})
    assert "ss-Q" not in str(error)
    if uri.startswith("mongodb"):
        assert "percent-encode" in error.parts["expected"]


def test_hosts_and_options_with_odd_signs_are_fine(file):
    for uri in (
        "mongodb://h:1,[::1]:2/?appName=@x@",
        "mongodb://u:p@h:1/?appName=@x@",
        "mongodb://u:p@h_1:1,[::1]/d?appName=@x@",
        "mongodb://u:p@%2Ftmp%2Fm.sock/d?appName=@x@",
    ):
        assert load(str(file), {"LAKE_SOURCES__MONGO__URI": uri}).sources.mongo.uri == uri
    url = "http://h:1/team@b/prometheus"
    assert load(str(file), {"LAKE_SOURCES__PROMETHEUS__URL": url}).sources.prometheus.url == url


def test_options_of_a_uri_that_are_no_secrets_may_stand_in_the_file(file):
    uri = "mongodb://h:1/?authMechanismProperties=SERVICE_NAME:x&tlsCertificateKeyFile=/a.pem"
    replaced(file, "mongodb://127.0.0.1:27017", uri)
    assert load(str(file), {}).sources.mongo.uri == uri
    assert without_secrets(uri) == uri
    secret = "tlsCertificateKeyFilePassword=x&authMechanismProperties=AWS_SESSION_TOKEN:y"
    assert without_secrets(f"mongodb://u:p@h/d?w=1&{secret}") == "mongodb://h/d?w=1"
    assert without_secrets(f"mongodb://u:p@h/d?{secret}") == "mongodb://h/d"


TOKEN = "T0k3n/T0k3n"

_PROMETHEUS = "LAKE_SOURCES__PROMETHEUS__"


@pytest.mark.parametrize(
    ("variable", "value", "read", "expected"),
    [
        ("BEARER_TOKEN", TOKEN + "\n", lambda s: s.bearer_token.get_secret_value(), TOKEN),
        ("BEARER_TOKEN", f"\ufeff {TOKEN}\r\n", lambda s: s.bearer_token.get_secret_value(), None),
        ("PASSWORD", " pä: \r\n", lambda s: s.password.get_secret_value(), " pä: "),
        ("USERNAME", "me\n", lambda s: s.username, "me"),
        ("TENANT", "team-a\n", lambda s: s.tenant, "team-a"),
        (
            "HEADERS",
            json.dumps({"X-Api-Key": TOKEN + "\n"}),
            lambda s: s.headers,
            {"X-Api-Key": TOKEN},
        ),
        ("URL", f"http://me:{TOKEN.replace('/', '%2F')}@h:1\n", lambda s: s.url[-4:], "@h:1"),
        ("CA_FILE", "/etc/ca.pem\n", lambda s: s.ca_file, "/etc/ca.pem"),
    ],
)
def test_a_line_break_at_the_end_of_a_secret_is_stripped(file, variable, value, read, expected):
    if expected is None:  # a byte order mark is no part of Latin-1
        assert "T0k3n" not in str(refusal(file, {_PROMETHEUS + variable: value}))
    else:
        assert read(load(str(file), {_PROMETHEUS + variable: value}).sources.prometheus) == expected


def test_a_line_break_at_the_end_of_a_mongo_uri_is_stripped(file):
    uri = "mongodb://me:p%40ss@h:1/?authSource=admin"
    assert load(str(file), {"LAKE_SOURCES__MONGO__URI": uri + "\n"}).sources.mongo.uri == uri


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (_PROMETHEUS + "BEARER_TOKEN", "T0k3n\nT0k3n"),
        (_PROMETHEUS + "BEARER_TOKEN", "T0k3n\u2028T0k3n"),
        (_PROMETHEUS + "BEARER_TOKEN", "T0k3n Ω"),
        (_PROMETHEUS + "BEARER_TOKEN", "T0k3n\udce9"),  # bytes that are not UTF-8
        (_PROMETHEUS + "PASSWORD", "T0k3n\udce9"),
        (_PROMETHEUS + "PASSWORD", "T0k3n\rT0k3n"),
        (_PROMETHEUS + "USERNAME", "T0k3n\nT0k3n"),
        (_PROMETHEUS + "HEADERS", json.dumps({"X-Api-Key": "T0k3n\nT0k3n"})),
        (_PROMETHEUS + "HEADERS", json.dumps({"X-Team": "T0k3nΩ"})),
        (_PROMETHEUS + "HEADERS", json.dumps({"X-Api-Key: T0k3n": ""})),
        (_PROMETHEUS + "HEADERS", json.dumps({"X-Api-Key": ["T0k3n"]})),
        (_PROMETHEUS + "HEADERS", json.dumps({"X-Api-Key": 12345678})),
        (_PROMETHEUS + "HEADERS", '{"X-Api-Key": "T0k3n'),
        (_PROMETHEUS + "URL", "T0k3n@host"),
        (_PROMETHEUS + "URL", "http://me:T0k3n@host:99999"),
        (_PROMETHEUS + "URL", "http://me:T0k3n@[::1"),
        ("LAKE_SOURCES__MONGO__URI", "mongodb://me:T0k3n%0A@h:1/"),
        ("LAKE_SOURCES__MONGO__URI", "mongodb://me:T0k3n\n@h:1/"),
        ("LAKE_SOURCES__MONGO__URI", "mongodb:/me:T0k3n"),
        ("LAKE_SOURCES__MONGO__URI", "mongodb://h/?tlsCertificateKeyFilePassword=T0k3n%0D%0A"),
    ],
)
def test_a_secret_that_cannot_be_sent_is_refused_and_not_shown(file, variable, value, monkeypatch):
    monkeypatch.setattr("lake.base.redaction._secrets", set())  # of other tests
    error = refusal(file, {variable: value})
    assert "T0k3n" not in str(error)
    assert "12345678" not in str(error)
    assert variable in error.parts["where"]
    assert error.parts["expected"]


@pytest.mark.parametrize(
    "variable",
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
     "AWS_CONTAINER_AUTHORIZATION_TOKEN"],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", " ", "é"])
def test_aws_keys_with_a_line_break_are_refused_and_not_shown(file, variable, end):
    env = {variable: "T0k3nT0k3n" + end}
    error = refusal(file, {**env, "LAKE_LAKE__ROOT": "s3://bucket"})
    assert "T0k3n" not in str(error)
    assert variable in error.parts["where"]
    assert f'{variable}="$(cat FILE)"' in error.parts["remedy"]
    load(str(file), env)  # a root in a directory needs no keys


def test_a_secret_of_the_file_that_is_no_text_is_not_shown(file):
    replaced(file, 'tenant = "t1"', "headers = {X-Api-Key = 12345678}")
    assert "12345678" not in str(refusal(file))


@pytest.mark.parametrize(
    "url", ["http://me:hunter22@h:1", "https://h/?token=hunter22", "https://h/#hunter22"]
)
def test_an_endpoint_of_s3_has_no_place_for_secrets(url: str, file) -> None:
    """Neither in the file nor in the environment: AWS' own variables have the keys."""
    in_environment = refusal(file, {"LAKE_S3__ENDPOINT_URL": url})
    in_file = refusal(replaced(file, "http://127.0.0.1:8333", url))
    for message in map(str, (in_file, in_environment)):
        assert "AWS" in message
        assert "hunter22" not in message
        assert "LAKE_S3__ENDPOINT_URL" not in message.partition("remedy")[2]
