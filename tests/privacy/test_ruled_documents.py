"""Rules on BSON documents, compared with the same rules on Python's own values."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import uuid
from typing import Any

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bson_values import plain
from support.strategies import array, document, integer, string

from lake.base.errors import BadData
from lake.privacy.applying import Rules
from lake.privacy.rules import rules_of
from lake.systems.mongo.reading.ruled import RuledDocuments

KEY = "0123456789abcdef0123456789abcdef"
NAMES = ["a", "b", "A", "user", "email"]
FORMS: dict[str, Any] = {
    "a": "drop",
    "user.email": "hash",
    "user.a": {"truncate": 3},
    "b": {"pattern": "[0-9]", "replace": "#"},
}
_DROPPED = object()


def _hash(text: str) -> str:
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def expected(value: Any, path: tuple[str, ...] = ()) -> Any:
    """By the documentation, on decoded documents; only ints and texts are below a hash."""
    form = FORMS.get(".".join(path).lower())
    if form == "drop":
        return _DROPPED
    if isinstance(value, list):
        items = [expected(item, path) for item in value]
        return [None if item is _DROPPED else item for item in items]
    if form is not None:
        return _ruled(form, value)
    if isinstance(value, dict):
        pairs = ((name, expected(inner, (*path, name))) for name, inner in value.items())
        return {name: inner for name, inner in pairs if inner is not _DROPPED}
    return value


def _ruled(form: Any, value: Any) -> Any:
    if value is None:
        return None
    if form == "hash":
        return _hash(value if isinstance(value, str) else str(value))
    if not isinstance(value, str):
        return _DROPPED
    if "truncate" in form:
        return value[: form["truncate"]]
    return "".join("#" if sign in "0123456789" else sign for sign in value)


_scalars = st.one_of(
    st.text(max_size=8).filter(lambda t: "\0" not in t), st.integers(-9, 9), st.none()
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=12,
)


def _hashable(value: Any, path: tuple[str, ...] = ()) -> bool:
    """Whether no sub-document is to be hashed as a whole."""
    if isinstance(value, list):
        return all(_hashable(item, path) for item in value)
    if isinstance(value, dict):
        if FORMS.get(".".join(path).lower()) == "hash":
            return False
        return all(_hashable(inner, (*path, name)) for name, inner in value.items())
    return True


@given(
    st.lists(st.dictionaries(st.sampled_from(NAMES), _values, max_size=4), min_size=1, max_size=4)
)
@settings(max_examples=200, deadline=None)
def test_documents_are_as_the_rules_say(documents):
    documents = [each for each in documents if _hashable(each)]
    ruled = RuledDocuments(Rules(rules_of(FORMS), KEY))
    data = ruled.answer(b"".join(map(bson.encode, documents)))
    assert bson.decode_all(data) == [expected(each) for each in documents]


def test_what_reads_alike_has_one_hash():
    number = uuid.UUID("12345678-1234-5678-1234-567812345678")
    id_ = bson.ObjectId("0123456789abcdef01234567")
    at = dt.datetime(2026, 7, 1, 1, 2, 3, 45_000, tzinfo=dt.UTC)
    alike = {
        "42": ["42", 42, bson.Int64(42), 42.0, bson.Decimal128("42.00"), bson.Decimal128("4.2E+1")],
        "2.5": [2.5, bson.Decimal128("2.50"), "2.5"],
        str(number): [bson.Binary.from_uuid(number), str(number)],
        str(id_): [id_, str(id_)],
        "true": [True, "true"],
        "2026-07-01T01:02:03.045Z": [at],
        "0": [0, -0.0, bson.Decimal128("-0")],
    }
    ruled = RuledDocuments(Rules(rules_of({"x": "hash"}), KEY))
    for text, values in alike.items():
        for value in values:
            assert bson.decode(ruled.document(bson.encode({"x": value})))["x"] == _hash(text), value


def test_sub_documents_are_hashed_by_their_content():
    ruled = RuledDocuments(Rules(rules_of({"x": "hash"}), KEY))

    def hashed(value: Any) -> str:
        return bson.decode(ruled.document(bson.encode({"x": value})))["x"]

    assert hashed({"a": 1, "b": "t"}) == hashed({"b": "t", "a": bson.Int64(1)})
    assert hashed({"a": 1}) != hashed({"a": 2})
    assert "t" not in str(hashed({"a": "t"}))[64:]


def test_all_else_keeps_its_bytes():
    """Names twice, text that is not UTF-8, names of another case: odd, and none of it changes."""
    odd: list[tuple[bytes, Any]] = [
        (b"b\xff", (0x02, string(b"\xff\xfe"))),
        (b"k", integer(1)),
        (b"k", integer(2)),
        (b"$oid", (0x02, string(b"x"))),
        (b"nan", (0x01, b"\1\0\0\0\0\0\xf8\x7f")),
    ]
    secret = (b"Secret", (0x02, string(b"token-1")))
    nested = (b"list", (0x04, array([(0x03, document([secret, *odd])), integer(3)])))
    before = document([odd[0], secret, *odd[1:], secret, nested])
    after = RuledDocuments(Rules(rules_of({"secret": "drop", "list.secret": "drop"}))).document(
        before
    )
    kept = (b"list", (0x04, array([(0x03, document(odd)), integer(3)])))
    assert after == document([*odd, kept])
    assert plain(after) == plain(document([*odd, kept]))


def test_a_document_without_the_path_is_the_very_same():
    data = bson.encode({"x": [1, {"y": 2}], "user": "no document"})
    assert (
        RuledDocuments(Rules(rules_of({"user.email": "drop", "x.z": "drop"}))).answer(data) == data
    )


def test_a_malformed_document_is_an_error_and_not_quoted():
    data = bytearray(bson.encode({"user": {"email": "token-2"}}))
    data[data.index(b"token-2") - 4] = 99
    with pytest.raises(BadData) as caught:
        RuledDocuments(Rules(rules_of({"user.email": "drop"}))).answer(bytes(data))
    assert "token" not in str(caught.value)
