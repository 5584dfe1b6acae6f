"""Several small objects at once: every item once, in order, by as many threads as are worth it."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.store.directory import DirectoryStore
from lake.store.s3 import S3Store
from lake.store.several import of_each


@given(items=st.lists(st.integers(), max_size=200), of_thread=st.integers(1, 70))
def test_each_item_has_its_result(items: list[int], of_thread: int) -> None:
    store: Any = SimpleNamespace(objects_a_thread=of_thread)
    assert of_each(store, lambda item: item * 3, iter(items)) == [item * 3 for item in items]


def test_requests_to_s3_wait_together() -> None:
    meeting = threading.Barrier(3, timeout=20)
    assert sorted(of_each(S3Store, lambda _: meeting.wait(), range(3))) == [0, 1, 2]


def test_few_files_are_read_without_threads() -> None:
    seen = of_each(DirectoryStore, lambda _: threading.get_ident(), range(100))
    assert set(seen) == {threading.get_ident()}


def test_an_error_is_raised() -> None:
    def fails(item: int) -> int:
        if item == 150:
            raise OSError("no")
        return item

    for store in (S3Store, DirectoryStore):
        with pytest.raises(OSError, match="no"):
            of_each(store, fails, range(200))
