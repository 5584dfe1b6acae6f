"""Strings in PromQL.

Belongs here: quoting. Does not: queries.
"""

from __future__ import annotations

# Prometheus refuses a query with an unescaped U+FFFD as invalid UTF-8. Other characters need no
# escape, and old versions (2.24) misread numeric ones.
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\ufffd": r"\ufffd"})


def quoted(text: str) -> str:
    """The string that PromQL reads as this text."""
    return f'"{text.translate(_ESCAPES)}"'
