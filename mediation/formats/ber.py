"""BER, the Basic Encoding Rules of ASN.1 (ITU-T X.690), read by tables of tag numbers.

A `Group` says which tags of a constructed element are wanted and what they are called; everything
else is stepped over, but its nesting is checked down to the last octet. This module is the slow,
obvious reader: one record at a time. It frames files, reads the rare shapes (indefinite lengths,
long tags) and is what the fast reader in `lockstep` must agree with.

Tags are written as their identifier octets, read as one number: 0x83 is [3] primitive, 0xBF22 is
[34] constructed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ledger.errors import Problem

MAX_DEPTH = 16  # Levels inside a record; TS 32.298 needs eight.
_MAX_TAG_OCTETS = 5
_MAX_LENGTH_OCTETS = 8


class Malformed(Problem):
    """The octets are not what the standard allows; `offset` is where reading stopped."""

    title = "Octets cannot be decoded"

    def __init__(self, detail: str, offset: int) -> None:
        super().__init__(detail, offset=offset)
        self.offset = offset


@dataclass(frozen=True)
class Group:
    """A constructed element: wanted values, wanted groups inside, and the table its rows go to.

    A group without a table name adds its values to the row of the group around it. A group with one
    may come many times, and each time opens a new row of that table.
    """

    values: Mapping[int, str] = field(default_factory=dict)
    groups: Mapping[int, "Group"] = field(default_factory=dict)
    table: str = ""


RECORD = "record"  # The table with one row per record.
Cells = dict[str, tuple[int, int]]  # value name -> offset of its content, length


@dataclass
class Reading:
    """One record read: its own values, and (table, values) of each repeated group in file order."""

    cells: Cells
    rows: list[tuple[str, Cells]]


@dataclass(frozen=True)
class _Open:
    """An element being read: where it ends (None: by end-of-contents) and where it must end."""

    group: Group
    end: int | None
    limit: int
    cells: Cells


def read_header(raw: bytes | bytearray, at: int, limit: int) -> tuple[int, int, int | None]:
    """Read identifier and length octets.

    Returns
    -------
    tag, offset of the content, length of the content (None: indefinite).

    Raises
    ------
    Malformed : the octets end too early, the tag is over-long, or the length is reserved.
    """
    start = at
    if at >= limit:
        raise Malformed("A tag is due but the octets end.", at)
    tag = raw[at]
    at += 1
    if tag & 0x1F == 0x1F:
        more = True
        while more:
            if at >= limit or at - start >= _MAX_TAG_OCTETS:
                raise Malformed("The tag does not end.", start)
            tag = tag << 8 | raw[at]
            more = raw[at] >= 0x80
            at += 1
    if at >= limit:
        raise Malformed("A length is due but the octets end.", at)
    length = raw[at]
    at += 1
    if length == 0x80:
        if not _is_constructed(raw[start]):
            raise Malformed("A single value has indefinite length.", start)
        return tag, at, None
    if length > 0x80:
        count = length & 0x7F
        if count > _MAX_LENGTH_OCTETS or at + count > limit:
            raise Malformed(f"A length of {count} octets is too long.", at - 1)
        length = int.from_bytes(raw[at : at + count], "big")
        at += count
    if length > limit - at:
        raise Malformed(f"{length} octets are announced, {limit - at} are left.", start)
    return tag, at, length


def element_end(raw: bytes | bytearray, at: int, limit: int) -> int:
    """Return where the element at `at` ends; only indefinite lengths need a look inside.

    Raises
    ------
    Malformed : it does not end before `limit`, or indefinite lengths nest deeper than MAX_DEPTH.
    """
    depth = 0
    while True:
        start = at
        tag, at, length = read_header(raw, at, limit)
        if tag == 0:
            if length != 0 or depth == 0:
                raise Malformed("End-of-contents octets where an element is due.", start)
            depth -= 1
        elif length is None:
            depth += 1
            if depth > MAX_DEPTH:
                raise Malformed(f"Elements nest deeper than {MAX_DEPTH}.", start)
        else:
            at += length
        if depth == 0:
            return at


def frames(raw: bytes | bytearray, start: int = 0) -> Iterator[tuple[int, int]]:
    """Walk elements that lie back to back to the end of `raw`: (offset, end) of each.

    Raises
    ------
    Malformed : an element does not end within the file; what follows cannot be framed.
    """
    size = len(raw)
    while start < size:
        end = element_end(raw, start, size)
        yield start, end
        start = end


def read_record(raw: bytes | bytearray, start: int, end: int, file: Group) -> Reading:
    """Read one record, the only element between `start` and `end`, and check every octet of it.

    Parameters
    ----------
    file : the group whose `groups` are the kinds of record the file may hold.

    Raises
    ------
    Malformed : with the offset; a wanted value comes twice, is constructed, or anything is out of
    bounds, nested too deep or left over.
    """
    reading = Reading({}, [])
    stack = [_Open(file, end, end, reading.cells)]
    at = start
    while stack:
        top = stack[-1]
        if at == top.end:
            stack.pop()
            continue
        if len(stack) == 1 and at != start:
            raise Malformed("Octets are left over after the record.", at)
        element = at
        tag, at, length = read_header(raw, at, top.limit)
        if tag == 0:
            if top.end is not None or length != 0:
                raise Malformed("End-of-contents octets where an element is due.", element)
            stack.pop()
        elif _is_constructed(raw[element]):
            limit = top.limit if length is None else at + length
            inner = _enter(top, tag, element, reading)
            stack.append(_Open(inner[0], None if length is None else limit, limit, inner[1]))
            if len(stack) > MAX_DEPTH + 1:
                raise Malformed(f"Elements nest deeper than {MAX_DEPTH}.", element)
        else:
            _keep(top, tag, element, at, length or 0)
            at += length or 0
    if end == start:
        raise Malformed("The record is empty.", start)
    return reading


_UNKNOWN = Group()


def _enter(top: _Open, tag: int, element: int, reading: Reading) -> tuple[Group, Cells]:
    """Return the group of a constructed element and the row its values go to."""
    if _other_form(tag) in top.group.values:
        raise Malformed(f"Tag {tag:#x} is constructed where a single value is due.", element)
    inner = top.group.groups.get(tag, _UNKNOWN)
    if not inner.table:
        return inner, top.cells
    row: Cells = {}
    reading.rows.append((inner.table, row))
    return inner, row


def _keep(top: _Open, tag: int, element: int, content: int, length: int) -> None:
    """Note where a wanted value lies."""
    if _other_form(tag) in top.group.groups:
        raise Malformed(f"Tag {tag:#x} is a single value where a group is due.", element)
    name = top.group.values.get(tag)
    if name is None:
        return
    if name in top.cells:
        raise Malformed(f"The value {name} comes twice.", element)
    top.cells[name] = (content, length)


def _is_constructed(first: int) -> bool:
    """Read the constructed bit of an identifier's first octet."""
    return first & 0x20 != 0


def _other_form(tag: int) -> int:
    """Return the same tag with the constructed bit turned over."""
    width = (tag.bit_length() + 7) // 8
    return tag ^ 0x20 << 8 * (width - 1) if width else tag
