"""The site of docs/: built strictly, complete, without outside resources, searchable."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from support.browsing import new_page
from support.documented import ROOT
from support.serving import serving

pytestmark = pytest.mark.slow
_LOADED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href"}
_NOT_LOADED = {"canonical", "next", "prev", "edit"}


class Built(HTMLParser):
    """A page: what it loads, where it leads to, and its ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.leads.append(values["href"])
        loaded = values.get(_LOADED.get(tag, ""))
        if loaded and values.get("rel") not in _NOT_LOADED:
            self.loads.append(loaded)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    config = ROOT / "docs/site/mkdocs.yml"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", folder],
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Built]:
    return {path: Built(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    handler = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}"


def test_every_page_of_docs_is_one_of_the_site(site: Path) -> None:
    sources = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    assert len(sources) > 45
    assert [path for path in sources if not (site / path.with_suffix(".html")).exists()] == []


def test_every_link_leads_to_a_page_and_an_anchor(site: Path, pages: dict[Path, Built]) -> None:
    dead = []
    for path, page in pages.items():
        for href in page.leads:
            parts = urlsplit(href)
            if parts.scheme or parts.netloc:
                continue
            base = site if parts.path.startswith("/") else path.parent
            target = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if target not in pages or (
                parts.fragment and unquote(parts.fragment) not in pages[target].ids
            ):
                dead.append((path.name, href))
    assert dead == []


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Built]) -> None:
    outside = [
        (path.name, url)
        for path, page in pages.items()
        for url in page.loads
        if urlsplit(url).netloc or url.startswith("//")
    ]
    for style in site.rglob("*.css"):
        loads = re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", style.read_text("utf-8"))
        outside += [(style.name, url) for url in loads if re.match(r"(?:https?:)?//", url)]
    assert outside == []


def test_blocks_are_blocks(pages: dict[Path, Built]) -> None:
    """No list, table or fence of GitHub's Markdown is left as text."""
    for path in pages:
        text = path.read_text("utf-8")
        article = text[text.find("<article") : text.find("</article")]
        prose = re.sub(r"(?s)<(code|pre)\b.*?</\1>", "", article)
        assert not re.search(r"```|\n\|? *(?:[-*] |\d+\. |\| )|\]\(", prose), path.name


@pytest.mark.parametrize("width", [1366, 390])
def test_a_reader_finds_a_command_by_the_search(browser, address: str, width: int) -> None:
    from playwright.sync_api import TimeoutError as NotYet  # noqa: PLC0415  few tests need it

    with new_page(browser, viewport={"width": width, "height": 900}) as page:
        urls: list[str] = []
        page.on("request", lambda request: urls.append(request.url))
        first = page.locator(".md-search-result__item a").first
        for patience_ms in (6_000, 12_000, 24_000, 48_000):
            # What is typed before the index is loaded may be lost: the page begins again.
            page.goto(f"{address}/index.html")
            if width < 960:
                page.locator("label.md-header__button[for=__search]").click()
            page.locator("input.md-search__input").fill("retention apply")
            with suppress(NotYet):
                first.wait_for(state="visible", timeout=patience_ms)
                break
        first.click()
        page.wait_for_url("**/*retention*")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert [url for url in urls if not url.startswith((address, "data:", "blob:"))] == []
