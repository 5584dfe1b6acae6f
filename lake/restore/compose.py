"""A compose.yaml beside restored files, for machines that have Docker and not the server.

Belongs here: the file. Does not: a system's image, mounts and flags (its `restored`), running it.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from lake.snapshots.manifest import SnapshotManifest
from lake.systems.registry import system

FILE = "compose.yaml"
_AS_ROOT = "0:0"  # the files belong to whoever restored them


def write_compose(manifest: SnapshotManifest, into: Path) -> Path:
    """Writes DIR/compose.yaml with one service of the snapshot's own version."""
    restored = system(manifest.system)
    image = restored.image.format(restored.image_tag(str(manifest.server["version"])))
    service = {"image": image, "user": _AS_ROOT, **restored.compose_service(manifest, into)}
    path = into / FILE
    head = f"# {manifest.system} of {manifest.day}: docker compose up\n"
    text = yaml.safe_dump({"services": {manifest.system: service}}, sort_keys=False)
    path.write_text(head + text, encoding="utf-8")
    return path
