"""`lake --help` is quick, for nothing heavy is imported before a command needs it."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from lake.cli.main import _COMMANDS

LAKE = Path(sys.executable).with_name("lake")
HEAVY = {
    "bson", "boto3", "botocore", "dagster", "duckdb", "matplotlib", "numba", "numpy", "pandas",
    "pyarrow", "pydantic", "pymongo", "requests", "rich",
}  # fmt: skip
IMPORTED = """
import sys
from lake.cli import main
sys.argv = ["lake", *sys.argv[1:]]
try:
    main()
finally:
    print(*sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""
OF_EACH_SYSTEM = """
[lake]
root = "lake"
first_day = "2026-01-01"

[sources.prometheus]
url = "http://127.0.0.1:9"

[sources.loki]
url = "http://127.0.0.1:9"

[sources.mongo]
uri = "mongodb://127.0.0.1:9"
database = "service"

[[dataset]]
name = "requests"
source = "prometheus"
query = "requests_total"

[[dataset]]
name = "logs"
source = "loki"
selector = '{container="api"}'

[[dataset]]
name = "usage"
source = "mongo"
collection = "usage"
time_field = "at"
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("lake") / "lake.toml"
    file.write_text('[lake]\nroot = "lake"\n', "utf-8")
    return file


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_and_its_commands_import_nothing_heavy():
    listed = run(sys.executable, "-c", IMPORTED, "--help")
    assert listed.returncode == 0
    sections = listed.stdout.partition("\nSet up:\n")[2]
    commands = re.findall(r"^  (\w+)  ", sections, re.MULTILINE)
    assert {"export", "status", "verify", "init", "doctor"} <= set(commands)
    assert sorted(commands) == sorted(_COMMANDS)
    for arguments in (["--help"], ["export", "--help"], ["doctor", "--help"], ["--version"]):
        done = run(sys.executable, "-c", IMPORTED, *arguments)
        assert done.returncode == 0
        assert HEAVY & set(done.stderr.split()) == set()


def test_the_state_of_a_lake_is_shown_without_arrow(tmp_path: Path):
    file = tmp_path / "lake.toml"
    file.write_text(OF_EACH_SYSTEM, "utf-8")
    done = run(sys.executable, "-c", IMPORTED, "status", "--no-sources", "--config", str(file))
    assert "missing" in done.stdout, done.stderr
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "pydantic" in loaded
    assert {"numpy", "pandas", "pyarrow", "numba", "boto3"} & loaded == set()


def cpu_seconds() -> float:
    """Of all children that have ended: other work on the machine does not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_takes_half_a_second_at_most():
    seconds = []
    for _ in range(5):
        began = cpu_seconds()
        assert run(str(LAKE), "--help").returncode == 0
        seconds.append(cpu_seconds() - began)
    assert min(seconds) <= 0.5, seconds


def test_wrong_usage_of_the_root_command():
    for arguments in (["no-such-command"], ["--no-such-option"], []):
        done = run(str(LAKE), *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "lake" in done.stderr
    assert run(str(LAKE), "--version").stdout.startswith("monitoring-lake, version 0.")


def test_a_reader_that_has_gone_is_no_error():
    done = run("sh", "-c", f"{LAKE} --help | true; exit 0")
    assert done.stderr == ""


def test_a_mistake_of_ours_is_shown_without_secrets():
    text = """
import sys
from lake.base.redaction import register_secret
from lake.cli import main
from lake.cli.main import root
register_secret("open-sesame")
def broken(ctx):
    raise ValueError("the door opens on open-sesame")
root.invoke = broken
sys.argv = ["lake", "status"]
main()
"""
    done = run(sys.executable, "-c", text)
    assert done.returncode == 1
    assert "ValueError: the door opens on ***" in done.stderr


def in_a_shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace("lake", str(LAKE), 1)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_long_output_whose_reader_has_gone_is_no_error(config: Path):
    for form in ("--csv", "--parquet -"):
        done = in_a_shell(f"lake query 'FROM range(200000)' {form} --config {config} | true")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert "Error" not in done.stderr
        assert "Traceback" not in done.stderr


def test_a_full_or_closed_standard_output_has_no_traceback(config: Path):
    for command in ("query 'SELECT 1'", "query 'SELECT 1' --parquet -", "status --no-sources"):
        done = in_a_shell(f"lake {command} --config {config} > /dev/full")
        assert done.returncode == 1, command
        assert "lake: standard output can't be written\n  found: no space left" in done.stderr
        assert "Traceback" not in done.stderr
        assert "ignored" not in done.stderr
        done = in_a_shell(f"lake {command} --config {config} <&- >&-")
        assert (done.returncode, done.stdout) == (0, ""), (command, done.stderr)
    assert in_a_shell("lake --help > /dev/full").returncode == 1


def test_characters_that_the_terminal_lacks_are_escaped(config: Path):
    sql = "SELECT 'é😀' AS text"
    ascii_only = {"PYTHONIOENCODING": "ascii:strict"}
    done = in_a_shell(f'lake query "{sql}" --json --config {config}', **ascii_only)
    assert (done.returncode, json.loads(done.stdout)) == (0, [{"text": "é😀"}])
    done = in_a_shell(f'lake query "{sql}" --config {config}', **ascii_only)
    assert done.returncode == 0
    assert "\\u00e9\\ud83d\\ude00" in done.stdout
