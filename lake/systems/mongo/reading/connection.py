"""A client for MongoDB, and what its errors mean here.

Belongs here: opening connections, pymongo's exceptions as ours. Does not: queries.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import errors
from pymongo.monitoring import (
    ServerHeartbeatFailedEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
)

from lake.base.causes import cause, plain
from lake.base.errors import (
    BadData,
    ConfigError,
    LakeError,
    Missing,
    PermanentError,
    Refused,
    Stopped,
    TransientError,
)
from lake.systems.mongo.config import MongoSource
from lake.systems.mongo.reading.uri import checked

Client = pymongo.MongoClient[RawBSONDocument]
# Decodes what Python's own types can't hold: dates of other years, text that is not UTF-8.
# For looking at documents and replies; never for what is copied.
TOLERANT: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
_LOG = logging.getLogger(__name__)
_SELECTION_S = 20  # how long to look for a server, at most: a new primary takes up to 12
# A heartbeat that takes longer cancels what runs: a busy server may be slow to answer.
_CONNECT_S = 20
AUTHENTICATION_FAILED, _UNAUTHORIZED, _TIME_LIMIT = 18, 13, 50
# Error codes after which the same question may be answered: the cursor is gone, the server
# is shutting down, the primary has changed.
_PASSING_CODES = frozenset(
    {6, 7, 43, 63, 89, 91, 133, 134, 189, 237, 262, 317, 358, 9001, 10107, 11600, 11602, 13388,
     13435, 13436}
)  # fmt: skip


def connect(section: MongoSource) -> Client:
    """A client; no connection is made yet. Raises ConfigError.

    When a server does not answer, that is logged at once; operations wait for it.
    """
    uri, patience_s = checked(section.uri), min(section.timeout_s, _SELECTION_S)
    try:
        return pymongo.MongoClient(
            uri,
            document_class=RawBSONDocument,
            appname="monitoring-lake",
            connect=False,
            serverSelectionTimeoutMS=1000 * patience_s,
            connectTimeoutMS=1000 * min(section.timeout_s, _CONNECT_S),
            socketTimeoutMS=1000 * section.timeout_s,
            event_listeners=[_Watch(patience_s)],
        )
    # ssl.SSLError, an OSError, is about a file without certificates.
    except OSError as error:
        raise ConfigError(
            "a file of the MongoDB URI can't be used",
            where=section.uri,
            found=cause(error),
            remedy="correct tlsCAFile, tlsCertificateKeyFile or tlsCRLFile: a readable PEM file",
        ) from error
    # A wrong port is a ValueError, the rest a ConfigurationError.
    except (errors.PyMongoError, ValueError, TypeError) as error:
        raise ConfigError("not a usable MongoDB URI", where=section.uri, found=error) from error


def interrupt(client: Client) -> None:
    """Ends the operations that run, and lets none begin: each raises.

    pymongo's close waits for operations, and on a server that hangs first ends its sessions
    there. Its topology, which is not public, closes at once; its pools can cancel what runs.
    """
    topology = client._topology
    pools = [server.pool for server in list(topology._servers.values())]
    topology.close()
    for pool in pools:
        for context in list(pool.active_contexts):
            context.cancel()


class _Watch(ServerHeartbeatListener):
    """Logs the first failure to reach a server, and the first after it was reached."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._reported = False
        self._lock = Lock()

    def started(self, event: ServerHeartbeatStartedEvent) -> None:
        """See ServerHeartbeatListener."""

    def succeeded(self, event: ServerHeartbeatSucceededEvent) -> None:
        """See ServerHeartbeatListener."""
        self._reported = False

    def failed(self, event: ServerHeartbeatFailedEvent) -> None:
        """See ServerHeartbeatListener."""
        with self._lock:
            if self._reported or "operation cancelled" in str(event.reply):  # as a client closes
                return
            self._reported = True
        host, port = event.connection_id
        _LOG.warning(
            "MongoDB at %s:%s does not answer: %s; waiting for it, up to %.3g s",
            host, port, _short(event.reply), self._patience_s,
        )  # fmt: skip


@contextmanager
def explained(section: MongoSource, place: str = "") -> Iterator[None]:
    """Within the block pymongo's exceptions become LakeErrors; `place` names what was read."""
    database = section.database.strip("/")  # not known yet while `lake init` looks for it
    where = ", ".join(filter(None, (section.uri, database and f"database {database}", place)))
    try:
        yield
    except errors.PyMongoError as error:
        raise _explain(error, where, section) from error
    except BSONError as error:
        raise BadData("MongoDB's response can't be decoded", where=where, found=error) from error
    except ValueError as error:
        if "SASLprep" not in str(error):
            raise
        raise ConfigError(
            "the user name or password has characters that MongoDB's login does not accept",
            where=where,
            found=error,
            remedy="change the password; control characters and new emoji are not allowed",
        ) from None


def _explain(error: errors.PyMongoError, where: str, section: MongoSource) -> LakeError:
    if isinstance(error, errors.OperationFailure):
        return _explain_answer(error, where, section)
    if isinstance(error, errors.InvalidOperation) and "after close" in str(error):
        return Stopped(where=where, remedy="run it again")
    if isinstance(error, errors.InvalidName):
        return PermanentError(
            "pymongo does not accept the name of a collection",
            where=where,
            expected="no '$' and no '..' in it, and no '.' at its ends",
            found=error,
            remedy="rename the collection",
        )
    if isinstance(error, errors.ConfigurationError):
        return ConfigError("not a usable MongoDB URI", where=where, found=error)
    if isinstance(error, errors.ServerSelectionTimeoutError):
        return TransientError(
            "no MongoDB server answers",
            where=where,
            found=_short(error),
            remedy=_unreachable(_message(error)),
        )
    if isinstance(error, errors.ConnectionFailure | errors.WaitQueueTimeoutError):
        return TransientError(
            "the connection to MongoDB was lost",
            where=where,
            found=_short(error),
            remedy="try again; if it repeats, raise sources.mongo.timeout_s",
        )
    return BadData("MongoDB's response can't be used", where=where, found=_short(error))


def _unreachable(message: str) -> str:
    """What helps against the reason why no server could be selected."""
    if "CERTIFICATE_VERIFY_FAILED" in message:
        return "add tlsCAFile=FILE to sources.mongo.uri: the PEM file of the certificate authority"
    if "mismatch" in message or "doesn't match" in message:
        return "use a host name of the server's certificate in sources.mongo.uri"
    if "WRONG_VERSION_NUMBER" in message or "SSL handshake failed" in message:
        return "check tls in sources.mongo.uri: the server may not use TLS at this port"
    if "Name or service not known" in message or "nodename nor servname" in message:
        return "correct the host in sources.mongo.uri, or check this machine's DNS"
    if "connection closed" in message:
        return "check that the server runs; if it expects TLS, add tls=true to sources.mongo.uri"
    if "replica set" in message.lower() or "primary" in message.lower():
        return "check replicaSet in sources.mongo.uri, and that the set has a primary"
    return "check that the server is up, and uri in [sources.mongo]"


def _explain_answer(error: errors.OperationFailure, where: str, section: MongoSource) -> LakeError:
    reason = f"{_short(error)} (code {error.code})"
    if error.code == AUTHENTICATION_FAILED:
        return Refused(
            "MongoDB did not accept the user name or password",
            where=where,
            found=reason,
            remedy="set LAKE_SOURCES__MONGO__URI with the right ones (and authSource)",
        )
    if error.code == _UNAUTHORIZED and "requires authentication" in reason:
        return Refused(
            "MongoDB requires a user name and password",
            where=where,
            found=reason,
            remedy="set LAKE_SOURCES__MONGO__URI with both of them (and authSource)",
        )
    if error.code == _UNAUTHORIZED:
        return Refused(
            "MongoDB's user may not do that",
            where=where,
            found=reason,
            remedy=f"grant the user the role `read` on the database {section.database!r}",
        )
    passing = error.has_error_label("RetryableError") or error.code in _PASSING_CODES
    if error.timeout or error.code == _TIME_LIMIT or passing:
        return TransientError("MongoDB aborted a request", where=where, found=reason)
    return Refused("MongoDB refused a request", where=where, found=reason)


def _short(error: Exception) -> str:
    """The message without the description of the whole topology, in plain words."""
    return plain(_message(error))


def _message(error: Exception) -> str:
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
            expected=f"one of {', '.join(sorted(names))}" if names else None,
            found=None if names else "a database without collections",
            remedy="correct `collection` of the dataset or `database` of [sources.mongo]",
        )
