"""Column rules, applied to BSON documents before anything of them is kept.

Belongs here: finding the values of a path, writing others in their place. Does not: what a rule
makes of a text (lake.privacy), spooling (table).

A path leads through sub-documents, and through the sub-documents of arrays; names are compared
without regard to ASCII's upper and lower case, as SQL does. All that no path leads to keeps its
bytes. Of an array with a rule each element goes through it; other values than texts are hashed by
their plain text, and a sub-document by its content. Where a rule shortens texts, a value that is
no text is removed; in an array it becomes null. A null stays.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isfinite
from struct import Struct
from typing import Any

from bson.decimal128 import Decimal128

from lake.base.errors import BadData
from lake.privacy.applying import Rules
from lake.privacy.rules import Rule, folded
from lake.systems.mongo.reading.elements import MalformedError, document_starts, elements
from lake.systems.mongo.reading.same import content_of

_DOUBLE, _STRING, _DOCUMENT, _ARRAY, _BINARY, _OBJECT_ID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x07
_BOOL, _DATE, _NULL, _INT32, _INT64, _DECIMAL = 0x08, 0x09, 0x0A, 0x10, 0x12, 0x13
_NOTHING = frozenset({_NULL, 0x06})  # null, and undefined
_TEXTS = frozenset({_STRING, 0x0D, 0x0E})  # also code and symbol
_UUID, _OLD_UUID = 4, 3
_int32, _int64, _double = Struct("<i"), Struct("<q"), Struct("<d")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Tree = dict[bytes, Any]  # by folded name: a Rule, or the tree below


class RuledDocuments:
    """Documents as the rules leave them."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._tree: _Tree = {}
        for rule in rules.all:
            *parents, name = (step.encode() for step in folded(rule.path))
            tree = self._tree
            for parent in parents:
                tree = tree.setdefault(parent, {})
            tree[name] = rule

    def answer(self, data: bytes) -> bytes:
        """Documents that stand one behind the other. Raises BadData where one is malformed: a
        rule could not be applied to it.
        """
        try:
            starts = document_starts(data)
            return b"".join(
                self._document(data, start, self._tree)
                or data[start : start + _int32.unpack_from(data, start)[0]]
                for start in starts
            )
        except (MalformedError, RecursionError) as error:
            raise BadData(
                "a document is not valid BSON: the column rules can't be applied",
                expected="valid BSON",
                found=f"{error}",
                remedy="correct or delete the document, or export without rules",
            ) from error

    def document(self, data: bytes | memoryview) -> bytes:
        """One document. Raises BadData."""
        return self.answer(bytes(data))

    def _document(self, data: bytes, at: int, tree: _Tree) -> bytes | None:
        """The document that begins there; None where nothing in it changes."""
        pieces: list[bytes] = []
        kept = at + 4
        end = at + _int32.unpack_from(data, at)[0]
        for tag, name, begin, stop in elements(data, at):
            target = tree.get(name.lower())
            if target is None:
                continue
            changed = self._changed(target, tag, data, begin, stop)
            if changed is None:
                continue
            pieces.append(data[kept : begin - len(name) - 2])
            if changed:
                pieces.append(_element(name, changed))
            kept = stop
        if kept == at + 4 and not pieces:
            return None
        return _enclosed(b"".join(pieces) + data[kept : end - 1])

    def _changed(
        self, target: Any, tag: int, data: bytes, begin: int, stop: int
    ) -> tuple[int, bytes] | tuple[()] | None:
        """Type and bytes of the new value, () without one, None where it stays."""
        if isinstance(target, Rule):
            return self._ruled(target, tag, data, begin, stop)
        if tag == _DOCUMENT:
            inner = self._document(data, begin, target)
        elif tag == _ARRAY:
            inner = self._array(data, begin, target)
        else:
            return None
        return None if inner is None else (tag, inner)

    def _array(self, data: bytes, at: int, target: Any) -> bytes | None:
        """Each element by the same rules; one that is removed becomes null."""
        pieces, any_changed = [], False
        for tag, name, begin, stop in elements(data, at):
            changed = self._changed(target, tag, data, begin, stop)
            any_changed |= changed is not None
            value = (tag, data[begin:stop]) if changed is None else changed or (_NULL, b"")
            pieces.append(_element(name, value))
        return _enclosed(b"".join(pieces)) if any_changed else None

    def _ruled(
        self, rule: Rule, tag: int, data: bytes, begin: int, stop: int
    ) -> tuple[int, bytes] | tuple[()] | None:
        if rule.kind == "drop":
            self._rules.count(rule)
            return ()
        if tag == _ARRAY:
            inner = self._array(data, begin, rule)
            return None if inner is None else (tag, inner)
        if tag in _NOTHING:
            return None
        self._rules.count(rule)
        if rule.kind == "hash":
            return _STRING, _text(self._rules.hashed(plain_text(tag, data, begin, stop)))
        if tag not in _TEXTS:
            return ()
        shown = data[begin + 4 : stop - 1].decode("utf-8", "replace")
        shortened = self._rules.of_text(rule, shown)
        return () if shortened is None else (_STRING, _text(shortened))


def plain_text(tag: int, data: bytes, begin: int, stop: int) -> bytes:
    """What a value is hashed by: for those that a text can hold, that text; so numbers of any
    type, ids and texts that read alike have one hash.
    """
    value = data[begin:stop]
    if tag in _TEXTS:
        return value[4:-1]
    if tag == _BINARY:
        return _of_binary(value[4], value[5:])
    if tag in (_DOCUMENT, _ARRAY):
        return content_of(data, tag, begin)
    texts: dict[int, Callable[[], str]] = {
        _OBJECT_ID: value.hex,
        _BOOL: lambda: "true" if value[0] else "false",
        _DATE: lambda: _of_date(_int64.unpack(value)[0]),
        _INT32: lambda: str(_int32.unpack(value)[0]),
        _INT64: lambda: str(_int64.unpack(value)[0]),
        _DOUBLE: lambda: _of_double(_double.unpack(value)[0]),
        _DECIMAL: lambda: _of_decimal(Decimal128.from_bid(value).to_decimal()),
    }
    return texts[tag]().encode() if tag in texts else bytes([tag]) + value


def _of_binary(subtype: int, content: bytes) -> bytes:
    if len(content) == 16 and subtype == _UUID:
        return str(uuid.UUID(bytes=content)).encode()
    if len(content) == 16 and subtype == _OLD_UUID:
        return content.hex().encode()
    return content


def _of_date(ms: int) -> str:
    try:
        at = _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:  # a year that Python does not have
        return f"{ms} ms"
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


def _of_double(number: float) -> str:
    whole = isfinite(number) and number == int(number)
    return str(int(number)) if whole else repr(number)


def _of_decimal(number: Decimal) -> str:
    if not number.is_finite() or abs(number.adjusted()) > 400:  # digits by the thousand
        return str(number)
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _text(text: str) -> bytes:
    encoded = text.encode("utf-8", "replace")
    return _int32.pack(len(encoded) + 1) + encoded + b"\0"


def _element(name: bytes, value: tuple[int, bytes]) -> bytes:
    return bytes([value[0]]) + name + b"\0" + value[1]


def _enclosed(content: bytes) -> bytes:
    return _int32.pack(len(content) + 5) + content + b"\0"


def ruled_answers(answers: Iterator[bytes], rules: Rules) -> Iterator[bytes]:
    """A server's answers under the rules."""
    documents = RuledDocuments(rules)
    return map(documents.answer, answers)
