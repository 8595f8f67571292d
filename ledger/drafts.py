"""Drafts of manual journals: what a draft says, the hash that an approval is bound to, its batch.

Pure. The content of a draft is JSON of strings, integers and lists only, so that its hash is the
same whoever writes it down: keys sorted, no blanks, UTF-8, amounts as decimal strings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from typing import Any

from ledger.attachments import Attachment
from ledger.canonical import canonical_json
from ledger.errors import Invalid
from ledger.journal import BatchDraft, EntryDraft, ItemDraft, Line, check_batch
from ledger.money import format_amount, parse_amount
from ledger.refusals import AmountNotAString, EntryNotBalanced, MalformedEntry
from ledger.unstorable import NumberTooLarge, TextTooLong

ENCODING = b"hovedbok-draft/1\n"
SOURCE_SYSTEM = "manual"
ENTRY_TYPE = "manual"
TEXT_LENGTH_MAX = 500
STATES = ("draft", "submitted", "rejected", "posted", "withdrawn")
FINAL_STATES = ("posted", "withdrawn")
LINES_MAX = 1_000  # A person reads every line before approving; more is a batch of a system.
ATTACHMENTS_MAX = 20

_FIELDS = frozenset({
    "book", "series", "effective_date", "document_date", "text", "document_ref", "lines",
    "attachments",
})  # fmt: skip
_LINE_FIELDS = frozenset({
    "account", "amount", "currency", "base_amount", "party_id", "vat_code", "tax_base",
    "dimensions", "text", "item",
})  # fmt: skip
_ITEM_FIELDS = frozenset({"kind", "document_ref", "kid", "document_date", "due_date"})


@dataclass(frozen=True, slots=True)
class Draft:
    """A manual journal that is being written: its entry without a reference, and what proves it."""

    book: str
    entry: EntryDraft
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class LineChange:
    """A line of a version beside the line in the same place of the one before; None is no line."""

    before: Line | None
    after: Line | None

    @property
    def changed(self) -> bool:
        """Tell whether the two differ."""
        return self.before != self.after


def draft_entry(
    series: str, effective_date: date, document_date: date, text: str, lines: tuple[Line, ...],
    document_ref: str | None = None,
) -> EntryDraft:  # fmt: skip
    """Draft the entry of a manual journal; its reference is known only when it is posted."""
    return EntryDraft(
        series, effective_date, document_date, ENTRY_TYPE, "", text, lines, document_ref
    )


def content_of(draft: Draft) -> dict[str, Any]:
    """Write a draft down as JSON values; `draft_of` reads it back."""
    entry = draft.entry
    return {
        "book": draft.book,
        "series": entry.series,
        "effective_date": entry.effective_date.isoformat(),
        "document_date": entry.document_date.isoformat(),
        "text": entry.text,
        "document_ref": entry.document_ref,
        "lines": [_line_content(line) for line in entry.lines],
        "attachments": [
            {"sha256": a.sha256, "name": a.name, "size": a.size, "media_type": a.media_type}
            for a in draft.attachments
        ],
    }


def draft_of(content: Mapping[str, Any], own: str = "NOK") -> Draft:
    """Read a draft from its JSON values; what may be absent may be left out.

    Lines that name no currency are in the `own` one, that of the book.

    Raises `MalformedEntry` where a value is missing, unknown or of another kind, with a pointer.
    """
    _refuse_unknown(content, _FIELDS, "")
    entry = draft_entry(
        _text(content, "series", "", "JNL"),
        _day(content, "effective_date", ""),
        _day(content, "document_date", "", content.get("effective_date")),
        _text(content, "text", ""),
        tuple(_line(line, f"/lines/{at}", own) for at, line in enumerate(_list(content, "lines"))),
        _text(content, "document_ref", "", None),
    )
    files = tuple(
        Attachment(
            _text(file, "sha256", f"/attachments/{at}"), _text(file, "name", f"/attachments/{at}"),
            file["size"], _text(file, "media_type", f"/attachments/{at}"),
        )
        for at, file in enumerate(_list(content, "attachments", ()))
    )  # fmt: skip
    return Draft(_text(content, "book", "", "NO01"), entry, files)


def content_hash(content: Mapping[str, Any]) -> bytes:
    """Hash what a draft says, attachments included (32 bytes); what an approval is bound to."""
    return sha256(ENCODING + canonical_json(content)).digest()


def check_storable(draft: Draft) -> None:
    """Refuse a draft that cannot even be kept; it may lack lines, texts and balance.

    Raises `TextHoldsNul`, `TextTooLong` and `NumberTooLarge` for what no column holds,
    `MalformedEntry` for other texts that none does and for too many lines or files.
    """
    entry = draft.entry
    if len(entry.lines) > LINES_MAX:
        raise MalformedEntry(
            f"The draft has {len(entry.lines)} lines; a manual journal has at most {LINES_MAX}."
        )
    if len(draft.attachments) > ATTACHMENTS_MAX:
        raise MalformedEntry(f"A draft carries at most {ATTACHMENTS_MAX} attachments.")
    if len(entry.text) > TEXT_LENGTH_MAX:
        raise TextTooLong(
            f"The text has {len(entry.text)} characters, and at most {TEXT_LENGTH_MAX} are held of "
            "a manual journal. Shorten it.", field="text",
        )  # fmt: skip
    # Each line is completed where it is unfinished and balanced by its mirror: what the journal
    # says against the rest of it holds for a draft too.
    whole = [
        replace(line, account=line.account or "?", amount_minor=line.amount_minor or 1)
        for line in entry.lines or (Line("?", 1),)
    ]
    mirror = [
        replace(line, amount_minor=-line.amount_minor, base_minor=-line.base) for line in whole
    ]
    full = replace(entry, lines=(*whole, *mirror), source_ref="?", series=entry.series or "?")
    check_batch(BatchDraft(draft.book, SOURCE_SYSTEM, "?", "?", (full,)))


def check_complete(draft: Draft) -> None:
    """Refuse a draft that is not fit for another person's eyes.

    Raises `EntryNotBalanced` or `MalformedEntry`, as the journal itself would.
    """
    entry = draft.entry
    if not entry.text.strip():
        raise MalformedEntry("The journal needs a text that says what it is for.", pointer="/text")
    for at, line in enumerate(entry.lines):
        lacking = None if line.account.strip() else "account"
        if line.amount_minor == 0 and line.base == 0:
            lacking = lacking or "amount"
        if lacking:
            raise MalformedEntry(
                f"Line {at + 1} has no {lacking}. Complete the line, or leave it out.",
                line=at + 1, pointer=f"/lines/{at}/{lacking}",
            )  # fmt: skip
    for currency, missing in difference(entry.lines).items():
        if missing:
            raise EntryNotBalanced(
                f"The journal is off by {format_amount(missing)} in {currency}: debits and credits "
                "must be equal.",
                currency=currency, difference=format_amount(missing), pointer="/lines",
            )  # fmt: skip
    check_batch(as_batch(draft, 0, "?"))


def as_batch(draft: Draft, draft_id: int, author: str) -> BatchDraft:
    """Shape a draft as the batch that posts it: draft/<id>, once for ever.

    The entry's own reference names the hash of the draft, so that the seal of the entry covers the
    draft's attachments too.
    """
    ref = f"draft/{draft_id}"
    entry = replace(draft.entry, source_ref=f"{ref}/{content_hash(content_of(draft)).hex()}")
    return BatchDraft(draft.book, SOURCE_SYSTEM, ref, author, (entry,))


def difference(lines: tuple[Line, ...]) -> dict[str, int]:
    """Sum lines per currency: what is still missing, debit positive. [minor units]"""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.currency] = sums.get(line.currency, 0) + line.amount_minor
    return sums


def compare_lines(before: tuple[Line, ...], after: tuple[Line, ...]) -> list[LineChange]:
    """Lay the lines of two versions side by side, by place."""
    longest = max(len(before), len(after))
    pad = (None,) * longest
    pairs = zip((*before, *pad)[:longest], (*after, *pad)[:longest], strict=True)
    return [LineChange(left, right) for left, right in pairs]


def _line_content(line: Line) -> dict[str, Any]:
    item = line.item
    return {
        "account": line.account,
        "amount": format_amount(line.amount_minor),
        "currency": line.currency,
        "base_amount": None if line.base_minor is None else format_amount(line.base_minor),
        "party_id": line.party_id,
        "vat_code": line.vat_code,
        "tax_base": None if line.tax_base_minor is None else format_amount(line.tax_base_minor),
        "dimensions": dict(line.dimensions) if line.dimensions else None,
        "text": line.text,
        "item": None if item is None else {
            "kind": item.kind, "document_ref": item.document_ref, "kid": item.kid,
            "document_date": item.document_date.isoformat(),
            "due_date": item.due_date.isoformat(),
        },
    }  # fmt: skip


def _line(content: Mapping[str, Any], where: str, own: str) -> Line:
    _refuse_unknown(content, _LINE_FIELDS, where)
    item = content.get("item")
    return Line(
        account=_text(content, "account", where),
        amount_minor=_required(_amount(content, "amount", where), f"{where}/amount"),
        currency=_text(content, "currency", where, own),
        party_id=_integer(content, "party_id", where),
        vat_code=_text(content, "vat_code", where, None),
        tax_base_minor=_amount(content, "tax_base", where),
        dimensions=_dimensions(content.get("dimensions"), where),
        item=None if item is None else _item(item, f"{where}/item"),
        text=_text(content, "text", where, None),
        base_minor=_amount(content, "base_amount", where),
    )


def _item(content: Mapping[str, Any], where: str) -> ItemDraft:
    _refuse_unknown(content, _ITEM_FIELDS, where)
    return ItemDraft(
        _text(content, "kind", where),
        _text(content, "document_ref", where),
        _text(content, "kid", where, None),
        _day(content, "document_date", where),
        _day(content, "due_date", where),
    )


def _refuse_unknown(content: object, known: frozenset[str], where: str) -> None:
    if not isinstance(content, Mapping):
        raise MalformedEntry(f"{where or 'The draft'} must be an object.", pointer=where)
    if unknown := sorted(set(content) - known):
        raise MalformedEntry(
            f"{where}/{unknown[0]} is unknown. Known: {', '.join(sorted(known))}.",
            pointer=f"{where}/{unknown[0]}",
        )


def _text(content: Mapping[str, Any], name: str, where: str, *default: Any) -> Any:
    value = content.get(name, *default)
    if not isinstance(value, str) and not (default and value is None and default[0] is None):
        raise MalformedEntry(f"{where}/{name} must be a text.", pointer=f"{where}/{name}")
    return value


def _day(content: Mapping[str, Any], name: str, where: str, default: Any = None) -> date:
    try:
        return date.fromisoformat(content.get(name, default))
    except (TypeError, ValueError):
        raise MalformedEntry(
            f"{where}/{name} must be a day, written as 2026-03-31.", pointer=f"{where}/{name}"
        ) from None


def _integer(content: Mapping[str, Any], name: str, where: str) -> int | None:
    value = content.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise MalformedEntry(f"{where}/{name} must be an integer.", pointer=f"{where}/{name}")
    return value


def _list(content: Mapping[str, Any], name: str, *default: Any) -> Any:
    value = content.get(name, *default)
    if not isinstance(value, list | tuple):
        raise MalformedEntry(f"/{name} must be a list.", pointer=f"/{name}")
    return value


def _dimensions(value: Any, where: str) -> Mapping[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
        raise MalformedEntry(
            f"{where}/dimensions must map names to texts.", pointer=f"{where}/dimensions"
        )
    return dict(value) or None


def _amount(content: Mapping[str, Any], name: str, where: str) -> int | None:
    """Read an amount, or say at which place of the draft it is none."""
    written, pointer = content.get(name), f"{where}/{name}"
    if isinstance(written, int | float):
        raise AmountNotAString(
            f'{pointer}: amounts are strings such as "1234.50", not JSON numbers.', pointer=pointer
        )
    try:
        return None if written is None else parse_amount(written)
    except Invalid as refusal:
        kind = NumberTooLarge if isinstance(refusal, NumberTooLarge) else MalformedEntry
        raise kind(f"{pointer}: {refusal}", pointer=pointer) from refusal


def _required(amount: int | None, pointer: str) -> int:
    if amount is None:
        raise MalformedEntry(f"{pointer} is missing.", pointer=pointer)
    return amount
