import json
import shlex
import tomllib
from datetime import UTC, datetime
from urllib.parse import quote_plus

import boto3
import pymongo
import pytest

from lake.base.day import Day
from lake.config.bucket import BucketSection
from lake.config.settings import load
from lake.servers import start
from lake.servers.binaries import find
from lake.servers.ports import free_ports


def read(path):
    return tomllib.loads(path.read_text())


@pytest.mark.slow
def test_init_doctor_export_verify(lake, endpoints, filled, tmp_path):
    """What init writes is what the other commands take, and it takes all that the servers hold."""
    first = Day.today().plus(-2)
    arguments = [f"--{name}={address}" for name, address in endpoints.items()]
    arguments[0] += "/miyou"
    code, out, err = lake("init", *arguments, "--root", "data")
    assert (code, err) == (0, "")
    assert f"lake export --from {first} --to {Day.today()}" in out
    file = read(tmp_path / "lake.toml")
    assert file["lake"] == {"root": "data", "first_day": first.date}
    assert file["sources"]["mongo"] == {"uri": endpoints["mongo"] + "/miyou", "database": "miyou"}
    tables = {d["name"]: d for d in file["dataset"]}
    assert tables["usage_analytics"]["time_field"] == "timestamp"
    assert tables["http_server_requests"]["query"] == '{__name__=~"http_server_requests(_.*)?"}'
    assert tables["http_server_requests"]["step"] == "60s"
    assert tables["container_logs"]["selector"] == '{container=~".+"}'
    assert file["hot"]["prometheus"] == 36500
    comments = (tmp_path / "lake.toml").read_text()
    loaded = filled[1]
    assert f"# {loaded.requests:,} documents, the oldest from {first}" in comments

    code, out, _ = lake("doctor", "--json")
    assert code == 0
    problems = [c for c in json.loads(out)["checks"] if c["state"] != "ok"]
    # Which programs are here differs. The servers' directories are not where images have them.
    assert {(c["subject"], c["state"]) for c in problems} - {("programs", "warn")} == {
        ("alerts", "warn"),
        ("coverage", "warn"),
        ("snapshots of prometheus", "warn"),
        ("snapshots of loki", "warn"),
    }
    missing = sorted(c["found"].split(":")[0] for c in problems if "snapshots" in c["subject"])
    assert missing == [
        "[snapshots.loki] config_file",
        "[snapshots.loki] data_dir",
        "[snapshots.prometheus] data_dir",
    ]

    code, out, _ = lake("export", "--from", str(first), "--to", str(Day.today()), "--json")
    assert code == 0
    rows = {}
    for partition in json.loads(out)["partitions"]:
        rows[partition["dataset"]] = rows.get(partition["dataset"], 0) + partition["rows"]
    # The loaders' own numbers: init's tables together have every document, sample and line.
    assert {name: rows[name] for name in loaded.documents} == loaded.documents
    assert rows["container_logs"] == loaded.lines
    metrics = [name for name, table in tables.items() if table["source"] == "prometheus"]
    assert sum(rows[name] for name in metrics) >= loaded.samples
    assert lake("verify", "--source")[0] == 0
    code, out, _ = lake("doctor", "--json")
    checks = json.loads(out)["checks"]
    coverage = [c["found"] for c in checks if "exported from" in c["found"]]
    assert len(coverage) == len(tables)


def test_the_database_has_to_be_clear(lake, filled, mongo_uri, collections):
    with pymongo.MongoClient(mongo_uri) as client:
        client["another_of_init"].x.insert_one({"at": datetime.now(UTC)})
        code, out, err = lake("init", "--mongo", mongo_uri)
        client.drop_database("another_of_init")
    assert (code, out) == (2, "")
    assert "another_of_init" in err
    assert "mongodb://host:27017/DATABASE" in err
    # The other server has one database only.
    alone = filled[0].endpoints["mongo"]["uri"]
    assert lake("init", "--mongo", alone)[0] == 0


def test_the_optional_sections_are_valid(lake, collections, tmp_path):
    path = tmp_path / "lake.toml"
    assert lake("init", "--mongo", collections, "--root", "data")[0] == 0
    text = path.read_text()
    start = text.index("# [ttl]")
    end = text.index("[[dataset]]")
    optional = [line.removeprefix("# ") for line in text[start:end].splitlines()]
    kept = [line for line in optional if line.startswith("[") or " = " in line]
    path.write_text(text[:start] + "\n".join(kept) + "\n" + text[end:])
    settings = load(str(path), {})
    assert settings.ttl.enabled
    assert settings.ttl.days == 90
    assert str(settings.alerts.alertmanager_url).startswith("http://127.0.0.1:9093")


def test_a_file_that_is_there_stays_unless_forced(lake, collections, tmp_path):
    file = tmp_path / "lake.toml"
    file.write_text("mine")
    code, out, err = lake("init", "--mongo", collections)
    assert (code, out) == (2, "")
    assert "--force" in err
    assert file.read_text() == "mine"
    file.chmod(0o600)
    assert lake("init", "--mongo", collections, "--force")[0] == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert read(file)["sources"]["mongo"]["uri"] == collections
    assert lake("init", "--mongo", collections, "--output", "no/such/lake.toml")[0] == 2


def test_a_directory_as_root_is_meant_as_typed(lake, collections, tmp_path):
    (tmp_path / "etc").mkdir()
    assert lake("init", "--mongo", collections, "--output", "etc/lake.toml", "--root", "d")[0] == 0
    assert read(tmp_path / "etc/lake.toml")["lake"]["root"] == str(tmp_path / "d")
    code, _, err = lake("init", "--mongo", collections, "--root", "gs://bucket")
    assert code == 2
    assert "invalid [lake] root" in err
    assert not (tmp_path / "lake.toml").exists()
    assert not list(tmp_path.glob("*.part"))


def test_the_next_commands_are_for_a_shell(lake, collections, tmp_path):
    file = tmp_path / "our lake's.toml"
    code, out, _ = lake("init", "--mongo", collections, "--output", str(file))
    assert code == 0
    commands = [shlex.split(line) for line in out.splitlines() if " --config " in line]
    assert len(commands) >= 3
    assert {words[words.index("--config") + 1] for words in commands} == {str(file)}


def test_s3_settings_of_the_environment_are_written(lake, collections, tmp_path, monkeypatch):
    monkeypatch.setenv("LAKE_S3__ENDPOINT_URL", "http://127.0.0.1:8333")
    assert lake("init", "--mongo", collections, "--root", "s3://bucket/x")[0] == 0
    assert read(tmp_path / "lake.toml")["s3"] == {"endpoint_url": "http://127.0.0.1:8333"}


def test_the_bucket_is_written_as_a_comment_with_all_its_defaults(lake, collections, tmp_path):
    assert lake("init", "--mongo", collections, "--root", "s3://bucket/x")[0] == 0
    text = (tmp_path / "lake.toml").read_text("utf-8")
    assert read(tmp_path / "lake.toml")["s3"] == {}
    _, _, rest = text.partition("# [bucket]\n")
    lines = [line[2:] for line in rest.split("\n\n")[0].splitlines()]
    written = tomllib.loads("\n".join(lines))
    assert BucketSection(**written) == BucketSection()
    assert set(written) == set(BucketSection.model_fields)
    assert "bucket" not in tomllib.loads(text)


def test_a_directory_has_no_bucket(lake, collections, tmp_path):
    assert lake("init", "--mongo", collections)[0] == 0
    assert "[bucket]" not in (tmp_path / "lake.toml").read_text("utf-8")


def test_s3_options_and_the_bucket(lake, collections, tmp_path, s3):
    """A missing bucket is explained, then created; what is written is what doctor needs."""
    bucket = f"new-{s3['bucket']}"
    arguments = ("--mongo", collections, "--root", f"s3://{bucket}/x")
    options = ("--s3-endpoint", s3["endpoint_url"], "--s3-region", s3["region"])
    code, _, err = lake("init", *arguments, *options)
    assert code == 0
    assert read(tmp_path / "lake.toml")["s3"] == {
        "endpoint_url": s3["endpoint_url"],
        "region": s3["region"],
    }
    classes = {"tables_class": "STANDARD", "snapshots_class": "STANDARD"}
    assert read(tmp_path / "lake.toml")["bucket"] == classes  # it is not AWS
    assert f"Bucket {bucket} does not exist yet" in err
    assert "lake bucket apply" in err
    client = boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name=s3["region"])
    assert bucket not in {entry["Name"] for entry in client.list_buckets()["Buckets"]}

    for verb in ("created", "exists"):  # the second time it is there
        code, _, err = lake("init", *arguments, *options, "--create-bucket", "--force")
        assert (code, err.splitlines()[-1]) == (0, f"Bucket {bucket} {verb}.")
    assert bucket in {entry["Name"] for entry in client.list_buckets()["Buckets"]}
    code, _, err = lake("init", *arguments, *options, "--force")
    assert (code, "Bucket" in err) == (0, False)
    checks = json.loads(lake("doctor", "--json")[1])["checks"]
    assert next(c["state"] for c in checks if c["subject"] == "store") == "ok"


@pytest.mark.parametrize(
    "option", [("--s3-endpoint", "http://127.0.0.1:1"), ("--s3-region", "x"), ("--create-bucket",)]
)
def test_s3_options_need_a_root_on_s3(lake, tmp_path, option):
    code, _, err = lake("init", "--mongo", "mongodb://127.0.0.1:1/x", "--root", "data", *option)
    assert code == 2
    assert "s3://bucket" in err
    assert not (tmp_path / "lake.toml").exists()


def test_an_s3_server_that_is_away_does_not_lose_the_file(lake, collections, tmp_path, s3):
    away = f"http://127.0.0.1:{free_ports(['s3'])['s3']}"
    code, _, err = lake(
        "init", "--mongo", collections, "--root", "s3://bucket", "--s3-endpoint", away
    )
    assert code == 0
    assert read(tmp_path / "lake.toml")["s3"] == {"endpoint_url": away}
    assert "could not be inspected" in err
    assert away in err


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 2, "--mongo URI, --prometheus URL or --loki URL"),
        (("--mongo", "localhost:27017"), 2, "mongodb://"),
        (("--prometheus", "localhost:9090"), 2, "http://"),
        (("--mongo", "mongodb://me:a/b@h"), 2, "percent-encode"),
    ],
)
def test_wrong_addresses(lake, tmp_path, arguments, code, text):
    result = lake("init", *arguments)
    assert (result[0], result[1]) == (code, "")
    assert text in result[2]
    assert not (tmp_path / "lake.toml").exists()


@pytest.mark.parametrize("source", ["prometheus", "loki"])
def test_a_server_that_is_away_or_another_one(lake, tmp_path, source, loki_url, prometheus_url):
    port = free_ports(["x"])["x"]
    code, out, err = lake("init", f"--{source}", f"http://127.0.0.1:{port}")
    assert (code, out) == (1, "")
    assert f"http://127.0.0.1:{port}" in err
    assert "remedy" in err
    other = {"prometheus": loki_url, "loki": prometheus_url}[source]
    code, out, err = lake("init", f"--{source}", other)
    assert (code, out) == (1, "")
    assert f"[sources.{source}]" in err
    assert not (tmp_path / "lake.toml").exists()


@pytest.mark.slow
def test_passwords_and_tenants(lake, tmp_path, monkeypatch):
    """A server with log-in: its secret is in no file and in no output."""
    with start(["mongo", "loki"], mongo_auth=True, loki_multi_tenant=True) as stack:
        uri = stack.endpoints["mongo"]["uri"]
        scheme, _, rest = uri.partition("://")
        userinfo, _, host = rest.rpartition("@")
        password = userinfo.partition(":")[2]
        assert password
        with pymongo.MongoClient(uri) as client:
            client["shop"].orders.insert_one({"at": datetime.now(UTC)})
        wrong = f"{scheme}://{userinfo[:-1]}{quote_plus('§')}@{host}"
        code, _, err = lake("init", "--mongo", wrong)
        assert code == 1
        assert "user name or password" in err
        assert "LAKE_SOURCES__MONGO__URI" in err
        assert password[:-1] not in err
        base, _, query = host.partition("?")
        named = f"{scheme}://{userinfo}@{base.rstrip('/')}/shop?{query or 'authSource=admin'}"
        code, out, err = lake("init", "--mongo", named)
        assert code == 0, err
        assert "set LAKE_SOURCES__MONGO__URI" in err
        text = (tmp_path / "lake.toml").read_text()
        assert "secrets come from the environment variable LAKE_SOURCES__MONGO__URI" in text
        for shown in (text, out, err):
            assert password not in shown
            assert userinfo not in shown
        monkeypatch.setenv("LAKE_SOURCES__MONGO__URI", named)
        checks = json.loads(lake("doctor", "--json")[1])["checks"]
        assert {c["state"] for c in checks if c["subject"] == "mongo"} == {"ok"}
        assert password not in json.dumps(checks)

        url = stack.endpoints["loki"]["url"]
        monkeypatch.delenv("LAKE_SOURCES__MONGO__URI")
        code, _, err = lake("init", "--loki", url, "--force")
        assert code == 1
        assert "tenant" in err
        monkeypatch.setenv("LAKE_SOURCES__LOKI__TENANT", "chat")
        monkeypatch.setenv("LAKE_SOURCES__LOKI__BEARER_TOKEN", "s3cr3t-t0ken")
        code, out, err = lake("init", "--loki", url, "--force")
        assert code == 0, err
        assert "set LAKE_SOURCES__LOKI__BEARER_TOKEN" in err
        text = (tmp_path / "lake.toml").read_text()
        assert read(tmp_path / "lake.toml")["sources"]["loki"] == {"url": url, "tenant": "chat"}
        assert "s3cr3t-t0ken" not in text + out + err
        assert f"Loki {find('loki').version}" in out
        assert "no lines" in out


def test_addresses_may_come_from_the_environment_alone(lake, collections, tmp_path, monkeypatch):
    monkeypatch.setenv("LAKE_SOURCES__MONGO__URI", collections)
    monkeypatch.setenv("LAKE_SOURCES__MONGO__DATABASE", "nothing_there")
    assert lake("init")[0] == 0
    written = read(tmp_path / "lake.toml")
    assert written["sources"]["mongo"]["database"] == "nothing_there"
    assert "dataset" not in written
