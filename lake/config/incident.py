"""`[incident]`: where identifiers, errors and texts of an incident's rows are.

Belongs here: keys, defaults, rules. Does not: reading the rows (lake.incident).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from lake.config.sections import Line, Section, comma_separated


def _path(text: str) -> str:
    if not all(text.split(".")):
        raise ValueError("a path: names joined by dots, none empty")
    return text


_Paths = Annotated[
    tuple[Annotated[Line, AfterValidator(_path)], ...], BeforeValidator(comma_separated)
]


class IncidentSection(Section):
    """`[incident]`. Paths are of documents' fields; of log lines the last name is looked for."""

    ids: Annotated[_Paths, Field(min_length=1)] = (
        "requestId",
        "request_id",
        "traceId",
        "trace_id",
        "correlationId",
    )
    error_fields: _Paths = ("error", "exception")
    text_fields: _Paths = ()
