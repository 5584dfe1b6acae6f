"""A disk that is full: files of this process have at most so many bytes."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def files_of_at_most(number: int) -> Iterator[None]:
    """Modules that are imported meanwhile are not kept compiled: Python 3.11 keeps half of one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    keeps = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sys.dont_write_bytecode = keeps
