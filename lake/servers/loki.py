"""Loki as a single process that starts at once and takes old lines; every version from 2.2 on.

Belongs here: its configuration. Does not: building the binary.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lake.servers.ports import LOOPBACK
from lake.servers.recipe import Launch, Recipe, ServerSite, answers

_MESSAGE_BYTES = 128 * 1024 * 1024
_AT_ONCE = "200ms"
_A_CENTURY = "876000h"
_MEMORY = {"kvstore": {"store": "inmemory"}}
_CACHED_SINCE_3 = ("volume", "instant_metric", "series", "label")
_LAST = (99, 0)

Sections = dict[str, Any]
_Version = tuple[int, int]


def _launch(site: ServerSite) -> Launch:
    url = f"http://{LOOPBACK}:{site.ports['http']}"
    config_file = site.home / "loki-config.yml"  # JSON is YAML
    config_file.write_text(json.dumps(configuration(site), indent=2) + "\n", encoding="utf-8")
    return Launch(
        command=[str(site.program), f"-config.file={config_file}"],
        endpoint={"url": url, "data_dir": str(site.data), "config_file": str(config_file)},
        ready=lambda: answers(f"{url}/ready"),
    )


def configuration(site: ServerSite) -> Sections:
    """The whole configuration of its version, with the caller's options merged over it."""
    major, minor = (int(part) for part in re.findall(r"\d+", site.version)[:2])
    merged: Sections = {}
    for since, below, sections in _parts(site):
        if since <= (major, minor) < below:
            merged = _merge(merged, sections)
    merged = _merge(merged, site.options.loki_config)
    return _merge(merged, {"limits_config": site.options.loki_limits})


def _parts(site: ServerSite) -> Iterator[tuple[_Version, _Version, Sections]]:
    """Sections with the versions that take them: from the first, below the second.

    A Loki ends at once when its configuration has an unknown key.
    """
    yield (2, 2), _LAST, _process(site)
    yield (2, 2), _LAST, _queries()
    yield (2, 2), _LAST, {"limits_config": _limits()}
    yield (2, 2), (2, 4), {"ingester": {"lifecycler": {"address": LOOPBACK}}}
    yield (2, 2), (3, 0), _write_ahead_log(site)
    yield (2, 2), (2, 8), _storage(site, "boltdb-shipper", "v11", shared=True)
    yield (2, 8), (3, 0), _storage(site, "tsdb", "v12", shared=True)
    yield (3, 0), _LAST, _storage(site, "tsdb", "v13", shared=False)
    yield (3, 3), _LAST, _one_client(site)
    yield (2, 2), (3, 0), {"limits_config": {"enforce_metric_name": False}}
    yield (2, 4), _LAST, _one_process(site)
    rates = {"per_stream_rate_limit": "1GB", "per_stream_rate_limit_burst": "1GB"}
    yield (2, 4), _LAST, {"limits_config": rates}
    # Otherwise those before 2.6 refuse to look for old lines in the ingester, and all of these make
    # 16 requests of each part of a query, hundreds of a day's.
    yield (2, 4), (2, 8), {"query_range": {"parallelise_shardable_queries": False}}
    yield (2, 5), _LAST, {"common": {"instance_addr": LOOPBACK}}
    yield (2, 5), _LAST, {"analytics": {"reporting_enabled": False}}
    # A quick backfill must not gain labels.
    yield (2, 7), _LAST, {"limits_config": {"shard_streams": {"enabled": False}}}
    yield (2, 9), _LAST, {"limits_config": {"volume_enabled": True}}
    yield (2, 9), _LAST, {"query_range": {"cache_index_stats_results": False}}
    uncached = {f"cache_{kind}_results": False for kind in _CACHED_SINCE_3}
    yield (3, 0), _LAST, {"query_range": uncached}
    yield (3, 0), _LAST, {"limits_config": {"allow_structured_metadata": True}}


def _process(site: ServerSite) -> Sections:
    """Loopback only, no ring to wait for: ready in half a second instead of fifteen."""
    return {
        "auth_enabled": site.options.loki_multi_tenant,
        "server": {
            "http_listen_address": LOOPBACK,
            "http_listen_port": site.ports["http"],
            "grpc_listen_address": LOOPBACK,
            "grpc_listen_port": site.ports["grpc"],
            "grpc_server_max_recv_msg_size": _MESSAGE_BYTES,
            "grpc_server_max_send_msg_size": _MESSAGE_BYTES,
            "log_level": "warn",
        },
        "ingester": {
            "lifecycler": {
                "min_ready_duration": "0s",
                "final_sleep": "0s",
                "ring": {**_MEMORY, "replication_factor": 1},
            },
            # From 2.4 on a stream takes lines up to half of this older than its newest line;
            # in all versions nothing is flushed for its age. Loki 2.2 shows older lines than this
            # only up to a minute after they are flushed.
            "max_chunk_age": _A_CENTURY,
        },
    }


def _one_process(site: ServerSite) -> Sections:
    """From 2.4 on queries go through a frontend, which finds the querier by an address."""
    return {
        "common": {
            "path_prefix": str(site.data),
            "replication_factor": 1,
            "ring": {**_MEMORY, "instance_addr": LOOPBACK},
        },
        "frontend": {"address": LOOPBACK, "scheduler_dns_lookup_period": _AT_ONCE},
        "query_scheduler": {"use_scheduler_ring": False},
        "frontend_worker": {
            "frontend_address": f"{LOOPBACK}:{site.ports['grpc']}",
            "dns_lookup_duration": _AT_ONCE,
        },
    }


def _write_ahead_log(site: ServerSite) -> Sections:
    """Beside it these versions refuse to start with `max_transfer_retries` above 0."""
    wal = {"enabled": True, "dir": str(site.data / "wal")}
    return {"ingester": {"max_transfer_retries": 0, "wal": wal}}


def _storage(site: ServerSite, store: str, schema: str, *, shared: bool) -> Sections:
    """On the file system; `shared`: whether index and compactor name their object store."""
    shared_store = {"shared_store": "filesystem"} if shared else {}
    period = {
        "from": "2020-01-01",
        "store": store,
        "object_store": "filesystem",
        "schema": schema,
        "index": {"prefix": "index_", "period": "24h"},
    }
    index = store.removesuffix("-shipper")
    shipper = {
        "active_index_directory": str(site.data / f"{index}-shipper-active"),
        "cache_location": str(site.data / f"{index}-shipper-cache"),
        **shared_store,
    }
    return {
        "schema_config": {"configs": [period]},
        "storage_config": {
            "filesystem": {"directory": str(site.data / "chunks")},
            f"{index}_shipper": shipper,
        },
        "compactor": {"working_directory": str(site.data / "compactor"), **shared_store},
    }


def _one_client(site: ServerSite) -> Sections:
    """Of two families of storage clients the one that all versions have; later ones prefer the
    other, whose directory is named, too, for callers who choose it."""
    directory = {"filesystem": {"dir": str(site.data / "chunks")}}
    return {"storage_config": {"use_thanos_objstore": False, "object_store": directory}}


def _queries() -> Sections:
    """Answers from what is stored now, never from a cache."""
    return {
        "querier": {"query_ingesters_within": "0s"},  # old lines wait in the ingester, too
        "query_range": {"cache_results": False},
    }


def _limits() -> Sections:
    """Limits that suit a backfill."""
    return {
        "reject_old_samples": False,
        "max_query_lookback": "0s",
        "max_query_length": "0s",
        "ingestion_rate_mb": 1024,
        "ingestion_burst_size_mb": 1024,
        "max_streams_per_user": 0,
        "max_global_streams_per_user": 0,
    }


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Sections:
    """Sections key by key, everything else replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


RECIPE = Recipe(ports=("http", "grpc"), launch=_launch)
