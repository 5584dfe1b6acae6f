"""Every command's help: a first line, an example that parses, and options that are described."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from click.testing import CliRunner

from lake.cli.main import root

_EXAMPLE = re.compile(r"^  Example:  (lake (?:.+\n)+)", re.MULTILINE)


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> dict[str, click.Command]:
    """Every command and group below `command`, by the words that call it."""
    if not isinstance(command, click.Group):
        return {" ".join(path): command}
    context = click.Context(command)
    below = {" ".join(path): command} if path else {}
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        below |= _commands(inner, (*path, name))
    return below


COMMANDS = _commands(root)


def _help(name: str) -> str:
    result = CliRunner().invoke(root, [*name.split(), "--help"], prog_name="lake")
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_the_first_line_is_one_sentence_that_a_listing_shows_whole(name):
    first = (COMMANDS[name].help or "").split("\n\n")[0].strip()
    assert "\n" not in first
    assert re.fullmatch(r"[A-Z][^.]*(\.\w[^.]*)*\.", first), first
    assert len(first) <= 62  # the room in a listing of 80 columns


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_calls_this_command_with_options_that_it_has(name):
    (example,) = _EXAMPLE.findall(_help(name))
    words = shlex.split(example.replace("\\\n", " ").partition(" > ")[0])
    context = click.Context(root)
    command, rest = root, words[1:]
    while isinstance(command, click.Group) and rest:
        inner, rest = command.get_command(context, rest[0]), rest[1:]
        assert inner is not None, example
        command = inner
    assert words[1 : len(name.split()) + 1] == name.split()
    command.make_context(name, rest)  # fails for an unknown option or a missing argument


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described_by_a_phrase_that_ends(name):
    for option in COMMANDS[name].params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help, option.name
            assert re.match(r"[A-Z1]", option.help), option.help
            assert option.help.endswith((".", "]", "database")), option.help


def test_verify_states_what_is_checked_before_what_it_costs():
    text = _help("verify")
    places = [text.index(part) for part in ("Checks", "Cost", "Exit status", "Example", "Options:")]
    assert places == sorted(places)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_fits_a_terminal_of_80_columns(name):
    assert [line for line in _help(name).splitlines() if len(line) > 80] == []
