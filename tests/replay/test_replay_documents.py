"""The replayed server's documents, held against the source's, byte by byte but for order."""

from __future__ import annotations

import pymongo
from bson.raw_bson import RawBSONDocument
from support.bson_values import plain
from support.replay_site import DAYS


def documents(uri, question=None):
    with pymongo.MongoClient(uri, document_class=RawBSONDocument) as client:
        matching = client["app"]["app.events é"].find(question or {})
        return sorted((plain(document.raw) for document in matching), key=repr)


def test_every_document_comes_back(replay_site, again):
    theirs = documents(replay_site.endpoints["mongo"]["uri"])
    assert len(theirs) > 3000
    assert documents(again.endpoints["mongo"]["uri"]) == theirs


def test_queries_find_the_same(replay_site, again):
    for question in (
        {"meta.at": {"$gte": DAYS[1].start, "$lt": DAYS[1].end}},
        {"llm.tokens": {"$gt": 1400}, "list": {"$elemMatch": {"a": {"$exists": True}}}},
        {"odd": {"$type": "regex"}},
    ):
        theirs = documents(replay_site.endpoints["mongo"]["uri"], question)
        assert theirs
        assert documents(again.endpoints["mongo"]["uri"], question) == theirs


def test_the_time_field_has_an_index(again):
    with pymongo.MongoClient(again.endpoints["mongo"]["uri"]) as client:
        indexes = client["app"]["app.events é"].index_information().values()
    assert [("meta.at", 1)] in [index["key"] for index in indexes]
    assert not any("expireAfterSeconds" in index for index in indexes)
