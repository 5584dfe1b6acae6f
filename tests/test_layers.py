"""The shape of the code: what may import what, what each module says of itself, how it names."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("lake", "assets")
    for path in (ROOT / package).rglob("*.py")
)


def test_imports_point_down_only():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def test_a_package_that_lists_its_modules_lists_all():
    """One that names two fifths of them is such a list."""
    unlisted = {}
    for package in (ROOT / "lake").rglob("__init__.py"):
        text = ast.get_docstring(ast.parse(package.read_text("utf-8"))) or ""
        modules = {path.stem for path in package.parent.glob("*.py")} - {"__init__"}
        absent = {name for name in modules if not re.search(rf"\b{name}\b", text)}
        if len(modules) > 3 and len(absent) <= 0.6 * len(modules):
            unlisted[package.relative_to(ROOT).as_posix()] = absent
    assert len(unlisted) > 20
    assert {package: absent for package, absent in unlisted.items() if absent} == {}


def test_each_module_says_what_belongs_in_it_and_what_does_not():
    silent = []
    for module in MODULES:
        docstring = ast.get_docstring(ast.parse((ROOT / module).read_text("utf-8"))) or ""
        if not ("Belongs here" in docstring and "Does not" in docstring):
            silent.append(module)
    assert silent == ["lake/__init__.py"]  # says what the whole is


def test_no_module_is_called_after_nothing():
    empty = {"utils", "util", "helpers", "helper", "constants", "common", "misc"}
    assert [module for module in MODULES if Path(module).stem in empty] == []


def test_the_time_is_read_in_one_place():
    readers = [
        module
        for module in MODULES
        if re.search(r"datetime\.now\(|date\.today\(|utcnow\(", (ROOT / module).read_text("utf-8"))
    ]
    assert readers == ["lake/base/clock.py"]


def _bound(node: ast.AST) -> str | None:
    """The name that the node binds."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            return name
        case ast.arg(arg=name) | ast.alias(asname=name) | ast.ExceptHandler(name=name):
            return name
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.MatchAs(name=name):
            return name
    return None


def _names_the_part(node: ast.AST) -> bool:
    """`found` of an error: passed on, or read from it."""
    match node:
        case ast.keyword(arg="found", value=ast.Name(id="found")) | ast.Constant(value="found"):
            return True
    return False


def _parts(tree: ast.Module) -> Iterator[ast.AST]:
    """Everything in functions that name the part, and the fields of classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            inside = [inner for line in node.body for inner in ast.walk(line)]
            yield from ast.walk(node) if any(map(_names_the_part, inside)) else ()
        elif isinstance(node, ast.ClassDef):
            yield from (line.target for line in node.body if isinstance(line, ast.AnnAssign))


@pytest.mark.parametrize("package", ["assets", "bench", "lake", "scripts", "tests"])
def test_variables_are_called_by_nouns(package):
    for path in (ROOT / package).rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        vague = [node for node in ast.walk(tree) if _bound(node) in {"one", "found", "told"}]
        parts = set(_parts(tree)) if vague else set()
        wrong = [node for node in vague if _bound(node) != "found" or node not in parts]
        assert not wrong, f"{path}, line {wrong[0].lineno}: {_bound(wrong[0])}"
