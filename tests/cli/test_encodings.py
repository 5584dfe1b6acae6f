"""SQL and names in other encodings than UTF-8: as arguments, files and standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from support.hand_made import HandMadeLake, hand_made_lake

_SQL = "SELECT 'Größe' AS a, sum(n) AS n FROM events"
_ROWS = [{"a": "Größe", "n": 1}]
_ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> HandMadeLake:
    lake = hand_made_lake(tmp_path_factory.mktemp("lake"), "events")
    lake.put("events", "2026-07-01", pa.table({"n": [1]}))
    return lake


def _run(lake: HandMadeLake, *arguments: str | bytes, sent: bytes = b"", **env: str):
    command = [sys.executable, "-m", "lake", *arguments, "--config", str(lake.config)]
    done = subprocess.run(
        command, input=sent, capture_output=True, env={**os.environ, **env}, check=False
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize(
    "arguments",
    [
        ("query", _SQL.encode("latin-1")),
        ("can", _SQL.encode("latin-1")),
        ("catalog", "Größe.duckdb".encode("latin-1")),
        ("erase", "events", "--where", "a = 'Größe'".encode("latin-1")),
    ],
)
def test_an_argument_in_latin_1(lake, arguments) -> None:
    status, out, err = _run(lake, *arguments)
    assert (status, out) == (2, b"")
    assert err.startswith("lake: an argument is not text in UTF-8\n")
    assert f"where: argument {len(arguments)}\n" in err
    assert r"Gr\udcf6\udcdfe" in err


def test_an_argument_in_a_locale_of_ascii(lake) -> None:
    status, _, err = _run(lake, "query", _SQL, **_ASCII)
    assert status == 2
    assert "PYTHONUTF8" in err


@pytest.mark.parametrize("command", ["query", "shell"])
def test_standard_input(lake, command: str) -> None:
    arguments = ["query", "-", "--json"] if command == "query" else ["shell"]
    for env in ({}, _ASCII):  # there UTF-8 is what it most likely is
        status, out, err = _run(lake, *arguments, sent=_SQL.encode(), **env)
        assert status == 0, err
        if command == "query":
            assert json.loads(out) == _ROWS
    latin = _SQL.encode("latin-1")
    status, out, err = _run(lake, *arguments, sent=latin)
    assert (status, out) == (2, b"")
    assert err.startswith("lake: standard input is not text in its encoding\n")
    assert "iconv" in err
    status, out, err = _run(lake, *arguments, sent=latin, PYTHONIOENCODING="latin-1")
    assert status == 0, err
    if command == "query":
        assert json.loads(out.decode("latin-1")) == _ROWS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_a_file(lake, tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "a.sql"
    file.write_bytes(_SQL.replace(" FROM", "\r\nFROM").encode(encoding))
    status, out, err = _run(lake, "query", str(file), "--json")
    if encoding.startswith("utf-8"):
        assert json.loads(out) == _ROWS
    else:
        assert (status, out) == (2, b"")
        assert "remedy: save the file as UTF-8" in err
