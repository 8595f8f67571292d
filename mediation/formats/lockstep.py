"""The fast BER reader: thousands of records stepped one element at a time, side by side.

All records of a block stand at their first element; one step reads that element of every record
with a handful of NumPy operations and moves on to the next. Constructed elements are put aside and
stepped in the same way, level by level, so nesting costs no stack. Values are not decoded here: the
reader notes where they lie. A record with anything unusual in it is left to the slow reader, which
decides.

Blocks of some thousands of records keep the arrays in the processor's cache.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from mediation.formats.ber import MAX_DEPTH, RECORD, Cells, Group, Malformed, Reading, read_record
from mediation.records import Bool, Int64, Octets

BLOCK_RECORDS = 4_000
PADDING = 80  # Octets beyond the end that a look ahead may touch.

_CODES = 256 + 8 * 256  # One-octet tags, then two-octet tags by class and form.
_ODD = 1_000  # An action: leave the record to the slow reader.
_SKIPPED = 1  # The state inside a constructed element nobody wants.
_FILE = 2  # The state around a record.
# A step costs the same for one record as for fifty. Few records with very many elements would hold
# up the block, so after so many steps they are left to the slow reader.
_STEPS_PATIENT = 256
_SPANS_FEW = 64
_TOO_LONG = 2**40  # Longer than any file: an announced length that cannot be kept.

_first = np.arange(256)
_IS_LONG: Int64 = (_first & 0x1F == 0x1F).astype(np.int64)
_CODE_BASE: Int64 = np.where(_IS_LONG == 1, 256 + (_first >> 5) * 256, _first).astype(np.int64)


@dataclass
class Table:
    """Where the values of some rows lie: `at` and `size` are (values + 1, rows); size -1 is absent.

    The last line is a waste bin: what nobody wants is written there, so that no step has to choose.
    """

    names: tuple[str, ...]
    owner: Int64  # (rows,) index of the record in the block
    at: Int64
    size: Int64

    def cell(self, name: str) -> tuple[Int64, Int64]:
        """Return offset and length of one value in every row."""
        index = self.names.index(name)
        return self.at[index], self.size[index]


@dataclass
class Scan:
    """A block of records read: one table per kind of row, and what could not be read."""

    tables: dict[str, Table]
    broken: dict[int, Malformed]  # index of the record in the block -> why


class Grammar:
    """A group compiled to one table of actions per state, for the fast reader.

    An action is 0 (step over), a value's number, minus the state inside a constructed element, or
    _ODD.
    """

    def __init__(self, file: Group) -> None:
        self.file = file
        self.names: dict[str, tuple[str, ...]] = {RECORD: ()}
        # States 0 and 1 are taken: 0 is no action, 1 is inside what nobody wants.
        self._opens = [False, False, False]
        self._table = ["", "", RECORD]
        self._actions = [_no_actions(), _no_actions(), _no_actions()]
        self._compile(file, _FILE, RECORD)

    def _compile(self, group: Group, state: int, table: str) -> None:
        row = self._actions[state]
        names = self.names.get(table, ())
        for tag, name in group.values.items():
            names = names if name in names else (*names, name)
            row[_code(tag)] = 1 + names.index(name)
            row[_code(_turned(tag))] = _ODD
        self.names[table] = names
        for tag, inner in group.groups.items():
            inside = len(self._actions)
            self._actions.append(_no_actions())
            self._opens.append(inner.table != "")
            self._table.append(inner.table or table)
            row[_code(tag)] = -inside
            row[_code(_turned(tag))] = _ODD
            self._compile(inner, inside, inner.table or table)

    def action(self, state: int) -> Int64:
        """Return the actions of one state, by tag code."""
        return self._actions[state]

    def table_of(self, state: int) -> str:
        """Return the table that the values of a state belong to; "" is none."""
        return self._table[state]

    def opens(self, state: int) -> bool:
        """Tell whether entering the state opens a new row."""
        return self._opens[state]


def padded(raw: bytes) -> Octets:
    """Copy a file into an array with room behind it for looking ahead."""
    octets = np.zeros(len(raw) + PADDING, np.uint8)
    octets[: len(raw)] = np.frombuffer(raw, np.uint8)
    return octets


def scan(raw: bytes, octets: Octets, start: Int64, end: Int64, grammar: Grammar) -> Scan:
    """Find the wanted values of records.

    Parameters
    ----------
    raw, octets : the file, plain and `padded`.
    start, end : (n,) int64, the records of one block; each holds exactly one element.
    grammar : which values are wanted.

    Returns
    -------
    Scan; broken records have rows whose sizes are all -1 in the record table, and none elsewhere.
    """
    odd, tables = _fast(octets, start, end, grammar)
    broken: dict[int, Malformed] = {}
    if odd.any():
        _clear(tables, odd)
        slow: list[tuple[int, Reading]] = []
        for index in np.flatnonzero(odd).tolist():
            try:
                reading = read_record(raw, int(start[index]), int(end[index]), grammar.file)
                slow.append((index, reading))
            except Malformed as why:
                broken[index] = why
        _add_readings(tables, slow)
    return Scan(tables, broken)


@dataclass
class _Spans:
    """Stretches of elements in one state, to be stepped side by side."""

    state: int
    at: Int64
    end: Int64
    row: Int64
    record: Int64

    def __getitem__(self, keep: Int64 | Bool) -> "_Spans":
        return _Spans(self.state, self.at[keep], self.end[keep], self.row[keep], self.record[keep])


def _fast(
    octets: Octets, start: Int64, end: Int64, grammar: Grammar
) -> tuple[Bool, dict[str, Table]]:
    """Step all records; return which are odd, and the tables (odd records left in them)."""
    records = np.arange(len(start))
    odd = start >= end
    tables = {name: _no_rows(names) for name, names in grammar.names.items()}
    tables[RECORD] = _grown(tables[RECORD], records)
    level = [_Spans(_FILE, start, end, records, records)[~odd]]
    born: list[_Spans] = []
    for depth in range(MAX_DEPTH + 1):
        born = []
        for spans in level:
            table = tables.get(grammar.table_of(spans.state))
            born += _step_to_end(octets, spans, grammar, table, odd, is_file=depth == 0)
        if not born:
            return odd, tables
        level = _open_rows(born, grammar, tables)
    for spans in born:  # Deeper than any record should be.
        odd[spans.record] = True
    return odd, tables


def _step_to_end(
    octets: Octets,
    spans: _Spans,
    grammar: Grammar,
    table: Table | None,
    odd: Bool,
    *,
    is_file: bool,
) -> list[_Spans]:
    """Step spans from their first element to their last; return what lies inside their elements."""
    born: list[_Spans] = []
    actions = grammar.action(spans.state)
    for step in itertools.count():
        if len(spans.at) < _SPANS_FEW and step >= _STEPS_PATIENT:
            odd[spans.record] = True
            break
        if not len(spans.at):
            break
        action, content, stop = _read_elements(octets, spans.at, actions)
        wrong = (stop > spans.end) | (action == _ODD)
        if is_file:  # A frame holds one record and nothing else.
            wrong |= stop != spans.end
        if table is not None:
            wrong |= _note(table, spans.row, action, content, stop)
        if wrong.any():
            odd[spans.record[wrong]] = True
            right = ~wrong
            spans, action, content, stop = spans[right], action[right], content[right], stop[right]
        down = np.flatnonzero(action < 0)
        if len(down):
            states = -action[down]
            for state in np.flatnonzero(np.bincount(states)).tolist():
                here = down[states == state]
                inside = (content[here], stop[here], spans.row[here], spans.record[here])
                born.append(_Spans(state, *inside))
        alive = stop < spans.end
        spans.at = stop
        if not alive.all():
            spans = spans[np.flatnonzero(alive)]
    return born


def _read_elements(octets: Octets, at: Int64, actions: Int64) -> tuple[Int64, Int64, Int64]:
    """Read one element of every span: what to do with it, where its content starts and stops."""
    first = octets[at]
    after = at + 1
    is_long = _IS_LONG[first]
    action = actions[_CODE_BASE[first] + is_long * octets[after]]
    after += is_long
    size = octets[after].astype(np.int64)
    content = after + 1
    wide = np.flatnonzero(size > 0x7F)
    if len(wide):
        form, where = size[wide], content[wide]
        one = octets[where].astype(np.int64)
        two = one << 8 | octets[where + 1]
        size[wide] = np.where(form == 0x81, one, np.where(form == 0x82, two, _TOO_LONG))
        content[wide] += form & 3
    return action, content, content + size


def _note(table: Table, row: Int64, action: Int64, content: Int64, stop: Int64) -> Bool:
    """Write down where wanted values lie; return where a value came a second time."""
    wanted = (action > 0) & (action < _ODD)
    line = np.where(wanted, action - 1, len(table.names))
    cell = line * table.at.shape[1] + row
    sizes = table.size.reshape(-1)
    twice: Bool = wanted & (sizes[cell] >= 0)
    sizes[cell] = stop - content
    table.at.reshape(-1)[cell] = content
    return twice


def _open_rows(born: list[_Spans], grammar: Grammar, tables: dict[str, Table]) -> list[_Spans]:
    """Put together the spans of each state for the next level; repeated groups get a row each."""
    level: list[_Spans] = []
    for state in sorted({spans.state for spans in born}):
        of_state = [spans for spans in born if spans.state == state]
        columns = ([getattr(s, name) for s in of_state] for name in ("at", "end", "row", "record"))
        spans = _Spans(state, *(np.concatenate(column) for column in columns))
        if grammar.opens(state):
            name = grammar.table_of(state)
            spans.row = np.arange(len(spans.at)) + len(tables[name].owner)
            tables[name] = _grown(tables[name], spans.record)
        level.append(spans[np.flatnonzero(spans.at < spans.end)])
    return level


def _no_rows(names: tuple[str, ...]) -> Table:
    """Return a table without rows."""
    lines = np.zeros((len(names) + 1, 0), np.int64)
    return Table(names, np.zeros(0, np.int64), lines, lines)


def _grown(table: Table, owner: Int64) -> Table:
    """Return the table with rows of absent values added for these records."""
    more = np.full((len(table.names) + 1, len(owner)), -1, np.int64)
    return Table(
        table.names,
        np.concatenate((table.owner, owner)),
        np.concatenate((table.at, more), axis=1),
        np.concatenate((table.size, more), axis=1),
    )


def _clear(tables: dict[str, Table], odd: Bool) -> None:
    """Take out what the fast reader wrote about odd records."""
    for name, table in tables.items():
        if name == RECORD:
            table.size[:, odd] = -1
        else:
            keep = ~odd[table.owner]
            at, size = table.at[:, keep], table.size[:, keep]
            tables[name] = Table(table.names, table.owner[keep], at, size)


def _add_readings(tables: dict[str, Table], readings: list[tuple[int, Reading]]) -> None:
    """Write slowly read records into the tables."""
    added: dict[str, list[tuple[int, Cells]]] = {}
    for index, reading in readings:
        _write(tables[RECORD], index, reading.cells)
        for name, cells in reading.rows:
            added.setdefault(name, []).append((index, cells))
    for name, rows in added.items():
        first = len(tables[name].owner)
        tables[name] = _grown(tables[name], np.array([index for index, _ in rows], np.int64))
        for row, (_, cells) in enumerate(rows, first):
            _write(tables[name], row, cells)


def _write(table: Table, row: int, cells: Cells) -> None:
    """Write the cells of one row."""
    for name, (at, size) in cells.items():
        line = table.names.index(name)
        table.at[line, row], table.size[line, row] = at, size


def _no_actions() -> Int64:
    """Return the actions of a state that wants nothing: step over values, step into groups."""
    codes = np.arange(_CODES)
    groups = np.where(codes < 256, codes & 0x20, (codes - 256) >> 8 & 1) != 0
    actions = np.where(groups, -_SKIPPED, 0)
    actions[0] = _ODD  # End-of-contents belongs to indefinite lengths.
    actions[_CODE_BASE[_IS_LONG == 1]] = 0
    # A second octet above 0x7F announces a third: too long a tag for the fast reader.
    actions[(codes >= 256) & (codes & 0x80 != 0)] = _ODD
    return actions.astype(np.int64)


def _code(tag: int) -> int:
    """Return the code of a tag of one or two octets."""
    if tag < 256:
        return tag
    return int(_CODE_BASE[tag >> 8]) + (tag & 0xFF)


def _turned(tag: int) -> int:
    """Return the tag with the constructed bit turned over."""
    return tag ^ (0x20 if tag < 256 else 0x2000)
