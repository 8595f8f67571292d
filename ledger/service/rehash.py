"""Recompute the hash of every entry from its stored columns, and the leaf that binds its number."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from ledger.encoding import encode_entry, entry_hash, leaf_hash
from ledger.journal import EntryDraft, ItemDraft, Line, Voucher

_ENTRIES_AT_A_TIME = 10_000  # as many as lie in memory at once, however large their batches are


def wrong_leaves(session: Session, first_batch: int = 0) -> Iterator[tuple[int, str]]:
    """Yield (entry_id, what) for each entry whose stored columns do not give its stored leaf.

    Looks at the entries of a batch and all later ones.
    """
    for span in _spans(session, first_batch << 20):
        headers = session.execute(text(_HEADERS), span).all()
        lines = _lines(session, {**span, "first": min(h.effective_date for h in headers),
                                 "last": max(h.effective_date for h in headers)})  # fmt: skip
        for header in headers:
            voucher = f"{header.series}/{header.fiscal_year}/{header.voucher_no}"
            if header.series is None or header.book is None or header.created_by is None:
                yield header.entry_id, f"voucher {voucher}: its book, series or batch is gone"
            elif _leaf(header, lines[header.entry_id]) != bytes(header.leaf):
                yield header.entry_id, f"voucher {voucher} is not what was posted"


def _spans(session: Session, low: int) -> Iterator[dict[str, Any]]:
    """Part the entries from one on into spans of so few that they can be held at once."""
    last = session.scalar(text("SELECT max(entry_id) FROM journal_entry"))
    while last is not None and low <= last:
        found = session.scalar(text(_NEXT_SPAN), {"low": low, "many": _ENTRIES_AT_A_TIME})
        high = last + 1 if found is None else int(found)
        yield {"low": low, "high": high}
        low = high


def stored_entry(session: Session, entry_id: int) -> tuple[Row[Any], EntryDraft]:
    """Read a stored entry back as the draft that it was; the header is that of `journal_entry`.

    The header also gives `book`, `series` and `created_by`.
    """
    span = {"low": entry_id, "high": entry_id + 1}
    header = session.execute(text(_HEADERS), span).one()
    on = {"first": header.effective_date, "last": header.effective_date}
    return header, _draft(header, _lines(session, {**span, **on})[entry_id])


def _leaf(header: Row[Any], lines: list[Line]) -> bytes:
    body = encode_entry(_draft(header, lines))
    hashed = entry_hash(body, header.book, header.source_system, header.created_by)
    return leaf_hash(hashed, Voucher(header.series, header.fiscal_year, header.voucher_no))


def _draft(header: Row[Any], lines: list[Line]) -> EntryDraft:
    return EntryDraft(
        series=header.series,
        effective_date=header.effective_date,
        document_date=header.document_date,
        entry_type=header.entry_type,
        source_ref=header.source_ref,
        text=header.text,
        lines=tuple(lines),
        document_ref=header.document_ref,
        reverses_entry_id=header.reverses_entry_id,
    )


def _lines(session: Session, span: dict[str, Any]) -> dict[int, list[Line]]:
    by_entry: dict[int, list[Line]] = defaultdict(list)
    for row in session.execute(text(_LINES), span):
        item = None
        if row.kind is not None:
            item = ItemDraft(row.kind, row.document_ref, row.kid, row.document_date, row.due_date)
        by_entry[row.entry_id].append(
            Line(
                account=row.number,
                amount_minor=row.amount_minor,
                currency=row.currency,
                party_id=row.party_id,
                vat_code=row.vat_code,
                tax_base_minor=row.tax_base_minor,
                dimensions=_dimensions(row.canonical_key),
                item=item,
                text=row.text,
                base_minor=row.base_minor,
            )
        )
    return by_entry


def _dimensions(canonical_key: str | None) -> dict[str, str] | None:
    if not canonical_key:
        return None
    pairs = (pair.partition("=") for pair in canonical_key.split(";"))
    return {name: value for name, _, value in pairs}


_NEXT_SPAN = """
    SELECT entry_id FROM journal_entry WHERE entry_id >= :low
    ORDER BY entry_id OFFSET :many LIMIT 1"""
_HEADERS = """
    SELECT e.*, s.code AS series, k.code AS book, b.created_by
    FROM journal_entry e LEFT JOIN voucher_series s USING (series_id)
    LEFT JOIN book k ON k.book_id = e.book_id
    LEFT JOIN posting_batch b ON b.batch_id = e.entry_id >> 20
    WHERE entry_id >= :low AND entry_id < :high ORDER BY entry_id"""
_LINES = """
    SELECT l.entry_id, a.number, l.amount_minor, l.base_minor, l.currency, l.party_id,
        v.code AS vat_code, l.tax_base_minor, d.canonical_key, l.text,
        i.kind, i.document_ref, i.kid, i.document_date, i.due_date
    FROM journal_line l JOIN account a USING (account_id)
    LEFT JOIN vat_code v ON v.vat_code_id = l.vat_code_id AND v.valid_from <= l.effective_date
        AND l.effective_date < coalesce(v.valid_to, 'infinity')
    LEFT JOIN dimension_set d ON d.dim_set_id = l.dim_set_id
    LEFT JOIN open_item i ON i.open_item_id = l.open_item_id
    WHERE l.entry_id >= :low AND l.entry_id < :high
        AND l.effective_date BETWEEN :first AND :last
    ORDER BY l.entry_id, l.line_no"""
