"""The macro `line_fields`: members of JSON objects and pairs of logfmt."""

from __future__ import annotations

import pytest

_LOGFMT = r'ts=1 level=info msg="say \"hi\" 안녕" route=/v1?a=b k= empty="" level=warn'


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (
            r'{"a": 1, "b": {"c": [1, 2]}, "x/y~z": "\n", "n": null, "t": true}',
            {"a": "1", "b": '{"c":[1,2]}', "x/y~z": "\n", "n": None, "t": "true"},
        ),
        (
            _LOGFMT,
            {
                "ts": "1",
                "level": "info",
                "msg": 'say "hi" 안녕',
                "route": "/v1?a=b",
                "k": "",
                "empty": "",
            },
        ),
        (r'a="\x" b=2', {"a": r"\x", "b": "2"}),  # no JSON text
        ('  {"a": 1}', {"a": "1"}),
        ("2026-11-25 ERROR [worker-1] settled user=u1\n\tat Settle.run", {"user": "u1"}),
        ('{"broken": 1, a=2', {"a": "2"}),
        ("[1, 2]", {}),
        ("no field", {}),
        ("", {}),
        (None, None),
    ],
)
def test_fields_of_a_line(
    make_lake, line: str | None, fields: dict[str, str | None] | None
) -> None:
    with make_lake("container_logs").connect() as session:
        (row,) = session.rows("SELECT line_fields($line) AS fields", {"line": line})
    assert (row["fields"] if row["fields"] is None else dict(row["fields"])) == fields


def test_fields_of_many_lines(make_lake, table) -> None:
    """Lines of both kinds and others in one table; a column may have the name of what is made."""
    lake = make_lake("events")
    lines = [f'{{"status": {n % 3}}}' if n % 2 else f"status={n % 3} x=y" for n in range(600)]
    lake.put("events", "2026-07-01", table(line=[*lines, "plain"], name=["n"] * 601))
    with lake.connect() as session:
        rows = session.rows(
            "SELECT line_fields(line)['status'] AS status, count(*) AS n FROM events "
            "WHERE name = 'n' GROUP BY ALL ORDER BY ALL"
        )
    assert [(row["status"], row["n"]) for row in rows] == [
        ("0", 200),
        ("1", 200),
        ("2", 200),
        (None, 1),
    ]
