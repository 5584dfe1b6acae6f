"""The Markdown pages of the repository: their blocks, headings, links and commands.

Belongs here: reading a page as GitHub shows it. Does not: what a test expects of it.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import click

from lake.cli.main import root

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("deploy/**/*.md"),
        *ROOT.glob("bench/*.md"),
    ]
)
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
# A command of a shell, or what a container, a unit or cron runs.
_COMMAND = re.compile(
    r"^(?:[^`#]*(?:run --rm |bin/|-- |-c ')|[\d*/ ]+ )?lake (?P<arguments>\S.*?)(?: >&2.*)?$"
)
_EXPLANATION = re.compile(r"\s{3,}(?!--|\\).*")
# What stands for a value.
VALUES = {
    "DATASET": "events",
    "SYSTEM": "mongo",
    "ROLE": "reader",
    "D": "2026-07-01",
    "DAY": "2026-07-01",
    "YYYY-MM-DD": "2026-07-01",
    "ID": "a-hold",
}


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block of a page, and the heading of the second level above it."""

    page: str
    language: str
    text: str
    section: str = ""


def blocks(page: Path) -> list[CodeBlock]:
    name, text = str(page.relative_to(ROOT)), page.read_text("utf-8")
    return [
        CodeBlock(name, match["language"], match["text"], _section(text[: match.start()]))
        for match in _FENCE.finditer(text)
    ]


def with_steps(page: Path) -> list[CodeBlock]:
    """The page's blocks, and as `sh` each `lake …` of a numbered step or of a table of commands,
    in the page's order.
    """
    name, text = str(page.relative_to(ROOT)), page.read_text("utf-8")
    steps: list[CodeBlock] = []
    at = 0
    for block, match in [*zip(blocks(page), _FENCE.finditer(text), strict=True), (None, None)]:
        prose = text[at : match.start() if match else None]
        for line in re.findall(r"(?:^\d+\. .*\n(?:   .*\n)*)|^\| .*\n", prose, re.MULTILINE):
            spans = re.findall(r"(?<=`)lake \S[^`]*(?=`)", line)
            if line.startswith("|"):
                spans = re.findall(r"^\| [^|]+ \| `(lake [^`]+)` \|", line)
            section = _section(text[: at + prose.index(line)])
            calls = filter(_is_whole, (" ".join(span.split()) for span in spans))
            steps += [CodeBlock(name, "sh", call, section) for call in calls]
        if block and match:
            steps.append(block)
            at = match.end()
    return steps


def _is_whole(call: str) -> bool:
    """A command's name alone, of one that needs arguments, is only mentioned."""
    try:
        parse(call)
    except click.MissingParameter:
        return False
    return True


def _section(before: str) -> str:
    headings = re.findall(r"^## (.+)$", _FENCE.sub("", before), re.MULTILINE)
    return headings[-1] if headings else ""


def commands(block: CodeBlock) -> list[str]:
    """The block's calls of `lake`, each in one line, without what explains it."""
    lines = re.sub(r"\\\n\s*", "", block.text).splitlines()
    matches = filter(None, (_COMMAND.match(line.strip()) for line in lines))
    return [f"lake {_EXPLANATION.sub('', match['arguments'])}" for match in matches]


def parse(command: str) -> list[str]:
    """Raises click's error where `lake` has no such command, option or value. Returns the words."""
    words = [VALUES.get(word, word) for word in shlex.split(command, comments=True)][1:]
    words = words[: next((at for at, word in enumerate(words) if word in "|>"), len(words))]
    arguments = words
    if words and words[0] == "--config":  # before the command as well as after it
        arguments = [*words[2:], *words[:2]]
    called: click.Command = root
    context = click.Context(root)
    while isinstance(called, click.Group):
        if called is not root and called.invoke_without_command and not arguments:
            return words
        assert arguments, command
        inner = called.get_command(context, arguments[0])
        assert inner is not None, command
        called, arguments = inner, arguments[1:]
    called.make_context(command, [*arguments])
    return words


def anchors(text: str) -> set[str]:
    """The addresses that GitHub gives the headings of a page."""
    slugs: Counter[str] = Counter()
    named = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    for line in _FENCE.sub("", text).splitlines():
        if heading := re.match(r"#{1,6} +(.+)", line):
            shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1])
            slug = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
            named.add(f"{slug}-{slugs[slug]}" if slugs[slug] else slug)
            slugs[slug] += 1
    return named


def links(text: str) -> list[str]:
    """The targets of its links and pictures, without those in code."""
    prose = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))
    return re.findall(r"\]\(([^)\s]+)\)", prose)


def inline_commands(text: str) -> list[str]:
    """What the prose calls `lake …`, in backticks, with at least one more word."""
    prose = _FENCE.sub("", text)
    spans = re.findall(r"(?<!`)`(?:\.venv/bin/)?(lake(?:\s+[^`]+)+)`(?!`)", prose)
    return sorted({" ".join(span.split()) for span in spans})


def unknown_options(command: str) -> set[str]:
    """The options in an incomplete call that the command does not have."""
    words = re.findall(r"--[a-z0-9-]+|[^\s=]+", command)[1:]
    called: click.Command = root
    options = {"--help"}
    context = click.Context(root)
    while words and isinstance(called, click.Group):
        word = words.pop(0)
        if word == "--config":
            words = words[1:]
            continue
        inner = called.get_command(context, word)
        if inner is None:
            assert called is not root or word.startswith(("-", "X", "…")), command
            words.insert(0, word)
            break
        called = inner
    options |= {name for parameter in called.params for name in parameter.opts}
    return {word for word in words if word.startswith("--")} - options
