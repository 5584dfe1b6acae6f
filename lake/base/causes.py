"""Why a connection, a TLS handshake or a file operation failed, without its library's wrapping.

Belongs here: the texts of Python's errno, ssl, urllib3, pymongo and DuckDB. Does not: what an error
means and what helps (the failures modules).
"""

from __future__ import annotations

import re

_ERRNO = re.compile(r"\[Errno (-?\d+)\] ([^'\"()\[\]:,]+)")
_RAISED = re.compile(r"\b\w+Error\(-?\d+, '([^']+)'\)")  # ConnectionResetError(104, '…')
_TLS = re.compile(r"\[(?:SSL|X509)[^\]]*\]\s*(.+?)\s*\(_ssl\.c:\d+\)")
_TIMEOUTS = re.compile(r" ?\(configured timeouts: [^)]*\)")
_UNRESOLVED = re.compile(
    r"Failed to resolve|Name or service not known|nodename nor servname|"
    r"No address associated|name resolution"
)
_BROKEN_OFF = re.compile(r"IncompleteRead\((\d+) bytes read(?:, (\d+) more expected)?\)")
_DUCKDB = re.compile(r"^(?:[A-Z]+[a-z]* )+Error: (?:.*\": )?")
_POOL = re.compile(r"^\w+\(host='[^']*', port=\d+\): ")


def cause(error: BaseException) -> str:
    """The reason alone: "connection refused". An unknown text keeps the exception's name."""
    text = str(error)
    if _UNRESOLVED.search(text):
        return "the host name can't be resolved"
    if match := _TLS.search(text):
        return f"TLS: {match[1].rstrip('.')}"
    if match := _ERRNO.search(text):
        return _lower(match[2])
    if match := _RAISED.search(text):
        return _lower(match[1])
    if "closed connection without response" in text:
        return "the connection was closed without a response"
    if match := _BROKEN_OFF.search(text):
        more = f"; {match[2]} more were expected" if match[2] else ""
        return f"the response ended after {match[1]} bytes{more}"
    if "Read timed out" in text:
        return "no response in time"
    if "timed out" in text and "onnect" in text:
        return "no connection in time"
    if _DUCKDB.match(text):
        return _lower(_DUCKDB.sub("", text))
    return f"{type(error).__name__}: {_POOL.sub('', text)}" if text else type(error).__name__


def plain(text: str) -> str:
    """A text that lists several servers with their reasons, each in plain words."""
    text = _TLS.sub(lambda match: f"TLS: {match[1].rstrip('.')}", _TIMEOUTS.sub("", text))
    return _ERRNO.sub(lambda match: _lower(match[2]), text)


def _lower(text: str) -> str:
    """As a phrase within a message."""
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
