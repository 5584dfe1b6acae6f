"""The page that `lake review` writes."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from support.browsing import new_page

from lake import audit

BODY = """() => {
    const style = getComputedStyle(document.body);
    return [style.color, style.backgroundColor];
}"""


class Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "img", "link")
        self.open.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def test_what_people_wrote_is_text_on_the_page(place, run, tmp_path):
    file, _, store = place
    audit.append(store, "drop", "events", "<script>alert(1)</script> & more", details={})
    page = tmp_path / "review.html"
    run("review", "--html", str(page), "--config", str(file))
    parser = Text()
    parser.feed(page.read_text("utf-8"))
    assert "<script>alert(1)</script> & more" in "".join(parser.words)


@pytest.mark.servers
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page(place, run, browser, tmp_path, width, scheme):
    file = place[0]
    add = ("hold", "add", "lines", "--reason", "court order " * 9, "--config", str(file))
    assert run(*add)[0] == 0
    page_file = tmp_path / "review.html"
    run("review", "--html", str(page_file), "--config", str(file))
    viewport = {"width": width, "height": 900}
    with new_page(browser, viewport=viewport, color_scheme=scheme) as page:
        page.goto(page_file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        colours = page.evaluate(BODY)
        assert (_light(colours[0]) > _light(colours[1])) == (scheme == "dark")
        heads = page.locator("h2").all_inner_texts()
        assert heads[:3] == ["Open points", "What is kept", "Snapshots"]
        page.emulate_media(media="print")
        colours = page.evaluate(BODY)
        assert [_light(colour) for colour in colours] == [0, 765]
        assert page.locator(".sign").is_visible()


def _light(colour: str) -> int:
    return sum(map(int, re.findall(r"\d+", colour)[:3]))
