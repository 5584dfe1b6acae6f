"""The page in Chromium, from disk, without a network: what it shows of a lake whose every day's
state was made by the test.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from support.browsing import new_page
from support.ledger_days import ago
from support.shown_lake import DAYS, HOSTILE, NAMES, ShownLake, empty_lake, shown_lake

from lake.base.errors import UsageError

LAPTOP, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}
SIZES = pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
LABEL = re.compile(r"(\w+), (\d{4}-\d\d-\d\d): (\w+)(?:, ([\d,]+) rows?)?(, held)?")
UPLOT = "/*! https://github.com/leeoniya/uPlot (v1.6.32) */"
CONTRAST = Path(__file__).with_name("contrast.js").read_text("utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ShownLake:
    return shown_lake(tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def file(made: ShownLake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.page(tmp_path_factory.mktemp("page"))


@contextmanager
def opened(
    browser: Browser, file: Path, viewport: dict[str, int] = LAPTOP, scheme: str = "light"
) -> Iterator[Page]:
    """The page with all that it loads by itself; it may have no error and load no other place."""
    problems: list[str] = []
    with new_page(
        browser, viewport=viewport, color_scheme=scheme, offline=True, reduced_motion="reduce"
    ) as page:
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        page.locator("#trend-plots [role=status]").wait_for(state="detached")
        yield page
        folder = file.parent.as_uri()
        assert [url for url in requests if not url.startswith(f"{folder}/")] == []
        assert problems == []
        assert page.evaluate("window.hacked") is None


def labels(page: Page) -> list[str]:
    return page.eval_on_selector_all(
        "[role=gridcell]", "cells => cells.map(cell => cell.getAttribute('aria-label'))"
    )


def test_every_day_has_the_state_that_was_made(
    browser: Browser, made: ShownLake, file: Path
) -> None:
    with opened(browser, file) as page:
        shown = [LABEL.fullmatch(label) for label in labels(page)]
    assert all(shown)
    states = {(match[1], match[2]): match[3] for match in shown if match}
    assert states == {(name, str(day)): state for (name, day), state in made.states.items()}
    held = {(match[1], match[2]) for match in shown if match and match[5]}
    assert held == {(name, str(day)) for name, day in made.held}
    rows = {(match[1], match[2]): match[4] for match in shown if match}
    assert rows["events", str(ago(1))] == "3"
    assert rows["events", str(ago(15))] == "0"
    assert rows["events", str(ago(3))] is None


def test_states_differ_without_colours(browser: Browser, file: Path) -> None:
    """A symbol, a border or an underline, not the colour alone."""
    with opened(browser, file) as page:
        looks = page.eval_on_selector_all(
            "[role=gridcell]",
            """cells => Object.fromEntries(cells.map(cell => [
                cell.className, cell.textContent + getComputedStyle(cell).borderTopStyle
                + getComputedStyle(cell, "::after").height]))""",
        )
    assert len(looks) == 6
    assert len(set(looks.values())) == len(looks), looks


def test_a_click_opens_the_manifest(browser: Browser, made: ShownLake, file: Path) -> None:
    day = ago(2)
    claim = made.claim("lines", day)
    content = made.object("lines", day).read_bytes()
    with opened(browser, file) as page:
        page.locator(f'[aria-label^="lines, {day}"]').click()
        facts = dialog_facts(page)
    assert facts["rows"] == "3"
    assert facts["SHA-256"] == hashlib.sha256(content).hexdigest()
    assert facts["bytes"].startswith(f"{len(content):,} (")
    assert facts["count at the source"] == f"3, by {claim['count_method']}"
    assert facts["exported"] == "2026-11-01 00:00 UTC, by monitoring-lake 0"
    assert facts["object"] == claim["key"]


def dialog_facts(page: Page) -> dict[str, str]:
    page.wait_for_selector("dialog[open]")
    return page.eval_on_selector_all(
        "dialog dt",
        "terms => Object.fromEntries(terms.map(dt => [dt.textContent, "
        "dt.nextElementSibling.textContent]))",
    )


@pytest.mark.parametrize(
    ("name", "number", "remedy"),
    [
        ("events", 3, "lake export events --day {}"),
        ("lines", 5, "lake export lines --day {} --force"),
        ("requests", 9, "lake export requests --day {} --force"),
    ],
)
def test_an_unproven_day_has_a_remedy(
    browser: Browser, file: Path, name: str, number: int, remedy: str
) -> None:
    with opened(browser, file) as page:
        page.get_by_role("link", name=re.compile(f"^{name}: {ago(number)}")).click()
        assert dialog_facts(page)["remedy"] == remedy.format(ago(number))
        assert page.locator("dialog h2").text_content() == f"{name}, {ago(number)}"


def test_the_keyboard_reaches_every_day(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        stops = page.locator('[role=gridcell][tabindex="0"]')
        assert stops.count() == 1
        page.get_by_role("button", name="Open the manifest of this day").focus()
        page.keyboard.press("Tab")
        assert focused(page).startswith(f"events, {ago(1)}: ")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowDown")
        assert focused(page).startswith(f"requests, {ago(3)}: ")
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog[open]")
        assert page.evaluate("document.activeElement.textContent") == f"requests, {ago(3)}"
        page.keyboard.press("Escape")
        page.locator("[role=gridcell]:focus").wait_for()
        assert focused(page).startswith(f"requests, {ago(3)}: ")
        for _ in range(DAYS):  # to the first day and not beyond it
            page.keyboard.press("ArrowLeft")
        assert focused(page).startswith(f"requests, {ago(DAYS)}: ")
        assert stops.count() == 1


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.getAttribute('aria-label')") or ""


def test_months_beyond_the_shown_ones_are_reached(browser: Browser, file: Path) -> None:
    with opened(browser, file, PHONE) as page:
        first = page.get_by_role("gridcell").first.get_attribute("aria-label")
        page.locator('[role=gridcell][tabindex="0"]').focus()
        page.keyboard.press("PageUp")
        assert page.get_by_role("gridcell").first.get_attribute("aria-label") != first
        page.get_by_label("Months shown").select_option("12")
        assert len(labels(page)) == DAYS * len(NAMES)


@SIZES
@SCHEMES
def test_it_fits_and_is_legible(
    browser: Browser, file: Path, viewport: dict[str, int], scheme: str, tmp_path: Path
) -> None:
    with opened(browser, file, viewport, scheme) as page:
        page.evaluate(
            "document.querySelectorAll('details').forEach(details => details.open = true)"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert page.evaluate(CONTRAST) == []
        picture = page.screenshot(full_page=True, path=tmp_path / "page.png")
        assert len(picture) > 50_000
        page.locator("[role=gridcell]").first.click()
        page.wait_for_selector("dialog[open]")
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        box = page.locator("dialog").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= viewport["width"]
        assert page.evaluate(CONTRAST) == []


def test_a_phone_shows_without_scrolling_how_long_a_source_keeps_what_is_unproven(
    browser: Browser, file: Path
) -> None:
    with opened(browser, file, PHONE) as page:
        table = page.locator("section[aria-labelledby=freshness]")
        lefts = table.locator("tbody time.left").all()
        assert lefts
        for left in lefts:
            box = left.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= PHONE["width"]
            assert box["height"] < 30  # a line
        days = page.locator(".controls .range > *").evaluate_all(
            "days => days.map(day => [day.textContent, day.getClientRects().length])"
        )
        assert [(len(day), lines) for day, lines in days] == [(10, 1), (10, 1)]


def test_the_switch_changes_the_colours_and_is_remembered(browser: Browser, file: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, file) as page:
        light = page.evaluate(ground)
        page.get_by_role("button", name="Switch to the dark colours").click()
        dark = page.evaluate(ground)
        assert dark != light
        page.reload()
        assert page.evaluate(ground) == dark
        page.get_by_role("button", name="Switch to the light colours").click()
        assert page.evaluate(ground) == light


def test_landmarks_and_names(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        assert page.get_by_role("main").count() == 1
        assert page.get_by_role("contentinfo").count() == 1
        assert page.get_by_role("heading", level=1).count() == 1
        assert page.locator("html").get_attribute("lang") == "en"
        levels = [int(tag[1]) for tag in page.eval_on_selector_all(
            "h1, h2, h3", "headings => headings.map(heading => heading.tagName)")]  # fmt: skip
        assert all(after - before <= 1 for before, after in pairwise(levels))
        nameless = page.eval_on_selector_all(
            "button, select, input, [role=img], [role=grid], [role=gridcell], section",
            """controls => controls.filter(control => !(
                    control.getAttribute("aria-label") || control.textContent.trim()
                    || document.getElementById(control.getAttribute("aria-labelledby"))
                )).map(control => control.outerHTML)""",
        )
        assert nameless == []
        ids = page.eval_on_selector_all("[id]", "elements => elements.map(element => element.id)")
        assert len(ids) == len(set(ids))
        grid = page.get_by_role("grid")
        assert grid.get_by_role("row").count() == len(NAMES)
        assert grid.get_by_role("rowheader").all_text_contents() == list(NAMES)


def test_every_plot_has_its_values_as_a_table(
    browser: Browser, made: ShownLake, file: Path
) -> None:
    with opened(browser, file) as page:
        plots = page.get_by_role("img").count()
        assert plots == page.locator("figure details").count() >= 4
        part = page.locator("section.trend", has_text="hostile, of events")
        assert HOSTILE in (part.locator("h3").text_content() or "")
        part.locator("details").click()
        cells = part.locator("details tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        )
        heads = part.locator("details thead th").all_text_contents()
    assert heads == ["day", *(f"{letter}{HOSTILE}" for letter in "abc")]
    without = (ago(3), ago(15))  # missing, empty: gaps
    days = [ago(number) for number in range(1, DAYS + 1)]
    assert cells == [[str(day), *(["–"] * 3 if day in without else ["1"] * 3)] for day in days]


def test_a_page_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    lake = empty_lake(tmp_path)
    index = tmp_path / "page/index.html"
    index.parent.mkdir()
    index.write_text("<title>monitoring-lake, notes by hand</title>")
    with pytest.raises(UsageError, match="a page of something else"):
        lake.page(index.parent)
    assert [file.name for file in index.parent.rglob("*")] == ["index.html"]
    index.unlink()
    assert lake.page(index.parent) == lake.page(index.parent) == index  # its own it replaces


def test_an_empty_lake_has_a_page(browser: Browser, tmp_path: Path) -> None:
    file = empty_lake(tmp_path).page(tmp_path / "page")
    with opened(browser, file) as page:
        text = page.locator("main").text_content() or ""
        assert "Nothing is exported yet." in text
        assert page.get_by_role("grid").count() == 0
        assert page.evaluate(CONTRAST) == []


def test_no_file_names_another_place(file: Path) -> None:
    """But for the comment at the head of uPlot."""
    elsewhere: list[Any] = []
    for path in file.parent.rglob("*"):
        if path.is_file() and path.suffix in (".js", ".html"):
            code = path.read_text("utf-8").replace(UPLOT, "")
            elsewhere += re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}", code)
    assert elsewhere == []
    text = file.read_text("utf-8")
    assert "default-src 'none'; script-src 'self'; style-src 'sha256-" in text
    assert not re.search(r"<[^>]+ (?:style|on\w+)=", text)
