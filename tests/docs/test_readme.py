"""README's commands exist, with the options that it shows."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import click
import pytest

from lake.cli.main import root

TEXT = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
_BLOCK = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)
_GAP = re.compile(r"\s{3,}.*")  # what stands behind a command explains it


def commands() -> list[str]:
    """Every line of a code block that calls `lake`, its continuations joined."""
    blocks = "\n".join(_BLOCK.findall(TEXT)).replace("\\\n", " ")
    in_blocks = [line.strip() for line in blocks.splitlines() if line.strip().startswith("lake ")]
    inline = re.findall(r"`(?:\.venv/bin/)?(lake [a-z][^`]*)`", TEXT)
    return sorted({*in_blocks, *(line.replace("\n", " ") for line in inline)})


@pytest.mark.parametrize("line", commands())
def test_a_command_is_one(line: str) -> None:
    words = shlex.split(_GAP.sub("", re.sub(r"\s{3,}(?=--)", " ", line)))[1:]
    with click.Context(root) as context:
        command = root.get_command(context, words[0])
        while isinstance(command, click.Group) and len(words) > 1:
            further = command.get_command(context, words[1])
            if further is None:
                break
            command, words = further, words[1:]
    assert command is not None, words
    known = {name for parameter in command.params for name in (*parameter.opts, "--help")}
    assert {word for word in words[1:] if word.startswith("--")} <= known


def test_a_newcomer_finds_the_command_and_knows_what_runs() -> None:
    assert ".venv/bin/lake" in TEXT
    assert "source .venv/bin/activate" in TEXT
    assert "not MongoDB itself" in TEXT


def test_dagsters_module_is_one() -> None:
    (module,) = set(re.findall(r"dagster dev --module-name (\S+)", TEXT))
    assert hasattr(importlib.import_module(module), "defs")
