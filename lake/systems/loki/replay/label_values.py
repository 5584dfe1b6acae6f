"""Label values as a push request spells them, and which of them a Loki can store.

Belongs here: quoting, the faults of Loki's parser of labels. Does not: requests, tables.

Loki parses the labels of a push request, writes them as Go's strconv.Quote does, and parses that
text again. So it depends on Loki's own spelling, not on the request's, whether a value is stored.
The parser refuses U+FFFD in every version. In old versions it also skips the character that
follows a numeric escape (`\\x7f`, `\\u2028`): often that is the closing quote, and the whole
request is refused.
"""

from __future__ import annotations

_SHORT = {
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v",
    "\\": r"\\", '"': r"\"",
}  # fmt: skip
_SHORT_ESCAPES = str.maketrans(_SHORT)
_NUMERIC = {"x": 2, "u": 4, "U": 8}  # and their number of digits
REPLACEMENT = "\ufffd"


def quoted(value: str) -> str:
    """Without numeric escapes: every version parses this text, but for U+FFFD."""
    return f'"{value.translate(_SHORT_ESCAPES)}"'


def parses_again(value: str, *, skips: bool) -> bool:
    """Whether Loki parses its own spelling of this value. `skips`: it has the old parser."""
    if REPLACEMENT in value:
        return False
    return not skips or value.isprintable() or _closes(_as_go_quotes(value) + '"')


def _as_go_quotes(value: str) -> str:
    return "".join(map(_character, value))


def _character(one: str) -> str:
    number = ord(one)
    if one in _SHORT or one.isprintable():
        return _SHORT.get(one, one)
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _closes(text: str) -> bool:
    """Whether the old parser takes the last quote, and no other one, for the end."""
    at = 0
    while at < len(text):
        if text[at] == '"':
            return at == len(text) - 1
        digits = _NUMERIC.get(text[at + 1]) if text[at] == "\\" else None
        # After the digits it skips one more character.
        at += 2 + digits + 1 if digits else 2 if text[at] == "\\" else 1
    return False
