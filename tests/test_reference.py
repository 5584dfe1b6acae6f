"""docs/reference.md names every command, option, key, variable, field: no more and no fewer."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

import lake
from lake.cli.main import root
from lake.config.settings import Settings
from lake.config.systems import configs
from lake.partition.manifest import Manifest
from lake.query import Lake

TEXT = (Path(__file__).parents[1] / "docs/reference.md").read_text("utf-8")
# On every command, and described once.
COMMON = {"--help", "--config"}


def section(heading: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    match = re.search(
        rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{level}}} |\Z)", TEXT, re.MULTILINE | re.DOTALL
    )
    assert match, f"no heading {heading!r}"
    return match[1]


def rows(text: str) -> set[str]:
    """What stands in the first cells of its tables, in backticks."""
    cells = re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def commands(group: click.Group, name: str) -> dict[str, click.Command]:
    by_name = {}
    context = click.Context(group)
    for subcommand in group.list_commands(context):
        command = group.get_command(context, subcommand)
        assert command is not None
        if isinstance(command, click.Group):
            by_name |= commands(command, f"{name} {subcommand}")
        else:
            by_name[f"{name} {subcommand}"] = command
    return by_name


COMMANDS = commands(root, "lake")


def test_every_command_and_no_other():
    assert set(re.findall(r"^### (lake .+)$", TEXT, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_no_other(name):
    options = {
        max(parameter.opts, key=len)
        for parameter in COMMANDS[name].params
        if isinstance(parameter, click.Option)
    }
    documented = set(re.findall(r"`(--[a-z0-9-]+)", section(f"### {name}")))
    assert documented >= options - COMMON
    named_elsewhere = {"--config", "--force"}  # a remedy may name another command's
    assert documented - options <= named_elsewhere


def sections(model: type[BaseModel], path: str = "") -> dict[str, set[str]]:
    """Every table of lake.toml, with its keys."""
    by_section: dict[str, set[str]] = {}
    for name, field in model.model_fields.items():
        kinds = getattr(field.annotation, "__args__", (field.annotation,))
        inner = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if inner:
            by_section |= sections(inner[0], f"{path}.{name}".lstrip("."))
        elif path:
            by_section.setdefault(path, set()).add(name)
    return by_section


SECTIONS = sections(Settings)


def test_every_section_and_no_other():
    assert len(SECTIONS) >= 9
    documented = re.findall(r"^### \[([a-z0-9.]+)\]$", TEXT, re.MULTILINE)
    assert set(documented) == set(SECTIONS)


@pytest.mark.parametrize("name", SECTIONS)
def test_every_key_and_no_other(name):
    assert rows(section(f"### [{name}]")) == SECTIONS[name]


@pytest.mark.parametrize("source", configs())
def test_every_key_of_a_dataset_and_no_other(source):
    assert rows(section(f'#### source = "{source}"')) == set(configs()[source].dataset.model_fields)


def test_every_field_of_a_manifest_and_no_other():
    assert rows(section("## Manifest")) == {field.name for field in fields(Manifest)}


def test_every_variable_and_no_other():
    code = Path(__file__).parents[1] / "lake"
    named = set()
    for path in code.rglob("*.py"):
        named |= set(re.findall(r'"(LAKE_[A-Z]+(?:_[A-Z]+)*)"', path.read_text("utf-8")))
    assert rows(section("## Environment")) == named


def test_every_public_name_and_no_other():
    text = section("## From Python")
    own, of_class = text.split("### lake.DataLake")
    assert rows(own) == {name for name in lake.__all__ if not name.startswith("_")}
    members = {name for name in dir(lake.DataLake) if not name.startswith("_")} | {"settings"}
    assert rows(of_class) == members


def test_the_example_uses_names_that_exist():
    (program,) = re.findall(r"```python\n(.*?)```", section("## From Python"), re.DOTALL)
    tree = ast.parse(program)
    used = {
        (node.value.id, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    kinds = {"lake": lake, "data": lake.DataLake, "session": Lake}
    assert used
    assert [
        name for name in used if name[0] in kinds and not hasattr(kinds[name[0]], name[1])
    ] == []
