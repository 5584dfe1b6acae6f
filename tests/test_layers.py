"""The shape of the code: what may import what, and what each module says of itself."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

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
