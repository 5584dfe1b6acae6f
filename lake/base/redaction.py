"""Keeps secrets out of messages, logs, manifests and metadata.

Belongs here: which strings are secret and how they are replaced.
Does not: where secrets come from (settings).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote

# Up to the last @, so that a password with a raw / or @ in it is covered, too.
_USERINFO = re.compile(r"""(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s"'<>]*@""")
_secrets: set[str] = set()
_SHORTEST = 4  # shorter strings stand in too many innocent words


def register_secret(secret: str) -> None:
    """From now on `redact` replaces this string wherever it stands, in each of its spellings.

    A secret of several lines, or with a line break at its end, is replaced line by line, too.
    """
    for line in {secret, secret.strip(), *secret.splitlines()}:
        _secrets.update(spelling for spelling in _spellings(line) if len(spelling) >= _SHORTEST)


def _spellings(secret: str) -> Iterator[str]:
    """As it is, percent-encoded, and as Python's and JSON's string literals write it."""
    encodable = secret.encode(errors="replace").decode()
    yield from (secret, unquote(secret), quote(encodable, safe=""), quote_plus(encodable))
    yield from (repr(secret)[1:-1], json.dumps(secret)[1:-1])
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    for encoding in ("utf-8", "latin-1"):
        yield repr(secret.encode(encoding, errors="replace"))[2:-1]


def redact(text: str) -> str:
    """The text without registered secrets and without `user:password@` in URLs."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _USERINFO.sub(r"\g<scheme>***@", text)


class RedactingFormatter(logging.Formatter):
    """Log lines, tracebacks included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return redact(super().format(record))
