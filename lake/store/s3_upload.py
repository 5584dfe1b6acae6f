"""An object on its way to S3.

Belongs here: one PUT or a multipart upload, whether it arrived. Does not: what S3's errors mean.
"""

from __future__ import annotations

import io
import logging
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from lake.base.errors import LakeError, PermanentError
from lake.base.faults import point

_LOG = logging.getLogger(__name__)
PART_BYTES = 8 << 20  # S3 takes parts of 5 MiB and more, 10,000 of them: 80 GB an object
_MARK = "lake-upload"  # metadata of an object: which upload it came from


class S3Upload:
    """An `Upload` to S3: its parts, and at the end the object.

    The object bears the upload's mark: where the answer to the last request is lost, or a
    repeated one meets what the first has done, the mark shows whether it arrived.
    """

    def __init__(
        self,
        client: Any,
        target: Mapping[str, str],
        key: str,
        errors: Callable[[str], AbstractContextManager[None]],
        options: Mapping[str, Any],
        replaces: str | None,
    ) -> None:
        """`target` is the object in its bucket, `key` its name in the store; `errors` makes
        S3's errors of a key LakeErrors; `replaces` is as for `Store.upload`.
        """
        self._client = client
        self._target = target
        self._key = key
        self._errors = errors
        self._buffer = io.BytesIO()
        self._id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._mark = uuid.uuid4().hex
        self._begin: dict[str, Any] = {**options, "Metadata": {_MARK: self._mark}}
        self._condition: dict[str, str] = {}
        if replaces is not None:
            matching = {"IfMatch": f'"{replaces}"'}
            self._condition = matching if replaces else {"IfNoneMatch": "*"}
        self._failed: BaseException | None = None
        self.etag = ""

    def write(self, data: bytes | memoryview) -> int:
        """See Upload."""
        if self._failed:  # writers that close after an error still have a footer to write
            return len(data)
        taken = self._buffer.write(data)
        if self._buffer.tell() >= PART_BYTES:
            try:
                self._send_part()
            except BaseException as error:
                self._failed = error
                raise
        return taken

    def _send_part(self) -> None:
        with self._errors(self._key):
            if self._id is None:
                begun = self._client.create_multipart_upload(**self._target, **self._begin)
                self._id = begun["UploadId"]
            number = len(self._parts) + 1
            part = self._client.upload_part(
                **self._target, UploadId=self._id, PartNumber=number, Body=self._buffer.getvalue()
            )
        self._parts.append({"ETag": part["ETag"], "PartNumber": number})
        self._buffer = io.BytesIO()
        point("part", self._key)

    def finish(self) -> None:
        """Sends what is left and makes the object. Raises LakeError."""
        if self._failed:
            raise self._failed
        if self._id is not None and self._buffer.tell():
            self._send_part()
        point("complete", self._key)
        try:
            with self._errors(self._key):
                self.etag = (self._put if self._id is None else self._complete)()["ETag"].strip('"')
        except LakeError:
            if not self._arrived():
                raise
        point("done", self._key)

    def _put(self) -> Any:
        return self._client.put_object(
            **self._target, **self._begin, **self._condition, Body=self._buffer.getvalue()
        )

    def _complete(self) -> Any:
        return self._client.complete_multipart_upload(
            **self._target,
            **self._condition,
            UploadId=self._id,
            MultipartUpload={"Parts": self._parts},
        )

    def _arrived(self) -> bool:
        """Whether the object is from this upload. What goes wrong here hides no other error."""
        try:
            with self._errors(self._key):
                head = self._client.head_object(**self._target)
        except LakeError:
            return False
        self.etag = str(head.get("ETag", "")).strip('"')
        return bool(head.get("Metadata", {}).get(_MARK) == self._mark)

    def abort(self) -> None:
        """Ends an upload that failed: a multipart upload left open is billed and invisible.

        Called where an error is on its way already, which must not be hidden by another.
        """
        self._failed = self._failed or PermanentError("the upload has ended")
        if self._id is None:
            return
        try:
            with self._errors(self._key):
                self._client.abort_multipart_upload(**self._target, UploadId=self._id)
        except LakeError as error:
            _LOG.warning("an unfinished upload stays behind, %s: %s", self._id, error)
