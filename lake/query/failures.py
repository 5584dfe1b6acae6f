"""What DuckDB's errors mean, and what helps.

Belongs here: DuckDB's exceptions to the lake's. Does not: running queries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from typing import NamedTuple

import duckdb

from lake.base.errors import (
    LakeError,
    Missing,
    PermanentError,
    Refused,
    TransientError,
    UsageError,
)
from lake.base.proxies import REMEDY as PROXY_REMEDY
from lake.base.proxies import named_proxies
from lake.query.kinds import quoted_name

_WRONG_SQL = (
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.SyntaxException,
    duckdb.NotImplementedException,
    duckdb.InvalidTypeException,
)
# What DuckDB puts before the cause of an error that comes while rows are fetched.
_PENDING = "Attempting to execute an unsuccessful or closed pending query result\nError: "
# Cancelling the other threads may overtake the error of the thread that failed.
_INTERRUPTED = (
    "run the query again: when a thread fails, DuckDB may report that the others were "
    "interrupted instead of the error"
)
_CONNECTION = "check [s3] endpoint_url and the network, and that the server is up; then try again"
# What S3, or DuckDB for it, reports: class, what happened, remedy.
_REPORTED: dict[str, tuple[type[LakeError], str, str]] = {
    "RequestTimeTooSkewed": (
        Refused,
        "S3 refused: the clocks differ",
        "set this machine's clock (NTP): S3 takes signatures of the last 15 minutes",
    ),
    "ExpiredToken": (
        Refused,
        "the AWS session has expired",
        "renew it, such as by `aws sso login`, or set new AWS_* variables",
    ),
    "InvalidToken": (
        Refused,
        "S3 refused the session token",
        "set AWS_SESSION_TOKEN to the token that belongs to the keys, or unset it",
    ),
    "InvalidAccessKeyId": (
        Refused,
        "S3 does not have this access key",
        "correct AWS_ACCESS_KEY_ID or the profile; check that [s3] endpoint_url is its server",
    ),
    "SignatureDoesNotMatch": (
        Refused,
        "S3 refused the signature",
        "correct AWS_SECRET_ACCESS_KEY or the profile",
    ),
    "AuthorizationHeaderMalformed": (
        Refused,
        "S3 refused: the bucket is in another region",
        "set [s3] region to the bucket's region",
    ),
    "HTTP 301": (
        PermanentError,
        "the bucket is in another region or at another address",
        "set [s3] region to the bucket's region; check [s3] endpoint_url",
    ),
    "NoSuchBucket": (
        Missing,
        "no such bucket",
        "`lake bucket apply` creates it; or correct [lake] root",
    ),
    "Could not resolve hostname": (
        TransientError,
        "the host of S3 has no address",
        "correct [s3] endpoint_url, or [s3] region; check DNS and the network",
    ),
    "SSL connect error": (
        PermanentError,
        "no TLS connection to S3",
        "if the server speaks plain HTTP, write http:// in [s3] endpoint_url; check the port",
    ),
    "SSL peer certificate": (
        PermanentError,
        "the certificate of S3 is not trusted",
        "set ca_file in [s3] to the PEM file of the authority that signed it",
    ),
    "Could not establish connection": (TransientError, "S3 can't be reached", _CONNECTION),
    "Could not connect": (TransientError, "S3 can't be reached", _CONNECTION),
    "Connection error": (TransientError, "S3 can't be reached", _CONNECTION),
    "Timeout was reached": (TransientError, "S3 did not answer in time", _CONNECTION),
}
# DuckDB's own advice, which is about DuckDB's settings.
_ADVICE = re.compile(r"\n\n(?:LINE \d|Authentication Failure|Bad Request).*", re.DOTALL)
_REQUEST = re.compile(r" error for HTTP [A-Z]+ to '[^']*'")
_READ_CLASSES = ("IO Error", "HTTP Error")
_STATUS = re.compile(r"\bHTTP(?: code)? (\d{3})\b")
_CLASS = re.compile(r"^(?:[A-Z][A-Za-z]* )+Error: ")
_DID_YOU_MEAN = re.compile(r'\nDid you mean "([^"\n]+)[^\n]*')
_SYSTEM_TABLE = re.compile(r"pg_|duckdb_|sqlite_|pragma_|information_schema")  # DuckDB's own
_COLUMNS = re.compile(r"\nCandidate bindings: ([^\n]+)")
_NO_COLUMN = re.compile(
    r'Referenced column "(.+)" not found|does not have a column named "(.+)"$', re.MULTILINE
)
_TABLES = re.compile(r"\nCandidate tables: [^\n]+")
_CALLS = re.compile(r"\n\t?Candidate macros:((?:\n\t[^\n]*)+)")
_OVERLOADS = re.compile(r"\n\t?Candidate functions:(?:\n\t[^\n]*)+")
_PLACE = re.compile(r"\s*\n(?=LINE \d+:)")
_CLAUSES = frozenset(("from", "where", "group", "having", "limit", "union", "select", "join", "on"))
_NO_TABLE = re.compile(r"^Table (?:Function )?with name \S+ does not exist|^Referenced table ")
_NEAR = re.compile(r'syntax error at or near "(\w+)"')
_NO_ARROW_TYPE = re.compile(r"Unsupported Arrow type (.*)")
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_WORD = re.compile(r"\w+")
_OF_TEXT = re.compile(
    r"No function matches .*\((?:[^)]*, )?VARCHAR[,)]"
    r"|Cannot (?:compare|mix|combine) (?:values|types) of .*\bVARCHAR\b"
    r"|Could not convert string .* to (?:U?INT|DOUBLE|FLOAT|DECIMAL|BOOL)"
)
_OF_JSON = re.compile(
    r"Cannot extract field '.*' from expression|^UNNEST.*(?:VARCHAR|requires a single list)"
    r"|Could not convert string '\D.*' to INT64(?! when)|^Malformed JSON"
)


class Hint(NamedTuple):
    """What helps against an unknown name: the tables, a sentence for each without a day, and what
    has the values of a name that is no column.
    """

    tables: str
    empty: Mapping[str, str] = {}
    in_rest: Callable[[str], str] = lambda _name: ""

    def why_empty(self, message: str) -> str:
        """Of the tables that the message names; a macro names a rollup by its dataset."""
        words = set(_WORD.findall(message.lower()))
        return "; ".join(
            text
            for name, text in self.empty.items()
            if words & {name, name.removesuffix("_hourly"), f"{name}_between"}
        )


class WrongSQL(UsageError):
    """SQL that DuckDB does not accept."""

    shows_help = False


@contextmanager
def explained(where: str, hint: Hint | None = None) -> Iterator[None]:
    """Raises WrongSQL; Refused, Missing, TransientError or PermanentError for what could not
    be read or computed.
    """
    try:
        yield
    except _WRONG_SQL as error:
        message = _message(error)
        raise WrongSQL(
            "the SQL is wrong", found=_without_advice(message), remedy=_remedy_of(message, hint)
        ) from error
    except duckdb.Error as error:
        raise _failed(error, where) from error
    except OverflowError as error:  # DuckDB's, of a value as a Python object
        raise PermanentError(
            "a value of the answer is out of Python's range",
            found="an INTERVAL of more than 2,700,000 years",
            remedy="CAST it in the SQL, such as to VARCHAR",
        ) from error


@contextmanager
def arrow_as_duckdb() -> Iterator[None]:
    """Raises DuckDB's errors that Arrow raises as OSError as what they are."""
    try:
        yield
    except OSError as error:
        raise _of_duckdb(str(error)) from error


def _of_duckdb(text: str) -> duckdb.Error:
    """The text has the error's class and its HTTP status."""
    if unsupported := _NO_ARROW_TYPE.search(text):
        return duckdb.NotImplementedException(f"Arrow has no type for {unsupported[1]}")
    if not text.startswith(_READ_CLASSES):
        return duckdb.Error(text)
    read = duckdb.IOException(text)
    if status := _STATUS.search(text):
        read.status_code = int(status[1])  # type: ignore[attr-defined]
    return read


def _failed(error: duckdb.Error, where: str) -> LakeError:
    message, status = _message(error), getattr(error, "status_code", 0)
    if isinstance(error, duckdb.InterruptException):
        return PermanentError("the query failed", found=message, remedy=_INTERRUPTED)
    if "http_proxy" in message:
        return PermanentError(
            "the HTTP proxy can't be used",
            where="HTTP_PROXY",
            expected="http://host:port, with user:password@ before the host if need be",
            found=_without_advice(message).partition("\n")[0],
            remedy=PROXY_REMEDY,
        )
    if not isinstance(error, duckdb.IOException) and ".parquet" not in message:
        remedy = _remedy_of_types(message)
        return PermanentError("the query failed", found=_without_advice(message), remedy=remedy)
    if "No files found" in message and where not in message:
        return Missing(
            "the query reads a file that does not exist",
            found=message,
            remedy="correct the path; a dataset is read by its name, without a path",
        )
    kind, what, remedy = _failed_read(message, status)
    if remedy is _CONNECTION and (proxies := named_proxies()):
        remedy = f"{_CONNECTION}. {proxies} may name a proxy for it: {PROXY_REMEDY}"
    shown = _REQUEST.sub("", _ADVICE.sub("", message))
    return kind(what, where=where, found=" ".join(shown.split()), remedy=remedy)


def _failed_read(message: str, status: int) -> tuple[type[LakeError], str, str]:
    """Class, what happened, and the remedy."""
    for text, failure in _REPORTED.items():
        if text in message:
            return failure
    if status == 407:
        return Refused, "the HTTP proxy refused", PROXY_REMEDY
    if status in (401, 403):
        remedy = "check the credentials and that they may read and list there"
        return Refused, "S3 refused", remedy
    if status == 429 or status >= 500:
        return TransientError, "S3 is overloaded or fails", "try again later"
    remedy = "`lake verify` lists the objects that are missing or damaged"
    if status == 404 or "No files found" in message:
        return Missing, "an object is not there", remedy
    return PermanentError, "a read failed", remedy


def _without_advice(message: str) -> str:
    """DuckDB's finding with the place in the SQL; its suggestions are in the remedy."""
    for advice in (_DID_YOU_MEAN, _COLUMNS, _TABLES, _CALLS, _OVERLOADS):
        message = advice.sub("", message)
    return _PLACE.sub("\n", message).replace("\n", "\n    ")


def _remedy_of(message: str, hint: Hint | None) -> str | None:
    """What fixes SQL with a common mistake."""
    hint = hint or Hint("")
    why_empty = hint.why_empty(_without_advice(message))
    meant = _DID_YOU_MEAN.search(message)
    suggestion = f"did you mean {meant[1]}?" if meant else ""
    if _NO_TABLE.search(message):
        if meant and _SYSTEM_TABLE.match(meant[1]):
            suggestion = ""
        return "; ".join(filter(None, (suggestion, hint.tables, why_empty))) or None
    if calls := _CALLS.search(message):
        return "call it as " + " or ".join(call.strip() for call in calls[1].strip().split("\n"))
    absent = _NO_COLUMN.search(message)
    in_rest = hint.in_rest(absent[1] or absent[2]) if absent else ""
    columns = _COLUMNS.search(message)
    if columns or in_rest:
        similar = f"similar columns: {columns[1]}" if columns else ""
        listed = "`lake describe` lists all columns"
        return "; ".join(filter(None, (in_rest, similar, listed, why_empty)))
    if suggestion:
        return suggestion
    if (near := _NEAR.search(message)) and near[1].lower() in _reserved():
        check = f"check the text before {near[1]}; " if near[1].lower() in _CLAUSES else ""
        return f'{check}if {near[1]} is a name, quote it: "{near[1]}"'
    return _remedy_of_types(message)


def _remedy_of_types(message: str) -> str | None:
    """What reads a column that is text because its type differs between days."""
    if _OF_JSON.search(message):
        return (
            "a sub-document or an array that is of another type on other days is JSON text: "
            "TRY_CAST(x AS JSON) ->> '$.name' reads a member, "
            "unnest(TRY_CAST(TRY_CAST(x AS JSON) AS JSON[])) the elements"
        )
    if _OF_TEXT.search(message):
        return (
            "a column whose type differs between days is text: TRY_CAST(x AS DOUBLE) returns its "
            "numbers; over days of one type it has that type"
        )
    return None


def spelled(name: str) -> str:
    """The name as SQL takes it: quoted where it has to be."""
    plain = _PLAIN.fullmatch(name) and name not in _reserved()
    return name if plain else quoted_name(name)


@cache
def _reserved() -> frozenset[str]:
    """Words that SQL takes for names only where they are quoted."""
    with closing(duckdb.connect()) as connection:  # the default one is its user's
        words = connection.execute(
            "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'"
        ).fetchall()
    return frozenset(word for (word,) in words)


def _message(error: duckdb.Error) -> str:
    """DuckDB's text without the name of its exception; it shows the place in the SQL."""
    return _CLASS.sub("", str(error).rpartition(_PENDING)[2].strip())
