"""The demo's first week as a lake with rollups, and the answers of a page of the docs there.

Belongs here: the page's questions with their commands and statements. Does not: expected answers.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from lake.cli.main import root
from lake.demo.dialogue import Request, requests_of
from lake.demo.documents import documents_of
from lake.store import ObjectStat
from support.demo_history import DATASETS
from support.renamed_lake import renamed_history

NIGHT = "2026-07-06"  # the outage
Rows = list[dict]


@dataclass(frozen=True)
class Question:
    """`kind` of its answer: `sh` or `sql`."""

    number: int
    title: str
    kind: str
    text: str


def questions_of(page: str) -> list[Question]:
    """Those of a page, each a heading with a number and a block."""
    matches = re.findall(
        r"^### (\d+)\. ([^\n]+)\n.*?^```(sh|sql)\n(.*?)^```", page, re.MULTILINE | re.DOTALL
    )
    return [Question(int(number), *parts) for number, *parts in matches]


class Week:
    """The lake in a folder."""

    def __init__(self, folder: Path, questions: list[Question]) -> None:
        self._questions = questions
        lake, self.scenario = renamed_history(folder, {name: name for name in DATASETS})
        self._config, self._store = str(lake.config), lake.store
        assert self.run("lake rollup").exit_code == 0

    def run(self, command: str) -> Result:
        program, *arguments = shlex.split(command)
        assert program == "lake"
        return CliRunner().invoke(root, [*arguments, "--config", self._config], prog_name="lake")

    def answer(self, number: int) -> Rows:
        result = self.run(shlex.join(["lake", "query", "--json", self._questions[number - 1].text]))
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def files(self) -> Iterator[ObjectStat]:
        """All objects of the lake."""
        return self._store.list("")

    def requests(self, day: str | None = None) -> list[Request]:
        days = [d for d in self.scenario.each_day() if day in (None, str(d))]
        return [request for day in days for request in requests_of(self.scenario, day)]

    def documents(self, collection: str = "usage_analytics", day: str | None = None) -> Rows:
        days = [d for d in self.scenario.each_day() if day in (None, str(d))]
        return [
            document
            for day in days
            for document in documents_of(requests_of(self.scenario, day))[collection]
        ]
