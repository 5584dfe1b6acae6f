"""MkDocs' hooks: pages that are made here, and links as the site has them.

Belongs here: which files of the repository are pages, and under which address. Does not: the text
of the generated reference (generated), what Python-Markdown reads otherwise than GitHub (dialect).

Pages of docs/ are written to be read on GitHub too, so they link to files of the repository, inside
and outside of docs/. The site has each file that a page links to as a page of its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

import generated
from dialect import for_python_markdown
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"(?<=\]\()(?P<target>[^)#\s:]+)(?P<anchor>#[^)\s]*)?(?=\))")
_RENAMED = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "contributing.md",
    "docs/adr": "adr/index.md",
}
_OWN_STACK = "own-stack.md"
_LANGUAGES = {".py": "python", ".sh": "sh", ".yml": "yaml", ".yaml": "yaml", ".toml": "toml"}


def address(path: str) -> str:
    """Where the site has the repository's file `path`, below its own root."""
    if path in _RENAMED:
        return _RENAMED[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return "files/" + path + ("" if path.endswith(".md") else ".md")


def linked(path: str, text: str) -> set[str]:
    """The repository's files and directories that the text of the file `path` links to."""
    targets = {normpath(join(dirname(path), match["target"])) for match in _LINK.finditer(text)}
    return {target for target in targets if (ROOT / target).exists()}


def outside(paths: set[str]) -> dict[str, str]:
    """Path → text of each file that is outside of docs/ and reached by links from these."""
    texts: dict[str, str] = {}
    waiting = set(paths)
    while waiting:
        path = waiting.pop()
        text = (ROOT / path).read_text("utf-8")
        if not path.startswith("docs/"):
            texts[path] = text
        if path.endswith(".md"):
            waiting |= {
                target
                for target in linked(path, text)
                if (ROOT / target).is_file()
                and target not in texts
                and not target.startswith("docs/")
            }
    return texts


def as_page(path: str, text: str) -> str:
    """A file that is no Markdown, shown as it is."""
    if path.endswith(".md"):
        return text
    fence = "`" * 6
    lines = [f"# {path}", "", f"{fence}{_LANGUAGES.get(Path(path).suffix, 'text')}", text.rstrip()]
    return "\n".join(["---", "search:", "  exclude: true", "---", *lines, fence, ""])


def own_stack() -> str:
    """README's section on the set-up as a page of its own; the overview has it for the search."""
    section = (ROOT / "README.md").read_text("utf-8").split("\n## Your own stack\n")[1]
    text = section.split("\n## ")[0].replace("\n### ", "\n## ")
    return f"---\nsearch:\n  exclude: true\n---\n# Your own stack\n{text}\n"


def decisions() -> str:
    """The page that lists docs/adr."""
    lines = [
        "# Decisions",
        "",
        "Each page is one decision: its context, its reasons, its cost.",
        "",
    ]
    for path in sorted((ROOT / "docs/adr").glob("*.md")):
        title = path.read_text("utf-8").partition("\n")[0].lstrip("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that no file of docs/ is, and completes the navigation."""
    pages = {file.src_uri: file for file in files if file.is_documentation_page()}
    reached = outside({f"docs/{uri}" for uri in pages} | {"README.md", "CONTRIBUTING.md"})
    made = {address(path): as_page(path, text) for path, text in reached.items()}
    made |= generated.pages() | {"adr/index.md": decisions(), _OWN_STACK: own_stack()}
    for uri, text in made.items():
        files.append(File.generated(config, uri, content=text))
    style = (Path(__file__).parent / "site.css").read_text("utf-8")
    files.append(File.generated(config, "site.css", content=style))
    config.nav = _completed(
        config.nav,
        {
            "adr/": {
                "Decisions": ["adr/index.md", *sorted(u for u in pages if u.startswith("adr/"))]
            },
            "files/": {
                "Files of the repository": sorted(uri for uri in made if uri.startswith("files/"))
            },
        },
    )
    return files


def _completed(nav: list, made: dict[str, dict]) -> list:
    """The navigation with each placeholder replaced by its section."""
    completed = []
    for entry in nav:
        if isinstance(entry, str):
            completed.append(made.get(entry, entry))
        else:
            ((title, value),) = entry.items()
            completed.append({title: _completed(value, made) if isinstance(value, list) else value})
    return completed


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links by the site's addresses, and the text as Python-Markdown reads it."""
    uri = page.file.src_uri
    return for_python_markdown(_LINK.sub(lambda match: _on_site(source_of(uri), match), markdown))


def source_of(uri: str) -> str:
    """The repository's path of the site's page `uri`."""
    if uri == _OWN_STACK:
        return "README.md"
    for path, renamed in _RENAMED.items():
        if renamed == uri:
            return path if path.endswith(".md") else f"{path}/index.md"
    return uri.removeprefix("files/") if uri.startswith("files/") else f"docs/{uri}"


def _on_site(path: str, match: re.Match[str]) -> str:
    target = normpath(join(dirname(path), match["target"]))
    if not (ROOT / target).exists():
        return match[0]
    return relpath(address(target), dirname(address(path))) + (match["anchor"] or "")
