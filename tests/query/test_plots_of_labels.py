"""Plots whose labels are many, long or of signs that mean something to matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.figure
import pytest

from lake.base.day import Day
from lake.query import Answer
from lake.trends import draw, trend_named

DAY = Day.parse("2026-07-01")
DAYS = 3


def texts(
    monkeypatch: pytest.MonkeyPatch, file: Path, name: str, rows: list[tuple[Any, ...]]
) -> tuple[list[str], list[float]]:
    """The legend's texts, and the height of the first day's bars."""
    figures = []
    save = matplotlib.figure.Figure.savefig

    def kept(figure: matplotlib.figure.Figure, *args: Any, **options: Any) -> None:
        figures.append(figure)
        save(figure, *args, **options)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", kept)
    columns = {
        "counter": ("day", "label", "increase"),
        "error_rate": ("day", "outcome", "status", "answers", "error_percent"),
    }[name]
    answer = Answer(columns, ("VARCHAR",) * len(columns), rows)
    draw(trend_named(name), answer, DAY, DAY.plus(DAYS), file, ["metric: $a$_total"])
    assert file.read_bytes().startswith(b"\x89PNG")
    (figure,) = figures
    axes = figure.axes[-1]
    heights = [bars[0].get_height() for bars in axes.containers]
    return [text.get_text() for text in axes.get_legend().get_texts()], heights


def grown(labels: list[str | None]) -> list[tuple[Any, ...]]:
    days = [DAY.plus(number).date for number in range(DAYS)]
    return [(day, label, float(size)) for day in days for size, label in enumerate(labels, 1)]


def test_signs_of_formulas_and_underscores(monkeypatch, tmp_path: Path) -> None:
    labels = [r"/a/$id/\frac{$x", "_hidden", None, "", "x" * 20 + "y" * 20]
    shown, _ = texts(monkeypatch, tmp_path / "plot.png", "counter", grown(labels))
    assert shown == [
        r"/a/\$id/\frac{\$x",
        "\u2060_hidden",
        "NULL",
        '""',
        "x" * 15 + "…" + "y" * 16,
    ]


def test_more_labels_than_colours(monkeypatch, tmp_path: Path) -> None:
    labels = [f"path {number}" for number in range(20)]
    shown, heights = texts(monkeypatch, tmp_path / "plot.png", "counter", grown(labels))
    assert shown == [*(f"path {number}" for number in range(13, 20)), "13 others"]
    assert heights == [*range(14, 21), sum(range(1, 14))]


def test_more_lines_than_colours(monkeypatch, tmp_path: Path) -> None:
    """Percentages don't add up."""
    rows = [
        (DAY.plus(number).date, "SERVER_ERROR", str(500 + status), 1, float(status + 1))
        for number in range(DAYS)
        for status in range(9)
    ]
    shown, _ = texts(monkeypatch, tmp_path / "plot.png", "error_rate", rows)
    assert shown == [*(str(500 + status) for status in range(2, 9)), "2 others, not shown"]
