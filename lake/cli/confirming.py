"""Asks for confirmation before data is deleted that can't be restored.

Belongs here: the question at a terminal. Does not: what it is about.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from lake.base.errors import UsageError


def confirm(what: str, head: str, listed: Iterable[str], question: str) -> None:
    """Asks once. Raises UsageError without a terminal, click.Abort for anything but yes."""
    text = "\n".join([head, *(f"  {line}" for line in listed), question])
    if not sys.stdin.isatty():
        raise UsageError(
            f"{what} needs an answer",
            where=text,
            expected="a terminal, or --yes",
            remedy="add --yes",
        )
    click.confirm(text, abort=True, err=True)
