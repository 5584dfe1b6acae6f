"""A user's name and secret, made once per directory and readable by their owner alone.

Belongs here: making, keeping and reading them. Does not: what a server does with them.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from lake.base.redaction import register_secret


def new_secret() -> str:
    """Random, safe in URLs and configuration files, never shown in messages."""
    secret = secrets.token_hex(20)
    register_secret(secret)
    return secret


def write_private(path: Path, text: str) -> None:
    """Writes a new file that only its owner can read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
