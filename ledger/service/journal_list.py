"""The journal as a list: entries in the order they were recorded, filtered and by pages."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from ledger.cursors import read_cursor, write_cursor
from ledger.journal import Voucher
from ledger.refusals import UnknownSeries
from ledger.service.clocks import known_only
from ledger.service.reading.statement import find_account

PAGE = 100
PAGE_MAX = 1000


@dataclass(frozen=True, slots=True)
class JournalFilter:
    """Which entries are wanted; None wants all. Days are included.

    `account`, `party_id` and the amounts must hold for one and the same line; amounts are of
    either sign. [minor units] `reference` is the whole of a source or document reference, `text`
    a part of the entry's text in any case.
    """

    first_day: date | None = None
    effective_as_of: date | None = None
    series: str | None = None
    account: str | None = None
    party_id: int | None = None
    entry_type: str | None = None
    source_system: str | None = None
    reference: str | None = None
    text: str | None = None
    least_minor: int | None = None
    most_minor: int | None = None


@dataclass(frozen=True, slots=True)
class JournalRow:
    """An entry in the list, with its debits per currency. [minor units]"""

    entry_id: int
    voucher: Voucher
    effective_date: date
    document_date: date
    entry_type: str
    text: str
    source_system: str
    source_ref: str
    document_ref: str | None
    line_count: int
    debit_minor: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class JournalPage:
    """A page of the journal, and the cursor of the next; None at the end."""

    rows: tuple[JournalRow, ...]
    next_cursor: str | None


def list_entries(
    session: Session,
    book: str,
    wanted: JournalFilter | None = None,
    known_as_of: int | None = None,
    *,
    after: str | None = None,
    limit: int = PAGE,
    newest: bool = True,
    frozen: int | None = None,
) -> JournalPage:
    """Give a page of entries in the order they were recorded, newest or oldest first.

    Parameters
    ----------
    after : the cursor of the page before; it must come with the same other arguments.
    limit : entries of a page, 1 to 1000.
    frozen : the position at which the next page is to be read, where all is sealed now: this page
        reads the same at once without looking for it.

    Raises
    ------
    UnknownAccount, UnknownSeries, NotYetKnown, CursorInvalid
    """
    wanted = wanted or JournalFilter()
    _require_series(session, book, wanted.series)
    limit = max(1, min(limit, PAGE_MAX))
    arguments = {
        "list": "journal", "book": book, **asdict(wanted), "known": known_as_of, "newest": newest,
    }  # fmt: skip
    bound: dict[str, Any] = {
        **asdict(wanted), "book": book, "known": known_as_of, "n": limit + 1,
        "like": None if wanted.text is None else f"%{_escaped(wanted.text)}%",
    }  # fmt: skip
    conditions = [
        "e.book_id = (SELECT book_id FROM book WHERE code = :book)",
        *(_ENTRY[name] for name in _ENTRY if getattr(wanted, name) is not None),
        *_line_conditions(session, book, wanted, bound),
    ]
    if after is not None:
        (bound["entry"],) = read_cursor(after, arguments)
        conditions.append(f"e.entry_id {'<' if newest else '>'} CAST(:entry AS bigint)")
    condition = " AND ".join(conditions) + known_only(session, "e.entry_id >> 20", known_as_of)
    found = _read(session, condition, "DESC" if newest else "ASC", bound)
    rows = tuple(_row(row) for row in found[:limit])
    if len(found) <= limit:
        return JournalPage(rows, None)
    bound_to = known_as_of if frozen is None else frozen
    return JournalPage(rows, write_cursor((rows[-1].entry_id,), {**arguments, "known": bound_to}))


_ENTRY = {
    "first_day": "e.effective_date >= :first_day",
    "effective_as_of": "e.effective_date <= :effective_as_of",
    "series": "e.series_id IN (SELECT series_id FROM voucher_series WHERE code = :series)",
    "entry_type": "e.entry_type = :entry_type",
    "source_system": "e.source_system = :source_system",
    "reference": "(e.source_ref = :reference OR e.document_ref = :reference)",
    "text": r"e.text ILIKE :like",
}
_LINE = {
    "account": "l.account_id = :account_id",
    "party_id": "l.party_id = CAST(:party_id AS bigint)",
    "least_minor": "abs(l.amount_minor) >= :least_minor",
    "most_minor": "abs(l.amount_minor) <= :most_minor",
}


def _require_series(session: Session, book: str, series: str | None) -> None:
    """Refuse a series that the book has not: an empty list would say that nothing stands in it."""
    if series is None:
        return
    codes = session.scalars(
        text("SELECT s.code FROM voucher_series s JOIN book USING (book_id)"
             " WHERE book.code = :book ORDER BY s.code"),
        {"book": book},
    ).all()  # fmt: skip
    if series not in codes:
        raise UnknownSeries(
            f"Book {book} has no voucher series {series}. It has {', '.join(codes)}.",
            series=series,
        )


def _line_conditions(
    session: Session, book: str, wanted: JournalFilter, bound: dict[str, Any]
) -> list[str]:
    """Say what one of the entry's lines must be; a party's lines have an index, others have not."""
    of_line = [_LINE[name] for name in _LINE if getattr(wanted, name) is not None]
    if not of_line:
        return []
    conditions = []
    if wanted.account is not None:
        bound["account_id"], _ = find_account(session, book, wanted.account)
        # The deltas say which batches touch the account; only their entries are looked into.
        conditions.append(
            "e.entry_id >> 20 IN (SELECT batch_id FROM balance_delta"
            " WHERE account_id = :account_id)"
        )
    line = " AND ".join(of_line)
    if wanted.party_id is not None:
        conditions.append(
            f"e.entry_id = ANY (ARRAY(SELECT l.entry_id FROM journal_line l WHERE {line}))"
        )
    else:
        conditions.append(
            "EXISTS (SELECT FROM journal_line l WHERE l.entry_id = e.entry_id"
            f" AND l.effective_date = e.effective_date AND {line})"
        )
    return conditions


def _read(session: Session, condition: str, order: str, bound: dict[str, Any]) -> list[Row[Any]]:
    rows = session.execute(
        text(
            "SELECT e.entry_id, s.code, e.fiscal_year, e.voucher_no, e.effective_date,"
            " e.document_date, e.entry_type, e.text, e.source_system, e.source_ref,"
            " e.document_ref, e.line_count, d.debits"
            f" FROM (SELECT * FROM journal_entry e WHERE {condition}"
            f"  ORDER BY e.entry_id {order} LIMIT :n) e"
            " JOIN voucher_series s USING (series_id) CROSS JOIN LATERAL ("
            "  SELECT coalesce(jsonb_object_agg(currency, debit), '{}') AS debits FROM ("
            "   SELECT currency, sum(greatest(amount_minor, 0))::bigint AS debit"
            "   FROM journal_line l WHERE l.entry_id = e.entry_id"
            "   AND l.effective_date = e.effective_date GROUP BY currency) c) d"
            f" ORDER BY e.entry_id {order}"
        ),
        bound,
    )
    return list(rows)


def _row(row: Row[Any]) -> JournalRow:
    voucher = Voucher(row.code, row.fiscal_year, row.voucher_no)
    return JournalRow(
        row.entry_id, voucher, row.effective_date, row.document_date, row.entry_type, row.text,
        row.source_system, row.source_ref, row.document_ref, row.line_count, row.debits,
    )  # fmt: skip


def _escaped(part: str) -> str:
    """Let the signs of LIKE stand for themselves."""
    return part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
