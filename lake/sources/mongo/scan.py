"""BSON documents as flat arrays: which value of which type lies where, under which path.

Belongs here: walking over BSON bytes, and the tree of paths met on the way.
Does not: what a value means (kinds), which columns follow from it (schema).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import NoReturn

import numpy as np
import numpy.typing as npt

Int32s = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

DOCUMENT, ARRAY = 0x03, 0x04
MALFORMED_ARRAY = 0x80  # our own tag: an array whose keys are not "0", "1", …

# Bytes that a value takes; the negative ones have to be looked up.
_LENGTH_PREFIXED, _SELF_SIZED, _BINARY, _REGEX, _DB_POINTER = -1, -2, -3, -4, -5
_UNKNOWN = -6
_SIZES = [_UNKNOWN] * 256
for _size, _tags in {
    0: (0x06, 0x0A, 0xFF, 0x7F),
    1: (0x08,),
    4: (0x10,),
    8: (0x01, 0x09, 0x11, 0x12),
    12: (0x07,),
    16: (0x13,),
    _LENGTH_PREFIXED: (0x02, 0x0D, 0x0E),
    _SELF_SIZED: (DOCUMENT, ARRAY, 0x0F),
    _BINARY: (0x05,),
    _REGEX: (0x0B,),
    _DB_POINTER: (0x0C,),
}.items():
    for _tag in _tags:
        _SIZES[_tag] = _size
_length_at = Struct("<I").unpack_from
_INDEX_KEYS = [b"%d" % i for i in range(1000)]


class MalformedError(ValueError):
    """The bytes are not the BSON that their lengths claim."""


class Node:
    """A path: the root, a field of a document, or the elements of an array (name None).

    `opens_documents` and `opens_arrays` say whether values here are looked into.
    """

    __slots__ = (
        "children", "depth", "heads", "id", "in_list", "item", "name",
        "opens_arrays", "opens_documents", "parent", "text",
    )  # fmt: skip

    def __init__(self, id_: int, parent: Node | None, name: bytes | None, opens: bool) -> None:
        self.id = id_
        self.parent = parent
        self.name = name
        self.text = _decoded(name)
        self.depth: int = parent.depth + 1 if parent else 0
        self.in_list: bool = bool(parent and (parent.in_list or name is None))
        self.children: dict[bytes, Node] = {}
        # Type and name as they stand in the bytes → path × 256 + type, size, node.
        self.heads: dict[bytes, tuple[int, int, Node]] = {}
        self.item: Node | None = None
        self.opens_documents = self.opens_arrays = opens

    @property
    def steps(self) -> list[str | None]:
        """The names from the root down to here."""
        return [*self.parent.steps, self.text] if self.parent else []


def _decoded(name: bytes | None) -> str | None:
    try:
        return None if name is None else name.decode()
    except UnicodeDecodeError:
        return None


class Paths:
    """The tree of paths, each with a number.

    A document whose members go by more than `max_members` names is a map rather than a
    record: it is not looked into. Nor is what lies deeper than `max_depth`. Paths beyond
    `max_paths` get a node that lives no longer than `forget_surplus` lets it.
    """

    def __init__(self, max_depth: int, max_members: int, max_paths: int) -> None:
        self._max_depth = max_depth
        self._max_members = max_members
        self._max_paths = max_paths
        self.nodes: list[Node] = []
        self._surplus: list[Node] = []
        self.root = self._add(None, None)

    def __len__(self) -> int:
        return len(self.nodes) + len(self._surplus)

    def all(self) -> Iterator[Node]:
        """Every node, in the order of their numbers."""
        yield from self.nodes
        yield from self._surplus

    def field(self, parent: Node, name: bytes) -> Node:
        """The node of a member, made where it is new."""
        found = parent.children.get(name)
        if found is None:
            found = parent.children[name] = self._add(parent, name)
            if parent is not self.root and len(parent.children) > self._max_members:
                parent.opens_documents = False
        return found

    def head(self, parent: Node, head: bytes) -> tuple[int, int, Node]:
        """The same by type and name; what is returned is also in `parent.heads`."""
        node = self.field(parent, head[1:])
        entry = parent.heads[head] = (node.id << 8 | head[0], _SIZES[head[0]], node)
        return entry

    def item(self, parent: Node) -> Node:
        """The node of an array's elements, made where it is new."""
        if parent.item is None:
            parent.item = self._add(parent, None)
        return parent.item

    def forget_surplus(self) -> None:
        """Drops the nodes beyond `max_paths`."""
        for node in self._surplus:
            if node.parent and node.name is not None:
                del node.parent.children[node.name]
                node.parent.heads = {}
            elif node.parent:
                node.parent.item = None
        self._surplus = []

    def _add(self, parent: Node | None, name: bytes | None) -> Node:
        room = len(self.nodes) < self._max_paths
        depth = parent.depth + 1 if parent else 0
        node = Node(len(self), parent, name, opens=room and depth < self._max_depth)
        (self.nodes if room else self._surplus).append(node)
        return node


@dataclass(frozen=True)
class Tokens:
    """All values of a batch of documents, in the order of their bytes.

    One entry a value: `row` the document's number, `path` its node's, `tag` the BSON type,
    `at` where in `data` the value begins, `owner` the entry of the document or array that
    it lies in (−1: the document itself). `malformed` rows have no entries.
    """

    data: bytes
    starts: Sequence[int]
    row: Int32s
    path: Int32s
    tag: npt.NDArray[np.uint8]
    at: Int32s
    owner: Int32s
    malformed: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many documents."""
        return len(self.starts)

    def by_path(self, entries: npt.NDArray[np.intp]) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
        """The entries grouped by their path's number, in ascending order both."""
        ordered = entries[np.argsort(self.path[entries], kind="stable")]
        paths = self.path[ordered]
        bounds = np.flatnonzero(np.diff(paths)) + 1
        for group in np.split(ordered, bounds) if len(ordered) else ():
            yield int(self.path[group[0]]), group

    def document(self, row: int) -> bytes:
        """The bytes of one document."""
        start = self.starts[row]
        return self.data[start : start + _length_at(self.data, start)[0]]


def scan(data: bytes, starts: Sequence[int], paths: Paths) -> Tokens:
    """Walks over the documents that begin at `starts`; adds new paths to `paths`."""
    walk = _Walk(data, paths)
    counts, malformed = [], []
    for row, start in enumerate(starts):
        before = len(walk.codes)
        try:
            end = start + _length_at(data, start)[0]
            if walk.document(start + 4, paths.root, -1) != end:
                _fail("a document's length", start)
        except (IndexError, StructError, ValueError):
            walk.forget(before)
            malformed.append(row)
        counts.append(len(walk.codes) - before)
    codes = np.array(walk.codes, np.int64)
    return Tokens(
        data,
        starts,
        np.repeat(np.arange(len(starts), dtype=np.int32), counts),
        (codes >> 8).astype(np.int32),
        (codes & 255).astype(np.uint8),
        np.array(walk.at, np.int32),
        np.array(walk.owners, np.int32),
        tuple(malformed),
    )


class _Walk:
    """The inner loop: one pass over the bytes."""

    def __init__(self, data: bytes, paths: Paths) -> None:
        self._data = data
        self._paths = paths
        self.codes: list[int] = []  # path × 256 + tag
        self.at: list[int] = []
        self.owners: list[int] = []

    def forget(self, size: int) -> None:
        del self.codes[size:], self.at[size:], self.owners[size:]

    def document(self, pos: int, node: Node, owner: int) -> int:
        """From the first element to behind the closing zero; returns where that is."""
        data, codes, ats, owners = self._data, self.codes, self.at, self.owners
        heads, find = node.heads, data.index
        while data[pos]:
            stop = find(0, pos + 1)
            head = data[pos:stop]
            code, size, child = heads.get(head) or self._paths.head(node, head)
            pos = stop + 1
            codes.append(code)
            ats.append(pos)
            owners.append(owner)
            if size >= 0:
                pos += size
            elif size == _LENGTH_PREFIXED:
                pos += 4 + _length_at(data, pos)[0]
            else:
                pos = self._behind(code & 255, pos, child)
        return pos + 1

    def array(self, pos: int, node: Node, owner: int) -> int:
        """The same for an array whose elements have that node."""
        data, codes, ats, owners = self._data, self.codes, self.at, self.owners
        code, find, index = node.id << 8, data.index, 0
        while tag := data[pos]:
            stop = find(0, pos + 1)
            expected = _INDEX_KEYS[index] if index < len(_INDEX_KEYS) else b"%d" % index
            if data[pos + 1 : stop] != expected:
                codes[owner] = codes[owner] & ~255 | MALFORMED_ARRAY
            index += 1
            pos = stop + 1
            codes.append(code | tag)
            ats.append(pos)
            owners.append(owner)
            size = _SIZES[tag]
            if size >= 0:
                pos += size
            elif size == _LENGTH_PREFIXED:
                pos += 4 + _length_at(data, pos)[0]
            else:
                pos = self._behind(tag, pos, node)
        return pos + 1

    def _behind(self, tag: int, pos: int, node: Node) -> int:
        """Where a value ends; looks into documents and arrays where the node says so."""
        if tag == DOCUMENT and node.opens_documents:
            end = self.document(pos + 4, node, len(self.codes) - 1)
        elif tag == ARRAY and node.opens_arrays:
            end = self.array(pos + 4, self._paths.item(node), len(self.codes) - 1)
        else:
            return value_end(self._data, tag, pos)
        if end != pos + _length_at(self._data, pos)[0]:
            _fail("a sub-document's length", pos)
        return end


def value_end(data: bytes, tag: int, pos: int) -> int:
    """Where the value of that type that begins at `pos` ends. Raises MalformedError."""
    size = _SIZES[tag]
    if size >= 0:
        return pos + size
    if size == _REGEX:
        return data.index(0, data.index(0, pos) + 1) + 1
    if size == _UNKNOWN:
        _fail(f"type 0x{tag:02x}", pos)
    length: int = _length_at(data, pos)[0]
    extra = {_LENGTH_PREFIXED: 4, _SELF_SIZED: 0, _BINARY: 5, _DB_POINTER: 16}[size]
    if size == _SELF_SIZED and length < 5:
        _fail("a length", pos)
    return pos + length + extra


def elements(data: bytes, start: int) -> Iterator[tuple[int, bytes, int, int]]:
    """Tag, name, begin and end of each value of the document that begins at `start`.

    Raises MalformedError.
    """
    try:
        end = start + _length_at(data, start)[0]
        pos = start + 4
        while tag := data[pos]:
            stop = data.index(0, pos + 1)
            name = data[pos + 1 : stop]
            pos = value_end(data, tag, stop + 1)
            yield tag, name, stop + 1, pos
    except (IndexError, StructError, ValueError) as error:
        raise MalformedError(str(error)) from error
    if pos + 1 != end:
        _fail("a document's length", start)


def document_starts(data: bytes) -> list[int]:
    """Where each of the documents begins that stand one behind the other. Raises MalformedError."""
    starts, pos = [], 0
    while pos < len(data):
        starts.append(pos)
        try:
            length = _length_at(data, pos)[0]
        except StructError as error:
            raise MalformedError(str(error)) from error
        if length < 5:
            _fail("a length", pos)
        pos += length
    if pos != len(data):
        _fail("the last document's length", starts[-1])
    return starts


def _fail(what: str, pos: int) -> NoReturn:
    raise MalformedError(f"{what} is wrong at byte {pos}")
