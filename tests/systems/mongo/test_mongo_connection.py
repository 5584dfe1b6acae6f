"""What pymongo's errors mean: try again, or mend something first."""

from __future__ import annotations

import logging
import time

import pymongo
import pytest
from bson.datetime_ms import DatetimeMS
from bson.errors import InvalidBSON
from pymongo import errors
from support.mongo_tables import dataset
from support.rewriting_proxy import rewriting

from lake.base.day import Day
from lake.base.errors import (
    BadData,
    ConfigError,
    LakeError,
    PermanentError,
    Refused,
    TransientError,
)
from lake.systems.mongo.config import MongoSource
from lake.systems.mongo.reading import MongoReader
from lake.systems.mongo.reading.connection import connect, explained

SECTION = MongoSource(uri="mongodb://user:wordpass@db.example:27017", database="miyou")
DAY = Day.parse("2026-07-01")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.OperationFailure("Authentication failed.", 18), Refused),
        (errors.OperationFailure("not authorized on miyou to execute command", 13), Refused),
        (errors.OperationFailure("unknown operator: $x", 2), Refused),
        (errors.CursorNotFound("cursor id 5 not found", 43), TransientError),
        (errors.ExecutionTimeout("operation exceeded time limit", 50), TransientError),
        (errors.OperationFailure("interrupted at shutdown", 11600), TransientError),
        (errors.OperationFailure("?", 1, {"errorLabels": ["RetryableError"]}), TransientError),
        (errors.NotPrimaryError("not primary"), TransientError),
        (errors.AutoReconnect("connection reset"), TransientError),
        (errors.NetworkTimeout("timed out"), TransientError),
        (errors.WaitQueueTimeoutError("no connection is free"), TransientError),
        (errors.ServerSelectionTimeoutError("refused, Timeout: 20s, Topology: …"), TransientError),
        (errors.InvalidURI("no port"), ConfigError),
        (errors.ConfigurationError("DNS"), ConfigError),
        (errors.InvalidOperation("no"), BadData),
        (errors.InvalidName("collection names must not end with '.'"), PermanentError),
    ],
)
def test_errors_of_pymongo(error: Exception, kind: type[LakeError]) -> None:
    with pytest.raises(kind) as raised, explained(SECTION, "collection events"):
        raise error
    message = str(raised.value)
    assert type(raised.value) is kind
    assert "database miyou, collection events" in message
    assert "db.example:27017" in message
    assert "wordpass" not in message
    assert "Topology" not in message
    assert raised.value.__cause__ is error


def test_a_login_that_is_missing_is_not_a_role_that_is() -> None:
    """`lake init` and `lake doctor` of a first-time user."""
    unnamed = SECTION.model_copy(update={"uri": "mongodb://h:1", "database": "/"})
    error = errors.OperationFailure("Command listDatabases requires authentication", 13)
    with pytest.raises(Refused) as raised, explained(unnamed):
        raise error
    assert raised.value.parts["where"] == "mongodb://h:1"
    assert "LAKE_SOURCES__MONGO__URI" in raised.value.parts["remedy"]
    assert "read" not in raised.value.parts["remedy"]


def test_a_uri_that_is_none() -> None:
    reader = MongoReader(MongoSource(uri="mongodb://host:notaport", database="x"))
    with pytest.raises(ConfigError):
        reader.count(dataset(), DAY)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidBSON("year 292278994 is out of range"), BadData),
        (ValueError("SASLprep: failed prohibited character check"), ConfigError),
    ],
)
def test_errors_of_bson_and_of_the_login(error: Exception, kind: type[LakeError]) -> None:
    with pytest.raises(kind), explained(SECTION, "its collections"):
        raise error


def test_a_mistake_of_ours_stays_one() -> None:
    with pytest.raises(ValueError, match="ours"), explained(SECTION):
        raise ValueError("ours")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("tls=true&tlsCAFile=/nowhere/ca.pem", ["tlsCAFile", "No such file", "/nowhere/ca.pem"]),
        ("tls=true&tlsCAFile=/etc", ["tlsCAFile", "Is a directory"]),
        ("tls=true&tlsCAFile={text}", ["tlsCAFile", "PEM file"]),
        ("tls=true&tlsCertificateKeyFile={text}", ["PEM"]),
        ("tlsCAFil=/x", ["'tlsCAFil'", "did you mean tlscafile?"]),
        ("authsourc=admin", ["'authsourc'", "did you mean authsource?"]),
        ("tls=maybe", ["'tls'", "'true' or 'false'"]),
        ("connectTimeoutMS=soon", ["'connectTimeoutMS'", "integer"]),
        ("authMechanism=SCRAM", ["'authMechanism'", "SCRAM-SHA-256"]),
        ("replicaSet", ["without a value"]),
        ("tls=true&ssl=false", ["conflicting"]),
    ],
)
def test_a_wrong_option_is_no_warning_of_python(tmp_path, recwarn, options, words) -> None:
    text = tmp_path / "text"
    text.write_text("no certificate\n")
    uri = "mongodb://me:wordpass@127.0.0.1:1/?" + options.format(text=text)
    with pytest.raises(ConfigError) as raised:
        connect(MongoSource(uri=uri, database="x"))
    assert all(word in str(raised.value) for word in words), str(raised.value)
    assert "wordpass" not in str(raised.value)
    assert warned(recwarn) == []


def warned(recwarn: pytest.WarningsRecorder) -> list[str]:
    """Not what the collector says of other tests' objects, whenever it finds them."""
    ours = (warning for warning in recwarn if not issubclass(warning.category, ResourceWarning))
    return [str(warning.message) for warning in ours]


def test_an_option_of_other_drivers_is_logged_and_ignored(caplog, recwarn) -> None:
    uri = "mongodb://127.0.0.1:1/d?useUnifiedTopology=true&authSource=admin&appName=x"
    with connect(MongoSource(uri=uri, database="x")) as client:
        assert client.options.pool_options is not None
    assert ["'useUnifiedTopology'" in record.message for record in caplog.records] == [True]
    assert warned(recwarn) == []


def test_a_server_that_is_down_is_reported_at_once(caplog) -> None:
    section = MongoSource(uri="mongodb://127.0.0.1:1", database="x", timeout_s=2)
    reported_s: list[float] = []

    class Clock(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reported_s.append(time.monotonic() - begun)

    handler = Clock()
    logging.getLogger("lake.systems.mongo.reading.connection").addHandler(handler)
    begun = time.monotonic()
    with connect(section) as client, pytest.raises(TransientError), explained(section):
        client.admin.command("ping")
    took_s = time.monotonic() - begun
    logging.getLogger("lake.systems.mongo.reading.connection").removeHandler(handler)
    assert len(reported_s) == 1
    assert reported_s[0] < took_s - 1
    assert "does not answer" in caplog.text
    assert "up to 2 s" in caplog.text


def test_a_plan_that_repeats_a_date_beyond_python(mongo_uri, mongo_database) -> None:
    """Servers return the question with its plan, and in it the first instant of all."""
    first, other = (ms.to_bytes(8, "little", signed=True) for ms in (-(1 << 63), 981173106789))
    with pymongo.MongoClient(mongo_uri) as client:
        client[mongo_database].events.insert_many([{"timestamp": DAY.start}, {"timestamp": "x"}])
    with rewriting(mongo_uri, {other: first}, request_swaps={first: other}) as uri:
        section = MongoSource(uri=uri, database=mongo_database)
        question = {"timestamp": {"$gte": DatetimeMS(-(1 << 63))}}
        command = {"explain": {"count": "events", "query": question}}
        with connect(section) as client, pytest.raises(InvalidBSON):
            client[mongo_database].command(command)
        reader = MongoReader(section)
        assert reader.undated(dataset()) == 1
        reader.close()
