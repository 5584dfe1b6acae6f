"""Keeps secrets out of messages, logs, manifests and metadata.

Belongs here: which strings are secret and how they are replaced.
Does not: where secrets come from (settings).
"""

from __future__ import annotations

import logging
import re
from urllib.parse import quote, quote_plus, unquote

# Up to the last @, so that a password with a raw / or @ in it is covered, too.
_USERINFO = re.compile(r"""(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s"'<>]*@""")
_secrets: set[str] = set()
_SHORTEST = 4  # shorter strings stand in too many innocent words


def register_secret(secret: str) -> None:
    """From now on `redact` replaces this string wherever it stands, percent-encoded or not."""
    spellings = {secret, unquote(secret), quote(secret, safe=""), quote_plus(secret)}
    _secrets.update(spelling for spelling in spellings if len(spelling) >= _SHORTEST)


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
