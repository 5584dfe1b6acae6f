"""The documents into a real MongoDB.

Belongs here: indexes, inserting, counting what arrived. Does not: what a document holds
(documents).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

from pymongo import MongoClient

from lake.demo.datasets import DATABASE
from lake.demo.dialogue import requests_of
from lake.demo.documents import COLLECTIONS, Document, documents_of
from lake.demo.scenario import Scenario
from lake.demo.settled import wait_until

_ANSWER_WITHIN_MS = 10_000


def load_documents(uri: str, scenario: Scenario, step: Callable[[], None]) -> dict[str, int]:
    """Inserts the window's documents, one day at a time; collection → how many.

    `step` is called after each day. Raises Incomplete when fewer are found than were
    inserted, and pymongo's errors.
    """
    counts: Counter[str] = Counter()
    with MongoClient[Document](uri, serverSelectionTimeoutMS=_ANSWER_WITHIN_MS) as client:
        database = client[DATABASE]
        for name in COLLECTIONS:
            database[name].create_index("timestamp")
        for day in scenario.each_day():
            for name, documents in documents_of(requests_of(scenario, day)).items():
                if documents:
                    database[name].insert_many(documents, ordered=False)
                    counts[name] += len(documents)
            step()
        window = {"timestamp": {"$gte": scenario.first.start, "$lt": scenario.end.start}}
        for name in COLLECTIONS:
            count = partial(database[name].count_documents, window)
            wait_until(counts[name], count, where=f"{DATABASE}.{name}")
    return dict(counts)
