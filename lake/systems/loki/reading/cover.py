"""Selectors that together match every stream, each once.

Belongs here: `selector = "{}"`, which Loki itself refuses: it requires one matcher that no
empty value can match. Does not: requests for label names.

A stream has at least one label. So for labels a, b, c: {a=~"(?s:.+)"}, {a="", b=~"(?s:.+)"},
{a="", b="", c=~"(?s:.+)"}. A label that is new goes to the end and changes nothing before it.

Loki's own streams, no one's logs, have no other label than `__aggregated_metric__` or
`__pattern__`: leaving that name out leaves them out. (Loki 3.7 answers with nothing at all
where a query names one of these, even as in `__pattern__=""`.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from lake.systems.loki.reading.logql import Selector, having

LEFT_OUT = frozenset(
    {
        "__name__",  # which Loki before 2.3 lists and no stream has
        "__aggregated_metric__",
        "__pattern__",
        "__tenant_id__",  # which Loki adds to answers for several tenants: no stream has it alone
    }
)
"""Labels by which no stream of a user is selected."""
# What most streams are likely to have; the rest of the selectors then find little.
_LIKELY = ("service_name", "container", "job", "app", "namespace", "filename")


def cover(
    everything: Selector, names: Iterable[str], done: Collection[str] = ()
) -> Iterator[tuple[str, Selector]]:
    """A label and the selector of the streams that have it, and none of those before it.

    `done` are labels that went before, in any order.
    """
    before = list(done)
    wanted = set(names) - LEFT_OUT - set(done)
    for name in sorted(wanted, key=lambda name: (_liking(name), name)):
        yield name, Selector(having(name, before), everything.pipeline)
        before.append(name)


def _liking(name: str) -> int:
    return _LIKELY.index(name) if name in _LIKELY else len(_LIKELY)
