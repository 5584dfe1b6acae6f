import json
from pathlib import Path

import pytest

from lake.base.errors import ConfigError, LakeError, UsageError
from lake.config.overrides import without_secrets
from lake.config.settings import load

WHOLE = """
[lake]
root = "data"
[s3]
endpoint_url = "http://127.0.0.1:8333"
region = "ap-northeast-2"
[sources.mongo]
uri = "mongodb://127.0.0.1:27017"
database = "miyou"
[sources.prometheus]
url = "http://127.0.0.1:9090"
[sources.loki]
url = "http://127.0.0.1:3100"
tenant = "t1"
[snapshots.mongo]
tool = "native"
[hot]
mongo = 90
[[dataset]]
name = "usage_analytics"
source = "mongo"
collection = "usage_analytics"
[[dataset]]
name = "http_server_requests"
source = "prometheus"
query = '{__name__=~"http_.*"}'
[[dataset]]
name = "container__logs"
source = "loki"
selector = '{container=~".+"}'
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "lake.toml"
    path.write_text(WHOLE)
    return path


def replaced(file: Path, old: str, new: str) -> Path:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return file


def refusal(file: Path, env: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(str(file), env or {})
    assert caught.value.exit_code == 2
    return caught.value


def test_the_whole_file(file):
    settings = load(str(file), {})
    assert settings.lake.root == str(file.parent / "data")
    assert [d.name for d in settings.dataset] == [
        "usage_analytics",
        "http_server_requests",
        "container__logs",
    ]
    assert settings.dataset[0].time_field == "timestamp"
    assert settings.dataset[1].step_ms == 15_000
    assert (settings.hot.mongo, settings.hot.prometheus, settings.hot.loki) == (90, 15, 30)


@pytest.mark.parametrize(
    ("old", "new", "name", "section", "valid"),
    [
        ("[lake]", "colour = 1\n[lake]", "colour", "top level", "lake, s3, sources"),
        ("[hot]\n", "[hot]\nmongoo = 1\n", "mongoo", "[hot]", "mongo, prometheus, loki"),
        ("[sources.loki]", "[sources.lokki]", "lokki", "[sources]", "mongo, prometheus, loki"),
        ("tenant =", "tennant =", "tennant", "[sources.loki]", "url, tenant, headers"),
        ("tool =", "tools =", "tools", "[snapshots.mongo]", "tool"),
        (
            "collection =",
            "colection =",
            "colection",
            "[[dataset]] usage_analytics",
            "name, source, columns, collection, time_field, time_fallback",
        ),
        ("region =", "secret_access_key =", "secret_access_key", "[s3]", "endpoint_url, region"),
    ],
)
def test_an_unknown_key_names_the_valid_ones(file, old, new, name, section, valid):
    error = refusal(replaced(file, old, new))
    if name == "colection":  # the key that is missing for it is not what the user got wrong
        assert error.what == "unknown key 'colection'"
        assert error.parts["remedy"] == "did you mean collection?"
    assert error.what == f"unknown key {name!r}"
    assert error.parts["where"] == f"{file}: {section}"
    assert valid in error.parts["expected"]


@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [
        ("LAKE_LAKE__ROOT", "s3://bucket/a", lambda s: s.lake.root),
        ("LAKE_S3__ENDPOINT_URL", "http://h:1", lambda s: s.s3.endpoint_url),
        ("LAKE_S3__KMS_KEY_ID", "alias/x", lambda s: s.s3.kms_key_id),
        ("LAKE_SOURCES__MONGO__URI", "mongodb://h:1", lambda s: s.sources.mongo.uri),
        ("LAKE_SOURCES__MONGO__DATABASE", "d", lambda s: s.sources.mongo.database),
        ("LAKE_SOURCES__LOKI__TENANT", "[1]", lambda s: s.sources.loki.tenant),
        (
            "LAKE_SOURCES__PROMETHEUS__PASSWORD",
            "{}",
            lambda s: s.sources.prometheus.password.get_secret_value(),
        ),
        ("LAKE_SNAPSHOTS__LOKI__DATA_DIR", "/x", lambda s: s.snapshots.loki.data_dir),
        ("LAKE_HOT__LOKI", "7", lambda s: str(s.hot.loki)),
        ("LAKE_DATASET__HTTP_SERVER_REQUESTS__STEP", "30s", lambda s: s.dataset[1].step),
        ("LAKE_DATASET__CONTAINER__LOGS__SELECTOR", '{a="b"}', lambda s: s.dataset[2].selector),
    ],
)
def test_the_environment_overrides_every_key(file, variable, value, read):
    assert read(load(str(file), {variable: value})) == value


def test_the_environment_adds_a_section_and_headers(tmp_path):
    file = tmp_path / "lake.toml"
    file.write_text('[lake]\nroot = "x"\n')
    env = {
        "LAKE_SOURCES__LOKI__URL": "http://h:3100",
        "LAKE_SOURCES__LOKI__HEADERS": '{"X-Team": "chat"}',
        "LAKE_PORT": "tcp://10.0.0.1:80",  # Kubernetes, for a service called lake
    }
    assert load(str(file), env).sources.loki.headers == {"X-Team": "chat"}


@pytest.mark.parametrize(
    ("variable", "value", "what", "valid"),
    [
        ("LAKE_LAKE__ROOTT", "x", "unknown key 'roott'", "root"),
        ("LAKE_HOTT__LOKI", "1", "unknown key 'hott'", "lake, s3, sources"),
        ("LAKE_SOURCES__MONGO__URL", "x", "unknown key 'url'", "uri, database"),
        ("LAKE_DATASET__NONE__STEP", "1s", "no dataset 'none'", "container__logs"),
        (
            "LAKE_DATASET__USAGE_ANALYTICS__STEP",
            "1s",
            "unknown key 'step'",
            "collection, time_field",
        ),
        ("LAKE_HOT__LOKI", "many", "wrong value for 'loki'", "integer"),
        ("LAKE_DATASET__HTTP_SERVER_REQUESTS__STEP", "0s", "wrong value for 'step'", "above 0"),
        ("LAKE_DATASET__HTTP_SERVER_REQUESTS__SOURCE", "promql", "unknown source", "prometheus"),
        ("LAKE_SOURCES__LOKI__HEADERS", "X: y", "headers are a JSON object", '{"X-Team"'),
        ("LAKE_LAKE__ROOT__X", "1", "'root' is no section", None),
        ("LAKE_LAKE__ROOT", "", "wrong value for 'root'", "1 character"),
    ],
)
def test_a_wrong_variable_is_named(file, variable, value, what, valid):
    error = refusal(file, {variable: value})
    assert what in error.what
    assert variable in error.parts["where"]
    assert valid is None or valid in error.parts["expected"]


@pytest.mark.parametrize(
    ("old", "new", "what", "remedy"),
    [
        ('source = "mongo"\n', "", "'source' is not set", "USAGE_ANALYTICS__SOURCE"),
        ('source = "mongo"', 'source = "mongodb"', "unknown source 'mongodb'", "mean mongo?"),
        ('name = "usage_analytics"\n', "", "'name' is not set", None),
        ('root = "data"', "", "'root' is not set", "LAKE_LAKE__ROOT"),
        ('database = "miyou"', "", "'database' is not set", "LAKE_SOURCES__MONGO__DATABASE"),
        ('"usage_analytics"', '"Usage"', "wrong value for 'name'", None),
        ('"http_server_requests"', '"usage_analytics"', "two datasets are called", "rename"),
        ("[sources.loki]\n", "[sources.prometheus.headers]\nurl=", None, None),
        ('[sources.mongo]\nuri = "mongodb://127.0.0.1:27017"\ndatabase = "miyou"\n', "",
         "reads from mongo, which is not configured", "add [sources.mongo]"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong(file, old, new, what, remedy):
    error = refusal(replaced(file, old, new))
    assert what is None or what in error.what
    assert remedy is None or remedy in error.parts["remedy"]
    assert "pydantic" not in str(error).lower()
    assert "Value error" not in str(error)


def test_one_bracket_is_no_list_of_datasets(tmp_path):
    file = tmp_path / "lake.toml"
    file.write_text('[lake]\nroot = "x"\n[dataset]\nname = "a"\n')
    assert "two brackets" in refusal(file).parts["remedy"]


@pytest.mark.parametrize(
    ("root", "resolved"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket//a//b/", "s3://bucket/a/b"),
        ("/var/lib/lake", "/var/lib/lake"),
    ],
)
def test_roots(file, root, resolved):
    assert load(str(file), {"LAKE_LAKE__ROOT": root}).lake.root == resolved


@pytest.mark.parametrize(
    "root",
    ["s3://", "s3:///prefix", "s3://b", "gs://bucket", "file:///x", "C:\\lake", "C:/lake", "a\\b",
     "data/*", "s3://bucket/a?b", "x/env=prod", "s3://bu cket", "a\nb"],
)  # fmt: skip
def test_odd_roots_are_refused(file, root):
    error = refusal(file, {"LAKE_LAKE__ROOT": root})
    assert error.what == "not a root"
    assert "s3://bucket" in error.parts["expected"]


def test_the_home_of_an_unknown_user_is_no_root(file):
    root = "~no-such-user-of-this-machine/x"
    error = refusal(file, {"LAKE_LAKE__ROOT": root})
    assert "home of a user" in error.what
    assert error.parts["found"] == root


@pytest.mark.parametrize("root", ["../lake", "~/lake", "."])
def test_a_relative_root_starts_where_the_file_lies(file, monkeypatch, root):
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", "/home/someone")
    expected = {"../lake": file.parent.parent / "lake", "~/lake": "/home/someone/lake"}
    loaded = load(str(file), {"LAKE_LAKE__ROOT": root}).lake.root
    assert loaded == str(expected.get(root, file.parent))


@pytest.mark.parametrize(
    ("old", "new", "variable"),
    [
        ('tenant = "t1"', 'password = "hunter22"', "LAKE_SOURCES__LOKI__PASSWORD"),
        ('tenant = "t1"', 'bearer_token = "hunter22"', "LAKE_SOURCES__LOKI__BEARER_TOKEN"),
        ('tenant = "t1"', 'headers = {Authorization = "hunter22"}', "LAKE_SOURCES__LOKI__HEADERS"),
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
    "uri", ["mongodb://me:pa/ss-Q@h", "mongodb://me:pa?ss-Q@h", "me:pass-Q@h", "http://me:ss-Q@h"]
)
def test_a_wrong_uri_does_not_show_its_password(file, uri):
    error = refusal(file, {"LAKE_SOURCES__MONGO__URI": uri})
    assert "ss-Q" not in str(error)
    if uri.startswith("mongodb"):
        assert "percent-encode" in error.parts["expected"]


def test_hosts_and_options_with_odd_signs_are_fine(file):
    for uri in ("mongodb://h:1,[::1]:2/?appName=@x@", "mongodb://u:p@h:1/?appName=@x@"):
        assert load(str(file), {"LAKE_SOURCES__MONGO__URI": uri}).sources.mongo.uri == uri


def test_no_file_no_toml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no configuration file") as caught:
        load(None, {})
    assert "lake init" in caught.value.parts["remedy"]
    (tmp_path / "lake.toml").write_text("[lake\n")
    with pytest.raises(ConfigError, match="not a readable TOML"):
        load(None, {})
    other = tmp_path / "other.toml"
    other.write_text('[lake]\nroot = "x"\n')
    assert load(None, {"LAKE_CONFIG": str(other)}).lake.root == str(tmp_path / "x")


def test_datasets_by_name(file):
    settings = load(str(file), {})
    chosen = settings.datasets_named(("container__logs", "usage_analytics", "container__logs"))
    assert [d.name for d in chosen] == ["container__logs", "usage_analytics"]
    with pytest.raises(UsageError) as caught:
        settings.datasets_named(("usage",))
    assert "usage_analytics, http_server_requests" in caught.value.parts["expected"]


def test_options_of_a_uri_that_are_no_secrets_may_stand_in_the_file(file):
    uri = "mongodb://h:1/?authMechanismProperties=SERVICE_NAME:x&tlsCertificateKeyFile=/a.pem"
    replaced(file, "mongodb://127.0.0.1:27017", uri)
    assert load(str(file), {}).sources.mongo.uri == uri
    assert without_secrets(uri) == uri
    secret = "tlsCertificateKeyFilePassword=x&authMechanismProperties=AWS_SESSION_TOKEN:y"
    assert without_secrets(f"mongodb://u:p@h/d?w=1&{secret}") == "mongodb://h/d?w=1"
    assert without_secrets(f"mongodb://u:p@h/d?{secret}") == "mongodb://h/d"


@pytest.mark.parametrize("path", ["a..b", ".a", "a.", "$a", "a.$b", "."])
def test_a_time_field_is_a_path(file, path):
    new = f'collection = "usage_analytics"\ntime_field = "{path}"'
    error = refusal(replaced(file, 'collection = "usage_analytics"', new))
    assert error.what == "wrong value for 'time_field'"
    assert "[[dataset]] usage_analytics" in error.parts["where"]
    assert "joined by dots" in str(error)


def test_a_time_field_may_go_through_sub_documents(file):
    new = 'collection = "usage_analytics"\ntime_field = "meta.a$t"'
    settings = load(str(replaced(file, 'collection = "usage_analytics"', new)), {})
    assert settings.dataset[0].time_field == "meta.a$t"


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


def test_a_number_too_long_for_python_is_no_traceback(tmp_path):
    file = tmp_path / "lake.toml"
    for text in ("[hot]\nloki = " + "9" * 5000, "a = " + "[" * 5000, "a = 2026-02-30"):
        file.write_text(text)
        assert refusal(file).what == "not a readable TOML file"
