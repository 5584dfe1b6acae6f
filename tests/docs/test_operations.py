"""docs/operations.md: every command that it names exists, with these options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from lake.cli.main import root

TEXT = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
_CODE = re.compile(r"`(lake [^`]+)`|^(?:\S+ \S+ \* \* \* +)?(lake .+)$", re.MULTILINE)
# What stands for a value in the text.
_VALUES = {
    "DATASET": "events",
    "D": "2026-07-01",
    "DAY": "2026-07-01",
    "ID": "a-hold",
    "SYSTEM": "mongo",
}


def commands() -> list[str]:
    """Without those of one or two words, which are only names."""
    named = {first or second for first, second in _CODE.findall(TEXT)}
    return sorted(command for command in named if len(command.split()) > 3) + items()


def items() -> list[str]:
    return [command.strip("`") for _, command, _ in checklist() if command != "command"]


def checklist() -> list[tuple[str, ...]]:
    part = TEXT[TEXT.index("## Checklist") : TEXT.index("## Expiry")]
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in row) for row in rows if "---" not in row[0]]


@pytest.mark.parametrize("command", commands())
def test_each_command_parses(command: str):
    words = [_VALUES.get(word, word) for word in shlex.split(command)]
    found: click.Command = root
    context = click.Context(root)
    rest = words[1:]
    if rest and rest[0] == "--config":  # before the command as well as after it
        rest = [*rest[2:], *rest[:2]]
    while isinstance(found, click.Group):
        assert rest, command
        inner = found.get_command(context, rest.pop(0))
        assert inner is not None, command
        if isinstance(inner, click.Group) and (not rest or rest[0].startswith("-")):
            assert inner.invoke_without_command, command
            break
        found = inner
    if not isinstance(found, click.Group):
        found.make_context(command, rest)  # fails for an unknown option or a missing argument


def test_the_checklist_has_a_command_for_each_item():
    rows = checklist()
    heads = [row[0] for row in rows if row[1] == "command"]
    assert heads == ["daily", "monthly", "quarterly"]
    items = [row for row in rows if row[1] != "command"]
    assert len(items) >= 12
    for item, command, right in items:
        assert re.fullmatch(r"`lake [^`]+`", command), item
        assert right, item


def test_every_command_that_checks_is_on_the_checklist():
    named = {command.split()[1] for _, command, _ in checklist() if command != "command"}
    named = {name.strip("`") for name in named}
    assert named >= {
        "status", "verify", "doctor", "alert", "ttl", "snapshots", "cost", "review", "rehearse",
        "hold",
    }  # fmt: skip
