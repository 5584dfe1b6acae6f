"""Commands and SQL of every page: each command parses, each statement runs on a lake.

docs/quarter.md, questions.md and runbook-restore.md have tests of their own, which also compare
answers.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.documented import (
    PAGES,
    ROOT,
    CodeBlock,
    blocks,
    commands,
    inline_commands,
    parse,
    unknown_options,
)
from support.renamed_lake import renamed_history

from lake.base.day import Day
from lake.cli.main import root
from lake.trends.files import read_trend

TUTORIAL = ROOT / "docs/tutorial.md"
BLOCKS = [block for page in PAGES for block in blocks(page)]
CALLS = sorted({(block.page, call) for block in BLOCKS for call in commands(block)})
INLINE = sorted(
    {(str(page.relative_to(ROOT)), call)
     for page in PAGES if "adr" not in page.parts for call in inline_commands(page.read_text())}
)  # fmt: skip
_TREND = re.compile(r"-- (?:input|grain):")
_ELSEWHERE = {"docs/quarter.md", "docs/questions.md"}
STATEMENTS = [
    block
    for block in BLOCKS
    if block.language == "sql" and block.page not in _ELSEWHERE and not _TREND.search(block.text)
]
TRENDS = [block for block in BLOCKS if block.language == "sql" and _TREND.search(block.text)]
_STEP = re.compile(
    r"(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<language>sh|sql)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@pytest.mark.parametrize(("page", "call"), CALLS)
def test_a_command_parses(page: str, call: str) -> None:
    parse(call)


@pytest.mark.parametrize(("page", "call"), INLINE)
def test_a_command_in_the_text_has_these_options(page: str, call: str) -> None:
    assert unknown_options(call) == set()


def test_calls_are_recognised() -> None:
    text = (
        "lake trend           lists the trends\n"
        "docker compose run --rm lake doctor\n"
        "sudo /opt/x/bin/lake init --force\n"
        "*/15 * * * * lake --config FILE metrics\n"
        "lake init --mongo URI \\\n    --root R   # a comment\n"
        "sudo cp lake.env lake.toml /etc\n"
    )
    assert [call.split(" #")[0].strip() for call in commands(CodeBlock("", "sh", text))] == [
        "lake trend",
        "lake doctor",
        "lake init --force",
        "lake --config FILE metrics",
        "lake init --mongo URI --root R",
    ]
    assert unknown_options("lake export --nonsense --day D") == {"--nonsense"}
    with pytest.raises(Exception, match="nonsense"):
        parse("lake export --nonsense")


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make demo` leaves, of the last seven days: a directory with `.demo`."""
    folder = tmp_path_factory.mktemp("tutorial")
    lake, _ = renamed_history(folder / ".demo", first=str(Day.today().plus(-7)))
    assert (folder / ".demo/lake").is_dir()
    made = CliRunner().invoke(root, ["rollup", "--config", str(lake.config)], prog_name="lake")
    assert made.exit_code == 0, made.output
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("block", STATEMENTS, ids=lambda block: block.page)
def test_a_statement_runs(week: Path, block: CodeBlock) -> None:
    arguments = ["query", block.text, "--json", "--config", str(week / ".demo/lake.toml")]
    done = CliRunner().invoke(root, arguments, prog_name="lake")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    if "histogram_increase_by_day" in block.text:
        return  # the demo has no native histograms
    assert rows
    assert any(value not in (None, 0) for row in rows for value in row.values())


@pytest.mark.parametrize("block", TRENDS, ids=lambda block: block.page)
def test_a_file_of_a_trend_is_one(tmp_path: Path, block: CodeBlock) -> None:
    path = tmp_path / "example.sql"
    path.write_text(block.text)
    assert read_trend(path).panels


def steps() -> list[tuple[str, int]]:
    """The tutorial as commands of one shell, each with its exit status."""
    lines = []
    for step in _STEP.finditer(TUTORIAL.read_text("utf-8")):
        mark = step["mark"] or ""
        if mark.startswith("not run"):
            continue
        status = int(mark.removeprefix("exit=") or 0)
        if step["language"] == "sql":
            lines.append((f"lake query - <<'SQL'\n{step['text']}SQL", status))
        else:
            lines += [(line, status) for line in step["text"].splitlines()]
    return lines


@pytest.mark.slow
def test_the_tutorial_runs(week: Path) -> None:
    script = "".join(f'{command}\necho "::$?"\n' for command, _ in steps())
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=week,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    statuses = [int(status) for status in re.findall(r"^::(\d+)$", done.stdout, re.MULTILINE)]
    assert len(statuses) > 15
    assert statuses == [status for _, status in steps()], done.stdout + done.stderr
    assert {"stages.png", "week.parquet", "days.xlsx"} <= {path.name for path in week.iterdir()}
    assert "1 with a difference" in done.stdout


def test_what_the_tutorial_does_not_run_is_named() -> None:
    marks = [step["mark"] or "" for step in _STEP.finditer(TUTORIAL.read_text("utf-8"))]
    skipped = [mark for mark in marks if mark.startswith("not run")]
    assert len(skipped) == 2
    assert len(marks) > 12
