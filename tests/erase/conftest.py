"""A lake of a source in memory, and the command line."""

from __future__ import annotations

import pytest
from support.command_line import lake
from support.lake_to_hold import LAST, Place, made

from lake.base.day import Day

__all__ = ["lake"]  # for pytest


@pytest.fixture
def _today(monkeypatch):
    monkeypatch.setattr(Day, "today", classmethod(lambda cls: LAST))


@pytest.fixture
def place(tmp_path, monkeypatch, _today) -> Place:
    new = made(tmp_path)
    monkeypatch.setattr("lake.export.open_source", lambda name, settings: new.source)
    monkeypatch.setenv("LAKE_CONFIG", str(new.config))
    return new
