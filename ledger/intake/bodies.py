"""Bodies of posting requests: entries as JSON, NDJSON or columns; the same entries each way."""

import io
import re
from collections.abc import Iterator
from http import HTTPStatus
from itertools import chain
from typing import Any, TypeVar

import msgspec

from ledger.errors import Invalid, Problem
from ledger.intake.conditions import ConditionRecord
from ledger.intake.ndjson import read_ndjson, read_record
from ledger.intake.records import Defaults, Drafted, Fault, checked
from ledger.intake.tables import check_columns, read_rows
from ledger.intake.together import drafted
from ledger.strict_json import NameTwice, check_names, has_names_once
from ledger.unstorable import check_utf8

Option = TypeVar("Option")

MAX_JSON_ENTRIES = 5_000
MAX_LINES_UNDECLARED = 1_000
_LINE = re.compile(r"/lines/(\d+)/?(.*)")
_COLUMNS = {"": "entry", "text": "entry_text", "source_ref": "entry"}  # of fields of an entry


class RequestTooLarge(Problem):
    """A request holds more than its form allows; another form allows more.

    Raise as: f"{entries} entries as JSON; at most 5000. Send NDJSON or columns, or split it.".
    """

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "Request is too large"


class TotalsUndeclared(Invalid):
    """A large batch must say what it holds, so that a cut-off request is noticed.

    Raise as: f"{lines} lines without control totals. Declare entries, lines and debits.".
    """

    title = "Control totals are missing"


class PostingRequestMalformed(Invalid):
    """The envelope of a posting request is not as documented.

    Raise as: f"{pointer}: {what was found}. See docs/posting.md.".
    """

    title = "Posting request is malformed"


class DeclaredTotals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the sender says the request holds; debits are decimal strings by currency."""

    entries: int
    lines: int
    debits: dict[str, str]


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A posting request; exactly one of `entries` and `columns`."""

    book: str = "NO01"
    mode: str = "atomic"
    dry_run: bool = False
    declared: DeclaredTotals | None = None
    entries: list[msgspec.Raw] | None = None
    columns: dict[str, list[Any]] | None = None
    conditions: list[ConditionRecord] | None = None


_decoder = msgspec.json.Decoder(Envelope)
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])
_options_decoder = msgspec.json.Decoder(DeclaredTotals)
_conditions_decoder = msgspec.json.Decoder(list[ConditionRecord])
MODES = ("atomic", "per-entry")


def read_envelope(body: bytes) -> Envelope:
    """Read a JSON request. Raises `PostingRequestMalformed` or `RequestTooLarge`."""
    try:
        envelope = _decoder.decode(body)
        _check_names(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, NameTwice) as error:
        check_utf8(body, "the body")
        raise PostingRequestMalformed(
            f"{str(error) or 'Nested too deeply'}. See docs/posting.md."
        ) from error
    if (envelope.entries is None) == (envelope.columns is None):
        raise PostingRequestMalformed("Send either entries or columns. See docs/posting.md.")
    if envelope.entries is not None and len(envelope.entries) > MAX_JSON_ENTRIES:
        raise RequestTooLarge(
            f"{len(envelope.entries)} entries as JSON; at most {MAX_JSON_ENTRIES}. Send NDJSON or "
            "columns, or split the request.", limit=MAX_JSON_ENTRIES,
        )  # fmt: skip
    _check_mode(envelope.mode)
    return envelope


def envelope_of_query(
    book: str, mode: str, declared: str | None, conditions: str | None, *, dry_run: bool
) -> Envelope:
    """Make the envelope of an NDJSON request of its query; totals and conditions are JSON."""
    _check_mode(mode)
    return Envelope(
        book=book, mode=mode, declared=_option("declared", declared, _options_decoder),
        dry_run=dry_run, conditions=_option("conditions", conditions, _conditions_decoder),
    )  # fmt: skip


def _option(name: str, told: str | None, decoder: msgspec.json.Decoder[Option]) -> Option | None:
    try:
        return None if told is None else decoder.decode(told.encode())
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise PostingRequestMalformed(f"{name}: {error}. See docs/posting.md.") from error


def entries_of(envelope: Envelope, body: bytes, defaults: Defaults) -> Iterator[Drafted | Fault]:
    """Draft the entries of a request in order; `body` is what an NDJSON request consists of."""
    if envelope.columns is not None:
        return checked(_of_columns(envelope.columns, defaults))
    if envelope.entries is None:
        return drafted(read_ndjson(io.BytesIO(body)), defaults)
    known = has_names_once(body)
    read = (
        read_record(bytes(source), number, has_names_once=known)
        for number, source in enumerate(envelope.entries, 1)
    )
    return drafted(read, defaults)


def pointer_of(fault: Fault, *, in_columns: bool) -> str:
    """Point into the body of a request at what a fault is about.

    A fault of a table names its column where one is to blame, or the line of the entry that begins
    at its record; a line is a place in every column.
    """
    if not in_columns:
        return f"/entries/{fault.record - 1}{fault.pointer}"
    first = fault.record - 1
    if line := _LINE.match(fault.pointer):
        column = line[2].replace("/", "_") or "entry"
        return f"/columns/{column}/{first + int(line[1])}"
    field = fault.pointer.removeprefix("/")
    return f"/columns/{_COLUMNS.get(field, field)}/{first}"


def _of_columns(columns: dict[str, list[Any]], defaults: Defaults) -> Iterator[Drafted | Fault]:
    names = list(columns)
    try:
        check_columns(names)
    except Invalid as refusal:
        raise PostingRequestMalformed(f"/columns: {refusal}", **refusal.facts) from refusal
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise PostingRequestMalformed(f"/columns: columns of {sorted(lengths)} rows; all must have "
                                      "as many.")  # fmt: skip
    strange = next(
        (cell for cell in chain.from_iterable(columns.values()) if isinstance(cell, list | dict)),
        None,
    )
    if strange is not None:
        raise PostingRequestMalformed("/columns: a cell is a list or an object, not a value.")
    rows = (dict(zip(names, cells, strict=True)) for cells in zip(*columns.values(), strict=True))
    yield from read_rows(enumerate(rows, 1), defaults)


def _check_names(body: bytes) -> None:
    """Refuse a name that is said twice, but in entries: those are read one by one later."""
    check_names(body, shallow=True)
    for name, part in _parts.decode(body).items():
        if name in {"columns", "declared"}:
            source = bytes(part)
            check_names(source, shallow=source.startswith(b"{"))


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise PostingRequestMalformed(f"mode is {mode!r}; it is one of {', '.join(MODES)}.")
