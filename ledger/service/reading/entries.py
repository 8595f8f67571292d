"""Read single entries: by id, by voucher number, or by the reference of who sent them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from ledger.journal import Voucher
from ledger.refusals import UnknownEntry
from ledger.service.clocks import known_only


@dataclass(frozen=True, slots=True)
class LineView:
    """A posted line as an accountant sees it. [minor units]"""

    line_no: int
    account: str
    account_name: str
    amount_minor: int
    base_minor: int
    currency: str
    party_id: int | None
    vat_code: str | None
    tax_base_minor: int | None
    dimensions: str
    open_item_id: int | None
    text: str | None


@dataclass(frozen=True, slots=True)
class EntryView:
    """A posted entry with its lines, and the batch that brought it."""

    entry_id: int
    batch_id: int
    voucher: Voucher
    effective_date: date
    document_date: date
    entry_type: str
    text: str
    source_system: str
    source_ref: str
    batch_source_ref: str
    document_ref: str | None
    reverses_entry_id: int | None
    created_by: str
    recorded_at: datetime
    lines: tuple[LineView, ...]
    approved_by: str | None = None
    reverses: Voucher | None = None  # The voucher that this one undoes,
    reversed_by: Voucher | None = None  # and the one that undid it.
    block_no: int | None = None  # The seal block that holds its batch; None until it is sealed.
    sealed_at: datetime | None = None


def read_entry(
    session: Session,
    entry_id: int,
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
    *,
    book: str | None = None,
) -> EntryView:
    """Read one entry with its lines, of any book or of one.

    Raises `UnknownEntry`, `NotYetKnown`.
    """
    bound = {"id": entry_id, "day": effective_as_of, "known": known_as_of, "book": book}
    of_book = "" if book is None else " AND k.code = :book"
    found = _find(session, f"e.entry_id = :id{of_book}", bound)
    if found is None:
        where = "There" if book is None else f"In book {book} there"
        raise UnknownEntry(
            f"{where} is no entry {entry_id}{_as_of(effective_as_of, known_as_of)}.",
            entry_id=entry_id,
        )
    return found


def find_voucher(
    session: Session,
    book: str,
    series: str,
    year: int,
    number: int,
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
) -> EntryView:
    """Read the entry of a voucher number. Raises `UnknownEntry`, `NotYetKnown`."""
    found = _find(
        session,
        "k.code = :book AND s.code = :series AND e.fiscal_year = :year AND e.voucher_no = :number",
        {
            "book": book, "series": series, "year": year, "number": number,
            "day": effective_as_of, "known": known_as_of,
        },
    )  # fmt: skip
    if found is None:
        raise UnknownEntry(
            f"Book {book} has no voucher {series}/{year}/{number}"
            f"{_as_of(effective_as_of, known_as_of)}.",
            voucher=f"{series}/{year}/{number}",
        )
    return found


def _find(session: Session, condition: str, bound: Mapping[str, Any]) -> EntryView | None:
    """Find an entry that both clocks show; its reversal is told only where they show that too."""

    def shown(entry: str) -> str:
        known = known_only(session, f"{entry}.entry_id >> 20", bound["known"])
        return f"{entry}.effective_date <= coalesce(CAST(:day AS date), 'infinity'){known}"

    header = session.execute(
        text(
            "SELECT e.*, s.code AS series, b.batch_id, b.source_ref AS batch_source_ref,"
            " b.created_by, b.recorded_at, b.approved_by, (SELECT r.entry_id FROM journal_entry r"
            f"  WHERE r.reverses_entry_id = e.entry_id AND {shown('r')}) AS reversed_by_entry_id,"
            " sb.block_no, sb.signed_at"
            " FROM journal_entry e JOIN voucher_series s USING (series_id)"
            " JOIN book k ON k.book_id = e.book_id"
            " JOIN posting_batch b ON b.batch_id = e.entry_id >> 20"
            " LEFT JOIN seal_member sm ON sm.batch_id = b.batch_id"
            " LEFT JOIN seal_block sb ON sb.block_no = sm.block_no"
            f" WHERE {condition} AND {shown('e')}"
        ),
        bound,
    ).first()
    return None if header is None else _entry(session, header)


def _as_of(effective_as_of: date | None, known_as_of: int | None) -> str:
    """Say which clocks an entry was looked for by, where any was given."""
    told = "" if effective_as_of is None else f", effective by {effective_as_of}"
    return told + ("" if known_as_of is None else f", known by seal position {known_as_of}")


def _entry(session: Session, header: Row[Any]) -> EntryView:
    return EntryView(
        entry_id=header.entry_id,
        batch_id=header.batch_id,
        voucher=Voucher(header.series, header.fiscal_year, header.voucher_no),
        effective_date=header.effective_date,
        document_date=header.document_date,
        entry_type=header.entry_type,
        text=header.text,
        source_system=header.source_system,
        source_ref=header.source_ref,
        batch_source_ref=header.batch_source_ref,
        document_ref=header.document_ref,
        reverses_entry_id=header.reverses_entry_id,
        created_by=header.created_by,
        recorded_at=header.recorded_at,
        lines=tuple(_lines(session, header.entry_id, header.effective_date)),
        approved_by=header.approved_by,
        reverses=_voucher(session, header.reverses_entry_id),
        reversed_by=_voucher(session, header.reversed_by_entry_id),
        block_no=header.block_no,
        sealed_at=header.signed_at,
    )


def _voucher(session: Session, entry_id: int | None) -> Voucher | None:
    """Give the voucher of another entry, where there is one."""
    if entry_id is None:
        return None
    row = session.execute(
        text(
            "SELECT s.code, e.fiscal_year, e.voucher_no FROM journal_entry e"
            " JOIN voucher_series s USING (series_id) WHERE e.entry_id = :id"
        ),
        {"id": entry_id},
    ).one()
    return Voucher(*row)


def vouchers_of(session: Session, entry_ids: Iterable[int]) -> dict[int, Voucher]:
    """Map entries to the vouchers they stand under; what is no entry is left out."""
    rows = session.execute(
        text(
            "SELECT e.entry_id, s.code, e.fiscal_year, e.voucher_no FROM journal_entry e"
            " JOIN voucher_series s USING (series_id) WHERE e.entry_id = ANY(:ids)"
        ),
        {"ids": sorted(set(entry_ids))},
    )
    return {row.entry_id: Voucher(row.code, row.fiscal_year, row.voucher_no) for row in rows}


def _lines(session: Session, entry_id: int, effective_date: date) -> Sequence[LineView]:
    # The date is given too, so that only one partition is read.
    rows = session.execute(
        text(
            "SELECT l.line_no, a.number, a.name, l.amount_minor, l.base_minor, l.currency,"
            " l.party_id, v.code, l.tax_base_minor, coalesce(d.canonical_key, ''),"
            " l.open_item_id, l.text FROM journal_line l JOIN account a USING (account_id)"
            " LEFT JOIN vat_code v USING (vat_code_id)"
            " LEFT JOIN dimension_set d ON d.dim_set_id = l.dim_set_id"
            " WHERE l.entry_id = :id AND l.effective_date = :day ORDER BY l.line_no"
        ),
        {"id": entry_id, "day": effective_date},
    )
    return [LineView(*row) for row in rows]
