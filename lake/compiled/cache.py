"""Where machine code is kept, and when it is too old.

Belongs here: the folder of a module's machine code, the key that its name is. Does not: compiling.

numba itself looks at the one file in which a loop stands. A loop is compiled together with the
functions that it calls and the constants that it reads, in other files: here the key covers each
file of the project that the loop's file imports, directly or not, and the versions of numba and
llvmlite. So an edit never runs stale machine code, and two checkouts of one state share it.
"""

# numba does not type what it takes.
# mypy: ignore-errors
from __future__ import annotations

import ast
import contextlib
import fcntl
import hashlib
import importlib.metadata
import inspect
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from numba.core import caching, config

from lake.base.cache import cache_dir
from lake.base.errors import UsageError

_log = logging.getLogger(__name__)
_UNUSED_DAYS = 30
# A loop takes seconds to compile; beside others, or in a process that was suspended, longer.
_WAIT_S, _LOOK_S = 60, 0.02
_LOCATOR = f"{__name__}.Locator"
_decorating = threading.RLock()


@contextmanager
def kept(function: Callable[..., Any]) -> Iterator[bool]:
    """Has numba keep the machine code of what is compiled inside; False where nothing can be."""
    folder = _folder(function.__module__)
    if folder is None:
        yield False
        return
    # The documented switch, for the time being only: other users of numba keep their own.
    with _decorating, _after_others(folder):
        others, config.CACHE_LOCATOR_CLASSES = config.CACHE_LOCATOR_CLASSES, _LOCATOR
        try:
            yield True
        finally:
            config.CACHE_LOCATOR_CLASSES = others


@contextmanager
def _after_others(folder: Path) -> Iterator[None]:
    """Of several processes that start at a time one compiles a loop, and the others load it."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # a file system without locks, a disk that is full
            lock = held.enter_context((folder / "lock").open("w"))
            until = time.monotonic() + _WAIT_S
            while not _locks(lock) and time.monotonic() < until:
                time.sleep(_LOOK_S)
        yield


def _locks(file: Any) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Locator(caching._CacheLocator):
    """Where numba keeps a function's machine code; its protocol is numba's."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._module = function.__module__
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> Locator:
        """The locator for a function."""
        return cls(py_func)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(_folder(self._module))

    def get_source_stamp(self) -> str:
        """What the machine code was made from."""
        return key(self._module)

    def get_disambiguator(self) -> str:
        """Distinguishes functions of one name."""
        return str(self._line)


@cache
def _folder(module: str) -> Path | None:
    """The folder of a module's machine code, made; None where that is impossible."""
    try:
        folder = cache_dir() / "compiled" / module / key(module)[:16]
        is_new = not folder.exists()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(folder)
        tempfile.TemporaryFile(dir=folder).close()
        if is_new:
            _remove_unused(folder.parent)
    except (OSError, UsageError) as error:
        why = error.what if isinstance(error, UsageError) else error
        _log.warning(
            "Machine code is not kept: %s. Each process compiles for a minute or two; "
            "set LAKE_CACHE_DIR to a folder that this user may write",
            why,
        )
        return None
    return folder


def _remove_unused(parent: Path) -> None:
    """Removes the machine code of earlier states that nothing has used for a month."""
    for folder in parent.iterdir():
        if folder.stat().st_mtime < time.time() - _UNUSED_DAYS * 86400:
            shutil.rmtree(folder, ignore_errors=True)


@cache
def key(module: str) -> str:
    """SHA-256 of what a module's machine code depends on, as hex digits."""
    digest = hashlib.sha256()
    for package in ("numba", "llvmlite"):
        digest.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    for name in sorted(dependencies(module)):
        digest.update(f"{name} {hashlib.sha256(_source(name)).hexdigest()}\n".encode())
    return digest.hexdigest()


def dependencies(module: str) -> set[str]:
    """The module and all of its package's and of `lake`'s that it imports, directly or not."""
    packages = {module.partition(".")[0], "lake"}
    reached, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        waiting += [
            imported for imported in _imports(name) if imported.partition(".")[0] in packages
        ]
    return reached


@cache
def _imports(module: str) -> frozenset[str]:
    """The modules that a module's text imports and that are loaded."""
    names = set()
    for node in ast.walk(ast.parse(_source(module))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = sys.modules[module].__package__ if node.level else ""
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(name for name in names if name in sys.modules)


@cache
def _source(module: str) -> bytes:
    return Path(inspect.getfile(sys.modules[module])).read_bytes()
