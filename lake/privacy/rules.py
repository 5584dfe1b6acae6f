"""One rule of a column.

Belongs here: paths, the kinds of rules, their forms in lake.toml and in a manifest. Does not:
applying them (applying), which paths a system allows (its `config`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from lake.base.field_path import field_path

Kind = Literal["drop", "hash", "truncate", "replace"]
_FORMS = '"drop", "hash", { truncate = 3 } or { pattern = "[0-9]{6,}", replace = "#" }'
_PLAIN_NAME = re.compile(r"[^.\"\s]+")
_KEYS = {"truncate", "pattern", "replace"}


@dataclass(frozen=True)
class Rule:
    """What is stored instead of a value, and of which path.

    drop: nothing · hash: its keyed hash · truncate: the first `length` characters · replace: the
    text with each match of `pattern` replaced by `replacement`. `key_id` is that of the key which
    a stored day was hashed with; "" for any key.
    """

    path: tuple[str, ...]
    kind: Kind
    length: int = 0
    pattern: str = ""
    replacement: str = ""
    key_id: str = ""

    @property
    def text(self) -> str:
        """The path as it is written: names by dots, quoted where they have to be."""
        return ".".join(
            name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'
            for name in self.path
        )

    @property
    def described(self) -> str:
        """For people: `hash`, `truncate to 3`."""
        if self.kind == "truncate":
            return f"truncate to {self.length}"
        if self.kind == "replace":
            return f"replace {self.pattern!r} by {self.replacement!r}"
        return f"hash (key {self.key_id})" if self.key_id else self.kind

    def to_json(self) -> dict[str, Any]:
        """For a manifest."""
        members: dict[str, Any] = {"path": self.text, "rule": self.kind}
        if self.kind == "hash":
            members["key_id"] = self.key_id
        if self.kind == "truncate":
            members["length"] = self.length
        if self.kind == "replace":
            members |= {"pattern": self.pattern, "replacement": self.replacement}
        return members

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> Rule:
        """Raises ValueError, KeyError and TypeError for anything that is not a rule."""
        rest = {name: members[name] for name in members if name not in ("path", "rule")}
        return cls(field_path(members["path"]), members["rule"], **rest)


def rules_of(value: Any) -> tuple[Rule, ...]:
    """The rules of a table of lake.toml, or of its JSON. Raises ValueError."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            raise ValueError('a JSON object such as {"user.email": "hash"}') from None
    if isinstance(value, Sequence) and all(isinstance(rule, Rule) for rule in value):
        return tuple(value)
    if not isinstance(value, Mapping):
        raise ValueError('a table such as { "user.email" = "hash" }')  # noqa: TRY004  pydantic's
    rules = tuple(_rule(path, rule) for path, rule in value.items())
    for rule, other in combinations(rules, 2):
        short, long = sorted((folded(rule.path), folded(other.path)), key=len)
        if long[: len(short)] == short:
            raise ValueError(f"one rule a value: {rule.text!r} and {other.text!r} overlap")
    return rules


def refuse_label_twice(rules: Sequence[Rule], columns: Sequence[str] = ()) -> None:
    """Raises ValueError where NAME and labels.NAME are one label; `columns` are no labels."""
    by_label: dict[str, Rule] = {}
    for rule in rules:
        *parents, name = folded(rule.path)
        if parents not in ([], ["labels"]) or (not parents and name in columns):
            continue
        other = by_label.setdefault(name, rule)
        if other is not rule:
            raise ValueError(f"columns: {other.text!r} and {rule.text!r} are one label: one rule")


def folded(path: Sequence[str]) -> tuple[str, ...]:
    """Names as they are compared: as in SQL, upper and lower case of ASCII are one."""
    return tuple(name.encode().lower().decode() for name in path)


def _rule(path: str, value: Any) -> Rule:
    names = field_path(path)
    if value in ("drop", "hash"):
        return Rule(names, value)
    if isinstance(value, Mapping):
        if value.keys() == {"truncate"}:
            return _truncating(names, path, value["truncate"])
        if value.keys() == {"pattern", "replace"}:
            return _replacing(names, path, value["pattern"], value["replace"])
        if others := sorted(set(value) - _KEYS):
            raise ValueError(
                f"{path!r} is a table with {others[0]!r}: quote the path, "
                f'"{path}.{others[0]}" = … ; a rule is {_FORMS}'
            )
    raise ValueError(f"{path!r} is {_FORMS}")


def _truncating(names: tuple[str, ...], path: str, length: Any) -> Rule:
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise ValueError(f"{path!r}: truncate is a number of characters above 0")
    return Rule(names, "truncate", length=length)


def _replacing(names: tuple[str, ...], path: str, pattern: Any, replacement: Any) -> Rule:
    if not isinstance(pattern, str) or not isinstance(replacement, str) or not pattern:
        raise ValueError(f"{path!r}: pattern and replace are texts")
    try:
        re.compile(pattern).sub(replacement, "")
    except (re.error, IndexError) as error:
        raise ValueError(f"{path!r}: no regular expression of Python: {error}") from None
    return Rule(names, "replace", pattern=pattern, replacement=replacement)


def texts_of(rules: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A manifest's rules for people: `user.email: hash (key 1a2b3c4d)`."""
    for members in rules:
        rule = Rule.from_json(members)
        yield f"{rule.text}: {rule.described}"
