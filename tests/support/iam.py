"""An evaluator of IAM policies, and a proxy before a real S3 that enforces one.

Belongs here: which request needs which action, as AWS's service authorization reference lists it,
and matching. Does not: claims. What is not known here is refused and kept in `unknown`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import requests

from support.serving import HttpServer, serving

_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
_OF_BUCKET = {
    ("GET", "uploads"): "s3:ListBucketMultipartUploads",
    ("GET", "versions"): "s3:ListBucketVersions",
    ("GET", "versioning"): "s3:GetBucketVersioning",
    ("GET", "object-lock"): "s3:GetBucketObjectLockConfiguration",
    ("GET", ""): "s3:ListBucket",
    ("HEAD", ""): "s3:ListBucket",
}
_OF_OBJECT = {
    ("GET", ""): "s3:GetObject",
    ("HEAD", ""): "s3:GetObject",
    ("PUT", ""): "s3:PutObject",
    ("PUT", "partNumber"): "s3:PutObject",
    ("POST", "uploads"): "s3:PutObject",
    ("POST", "uploadId"): "s3:PutObject",
    ("DELETE", "uploadId"): "s3:AbortMultipartUpload",
    ("DELETE", ""): "s3:DeleteObject",
    ("DELETE", "versionId"): "s3:DeleteObjectVersion",
    ("GET", "versionId"): "s3:GetObjectVersion",
    ("HEAD", "versionId"): "s3:GetObjectVersion",
    ("GET", "legal-hold"): "s3:GetObjectLegalHold",
    ("PUT", "legal-hold"): "s3:PutObjectLegalHold",
}


@dataclass(frozen=True)
class Request:
    """What is asked for. `prefix`: the context's s3:prefix, None where the request has none."""

    action: str
    resource: str
    prefix: str | None = None


def request_of(method: str, path: str) -> Request | None:
    """None for a request that is not known here."""
    parts = urlsplit(path)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    query = parse_qs(parts.query, keep_blank_values=True)
    known = _OF_OBJECT if key else _OF_BUCKET
    sub = next((name for name in query if (method, name) in known and name), "")
    action = known.get((method, sub))
    if action is None:
        return None
    resource = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
    prefix = query["prefix"][0] if "prefix" in query and not key else None
    return Request(action, resource, prefix)


def allows(policy: dict[str, Any], request: Request) -> bool:
    """Whether a statement allows it and none denies it."""
    effects = [s["Effect"] for s in policy["Statement"] if _applies(s, request)]
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: dict[str, Any], request: Request) -> bool:
    return (
        any(_like(name, request.action) for name in _list(statement["Action"]))
        and any(_like(name, request.resource) for name in _list(statement["Resource"]))
        and all(
            _meets(operator, key, values, request)
            for operator, conditions in statement.get("Condition", {}).items()
            for key, values in conditions.items()
        )
    )


def _meets(operator: str, key: str, values: Any, request: Request) -> bool:
    context = {"s3:prefix": request.prefix}.get(key)
    if context is None:
        return operator.endswith("IfExists")
    assert operator.startswith("StringLike"), operator
    return any(_like(value, context) for value in _list(values))


def _like(pattern: str, text: str) -> bool:
    parts = (".*" if sign == "*" else "." if sign == "?" else re.escape(sign) for sign in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _list(content: Any) -> list[str]:
    return [content] if isinstance(content, str) else list(content)


class Enforcing:
    """Passes on what `policy` allows; the rest gets 403, as S3 answers it.

    `used` and `refused` have the requests since `become`.
    """

    def __init__(self, target: str) -> None:
        self.policy: dict[str, Any] = {"Statement": []}
        self.used: list[Request] = []
        self.refused: list[Request] = []
        self.unknown: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if not proxy._permits(self.command, self.path):
                    return self._answer(403, {"Content-Type": "application/xml"}, _DENIED)
                response = requests.request(
                    self.command,
                    target + self.path,
                    data=body,
                    headers=dict(self.headers),  # Host, too: it is signed
                    timeout=60,
                )
                # S3 does not tell those who may not list that an object is missing.
                if response.status_code == 404 and not proxy._may_list(self.path):
                    return self._answer(403, {"Content-Type": "application/xml"}, _DENIED)
                return self._answer(response.status_code, response.headers, response.content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815

            def _answer(self, status: int, headers: Any, body: bytes) -> None:
                self.send_response(status)
                left_out = {"connection", "date", "server", "transfer-encoding"}
                if self.command != "HEAD":
                    left_out.add("content-length")
                    self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    if name.lower() not in left_out:
                        self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        self._lock = threading.Lock()
        self._server = HttpServer(Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def become(self, policy: dict[str, Any]) -> None:
        """The credentials have this policy from now on."""
        with self._lock:
            self.policy, self.used, self.refused = policy, [], []

    def _permits(self, method: str, path: str) -> bool:
        if (method, path) == ("HEAD", "/"):  # without credentials: for the server's clock
            return True
        request = request_of(method, path)
        with self._lock:
            if request is None:
                self.unknown.append(f"{method} {path}")
                return False
            permitted = allows(self.policy, request)
            (self.used if permitted else self.refused).append(request)
            return permitted

    def _may_list(self, path: str) -> bool:
        bucket = unquote(urlsplit(path).path).lstrip("/").partition("/")[0]
        return allows(self.policy, Request("s3:ListBucket", f"arn:aws:s3:::{bucket}"))

    @contextmanager
    def running(self) -> Iterator[Enforcing]:
        with serving(self._server):
            yield self
