"""Remedies for queries that Loki refuses, by the texts of its errors.

Belongs here: a text and what helps. Does not: requests, or which errors are refusals.
"""

from __future__ import annotations

import re

_REMEDIES = (
    (
        re.compile("empty-compatible|must contain metric name"),
        'use at least one matcher that no empty value can match, such as {container=~".+"}, with '
        "a label that every wanted stream has; or {} for all streams",
    ),
    (
        re.compile("missing required matchers"),
        "add a matcher for each label in `required_labels` of Loki's limits_config to the "
        'selector, such as {namespace=~".+"}; or remove it for this tenant',
    ),
    (
        re.compile("less label matchers than required|required number of label matchers"),
        "add matchers to the selector until there are `minimum_labels_number` (limits_config); "
        "or lower it for this tenant",
    ),
    (
        re.compile("max streams matchers per query"),
        "raise max_streams_matchers_per_query in Loki's limits_config, or for this tenant: a "
        "stream is selected by all its labels",
    ),
    (
        re.compile("pipeline error"),
        'append | __error__="" to the selector, or | __error__!="" for the lines that do not '
        "parse: this version counts no lines that a parser fails on",
    ),
    (
        re.compile("query time range exceeds|max_query_length|too long"),
        "raise max_query_length in Loki's limits_config to 1d or more",
    ),
)


def remedy_for(refusal: str) -> str:
    """The remedy for a refused query, by the text of Loki's error."""
    for words, remedy in _REMEDIES:
        if words.search(refusal):
            return remedy
    return "correct the selector of the [[dataset]] in lake.toml"
