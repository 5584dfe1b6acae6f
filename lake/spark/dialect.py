"""Statements of DuckDB in Spark's dialect, translated by sqlglot.

Belongs here: the translation, and what it does with the lake's macros and parameters. Does not:
which tables a statement reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from lake.base.errors import Missing
from lake.base.resources import resource_path
from lake.query.failures import WrongSQL
from lake.spark.templates import template

if TYPE_CHECKING:
    from sqlglot import exp

_PERIODS = ("week", "month", "quarter")
_INTEGERS = ("TINYINT", "SMALLINT", "INT", "BIGINT")


def in_spark(sql: str, values: Mapping[str, object], where: Path) -> str:
    """The statement of DuckDB with these values for its parameters.

    Raises WrongSQL where something has no counterpart, Missing where sqlglot is not installed.
    """
    tree = _parsed(sql, where)
    for part in tree.walk():
        part.comments = None

    def changed(node: exp.Expr) -> exp.Expr:
        return _changed(node, values, where)

    return _generated(tree.transform(changed), where, pretty=True)


def spark_expression(sql: str, rounded_by: str = "") -> str:
    """The expression of DuckDB as Spark writes it.

    DuckDB rounds a number that becomes an integer, and Spark cuts it off: `rounded_by` is the
    function of Spark that does it before. Spark casts STRUCTs by their members' places, and has
    JSON as text: nested values and JSON are left as they are.
    """
    from sqlglot import exp  # noqa: PLC0415

    where = Path("a trend's column")
    tree = _parsed(sql, where)
    for cast in reversed(list(tree.find_all(exp.TryCast))):  # those inside others first
        if cast.to.is_type("json", "array", "struct"):
            value = cast.replace(cast.this)
            tree = value if cast is tree else tree
    if rounded_by and isinstance(tree, exp.TryCast) and tree.to.sql("spark") in _INTEGERS:
        tree.set("this", exp.Anonymous(this=rounded_by, expressions=[tree.this]))
    return _generated(tree, where, pretty=False)


def _changed(node: exp.Expr, values: Mapping[str, object], where: Path) -> exp.Expr:
    from sqlglot import exp  # noqa: PLC0415

    if isinstance(node, exp.Parameter | exp.Placeholder):
        name = node.name
        if name not in values:
            raise _lacking(f"the parameter ${name}", where)
        return _literal(values[name])
    if isinstance(node, exp.PercentileCont):  # Spark's function of that name takes an ORDER BY
        return exp.Anonymous(this="percentile", expressions=[node.this, node.expression])
    if isinstance(node, exp.Anonymous):
        name = node.name.lower()
        if name in _MACROS:
            parts = [_changed(part, values, where) for part in node.expressions]
            try:
                return _MACROS[name](*parts)
            except (TypeError, ValueError) as error:  # other arguments than the macro's
                raise _lacking(f"{node.sql('duckdb')}", where) from error
        if name in _macro_names():
            raise _lacking(f"the macro {name}", where)
    return node


def _period_start(day: exp.Expr, period: exp.Expr, start: exp.Expr) -> exp.Expr:
    import sqlglot  # noqa: PLC0415

    if period.name == "day":
        return day
    if period.name == "range":
        return start
    if period.name in _PERIODS:
        text = f"CAST(date_trunc('{period.name}', {day.sql('spark')}) AS DATE)"
        return sqlglot.parse_one(text, read="spark")
    raise ValueError(period.name)


def _bucket_quantile(le: exp.Expr, increase: exp.Expr, quantile: exp.Expr) -> exp.Expr:
    from sqlglot import exp  # noqa: PLC0415

    texts = {"le": le, "increase": increase, "quantile": quantile}
    text = template("bucket_quantile").format(**{k: e.sql("spark") for k, e in texts.items()})
    return exp.Var(this=text)  # as it is: sqlglot would not keep all of it


def _histogram_quantile(*arguments: exp.Expr) -> exp.Expr:
    from sqlglot import exp  # noqa: PLC0415

    _, _, increase, _ = arguments
    text = template("histogram_quantile").format(increase=increase.sql("spark"))
    return exp.Var(this=text)


_MACROS: Mapping[str, Callable[..., exp.Expr]] = {
    "period_start": _period_start,
    "bucket_quantile": _bucket_quantile,
    "histogram_quantile": _histogram_quantile,
}


def _literal(value: object) -> exp.Expr:
    from sqlglot import exp  # noqa: PLC0415

    text = exp.Literal.string(str(value))
    return exp.cast(text, "date") if isinstance(value, date) else text


def _macro_names() -> set[str]:
    return {path.stem for path in resource_path("sql/macros").glob("*.sql")}


def _parsed(sql: str, where: Path) -> exp.Expr:
    try:
        import sqlglot  # noqa: PLC0415
    except ImportError as error:
        raise Missing(
            "the package sqlglot, which translates SQL for Spark, is not installed",
            remedy="pip install 'monitoring-lake[spark]'",
        ) from error
    try:
        return sqlglot.parse_one(sql, read="duckdb")
    except sqlglot.errors.ParseError as error:
        raise _lacking("a statement that sqlglot does not read", where) from error


def _generated(tree: exp.Expr, where: Path, *, pretty: bool) -> str:
    import sqlglot  # noqa: PLC0415

    try:
        raising = sqlglot.ErrorLevel.RAISE
        return str(tree.sql("spark", pretty=pretty, unsupported_level=raising))
    except sqlglot.errors.UnsupportedError as error:
        raise _lacking(str(error), where) from error


def _lacking(what: str, where: Path) -> WrongSQL:
    return WrongSQL(
        "the trend has something that Spark lacks",
        where=where,
        found=what,
        remedy="run it with DuckDB, or write the statement for Spark by hand",
    )
