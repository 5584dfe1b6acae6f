"""docs/quarter.md: each of its ten answers, on two lakes whose datasets have different names."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.demo_history import DATASETS
from support.renamed_lake import renamed_history

from lake.cli.main import root
from lake.demo.dialogue import requests_of
from lake.demo.logs import lines_of

TEXT = (Path(__file__).parents[2] / "docs/quarter.md").read_text("utf-8")
ANSWERS = re.findall(
    r"^## (\d+)\. ([^\n]+)\n.*?^```(sh|sql)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL
)
NAMES = {name: f"{name[::-1]}_x".replace("__", "_").strip("_") for name in DATASETS}
Rows = list[dict]


def lake_command(*arguments: object) -> str:
    result = CliRunner().invoke(root, [*map(str, arguments)], prog_name="lake")
    assert result.exit_code == 0, (arguments, result.output)
    return result.stdout


class Quarter:
    """A lake with rollups, and what the page's statements return there."""

    def __init__(self, folder: Path, names: dict[str, str]) -> None:
        self._names = names
        lake, self.scenario = renamed_history(folder, names)
        self.config = lake.config
        lake_command("rollup", "--config", self.config)

    def answer(self, number: int) -> Rows:
        _, _, kind, text = ANSWERS[number - 1]
        if kind == "sh":
            program, *arguments = shlex.split(text)
            assert program == "lake"
        else:
            arguments = ["query", self._renamed(text)]
        return json.loads(lake_command(*arguments, "--json", "--config", self.config))

    def _renamed(self, text: str) -> str:
        for old, new in self._names.items():
            text = re.sub(rf"\b{old}(?=(_hourly)?(_between)?\b)", new, text)
        return text


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Quarter:
    return Quarter(tmp_path_factory.mktemp("demo"), {name: name for name in DATASETS})


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Quarter:
    return Quarter(tmp_path_factory.mktemp("other"), NAMES)


def test_there_are_ten() -> None:
    assert [int(number) for number, *_ in ANSWERS] == list(range(1, 11))
    assert all(question.endswith("?") for _, question, *_ in ANSWERS)
    assert len(TEXT.split("\n## ")) == 11


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 11))
def test_other_names_give_the_same_answer(demo: Quarter, other: Quarter, number: int) -> None:
    rows = demo.answer(number)
    assert rows
    assert any(value not in (None, 0) for row in rows for value in row.values())
    same = other.answer(number)
    assert len(same) == len(rows)
    for left, two in zip(same, rows, strict=True):
        assert left == pytest.approx(two)  # sums of floats depend on the order


@pytest.fixture(scope="module")
def requests(demo: Quarter):
    return [
        request for day in demo.scenario.each_day() for request in requests_of(demo.scenario, day)
    ]


def test_tokens_of_each_model(demo: Quarter, requests) -> None:
    expected: Counter[str] = Counter()
    for request in requests:
        expected[request.model] += request.total_tokens
    increases: Counter[str] = Counter()
    for row in demo.answer(4):
        increases[row["label"]] += row["increase"]
    assert increases == expected
    costs = demo.answer(8)
    assert {row["model"]: row["tokens"] for row in costs} == expected


def test_lines_of_each_container_and_level(demo: Quarter) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for day in demo.scenario.each_day():
        lines = lines_of(demo.scenario, day, requests_of(demo.scenario, day))
        for stream, of_stream in lines.items():
            expected[stream.container, stream.level] += len(of_stream)
    assert {(row["container"], row["level"]): row["lines"] for row in demo.answer(6)} == expected
    by_container: Counter[str] = Counter()
    for row in demo.answer(5):
        by_container[row["label"]] += row["lines"]
    assert by_container.total() == expected.total()


def test_percentiles_of_each_model_and_week(demo: Quarter, requests) -> None:
    latencies = defaultdict(list)
    for request in requests:
        finished = demo.scenario.first.start.fromtimestamp(
            request.finished_ms / 1000, demo.scenario.first.start.tzinfo
        )
        latencies[finished.isocalendar().week, request.model].append(request.total_latency_ms)
    rows = demo.answer(7)
    assert len(rows) == len(latencies)
    for row in rows:
        week = demo.scenario.first.start.fromisoformat(row["week"]).isocalendar().week
        values = sorted(latencies[week, row["model"]])
        exact = values[math.floor(0.95 * (len(values) - 1))]
        assert row["p95_ms"] == pytest.approx(exact, rel=0.0101)


def test_the_rollup_holds_what_the_samples_hold(demo: Quarter, requests) -> None:
    (row,) = demo.answer(10)
    assert row["raw"] == row["rollup"] > 0
    start = demo.scenario.first.plus(5)
    assert row["raw"] == sum(
        start.start_ms <= request.finished_ms < start.plus(1).start_ms for request in requests
    )
