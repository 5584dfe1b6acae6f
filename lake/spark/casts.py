"""Spark SQL that turns a file's value into the type that all days have in common.

Belongs here: expressions over one value, by the rules of lake.query.casts. Does not: which types
are united (lake.query.merged), files.

Spark writes numbers of binary fractions as Java does (1.0E-5); here they get DuckDB's text (1e-05).
In JSON text numbers keep Java's form, which is the same number.
"""

from __future__ import annotations

from lake.query.kinds import NOTHING, Kind, ListOf, Plain, Struct, by_name
from lake.query.merged import TEXT, Node
from lake.spark.types import is_a_map, quoted_name, quoted_text, spark_type, type_of

_FLOATING = ("FLOAT", "DOUBLE")
_INSTANT = "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"
_FLOATING_TIME = "yyyy-MM-dd'T'HH:mm:ss.SSS"
_TIMES = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP")


def cast(value: str, source: Kind, node: Node, depth: int = 0) -> str:
    """The expression `value`, read as `source`, in the type that all days have in common."""
    if source == NOTHING:
        return f"CAST(NULL AS {type_of(node)})"
    if node.form == TEXT:
        return plain_text(value, source, depth)
    if spark_type(source) == type_of(node):
        return value
    match source:
        case Struct(members):
            mine = by_name(members)
            inner = ", ".join(
                f"{quoted_text(member.name)}, "
                + cast(member_of(value, member.name), mine.get(key, NOTHING), member, depth)
                for key, member in node.members.items()
            )
            return f"CASE WHEN {value} IS NOT NULL THEN named_struct({inner}) END"
        case ListOf(item) if node.item:
            return (
                f"transform({value}, v{depth} -> {cast(f'v{depth}', item, node.item, depth + 1)})"
            )
    return f"CAST({value} AS {type_of(node)})"


def member_of(value: str, name: str) -> str:
    """A STRUCT's member."""
    return f"{value}.{quoted_name(name)}"


def plain_text(value: str, kind: Kind, depth: int = 0) -> str:
    """An expression of type STRING, NULL where the value is NULL."""
    match kind:
        case Plain("VARCHAR"):
            return value
        case Plain(name) if name in _FLOATING:
            return _number_text(value)
        case Plain(name) if name.startswith("DECIMAL") and not name.endswith(",0)"):
            return _trimmed(f"CAST({value} AS STRING)")
        case Plain(name) if name in _TIMES:
            form = _INSTANT if name == _TIMES[0] else _FLOATING_TIME
            return f"date_format({value}, {quoted_text(form)})"
        case Plain("BLOB"):
            return f"base64({value})"
    if isinstance(kind, Plain) and not is_a_map(kind):
        return f"CAST({value} AS STRING)"
    return f"to_json({_for_json(value, kind, depth)})"


def _trimmed(text: str) -> str:
    """A number's text without zeros at its end."""
    return f"trim(TRAILING '.' FROM trim(TRAILING '0' FROM {text}))"


def _number_text(value: str) -> str:
    """Whole numbers without a point, others in the shortest form that reads back as the same."""
    java = f"CAST({value} AS STRING)"
    # 21 digits after the point hold the 17 of a number from 0.0001 on.
    plain = _trimmed(f"CAST(CAST({java} AS DECIMAL(38,21)) AS STRING)")
    mantissa = f"regexp_replace(substring_index({java}, 'E', 1), '[.]0$', '')"
    power = f"substring_index({java}, 'E', -1)"
    digits = f"replace({power}, '-', '')"
    sign = f"if({power} LIKE '-%', 'e-', 'e+')"
    return (
        f"CASE WHEN isnan({value}) THEN 'NaN' "
        f"WHEN {value} = DOUBLE('Infinity') THEN 'Infinity' "
        f"WHEN {value} = DOUBLE('-Infinity') THEN '-Infinity' "
        f"WHEN abs({value}) < 9e18 AND {value} = floor({value}) "
        f"THEN CAST(CAST({value} AS BIGINT) AS STRING) "
        f"WHEN abs({value}) >= 9e18 AND abs({value}) < 1e38 THEN {_digits_of_large(value)} "
        f"WHEN abs({value}) >= 1e-4 AND abs({value}) < 1e16 THEN {plain} "
        f"WHEN {value} IS NOT NULL THEN concat({mantissa}, {sign}, "
        f"if(length({digits}) < 2, '0', ''), {digits}) END"
    )


def _digits_of_large(value: str) -> str:
    """All digits of a double from 9e18 on, below 1e38: Spark's own cast to DECIMAL has 17 of them.

    Such a double is an integer below 2^54 times a power of two; both are exact as DECIMALs.
    """
    power = f"(CAST(floor(log2(abs({value}))) AS INT) - 53)"
    factor = f"CAST({value} / pow(2, {power}) AS BIGINT)"
    bit = "CAST(1 AS BIGINT)"
    powers = (
        f"CAST(shiftleft({bit}, least({power}, 62)) AS DECIMAL(20,0)) "
        f"* CAST(shiftleft({bit}, greatest({power} - 62, 0)) AS DECIMAL(10,0))"
    )
    return f"CAST(CAST({factor} AS DECIMAL(20,0)) * ({powers}) AS STRING)"


def _for_json(value: str, kind: Kind, depth: int) -> str:
    """The value with parts that `to_json` writes as they are to be: members that are NULL are left
    out, items are not; times and bytes are plain text.
    """
    match kind:
        case Struct(members):
            inner = ", ".join(
                f"{quoted_text(name)}, {_for_json(member_of(value, name), part, depth)}"
                for name, part in members
            )
            return f"CASE WHEN {value} IS NOT NULL THEN named_struct({inner}) END"
        case ListOf(part):
            return f"transform({value}, v{depth} -> {_for_json(f'v{depth}', part, depth + 1)})"
        case Plain(name) if name in (*_TIMES, "BLOB"):
            return plain_text(value, kind)
    return value
