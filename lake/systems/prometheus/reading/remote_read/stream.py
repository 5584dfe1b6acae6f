"""An answer taken apart while it arrives; its chunks go to a file, as they stand.

Belongs here: the two forms of an answer, what is kept of each. Does not: HTTP, samples.

What is kept of a series is less than two bytes per sample, so a day fits on the disk, and its
series can be read back in the order that the table wants.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lake.base.errors import BadData, TransientError
from lake.systems.prometheus.reading.remote_read import message_loops
from lake.systems.prometheus.reading.remote_read.request import SAMPLED, STREAMED

_FIRST_BYTES = 1 << 20
_ROWS = 4096
_RESULTS = 0x0A  # of a ReadResponse: field 1, with a length
_LARGEST_BODY = 1 << 30  # of the sampled form, uncompressed


class Unavailable(Exception):
    """This server's remote read can't be used for this dataset; the text is the reason."""


@dataclass
class Spool:
    """One answer in a file. Series by their place: labels as protobuf, where their data are.

    A series may come several times. `encodings` has a bit per encoding (1 << XOR, …; bit 0:
    samples, not chunks); `samples` counts those outside of the requested range, too.
    """

    path: Path
    form: str = STREAMED
    labels: list[bytes] = field(default_factory=list)
    start: array[int] = field(default_factory=lambda: array("q"))
    stop: array[int] = field(default_factory=lambda: array("q"))
    samples: array[int] = field(default_factory=lambda: array("q"))
    encodings: array[int] = field(default_factory=lambda: array("b"))

    def add(self, labels: bytes, size: int, samples: int, encodings: int) -> None:
        """The next piece of the file; joined to the last one if that has the same labels."""
        if self.labels and self.labels[-1] == labels:
            self.stop[-1] += size
            self.samples[-1] += samples
            self.encodings[-1] |= encodings
            return
        begun = self.stop[-1] if self.stop else 0
        self.labels.append(labels)
        self.start.append(begun)
        self.stop.append(begun + size)
        self.samples.append(samples)
        self.encodings.append(encodings)


class Spooler:
    """Takes the body of one request; a repetition starts over.

    A sink of lake.http.client; `spool` is there after `end`. Raises TransientError for a
    body that broke off or was changed on its way, BadData for one that is something else,
    Unavailable for native histograms in the sampled form.
    """

    spool: Spool

    def __init__(self, path: Path, where: str) -> None:
        self._path = path
        self._where = where
        self._file: Any = None

    def begin(self, headers: Mapping[str, str]) -> None:
        """Empties the file: an earlier answer may have broken off."""
        self.close()
        kind = headers.get("Content-Type", "")
        if not kind.startswith((STREAMED, SAMPLED)):
            raise BadData(
                "not a response to a remote read",
                where=self._where,
                expected=f"{STREAMED} or {SAMPLED}",
                found=kind or "no Content-Type",
            )
        self._spool = Spool(self._path, STREAMED if kind.startswith(STREAMED) else SAMPLED)
        self._file = self._path.open("wb", buffering=0)
        self._held = np.empty(_FIRST_BYTES, np.uint8)
        self._filled = 0
        self._kept = np.empty(0, np.uint8)
        self._rows = np.zeros((_ROWS, message_loops.ROW_FIELDS), np.int64)

    def feed(self, piece: bytes) -> None:
        """The next bytes of the body, of any length."""
        needed = self._filled + len(piece)
        if needed > len(self._held):
            grown = np.empty(max(needed, 2 * len(self._held)), np.uint8)
            grown[: self._filled] = self._held[: self._filled]
            self._held = grown
        self._held[self._filled : needed] = np.frombuffer(piece, np.uint8)
        self._filled = needed
        if self._spool.form == STREAMED:
            self._take_frames()
        elif needed > _LARGEST_BODY:
            raise BadData("a response of more than 1 GiB", where=self._where)

    def end(self) -> None:
        """Everything has arrived."""
        if self._spool.form == SAMPLED:
            self._take_samples()
        elif self._filled:
            raise TransientError(
                "the response was cut off, or ended with an error",
                where=self._where,
                found=f"{self._filled} bytes of an unfinished frame: {self._tail()}",
            )
        self.close()
        self.spool = self._spool

    def close(self) -> None:
        """The file is complete, or no longer wanted."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take_frames(self) -> None:
        at = 0
        while True:
            if len(self._kept) < len(self._held):
                self._kept = np.empty(len(self._held), np.uint8)
            code, stop, kept, rows = message_loops.scan(
                self._held, at, self._filled, message_loops.CRC_TABLES, self._kept, self._rows
            )
            if code != message_loops.MORE:
                self._refuse(code, self._rows[rows])
            self._keep(kept, rows)
            if stop == at:
                break
            at = stop
        self._held[: self._filled - at] = self._held[at : self._filled].copy()
        self._filled -= at

    def _take_samples(self) -> None:
        body = self._held[: self._filled]
        self._held = np.empty(0, np.uint8)
        size, start = message_loops.varint(body, 0, len(body))
        try:
            if start < 0 or not 0 <= size <= _LARGEST_BODY:
                raise ValueError("its length is missing or too large")
            plain = pa.Codec("snappy").decompress(pa.py_buffer(body), decompressed_size=size)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise TransientError(
                "the response is not a snappy block", where=self._where, found=error
            ) from None
        message = np.frombuffer(bytearray(plain), np.uint8)
        self._held, self._kept = message, np.empty(len(message), np.uint8)
        # One query was sent, so there is one result.
        tag, at, end, _ = message_loops.field(message, 0, len(message))
        if len(message) and (tag != _RESULTS or end != len(message)):
            raise unreadable(self._where)
        while at < end:
            code, at, kept, rows = message_loops.scan_samples(
                message, at, end, self._kept, self._rows
            )
            if code not in (message_loops.OK, message_loops.MORE):
                self._refuse(code, self._rows[rows])
            self._keep(kept, rows)
        self._held = np.empty(0, np.uint8)

    def _keep(self, kept: int, rows: int) -> None:
        view = self._kept[:kept].data
        while view:
            view = view[self._file.write(view) :]
        for row in self._rows[:rows].tolist():
            start, end = row[message_loops.LABELS_START], row[message_loops.LABELS_END]
            labels = self._held[start:end].tobytes()
            size = row[message_loops.CHUNKS_END] - row[message_loops.CHUNKS_START]
            self._spool.add(labels, size, row[message_loops.SAMPLES], row[message_loops.ENCODINGS])

    def _tail(self) -> str:
        """Versions that fail in the middle of an answer write their message into it."""
        tail = self._held[: self._filled][-200:].tobytes()
        return repr(tail.decode("ascii", errors="replace"))

    def _refuse(self, code: int, row: Any) -> None:
        """Raises what the code stands for."""
        if code == message_loops.UNKNOWN_ENCODING and self._spool.form == SAMPLED:
            raise Unavailable("native histograms, without chunks")
        if code == message_loops.UNKNOWN_ENCODING:
            raise unknown_encoding(int(row[message_loops.ENCODINGS]), self._where)
        if code in (message_loops.BAD_CHECKSUM, message_loops.BAD_LENGTH):
            raise TransientError(
                "a frame's checksum is wrong: the answer was damaged, or ended with an error",
                where=self._where,
                found=self._tail(),
            )
        raise unreadable(self._where)


def unknown_encoding(encoding: int, where: str) -> BadData:
    """The message for a chunk of that encoding."""
    return BadData(
        "a chunk of an encoding that is not known here",
        where=where,
        expected="1 (XOR), 2 (histogram) or 3 (float histogram)",
        found=encoding,
        remedy="turn off the server's experimental encodings (storage.tsdb.chunk_encoding, "
        "features xor2-encoding and histograms-st-encoding), or export in mode range",
    )


def unreadable(where: str) -> BadData:
    """The message for bytes that are neither message nor chunk."""
    return BadData("a response to a remote read that can't be read", where=where)


def read_pieces(file: int, pieces: list[tuple[int, int]]) -> np.ndarray[Any, Any]:
    """The pieces (start, stop) of an open file, one after another."""
    data = np.empty(sum(stop - start for start, stop in pieces), np.uint8)
    filled = 0
    for start, stop in pieces:
        end = filled + stop - start
        while filled < end:
            got = os.preadv(file, [data[filled:end].data], stop - (end - filled))
            if not got:
                raise BadData("a work file is shorter than it was written")
            filled += got
    return data
