"""Pages of the reference that the code writes: commands, settings, columns, SQL, Python.

Belongs here: their Markdown. Does not: what a setting or a column means, which docs/reference.md
describes; these pages show what the code has, word by word.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import duckdb
import pyarrow as pa

import lake
from lake.cli.main import root
from lake.config.settings import Settings
from lake.config.systems import configs
from lake.systems.loki.reading.table import partition
from lake.systems.mongo.reading.schema import arrow_schema
from lake.systems.prometheus.reading.blocks import SampleTable
from lake.systems.registry import system

ROOT = Path(__file__).resolve().parents[2]
_WIDTH = 80  # columns of a help text


def pages() -> dict[str, str]:
    """The site's address below docs/ → Markdown, in the order of the navigation."""
    return {
        "reference/commands.md": "\n".join(_commands()),
        "reference/settings.md": "\n".join(_settings()),
        "reference/columns.md": "\n".join(_columns()),
        "reference/sql.md": "\n".join(_sql()),
        "reference/python.md": "\n".join(_python()),
    }


def _head(title: str, text: str) -> list[str]:
    return [f"# {title}", "", text, ""]


def _table(*rows: Iterable[str]) -> list[str]:
    head, *others = [list(row) for row in rows]
    rule = ["---"] * len(head)
    return [f"| {' | '.join(row)} |" for row in (head, rule, *others)] + [""]


# commands


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command and group below `lake`, in the order of `lake --help`."""
    yield from _below(root, click.Context(root, info_name="lake", terminal_width=_WIDTH))


def _below(
    command: click.Command, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    yield context.command_path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if inner := command.get_command(context, name):
                yield from _below(inner, click.Context(inner, context, info_name=name))


def _commands() -> Iterator[str]:
    yield from _head(
        "Help texts",
        "What `--help` prints, for each command. "
        "States, JSON and exit statuses: [Commands](../reference.md#commands).",
    )
    for path, command, context in commands():
        yield from (f"## {path}", "")
        yield from ("```text", command.get_help(context), "```", "")


# settings


def _settings() -> Iterator[str]:
    yield from _head(
        "Settings by type",
        "Type, default and variable of each key of `lake.toml`. "
        "Meanings: [lake.toml](../reference.md#laketoml).",
    )
    schema = Settings.model_json_schema()
    for section, model in _sections(schema, schema["properties"], ""):
        variable = f"LAKE_{section.upper().replace('.', '__')}__"
        yield from _section(f"[{section}]", model, variable, schema)
    for name, config in configs().items():
        model = config.dataset.model_json_schema()
        yield from _section(f'[[dataset]] source = "{name}"', model, "LAKE_DATASET__NAME__", model)


def _sections(
    schema: dict[str, Any], properties: dict[str, Any], path: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every table of lake.toml with keys; NAME stands for a dataset or a system."""
    for name, described in properties.items():
        section = f"{path}.{name}".lstrip(".")
        inner = _model(schema, described)
        if inner is None and "additionalProperties" in described:
            inner, section = _model(schema, described["additionalProperties"]), f"{section}.NAME"
        if inner is not None:
            if any(_is_key(schema, value) for value in inner["properties"].values()):
                yield section, inner
            yield from _sections(schema, inner["properties"], section)


def _model(schema: dict[str, Any], described: dict[str, Any]) -> dict[str, Any] | None:
    """The table that a property is, None where it is a key."""
    for choice in [described, *described.get("anyOf", [])]:
        if "$ref" in choice:
            model: dict[str, Any] = schema["$defs"][choice["$ref"].rpartition("/")[2]]
            return model
    return None


def _is_key(schema: dict[str, Any], described: dict[str, Any]) -> bool:
    if "additionalProperties" in described:
        return _model(schema, described["additionalProperties"]) is None
    return _model(schema, described) is None


def _section(
    title: str, model: dict[str, Any], variable: str, schema: dict[str, Any]
) -> Iterator[str]:
    rows = [
        (
            f"`{name}`",
            _type(described),
            _default(described, required=name in model.get("required", ())),
            "" if name in ("name", "source") else f"`{variable}{name.upper()}`",
        )
        for name, described in model["properties"].items()
        if _is_key(schema, described)
    ]
    yield from (f"## {title}", "")
    yield from _table(("key", "type", "default", "variable"), *rows)


def _type(described: dict[str, Any]) -> str:
    choices = [choice for choice in described.get("anyOf", []) if choice.get("type") != "null"]
    if choices:
        return " or ".join(map(_type, choices))
    if "const" in described:
        return f"`{described['const']}`"
    if "enum" in described:
        return ", ".join(f'`"{value}"`' for value in described["enum"])
    if described.get("format") == "password":
        return "secret"
    if described.get("type") == "array":
        item = described["items"]
        return "list of rules" if "$ref" in item else f"list of {_type(item)}"
    if described.get("type") == "object":
        return "table of strings"
    return str(described.get("format") or described["type"]) + _bounds(described)


def _bounds(described: dict[str, Any]) -> str:
    low, high = described.get("minimum"), described.get("maximum")
    if low is not None and high is not None:
        return f", {low:,} to {high:,}"
    if low is not None:
        return f", from {low:,}"
    above = described.get("exclusiveMinimum")
    return "" if above is None else f", above {above}"


def _default(described: dict[str, Any], *, required: bool) -> str:
    default = described.get("default")
    if required:
        return "required"
    if default in (None, "", [], {}):
        return ""
    if default == Settings.model_fields["retention"].default.tables:
        return '`"forever"`'
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


# columns


def _columns() -> Iterator[str]:
    yield from _head(
        "Columns by type",
        "Columns that every table and rollup of a system has, in their order, as stored in Parquet "
        "(Arrow) and as queried (DuckDB). Each query adds `day` (DATE); labels and fields have "
        "further columns. Meanings: [Tables](../reference.md#tables), "
        "[Rollups](../reference.md#rollups).",
    )
    samples = SampleTable(())
    lines = partition(iter(()), {}, {}).schema
    schemas = {
        "MongoDB": arrow_schema(()),
        "Prometheus": samples.schema,
        "Loki": lines,
        "Rollup of Prometheus": _rolled("prometheus", samples.schema),
        "Rollup of Loki": _rolled("loki", lines),
    }
    for title, schema in schemas.items():
        yield from (f"## {title}", "")
        types = duckdb.from_arrow(schema.empty_table()).types
        rows = [
            (f"`{field.name}`", f"`{_plain(field.type)}`", f"`{kind}`")
            for field, kind in zip(schema, types, strict=True)
        ]
        yield from _table(("column", "Arrow", "DuckDB"), *rows)


def _plain(kind: pa.DataType) -> pa.DataType:
    """Without the dictionary, which is an encoding."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _rolled(name: str, schema: pa.Schema) -> pa.Schema:
    dataset = configs()[name].dataset.model_construct(name="x", source=name)
    rollup = system(name).rollup(dataset)
    if rollup is None:
        raise LookupError(f"no rollup of {name}")
    return rollup.begin(schema).schema


# SQL


def _sql() -> Iterator[str]:
    yield from _head(
        "SQL files",
        "The macros of every session, the predefined trends and the rollups of documents. How to "
        "use them: [lake query](../reference.md#lake-query), [Trends](../reference.md#trends), "
        "[Rollups](../reference.md#rollups).",
    )
    for folder in ("macros", "trends", "rollups"):
        yield from (f"## {folder.capitalize()}", "")
        for path in sorted((ROOT / "sql" / folder).glob("*.sql")):
            yield from (f"### {path.stem}", "")
            yield from ("```sql", path.read_text("utf-8").rstrip(), "```", "")


# Python


def _python() -> Iterator[str]:
    yield from _head(
        "Signatures",
        "The names of `import lake`, with their docstrings. Examples: "
        "[From Python](../reference.md#from-python).",
    )
    for name in sorted(lake.__all__):
        value = getattr(lake, name)
        if name.startswith("_"):
            continue
        yield from (f"## lake.{name}", "")
        yield from _documented(name, value)
        if inspect.isclass(value):
            for member, inner in inspect.getmembers_static(value):
                if not member.startswith("_") and _described(inner) and _own(value, member):
                    yield from (f"### {name}.{member}", "")
                    yield from _documented(member, inner)


def _own(kind: type, member: str) -> bool:
    """Whether a class of this project defines it, not one of a library."""
    return any(member in vars(base) for base in kind.__mro__ if base.__module__.startswith("lake"))


def _described(value: object) -> bool:
    return callable(value) or isinstance(value, property | classmethod | staticmethod)


def _documented(name: str, value: object) -> Iterator[str]:
    plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
    if inspect.isfunction(plain):
        signature = re.sub(r"'([^']*)'", r"\1", str(inspect.signature(plain)))
        signature = re.sub(r"^\((self|cls)(, )?", "(", signature)
        if len(signature) > _WIDTH:
            signature = re.sub(r", (?=\w+:|\*)", ",\n    ", signature)
        yield from ("```python", f"{name}{signature}", "```", "")
    yield from (inspect.getdoc(value) or "", "")
