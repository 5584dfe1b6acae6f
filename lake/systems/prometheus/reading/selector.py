"""A PromQL vector selector as matchers.

Belongs here: the grammar of `metric{label="value", …}`. Does not: any other expression.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/ (selectors, string
literals) and the Go escapes that it refers to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

OPERATORS = ("=", "!=", "=~", "!~")  # at its place each has its number in remote read
NAME = "__name__"

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERATOR = re.compile(r"=~|!~|!=|=")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_NUMBERS = ("inf", "nan")
_ESCAPED = re.compile(
    rb"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([abfnrtv\\'\"])|)"
)
_SIMPLE = dict(zip(b"abfnrtv\\'\"", b"\a\b\f\n\r\t\v\\'\"", strict=True))


class NoSelector(ValueError):
    """The query is something else than one vector selector; the text says what was found."""


@dataclass(frozen=True)
class Matcher:
    """`name` `operator` `value`; the operator is one of OPERATORS."""

    name: str
    operator: str
    value: str


def matchers(query: str) -> tuple[Matcher, ...]:
    """Those of a selector such as `up{job=~"a|b"}`, the metric's name included.

    Raises NoSelector for anything else, `offset`, `@` and ranges included.
    """
    text = _Text(query)
    found: list[Matcher] = []
    if name := text.taken(_METRIC):
        if name.lower() in _NUMBERS:
            raise NoSelector(f"a number: {name}")
        found.append(Matcher(NAME, "=", name))
    braces = text.skipped("{")
    if braces:
        found += _in_braces(text)
    if not name and not braces:
        raise NoSelector(f"no metric and no {{ at the beginning of {query!r}")
    if not text.at_end:
        raise NoSelector(f"more than a selector, from {text.rest!r} on")
    return tuple(found)


def _in_braces(text: _Text) -> list[Matcher]:
    found = []
    while not text.skipped("}"):
        quoted = text.string()
        name = text.taken(_LABEL) if quoted is None else quoted
        if not name:
            raise NoSelector(f"no label's name at {text.rest!r}")
        operator = text.taken(_OPERATOR)
        if operator:
            value = text.string()
            if value is None:
                raise NoSelector(f"no quoted value at {text.rest!r}")
            found.append(Matcher(name, operator, value))
        elif quoted is not None:
            found.append(Matcher(NAME, "=", quoted))  # {"metric.name", …}
        else:
            raise NoSelector(f"no =, !=, =~ or !~ at {text.rest!r}")
        if not text.skipped(","):
            if text.skipped("}"):
                break
            raise NoSelector(f"neither , nor }} at {text.rest!r}")
    return found


class _Text:
    """What is left of a query; every step skips white space and comments after it."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._at = 0
        self._skip_blank()

    @property
    def at_end(self) -> bool:
        return self._at == len(self._query)

    @property
    def rest(self) -> str:
        return self._query[self._at : self._at + 40]

    def skipped(self, sign: str) -> bool:
        """Whether this sign was next; it is behind us then."""
        if not self._query.startswith(sign, self._at):
            return False
        self._at += len(sign)
        self._skip_blank()
        return True

    def taken(self, pattern: re.Pattern[str]) -> str:
        """What matches here, empty where nothing does."""
        match = pattern.match(self._query, self._at)
        if match is None:
            return ""
        self._at = match.end()
        self._skip_blank()
        return match[0]

    def string(self) -> str | None:
        """The value of the string literal that begins here, None where none does."""
        quote = self._query[self._at : self._at + 1]
        if not quote or quote not in "\"'`":
            return None
        end = self._end_of_string(quote)
        body = self._query[self._at + 1 : end]
        self._at = end + 1
        self._skip_blank()
        return body if quote == "`" else _unescaped(body)

    def _end_of_string(self, quote: str) -> int:
        at = self._at + 1
        while at < len(self._query):
            sign = self._query[at]
            if sign == quote:
                return at
            if sign == "\n" and quote != "`":
                break
            at += 2 if sign == "\\" and quote != "`" else 1
        raise NoSelector(f"a string without an end: {self.rest!r}")

    def _skip_blank(self) -> None:
        blank = _BLANK.match(self._query, self._at)
        self._at = blank.end() if blank else self._at


def _unescaped(body: str) -> str:
    try:
        return _ESCAPED.sub(_meant, body.encode()).decode()
    except UnicodeDecodeError:
        raise NoSelector(f"a string that is no UTF-8: {body!r}") from None


def _meant(escape: re.Match[bytes]) -> bytes:
    byte, short, long, octal, simple = escape.groups()
    if simple:
        return bytes([_SIMPLE[simple[0]]])
    try:
        if byte or octal:
            return bytes([int(byte, 16) if byte else int(octal, 8)])
        if short or long:
            return chr(int(short or long, 16)).encode()
    except (ValueError, OverflowError):  # over 255, over U+10FFFF, half a surrogate pair
        pass
    raise NoSelector(f"an escape that PromQL does not know: {escape[0].decode()!r}")
