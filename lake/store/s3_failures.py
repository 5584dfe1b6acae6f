"""What an error of S3, or of the library that calls it, means and what helps.

Belongs here: exceptions of botocore and codes of S3 as LakeErrors. Does not: calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    ConnectionError,  # noqa: A004  botocore's own: refused, timed out, TLS, proxy
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    InvalidRegionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)

from lake.base.causes import cause
from lake.base.errors import Conflict, LakeError, Missing, PermanentError, Refused, TransientError
from lake.base.proxies import REMEDY as PROXY_REMEDY
from lake.base.tls import reason

ABSENT = frozenset({"NoSuchKey", "NotFound", "404"})
_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_BUSY = frozenset({"SlowDown", "TooManyRequests", "Throttling", "RequestLimitExceeded", "429"})
_UNREACHABLE = (ConnectionError, HTTPClientError, IncompleteReadError)
_NO_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError)
_REGION = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "IncorrectEndpoint",
        "PermanentRedirect",
        "TemporaryRedirect",
        "301",
        "307",
    }
)
_RIGHTS = "check that the credentials may read, write, list and delete there"
_KEYS = (
    "check the credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile; this "
    "server does not accept them"
)
_RENEW = "renew the credentials: `aws sso login`, or a new AWS_SESSION_TOKEN with its keys"
_REMEDIES = {
    "AccessDenied": _RIGHTS,
    "AllAccessDisabled": _RIGHTS,
    "Forbidden": _RIGHTS,
    "403": f"{_RIGHTS}; that they are not expired, and that this machine's clock is right",
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "ExpiredToken": _RENEW,
    "ExpiredTokenException": _RENEW,
    "InvalidToken": _RENEW,
    "RequestExpired": _RENEW,
    "TokenRefreshRequired": _RENEW,
    "RequestTimeTooSkewed": "set this machine's clock by NTP: it and the server's differ by "
    "more than 15 minutes",
    "InvalidBucketName": "correct [lake] root: s3://bucket[/prefix]",
    "InvalidObjectState": "restore the object first (`aws s3api restore-object`): its storage "
    "class can't be read; [bucket] snapshots_class or another lifecycle rule moved it there",
    "MethodNotAllowed": "check [s3] endpoint_url: an S3 API, not a console or another service",
}


def explained(error: ClientError | BotoCoreError, where: str) -> LakeError:
    """An error of a call as ours."""
    if isinstance(error, ClientError):
        return _answered(error, where)
    if isinstance(error, ProfileNotFound):
        return Refused(
            "no such AWS profile",
            where=where,
            found=_found(error),
            remedy="correct AWS_PROFILE; `aws configure list-profiles` lists the profiles",
        )
    if isinstance(error, SSOError | TokenRetrievalError):
        return Refused("the AWS login has expired", where=where, found=_found(error), remedy=_RENEW)
    if isinstance(error, _NO_CREDENTIALS):
        return Refused(
            "no AWS credentials",
            where=where,
            found=_found(error),
            remedy="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or a role",
        )
    if isinstance(error, SSLError):
        return _without_tls(error, where)
    if isinstance(error, ProxyConnectionError):
        return TransientError(
            "the HTTP proxy can't be used",
            where=where,
            found=_found(error),
            remedy=PROXY_REMEDY,
        )
    if isinstance(error.kwargs.get("error"), RecursionError):
        return endless_redirect(where)
    if isinstance(error, _UNREACHABLE):
        return TransientError(
            "S3 can't be reached",
            where=where,
            found=_found(error),
            remedy="check [s3] endpoint_url and region, and that the server is up",
        )
    remedy = "check [s3] and the AWS settings"
    if isinstance(error, InvalidRegionError):
        remedy = "correct region of [s3], or AWS_DEFAULT_REGION"
    elif isinstance(error, ConfigParseError | ConfigNotFound):
        remedy = "correct the AWS configuration file, or AWS_CONFIG_FILE"
    return PermanentError(
        "the request to S3 failed", where=where, found=_found(error), remedy=remedy
    )


def unusable(error: Exception, where: str) -> LakeError:
    """A client that can't be made: what boto3 does not expect in its settings."""
    return PermanentError(
        "the AWS settings can't be used",
        where=where,
        found=f"{type(error).__name__}: {error}",
        remedy="check [s3], the AWS_* variables and the AWS configuration file",
    )


def no_answer_of_s3(where: str, found: object) -> LakeError:
    """A web page, most often: of a login, a proxy, a console."""
    return PermanentError(
        "the response is not one of S3's",
        where=where,
        found=found,
        remedy="set [s3] endpoint_url to the S3 API itself, without a login page in front, and "
        "with https:// where it expects TLS",
    )


def endless_redirect(where: str) -> LakeError:
    """botocore takes every redirect for one to another region, and follows it endlessly:
    RecursionError, by itself or within an error of its own.
    """
    return no_answer_of_s3(where, "a redirect")


def _found(error: ClientError | BotoCoreError) -> str:
    """The reason alone: S3's code and message, or why there is no connection."""
    if isinstance(error, ClientError):
        message = str(error.response.get("Error", {}).get("Message", ""))
        return f"{code_of(error)}: {message}".strip(": ") or f"HTTP {status_of(error)}"
    reason_of = error.kwargs.get("error")
    return cause(reason_of) if isinstance(reason_of, BaseException) else str(error)


def _without_tls(error: SSLError, where: str) -> LakeError:
    why = reason(str(error))
    remedies = {
        "no tls": "write http:// in [s3] endpoint_url, or correct its port",
        "ca file": "correct ca_file in [s3], or AWS_CA_BUNDLE: a readable PEM file",
        "host name": "use a host name of the server's certificate in [s3] endpoint_url",
        "expired": "renew the server's certificate; check this machine's clock",
        "client": "client certificates are not supported",
        "authority": "set ca_file in [s3] to the PEM file of the authority that signed it",
    }
    if not why:
        return TransientError(
            "S3 can't be reached",
            where=where,
            found=_found(error),
            remedy="check [s3] endpoint_url, and that the server is up",
        )
    return PermanentError(
        "no TLS connection to S3", where=where, found=_found(error), remedy=remedies[why]
    )


def _answered(error: ClientError, where: str) -> LakeError:
    code, status = code_of(error), status_of(error)
    if status == 407:
        return Refused(
            "the HTTP proxy refused", where=where, found=_found(error), remedy=PROXY_REMEDY
        )
    if code in ABSENT:
        return Missing("no such object", where=where)
    if code in _CHANGED or status == 412:
        return Conflict("modified by another writer", where=where)
    if code in _REGION:
        return Refused("S3 refused", where=where, found=_found(error), remedy=_region(error))
    if code.startswith("KMS."):
        return Refused(
            "S3 refused",
            where=where,
            found=_found(error),
            remedy="check kms_key_id in [s3], and that the credentials may use the key: "
            "kms:GenerateDataKey and kms:Decrypt",
        )
    if code in _REMEDIES:
        return Refused("S3 refused", where=where, found=_found(error), remedy=_REMEDIES[code])
    if code in _BUSY or status in (429, 503):
        return TransientError(
            "S3 is overloaded or not ready",
            where=where,
            found=_found(error),
            remedy="try again later, with fewer exports at a time (--jobs)",
        )
    if status == 507 or "Quota" in code or "Storage" in code:
        return PermanentError(
            "S3 has no space left",
            where=where,
            found=_found(error),
            remedy="free space, or raise the quota",
        )
    if status == 501 or code == "NotImplemented":
        return PermanentError(
            "the S3 server does not support this call",
            where=where,
            found=_found(error),
            remedy="use another S3 server, or do without what needs this call",
        )
    if status >= 500 or code == "RequestTimeout":
        return TransientError("S3 failed", where=where, found=_found(error), remedy="try again")
    if status == 403:
        return Refused("S3 refused", where=where, found=_found(error), remedy=_REMEDIES["403"])
    if not code or code.isdigit():
        return no_answer_of_s3(where, _found(error))
    return PermanentError(
        "S3 refused",
        where=where,
        found=_found(error),
        remedy="check endpoint_url and region of [s3], and [lake] root",
    )


def _region(error: ClientError) -> str:
    content: Mapping[str, Any] = error.response.get("Error", {})
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = content.get("Region") or headers.get("x-amz-bucket-region")
    if region:
        return f'set region = "{region}" in [s3]: the bucket is there'
    return "correct region of [s3]: the bucket is in another one"


def code_of(error: ClientError) -> str:
    """S3's code, or the HTTP status as text where the answer has no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """The HTTP status; 0 where it is not known."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
