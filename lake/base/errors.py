"""The exceptions of the lake.

LakeError
├── UsageError                wrong command line or configuration: exit status 2
│   └── ConfigError           lake.toml or an environment variable
├── PermanentError            a retry does not fix it
│   ├── Refused               the other side refused: credentials, permission, 4xx
│   ├── BadData               an answer or object that can't be what it claims to be
│   ├── Incomplete            a read smaller than the source's own count, suspicious shrinkage
│   ├── Missing               an object, manifest, server binary or port is not there
│   └── Stopped               the work was ended on request
└── TransientError            a retry may fix it: unreachable, timeout, 5xx, 429
    └── Conflict              modified by another writer

Belongs here: the tree and how a message reads. Does not: who raises what.
"""

from __future__ import annotations

from typing import Any

from lake.base.printable import shown_lines
from lake.base.redaction import redact


class LakeError(Exception):
    """A failure, described by what, where, expected, found and remedy.

    `str(error)` is ready for people: known secrets are already replaced.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        found: object = None,
        remedy: str | None = None,
    ) -> None:
        parts = {"where": where, "expected": expected, "found": found, "remedy": remedy}
        self.what = redact(what)
        self.parts = {name: redact(str(part)) for name, part in parts.items() if part is not None}
        super().__init__(self.what)

    def __str__(self) -> str:
        """With what `add_note` has added. A value of the lake in it must not steer a terminal."""
        parts = (f"  {name}: {part}" for name, part in self.parts.items())
        notes = (f"  note: {redact(note)}" for note in getattr(self, "__notes__", ()))
        return shown_lines("\n".join([self.what, *parts, *notes]))


class UsageError(LakeError):
    """A wrong command line. `shows_help`: whether the command's help lists what is right."""

    exit_code = 2
    shows_help = True


class ConfigError(UsageError):
    """lake.toml or an environment variable is wrong."""

    shows_help = False


class PermanentError(LakeError):
    """A retry does not fix it."""


class Refused(PermanentError):
    """The server refused: credentials, permissions, a request that it does not accept."""


class BadData(PermanentError):
    """A response or an object that is not what it claims to be."""


class Incomplete(PermanentError):
    """A read returned fewer rows than it must."""


class Missing(PermanentError):
    """Something required does not exist."""


class Stopped(PermanentError):
    """The work was ended on request, before it was done."""

    def __init__(self, what: str = "stopped on request", **parts: Any) -> None:
        super().__init__(what, **parts)


class TransientError(LakeError):
    """A retry may fix it: unreachable, timed out, overloaded."""


class Conflict(TransientError):
    """The object to replace has been modified by another writer."""
