"""Loki's files and configurations of every kind, by themselves: no server is needed."""

from __future__ import annotations

import base64
import copy
import struct
from datetime import timedelta
from pathlib import Path, PurePosixPath

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lake.base.day import Day
from lake.base.errors import BadData, PermanentError
from lake.systems.loki.reading.version import Version
from lake.systems.loki.snapshot.account import LinesInChunks, OnDisk
from lake.systems.loki.snapshot.chunks import ChunkName, blocks, file_name, lines_between, parsed
from lake.systems.loki.snapshot.config import LokiPlaces, places, running_config
from lake.systems.loki.snapshot.restored import require_readable, restored_config, version_of
from lake.systems.loki.snapshot.retention import kept_for
from lake.systems.loki.snapshot.taking import counts_late

FILE = Path("loki.yml")
DAY = Day.parse("2026-03-01")


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def zigzag(value: int) -> bytes:
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def chunk(version: int, spans: list[tuple[int, int, int]]) -> bytes:
    """As Loki's chunkenc writes one; the blocks' own content does not matter."""
    data = b"\x01\x2e\xe5\x6a" + bytes([version]) + (b"\x05" if version > 1 else b"")
    data += b"metadata" * (version >= 4) + b"block" * len(spans)
    at = len(data)
    section = varint(len(spans))
    for lines, start, end in spans:
        section += varint(lines) + zigzag(start) + zigzag(end) + varint(9)
        section += varint(70_000) * (version >= 3) + varint(5)
    data += section + b"CRC!"
    if version >= 4:
        data += struct.pack(">QQQ", 8, 6, len(section))
    data += struct.pack(">Q", at)
    head = b"snappy and JSON"
    return struct.pack(">I", len(head) + 4) + head + struct.pack(">I", len(data)) + data


NS = st.integers(0, 2**62)


@given(st.integers(1, 4), st.lists(st.tuples(st.integers(1, 2**31), NS, NS), max_size=300))
def test_the_lines_of_a_chunk_of_every_version(version, spans):
    data = chunk(version, spans)
    read = blocks(lambda at, length: data[at : at + length], len(data))
    assert [(block.lines, block.start_ns, block.end_ns) for block in read] == spans


@pytest.mark.parametrize("data", [b"", b"x" * 20, b"x" * 2000, bytes(2000), b"\xff" * 2000])
def test_what_is_no_chunk_is_refused(data):
    with pytest.raises(BadData, match="not a chunk"):
        blocks(lambda at, length: data[at : at + length], len(data))


def test_lines_of_a_day_count_with_the_blocks_that_reach_into_it():
    data = chunk(4, [(1, 0, 9), (20, 5, 10), (300, 10, 19), (4000, 19, 20), (50000, 20, 30)])
    read = blocks(lambda at, length: data[at : at + length], len(data))
    assert lines_between(read, 10, 20) == 20 + 300 + 4000


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("fake/e230/1a21:1a22:7e", "fake/e230/" + base64.b64encode(b"1a21:1a22:7e").decode()),
        ("fake/e230:1a21:1a22:7e", base64.b64encode(b"fake/e230:1a21:1a22:7e").decode()),
        ("index/index_20784/1-loki.gz", "index/index_20784/1-loki.gz"),
    ],
)
def test_names_of_objects_on_a_file_system(key, name):
    assert file_name(key) == name
    chunk = parsed(name)
    assert chunk is None if key.startswith("index") else (chunk.start_ms, chunk.end_ms) == (
        0x1A21, 0x1A22,
    )  # fmt: skip


OLD = {  # as /config of 2.2.1 and of 3.7 has it, in parts
    "schema_config": {
        "configs": [
            {
                "from": "2020-01-01", "store": "boltdb-shipper", "object_store": "filesystem",
                "schema": "v11", "index": {"prefix": "index_", "period": "1d", "tags": {}},
                "chunks": {"prefix": "", "period": "0s", "tags": {}}, "row_shards": 16,
            }
        ]
    },
    "storage_config": {
        "filesystem": {"directory": "/loki/chunks"},
        "boltdb": {"directory": ""},
        "boltdb_shipper": {
            "active_index_directory": "/loki/active", "cache_location": "/loki/cache",
            "shared_store": "filesystem",
        },
    },
    "ingester": {"wal": {"enabled": False, "dir": "wal"}},
}  # fmt: skip
NEW = {
    "auth_enabled": True,
    "common": {"path_prefix": "/loki"},
    "schema_config": {
        "configs": [
            {
                "from": "2024-01-01", "store": "tsdb", "object_store": "filesystem",
                "schema": "v13",
                "index": {"path_prefix": "index/", "prefix": "index_", "period": "24h"},
            }
        ]
    },
    "storage_config": {
        "use_thanos_objstore": True,
        "filesystem": {"directory": "/loki/not-used"},
        "object_store": {"filesystem": {"dir": "/loki/objects"}},
        "tsdb_shipper": {"active_index_directory": "/loki/tsdb", "cache_location": "/loki/cache"},
    },
    "ingester": {"wal": {"enabled": True, "dir": "/loki/wal"}},
}  # fmt: skip


def changed(config: dict, path: str, value: object) -> dict:
    copied = copy.deepcopy(config)
    *sections, key = path.split(".")
    inner = copied
    for name in sections:
        inner = inner.setdefault(name, {})
    inner[key] = value
    return copied


def test_the_running_configuration_is_read_in_any_layout():
    for text in (yaml.safe_dump(OLD), yaml.safe_dump(NEW, indent=4)):
        config = running_config("# a page\n" + text)
        assert config is not None
        assert config["auth_enabled"] is ("auth_enabled: true" in text)
    assert running_config("<html>log in</html>") is None
    assert running_config("") is None


def test_the_newer_clients_directory_is_the_one_in_use():
    layout = places(NEW, Path("/loki"), FILE)
    assert layout.own_chunks == PurePosixPath("objects")
    assert layout.multi_tenant
    older = changed(NEW, "storage_config.use_thanos_objstore", False)
    assert places(older, Path("/loki"), FILE).own_chunks == PurePosixPath("not-used")


def test_directories_that_are_not_in_use_do_not_matter():
    layout = places(OLD, Path("/loki"), FILE)
    assert layout.wal is None
    assert layout.active == {"boltdb-shipper": PurePosixPath("active")}


@pytest.mark.parametrize(
    ("config", "path", "value", "message"),
    [
        (NEW, "storage_config.object_store.filesystem.dir", "/elsewhere", "outside of its data"),
        (NEW, "storage_config.object_store.filesystem.dir", "", "names no directory"),
        (NEW, "storage_config.object_store.filesystem.dir", "chunks", "outside of its data"),
        (OLD, "ingester.wal.enabled", True, "outside of its data"),
    ],
)
def test_data_elsewhere_are_refused(config, path, value, message):
    with pytest.raises(PermanentError, match=message) as failed:
        places(changed(config, path, value), Path("/loki"), FILE)
    assert path.rpartition(".")[0] in str(failed.value.parts["where"])
    assert failed.value.parts["remedy"]


def test_a_volume_that_is_mounted_at_another_place(tmp_path):
    with pytest.raises(PermanentError, match="outside of its data"):
        places(OLD, tmp_path, FILE)
    for name in ("chunks", "active"):
        (tmp_path / name).mkdir()
    assert places(OLD, tmp_path, FILE).own_chunks == PurePosixPath("chunks")


def test_the_secrets_of_a_bucket_come_from_the_file():
    file = changed(NEW, "schema_config.configs", [NEW["schema_config"]["configs"][0] | {
        "object_store": "s3"}])  # fmt: skip
    own = {"bucket_name": "logs", "secret_access_key": "s3cr3t", "access_key_id": "id"}
    file = changed(file, "common.storage.object_store", {"s3": own, "storage_prefix": "x"})
    running = changed(
        file, "storage_config.object_store.s3",
        {**own, "secret_access_key": "********", "endpoint": "by-a-flag:1", "region": ""},
    )  # fmt: skip
    layout = places(running, Path("/loki"), FILE, file)
    assert layout.s3 == {
        "bucketnames": "logs", "secret_access_key": "s3cr3t", "access_key_id": "id",
        "endpoint": "by-a-flag:1", "prefix": "x",
    }  # fmt: skip
    assert "s3cr3t" not in repr(layout)
    assert "s3cr3t" not in str(layout.to_json())


@pytest.mark.parametrize("config", [OLD, NEW])
def test_a_layout_comes_back_from_the_manifest(config):
    layout = places(config, Path("/loki"), FILE)
    again = LokiPlaces.of_json(layout.to_json(), "manifest")
    for version in ((2, 9), (3, 0), (3, 7)):
        there = Path("/restored")
        assert restored_config(again, there, version) == restored_config(layout, there, version)
    with pytest.raises(BadData):
        LokiPlaces.of_json({"chunks": "chunks"}, "manifest")


def test_tsdb_is_not_for_an_old_loki():
    new, old = (places(config, Path("/loki"), FILE) for config in (NEW, OLD))
    with pytest.raises(PermanentError, match="too old"):
        require_readable(new, version_of("2.2.1"), "loki")
    require_readable(new, version_of("3.7.9-main"), "loki")
    require_readable(old, version_of("2.2.1"), "loki")
    require_readable(old, version_of("3.7.6"), "loki")


def test_boltdb_is_not_for_a_loki_after_3_7():
    new, old = (places(config, Path("/loki"), FILE) for config in (NEW, OLD))
    for version in ("3.8.0", "4.0.1"):
        with pytest.raises(PermanentError, match="too new"):
            require_readable(old, version_of(version), "loki")
        require_readable(new, version_of(version), "loki")
    require_readable(old, version_of("main-a1b2c3d"), "loki")  # it may be an old one


def test_keys_of_a_period_that_later_versions_refuse():
    """Every Loki 3 up to 3.7 shows row_shards in its /config."""
    period = NEW["schema_config"]["configs"][0] | {"row_shards": 16, "chunks": {"prefix": "c_"}}
    layout = places(changed(NEW, "schema_config.configs", [period]), Path("/loki"), FILE)

    def keys(version: tuple[int, int]) -> set[str]:
        (restored,) = restored_config(layout, Path("/restored"), version)["schema_config"][
            "configs"
        ]
        return set(restored)

    common = {"from", "store", "object_store", "schema", "index"}
    assert keys((3, 7)) == common | {"row_shards", "chunks"}
    assert keys((3, 8)) == keys(version_of("main-a1b2c3d")) == common


def test_the_shortest_retention_counts():
    limits = {
        "retention_period": "744h",
        "retention_stream": [{"selector": "{a=\"b\"}", "period": "96h"}],
    }  # fmt: skip
    config = {"compactor": {"retention_enabled": True}, "limits_config": limits}
    mine = frozenset(["me"])
    assert kept_for(config, None, mine) == timedelta(hours=96)
    overrides = {
        "overrides": {"me": {"retention_period": "1d"}, "other": {"retention_period": "1h"}}
    }
    assert kept_for(config, overrides, mine) == timedelta(days=1)
    assert kept_for({**config, "compactor": {"retention_enabled": False}}, None, mine) is None
    tables = {"retention_deletes_enabled": True, "retention_period": "48h"}
    assert kept_for({"table_manager": tables}, None, mine) == timedelta(days=2)


def on_disk(path: Path, data: bytes | None) -> OnDisk:
    if data is not None:
        path.write_bytes(data)
    return OnDisk(ChunkName("fake", DAY.start_ms, DAY.end_ms - 1), path)


def test_the_lines_of_a_day_in_chunk_files(tmp_path):
    first = on_disk(tmp_path / "a", chunk(4, [(7, DAY.start_ns, DAY.end_ns - 1)]))
    gone = on_disk(tmp_path / "b", None)
    half = on_disk(tmp_path / "c", b"half of a chunk")
    other = OnDisk(ChunkName("other", DAY.start_ms, DAY.end_ms), tmp_path / "a")
    earlier = OnDisk(ChunkName("fake", 0, DAY.start_ms - 1), tmp_path / "a")
    lines = LinesInChunks(["fake"])
    assert lines.of(DAY, [first, gone, half, other, earlier]) == 7
    assert lines.unreadable == 1
    on_disk(tmp_path / "c", chunk(3, [(30, DAY.start_ns, DAY.start_ns)]))  # written to its end
    assert lines.of(DAY, [first, gone, half, other, earlier]) == 37
    assert lines.unreadable == 0


@pytest.mark.parametrize(
    ("version", "late"),
    [("2.2.1", True), ("2.3.0", True), ("2.9.17", True), ("3.0.0", False), ("3.7.9-main", False),
     ("", True), ("main-1a2b3c", True)],
)  # fmt: skip
def test_an_unknown_version_counts_before_the_flush(version, late):
    assert counts_late(Version(version)) is late
