"""The wheel, installed and used outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
import lake
from lake.base.resources import resource_path
assert Path(lake.__file__).is_relative_to(sys.prefix), lake.__file__
assert resource_path("sql/trends").is_relative_to(sys.prefix)
with lake.open("lake.toml") as data:
    print(data.datasets, data.read("events").num_rows, len(data.status()[0].days))
with lake.connect("lake.toml") as session:
    print(session.sql("SELECT count(*) FROM events").fetchall())
"""
CONFIG = """
[lake]
root = "store"
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, text=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """An environment with this wheel; dependencies are those of the tests' own environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)  # what an installer does with a wheel of pure Python
    # A path file that is read by way of another one is not: the checkout stays out.
    own = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(own) + "\n")
    return folder / "bin/python"


def run(python: Path, folder: Path, *arguments: str) -> str:
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python), *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_its_types_and_its_files(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"lake/py.typed", "lake/api.py", "lake/_resources/docs/restore.py"} <= names
    site = ("page.js", "calendar.js", "day.js", "charts.js", "report.css", "uplot/LICENSE")
    assert {f"lake/report/site/{name}" for name in site} <= names
    assert {"lake/pages/style.css", "lake/rehearse/page.css"} <= names
    assert not [name for name in names if name.startswith(("tests/", "bench/"))]


def test_it_works_outside_the_checkout(python, tmp_path):
    (tmp_path / "lake.toml").write_text(CONFIG)
    assert run(python, tmp_path, "-c", PROGRAM) == "['events'] 0 0\n[(0,)]\n"


@pytest.mark.slow
def test_types_reach_the_user(python, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import lake\nreveal_type(lake.open().read('events', '2026-07-05'))\n"
                      "reveal_type(lake.open().export('events', '2026-07-05').manifest.rows)\n"
                      "lake.open().export('events', 5)\n")  # fmt: skip
    options = ["--python-executable", str(python), "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--ignore-missing-imports", *options, str(script)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 'Revealed type is "int"' in done.stdout or "builtins.int" in done.stdout
    assert 'Argument 2 to "export"' in done.stdout
    assert done.stdout.count(" error: ") == 1, done.stdout
