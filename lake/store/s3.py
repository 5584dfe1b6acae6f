"""S3 as a store.

Belongs here: calls to S3. Does not: the client that makes them (s3_connection), what their errors
mean (s3_failures), bucket rules (lifecycle, locks), which belong to the bucket's own use case.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lake.base.errors import LakeError, Missing
from lake.base.faults import point
from lake.config.settings import S3Section
from lake.store.protocol import ObjectStat, ObjectVersion, Unfinished, Upload
from lake.store.s3_connection import S3Connection, is_aws
from lake.store.s3_failures import code_of, endless_redirect, explained, no_answer_of_s3
from lake.store.s3_upload import S3Upload

_LOG = logging.getLogger(__name__)
_CHUNK = 4 << 20
_DEFAULT_REGION = "us-east-1"
# Of HEAD, whose answers have no body: the reason comes with another question.
_WITHOUT_REASON = frozenset({"301", "307", "400", "403"})
_PARALLEL_HOLDS = 8
# What servers answer for a bucket without Object Lock, or that have none.
_WITHOUT_LOCK = frozenset(
    {
        "ObjectLockConfigurationNotFoundError",
        "NoSuchObjectLockConfiguration",
        "NotImplemented",
        "MethodNotAllowed",
        "XNotImplemented",
    }
)
_OPERATION_OF_HEAD = ("HeadObject", "HeadBucket")


class S3Store:
    """Objects below `s3://bucket[/prefix]`, with the credentials of the AWS default chain."""

    objects_a_thread = 1

    def __init__(self, root: str, section: S3Section, session: Any = None) -> None:
        bucket, _, prefix = root.removeprefix("s3://").partition("/")
        self.root = root
        self.bucket = bucket
        self.section = section
        self._prefix = prefix.rstrip("/") + "/" if prefix.strip("/") else ""
        self._connection = S3Connection(self.url(""), section, session)
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

    @property
    def session(self) -> Any:
        """Where credentials and the region come from."""
        return self._connection.session

    @property
    def _client(self) -> Any:
        return self._connection.client

    @property
    def endpoint_url(self) -> str | None:
        """The server's address where it is not AWS: of [s3], the environment or a profile.

        Raises LakeError where the AWS settings can't be used.
        """
        address = self.address
        return None if is_aws(address) else address

    @property
    def region(self) -> str:
        """That of [s3], the environment or a profile; AWS's default where none is set."""
        with self._errors(""):
            return str(self._client.meta.region_name)

    def url(self, key: str) -> str:
        """`s3://bucket/…`."""
        return f"s3://{self.bucket}/{self._prefix}{key}"

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise self._explained(error, key) from error
        except KeyError as error:
            raise no_answer_of_s3(self._where(key), f"an answer without {error}") from error
        except RecursionError as error:
            raise endless_redirect(self._where(key)) from error

    def stat(self, key: str) -> ObjectStat | None:
        """See Store."""
        try:
            with self._errors(key):
                head = self._client.head_object(Bucket=self.bucket, Key=self._prefix + key)
                return ObjectStat(key, head["ContentLength"], head["ETag"].strip('"'))
        except Missing:
            self._check_bucket()
            return None

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

    @property
    def prefix(self) -> str:
        """What every key of the root begins with: "" or "…/"."""
        return self._prefix

    @property
    def address(self) -> str:
        """The URL that requests go to."""
        with self._errors(""):
            return str(self._client.meta.endpoint_url)

    def create_bucket(self, **options: Any) -> None:
        """Creates the root's bucket in the region of the settings. Raises LakeError."""
        # AWS refuses the name of its default region here; other servers have one region only.
        elsewhere = not self.section.endpoint_url and self.region != _DEFAULT_REGION
        if elsewhere:
            options["CreateBucketConfiguration"] = {"LocationConstraint": self.region}
        with self._errors(""):
            self._client.create_bucket(Bucket=self.bucket, **options)

    def of_bucket(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a call about the bucket itself: `get_bucket_policy`, say.

        Raises ClientError as it is, because its code is a part of the answer; `explain` makes a
        LakeError of it. Raises LakeError for everything else.
        """
        try:
            answer = getattr(self._client, operation)(Bucket=self.bucket, **parameters)
        except BotoCoreError as error:
            raise self._explained(error, "") from error
        return dict(answer)

    def explain(self, error: ClientError) -> LakeError:
        """What an error of `of_bucket` means."""
        return self._explained(error, "")

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        """See Store. Sorted here: not every S3 server lists in the order of bytes."""
        stats: list[ObjectStat] = []
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                page["IsTruncated"]  # a web page would else be an empty list
                stats += [
                    ObjectStat(
                        o["Key"].removeprefix(self._prefix),
                        o["Size"],
                        o["ETag"].strip('"'),
                        o["LastModified"],
                    )
                    for o in page.get("Contents", ())
                ]
        yield from sorted(stats, key=lambda stat: stat.key)

    def versions(self, prefix: str, *, noncurrent: bool = True) -> Iterator[ObjectVersion]:
        """See Store."""
        operation = "list_object_versions" if noncurrent else "list_objects_v2"
        with self._errors(prefix):
            pages = self._client.get_paginator(operation).paginate(
                Bucket=self.bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                page["IsTruncated"]  # a web page would else be an empty list
                for member in ("Versions", "DeleteMarkers", "Contents"):
                    for listed in page.get(member, ()):
                        yield self._version(listed, deleted=member == "DeleteMarkers")

    def _version(self, listed: dict[str, Any], *, deleted: bool) -> ObjectVersion:
        return ObjectVersion(
            listed["Key"].removeprefix(self._prefix),
            listed.get("Size", 0),
            listed["LastModified"],
            listed.get("StorageClass") or "STANDARD",
            listed.get("IsLatest", True),
            deleted,
        )

    def read(self, key: str) -> bytes:
        """See Store."""
        return b"".join(self.chunks(key))

    def chunks(self, key: str, start: int = 0) -> Iterator[bytes]:
        """See Store."""
        stretch = {"Range": f"bytes={start}-"} if start else {}
        with self._errors(key):
            answer = self._client.get_object(Bucket=self.bucket, Key=self._prefix + key, **stretch)
            answer["ETag"]
            yield from answer["Body"].iter_chunks(_CHUNK)

    def write(self, key: str, data: bytes, replaces: str | None = None) -> None:
        """See Store."""
        with self.upload(key, replaces) as upload:
            upload.write(data)

    @contextmanager
    def upload(self, key: str, replaces: str | None = None) -> Iterator[Upload]:
        """See Store: one PUT for what fits a part, else a multipart upload."""
        target = {"Bucket": self.bucket, "Key": self._prefix + key}
        with self._errors(key):
            client = self._client
        upload = S3Upload(client, target, key, self._errors, self._put_options, replaces)
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
        """See Store: multipart uploads. S3 does not report their owner, nor SeaweedFS before 4.48
        when they began.
        """
        with self._errors(prefix):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=self._prefix + prefix
            )
            return tuple(
                Unfinished(
                    upload["Key"].removeprefix(self._prefix),
                    upload["UploadId"],
                    upload.get("Initiated"),
                    None,
                )
                for page in pages
                for upload in page.get("Uploads", ())
            )

    def abandon(self, upload: Unfinished) -> None:
        """See Store."""
        with self._errors(upload.key):
            self._client.abort_multipart_upload(
                Bucket=self.bucket, Key=self._prefix + upload.key, UploadId=upload.id
            )

    def locks(self) -> bool:
        """See Store: whether the bucket has Object Lock on."""
        with self._errors(""):
            try:
                answer = self._client.get_object_lock_configuration(Bucket=self.bucket)
            except ClientError as error:
                if code_of(error) in _WITHOUT_LOCK:
                    return False
                raise
        configuration = answer.get("ObjectLockConfiguration", {})
        return bool(configuration.get("ObjectLockEnabled") == "Enabled")

    def set_legal_holds(self, prefix: str, wanted: Callable[[str], bool], *, on: bool) -> int:
        """See Store. Versions that a delete marker hides are held, too."""
        with self._errors(prefix):
            pages = self._client.get_paginator("list_object_versions").paginate(
                Bucket=self.bucket, Prefix=self._prefix + prefix
            )
            versions = [
                (version["Key"], version["VersionId"])
                for page in pages
                for version in page.get("Versions", ())
                if wanted(version["Key"].removeprefix(self._prefix))
            ]
        with ThreadPoolExecutor(_PARALLEL_HOLDS) as pool:
            list(pool.map(lambda version: self._set_legal_hold(*version, on=on), versions))
        return len(versions)

    def _set_legal_hold(self, key: str, version: str, *, on: bool) -> None:
        with self._errors(key.removeprefix(self._prefix)):
            self._client.put_object_legal_hold(
                Bucket=self.bucket,
                Key=key,
                VersionId=version,
                LegalHold={"Status": "ON" if on else "OFF"},
            )

    def _where(self, key: str) -> str:
        return f"{self.url(key)} at {self._connection.address}"

    def _no_bucket(self) -> Missing:
        return Missing(
            "no such bucket",
            where=self._where(""),
            found=self.bucket,
            remedy="`lake bucket apply` creates it; or correct [lake] root",
        )

    def _explained(self, error: ClientError | BotoCoreError, key: str) -> LakeError:
        if isinstance(error, ClientError):
            if error.operation_name in _OPERATION_OF_HEAD and code_of(error) in _WITHOUT_REASON:
                error = self._with_reason(error)
            if code_of(error) == "NoSuchBucket":
                return self._no_bucket()
        return explained(error, self._where(key))

    def _with_reason(self, error: ClientError) -> ClientError:
        """The same refusal with S3's code; as it is where a question with a body is answered."""
        try:
            self._client.list_objects_v2(Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1)
        except ClientError as with_reason:
            return with_reason
        except (BotoCoreError, RecursionError) as other:
            _LOG.debug("no reason: %s", other)
        return error
