"""PromQL as text: a selector's content, and how names, values and selectors are written.

Belongs here: quoting, escaping, the grammar of `metric{label="value", …}`, matchers that narrow
a selector. Does not: requests, any other expression's grammar.

From version 3 on, names of metrics and labels are any UTF-8 text. A name that earlier versions
do not accept is quoted, as in `{"http.server.duration", "service.name"="api"}`; all others are
written as these versions read them.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/ (selectors, string
literals) and the Go escapes that it refers to; for names in paths
https://prometheus.io/docs/prometheus/latest/querying/api/ (label values).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OPERATORS = ("=", "!=", "=~", "!~")  # at its place each has its number in remote read
NAME = "__name__"

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERATOR = re.compile(r"=~|!~|!=|=")
# Prometheus refuses a query with an unescaped U+FFFD as invalid UTF-8. Other characters need no
# escape, and old versions (2.24) misread numeric ones.
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\ufffd": r"\ufffd"})
_RE2_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")
_DEPENDS_ON_WINDOW = re.compile(r"@\s*(?:start|end)\s*\(")
_IN_PATH = "U__"  # begins a name in a path whose other characters are escaped
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_NUMBERS = ("inf", "nan")
_ESCAPED = re.compile(
    rb"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([abfnrtv\\'\"])|)"
)
_SIMPLE = dict(zip(b"abfnrtv\\'\"", b"\a\b\f\n\r\t\v\\'\"", strict=True))


def quoted(text: str) -> str:
    """The string that PromQL reads as this text."""
    return f'"{text.translate(_ESCAPES)}"'


def name_of(label: str) -> str:
    """A label's name in a matcher or in `by (…)`."""
    return label if _LABEL.fullmatch(label) else quoted(label)


def literally(text: str) -> str:
    """The regular expression that matches this text alone."""
    return _RE2_SPECIAL.sub(r"\\\1", text)


def replacement(text: str) -> str:
    """The fourth argument of `label_replace` that gives this text, quoted."""
    return quoted(text.replace("$", "$$"))


def name_in_path(label: str) -> str:
    """A label's name in `/api/v1/label/NAME/values`, which takes no `/`, however encoded."""
    if _LABEL.fullmatch(label) and not label.startswith(_IN_PATH):
        return label
    return _IN_PATH + "".join(map(_in_path, label))


def _in_path(character: str) -> str:
    if character == "_":
        return "__"
    if _LABEL.fullmatch(character) or character in "0123456789":
        return character
    return f"_{ord(character):x}_"


def exactly(labels: Mapping[str, str]) -> str:
    """The selector of all series that have these labels."""
    return "{" + ",".join(f"{name_of(name)}={quoted(labels[name])}" for name in labels) + "}"


def matcher(label: str, values: Sequence[str], *, but: bool = False) -> str:
    """One that takes these values of a label alone, or all others and its absence, too."""
    if len(values) == 1:
        return f"{name_of(label)}{'!=' if but else '='}{quoted(values[0])}"
    return matching(label, "|".join(map(literally, values)), but=but)


def matching(label: str, pattern: str, *, but: bool = False) -> str:
    """One that takes the values that the regular expression matches, or all but these."""
    return f"{name_of(label)}{'!~' if but else '=~'}{quoted(pattern)}"


def is_selector(query: str) -> bool:
    """Whether the query is `name{…}` or a part of that: further matchers can narrow it."""
    return _matchers(query) is not None


def narrowed(query: str, *matchers: str) -> str:
    """The selector with these matchers, too; a query that is not a selector as it is."""
    held = _matchers(query)
    return query if held is None else "{" + ",".join([*held, *matchers]) + "}"


def of_metrics(query: str, names: list[str]) -> str:
    """The query for these metrics only; as it is where it is not a selector."""
    return narrowed(query, matcher(NAME, names))


def splittable(query: str) -> bool:
    """Whether parts of a day add up to the whole day: not with `@ start()` or `@ end()`."""
    return _DEPENDS_ON_WINDOW.search(query) is None


def _matchers(query: str) -> list[str] | None:
    """Of a selector, its name among them; None where the query is something else.

    Read, not copied: a comment in the selector would swallow what is put behind it, and a
    quoted name is a matcher like others.
    """
    try:
        parsed = matchers(query)
    except NoSelector:
        return None
    held = [
        f"{name_of(condition.name)}{condition.operator}{quoted(condition.value)}"
        for condition in parsed
    ]
    return held or None


class NoSelector(ValueError):
    """The query is something else than one vector selector; the text is what was found."""


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
    parsed: list[Matcher] = []
    if name := text.taken(_METRIC):
        if name.lower() in _NUMBERS:
            raise NoSelector(f"a number: {name}")
        parsed.append(Matcher(NAME, "=", name))
    braces = text.skipped("{")
    if braces:
        parsed += _in_braces(text)
    if not name and not braces:
        raise NoSelector(f"no metric and no {{ at the beginning of {query!r}")
    if not text.at_end:
        raise NoSelector(f"more than a selector, from {text.rest!r} on")
    return tuple(parsed)


def _in_braces(text: _Text) -> list[Matcher]:
    parsed = []
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
            parsed.append(Matcher(name, operator, value))
        elif quoted is not None:
            parsed.append(Matcher(NAME, "=", quoted))  # {"metric.name", …}
        else:
            raise NoSelector(f"no =, !=, =~ or !~ at {text.rest!r}")
        if not text.skipped(","):
            if text.skipped("}"):
                break
            raise NoSelector(f"neither , nor }} at {text.rest!r}")
    return parsed


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
        raise NoSelector(f"a string that is not UTF-8: {body!r}") from None


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
    raise NoSelector(f"an escape that PromQL does not have: {escape[0].decode()!r}")
