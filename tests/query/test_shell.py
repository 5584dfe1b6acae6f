"""`lake shell`: on a terminal, and with statements from a pipe."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lake.base.errors import UsageError
from lake.cli.shell import ShellSession
from lake.cli.shell_prompt import is_complete
from lake.cli.shell_words import Words
from lake.cli.sql_text import split

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]|\r")
_FOREVER = "SELECT count(*) FROM range(1000000000000) t(i);"


@pytest.fixture
def lake(make_lake, table):
    lake = make_lake("events", "other")
    for number, day in enumerate(("2026-07-01", "2026-07-03")):
        meta = [{"size": 1, "odd name": 2}]
        lake.put("events", day, table(n=[number], latency_ms=[1.5], meta=meta))
    return lake


@pytest.mark.parametrize(
    ("text", "statements", "rest"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1"], "SELECT 2"),
        ("SELECT ';' ;\n", ["SELECT ';'"], ""),
        ("SELECT 'it''s;' AS \"a;\"\"b\";", ["SELECT 'it''s;' AS \"a;\"\"b\""], ""),
        ("SELECT 1 -- one;\n;", ["SELECT 1 -- one;"], ""),
        ("SELECT /* ; */ 1;;;", ["SELECT /* ; */ 1"], ""),
        ("SELECT $x$;$x$ || $$;$$;", ["SELECT $x$;$x$ || $$;$$"], ""),
        ("SELECT 'open;", [], "SELECT 'open;"),
        ("-- only a comment;", [], ""),
        (" ; ", [], ""),
    ],
)
def test_where_statements_end(text: str, statements: list[str], rest: str) -> None:
    assert split(text) == (statements, rest)


def test_when_enter_runs_the_input() -> None:
    for text in (".tables", "", "  \n", "SELECT 1;", "SELECT 1; SELECT 2;  "):
        assert is_complete(text), text
    for text in ("SELECT 1", "SELECT 1; SELECT 2", "SELECT ';"):
        assert not is_complete(text), text


def _piped(lake, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lake", "shell", "--config", str(lake.config), *options]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, check=False
    )


def test_statements_from_a_pipe(lake) -> None:
    done = _piped(
        lake,
        "SELECT sum(n) AS total\nFROM events; CREATE TABLE mine AS FROM range(3) t(i);\n"
        "SELECT max(i) AS most FROM mine;\n.rows 1\n.describe events\n.tables\n"
        ".refresh\nSELECT count(*) AS last FROM other",
    )
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[:4] == [["total"], ["1"], ["most"], ["2"]]
    assert ["events:", "2", "rows", "on", "2", "days,", "2026-07-01", "to", "2026-07-03"] in lines
    assert ["events", "2", "2026-07-01", "2026-07-03", "2"] in lines
    assert lines[-2:] == [["last"], ["0"]]
    assert "events: 1 of 3 days from 2026-07-01 to 2026-07-03 is not in the lake" in done.stderr
    assert "other: no day is in the lake yet" in done.stderr


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        ("SELECT nope FROM events; SELECT 'after';", 2, 'similar columns: "'),
        ("COPY events TO 'x.csv'; SELECT 'after';", 2, "only statements that read"),
        (".nothing\nSELECT 'after';", 2, "no such command: .nothing"),
        (".rows many\nSELECT 'after';", 2, "not a number of rows"),
        ("SELECT error('boom'); SELECT 'after';", 1, "boom"),
        (".quit\nSELECT 'after';", 0, ""),
    ],
)
def test_a_pipe_ends_at_the_first_error(lake, text: str, status: int, error: str) -> None:
    done = _piped(lake, text)
    assert (done.returncode, done.stdout) == (status, "")
    assert error in done.stderr


def test_words_of_tables_columns_functions_and_commands(lake) -> None:
    with lake.connect() as session:
        words = Words(ShellSession(session, str(lake.config), None))

        def completed(text: str, after: str = "") -> list[str]:
            return words.completions(text, after)[1]

        assert completed("SELECT * FROM eve")[:4] == [
            "events",
            "events_between",
            "events_hourly",
            "events_hourly_between",
        ]
        assert completed("SELECT lat", " FROM events")[0] == "latency_ms"
        assert "latency_ms" not in completed("SELECT lat")
        assert completed("SELECT events.la", " FROM events") == ["events.latency_ms"]
        assert completed("SELECT meta.", " FROM events") == ['meta."odd name"', "meta.size"]
        assert completed("SELECT sketch_q") == ["sketch_quantile"]
        assert "approx_quantile" in completed("select approx_q")
        assert completed("SEL") == ["SELECT"]
        assert completed(".t") == [".tables", ".trend"]
        assert completed(".describe ev") == ["events"]
        assert "daily_requests" in completed(".trend ")


def test_names_that_are_words_of_sql_are_quoted(make_lake, table) -> None:
    lake = make_lake("select", "group")
    lake.put("select", "2026-07-01", table(**{"from": [1], "Order": [2]}))
    with lake.connect() as session:
        words = Words(ShellSession(session, str(lake.config), None))
        assert words.completions("FROM sel")[1][:2] == ['"select"', "select_between"]
        assert words.completions('FROM "sel')[1] == ['"select"']
        assert words.completions("SELECT fr", ' FROM "select"')[1][0] == '"from"'
        assert words.completions("SELECT ord", ' FROM "select"')[1][0] == '"Order"'
        with pytest.raises(UsageError, match='the tables are "select", "group"'):
            session.ask("FROM nothing")


class _Terminal:
    """`lake shell` on a pseudo-terminal of its own, as one types."""

    def __init__(self, lake, cache: Path) -> None:
        environment = {
            **os.environ,
            "TERM": "xterm",
            "LAKE_CACHE_DIR": str(cache),
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "PAGER": "cat",
        }
        command = [sys.executable, "-m", "lake", "shell", "--config", str(lake.config)]
        self.process, self.terminal = pty.fork()
        if not self.process:
            os.execve(sys.executable, command, environment)
        self.shown = ""

    def send(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def wait(self, text: str, seconds: float = 60) -> str:
        """What was shown until then."""
        end = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.shown += _ESCAPES.sub("", os.read(self.terminal, 65_536).decode())
        before, _, self.shown = self.shown.partition(text)
        return before

    def end(self) -> int:
        try:
            while os.read(self.terminal, 65_536):
                pass
        except OSError:  # how a pseudo-terminal ends
            pass
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


@pytest.mark.slow
def test_on_a_terminal(lake, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    terminal = _Terminal(lake, cache)
    terminal.wait("lake>")
    terminal.send("SELECT 6 *\r")
    terminal.wait("...")
    terminal.send("7 AS answer;\r")
    terminal.wait("42")
    terminal.wait("1 row\n")
    terminal.wait("lake>")
    terminal.send("SELECT broken FROM events;\r")
    terminal.wait("lake: the SQL is wrong")
    terminal.wait("lake>")
    terminal.send(f"{_FOREVER}\r")
    time.sleep(1.5)
    terminal.send("\x03")
    terminal.wait("interrupted")
    terminal.wait("lake>")
    terminal.send("SELECT half")
    terminal.send("\x03")  # discards what is typed
    terminal.wait("lake>")
    terminal.send("SELECT sum(n) + 40 AS total FROM oth\t_unused")
    terminal.send("\x15")  # deletes the line
    terminal.send(".ref\t\r")
    terminal.wait(".refresh")
    terminal.wait("lake>")
    terminal.send("SELECT sum(n) + 40 AS total FROM events;\r")
    terminal.wait("41")
    terminal.wait("1 of 3 days")
    terminal.wait("lake>")
    terminal.send("\x04")
    assert terminal.end() == 0
    history = cache / "shell_history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert "+SELECT 6 *\n+7 AS answer;\n" in history.read_text()

    terminal = _Terminal(lake, cache)
    terminal.wait("lake>")
    terminal.send("\x1b[A")  # the last statement
    terminal.wait("FROM events;")
    terminal.send("\r")
    terminal.wait("41")
    terminal.wait("lake>")
    terminal.send(".quit\r")
    assert terminal.end() == 0
