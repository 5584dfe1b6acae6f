"""What `lake doctor` reports, by subject.

Belongs here: choosing a check. Does not: running the command (tests/setup/conftest.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Checks = Mapping[str, Sequence[tuple[str, str]]]
"""By subject: (state, text)."""


def only_line(checks: Checks, subject: str, state: str) -> str:
    """The text of the only check of that subject and state."""
    lines = [line for line_state, line in checks.get(subject, ()) if line_state == state]
    assert len(lines) == 1, checks
    return lines[0]
