"""`lake doctor` on what MongoDB's user may do: snapshots, and limits of [ttl].

Belongs here: rights. Does not: collections and time fields (test_doctor_mongo.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pymongo
import pytest
from pymongo.errors import OperationFailure
from support.doctor_checks import only_line

from lake.servers import start
from lake.systems.mongo.discovery import indexes_of
from lake.systems.mongo.privileges import lacking

MONGO = """
[lake]
root = "data"
[sources.mongo]
database = "app"
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
time_field = "at"
"""
TTL = MONGO + "[ttl]\nenabled = true\ndays = 30\n"
SUBJECT = "rights for the expiry of events"


class Answering:
    """A database that answers as mongod does: the servers of the tests list no privileges."""

    name = "app"

    def __init__(self, *privileges: tuple[dict[str, Any], list[str]], user: str = "u") -> None:
        listed = [{"resource": resource, "actions": actions} for resource, actions in privileges]
        users = [{"user": user, "db": "app"}] if user else []
        self._info = {"authenticatedUsers": users, "authenticatedUserPrivileges": listed}

    def command(self, name: str, **parameters: Any) -> dict[str, Any]:
        assert (name, parameters) == ("connectionStatus", {"showPrivileges": True})
        return {"authInfo": self._info, "ok": 1}


APP, EVENTS = {"db": "app", "collection": ""}, {"db": "app", "collection": "events"}
ANY, OTHER = {"db": "", "collection": ""}, {"db": "other", "collection": ""}
BOTH = ["createIndex", "collMod"]


@pytest.mark.parametrize(
    ("privileges", "expected"),
    [
        ([(APP, ["find", "listIndexes"])], BOTH),
        ([(APP, ["find", *BOTH])], []),
        ([(APP, ["find"]), (EVENTS, ["collMod"])], ["createIndex"]),
        ([(ANY, BOTH)], []),
        ([(OTHER, BOTH), ({"cluster": True}, BOTH)], BOTH),
        ([({"db": "app", "collection": "others"}, BOTH)], BOTH),
        ([({"anyResource": True}, ["anyAction"])], []),
        ([], None),
    ],
)
def test_privileges_as_mongod_lists_them(privileges, expected):
    assert lacking(Answering(*privileges), "events", BOTH) == expected  # type: ignore[arg-type]


def test_a_server_without_access_control_restricts_nothing():
    assert lacking(Answering(user=""), "events", BOTH) == []  # type: ignore[arg-type]


def test_a_server_without_the_command():
    class Without(Answering):
        def command(self, name: str, **parameters: Any) -> dict[str, Any]:
            raise OperationFailure("no such command: 'connectionStatus'", 59)

    assert lacking(Without(), "events", BOTH) is None  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def guarded_server():
    """With access control: its address, and a client of the administrator."""
    with start(["mongo"], mongo_auth=True) as running:
        uri = running.endpoints["mongo"]["uri"]
        with pymongo.MongoClient[dict[str, Any]](uri) as admin:
            events = admin["app"].events
            events.insert_many([{"at": datetime.now(UTC), "b": n} for n in range(4)])
            events.create_index("at")
            admin["app"].secrets.insert_one({"a": 1})
            yield uri.rpartition("@")[2], admin


@pytest.fixture
def as_user(guarded_server, monkeypatch):
    """Makes a user of these roles, whose connection the lake has from then on."""
    address, admin = guarded_server

    def make(name: str, *roles: str) -> None:
        admin["app"].command("createUser", name, pwd="pw", roles=list(roles))
        monkeypatch.setenv("LAKE_SOURCES__MONGO__URI", f"mongodb://{name}:pw@{address}/app")

    return make


def test_where_privileges_are_not_listed_they_are_unknown(doctor, as_user):
    as_user("reader", "read")
    _, checks = doctor(TTL)
    assert "unknown" in only_line(checks, SUBJECT, "warn")
    assert "the guard has never run" in only_line(checks, "expiry of events", "warn")
    assert "every collection" in only_line(checks, "snapshots of mongo", "ok")
    assert SUBJECT not in doctor(TTL.replace("true", "false"))[1]


def test_rights_that_are_lacking(doctor, as_user, monkeypatch):
    as_user("other", "read")
    monkeypatch.setattr("lake.systems.mongo.expiry.lacking", lambda *_: ["collMod"])
    code, checks = doctor(TTL)
    assert code == 1
    assert "the user lacks collMod" in only_line(checks, SUBJECT, "fail")


def test_a_collection_that_the_user_may_not_read(doctor, as_user, monkeypatch):
    """The servers of the tests know no rights on single collections."""

    def refused(collection: Any) -> list[Any]:
        if collection.name == "secrets":
            raise OperationFailure("not authorized on app to execute command", 13)
        return indexes_of(collection)

    as_user("narrow", "read")
    monkeypatch.setattr("lake.systems.mongo.diagnosis.indexes_of", refused)
    _, checks = doctor(MONGO)
    line = only_line(checks, "snapshots of mongo", "warn")
    assert "may not read secrets: a snapshot fails" in line
    assert "the role `read` on the database 'app'" in line
    of_datasets = '[snapshots.mongo]\nscope = "day"\n'
    assert "every" in only_line(doctor(of_datasets + MONGO)[1], "snapshots of mongo", "ok")
