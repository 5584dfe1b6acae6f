"""A check of a bucket: the actual setting, the wanted one, and how to set it.

Belongs here: the two base classes. Does not: any of S3's calls (settings, aging).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from lake.bucket.calls import Bucket


class BucketCheck(ABC):
    """What is compared. `reads`: the action of IAM that its call needs.

    States are values of JSON; `fresh` is the one of a new bucket.
    """

    name: ClassVar[str]
    reads: ClassVar[str]
    fresh: ClassVar[Any] = None

    @abstractmethod
    def current(self, bucket: Bucket) -> Any:
        """As S3 returns it. Raises Unsupported, Denied, LakeError."""

    @abstractmethod
    def wanted(self, bucket: Bucket, current: Any) -> Any:
        """What has to be there, with what others have set and does not contradict."""

    def shown(self, state: Any) -> Any:
        """The state in one spelling, so that equal states compare equal."""
        return state

    def obstacle(self, bucket: Bucket) -> str:
        """Why it can't be set here; "" where it can."""
        del bucket
        return ""

    def notes(self, bucket: Bucket, current: Any) -> Iterator[str]:
        """What to know about it."""
        del bucket, current
        yield from ()


class Setting(BucketCheck):
    """What is compared and set. `irreversible`: why a change needs confirmation."""

    writes: ClassVar[str]
    irreversible: ClassVar[str] = ""

    @abstractmethod
    def write(self, bucket: Bucket, wanted: Any) -> None:
        """Raises Unsupported, Denied, LakeError."""
