"""A Terraform module as values: enough of HCL to evaluate deploy/terraform without Terraform.

Belongs here: expressions, `dynamic` blocks, `for`, references. Does not: claims, providers.
What is not known here raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hcl2

_TOKEN = re.compile(
    r'\s*(?:(?P<number>\d+)|(?P<name>[A-Za-z_][\w.-]*)|(?P<op>==|!=|&&|\|\||[?:>\[\](),])|(?P<q>"))'
)
_FUNCTIONS = {
    "toset": lambda values: sorted(set(values)),
    "concat": lambda *lists: [value for content in lists for value in content],
    "trimsuffix": lambda text, end: text.removesuffix(end),
}
_BLOCK = "__is_block__"


class Module:
    """All `.tf` files of a directory, with values for its variables."""

    def __init__(self, directory: Path, references: Mapping[str, Any], **given: Any) -> None:
        self._references = dict(references)
        self._locals: dict[str, Any] = {}
        self._blocks: dict[str, list[Any]] = {}
        for file in sorted(directory.glob("*.tf")):
            for kind, blocks in hcl2.loads(file.read_text("utf-8")).items():
                self._blocks.setdefault(kind, []).extend(blocks)
        self.variables = {
            _bare(name): content for block in self._blocks["variable"]
            for name, content in block.items() if name != _BLOCK
        }  # fmt: skip
        for block in self._blocks["locals"]:
            self._locals |= {name: text for name, text in block.items() if name != _BLOCK}
        defaults = {
            name: self.value(content["default"], {})
            for name, content in self.variables.items()
            if "default" in content
        }
        self._given = defaults | given

    def block(self, kind: str, *labels: str) -> dict[str, Any]:
        """A `resource` or `data` block, evaluated. Raises KeyError where there is none."""
        candidates = [_labelled(block, labels) for block in self._blocks[kind]]
        (content,) = [block for block in candidates if block is not None]
        return self.evaluated(content, {})

    def evaluated(self, block: Mapping[str, Any], scope: Mapping[str, Any]) -> dict[str, Any]:
        """Blocks inside are lists of dictionaries, `dynamic` ones among them."""
        values: dict[str, Any] = {}
        for name, content in block.items():
            if name in (_BLOCK, "depends_on"):  # an order, not a value
                continue
            if name == "dynamic":
                for dynamic in content:
                    self._expand(dynamic, scope, values)
            elif isinstance(content, list) and content and _is_block(content[0]):
                values.setdefault(name, []).extend(self.evaluated(b, scope) for b in content)
            else:
                values[name] = self.value(content, scope)
        return values

    def _expand(self, dynamic: Mapping[str, Any], scope: Any, values: dict[str, Any]) -> None:
        ((label, content),) = [(k, v) for k, v in dynamic.items() if k != _BLOCK]
        name = _bare(label)
        (inner,) = content["content"]
        for value in self.value(content["for_each"], scope):
            inside = {**scope, f"{name}.value": value}
            values.setdefault(name, []).append(self.evaluated(inner, inside))

    def value(self, content: Any, scope: Mapping[str, Any]) -> Any:
        """Of an attribute as the parser returns it."""
        if isinstance(content, list):
            return [self.value(element, scope) for element in content]
        if not isinstance(content, str):
            return content
        text = content
        if text.startswith("${") and text.endswith("}"):
            text = text[2:-1]
        expression = _Expression(self, text, scope)
        value = expression.ternary()
        expression.end()
        return value

    def reference(self, name: str, scope: Mapping[str, Any]) -> Any:
        if name in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[name]
        if name in scope:
            return scope[name]
        head, _, rest = name.partition(".")
        if head == "var":
            return self._given[rest]
        if head == "local":
            return self.value(self._locals[rest], {})
        return self._references[name]


class _Expression:
    """Recursive descent over one expression."""

    def __init__(self, module: Module, text: str, scope: Mapping[str, Any]) -> None:
        self._module, self._text, self._at, self._scope = module, text, 0, dict(scope)

    def _next(self, *wanted: str) -> str:
        """Takes the next operator or name if it is one of these; else ""."""
        match = _TOKEN.match(self._text, self._at)
        if match and (operator := match["op"] or match["name"] or "") in wanted:
            self._at = match.end()
            return operator
        return ""

    def _need(self, wanted: str) -> None:
        assert self._next(wanted), (wanted, self._text[self._at :])

    def end(self) -> None:
        assert not self._text[self._at :].strip(), self._text[self._at :]

    def ternary(self) -> Any:
        condition = self._compared()
        if not self._next("?"):
            return condition
        first = self.ternary()
        self._need(":")
        second = self.ternary()
        return first if condition else second

    def _compared(self) -> Any:
        left = self._primary()
        operator = self._next("==", "!=", ">")
        if not operator:
            return left
        right = self._primary()
        return {"==": left == right, "!=": left != right, ">": operator == ">" and left > right}[
            operator
        ]

    def _primary(self) -> Any:
        match = _TOKEN.match(self._text, self._at)
        assert match, self._text[self._at :]
        self._at = match.end()
        if match["number"]:
            return int(match["number"])
        if match["q"]:
            return self._string()
        if match["op"] == "[":
            return self._list()
        assert match["name"], self._text
        if self._next("("):
            return _FUNCTIONS[match["name"]](*self._until(")"))
        return self._module.reference(match["name"], self._scope)

    def _until(self, end: str) -> list[Any]:
        values = []
        while not self._next(end):
            values.append(self.ternary())
            self._next(",")
        return values

    def _list(self) -> list[Any]:
        if not self._next("for"):
            return self._until("]")
        match = _TOKEN.match(self._text, self._at)
        assert match
        name, self._at = match["name"], match.end()
        self._need("in")
        source = self._primary()
        self._need(":")
        start, values = self._at, []
        for value in source:
            self._at = start
            self._scope[name] = value
            values.append(self.ternary())
        del self._scope[name]
        self._need("]")
        return values

    def _string(self) -> str:
        """From behind the opening quote to behind the closing one."""
        parts = []
        while self._text[self._at] != '"':
            if self._text.startswith("${", self._at):
                end = _closing(self._text, self._at + 2)
                inner = _Expression(self._module, self._text[self._at + 2 : end], self._scope)
                parts.append(str(inner.ternary()))
                self._at = end + 1
            else:
                assert self._text[self._at] != "\\", self._text
                parts.append(self._text[self._at])
                self._at += 1
        self._at += 1
        return "".join(parts)


def _closing(text: str, at: int) -> int:
    depth = 1
    while depth:
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    return at - 1


def _bare(label: str) -> str:
    return label.strip('"')


def _is_block(content: Any) -> bool:
    return isinstance(content, Mapping) and _BLOCK in content


def _labelled(block: Any, labels: tuple[str, ...]) -> Any:
    for label in labels:
        block = next((c for name, c in block.items() if _bare(name) == label), None)
        if block is None:
            return None
    return block
