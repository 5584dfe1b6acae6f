"""lake.toml and the environment: what is read from both, and what is refused.

Belongs here: keys, values, datasets, roots, overrides. Does not: secrets (test_secrets.py), what a
section does.
"""

from __future__ import annotations

import pytest
from support.settings_file import refusal, replaced

from lake.base.errors import ConfigError, UsageError
from lake.config.settings import load


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
        ("LAKE_SOURCES__LOKI__HEADERS", "X: y", "headers must be a JSON object", '{"X-Team"'),
        ("LAKE_LAKE__ROOT__X", "1", "'root' is not a section", None),
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
    assert error.what == "invalid [lake] root"
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


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_of_another_system(file, mark: bytes, ends: str):
    """Of an editor that writes a byte order mark, or lines that end in CR LF."""
    expected = load(str(file), {})
    text = file.read_text("utf-8").replace("\n", ends)
    file.write_bytes(mark + text.encode())
    assert load(str(file), {}) == expected


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_file_in_another_encoding(file, encoding: str):
    file.write_bytes(("# Größe\n" + file.read_text("utf-8")).encode(encoding))
    error = refusal(file)
    assert error.parts["where"] == str(file)
    assert "UTF-8" in error.parts["expected"]
    assert "UTF-8" in error.parts["remedy"]


@pytest.mark.parametrize("name", [r"a\b", "caf\udce9"])
def test_a_root_below_a_folder_that_duckdb_does_not_read(file, name: str):
    """DuckDB takes a backslash for a slash: it would find no day, and not say so."""
    folder = file.parent / name
    folder.mkdir()
    error = refusal(file.rename(folder / file.name))
    assert "DuckDB" in error.what
    assert "rename" in error.parts["remedy"]


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


def test_a_number_too_long_for_python_is_no_traceback(tmp_path):
    file = tmp_path / "lake.toml"
    for text in ("[hot]\nloki = " + "9" * 5000, "a = " + "[" * 5000, "a = 2026-02-30"):
        file.write_text(text)
        assert refusal(file).what == "not a readable TOML file"
