"""Listings of folders that are made once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from lake.store import ObjectStat
from lake.store.listed_once import ListedOnce

KEYS = st.lists(st.text("ab/é", min_size=1, max_size=6), unique=True)


class Listing:
    """A store that lists its keys in no order, and what it was asked for."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys
        self.prefixes: list[str] = []

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        self.prefixes.append(prefix)
        yield from (ObjectStat(key, 1, "e") for key in self.keys if key.startswith(prefix))

    def read(self, key: str) -> bytes:
        return key.encode()


@given(KEYS, st.lists(st.text("ab/é", max_size=4), max_size=5))
def test_each_prefix_has_its_keys(keys: list[str], prefixes: list[str]) -> None:
    store = Listing(keys)
    listed = ListedOnce(store, "a/", "b/")
    for prefix in prefixes:
        shown = [stat.key for stat in listed.list(prefix)]
        assert sorted(shown) == sorted(key for key in keys if key.startswith(prefix))
        if prefix.startswith(("a/", "b/")):
            assert shown == sorted(shown)
    assert all(store.prefixes.count(folder) <= 1 for folder in ("a/", "b/"))


def test_a_folder_is_listed_once_and_objects_are_read_as_they_are() -> None:
    store = Listing(["a/1", "a/2", "b/1"])
    listed = ListedOnce(store, "a/")
    threads = [threading.Thread(target=lambda: list(listed.list("a/1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.keys.append("a/10")
    assert [stat.key for stat in listed.list("a/1")] == ["a/1"]
    assert store.prefixes == ["a/"]
    assert listed.read("a/10") == b"a/10"
    assert [stat.key for stat in listed.list("b/")] == ["b/1"]
