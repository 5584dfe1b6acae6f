"""Each block of the pages is run or read by a test; what no test machine can run is parsed.

What is not run is on a list with reasons (support.page_shell.NOT_RUN). A new block is run, or fails
here.
"""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest
from support.documented import PAGES, ROOT, blocks
from support.page_shell import NOT_RUN, is_shell, lines_of, unwrapped, why_not_run

from lake.servers import find

COMMANDS = ("sh", "crontab", "js")
# Pages that a test of their own runs as a whole.
OWN = {
    "docs/tutorial.md": "docs/test_blocks.py",
    "docs/quarter.md": "docs/test_quarter.py",
    "docs/questions.md": "docs/test_questions.py",
    "docs/cookbook.md": "docs/test_cookbook.py",
    "docs/runbook-restore.md": "docs/test_runbook.py",
    "docs/new-system.md": "systems/test_new_system.py",
}
RUN = {
    "CONTRIBUTING.md",
    "README.md",
    "deploy/grafana/README.md",
    "deploy/loki/README.md",
    "deploy/terraform/README.md",
    "docs/deploy.md",
    "docs/engines.md",
    "docs/operations.md",
    "docs/privacy.md",
}
# Of other languages: what runs or reads them.
OTHERS = {
    "sql": "docs/test_blocks.py, test_quarter.py, test_questions.py and test_cookbook.py",
    "toml": "docs/test_blocks.py",
    "python": "iceberg/test_iceberg.py, spark/, systems/test_new_system.py; docs/test_pages.py",
    "yaml": "test_prometheus_writes_to_mimir",
    "ini": "test_a_drop_in_of_systemd",
}
ALL = sorted(
    {
        (block.page, line)
        for page in PAGES
        for block in blocks(page)
        if block.language == "sh"
        for line in lines_of(block)
    }
)
LINES = [(page, line) for page, line in ALL if why_not_run(line)]


def test_each_block_is_run_or_read() -> None:
    """A new page with commands needs a test here, a new language a reader."""
    for page in PAGES:
        for block in blocks(page):
            if block.language in COMMANDS:
                assert block.page in RUN or block.page in OWN, block
            elif block.language:
                assert block.language in OTHERS, block
            elif "adr" not in page.parts:
                assert not _COMMAND.search(block.text), (
                    f"commands in a block of no language: {block}"
                )


_COMMAND = re.compile(
    r"^\s*(?:\$ |(?:lake|sudo|docker|kubectl|make|pip|python3?|aws|curl|export|source|cp|mongosh|"
    r"terraform|\.venv/bin/\w+) )",
    re.MULTILINE,
)


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_line_that_is_not_run_is_one_of_a_shell(page: str, line: str) -> None:
    """So that a quote or a bracket too few is found."""
    assert is_shell(line), page


def test_the_list_of_what_is_not_run_is_as_short_as_it_can_be() -> None:
    lines = {unwrapped(line) for _, line in LINES}
    assert [
        shape for shape in NOT_RUN if not any(re.fullmatch(shape, line) for line in lines)
    ] == []


def test_each_section_of_the_deployment_is_run() -> None:
    sections = {b.section for b in blocks(ROOT / "docs/deploy.md") if b.language in COMMANDS}
    assert sections == {"The bucket", "With Docker Compose", "With systemd", "In Kubernetes"}


def test_what_the_tutorial_leaves_out_is_on_the_list() -> None:
    text = (ROOT / "docs/tutorial.md").read_text("utf-8")
    left_out = re.findall(r"<!-- not run: .* -->\n```sh\n(.*)\n```", text)
    assert len(left_out) == text.count("<!-- not run")
    assert all(why_not_run(line) for line in left_out)


def test_the_pages_of_questions_have_one_block_an_answer() -> None:
    """Their tests take the first one."""
    for page, number in (
        ("docs/quarter.md", 10),
        ("docs/questions.md", 20),
        ("docs/cookbook.md", 30),
    ):
        of_page = blocks(ROOT / page)
        assert len(of_page) == number, page
        assert {block.language for block in of_page} == {"sh", "sql"}


def test_a_drop_in_of_systemd() -> None:
    (text,) = [b.text for page in PAGES for b in blocks(page) if b.language == "ini"]
    drop_in = configparser.ConfigParser(interpolation=None)
    drop_in.optionxform = str  # type: ignore[assignment,method-assign]
    drop_in.read_string(text)
    assert set(drop_in["Service"]) == {"SupplementaryGroups", "ReadWritePaths"}


def test_prometheus_writes_to_mimir(tmp_path: Path) -> None:
    (text,) = [b.text for page in PAGES for b in blocks(page) if b.language == "yaml"]
    promtool = find("promtool")
    assert promtool
    (tmp_path / "prometheus.yml").write_text(text)
    command = [promtool.path, "check", "config", tmp_path / "prometheus.yml"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
