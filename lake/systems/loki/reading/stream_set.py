"""The streams of a day as `/series` lists them, and which of them an answer's labels name.

Belongs here: selectors of single streams, separating labels and metadata. Does not: requests.

An answer of Loki before 3.0 mixes a stream's labels with what a line has beside them
(structured metadata from 2.9 on, and whatever a pipeline adds). The stream is the one whose
labels are all among the answer's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lake.systems.loki.reading.answer import Resolve, Streams
from lake.systems.loki.reading.api import Api, TooMany, TooWide
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.paging import HOUR

Labels = Mapping[str, str]
_Key = frozenset[tuple[str, str]]


class StreamSet:
    """The streams, and those whose labels are a part of another's (`nested`, and those others)."""

    def __init__(self, series: Iterable[Labels], streams: Streams) -> None:
        self._streams = streams
        self._by_names: dict[frozenset[str], set[_Key]] = {}
        self._ids: dict[_Key, int] = {}
        for labels in series:
            self.add(labels)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, labels: Labels) -> None:
        """One more stream; an empty label is an absent one."""
        key = frozenset((name, value) for name, value in labels.items() if value)
        self._by_names.setdefault(frozenset(name for name, _ in key), set()).add(key)
        self._ids[key] = self._streams.id_of(dict(key))

    def add_all(self, listed: StreamSet, *, metadata: bool) -> set[int]:
        """Adds the streams of a later list; returns the ids of those whose rows it concerns.

        These are the new ones, those whose selector matched a new one too, and, where lines
        may have `metadata`, those whose rows may be a new one's.
        """
        new = listed._ids.keys() - self._ids.keys()
        wider = {n for key, n in self._ids.items() if any(key < longer for longer in new)}
        before = self.ambiguous() if metadata and new else set()
        for key in new:
            self.add(dict(key))
        unclear = self.ambiguous() - before if metadata and new else set()
        return {self._ids[key] for key in new} | wider | unclear

    def all(self) -> dict[int, dict[str, str]]:
        """Id → labels, in the order of the ids."""
        return dict(sorted((number, dict(sorted(key))) for key, number in self._ids.items()))

    def number(self, labels: Labels) -> int | None:
        """The id of the stream with exactly these labels; an empty value stands for none."""
        return self._ids.get(frozenset((name, value) for name, value in labels.items() if value))

    def selector(self, labels: Labels, of: Selector) -> Selector:
        """The same lines of that stream alone: labels that only other streams have are absent."""
        own = frozenset(labels)
        others = {name for names in self._by_names if own < names for name in names - own}
        return of.exactly(labels, others)

    def ambiguous(self) -> set[int]:
        """Ids of the streams whose labels are contained in another's, and of these others.

        Where lines have metadata, an answer's labels may be those of either.
        """
        numbers = set()
        for inner, inner_keys in self._by_names.items():
            for outer, outer_keys in self._by_names.items():
                if inner < outer:
                    for key in outer_keys:
                        part = frozenset(item for item in key if item[0] in inner)
                        if part in inner_keys:
                            numbers |= {self._ids[key], self._ids[part]}
        return numbers

    def resolve(self, labels: Labels) -> tuple[int, dict[str, str]]:
        """The stream with the most of these labels, and the other labels; else one of its own."""
        items = frozenset((name, value) for name, value in labels.items() if value)
        if items in self._ids:
            return self._ids[items], {}
        names = {name for name, _ in items}
        for own in sorted(self._by_names, key=len, reverse=True):
            if own <= names:
                part = frozenset(item for item in items if item[0] in own)
                if part in self._by_names[own]:
                    return self._ids[part], dict(items - part)
        return self._streams.id_of(labels), {}


def streams_between(api: Api, selector: Selector, start_ns: int, end_ns: int) -> StreamSet:
    """The streams that may have lines in [start, end), two full hours or midnights."""
    try:
        return StreamSet(api.series(selector, start_ns, end_ns), api.streams)
    except (TooMany, TooWide):
        if end_ns - start_ns <= HOUR:
            raise
    stream_set = StreamSet((), api.streams)
    for at in range(start_ns, end_ns, HOUR):
        for labels in api.series(selector, at, min(at + HOUR, end_ns)):
            stream_set.add(labels)
    return stream_set


def resolve_one(streams: Streams, labels: Labels) -> Resolve:
    """For answers about this stream alone: what a pipeline adds or changes is metadata."""

    def resolve(returned: Labels) -> tuple[int, dict[str, str]]:
        own = {name: value for name, value in returned.items() if labels.get(name) == value}
        return streams.id_of(own), {n: v for n, v in returned.items() if n not in own}

    return resolve
