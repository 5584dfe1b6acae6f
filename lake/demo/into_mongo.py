"""The documents into a real MongoDB.

Belongs here: inserting, indexes. Does not: what a document holds (documents).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from pymongo import MongoClient

from lake.demo.datasets import DATABASE
from lake.demo.dialogue import requests_of
from lake.demo.documents import COLLECTIONS, Document, documents_of
from lake.demo.scenario import Scenario

_ANSWER_WITHIN_MS = 10_000


def load_documents(uri: str, scenario: Scenario, step: Callable[[], None]) -> dict[str, int]:
    """Inserts the window's documents, one day at a time; collection → how many.

    Each day is acknowledged by the server. `step` is called after each day. Raises
    pymongo's errors.
    """
    counts: Counter[str] = Counter()
    with MongoClient[Document](uri, serverSelectionTimeoutMS=_ANSWER_WITHIN_MS) as client:
        database = client[DATABASE]
        for day in scenario.each_day():
            for name, documents in documents_of(requests_of(scenario, day)).items():
                if documents:
                    database[name].insert_many(documents, ordered=False)
                    counts[name] += len(documents)
            step()
        # At the end: building an index costs less than keeping it up to date.
        for name in COLLECTIONS:
            database[name].create_index("timestamp")
    return dict(counts)
