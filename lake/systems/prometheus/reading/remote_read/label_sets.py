"""The labels of series as remote read returns them, and which of them are no series' own.

Belongs here: labels out of protobuf, external labels. Does not: columns of labels.

A Prometheus adds its `external_labels` to what it gives away by remote read, and to nothing
that its query API answers. A series must have one id on both paths, so they are taken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from lake.base.errors import BadData
from lake.systems.prometheus.reading.promql import Matcher


class Unclear(ValueError):
    """External labels that can't be separated from a series' own; the text is the reason."""


def parsed(written: bytes) -> dict[str, str]:
    """Label fields (name 1, value 2) as a dict. Raises BadData."""
    try:
        return dict(map(_label, _contents(written, 0x0A)))
    except (IndexError, ValueError) as error:
        raise BadData("labels that can't be read", found=repr(written[:200])) from error


def external_labels(config_yaml: str) -> dict[str, str]:
    """Those in a configuration as `/api/v1/status/config` returns it. Raises Unclear."""
    try:
        # Every scalar stays text: `yes` and `1e3` are values of labels.
        config = yaml.load(config_yaml, yaml.CBaseLoader)  # noqa: S506  makes strings, lists, dicts
    except (yaml.YAMLError, RecursionError) as error:
        raise Unclear(f"a configuration that is not YAML: {error}") from error
    settings = config.get("global") if isinstance(config, dict) else None
    labels = settings.get("external_labels") if isinstance(settings, dict) else None
    if not labels:
        return {}
    if not isinstance(labels, dict) or not all(isinstance(label, str) for label in labels.values()):
        raise Unclear("external_labels that are no texts by name")
    return labels


def check_clear(
    external: Mapping[str, str], matchers: Sequence[Matcher], own_values: Mapping[str, list[str]]
) -> None:
    """Raises Unclear where a series' own labels could be taken for external ones.

    `own_values`: of each external label's name, the values that series have themselves.
    """
    for name, value in external.items():
        if value in own_values.get(name, ()):
            raise Unclear(f"series have the label {name}={value!r} that is external, too")
        if Matcher(name, "=", value) in matchers:  # the server queries its storage for name=""
            raise Unclear(f"the query selects the external label {name}={value!r}")


def without(external: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """The series' own labels. A label of its own hides the external one of that name."""
    return {name: value for name, value in labels.items() if external.get(name) != value}


def _contents(message: bytes, tag: int) -> list[bytes]:
    """Of fields with a length that all have this tag."""
    contents, at = [], 0
    while at < len(message):
        if message[at] != tag:
            raise ValueError(f"tag {message[at]}")
        size, at = _size(message, at + 1)
        if at + size > len(message):
            raise ValueError("a field that is too long")
        contents.append(message[at : at + size])
        at += size
    return contents


def _label(message: bytes) -> tuple[str, str]:
    parts = {0x0A: b"", 0x12: b""}
    at = 0
    while at < len(message):
        tag = message[at]
        size, at = _size(message, at + 1)
        if tag not in parts or at + size > len(message):
            raise ValueError(f"tag {tag}")
        parts[tag] = message[at : at + size]
        at += size
    return parts[0x0A].decode(), parts[0x12].decode()


def _size(message: bytes, at: int) -> tuple[int, int]:
    size = shift = 0
    while True:
        byte = message[at]
        size |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return size, at
