from __future__ import annotations

from support.command_line import run

__all__ = ["run"]  # for pytest
