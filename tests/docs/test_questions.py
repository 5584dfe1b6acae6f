"""docs/questions.md: each of its twenty answers; those in SQL against the generator."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from zoneinfo import ZoneInfo

import pytest
from support.demo_history import DATASETS
from support.documented_week import NIGHT, Rows, Week, questions_of

TEXT = (Path(__file__).parents[2] / "docs/questions.md").read_text("utf-8")
ANSWERS = questions_of(TEXT)
COMMANDS = [question for question in ANSWERS if question.kind == "sh"]
STATEMENTS = [question.number for question in ANSWERS if question.kind == "sql"]


def by(documents: Rows, key: Callable[[dict], str]) -> dict[str, Rows]:
    groups: dict[str, Rows] = defaultdict(list)
    for document in documents:
        groups[key(document)].append(document)
    return groups


def credits_used(document: dict) -> float:
    return document["cost"]["totalCredits"]


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Week:
    return Week(tmp_path_factory.mktemp("questions"), ANSWERS)


def test_there_are_ten_by_night_and_ten_by_day() -> None:
    assert [question.number for question in ANSWERS] == list(range(1, 21))
    night, day = TEXT.split("\n## ")[1:]
    assert (night.count("\n### "), day.count("\n### ")) == (10, 10)


def test_what_the_commands_answer(week: Week, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    answers = {question.number: week.run(question.text) for question in COMMANDS}
    # 1: the days after the week are missing.
    assert {number: result.exit_code for number, result in answers.items()} == {
        1: 1, 2: 0, 4: 0, 9: 0, 10: 0
    }  # fmt: skip
    out = {number: result.stdout for number, result in answers.items()}
    for name in DATASETS:
        (states,) = [line for line in out[1].splitlines() if line.startswith(f"{name} ")]
        assert "7 verified" in states
    assert f"{7 * len(DATASETS)} of " in out[2]
    assert "not proven and not in the source" in out[2]
    around = [
        document
        for document in week.documents(day=NIGHT)
        if "11:10" <= f"{document['timestamp']:%H:%M}" < "11:30"
    ]
    failed = sum("error" in document for document in around)
    assert failed > 5
    assert f"usage_analytics: {len(around)} documents, {failed} with errors" in out[4]
    assert "yes, exactly" in out[9]
    assert "7 of 7 days in the lake" in out[9]
    assert "no snapshots yet" in out[10]


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
    """The first and the last one of the lake are not whole, and not asked for."""
    nine_hours_ms = 9 * 3_600_000
    days = Counter((r.finished_ms + nine_hours_ms) // 86_400_000 for r in week.requests())
    whole = sorted(days)[1:-1]
    assert [row["requests"] for row in week.answer(12)] == [days[day] for day in whole]


def test_hours_of_seoul(week: Week) -> None:
    hours: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for request in week.requests():
        at = datetime.fromtimestamp(request.finished_ms / 1000, ZoneInfo("Asia/Seoul"))
        hours[at.hour][at.weekday() >= 5] += 1
    assert {
        row["seoul_hour"]: [row["weekdays"], row["weekends"]] for row in week.answer(13)
    } == hours


def test_costs_of_models(week: Week) -> None:
    models = by(week.documents(), lambda document: document["llm"]["model"])
    credits_of = {name: sum(map(credits_used, of)) for name, of in models.items()}
    rows = week.answer(14)
    assert {row["model"]: row["requests"] for row in rows} == {n: len(d) for n, d in models.items()}
    for row in rows:
        assert row["credits"] == pytest.approx(credits_of[row["model"]])
        each = row["credits"] / row["requests"]
        assert row["credits_per_request"] == pytest.approx(each)


def test_percentiles_of_the_first_audio(week: Week) -> None:
    heard = [document for document in week.documents() if "firstLatencyMs" in document["response"]]
    models = by(heard, lambda document: document["llm"]["model"])
    for row in week.answer(15):
        times = [document["response"]["firstLatencyMs"] for document in models.pop(row["model"])]
        hundredths = quantiles(times, n=100, method="inclusive")
        assert row["median_ms"] == pytest.approx(hundredths[49])
        assert row["p95_ms"] == pytest.approx(hundredths[94])
    assert not models


def test_tenths_of_users(week: Week) -> None:
    users = by(week.documents(), lambda document: document["userId"])
    used = sorted((sum(map(credits_used, of)) for of in users.values()), reverse=True)
    rows = week.answer(16)
    assert [row["users"] for row in rows] == sorted((row["users"] for row in rows), reverse=True)
    assert sum(row["users"] for row in rows) == len(used)
    for row in rows:
        tenth, used = used[: row["users"]], used[row["users"] :]
        assert row["credits"] == pytest.approx(sum(tenth))
    assert sum(row["percent"] for row in rows) == pytest.approx(100, abs=0.5)


def test_what_the_deploy_changed(week: Week) -> None:
    releases = by(week.documents(), lambda document: document.get("client", {}).get("release"))
    for row in week.answer(18):
        of = releases.pop(row["release"])
        spoken = [document["tts"]["synthesisTimeMs"] for document in of if document.get("tts")]
        assert row["requests"] == len(of)
        assert row["synthesis_ms"] == pytest.approx(sum(spoken) / len(spoken))
    assert not releases


def test_texts_that_come_again(week: Week) -> None:
    texts = by(week.documents(), lambda document: document["input"]["text"])
    expected = sorted(
        (-len(of), text, len({document["userId"] for document in of})) for text, of in texts.items()
    )
    assert [(-row["times"], row["text"], row["users"]) for row in week.answer(20)] == expected[:10]


def test_users_whose_requests_failed(week: Week) -> None:
    failed = [document for document in week.documents(day=NIGHT) if "error" in document]
    users = by(failed, lambda document: document["userId"])
    expected = sorted(
        (-len(of), user, len({document["sessionId"] for document in of}))
        for user, of in users.items()
    )
    rows = [(-row["failures"], row["userId"], row["sessions"]) for row in week.answer(6)]
    assert rows == expected[:20]


def test_stages_against_the_day_before(week: Week) -> None:
    stages: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for column, day in (("before_ms", "2026-07-05"), ("after_ms", NIGHT)):
        for document in week.documents("performance_metrics", day):
            for stage in document["stages"]:
                if "durationMs" in stage:
                    stages[stage["name"]][column].append(stage["durationMs"])
    for row in week.answer(8):
        for column, times in stages.pop(row["stage"]).items():
            assert row[column] == pytest.approx(sum(times) / len(times))
    assert not stages


def test_the_readme_shows_all_twenty() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    shown = re.findall(r"\[([^\]]+)\]\(docs/questions\.md#(\d+)-[^)]*\)", readme)
    assert {int(number): title for title, number in shown} == {
        question.number: question.title for question in ANSWERS
    }


def test_turns_of_sessions(week: Week) -> None:
    turns = Counter(request.session_id for request in week.requests())
    assert {row["turns"]: row["sessions"] for row in week.answer(17)} == Counter(turns.values())


def test_the_three_systems_agree(week: Week) -> None:
    for row in week.answer(19):
        assert row["documents"] == row["growth"] == row["lines"] == len(week.requests(row["day"]))
