"""A compose.yaml beside restored files, for machines that have Docker and not the server.

Belongs here: images, mounts, flags that keep the data alive. Does not: running anything.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import yaml

from lake.systems.loki.snapshot.restored import LOKI_PORT, restored_places, standalone_config, version_of
from lake.snapshots.manifest import SnapshotManifest
from lake.systems.mongo.snapshot.mongodump import OF_A_COLLECTION

FILE = "compose.yaml"
IMAGES = {
    "prometheus": "prom/prometheus:v{}",
    "loki": "grafana/loki:{}",
    "mongo": "mongo:{}",
}
"""By the system, with the version's place. Only the user's own Docker pulls one (see
docs/third-party.md, which lists each with its licence)."""
_PORTS = {"prometheus": 9090, "loki": LOKI_PORT, "mongo": 27017}


def write_compose(manifest: SnapshotManifest, into: Path) -> Path:
    """Writes DIR/compose.yaml with one service of the snapshot's own version."""
    system = manifest.system
    service: dict[str, Any] = {
        "image": IMAGES[system].format(_tag(manifest)),
        "user": "0:0",  # the files belong to whoever restored them
        "ports": [f"127.0.0.1:{_PORTS[system]}:{_PORTS[system]}"],
    }
    service |= {"prometheus": _prometheus, "loki": _loki, "mongo": _mongo}[system](into)
    if system == "loki":
        _write_loki_config(manifest, into)
    path = into / FILE
    head = f"# {system} of {manifest.day}: docker compose up\n"
    text = yaml.safe_dump({"services": {system: service}}, sort_keys=False)
    path.write_text(head + text, encoding="utf-8")
    return path


def _tag(manifest: SnapshotManifest) -> str:
    version = str(manifest.server["version"]).partition("+")[0].removeprefix("v")
    return ".".join(version.split(".")[:2]) if manifest.system == "mongo" else version


def _prometheus(_into: Path) -> dict[str, Any]:
    # The default retention of 15 days would remove the blocks at once.
    flags = ["--storage.tsdb.path=/prometheus", "--storage.tsdb.retention.time=100y"]
    return {
        "command": ["--config.file=/etc/prometheus/prometheus.yml", *flags],
        "volumes": ["./prometheus/data:/prometheus"],
    }


def _loki(_into: Path) -> dict[str, Any]:
    return {
        "command": ["-config.file=/etc/loki/restored.yml"],
        "volumes": ["./loki/data:/loki", "./loki/restored.yml:/etc/loki/restored.yml:ro"],
    }


def _write_loki_config(manifest: SnapshotManifest, into: Path) -> None:
    places = restored_places(manifest, into / "loki")
    version = version_of(str(manifest.server["version"]))
    config = standalone_config(places, Path("/loki"), version)
    (into / "loki" / "restored.yml").write_text(json.dumps(config, indent=1), encoding="utf-8")


def _mongo(into: Path) -> dict[str, Any]:
    archives = sorted(path.name for path in (into / "dump").glob(f"*{OF_A_COLLECTION}"))
    sources = [f"--archive=/dump/{shlex.quote(name)}" for name in archives] or ["/dump"]
    loads = " && ".join(f"mongorestore --gzip --stopOnError {source}" for source in sources)
    # The TTL monitor would remove what mongorestore has just brought back.
    return {
        "command": ["--setParameter", "ttlMonitorEnabled=false"],
        "volumes": ["./dump:/dump:ro"],
        "post_start": [
            {
                "command": [
                    "sh",
                    "-c",
                    f"until mongosh --quiet --eval 1; do sleep 1; done; {loads}",
                ]
            }
        ],
    }
