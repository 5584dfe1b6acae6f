from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymongo
import pytest
from support.receivers import receiver

__all__ = ["receiver"]  # for pytest


@pytest.fixture
def client(mongo_uri: str) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as opened:
        yield opened
