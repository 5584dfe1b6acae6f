"""SQL that turns a value of one kind into the kind that unites it with others.

Belongs here: expressions over one value. Does not: which kinds are united (kinds), files.
"""

from __future__ import annotations

from lake.query.kinds import (
    Kind,
    ListOf,
    Plain,
    Struct,
    by_name,
    folded,
    quoted_text,
    sql_type,
)

_INSTANT = "'%Y-%m-%dT%H:%M:%S.%fZ'"


def read_directly(source: Kind, target: Kind) -> bool:
    """Whether the Parquet reader can be told `target` where the file has `source`.

    It fills in the members that a STRUCT lacks. Other differences are not left to it: it
    would compare `c < -3.5` in a file of integers as `c < -4`.
    """
    match source, target:
        case Struct(mine), Struct(theirs):
            wanted = by_name(theirs)
            return all(read_directly(kind, wanted[folded(name)]) for name, kind in mine)
        case ListOf(mine), ListOf(theirs):
            return read_directly(mine, theirs)
    return source == target


def cast(value: str, source: Kind, target: Kind, depth: int = 0) -> str:
    """The expression `value`, of kind `source`, as `target`."""
    if source == target:
        return value
    match source, target:
        case Plain("nothing"), _:
            return f"CAST(NULL AS {sql_type(target)})"
        case _, Plain("mixed"):
            return f"CAST({_json(value, source, depth)} AS VARCHAR)"
        case Struct(mine), Struct(theirs):
            had = by_name(mine)
            members = ", ".join(
                f"{quoted_text(name)}: {_member(value, name, had.get(folded(name)), kind, depth)}"
                for name, kind in theirs
            )
            return f"CASE WHEN {value} IS NOT NULL THEN {{{members}}} END"
        case ListOf(mine), ListOf(theirs):
            item = f"v{depth}"
            inner = cast(item, mine, theirs, depth + 1)
            return f"list_transform({value}, lambda {item}: {inner})"
    return f"CAST({value} AS {sql_type(target)})"


def _member(value: str, name: str, source: Kind | None, target: Kind, depth: int) -> str:
    if source is None:
        return f"CAST(NULL AS {sql_type(target)})"
    return cast(f"struct_extract({value}, {quoted_text(name)})", source, target, depth)


def _json(value: str, kind: Kind, depth: int) -> str:
    """An expression of type JSON, NULL where the value is NULL.

    Members that are NULL are left out, items are not. Times are UTC in ISO 8601, bytes
    base64, and a number that JSON does not know is a string.
    """
    match kind:
        case Struct(members):
            pairs = ", ".join(
                f"{quoted_text(name)}, "
                + _json(f"struct_extract({value}, {quoted_text(name)})", part, depth)
                for name, part in members
            )
            # A merge patch leaves out what is null.
            merged = f"json_merge_patch('{{}}', json_object({pairs}))"
            return f"CASE WHEN {value} IS NOT NULL THEN {merged} END"
        case ListOf(part):
            item = f"v{depth}"
            return (
                f"to_json(list_transform({value}, lambda {item}: {_json(item, part, depth + 1)}))"
            )
        case Plain("FLOAT" | "DOUBLE"):
            text = f"to_json(CAST({value} AS VARCHAR))"
            return f"CASE WHEN isfinite({value}) THEN to_json({value}) ELSE {text} END"
        case Plain("TIMESTAMP WITH TIME ZONE"):
            return f"to_json(strftime({value} AT TIME ZONE 'UTC', {_INSTANT}))"
        case Plain("BLOB"):
            return f"to_json(base64({value}))"
    return f"to_json({value})"
