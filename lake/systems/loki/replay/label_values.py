"""Label values as a push request spells them, and which of them a Loki can store.

Belongs here: quoting, the faults of Loki's parser of labels. Does not: requests, tables.

Loki parses the labels of a push request, writes them as Go's strconv.Quote does, and parses that
text again. So it depends on Loki's own spelling, not on the request's, whether a value is stored.
The parser refuses U+FFFD in every version. In old versions it also skips the character that
follows a numeric escape (`\\x7f`, `\\u2028`): often that is the closing quote, and the whole
request is refused.
"""

from __future__ import annotations

import re

_SHORT = {
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v",
    "\\": r"\\", '"': r"\"",
}  # fmt: skip
_SHORT_ESCAPES = str.maketrans(_SHORT)
_HEX = "[0-9a-fA-F]"
_NO_SURROGATE = "(?![dD][89a-fA-F])"
# What the old parser takes for one string; it reads what follows a backslash by its own rules.
_OLD_STRING = re.compile(
    r'(?:[^"\\]|\\[abfnrtv\\"]|\\(?:[0-3][0-7]{2}'
    rf"|x{_HEX}{{2}}|u{_NO_SURROGATE}{_HEX}{{4}}"
    rf"|U0000{_NO_SURROGATE}{_HEX}{{4}}|U00(?:0[1-9a-fA-F]|10){_HEX}{{4}})"
    r'(?s:.))*"'
)
REPLACEMENT = "\ufffd"


def quoted(value: str) -> str:
    """Without numeric escapes: every version parses this text, but for U+FFFD."""
    return f'"{value.translate(_SHORT_ESCAPES)}"'


def parses_again(value: str, *, skips: bool) -> bool:
    """Whether Loki parses its own spelling of this value. `skips`: it has the old parser."""
    if REPLACEMENT in value:
        return False
    return (
        not skips
        or value.isprintable()
        or (_OLD_STRING.fullmatch(_as_go_quotes(value) + '"') is not None)
    )


def _as_go_quotes(value: str) -> str:
    return "".join(map(_character, value))


def _character(character: str) -> str:
    number = ord(character)
    if character in _SHORT or character.isprintable():
        return _SHORT.get(character, character)
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
