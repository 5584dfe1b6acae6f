"""The script that restores snapshots without this package, stored beside them.

Belongs here: keeping the stored copy current. Does not: the script (docs/restore.py).
"""

from __future__ import annotations

from pathlib import Path

from lake.base.resources import resource_path
from lake.store import Store

SCRIPT = "docs/restore.py"
STANDALONE = "standalone_config"  # of a Loki manifest's details: a configuration for restored files
RESTORED_DATA = Path("{directory}/data")  # in it, the script replaces {directory}


def script_key(system: str) -> str:
    """Where it is stored."""
    return f"{system}/restore.py"


def store_script(store: Store, system: str) -> None:
    """Writes the script unless the stored one is the same. Raises what the store raises."""
    content, key = resource_path(SCRIPT).read_bytes(), script_key(system)
    stat = store.stat(key)
    if stat is None or stat.bytes != len(content) or store.read(key) != content:
        store.write(key, content)
