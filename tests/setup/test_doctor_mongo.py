"""`lake doctor` on MongoDB: address, collections, time fields, indexes, time to live.

Belongs here: checks of the source and of its datasets. Does not: coverage (test_doctor.py).
"""

from __future__ import annotations

from datetime import UTC, datetime

from support.doctor_checks import only_line
from support.rewriting_proxy import rewriting

from lake.servers.ports import free_ports


def test_a_mongo_that_is_away_stops_no_other_check(doctor, mongo, mongo_uri, monkeypatch):
    port = free_ports(["mongo"])["mongo"]
    away = mongo.replace(mongo_uri, f"mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=300")
    monkeypatch.setattr("lake.systems.mongo.diagnosis._PATIENCE_S", 1.0)
    _, checks = doctor(away)
    assert "no MongoDB server answers" in only_line(checks, "mongo", "fail")
    assert "store" in checks
    assert "programs" in checks


def test_a_collection_that_is_not_there_stops_no_other_check(doctor, mongo):
    second = mongo[mongo.index("[[dataset]]") :].replace('name = "events"', 'name = "others"')
    first = mongo.replace('collection = "events"', 'collection = "event"')
    _, checks = doctor(first + second)
    line = only_line(checks, "dataset events", "fail")
    assert "no collection 'event'" in line
    assert "one of events" in line
    assert [state for state, _ in checks["dataset others"]] == ["ok", "ok"]


def test_a_view_gets_no_advice_to_index_it(doctor, mongo, events):
    events.database.command({"create": "v", "viewOn": "events", "pipeline": []})
    _, checks = doctor(mongo.replace('collection = "events"', 'collection = "v"'))
    assert [state for state, _ in checks["dataset events"]] == ["ok", "ok"]
    assert "createIndex" not in str(checks)


def test_a_field_that_no_document_has_gets_no_advice_to_index_it(doctor, mongo):
    text = mongo.replace('time_field = "at"', 'time_field = "b"\ntime_fallback = "_id"')
    code, checks = doctor(text)
    assert code == 0
    assert "createIndex" not in str(checks["dataset events"])
    assert "no date in 'b': documents are dated by their ObjectIds" in str(checks["dataset events"])


def test_a_capped_collection(doctor, mongo, events):
    events.database.create_collection("ring", capped=True, size=4096)
    events.database.ring.insert_one({"at": datetime.now(UTC)})
    _, checks = doctor(mongo.replace('collection = "events"', 'collection = "ring"'))
    assert "'ring' is capped" in str(checks["dataset events"])


def test_options_of_the_uri(doctor, mongo, mongo_uri):
    _, checks = doctor(mongo.replace(mongo_uri, f"{mongo_uri}/?useUnifiedTopology=true"))
    assert "useUnifiedTopology" in only_line(checks, "mongo", "warn")
    _, checks = doctor(mongo.replace(mongo_uri, f"{mongo_uri}/?tlsCAFil=/x"))
    assert "did you mean tlscafile?" in only_line(checks, "mongo", "fail")
    _, checks = doctor(mongo.replace(mongo_uri, f"{mongo_uri}/?tls=true&tlsCAFile=/nowhere"))
    assert "the file of tlsCAFile can't be read" in only_line(checks, "mongo", "fail")
    assert "programs" in checks


def test_documents_that_python_cannot_decode(doctor, lake, mongo, events, mongo_uri, tmp_path):
    events.insert_one({"at": datetime.now(UTC), "text": "MARKERBADUTF8"})
    mark = datetime(2001, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
    pipeline = [{"$match": {"seen": {"$gt": mark}}}]
    events.database.command({"create": "v", "viewOn": "events", "pipeline": pipeline})
    far = {round(mark.timestamp() * 1000).to_bytes(8, "little"): bytes(7) + b"\x80"}
    with rewriting(mongo_uri, {b"MARKERBADUTF8": b"caf\xe9 \xff\xfe BINxx", **far}) as uri:
        code, checks = doctor(mongo.replace(mongo_uri, uri))
        assert code == 0, checks
        assert "a date in 100%" in str(checks["dataset events"])
        database = events.database.name
        code, _, err = lake("init", "--mongo", f"{uri}/{database}", "--output", str(tmp_path / "x"))
    assert code == 0, err
    assert 'time_field = "at"' in (tmp_path / "x").read_text()


def test_time_fields(doctor, mongo, events):
    _, checks = doctor(mongo.replace('time_field = "at"', 'time_field = "b"'))
    line = only_line(checks, "dataset events", "fail")
    assert "none of 8 sampled documents has a date in 'b'" in line
    assert "dates are in: at" in line
    events.insert_many([{"at": "yesterday"}] * 1 + [{"x": n} for n in range(3)])
    _, checks = doctor(mongo)
    assert "a date in 50% of a sample" in only_line(checks, "dataset events", "warn")
    code, checks = doctor(mongo + 'time_fallback = "_id"\n')
    assert code == 0
    assert "warn" not in dict(checks["dataset events"])


def test_indexes_and_time_to_live(doctor, mongo, events):
    events.drop_index("at_1")
    _, checks = doctor(mongo)
    assert "db.getCollection('events').createIndex({'at': 1})" in only_line(
        checks, "dataset events", "warn"
    )
    events.create_index("at", expireAfterSeconds=5 * 86_400)
    code, checks = doctor(mongo)
    assert code == 1
    line = only_line(checks, "dataset events", "fail")
    assert "keeps 5 days only, [hot] mongo = 10" in line
    assert "set [hot] mongo = 5" in line
    assert doctor(mongo.replace("mongo = 10", "mongo = 5"))[0] == 0


def test_an_empty_collection(doctor, mongo, events):
    events.delete_many({})
    assert "empty" in only_line(doctor(mongo)[1], "dataset events", "warn")


def test_a_database_that_is_gone(doctor, mongo, events, lake):
    events.database.client.drop_database(events.database.name)
    text = mongo.partition("[[dataset]]")[0]
    status, checks = doctor(text)
    assert status == 1
    line = only_line(checks, "mongo", "fail")
    assert f"no database {events.database.name!r}" in line
    assert "correct `database`" in line
