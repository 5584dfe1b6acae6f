"""The page around its parts, and parts that several pages have.

Belongs here: HTML without a subject. Does not: plots (bars), what a page is about.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape
from importlib import resources

_BROAD = 5  # columns; on a phone such a table is scrolled, not squeezed


def document(
    title: str, parts: Iterable[str], foot: str, *, style: str = "", scripts: Sequence[str] = ()
) -> str:
    """A whole page; `title` and `foot` are text, `parts` HTML.

    `style` is CSS beside that of all pages. `scripts` are relative addresses of files beside the
    page. A policy in its head lets the browser load nothing else.
    """
    text = f"\n{resources.files('lake.pages').joinpath('style.css').read_text('utf-8')}{style}"
    policy = _policy(text, scripts=bool(scripts))
    loaded = "".join(f'<script src="{escape(script)}" defer></script>\n' for script in scripts)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{text}</style>\n{loaded}"
        f"<main>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(part for part in parts if part)
        + f"\n</main>\n<footer>{escape(foot)}</footer>\n</html>\n"
    )


def _policy(style: str, *, scripts: bool) -> str:
    """Pages without scripts have colours in attributes."""
    if not scripts:
        return "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def section(heading: str, *parts: str) -> str:
    """Parts below a heading; nothing where all are empty."""
    content = "\n".join(part for part in parts if part)
    return f"<h2>{escape(heading)}</h2>\n{content}" if content else ""


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Sequence[int] = (),
    total: Sequence[str] = (),
) -> str:
    """Cells are HTML, heads text; the columns `numbers` are right-aligned. Nothing without rows."""

    def line(cells: Sequence[str], tag: str, kind: str = "") -> str:
        scope = " scope=col" if tag == "th" else ""
        columns = (
            f"<{tag}{scope}{' class=n' if number in numbers else ''}>{cell}</{tag}>"
            for number, cell in enumerate(cells)
        )
        return f"<tr{kind}>{''.join(columns)}</tr>"

    body = [line(row, "td") for row in rows]
    if not body:
        return ""
    if total:
        body.append(line(total, "td", " class=sum"))
    head = line([escape(text) for text in heads], "th")
    lines = "\n".join(body)
    kind = ' class="broad"' if len(heads) >= _BROAD else ""
    parts = f"<thead>{head}</thead>\n<tbody>{lines}</tbody>"
    return f'<div class="scroll"><table{kind}>{parts}</table></div>'


def notes(texts: Iterable[str]) -> str:
    """A list of text."""
    listed = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<ul class="notes">{listed}</ul>' if listed else ""
