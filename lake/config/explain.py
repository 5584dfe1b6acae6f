"""pydantic's findings about lake.toml as errors that name the correction.

Belongs here: the wording. Does not: the rules (settings, datasets).
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from lake.base.errors import ConfigError
from lake.config.overrides import Key, is_secret, variable_of
from lake.config.systems import configs, packages

_SHOWN_CHARS = 200
_NOUNS = {  # beginnings of pydantic's types of errors
    "int_": "an integer",
    "float_": "a number",
    "bool_": "true or false",
    "string_type": "text",
    "list_": "a list",
    "tuple_": "a list",
    "dict_": "a table",
    "model_": "a table",
}


def explain(
    error: ValidationError,
    model: type[BaseModel],
    data: Mapping[str, Any],
    path: Path,
    origin: Mapping[Key, str],
) -> ConfigError:
    """The first finding: what is wrong, where, and what would be right."""
    # A key that is unknown goes first: the one that is missing is often what was meant.
    finding = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    key, kind = _key(finding["loc"], data)
    if key[-1] == "[key]":  # a name in a table, where it has been confused with its value
        key = key[:-2]
    origins = [
        place for prefix, place in origin.items() if key[: len(prefix)] == prefix[: len(key)]
    ]
    where = origins[0] if origins else f"{path}: {_section(key[:-1])}"
    name = key[-1]
    if finding["type"] == "extra_forbidden":
        return _unknown(name, where, _valid_names(model, key[:-1], kind))
    if finding["type"] in ("missing", "union_tag_not_found"):
        wanted = (*key, "source") if finding["type"] == "union_tag_not_found" else key
        return ConfigError(
            f"{wanted[-1]!r} is not set",
            where=f"{path}: {_section(wanted[:-1])}",
            expected="one of " + ", ".join(packages()) if wanted is not key else None,
            remedy=f"set it there, or by {variable_of(wanted)}",
        )
    if finding["type"] == "union_tag_invalid":
        where = origin.get((*key, "source"), f"{path}: {_section(key)}")
        return _unknown(finding["ctx"]["tag"], where, list(packages()), "source")
    if key == ("dataset",):
        return ConfigError(
            "'dataset' is not a list of tables",
            where=path,
            remedy="write [[dataset]] with two brackets",
        )
    return ConfigError(
        f"wrong value for {name!r}",
        where=where,
        expected=_expected(finding),
        found=_shown(key, finding["input"]),
        remedy=_remedy(key, finding["input"]),
    )


def _expected(finding: Mapping[str, Any]) -> str:
    """What the value has to be, without pydantic's sentence around it."""
    kind, context = finding["type"], finding.get("ctx", {})
    for prefix, noun in _NOUNS.items():
        if kind.startswith(prefix):
            return noun
    if kind == "greater_than_equal":
        return f"at least {context['ge']}"
    if kind == "less_than_equal":
        return f"at most {context['le']}"
    text: str = finding["msg"]
    return text.removeprefix("Value error, ").removeprefix("Input should be ")


def _key(loc: tuple[int | str, ...], data: Mapping[str, Any]) -> tuple[Key, str]:
    """Where the finding is, with a dataset's name for its number, and the dataset's source.

    pydantic's location of a dataset is `dataset`, its number, its source, the key.
    """
    steps = tuple(str(step) for step in loc)
    if len(loc) < 2 or loc[0] != "dataset":
        return steps, ""
    table = data["dataset"][int(loc[1])]
    name = table.get("name", loc[1]) if isinstance(table, dict) else loc[1]
    return ("dataset", str(name), *steps[3:]), steps[2] if len(steps) > 2 else ""


def _section(key: Key) -> str:
    if key[:1] == ("dataset",):
        return f"[[dataset]] {'.'.join(key[1:])}".rstrip()
    return f"[{'.'.join(key)}]" if key else "top level"


def _unknown(name: str, where: str, valid: list[str], kind: str = "key") -> ConfigError:
    close = get_close_matches(name, valid, 1)
    return ConfigError(
        f"unknown {kind} {name!r}",
        where=where,
        expected="one of " + ", ".join(valid),
        remedy=f"did you mean {close[0]}?" if close else "correct the name or remove it",
    )


def _valid_names(model: type[BaseModel], section: Key, kind: str) -> list[str]:
    if section[:1] == ("dataset",):
        return list(configs()[kind].dataset.model_fields)
    by_name = False  # dict[str, X]: the next step is a name that the user chose
    for step in section:
        if by_name:
            by_name = False
            continue
        annotation: Any = model.model_fields[step].annotation
        models = getattr(annotation, "__args__", (annotation,))  # X | None
        model = next(model for model in models if model not in (type(None), str))
        by_name = getattr(annotation, "__origin__", None) is dict
    return list(model.model_fields)


def _shown(key: Key, value: object) -> str | None:
    """The value, unless it is or may hold a secret."""
    hidden = (
        is_secret(key)
        or "headers" in key
        or key[-1].endswith(("uri", "url", "username"))  # next to which a token is easily pasted
        or "@" in str(value)
    )
    return None if hidden else repr(value)[:_SHOWN_CHARS]


def _remedy(key: Key, value: object) -> str | None:
    """For what is not shown: what is wrong with it where that is easily overlooked."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if not isinstance(value, str) or _shown(key, value):
        return None
    if "\n" in value.strip() or "\r" in value.strip():
        return "its value has a line break in the middle: set the value alone, on one line"
    return None
