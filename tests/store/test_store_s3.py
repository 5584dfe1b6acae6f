import threading

import boto3
import pytest

from lake.base.errors import Conflict, Missing, PermanentError, Refused, TransientError
from lake.base.redaction import redact
from lake.config.settings import S3Section
from lake.servers.ports import free_ports
from lake.store.s3 import S3Store

MIB = 1 << 20


@pytest.fixture
def section(s3):
    return S3Section(endpoint_url=s3["endpoint_url"], region=s3["region"])


@pytest.fixture
def store(s3_root, section):
    return S3Store(f"{s3_root}/some/prefix", section)


@pytest.fixture
def client(s3):
    return boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name=s3["region"])


def test_objects_come_back(store, client, s3):
    assert store.stat("a/b") is None
    assert list(store.list("")) == []
    store.write("a/b", b"one")
    first = store.stat("a/b")
    store.write("a/b", b"other")
    second = store.stat("a/b")
    assert store.read("a/b") == b"other"
    assert (second.key, second.bytes) == ("a/b", 5)
    assert first.etag != second.etag
    assert store.url("a/b") == f"s3://{s3['bucket']}/some/prefix/a/b"
    answer = client.get_object(Bucket=s3["bucket"], Key="some/prefix/a/b")
    assert answer["Body"].read() == b"other"
    with pytest.raises(Missing, match="no such object"):
        store.read("a/none")
    store.delete("a/b")
    store.delete("a/b")
    assert store.stat("a/b") is None


def test_listing_is_in_the_order_of_keys(store):
    keys = ["a", "a-b", "a/b", "a/b-c", "tables/x/1", "tables/xy/1"]
    for key in reversed(keys):
        store.write(key, key.encode())
    assert [s.key for s in store.list("")] == sorted(keys)
    assert [(s.key, s.bytes) for s in store.list("tables/x/")] == [("tables/x/1", 10)]


def test_a_large_object_goes_in_parts_and_is_seen_at_the_end_only(store, client, s3):
    parts = [bytes([n]) * (3 * MIB) for n in range(7)]
    with store.upload("t/large") as upload:
        for part in parts:
            assert upload.write(part) == len(part)
        assert store.stat("t/large") is None
        assert len(client.list_multipart_uploads(Bucket=s3["bucket"])["Uploads"]) == 1
    assert store.stat("t/large").bytes == 21 * MIB
    assert b"".join(store.chunks("t/large")) == b"".join(parts)
    assert "Uploads" not in client.list_multipart_uploads(Bucket=s3["bucket"])


@pytest.mark.parametrize("size", [1, 9 * MIB])
def test_an_error_leaves_the_old_object_and_no_open_upload(store, client, s3, size):
    store.write("t/x", b"old")

    def broken():
        with store.upload("t/x") as upload:
            upload.write(b"x" * size)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert store.read("t/x") == b"old"
    assert "Uploads" not in client.list_multipart_uploads(Bucket=s3["bucket"])


def test_an_upload_that_vanished_says_so_and_not_that_aborting_failed(store, client, s3):
    def vanishing():
        with store.upload("t/x") as upload:
            upload.write(b"x" * 9 * MIB)
            multipart = client.list_multipart_uploads(Bucket=s3["bucket"])["Uploads"][0]
            client.abort_multipart_upload(
                Bucket=s3["bucket"], Key=multipart["Key"], UploadId=multipart["UploadId"]
            )
            upload.write(b"y" * 9 * MIB)

    with pytest.raises(PermanentError, match="S3 refused") as caught:
        vanishing()
    assert "upload" in caught.value.parts["found"].lower()
    assert store.stat("t/x") is None


@pytest.mark.parametrize("size", [1, 9 * MIB])
def test_only_what_was_looked_at_is_replaced(store, size):
    store.write("a", b"1" * size, replaces="")
    first = store.stat("a").etag
    with store.upload("a", first) as upload:
        upload.write(b"2" * size)
    assert upload.etag == store.stat("a").etag != first
    for stale in ("", first):
        with pytest.raises(Conflict):
            store.write("a", b"3" * size, replaces=stale)
    assert store.read("a") == b"2" * size
    assert store.unfinished("") == ()


def test_many_threads_open_one_client(store):
    store.write("a", b"1")
    fresh = S3Store(store.root, store.section)
    contents, errors = [], []

    def read():
        try:
            contents.append(fresh.read("a"))
        except Exception as error:  # noqa: BLE001  whatever it is, the test shows it
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert contents == [b"1"] * 16


def upload(store):
    with store.upload("a") as target:
        target.write(b"x" * 9 * MIB)


CALLS = {
    "stat": lambda store: store.stat("a"),
    "list": lambda store: list(store.list("a")),
    "read": lambda store: store.read("a"),
    "write": lambda store: store.write("a", b"1"),
    "upload": upload,
}


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_secret(store, monkeypatch, call):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret-at-all")
    with pytest.raises(Refused, match="S3 refused") as caught:
        CALLS[call](S3Store(store.root, store.section))
    assert store.section.endpoint_url in caught.value.parts["where"]
    assert "credentials" in caught.value.parts["remedy"]
    assert "not-the-secret" not in redact(str(caught.value))


@pytest.mark.parametrize("call", CALLS)
def test_an_unknown_bucket(section, call, s3):
    with pytest.raises(Missing, match="no such bucket") as caught:
        CALLS[call](S3Store("s3://no-such-bucket-here", section))
    assert caught.value.parts["found"] == "no-such-bucket-here"
    assert "[lake] root" in caught.value.parts["remedy"]


@pytest.mark.parametrize("call", CALLS)
def test_no_credentials(store, monkeypatch, tmp_path, call):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Refused, match="no AWS credentials") as caught:
        CALLS[call](S3Store(store.root, store.section))
    assert "AWS_ACCESS_KEY_ID" in caught.value.parts["remedy"]


def test_an_unknown_profile(store, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Refused, match="no such AWS profile") as caught:
        S3Store(store.root, store.section).stat("a")
    assert "nobody" in caught.value.parts["found"]
    assert "AWS_PROFILE" in caught.value.parts["remedy"]


def test_an_endpoint_that_is_down(store, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    port = free_ports(["s3"])["s3"]
    section = S3Section(endpoint_url=f"http://127.0.0.1:{port}")
    with pytest.raises(TransientError, match="can't be reached") as caught:
        S3Store(store.root, section).stat("a")
    assert "endpoint_url" in caught.value.parts["remedy"]
