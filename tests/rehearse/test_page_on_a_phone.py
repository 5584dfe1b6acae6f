"""The rehearsal's report as a phone and a desk show it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from support.browsing import new_page

from lake.rehearse.page import render

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
SYSTEMS = ("mongo", "prometheus", "loki")
LEAST_PX = 9  # of a line of text
BOXES = """() => [...document.querySelectorAll("svg text")].map(text => {
    const box = text.getBoundingClientRect();
    return {text: text.textContent, left: box.left, right: box.right, top: box.top,
            bottom: box.bottom, shown: text.checkVisibility()};
}).filter(box => box.shown)"""


def report(day: str, seconds: float) -> dict[str, Any]:
    """A rehearsal of all three systems; the second one's time is close to the first one's."""
    times = dict(zip(SYSTEMS, (seconds, seconds * 1.02, 34.1), strict=True))
    check = {"question": "the server's own count of rows", "compared": 1, "wrong": 0, "remark": ""}
    return {
        "day": day,
        "begun_at": f"{day}T03:00:00+00:00",
        "version": "0.1.0",
        "seed": 4,
        "ok": True,
        "seconds": 61.4,
        "differences": [],
        "snapshots": [
            {
                "system": system,
                "day": day,
                "chosen": "newest",
                "ok": True,
                "versions": "taken with 3.7.8, restored with 3.7.8",
                "files": 1473,
                "bytes": 86_500_000,
                "recovery": {
                    "download_s": 1.0, "start_s": 2.0, "first_answer_s": 0.4, "total_s": total,
                },
                "newest": f"{day}T23:59:00+00:00",
                "newest_age_s": 90_000,
                "problem": "",
                "remarks": [],
                "compared": [
                    {"dataset": "http_server_requests", "day": day, "rows": 9, "checks": [check]}
                ],
            }
            for system, total in times.items()
        ],
    }  # fmt: skip


@pytest.fixture(params=["a year", "the first"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    earlier = [report(f"2026-{month:02}-01", 2.0 + month / 5) for month in range(1, 12)]
    page = tmp_path / "page.html"
    page.write_text(render(report("2026-12-01", 4.6), earlier if request.param == "a year" else []))
    return page


@contextmanager
def opened(browser: Browser, file: Path, viewport: dict[str, int]) -> Iterator[Page]:
    with new_page(browser, viewport=viewport) as page:
        page.goto(file.as_uri())
        yield page


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_the_plot_is_readable(browser: Browser, file: Path, viewport: dict[str, int]) -> None:
    with opened(browser, file, viewport) as page:
        texts = page.evaluate(BOXES)
    shown = {text["text"] for text in texts}
    assert {text.split()[0] for text in shown} >= {"MongoDB", "Prometheus", "Loki"}
    for label in texts:
        assert label["bottom"] - label["top"] >= LEAST_PX, label
        assert 0 <= label["left"] < label["right"] <= viewport["width"], label
    for number, label in enumerate(texts):
        for other in texts[number + 1 :]:
            apart = (
                label["right"] <= other["left"] or other["right"] <= label["left"]
                or label["bottom"] <= other["top"] + 2 or other["bottom"] <= label["top"] + 2
            )  # fmt: skip
            assert apart, (label, other)


def test_a_phone_does_not_scroll_sideways(browser: Browser, file: Path) -> None:
    with opened(browser, file, PHONE) as page:
        page.evaluate(
            "document.querySelectorAll('details').forEach(details => details.open = true)"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
