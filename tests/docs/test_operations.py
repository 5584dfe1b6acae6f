"""docs/operations.md: every command that it names exists, with these options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.documented import parse

TEXT = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
_CODE = re.compile(r"`(lake [^`]+)`|^(?:\S+ \S+ \* \* \* +)?(lake .+)$", re.MULTILINE)


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
    parse(command)  # fails for an unknown option or a missing argument


def test_the_checklist_has_a_command_for_each_item():
    rows = checklist()
    heads = [row[0] for row in rows if row[1] == "command"]
    assert heads == ["daily", "weekly", "monthly", "quarterly"]
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
