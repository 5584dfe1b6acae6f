"""Whether the lake can answer a statement, and what the answer takes.

Belongs here: days and columns compared with the statement (days), bytes, seconds and cost
(effort). Does not: running the statement (lake.query), what is printed.
"""

from __future__ import annotations

from lake.answerability.answerable import Answerability, answerability

__all__ = ["Answerability", "answerability"]
