"""Column rules, applied to the labels of series.

Belongs here: label sets under rules, series that rules make one. Does not: what a rule makes of
a value (lake.privacy), samples.

A series keeps its identity by its labels: its id is a hash of them as they are stored. Where
rules give two series the same labels their samples could not be told apart, so that is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from threading import Lock

from lake.base.errors import BadData
from lake.privacy.applying import Rules
from lake.privacy.rules import folded


class RuledLabels:
    """Label sets as the rules of one dataset leave them. Safe to use from several threads."""

    def __init__(self, rules: Rules, where: str) -> None:
        self._rules = rules
        self._where = where
        self._by_name = {**rules.below("labels"), **rules.below()}
        self._lossy = any(rule.kind != "hash" for rule in rules.all)
        self._known: dict[bytes, bytes] = {}
        self._origins: dict[bytes, bytes] = {}
        self._lock = Lock()

    def of(self, labels: Mapping[str, str], *, counted: bool = True) -> dict[str, str]:
        """One series' labels."""
        return self._rules.labels(labels, self._by_name, counted=counted)

    def names(self, names: Iterable[str]) -> set[str]:
        """Those that series may still have."""
        dropped = {name for name, rule in self._by_name.items() if rule.kind == "drop"}
        return {name for name in names if folded((name,))[0] not in dropped}

    def json(self, text: bytes) -> bytes:
        """Of a label set as a JSON object. Raises BadData where another one becomes the same."""
        with self._lock:
            known = self._known.get(text)
        if known is not None:
            return known
        plain = json.loads(text)
        labels = self.of(plain)
        ruled = json.dumps(labels, ensure_ascii=False, separators=(",", ":")).encode()
        with self._lock:
            self._known[text] = ruled
            if self._lossy:
                self._require_apart(plain, labels)
        return ruled

    def _require_apart(self, plain: Mapping[str, str], labels: Mapping[str, str]) -> None:
        origin = _digest(plain)
        if self._origins.setdefault(_digest(labels), origin) != origin:
            raise self.merged()

    def merged(self) -> BadData:
        """The error for two series that become one."""
        paths = ", ".join(f"{rule.text} ({rule.kind})" for rule in self._rules.all)
        return BadData(
            "the column rules make two series the same",
            where=self._where,
            expected="series that differ in a label without a rule, or in one that is hashed",
            found=f"series that differ in nothing else than {paths}",
            remedy="hash the label, or add the series up in `query`: sum without (LABEL) (…) in "
            'mode = "range"',
        )


def _digest(labels: Mapping[str, str]) -> bytes:
    """16 bytes in memory, whatever the labels' length."""
    text = json.dumps(sorted((name, value) for name, value in labels.items() if value))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
