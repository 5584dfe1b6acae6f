"""SQL text of which parts depend on the days that a query names.

Belongs here: such a text, what it is for given days, and the SQL expression that makes it.
Does not: what the parts are.

A range macro puts its statement together when it is called. Where a column's type differs
between days the statement differs, too: such a part is a Choice by the types in the range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lake.query.kinds import quoted_text
from lake.query.merged import Node


@dataclass(frozen=True)
class Choice:
    """The text by the node's variants in the range, as a mask; `otherwise` for other masks."""

    number: int
    by_mask: tuple[tuple[int, Text], ...]
    otherwise: Text


Text = tuple[str | Choice, ...]


def choose(node: Node, make: Callable[[str], Text], having: int = 0) -> Text:
    """The text that `make` gives for the type of the range.

    `having` is the bit of a variant that is known to be in the range.
    """
    if not node.varying:
        return make(node.form)
    made: dict[str, Text] = {}
    masks: dict[Text, list[int]] = {}
    for mask, form in sorted(node.forms.items()):
        if mask & having == having:
            if form not in made:
                made[form] = make(form)
            masks.setdefault(made[form], []).append(mask)
    if len(masks) == 1:
        return next(iter(masks))
    # The commonest text needs no mask.
    otherwise = max(masks, key=lambda text: len(masks[text]))
    by_mask = tuple(
        (mask, text) for text, those in masks.items() if text != otherwise for mask in those
    )
    return (Choice(node.number, by_mask, otherwise),)


def joined(separator: str, texts: Iterable[Text]) -> Text:
    """The texts with the separator between them."""
    parts: list[str | Choice] = []
    for text in texts:
        parts += [separator, *text] if parts else text
    return tuple(parts)


def resolved(text: Text, masks: Mapping[int, int]) -> str:
    """The text for these masks by node."""
    return "".join(
        part if isinstance(part, str) else resolved(_chosen(part, masks[part.number]), masks)
        for part in text
    )


def _chosen(choice: Choice, mask: int) -> Text:
    return dict(choice.by_mask).get(mask, choice.otherwise)


def expression(text: Text, masks: str) -> str:
    """The SQL expression of the text, where `masks` names the list of masks."""
    parts: list[str] = []
    plain = ""
    for part in text:
        if isinstance(part, str):
            plain += part
            continue
        if plain:
            parts.append(quoted_text(plain))
        plain = ""
        parts.append(_case(part, masks))
    if plain or not parts:
        parts.append(quoted_text(plain))
    return parts[0] if len(parts) == 1 else f"concat({', '.join(parts)})"


def _case(choice: Choice, masks: str) -> str:
    by_text: dict[Text, list[int]] = {}
    for mask, text in choice.by_mask:
        by_text.setdefault(text, []).append(mask)
    bits = f"{masks}[{choice.number + 1}]"
    whens = " ".join(
        f"WHEN {bits} IN ({', '.join(map(str, those))}) THEN {expression(text, masks)}"
        for text, those in by_text.items()
    )
    return f"CASE {whens} ELSE {expression(choice.otherwise, masks)} END"
