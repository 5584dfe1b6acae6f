"""docs/cookbook.md: each statement answers, many of them compared with the generator."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support.documented_week import NIGHT, Week, questions_of

from lake.demo.logs import lines_of

TEXT = (Path(__file__).parents[2] / "docs/cookbook.md").read_text("utf-8")
QUESTIONS = questions_of(TEXT)
STATEMENTS = [question.number for question in QUESTIONS if question.kind == "sql"]
_EMPTY = {10}  # the week was exported once


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Week:
    return Week(tmp_path_factory.mktemp("cookbook"), QUESTIONS)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_there_are_thirty() -> None:
    assert [question.number for question in QUESTIONS] == list(range(1, 31))
    assert all(question.title.endswith("?") for question in QUESTIONS)
    assert [part.count("\n### ") for part in TEXT.split("\n## ")[1:]] == [10, 10, 10]


@pytest.mark.parametrize("number", STATEMENTS)
def test_a_statement_answers(week: Week, number: int) -> None:
    rows = week.answer(number)
    assert bool(rows) == (number not in _EMPTY)
    assert number in _EMPTY or any(value not in (None, 0) for row in rows for value in row.values())


def test_what_the_commands_answer(week: Week) -> None:
    answers = {q.number: week.run(q.text) for q in QUESTIONS if q.kind == "sh"}
    assert {number: result.exit_code for number, result in answers.items()} == {2: 0, 7: 0, 9: 1}
    identifier = QUESTIONS[1].text.split()[-1]
    (request,) = [r for r in week.requests(NIGHT) if r.request_id == identifier]
    assert request.failure
    assert request.failure.code in answers[2].stdout
    assert answers[7].stdout.count("7 verified, the newest 2026-07-07") == 7
    assert "last snapshots: mongo none" in answers[7].stdout
    assert "no snapshot to rehearse with" in str(answers[9].exception)  # of this lake


def test_the_api_was_away_while_it_wrote_no_line(week: Week) -> None:
    (row,) = week.answer(1)
    day = week.scenario.outage_day
    lines = lines_of(week.scenario, day, week.requests(NIGHT))
    api = sorted(
        line.ts_ns // 1000
        for stream, of in lines.items()
        if stream.container == "miyou-api"
        for line in of
    )
    away_us = week.scenario.outage.down_ms * 1000 + 150_000_000
    before = max(at for at in api if at < away_us)
    after = min(at for at in api if at > away_us)
    assert [round(_at(row[name]).timestamp() * 1e6) for name in ("last_line", "next_line")] == [
        before,
        after,
    ]
    assert row["turned_away"] == 0


def test_the_first_signs_of_the_outage(week: Week) -> None:
    (row,) = week.answer(3)
    failed = min(
        r.finished_ms
        for r in week.requests(NIGHT)
        if r.failure and r.finished_ms > week.scenario.outage.start_ms
    )
    assert abs(_at(row["error_answer"]).timestamp() * 1000 - failed) < 1000


def test_the_stage_that_the_deploy_made_slower(week: Week) -> None:
    since = {row["stage"]: _at(row["since"]) for row in week.answer(4)}
    deploy = datetime.fromtimestamp(week.scenario.deploy.stop_ms / 1000, UTC)
    assert since["TTS_SYNTHESIS"].date() == deploy.date()


def test_users_of_the_outage(week: Week) -> None:
    seoul = ZoneInfo("Asia/Seoul")
    users: dict[str, list[tuple[datetime, bool]]] = defaultdict(list)
    for document in week.documents(day=NIGHT):
        if 20 <= document["timestamp"].astimezone(seoul).hour < 22:
            users[document["userId"]].append((document["timestamp"], "error" in document))
    expected = {}
    for user, answers in users.items():
        answers.sort()
        failed = [at for at, is_failed in answers if is_failed]
        if failed:
            nexts = {at: later for (at, _), (later, _) in pairwise(answers)}
            again = sum(at in nexts and (nexts[at] - at).total_seconds() < 300 for at in failed)
            expected[user] = (len(failed), again, len(failed) == len(answers))
    assert expected
    assert {
        row["userId"]: (row["errors"], row["tried_again"], row["no_answer"])
        for row in week.answer(5)
    } == expected


def test_credits_that_were_wasted(week: Week) -> None:
    expected: dict[str, list[float]] = defaultdict(list)
    for document in week.documents():
        if "error" in document or "audioLengthMs" not in document.get("tts", {}):
            code = document.get("error", {}).get("code", "no audio")
            expected[code].append(document["cost"]["totalCredits"])
    rows = week.answer(12)
    assert {row["code"]: row["requests"] for row in rows} == {
        c: len(v) for c, v in expected.items()
    }
    for row in rows:
        assert row["credits"] == pytest.approx(sum(expected[row["code"]]))


def test_sessions_by_language(week: Week) -> None:
    turns: dict[str | None, Counter[str]] = defaultdict(Counter)
    languages = {}
    for document in week.documents():
        language = document.get("client", {}).get("language")
        session = document["sessionId"]
        languages[session] = languages.get(session) or language
    for document in week.documents():
        turns[languages[document["sessionId"]]][document["sessionId"]] += 1
    rows = {row["language"]: row for row in week.answer(16)}
    assert {name: row["sessions"] for name, row in rows.items()} == {
        n: len(c) for n, c in turns.items()
    }
    for name, row in rows.items():
        assert row["turns"][0] == statistics.median(turns[name].values())


def test_what_was_said_again(week: Week) -> None:
    users: dict[str, list[dict]] = defaultdict(list)
    for document in week.documents():
        users[document["userId"]].append(document)
    expected: Counter[tuple[bool, bool]] = Counter()
    for documents in users.values():
        documents.sort(key=lambda document: document["timestamp"])
        for document, later in zip(documents, [*documents[1:], None], strict=True):
            again = later is not None and (
                later["input"]["text"] == document["input"]["text"]
                and (later["timestamp"] - document["timestamp"]).total_seconds() < 120
            )
            expected[again, "error" in document] += 1
    rows = {row["said_again"]: row for row in week.answer(17)}
    for again in (False, True):
        number = expected[again, False] + expected[again, True]
        assert rows[again]["requests"] == number > 0
        assert rows[again]["failed_percent"] == pytest.approx(100 * expected[again, True] / number)


def test_prices_by_documents_and_by_counters_agree(week: Week) -> None:
    seoul = ZoneInfo("Asia/Seoul")
    expected: Counter[str] = Counter()
    for document in week.documents():
        if document["llm"]["model"] == "gpt-4o-mini" and "promptTokens" in document["llm"]:
            day = str(document["timestamp"].astimezone(seoul).date())
            tokens = (
                document["llm"]["promptTokens"] * 0.15 + document["llm"]["completionTokens"] * 0.6
            )
            expected[day] += tokens / 1e6
    rows = week.answer(20)
    assert len(rows) == 6
    for row in rows:
        assert row["by_documents"] == pytest.approx(expected[row["seoul_day"]])
        assert row["by_counters"] == pytest.approx(
            row["by_documents"], rel=0.05
        )  # at midnight a scrape late


def test_months_of_the_promise(week: Week) -> None:
    (row,) = week.answer(24)
    documents = week.documents()
    in_time = sum(d["response"].get("firstLatencyMs", 1e9) <= 2500 for d in documents)
    errors = [d["timestamp"].date() for d in documents if "error" in d]
    assert row["requests"] == len(documents)
    assert row["in_time_percent"] == round(100 * in_time / len(documents), 2)
    assert row["no_error_percent"] == round(100 - 100 * len(errors) / len(documents), 3)
    used, gone = 0, None
    for day in sorted({d["timestamp"].date() for d in documents}):
        used += errors.count(day)
        gone = gone or (str(day) if used > 0.005 * len(documents) else None)
    assert row["budget_gone"] == gone


def test_parts_add_up_and_restarts_are_those_of_the_scenario(week: Week) -> None:
    seen = [(_at(row["last_seen"]), _at(row["seen_again"])) for row in week.answer(26)]
    for restart in week.scenario.restarts:
        ready = datetime.fromtimestamp(restart.ready_ms / 1000, UTC)
        assert any(abs((again - ready).total_seconds()) < 400 for _, again in seen), (restart, seen)
    assert len(seen) == len(week.scenario.restarts)


def test_all_sources_count_the_same(week: Week) -> None:
    requests = len(week.requests())
    tokens = sum(request.total_tokens for request in week.requests())
    for row in week.answer(28):
        assert row["requests"] in (requests, None)
        assert row["tokens"] in (tokens, None)
        assert not row["requests_missing"]
        assert not row["tokens_missing"]


def test_sizes_are_those_of_the_files(week: Week) -> None:
    sizes: Counter[str] = Counter()
    for stat in week.files():
        kind, dataset, *_ = stat.key.split("/")
        if kind in ("tables", "rollups") and stat.key.endswith(".parquet"):
            sizes[dataset] += stat.bytes
    assert {row["dataset"]: row["bytes"] for row in week.answer(30)} == sizes
