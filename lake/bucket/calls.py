"""Calls about the bucket, and what a refusal of one means.

Belongs here: codes of S3 and of other servers. Does not: what is set (settings).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from lake.base.errors import PermanentError, Refused
from lake.config.bucket import BucketSection
from lake.store.s3 import S3Store
from lake.store.s3_failures import code_of, status_of

_MISSING_HERE = frozenset({"NotImplemented", "XNotImplemented", "NotSupported", "MethodNotAllowed"})
_NOT_UNDERSTOOD = frozenset({"MalformedXML"})
_DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "Forbidden", "UnauthorizedAccess", "403"})


class Unsupported(PermanentError):
    """The server does not implement the call, or not this content of it."""


class Denied(Refused):
    """The credentials may not make the call; the message names the action of IAM."""


class Bucket:
    """The bucket of an S3 root, with `[bucket]`."""

    def __init__(self, store: S3Store, section: BucketSection) -> None:
        self.store = store
        self.section = section
        self.name = store.bucket
        self.root = store.prefix

    @property
    def kms_key_id(self) -> str | None:
        """`[s3] kms_key_id`."""
        return self.store.section.kms_key_id

    @cached_property
    def partition(self) -> str:
        """The first part of ARNs: `aws`, or that of another set of regions."""
        name = self.store.session.get_partition_for_region(self.store.region)
        return str(name)

    @property
    def arn(self) -> str:
        """The bucket's."""
        return f"arn:{self.partition}:s3:::{self.name}"

    @property
    def on_aws(self) -> bool:
        """Whether it is AWS's S3; others have no regions and seldom all settings."""
        return self.store.endpoint_url is None

    @property
    def has_tls(self) -> bool:
        """Whether requests go by HTTPS."""
        return self.store.address.startswith("https://")

    def read(
        self, operation: str, action: str, key: str = "", absent: str = ""
    ) -> dict[str, Any] | None:
        """The answer; None where S3 returns the code `absent`, for what was never set.

        `key`: what each answer has. Servers that ignore the query string list the bucket instead.
        """
        try:
            answer = self.store.of_bucket(operation)
        except ClientError as error:
            if absent and code_of(error) == absent:
                return None
            raise self._refused(error, action, frozenset()) from error
        if key and key not in answer:
            raise Unsupported("the server does not implement it", found=f"an answer without {key}")
        return answer

    def write(self, operation: str, action: str, **parameters: Any) -> None:
        """Raises Unsupported, Denied, or what else it means."""
        try:
            self.store.of_bucket(operation, **parameters)
        except ClientError as error:
            raise self._refused(error, action, _NOT_UNDERSTOOD) from error

    def _refused(self, error: ClientError, action: str, more: frozenset[str]) -> Exception:
        code, message = code_of(error), str(error.response.get("Error", {}).get("Message", ""))
        found = f"{code}: {message}".strip(": ")
        if code in _MISSING_HERE | more or status_of(error) in (405, 501):
            return Unsupported("the server does not implement it", found=found)
        if code in _DENIED:
            return Denied(
                f"needs {action}",
                where=self.arn,
                found=found,
                remedy=f"allow {action}; `lake bucket policy admin` prints all that is needed",
            )
        return self.store.explain(error)
