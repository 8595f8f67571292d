"""Journal files as NDJSON: one entry a line, amounts as decimal strings."""

import codecs
import re
from collections.abc import Iterator
from datetime import date
from typing import BinaryIO, NamedTuple

import msgspec

from ledger.errors import Invalid
from ledger.intake.conditions import ConditionRecord, conditions_of
from ledger.intake.records import (
    MAX_RECORD_BYTES,
    Defaults,
    Drafted,
    Fault,
    RecordMalformed,
    amount_of,
    entry_of,
    fault_of,
    line_of,
    no_amount,
)
from ledger.journal import ItemDraft, Line
from ledger.money import parse_amount
from ledger.refusals import AmountNotAString
from ledger.strict_json import NameTwice, check_names
from ledger.unstorable import NotUtf8, check_utf8


class ItemRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The open item that a line on an open-item account brings."""

    kind: str
    document_ref: str
    document_date: date
    due_date: date
    kid: str | None = None


class LineRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One side of an entry: debit positive, credit negative."""

    account: str
    amount: str
    currency: str | None = None
    base_amount: str | None = None
    party_id: int | None = None
    vat_code: str | None = None
    tax_base: str | None = None
    dimensions: dict[str, str] | None = None
    text: str | None = None
    item: ItemRecord | None = None


class EntryRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One voucher to post."""

    effective_date: date
    text: str
    lines: list[LineRecord]
    document_date: date | None = None
    series: str | None = None
    entry_type: str | None = None
    source_ref: str | None = None
    document_ref: str | None = None
    conditions: list[ConditionRecord] | None = None


_decoder = msgspec.json.Decoder(EntryRecord)
_PATH = re.compile(r" - at `\$(.*)`$")
_MONEY = ("amount", "base_amount", "tax_base")


class Numbered(NamedTuple):
    """A record whose shape has been checked, and its place in the file or request, from 1."""

    number: int
    record: EntryRecord


def read_ndjson(stream: BinaryIO) -> Iterator[Numbered | Fault]:
    """Read one entry a line; empty lines are passed over."""
    number = 0
    while line := stream.readline(MAX_RECORD_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > MAX_RECORD_BYTES:
            limit = MAX_RECORD_BYTES // 2**20
            too_long = RecordMalformed(f"The line is longer than {limit} MiB. One entry a line.")
            yield fault_of(number, "", too_long)
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_RECORD_BYTES)
        elif line.strip():
            yield read_record(line, number)


def read_record(source: bytes, number: int, *, has_names_once: bool = False) -> Numbered | Fault:
    """Read one entry of JSON; it says what it says as documented, which is all that is known.

    With `has_names_once` somebody has seen already that no object in it says a name twice.
    """
    try:
        record = _decoder.decode(source)
        if not has_names_once:
            check_names(source)
    except msgspec.ValidationError as error:
        return _validation_fault(number, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, NameTwice) as error:
        return fault_of(number, "", _unreadable(source, error))
    return Numbered(number, record)


def _unreadable(source: bytes, error: Exception) -> Invalid:
    """Say why a record is no JSON; what is not even UTF-8 could not be."""
    try:
        check_utf8(source, "the record")
    except NotUtf8 as refusal:
        return refusal
    return RecordMalformed(f"{str(error) or 'Nested too deeply'}. Write one JSON object.")


def draft_record(record: EntryRecord, number: int, defaults: Defaults) -> Drafted | Fault:
    """Draft the entry of a record whose shape has been checked."""
    lines: list[Line] = []
    for place, line in enumerate(record.lines):
        try:
            lines.append(_line(line, defaults))
        except Invalid as refusal:
            column = refusal.facts.get("column")
            where = f"/lines/{place}" + (f"/{column}" if column else "")
            return fault_of(number, where, refusal)
    entry = entry_of(
        defaults, number,
        lines=tuple(lines), effective_date=record.effective_date, text=record.text,
        document_date=record.document_date, series=record.series,
        entry_type=record.entry_type, source_ref=record.source_ref,
        document_ref=record.document_ref,
    )  # fmt: skip
    try:
        conditions = conditions_of(record.conditions, defaults.currency)
    except Invalid as refusal:
        return fault_of(number, str(refusal.facts.get("pointer", "/conditions")), refusal)
    return Drafted.alone(number, entry, conditions)


def _line(line: LineRecord, defaults: Defaults) -> Line:
    name = "amount"
    try:
        amount = parse_amount(line.amount)
        name = "base_amount"
        base = amount_of(line.base_amount)
        name = "tax_base"
        tax_base = amount_of(line.tax_base)
    except Invalid as refusal:
        raise no_amount(name, refusal) from refusal
    item = line.item
    return line_of(
        account=line.account,
        amount_minor=amount,
        currency=line.currency or defaults.currency,
        base_minor=base,
        party_id=line.party_id,
        vat_code=line.vat_code,
        tax_base_minor=tax_base,
        dimensions=line.dimensions,
        text=line.text,
        item=None if item is None else ItemDraft(
            item.kind, item.document_ref, item.kid, item.document_date, item.due_date),
    )  # fmt: skip


def _validation_fault(number: int, message: str) -> Fault:
    """Turn `Expected `str`, got `int` - at `$.lines[0].amount`` into a pointer and a sentence."""
    found = _PATH.search(message)
    path = found.group(1) if found else ""
    pointer = re.sub(r"\[(\d+)\]", r"/\1", path.replace(".", "/"))
    said = message[: found.start()] if found else message
    said = said.replace("Invalid RFC3339 encoded date", "Not a day such as 2026-03-31")
    name = pointer.rpartition("/")[2]
    if name in _MONEY and said.endswith(("got `int`", "got `float`", "out of range")):
        refusal = AmountNotAString(
            f'Amounts are strings such as "1234.50", not JSON numbers: put {name} in quotes.'
        )
        return fault_of(number, pointer, refusal)
    return fault_of(number, pointer, RecordMalformed(f"{said}. See docs/posting.md."))
