"""Loki as a single process that starts at once and takes old lines.

Belongs here: its configuration. Does not: building the binary.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lake.servers.ports import LOOPBACK
from lake.servers.recipe import Launch, Recipe, Site, answers

_MESSAGE_BYTES = 128 * 1024 * 1024
_AT_ONCE = "200ms"
_TEN_YEARS = "87600h"
_CACHED = ("index_stats", "volume", "instant_metric", "series", "label")


def _launch(site: Site) -> Launch:
    url = f"http://{LOOPBACK}:{site.ports['http']}"
    config_file = site.home / "loki-config.yml"  # JSON is YAML
    config_file.write_text(json.dumps(configuration(site), indent=2) + "\n", encoding="utf-8")
    return Launch(
        command=[str(site.program), f"-config.file={config_file}"],
        endpoint={"url": url, "data_dir": str(site.data), "config_file": str(config_file)},
        ready=lambda: answers(f"{url}/ready"),
    )


def configuration(site: Site) -> dict[str, Any]:
    """The whole configuration of its version, with the caller's options merged over it."""
    old = version_of(site) < (2, 3)
    sections = _old_sections(site) if old else _sections(site)
    merged = _merge(sections, site.options.loki_config)
    return _merge(merged, {"limits_config": site.options.loki_limits})


def version_of(site: Site) -> tuple[int, ...]:
    """Major and minor."""
    return tuple(int(part) for part in site.version.split(".")[:2])


def _sections(site: Site) -> dict[str, Any]:
    return _start_sections(site) | _storage_sections(site) | _query_sections()


def _old_sections(site: Site) -> dict[str, Any]:
    """Of 2.2: no section `common`, so every directory and the ring by themselves."""
    return {
        "auth_enabled": site.options.loki_multi_tenant,
        "server": _server(site),
        "ingester": {
            "lifecycler": _lifecycler() | {"address": LOOPBACK},
            "max_chunk_age": _TEN_YEARS,  # nothing is flushed for its age while a test runs
            "max_transfer_retries": 0,  # it ends at once with another value beside the WAL
            "wal": {"enabled": True, "dir": str(site.data / "wal")},
        },
        "schema_config": {"configs": [_period("boltdb-shipper", "v11")]},
        "storage_config": {
            "boltdb_shipper": {
                "active_index_directory": str(site.data / "boltdb-shipper-active"),
                "cache_location": str(site.data / "boltdb-shipper-cache"),
                "shared_store": "filesystem",
            },
            "filesystem": {"directory": str(site.data / "chunks")},
        },
        "compactor": {
            "working_directory": str(site.data / "compactor"),
            "shared_store": "filesystem",
        },
        "limits_config": {
            "enforce_metric_name": False,
            "reject_old_samples": False,
            "ingestion_rate_mb": 1024,
            "ingestion_burst_size_mb": 1024,
            "max_streams_per_user": 0,
        },
    }


def _start_sections(site: Site) -> dict[str, Any]:
    """Loopback only, no ring to wait for: ready in half a second instead of fifteen."""
    return {
        "auth_enabled": site.options.loki_multi_tenant,
        "analytics": {"reporting_enabled": False},
        "server": _server(site),
        "common": {
            "path_prefix": str(site.data),
            "replication_factor": 1,
            "instance_addr": LOOPBACK,
            "ring": {"kvstore": {"store": "inmemory"}, "instance_addr": LOOPBACK},
        },
        "ingester": {
            "lifecycler": _lifecycler(),
            # A stream takes lines up to half of this older than its newest line.
            "max_chunk_age": _TEN_YEARS,
        },
        "frontend": {"address": LOOPBACK, "scheduler_dns_lookup_period": _AT_ONCE},
        "query_scheduler": {"use_scheduler_ring": False},
        "frontend_worker": {
            "frontend_address": f"{LOOPBACK}:{site.ports['grpc']}",
            "dns_lookup_duration": _AT_ONCE,
        },
    }


def _server(site: Site) -> dict[str, Any]:
    return {
        "http_listen_address": LOOPBACK,
        "http_listen_port": site.ports["http"],
        "grpc_listen_address": LOOPBACK,
        "grpc_listen_port": site.ports["grpc"],
        "grpc_server_max_recv_msg_size": _MESSAGE_BYTES,
        "grpc_server_max_send_msg_size": _MESSAGE_BYTES,
        "log_level": "warn",
    }


def _lifecycler() -> dict[str, Any]:
    return {
        "min_ready_duration": "0s",
        "final_sleep": "0s",
        "ring": {"kvstore": {"store": "inmemory"}, "replication_factor": 1},
    }


def _period(store: str, schema: str) -> dict[str, Any]:
    return {
        "from": "2020-01-01",
        "store": store,
        "object_store": "filesystem",
        "schema": schema,
        "index": {"prefix": "index_", "period": "24h"},
    }


def _storage_sections(site: Site) -> dict[str, Any]:
    return {
        "schema_config": {
            "configs": [_period("tsdb", "v13")],
        },
        "storage_config": {"filesystem": {"directory": str(site.data / "chunks")}},
        "compactor": {
            "working_directory": str(site.data / "compactor"),
            "retention_enabled": False,
        },
    }


def _query_sections() -> dict[str, Any]:
    """Answers from what is stored now, never from a cache; limits that suit a backfill."""
    return {
        "querier": {"query_ingesters_within": "0s"},  # old lines wait in the ingester, too
        "query_range": {
            "cache_results": False,
            **{f"cache_{kind}_results": False for kind in _CACHED},
        },
        "limits_config": {
            "allow_structured_metadata": True,
            "volume_enabled": True,
            "reject_old_samples": False,
            "max_query_lookback": "0s",
            "max_query_length": "0s",
            "ingestion_rate_mb": 1024,
            "ingestion_burst_size_mb": 1024,
            "per_stream_rate_limit": "1GB",
            "per_stream_rate_limit_burst": "1GB",
            "max_global_streams_per_user": 0,
            "shard_streams": {"enabled": False},  # a quick backfill must not gain labels
        },
    }


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Sections key by key, everything else replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


RECIPE = Recipe(ports=("http", "grpc"), launch=_launch)
