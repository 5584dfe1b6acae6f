"""Every notebook runs from its first cell to its last, and is committed clean."""

from __future__ import annotations

import ast
import base64
import io
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.image
import nbformat
import pyarrow as pa
import pytest
from nbclient import NotebookClient
from support.demo_history import DATASETS
from support.hand_made import hand_made_lake
from support.renamed_lake import renamed_history

import lake
from lake.base.day import Day

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
                assert all(n in ("lake", "datetime") or n.startswith("matplotlib") for n in names)


def _run(name: str, config: Path, monkeypatch: pytest.MonkeyPatch, plots: int) -> tuple[str, list]:
    """What it prints, and what it shows; as many plots, none of them empty."""
    monkeypatch.setenv("LAKE_CONFIG", str(config))
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [output for cell in _code(notebook) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    shown = [output.data for output in outputs if "data" in output]
    pictures = [data["image/png"] for data in shown if "image/png" in data]
    assert len(pictures) == plots
    for picture in pictures:
        pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(picture)))[:, :, :3]
        assert ((pixels.max(axis=2) - pixels.min(axis=2)) > 0.2).sum() > 1000
    return "".join(output.get("text", "") for output in outputs), shown


@pytest.mark.slow
def test_data_quality(history, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = _run("data_quality", history.lake.config, monkeypatch, plots=1)
    deploy = history.scenario.deploy_day
    (client,) = [line.split() for line in text.splitlines() if line.split()[:1] == ["client"]]
    assert client[1] == str(deploy)
    (documents,) = [line.split() for line in text.splitlines() if line.startswith("usage_analytics ")]
    requests = sum(1 for _ in history.requests())
    assert documents[1:] == [
        "2026-07-01", "2026-07-07", "7", "0", "0", f"{requests:,}", documents[-1]
    ]  # fmt: skip


@pytest.mark.slow
def test_costs(history, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = _run("costs", history.lake.config, monkeypatch, plots=2)
    files = [path for path in Path(history.lake.settings.lake.root).rglob("*") if path.is_file()]
    assert f"{len(files):,} objects and versions" in text
    assert f"{sum(path.stat().st_size for path in files):,} bytes" in text


@pytest.mark.slow
def test_incident(history, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ten minutes with most errors are those of the generator's requests that failed."""
    text, _ = _run("incident", history.lake.config, monkeypatch, plots=2)
    failures = [r for _, r in history.requests() if r.failure]
    tens = Counter(r.finished_ms // 600_000 for r in failures)
    worst = {ten * 600 + 300 for ten, number in tens.items() if number > max(tens.values()) / 2}
    begins = datetime.strptime(text.splitlines()[0][:16], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    assert begins.timestamp() + 15 * 60 in worst
    (request,) = [line.split()[1] for line in text.splitlines() if line.startswith("request ")]
    assert request.rstrip(":") in {r.request_id for r in failures}


@pytest.mark.slow
def test_incident_of_another_lake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Metrics of one name and no line, no document: nothing is an error."""
    names = dict.fromkeys(DATASETS, "") | {"http_server_requests": "anything"}
    lake, _ = renamed_history(tmp_path, {n: v for n, v in names.items() if v}, days=1)
    for folder in ("tables", "manifests"):
        for path in (Path(lake.settings.lake.root) / folder).iterdir():
            if path.name != "anything":
                shutil.rmtree(path)
    text, _ = _run("incident", lake.config, monkeypatch, plots=1)
    assert "no errors" in text.splitlines()
    assert "no error carries an identifier" in text


@pytest.mark.slow
def test_a_quarter(history, monkeypatch: pytest.MonkeyPatch) -> None:
    text, shown = _run("a_quarter", history.lake.config, monkeypatch, plots=6)
    requests = sum(1 for _ in history.requests())
    assert text.count(f"{requests:,} requests") == 3
    assert "equal" in text.split()
    deploy = repr(history.scenario.deploy_day.date)
    assert any(deploy in data["text/plain"] for data in shown)


@pytest.mark.slow
def test_quarter_review(history, monkeypatch: pytest.MonkeyPatch) -> None:
    with lake.open(history.lake.settings) as data:
        trends = data.trends("2026-04-07", "2026-07-08")
    assert {"documents", "error_rate", "log_volume", "tokens_by_model"} <= {t["name"] for t in trends}
    text, _ = _run("quarter_review", history.lake.config, monkeypatch, plots=len(trends))
    requests = sum(1 for _ in history.requests())
    (mean,) = [line.split() for line in text.splitlines() if line.startswith("documents  ")]
    assert mean[-3:] == [f"{requests / 7:,.4g}", "–", "–"]
    (rows,) = [line.split() for line in text.splitlines() if line.startswith("usage_analytics ")]
    assert rows[1:5] == ["7", "0", f"{requests:,}", "0"]


@pytest.mark.slow
def test_quarter_review_of_another_lake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Documents of another name alone, in both quarters."""
    made = hand_made_lake(tmp_path, "things", "never")
    first = Day.parse("2026-01-01")
    for number in range(184):
        made.put("things", str(first.plus(number)), pa.table({"n": [1] * (2 if number < 92 else 3)}))
    text, _ = _run("quarter_review", made.config, monkeypatch, plots=1)
    assert text.splitlines()[0] == "2026-04-03 … 2026-07-03, beside 2026-01-01 … 2026-04-02"
    (mean,) = [line.split() for line in text.splitlines() if line.startswith("documents  ")]
    assert mean[-3:] == ["3", "2", "+50.0%"]
