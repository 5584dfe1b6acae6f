"""Whether a secret text is anywhere in what a run leaves or has left behind.

Belongs here: keeping files that are removed, looking into each. Does not: claims.

Compressed formats hide a text from a search of their bytes. So Parquet and Arrow files are also
read: every value, every name, every statistic.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


class Kept:
    """Every file of the temporary folder, with what it held when it was removed."""

    def __init__(self, folder: Path, kept: Path) -> None:
        self.folder, self._kept = folder, kept

    def files(self) -> list[Path]:
        return [
            path for path in (*self._kept.rglob("*"), *self.folder.rglob("*")) if path.is_file()
        ]

    def removed(self, path: Path) -> None:
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file() and not file.is_symlink():
                shutil.copyfile(file, self._kept / uuid.uuid4().hex)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """Work files go to a folder of their own, and a copy of each outlives its removal."""
    folder, copies = tmp_path / "work-files", tmp_path / "copies"
    folder.mkdir()
    copies.mkdir()
    keeper = Kept(folder, copies)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    unlink, rmtree = os.unlink, shutil.rmtree

    def inside(path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and Path(path).is_relative_to(folder)

    def keeping_unlink(path: Any, **options: Any) -> None:
        if inside(path) and Path(path).is_file():
            keeper.removed(Path(path))
        unlink(path, **options)

    def keeping_rmtree(path: Any, *args: Any, **options: Any) -> None:
        if inside(path):
            keeper.removed(Path(path))
        rmtree(path, *args, **options)

    def named(*args: Any, **options: Any) -> Any:
        options["dir"] = folder  # a file without a name could not be looked into
        return tempfile.NamedTemporaryFile(*args, delete=False, **options)

    monkeypatch.setattr(os, "unlink", keeping_unlink)
    monkeypatch.setattr(shutil, "rmtree", keeping_rmtree)
    monkeypatch.setattr(tempfile, "TemporaryFile", named)
    return keeper


def holds(data: bytes, token: str) -> bool:
    """Whether a file's bytes, or what they decode to, have the text."""
    return token.encode() in data or any(token in text for text in _decoded(data))


def _decoded(data: bytes) -> Iterator[str]:
    if data[:4] == b"PAR1":
        file = pq.ParquetFile(pa.BufferReader(data))
        yield str(file.schema_arrow) + str(file.metadata.to_dict())
        for table in file.iter_batches():
            yield str(table.to_pylist())
    elif data[:6] == b"ARROW1":
        try:
            reader = pa.ipc.open_file(pa.BufferReader(data))
        except pa.ArrowInvalid:  # its writer was stopped
            return
        for number in range(reader.num_record_batches):
            yield str(reader.get_batch(number).to_pylist())
