"""A client for MongoDB, and what its errors mean here.

Belongs here: opening connections, pymongo's exceptions as ours. Does not: queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo import errors

from lake.base.errors import BadData, ConfigError, LakeError, Missing, Refused, TransientError
from lake.base.settings import MongoSource

Client = pymongo.MongoClient[RawBSONDocument]
_SELECTION_S = 20  # how long to look for a server, at most
AUTHENTICATION_FAILED, _UNAUTHORIZED, _TIME_LIMIT = 18, 13, 50
# Error codes after which the same question may be answered: the cursor is gone, the server
# is shutting down, the primary has changed.
_PASSING_CODES = frozenset(
    {6, 7, 43, 63, 89, 91, 133, 134, 189, 237, 262, 317, 358, 9001, 10107, 11600, 11602, 13388,
     13435, 13436}
)  # fmt: skip


def connect(section: MongoSource) -> Client:
    """A client; no server is asked yet. Raises ConfigError."""
    try:
        return pymongo.MongoClient(
            section.uri,
            document_class=RawBSONDocument,
            appname="monitoring-lake",
            connect=False,
            serverSelectionTimeoutMS=1000 * min(section.timeout_s, _SELECTION_S),
            connectTimeoutMS=1000 * min(section.timeout_s, _SELECTION_S),
            socketTimeoutMS=1000 * section.timeout_s,
        )
    # A wrong port or option is a ValueError, the rest a ConfigurationError.
    except (errors.PyMongoError, ValueError, TypeError) as error:
        raise ConfigError("not a usable MongoDB URI", where=section.uri, found=error) from error


@contextmanager
def explained(section: MongoSource, place: str = "") -> Iterator[None]:
    """Within the block pymongo's exceptions become LakeErrors; `place` says what was asked."""
    where = f"{section.uri}, database {section.database}{place and ', '}{place}"
    try:
        yield
    except errors.PyMongoError as error:
        raise _explain(error, where, section) from error


def _explain(error: errors.PyMongoError, where: str, section: MongoSource) -> LakeError:
    if isinstance(error, errors.OperationFailure):
        return _explain_answer(error, where, section)
    if isinstance(error, errors.ConfigurationError):
        return ConfigError("not a usable MongoDB URI", where=where, found=error)
    if isinstance(error, errors.ServerSelectionTimeoutError):
        return TransientError(
            "no MongoDB server answers",
            where=where,
            found=_short(error),
            remedy="check that it runs and that sources.mongo.uri names it",
        )
    if isinstance(error, errors.ConnectionFailure | errors.WaitQueueTimeoutError):
        return TransientError(
            "the connection to MongoDB was lost",
            where=where,
            found=_short(error),
            remedy="try again; if it repeats, raise sources.mongo.timeout_s",
        )
    return BadData("MongoDB's answer can't be used", where=where, found=_short(error))


def _explain_answer(error: errors.OperationFailure, where: str, section: MongoSource) -> LakeError:
    found = f"{_short(error)} (code {error.code})"
    if error.code == AUTHENTICATION_FAILED:
        return Refused(
            "MongoDB did not accept the user name or password",
            where=where,
            found=found,
            remedy="set LAKE_SOURCES__MONGO__URI with the right ones (and authSource)",
        )
    if error.code == _UNAUTHORIZED:
        return Refused(
            "MongoDB's user may not do that",
            where=where,
            found=found,
            remedy=f"grant the user the role `read` on the database {section.database!r}",
        )
    passing = error.has_error_label("RetryableError") or error.code in _PASSING_CODES
    if error.timeout or error.code == _TIME_LIMIT or passing:
        return TransientError("MongoDB gave up on a question", where=where, found=found)
    return Refused("MongoDB refused a question", where=where, found=found)


def _short(error: Exception) -> str:
    """The message without the description of the whole topology."""
    return str(error).partition(", full error:")[0].partition(", Timeout:")[0]


def require_collection(client: Client, section: MongoSource, name: str) -> None:
    """Raises Missing, naming the collections there are, where there is none of that name.

    A typo would else be a quarter of days without documents.
    """
    with explained(section, "its collections"):
        names = client[section.database].list_collection_names(authorizedCollections=True)
    if name not in names:
        raise Missing(
            f"no collection {name!r}",
            where=f"{section.uri}, database {section.database}",
            expected="one of " + (", ".join(sorted(names)) or "none: the database is empty"),
            remedy="correct `collection` of the dataset or `database` of [sources.mongo]",
        )
