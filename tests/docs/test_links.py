"""Links of the Markdown pages as GitHub shows them: the file exists, and so does the heading."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.documented import PAGES, ROOT, anchors, links


def dead(page: Path, root: Path = ROOT) -> list[str]:
    lost = []
    for link in links(page.read_text("utf-8")):
        target, _, anchor = link.partition("#")
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        file = (page.parent / target).resolve() if target else page
        if (
            not file.exists()
            or not file.is_relative_to(root)
            or (anchor and anchor not in anchors(file.read_text("utf-8")))
        ):
            lost.append(link)
    return lost


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert dead(page) == []


def test_a_dead_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# One\n\n## One\n\n[a](a.md#one-1) [b](b.md) [c](#two) `[d](no.md)`\n")
    assert dead(page, tmp_path) == ["b.md", "#two"]
