"""S3 as a store.

Belongs here: calls to S3 and what their errors mean. Does not: bucket rules (lifecycle,
locks), which belong to the bucket's own use case.
"""

from __future__ import annotations

import io
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  botocore's own: refused, timed out, TLS, proxy
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
)

from lake.base.errors import (
    Conflict,
    LakeError,
    Missing,
    PermanentError,
    Refused,
    TransientError,
)
from lake.base.faults import point
from lake.base.settings import S3Section
from lake.base.store.face import ObjectStat, Unfinished, Upload

_LOG = logging.getLogger(__name__)
_PART_BYTES = 8 << 20  # S3 takes parts of 5 MiB and more, 10,000 of them: 80 GB an object
_CHUNK = 4 << 20
_DEFAULT_REGION = "us-east-1"
_REFUSED = frozenset(
    {
        "403",
        "AccessDenied",
        "AllAccessDisabled",
        "ExpiredToken",
        "Forbidden",
        "InvalidAccessKeyId",
        "InvalidToken",
        "KMS.AccessDeniedException",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
_ABSENT = frozenset({"NoSuchKey", "NotFound", "404"})
_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_MARK = "lake-upload"  # metadata of an object: which upload it came from
_UNREACHABLE = (ConnectionError, HTTPClientError, IncompleteReadError)
_NO_CREDENTIALS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
)


class S3Store:
    """Objects below `s3://bucket[/prefix]`, with the credentials of the AWS default chain."""

    def __init__(self, root: str, section: S3Section, session: Any = None) -> None:
        bucket, _, prefix = root.removeprefix("s3://").partition("/")
        self.root = root
        self.bucket = bucket
        self.section = section
        self._prefix = prefix.rstrip("/") + "/" if prefix.strip("/") else ""
        self._session = session
        self._opening = Lock()  # boto3 sessions and their making of clients know no threads
        self._opened: Any = None
        self._bucket_seen = False
        self._put_options: dict[str, Any] = (
            {
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": section.kms_key_id,
                "BucketKeyEnabled": True,
            }
            if section.kms_key_id
            else {}
        )

    @cached_property
    def session(self) -> Any:
        """Where credentials and the region come from."""
        return self._session or boto3.Session(region_name=self.section.region)

    @property
    def _client(self) -> Any:
        with self._opening:
            self._opened = self._opened or self._open()
        return self._opened

    def _open(self) -> Any:
        config = Config(
            retries={"mode": "standard", "max_attempts": 4},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=32,
            s3={"addressing_style": "path" if self.section.endpoint_url else "auto"},
        )
        # With an endpoint of one's own the region is only part of the signature.
        region = self.section.region or self.session.region_name or _DEFAULT_REGION
        return self.session.client(
            "s3", endpoint_url=self.section.endpoint_url, region_name=region, config=config
        )

    def url(self, key: str) -> str:
        """`s3://bucket/…`."""
        return f"s3://{self.bucket}/{self._prefix}{key}"

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise self._explained(error, key) from error

    def stat(self, key: str) -> ObjectStat | None:
        """See Store."""
        try:
            with self._errors(key):
                head = self._client.head_object(Bucket=self.bucket, Key=self._prefix + key)
        except Missing:
            self._check_bucket()
            return None
        return ObjectStat(key, head["ContentLength"], head["ETag"].strip('"'))

    def _check_bucket(self) -> None:
        """A HEAD has no body: its 404 means the object or the whole bucket."""
        if not self._bucket_seen:
            try:
                with self._errors(""):
                    self._client.head_bucket(Bucket=self.bucket)
            except Missing:
                raise self._no_bucket() from None
            self._bucket_seen = True

    def bucket_exists(self) -> bool:
        """Raises LakeError where S3 does not answer or refuses."""
        try:
            self._check_bucket()
        except Missing:
            return False
        return True

    def create_bucket(self) -> None:
        """Creates the root's bucket in the region of the settings. Raises LakeError."""
        region = self._client.meta.region_name
        # AWS refuses the name of its default region here; other servers have one region only.
        elsewhere = not self.section.endpoint_url and region != _DEFAULT_REGION
        place = {"CreateBucketConfiguration": {"LocationConstraint": region}} if elsewhere else {}
        with self._errors(""):
            self._client.create_bucket(Bucket=self.bucket, **place)

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        """See Store. Sorted here: not every S3 server lists in the order of bytes."""
        found: list[ObjectStat] = []
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                found += [
                    ObjectStat(o["Key"].removeprefix(self._prefix), o["Size"], o["ETag"].strip('"'))
                    for o in page.get("Contents", ())
                ]
        yield from sorted(found, key=lambda stat: stat.key)

    def read(self, key: str) -> bytes:
        """See Store."""
        return b"".join(self.chunks(key))

    def chunks(self, key: str, start: int = 0) -> Iterator[bytes]:
        """See Store."""
        stretch = {"Range": f"bytes={start}-"} if start else {}
        with self._errors(key):
            answer = self._client.get_object(Bucket=self.bucket, Key=self._prefix + key, **stretch)
            yield from answer["Body"].iter_chunks(_CHUNK)

    def write(self, key: str, data: bytes, replaces: str | None = None) -> None:
        """See Store."""
        with self.upload(key, replaces) as upload:
            upload.write(data)

    @contextmanager
    def upload(self, key: str, replaces: str | None = None) -> Iterator[Upload]:
        """See Store: one PUT for what fits a part, else a multipart upload."""
        upload = _S3Upload(self, key, replaces)
        point("begin", key)
        try:
            yield upload
            upload.finish()
        except BaseException:
            upload.abort()
            raise

    def delete(self, key: str) -> None:
        """See Store."""
        point("delete", key)
        with self._errors(key):
            self._client.delete_object(Bucket=self.bucket, Key=self._prefix + key)
        point("deleted", key)

    def unfinished(self, prefix: str) -> tuple[Unfinished, ...]:
        """See Store: multipart uploads. S3 does not tell whose they are."""
        with self._errors(prefix):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=self._prefix + prefix
            )
            return tuple(
                Unfinished(
                    one["Key"].removeprefix(self._prefix), one["UploadId"], one["Initiated"], None
                )
                for page in pages
                for one in page.get("Uploads", ())
            )

    def abandon(self, upload: Unfinished) -> None:
        """See Store."""
        with self._errors(upload.key):
            self._client.abort_multipart_upload(
                Bucket=self.bucket, Key=self._prefix + upload.key, UploadId=upload.id
            )

    def _where(self, key: str) -> str:
        return f"{self.url(key)} at {self.section.endpoint_url or 'AWS'}"

    def _no_bucket(self) -> Missing:
        return Missing(
            "no such bucket",
            where=self._where(""),
            found=self.bucket,
            remedy="create it or correct [lake] root",
        )

    def _explained(self, error: ClientError | BotoCoreError, key: str) -> LakeError:
        if isinstance(error, ClientError):
            return self._answered(error, key)
        where = self._where(key)
        if isinstance(error, _NO_CREDENTIALS):
            return Refused(
                "no AWS credentials",
                where=where,
                found=error,
                remedy="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or a role",
            )
        if isinstance(error, _UNREACHABLE):
            return TransientError(
                "S3 can't be reached",
                where=where,
                found=error,
                remedy="check [s3] endpoint_url and region, and that the server is up",
            )
        return PermanentError(
            "S3 can't be asked", where=where, found=error, remedy="check [s3] and the AWS settings"
        )

    def _answered(self, error: ClientError, key: str) -> LakeError:
        where = self._where(key)
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "NoSuchBucket":
            return self._no_bucket()
        if code in _ABSENT:
            return Missing("no such object", where=where)
        if code in _CHANGED or status == 412:
            return Conflict("somebody else has written it meanwhile", where=where)
        if code in _REFUSED:
            return Refused(
                "S3 refused",
                where=where,
                found=error,
                remedy="check the credentials and that they may read, write and list there",
            )
        if status >= 500 or status == 429 or code == "RequestTimeout":
            return TransientError("S3 failed", where=where, found=error, remedy="try again")
        return PermanentError(
            "S3 refused", where=where, found=error, remedy="check [s3] region and [lake] root"
        )


class _S3Upload:
    """Its parts, and at the end the object.

    The object bears the upload's mark: where the answer to the last request is lost, or a
    repeated one meets what the first has done, the mark tells whether it arrived.
    """

    def __init__(self, store: S3Store, key: str, replaces: str | None) -> None:
        self._store = store
        self._key = key
        self._buffer = io.BytesIO()
        self._id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._mark = uuid.uuid4().hex
        self._begin: dict[str, Any] = {**store._put_options, "Metadata": {_MARK: self._mark}}
        self._condition: dict[str, str] = {}
        if replaces is not None:
            matching = {"IfMatch": f'"{replaces}"'}
            self._condition = matching if replaces else {"IfNoneMatch": "*"}
        self._failed: BaseException | None = None
        self.etag = ""

    @property
    def _target(self) -> dict[str, str]:
        return {"Bucket": self._store.bucket, "Key": self._store._prefix + self._key}

    def write(self, data: bytes | memoryview) -> int:
        if self._failed:  # writers that close after an error still have a footer to write
            return len(data)
        taken = self._buffer.write(data)
        if self._buffer.tell() >= _PART_BYTES:
            try:
                self._send_part()
            except BaseException as error:
                self._failed = error
                raise
        return taken

    def _send_part(self) -> None:
        store = self._store
        with store._errors(self._key):
            if self._id is None:
                begun = store._client.create_multipart_upload(**self._target, **self._begin)
                self._id = begun["UploadId"]
            number = len(self._parts) + 1
            part = store._client.upload_part(
                **self._target, UploadId=self._id, PartNumber=number, Body=self._buffer.getvalue()
            )
        self._parts.append({"ETag": part["ETag"], "PartNumber": number})
        self._buffer = io.BytesIO()
        point("part", self._key)

    def finish(self) -> None:
        if self._failed:
            raise self._failed
        if self._id is not None and self._buffer.tell():
            self._send_part()
        point("complete", self._key)
        try:
            with self._store._errors(self._key):
                self.etag = (self._put if self._id is None else self._complete)()["ETag"].strip('"')
        except LakeError:
            if not self._arrived():
                raise
        point("done", self._key)

    def _put(self) -> Any:
        return self._store._client.put_object(
            **self._target, **self._begin, **self._condition, Body=self._buffer.getvalue()
        )

    def _complete(self) -> Any:
        return self._store._client.complete_multipart_upload(
            **self._target,
            **self._condition,
            UploadId=self._id,
            MultipartUpload={"Parts": self._parts},
        )

    def _arrived(self) -> bool:
        """Whether the object is from this upload. What goes wrong here hides no other error."""
        try:
            with self._store._errors(self._key):
                found = self._store._client.head_object(**self._target)
        except LakeError:
            return False
        self.etag = found["ETag"].strip('"')
        return bool(found.get("Metadata", {}).get(_MARK) == self._mark)

    def abort(self) -> None:
        """A multipart upload left open is billed and invisible.

        Called where an error is on its way already, which must not be hidden by another.
        """
        self._failed = self._failed or PermanentError("the upload has ended")
        if self._id is None:
            return
        try:
            with self._store._errors(self._key):
                self._store._client.abort_multipart_upload(**self._target, UploadId=self._id)
        except LakeError as error:
            _LOG.warning("an unfinished upload stays behind, %s: %s", self._id, error)
