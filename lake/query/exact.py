"""What a wider number cannot hold exactly, kept in `_rest`.

Belongs here: SQL that finds integers and decimals which a DOUBLE rounds, and writes them as
canonical Extended JSON, as `_rest` has it. Does not: the casts themselves.

A document that is rebuilt from a view is exact that way: `_rest` is merged over the typed
columns, so the rounded number in the column gives way to the exact one.
"""

from __future__ import annotations

from lake.query.kinds import Kind, ListOf, Plain, Struct, by_name, folded, quoted_text, sql_type

_DOUBLE = Plain("DOUBLE")
_WHOLE = ("BIGINT", "UBIGINT", "HUGEINT")


def rest_with_exact(rest: str, casts: list[tuple[str, str, Kind, Kind]]) -> str:
    """The expression `rest`, with what the casts (name, value, source, target) round."""
    found = [
        pair
        for name, value, source, target in casts
        for pair in _rounded(value, source, target, (name,))
    ]
    if not found:
        return rest
    patches = ", ".join(
        f"CASE WHEN {rounded} THEN {patch} ELSE '{{}}' END" for rounded, patch in found
    )
    merged = f"CAST(json_merge_patch(coalesce({rest}, '{{}}'), {patches}) AS VARCHAR)"
    anything = " OR ".join(rounded for rounded, _ in found)
    return f"CASE WHEN {anything} THEN {merged} ELSE {rest} END"


def _rounded(
    value: str, source: Kind, target: Kind, path: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Conditions, and the JSON objects that say exactly what is at `path`.

    STRUCTs are said member by member, LISTs whole.
    """
    if isinstance(source, Struct) and isinstance(target, Struct):
        targets = by_name(target.members)
        return [
            pair
            for name, kind in source.members
            for pair in _rounded(_member(value, name), kind, targets[folded(name)], (*path, name))
        ]
    condition = _is_rounded(value, source, target, 0)
    patch = _canonical(value, source, 0)
    for name in reversed(path):
        patch = f"json_object({quoted_text(name)}, {patch})"
    return [(condition, patch)] if condition else []


def _is_rounded(value: str, source: Kind, target: Kind, depth: int) -> str | None:
    """A condition that is never NULL; None where nothing can be rounded."""
    match source, target:
        case Struct(mine), Struct(theirs):
            targets = by_name(theirs)
            conditions = [
                _is_rounded(_member(value, name), kind, targets[folded(name)], depth)
                for name, kind in mine
            ]
            return " OR ".join(filter(None, conditions)) or None
        case ListOf(mine), ListOf(theirs):
            condition = _is_rounded(f"x{depth}", mine, theirs, depth + 1)
            some = f"len(list_filter({value}, lambda x{depth}: {condition})) > 0"
            return f"coalesce({some}, false)" if condition else None
        case Plain(name), Plain("DOUBLE") if name in _WHOLE or name.startswith("DECIMAL"):
            back = name if name.startswith("DECIMAL") else "HUGEINT"
            return f"(TRY_CAST(CAST({value} AS DOUBLE) AS {back}) IS DISTINCT FROM {value})"
    return None


def _canonical(value: str, kind: Kind, depth: int) -> str:
    """Canonical Extended JSON, NULL where the value is NULL."""
    match kind:
        case Struct(members):
            pairs = ", ".join(
                f"{quoted_text(name)}, {_canonical(_member(value, name), part, depth)}"
                for name, part in members
            )
            # A merge patch leaves out what is null, as a document leaves out what is absent.
            text = f"json_merge_patch('{{}}', json_object({pairs}))"
        case ListOf(part):
            item = _canonical(f"x{depth}", part, depth + 1)
            return f"to_json(list_transform({value}, lambda x{depth}: {item}))"
        case Plain("BOOLEAN" | "VARCHAR"):
            return f"to_json({value})"
        case Plain("TIMESTAMP WITH TIME ZONE"):
            number = f"json_object('$numberLong', CAST(epoch_ms({value}) AS VARCHAR))"
            text = f"json_object('$date', {number})"
        case Plain("BLOB"):
            binary = f"json_object('base64', base64({value}), 'subType', '00')"
            text = f"json_object('$binary', {binary})"
        case _:
            text = f"json_object({quoted_text(_tag(kind))}, {_digits(value, kind)})"
    return f"CASE WHEN {value} IS NOT NULL THEN {text} END"


def _tag(kind: Kind) -> str:
    if kind == _DOUBLE:
        return "$numberDouble"
    return "$numberDecimal" if sql_type(kind).startswith("DECIMAL") else "$numberLong"


def _digits(value: str, kind: Kind) -> str:
    text = f"CAST({value} AS VARCHAR)"
    if kind != _DOUBLE:
        return text
    return (
        f"CASE {text} WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity' "
        f"WHEN 'nan' THEN 'NaN' ELSE {text} END"
    )


def _member(value: str, name: str) -> str:
    return f"struct_extract({value}, {quoted_text(name)})"
