"""Errors as a shell shows them: no traceback, and --help is named only after wrong usage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.command_line import Run, run
from support.full_disk import files_of_at_most

__all__ = ["run"]
Lake = Callable[..., tuple[int, str]]

CONFIG = """
[lake]
root = "lake"
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
timeout_s = 0.5
[hot]
mongo = 30
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
"""
_SMALLEST_FILE = 4096


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "lake.toml"
    file.write_text(CONFIG)
    return file


@pytest.fixture
def lake(run: Run) -> Lake:
    """Runs the command line: exit status and standard error."""

    def statuses(*arguments: object) -> tuple[int, str]:
        status, _, err = run(*arguments)
        return status, err

    return statuses


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["replay", "--day", "2026-07-01"], "replay"),
        (["export", "--from", "2026-07-01"], "export"),
        (
            [
                "hold",
                "add",
                "events",
                "--reason",
                "x",
                "--from",
                "2026-07-02",
                "--to",
                "2026-07-01",
            ],
            "hold add",
        ),
    ],
)
def test_wrong_usage_names_the_help_of_its_command(lake, config, arguments, command):
    status, err = lake(*arguments, "--config", config)
    assert status == 2
    assert err.splitlines()[-1] == f"`lake {command} --help` lists the arguments and options."


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", "SELEC 1"],
        ["query", "FROM nowhere"],
        ["describe", "nothing_like_it"],
        ["report", "--html", "/proc/report"],
    ],
)
def test_an_error_with_a_remedy_of_its_own_does_not_name_the_help(lake, config, arguments):
    status, err = lake(*arguments, "--config", config)
    assert status == 2
    assert "--help" not in err


def test_a_syntax_error_does_not_list_the_tables(lake, config):
    assert "tables" not in lake("query", "SELEC 1", "--config", config)[1]
    assert "the tables are events" in lake("query", "FROM nowhere", "--config", config)[1]


@pytest.mark.parametrize(
    ("file", "text"),
    [("x" * 5000, "file name too long"), ("/proc/self/mem", "input/output error")],
)
def test_a_configuration_that_cant_be_read(lake, file, text):
    status, err = lake("status", "--config", file)
    assert status == 2
    assert "the configuration file can't be read" in err
    assert f"found: {text}" in err
    assert "--help" not in err


def test_a_wrong_value_is_described_in_plain_words(lake, config):
    config.write_text(CONFIG.replace("mongo = 30", 'mongo = "x"'))
    status, err = lake("status", "--config", config)
    assert (status, "expected: an integer\n" in err) == (2, True)


def test_a_catalog_for_which_there_is_no_room(lake, config, tmp_path):
    with files_of_at_most(_SMALLEST_FILE):
        status, err = lake("catalog", tmp_path / "x.duckdb", "--config", config)
    assert status == 1
    assert "the catalog can't be written" in err
    assert "found: file too large" in err


@pytest.mark.parametrize("form", ["parquet", "arrow", "xlsx"])
@pytest.mark.parametrize("to_file", [True, False])
def test_an_answer_for_which_there_is_no_room(lake, config, tmp_path, form, to_file):
    folder = tmp_path / "answers"
    folder.mkdir()
    # More than the limit only when the file ends: what is buffered has to be dropped then.
    sql = f"SELECT md5(i::VARCHAR) AS t FROM range({200 if form == 'arrow' else 20_000}) r(i)"
    target = folder / "x" if to_file else "-"
    arguments = ("query", sql, f"--{form}", target, "--config", config)
    with files_of_at_most(_SMALLEST_FILE):
        status, err = lake(*arguments)
    assert status == 1
    assert ("the file can't be written" if to_file else "the answer can't be buffered") in err
    assert "found: file too large" in err
    assert list(folder.iterdir()) == []


def test_a_plain_reason_for_a_server_that_is_down(lake, config):
    status, err = lake("export", "events", "--day", "2026-07-01", "--force", "--config", config)
    assert status == 1
    assert "found: 127.0.0.1:1: connection refused\n" in err
    assert "stopped on request" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", "SELECT 1", "--parquet", "{}", "--config", "{config}"],
        ["catalog", "{}", "--config", "{config}"],
        ["catalog", "--spark", "{}", "--config", "{config}"],
        ["dagster", "{}", "--config", "{config}"],
        ["init", "--output", "{}"],
        ["demo", "--dir", "{}"],
    ],
)
def test_a_path_that_the_system_does_not_take(lake, config, tmp_path, arguments):
    name = tmp_path / ("x" * 300)
    status, error = lake(*(a.format(name, config=config) for a in arguments))
    assert status in (1, 2)
    assert f"where: {name}" in error
    assert "found: file name too long" in error.lower()
