"""Each statement of SQL runs on a lake, the tutorial as a whole; settings are accepted.

docs/quarter.md, questions.md and cookbook.md have tests of their own, which also compare answers;
test_pages runs the commands of the other pages. In the prose each call of `lake` has these options.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Any

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
from lake.config.settings import Settings

TUTORIAL = ROOT / "docs/tutorial.md"
BLOCKS = [block for page in PAGES for block in blocks(page)]
CALLS = sorted({(block.page, call) for block in BLOCKS for call in commands(block)})
INLINE = sorted(
    {(str(page.relative_to(ROOT)), call)
     for page in PAGES if "adr" not in page.parts for call in inline_commands(page.read_text())}
)  # fmt: skip
_TREND = re.compile(r"-- (?:input|grain):")
_ELSEWHERE = {"docs/cookbook.md", "docs/quarter.md", "docs/questions.md"}
STATEMENTS = [
    block
    for block in BLOCKS
    if block.language == "sql" and block.page not in _ELSEWHERE and not _TREND.search(block.text)
]
# new-system.md's need the package that it is about (tests/systems/test_new_system.py).
SETTINGS = [b for b in BLOCKS if b.language == "toml" and b.page != "docs/new-system.md"]
_DATASET = '[[dataset]]\nname = "events"\nsource = "mongo"\ncollection = "events"'
_SMALLEST = """
[lake]
root = "lake"
[sources.mongo]
uri = "mongodb://127.0.0.1:27017"
database = "app"
[hot]
mongo = 90
"""
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


@pytest.mark.slow
@pytest.mark.parametrize("block", TRENDS, ids=lambda block: block.page)
def test_a_file_of_a_trend_is_one(week: Path, block: CodeBlock) -> None:
    """With a counter and a label of the demo in place of the page's."""
    path = week / ".demo/trends/example.sql"
    path.parent.mkdir(exist_ok=True)
    text = block.text.replace("signups_total", "llm_tokens_total")
    path.write_text(text.replace("grown.plan = plan", "grown.plan = model"))
    arguments = ["trend", "example", "--json", "--config", str(week / ".demo/lake.toml")]
    done = CliRunner().invoke(root, arguments, prog_name="lake")
    path.unlink()
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert {row["plan"] for row in rows} >= {"gpt-4o", "gpt-4o-mini"}
    assert sum(row["signups"] for row in rows) > 1000


@pytest.mark.parametrize("block", SETTINGS, ids=lambda block: f"{block.page} {block.section}")
def test_settings_are_accepted(tmp_path: Path, block: CodeBlock) -> None:
    """Beside the smallest lake.toml; what a page has for one dataset is below one."""
    text = textwrap.dedent(block.text)
    if text.startswith("[dataset.columns]"):
        text = f"{_DATASET}\n{text}"
    own = tomllib.loads(text)
    whole = _merged(tomllib.loads(_SMALLEST), own)
    assert Settings.model_validate(whole).model_dump().keys() >= own.keys()


def _merged(fields: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    both = fields | more
    for name in fields.keys() & more.keys():
        if isinstance(fields[name], dict):
            both[name] = _merged(fields[name], more[name])
    return both


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
