from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from support.hot_documents import Hot, hot


@pytest.fixture
def client(mongo_uri: str) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as opened:
        yield opened


@pytest.fixture
def place(tmp_path: Path, mongo_uri: str, mongo_database: str, client: Any) -> Hot:
    return hot(tmp_path, mongo_uri, mongo_database, client)
