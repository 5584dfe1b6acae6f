"""Cortex in one process: a metrics server with tenants, blocks in a directory, rings in memory.

Belongs here: its configuration. Does not: building it (golang, deploy/tools/cortex).
"""

from __future__ import annotations

import json
from typing import Any

from lake.servers.ports import LOOPBACK
from lake.servers.recipe import Launch, Recipe, ServerSite, answers

_MEMORY = {"store": "inmemory"}
_OLDEST_SAMPLE = "240h"  # tests write days that are over


def _launch(site: ServerSite) -> Launch:
    url = f"http://{LOOPBACK}:{site.ports['http']}"
    config_file = site.home / "cortex.yaml"  # JSON is YAML
    config_file.write_text(json.dumps(_config(site), indent=2) + "\n", encoding="utf-8")
    return Launch(
        command=[str(site.program), "-target=all", f"-config.file={config_file}"],
        endpoint={
            "url": f"{url}/prometheus",
            "push_url": f"{url}/api/v1/push",
            "data_dir": str(site.data),
        },
        ready=lambda: answers(f"{url}/ready"),
    )


def _config(site: ServerSite) -> dict[str, Any]:
    data, ports = site.data, site.ports
    for name in ("alertmanager-configs", "rules"):  # read at once, although there are none
        (data / name).mkdir(parents=True, exist_ok=True)
    lifecycler = {
        "ring": {"kvstore": _MEMORY, "replication_factor": 1},
        "address": LOOPBACK,
        "min_ready_duration": "0s",
        "final_sleep": "0s",
    }
    return {
        "auth_enabled": True,
        "server": {
            "http_listen_address": LOOPBACK,
            "http_listen_port": ports["http"],
            "grpc_listen_address": LOOPBACK,
            "grpc_listen_port": ports["grpc"],
        },
        "blocks_storage": {
            "backend": "filesystem",
            "filesystem": {"dir": str(data / "blocks")},
            "tsdb": {"dir": str(data / "tsdb")},
            "bucket_store": {"sync_dir": str(data / "sync")},
        },
        "ingester": {"lifecycler": lifecycler},
        "distributor": {"ring": {"kvstore": _MEMORY, "instance_addr": LOOPBACK}},
        "compactor": {"data_dir": str(data / "compactor")},
        "ruler_storage": {"backend": "local", "local": {"directory": str(data / "rules")}},
        # It ends at once without this address, whether the alertmanager is used or not.
        "alertmanager": {
            "external_url": f"http://{LOOPBACK}:{ports['http']}/alertmanager",
            "data_dir": str(data / "alertmanager"),
            "cluster": {"listen_address": ""},  # alone: no gossip
        },
        "ruler": {"rule_path": str(data / "ruler"), "ring": {"kvstore": _MEMORY}},
        "alertmanager_storage": {
            "backend": "local",
            "local": {"path": str(data / "alertmanager-configs")},
        },
        "limits": {"out_of_order_time_window": _OLDEST_SAMPLE},
    }  # fmt: skip


RECIPE = Recipe(ports=("http", "grpc"), launch=_launch)
