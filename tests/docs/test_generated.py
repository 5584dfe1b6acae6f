"""The generated pages of the reference name what the code has, and docs/reference.md the same."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from types import ModuleType

import click
import pytest
from support.documented import ROOT

from lake.cli.main import root
from lake.config.overrides import apply_environment

REFERENCE = (ROOT / "docs/reference.md").read_text("utf-8")


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generated", ROOT / "docs/site/generated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(generated: ModuleType) -> dict[str, str]:
    return generated.pages()


def part(page: str, heading: str) -> str:
    match = re.search(rf"(?ms)^## {re.escape(heading)}$(.*?)(?=^## |\Z)", page)
    assert match, heading
    return match[1]


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `([^`|]+)` \|", text, re.MULTILINE)


def test_every_command_of_the_reference_has_its_help(pages: dict[str, str]) -> None:
    page = pages["reference/commands.md"]
    headings = re.findall(r"^## (lake\b.*)$", page, re.MULTILINE)
    assert set(re.findall(r"^### (lake .+)$", REFERENCE, re.MULTILINE)) <= set(headings)
    assert len(headings) == len(set(headings))
    for heading in headings[1:]:
        command, context = root, click.Context(root)
        for name in heading.split()[1:]:
            inner = command.get_command(context, name)
            assert inner is not None
            command = inner
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.opts[0] in part(page, heading), heading


def test_every_variable_sets_the_key_beside_it(pages: dict[str, str]) -> None:
    page = pages["reference/settings.md"]
    sections = re.findall(r"^## \[([a-zA-Z0-9_.]+)\]$", page, re.MULTILINE)
    assert len(sections) > 15
    for section in sections:
        rows = re.findall(
            r"^\| `(\w+)` \|.*\| `(LAKE_\w+)` \|$", part(page, f"[{section}]"), re.MULTILINE
        )
        assert rows
        for key, variable in rows:
            data: dict = {}
            value = '{"X": "x"}' if key == "headers" else "x"
            apply_environment(data, {variable: value})
            toml = '{ X = "x" }' if key == "headers" else '"x"'
            expected = tomllib.loads(f"[{section.replace('NAME', 'name')}]\n{key} = {toml}")
            assert data == expected, variable


@pytest.mark.parametrize(
    ("title", "begins", "ends"),
    [
        ("MongoDB", "**MongoDB.**", "A document is rebuilt"),
        ("Prometheus", "**Prometheus.** Sorted", '`mode = "range"` has the steps'),
        ("Loki", "**Loki.** Sorted", "Loki from 2.2 on"),
        ("Rollup of Prometheus", "**Prometheus**, `mode` raw", "NaN and stale markers"),
        ("Rollup of Loki", "**Loki**: one row", "A change of `level_from`"),
    ],
)
def test_every_column_is_described(
    pages: dict[str, str], title: str, begins: str, ends: str
) -> None:
    described = REFERENCE[REFERENCE.index(begins) :]
    described = described[: described.index(ends)]
    cells = re.findall(r"^\| ([^|]+) \|", described, re.MULTILINE)
    names = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert set(first_cells(part(pages["reference/columns.md"], title))) == names


def test_every_file_of_sql_is_shown(pages: dict[str, str]) -> None:
    names = {path.stem for name in ("macros", "trends", "rollups")
             for path in (ROOT / "sql" / name).glob("*.sql")}  # fmt: skip
    assert set(re.findall(r"^### (\w+)$", pages["reference/sql.md"], re.MULTILINE)) == names


def test_every_public_name_of_python_is_shown(pages: dict[str, str]) -> None:
    page = pages["reference/python.md"]
    begins = REFERENCE.index("## From Python")
    members = REFERENCE[REFERENCE.index("### lake.DataLake") : REFERENCE.index("\n## Trends")]
    names = first_cells(REFERENCE[begins : REFERENCE.index("### lake.DataLake")])
    assert set(re.findall(r"^## lake\.(\w+)$", page, re.MULTILINE)) == set(names)
    shown = set(re.findall(r"^### DataLake\.(\w+)$", page, re.MULTILINE))
    assert shown == set(first_cells(members)) - {"settings"}  # an attribute
