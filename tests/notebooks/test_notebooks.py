"""Every notebook runs from its first cell to its last, and is committed clean."""

from __future__ import annotations

import ast
import base64
import io
from pathlib import Path

import matplotlib.image
import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def _code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in _code(notebook))
    assert str(FOLDER.parent) not in path.read_text("utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_imports_only_the_public_module(path: Path) -> None:
    for cell in _code(nbformat.read(path, 4)):
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.ImportFrom)
            if isinstance(node, ast.Import):
                names = [name.name for name in node.names]
                assert all(n == "lake" or n.startswith("matplotlib") for n in names)


@pytest.mark.slow
def test_a_quarter(history, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_CONFIG", str(history.lake.config))
    notebook = nbformat.read(FOLDER / "a_quarter.ipynb", 4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [output for cell in _code(notebook) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    shown = [output.data for output in outputs if "data" in output]
    plots = [data["image/png"] for data in shown if "image/png" in data]
    assert len(plots) == 6
    for plot in plots:
        pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(plot)))[:, :, :3]
        assert ((pixels.max(axis=2) - pixels.min(axis=2)) > 0.2).sum() > 1000
    text = "".join(output.get("text", "") for output in outputs)
    requests = sum(1 for _ in history.requests())
    assert text.count(f"{requests:,} requests") == 3
    assert "equal" in text.split()
    deploy = repr(history.scenario.deploy_day.date)
    assert any(deploy in data["text/plain"] for data in shown)
