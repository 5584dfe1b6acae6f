"""A dataset's rules with their key.

Belongs here: hashing and shortening values, which rule a name has, counting. Does not: BSON,
tables (a system's `reading`).

Hashes are HMAC-SHA-256, 64 hexadecimal digits, over the value's plain text: so a number, an
ObjectId and a text that read alike have one hash, in every dataset and on every day.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from lake.base.errors import ConfigError
from lake.privacy.rules import Rule, folded

VARIABLE = "LAKE_PRIVACY__HASH_KEY"
SHORTEST_KEY = 16
RULED_VALUES = "ruled_values"
"""In a manifest's details: by path, how many values a rule was applied to."""
_KEY_ID_OF = b"monitoring-lake: id of a key"
_KEY_ID_DIGITS = 8


class Rules:
    """Safe to use from several threads. False where there are no rules."""

    def __init__(self, rules: Sequence[Rule] = (), key: str = "") -> None:
        """Raises ConfigError where a rule hashes and there is no key, or another one."""
        self._key = key.encode()
        self.all = tuple(self._with_key(rule) for rule in rules)
        self._lock = Lock()
        self._values: Counter[str] = Counter({rule.text: 0 for rule in self.all})
        self._patterns = {rule: re.compile(rule.pattern) for rule in self.all if rule.pattern}

    def __bool__(self) -> bool:
        return bool(self.all)

    def to_json(self) -> list[dict[str, Any]]:
        """For a manifest."""
        return [rule.to_json() for rule in self.all]

    @property
    def values(self) -> dict[str, int]:
        """The number of values that each rule was applied to so far, by path."""
        with self._lock:
            return dict(self._values)

    def details(self) -> dict[str, Any]:
        """For a manifest's details: nothing without rules."""
        return {RULED_VALUES: self.values} if self.all else {}

    def count(self, rule: Rule, values: int = 1) -> None:
        """Notes that it was applied."""
        with self._lock:
            self._values[rule.text] += values

    def below(self, *prefix: str) -> dict[str, Rule]:
        """The rules of paths of one name behind the prefix, by that name, folded."""
        start = folded(prefix)
        return {folded(rule.path)[-1]: rule for rule in self.all if folded(rule.path)[:-1] == start}

    def hashed(self, text: bytes) -> str:
        """The keyed hash of a value's plain text."""
        return hmac.digest(self._key, text, hashlib.sha256).hex()

    def of_text(self, rule: Rule, text: str) -> str | None:
        """What is stored instead of the text; None for nothing."""
        match rule.kind:
            case "drop":
                return None
            case "hash":
                return self.hashed(text.encode("utf-8", "surrogatepass"))
            case "truncate":
                return text[: rule.length]
        return self._patterns[rule].sub(rule.replacement, text)

    def labels(
        self, labels: Mapping[str, str], rules: Mapping[str, Rule], *, counted: bool = True
    ) -> dict[str, str]:
        """A label set under rules by folded name; an empty value is an absent label."""
        kept = {}
        for name, value in labels.items():
            rule = rules.get(folded((name,))[0])
            text: str | None = value
            if rule and value:
                text = self.of_text(rule, value)
                if counted:
                    self.count(rule)
            if text:
                kept[name] = text
        return kept

    def _with_key(self, rule: Rule) -> Rule:
        if rule.kind != "hash":
            return rule
        if not self._key:
            raise ConfigError(
                "there is no key for hashing columns",
                where=f"environment: {VARIABLE}",
                expected=f"a secret of at least {SHORTEST_KEY} characters, for the rule "
                f"{rule.text} = hash",
                remedy=f'set it, such as {VARIABLE}="$(openssl rand -hex 32)", and keep it: '
                "another key gives other hashes",
            )
        own = key_id(self._key.decode())
        if rule.key_id not in ("", own):
            raise ConfigError(
                "the day was hashed with another key",
                where=f"environment: {VARIABLE}",
                expected=f"the key with the id {rule.key_id}, for {rule.text}",
                found=f"the key with the id {own}",
                remedy="set the earlier key for this command; days can't be compared across keys",
            )
        return Rule(rule.path, "hash", key_id=own)


def key_id(key: str) -> str:
    """Eight hexadecimal digits that show whether two keys are the same, and nothing of them."""
    return hmac.new(key.encode(), _KEY_ID_OF, hashlib.sha256).hexdigest()[:_KEY_ID_DIGITS]


def differing(stored: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a day's rules are others than those of today, in any order. Today's have no id of
    their key where this machine has no key: then the ids are not compared.
    """
    keyless = any(rule.get("key_id") == "" for rule in now)
    return _comparable(stored, keyless=keyless) != _comparable(now, keyless=keyless)


def _comparable(rules: Sequence[Mapping[str, Any]], *, keyless: bool) -> list[str]:
    shown = ({**rule, "key_id": ""} if keyless and "key_id" in rule else rule for rule in rules)
    return sorted(json.dumps(rule, sort_keys=True) for rule in shown)
