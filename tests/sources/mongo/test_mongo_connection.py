"""What pymongo's errors mean: try again, or mend something first."""

from __future__ import annotations

import pytest
from pymongo import errors
from test_mongo_days import DAY, dataset

from lake.base.errors import BadData, ConfigError, LakeError, Refused, TransientError
from lake.base.settings import MongoSource
from lake.sources.mongo import MongoReader
from lake.sources.mongo.connection import explained

SECTION = MongoSource(uri="mongodb://user:wordpass@db.example:27017", database="miyou")


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


def test_a_uri_that_is_none() -> None:
    reader = MongoReader(MongoSource(uri="mongodb://host:notaport", database="x"))
    with pytest.raises(ConfigError):
        reader.count(dataset(), DAY)
