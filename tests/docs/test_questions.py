"""docs/questions.md: each of its twenty answers, some of them by another way too."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.demo_history import DATASETS
from support.renamed_lake import renamed_history

from lake.cli.main import root
from lake.demo.dialogue import Request, requests_of

TEXT = (Path(__file__).parents[2] / "docs/questions.md").read_text("utf-8")
ANSWERS = re.findall(
    r"^### (\d+)\. ([^\n]+)\n.*?^```(sh|sql)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL
)
NIGHT = "2026-07-06"  # the outage
COMMANDS = [int(number) for number, _, kind, _ in ANSWERS if kind == "sh"]
STATEMENTS = [int(number) for number, _, kind, _ in ANSWERS if kind == "sql"]
Rows = list[dict]


class Week:
    """The demo's first week as a lake with rollups."""

    def __init__(self, folder: Path) -> None:
        lake, self.scenario = renamed_history(folder, {name: name for name in DATASETS})
        self._config = str(lake.config)
        assert self.run("lake rollup").exit_code == 0

    def run(self, command: str) -> Result:
        program, *arguments = shlex.split(command)
        assert program == "lake"
        return CliRunner().invoke(root, [*arguments, "--config", self._config], prog_name="lake")

    def answer(self, number: int) -> Rows:
        result = self.run(shlex.join(["lake", "query", "--json", ANSWERS[number - 1][3]]))
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def requests(self, day: str | None = None) -> list[Request]:
        days = [d for d in self.scenario.each_day() if day in (None, str(d))]
        return [request for day in days for request in requests_of(self.scenario, day)]


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Week:
    return Week(tmp_path_factory.mktemp("questions"))


def test_there_are_ten_by_night_and_ten_by_day() -> None:
    assert [int(number) for number, *_ in ANSWERS] == list(range(1, 21))
    night, day = TEXT.split("\n## ")[1:]
    assert (night.count("\n### "), day.count("\n### ")) == (10, 10)


@pytest.mark.parametrize("number", COMMANDS)
def test_a_command_answers(week: Week, number: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = week.run(ANSWERS[number - 1][3])
    # 1: days after the week are missing.
    assert result.exit_code in (0, 1), result.output
    assert result.stdout.strip()
    assert not isinstance(result.exception, Exception), result.exception


@pytest.mark.parametrize("number", STATEMENTS)
def test_a_statement_answers(week: Week, number: int) -> None:
    rows = week.answer(number)
    assert rows
    assert any(value not in (None, 0) for row in rows for value in row.values())


def test_errors_by_hour_are_those_of_the_requests(week: Week) -> None:
    expected = Counter(
        request.finished_ms // 3_600_000 % 24 for request in week.requests(NIGHT) if request.failure
    )
    # A counter shows a request at the next scrape, perhaps of the next hour.
    errors = {int(row["hour"][11:13]): row["errors"] for row in week.answer(3)}
    assert sum(errors.values()) == expected.total() > 50
    assert max(errors, key=errors.__getitem__) == max(expected, key=expected.__getitem__) == 11


def test_errors_by_code_and_stage(week: Week) -> None:
    expected = Counter(
        (request.failure.code, request.failure.stage)
        for request in week.requests(NIGHT)
        if request.failure
    )
    assert {(row["code"], row["stage"]): row["requests"] for row in week.answer(5)} == expected


def test_the_lines_are_those_of_the_first_failures(week: Week) -> None:
    failed = sorted(
        (request for request in week.requests(NIGHT) if request.failure),
        key=lambda request: request.finished_ms,
    )[:3]
    lines = [row["line"] for row in week.answer(7)]
    for request in failed:
        assert sum(request.request_id in line for line in lines) >= 3
    assert all(any(request.request_id in line for request in failed) for line in lines)


def test_users_of_each_day(week: Week) -> None:
    users = defaultdict(set)
    for day in week.scenario.each_day():
        users[str(day)] |= {request.user_id for request in week.requests(str(day))}
    assert {row["day"]: row["users"] for row in week.answer(11)} == {
        day: len(names) for day, names in users.items()
    }


def test_days_of_seoul(week: Week) -> None:
    nine_hours_ms = 9 * 3_600_000
    expected = Counter((r.finished_ms + nine_hours_ms) // 86_400_000 for r in week.requests())
    assert [row["requests"] for row in week.answer(12)] == [n for _, n in sorted(expected.items())]


def test_turns_of_sessions(week: Week) -> None:
    turns = Counter(request.session_id for request in week.requests())
    assert {row["turns"]: row["sessions"] for row in week.answer(17)} == Counter(turns.values())


def test_the_three_systems_agree(week: Week) -> None:
    for row in week.answer(19):
        assert row["documents"] == row["growth"] == row["lines"] == len(week.requests(row["day"]))
