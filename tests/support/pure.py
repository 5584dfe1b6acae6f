"""Marks the tests that need no server: `pytest -m pure`, and `make check`.

Belongs here: finding them by what their functions and fixtures call; with `-m pure` a failure where
a test that is marked starts a server all the same. Does not: which tests are slow.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

import lake.servers
from lake.servers.process import Process

_TESTS = Path(__file__).parents[1]
_SERVERS = {lake.servers.start, lake.servers.Stack, lake.servers.Server, lake.servers.install}
_current: list[pytest.Item] = []  # the marked test that runs
_start_process = Process.__init__


@pytest.hookimpl(tryfirst=True)  # before `-m` deselects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`pure`: not slow, not marked `servers`, and nothing in reach starts a server."""
    for item in items:
        if any(map(item.get_closest_marker, ("slow", "servers"))):
            continue
        if not any(map(_starts_server, _functions(item))):
            item.add_marker("pure")


def _functions(item: pytest.Item) -> Iterator[Any]:
    """The test and its fixtures, those that pytest finds by themselves included."""
    if isinstance(item, pytest.Function):
        yield item.function
        for fixtures in item._fixtureinfo.name2fixturedefs.values():
            yield from (fixture.func for fixture in fixtures)


@cache  # of fixtures that many tests have, and of tests with many parameters
def _starts_server(function: Any) -> bool:
    return starts_server(function, set())


def starts_server(function: Any, seen: set[Any]) -> bool:
    """Whether it mentions what starts servers, by way of other code of the tests as well."""
    function = getattr(function, "__wrapped__", function)
    if isinstance(function, type):
        return any(starts_server(member, seen) for member in _members(function))
    if not isinstance(function, FunctionType) or function in seen:
        return False
    seen.add(function)
    if not function.__code__.co_filename.startswith(f"{_TESTS}/"):
        return False
    mentioned = list(_mentioned(function.__code__, function.__globals__))
    return any(value in _SERVERS or starts_server(value, seen) for value in mentioned)


def _members(kind: type) -> list[Any]:
    if not str(getattr(sys.modules.get(kind.__module__), "__file__", "")).startswith(str(_TESTS)):
        return []
    return [getattr(member, "fget", None) or member for member in vars(kind).values()]


def _mentioned(code: CodeType, names: dict[str, Any]) -> Iterator[Any]:
    """Functions and classes by name, and by attribute of a module."""
    globals_ = [names[name] for name in code.co_names if name in names]
    modules = [value for value in globals_ if isinstance(value, ModuleType)]
    globals_ += [
        getattr(module, name)
        for module in modules
        for name in code.co_names
        if name in dir(module)  # not hasattr: NumPy warns of names that it once had
    ]
    yield from (value for value in globals_ if isinstance(value, type | FunctionType))
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _mentioned(inner, names)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    only_pure = item.config.getoption("markexpr") == "pure"  # where servers may be missing
    _current[:] = [item] if only_pure and item.get_closest_marker("pure") else []
    try:
        return (yield)
    finally:
        _current.clear()


def _refused_in_pure_tests(self: Process, *arguments: Any, **options: Any) -> None:
    if _current:
        pytest.fail(f"{_current[0].nodeid} starts a program: mark it `servers`")
    _start_process(self, *arguments, **options)


Process.__init__ = _refused_in_pure_tests  # type: ignore[method-assign]
