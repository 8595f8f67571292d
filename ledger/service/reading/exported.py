"""Every posted line, streamed for exports: what leaves the database is enough to recompute it."""

from collections.abc import Iterator
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.plaintext import (
    ExportAccount,
    ExportLine,
    Tally,
    beancount_journal,
    csv_journal,
    hledger_journal,
)
from ledger.service.clocks import known_only, resolve_clocks
from ledger.service.reading.balances import trial_balance

TEXT_FORMATS = ("hledger", "beancount", "csv")
_FETCHED = 5000


def export_text(
    session: Session,
    book: str,
    form: str,
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
    *,
    tally: Tally,
) -> Iterator[str]:
    """Stream the journal as text in one of `TEXT_FORMATS`; the last piece is given once it ties.

    The session must hold one snapshot. Raises `NotYetKnown`; `DoesNotTie` at the end.
    """
    lines = iter_tied_lines(session, book, effective_as_of, known_as_of, tally=tally)
    if form == "csv":
        yield from csv_journal(lines)
        return
    clocks = resolve_clocks(session, effective_as_of, known_as_of)
    known = "everything committed" if clocks.known_as_of is None else clocks.known_as_of
    heading = (
        f"Journal of book {book}, amounts debit positive.",
        f"Effective as of: {effective_as_of or 'every day'}.",
        f"Known as of seal position: {known}.",
    )
    write = {"hledger": hledger_journal, "beancount": beancount_journal}[form]
    yield from write(heading, export_accounts(session, book), lines)


def iter_tied_lines(
    session: Session,
    book: str,
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
    *,
    tally: Tally,
) -> Iterator[ExportLine]:
    """Stream all lines, counted in `tally`; ends with `DoesNotTie` unless they are the balances."""
    yield from tally.through(iter_lines(session, book, effective_as_of, known_as_of))
    balances = trial_balance(session, book, effective_as_of, known_as_of)
    tally.check({(row.account, row.currency): row.balance_minor for row in balances})


def export_accounts(session: Session, book: str) -> list[ExportAccount]:
    """List the whole chart of a book, by number."""
    rows = session.execute(
        text(
            "SELECT number, a.name, class FROM account a JOIN book USING (book_id)"
            " WHERE code = :book ORDER BY number"
        ),
        {"book": book},
    )
    return [ExportAccount(*row) for row in rows]


def iter_lines(
    session: Session,
    book: str,
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
) -> Iterator[ExportLine]:
    """Stream the lines of a book in order of (date, entry, line); memory stays constant.

    Month by month, so that no sort of the database is larger than a month. Raises `NotYetKnown`.
    """
    known = known_only(session, "l.entry_id >> 20", known_as_of)
    months = session.execute(
        text(
            "SELECT starts_on, ends_on FROM period JOIN book b USING (book_id) WHERE b.code = :book"
            " AND starts_on <= coalesce(CAST(:day AS date), 'infinity') ORDER BY starts_on"
        ),
        {"book": book, "day": effective_as_of},
    ).all()
    for starts_on, ends_on in months:
        rows = session.execute(
            text(
                "SELECT l.entry_id, s.code || '/' || e.fiscal_year || '/' || e.voucher_no,"
                " l.effective_date, e.document_date, e.entry_type, e.source_system, e.source_ref,"
                " e.document_ref, e.text, l.line_no, a.number, l.currency, l.amount_minor,"
                " l.base_minor, l.party_id, v.code, l.tax_base_minor, d.canonical_key, l.text"
                " FROM journal_line l JOIN journal_entry e USING (entry_id)"
                " JOIN voucher_series s USING (series_id) JOIN account a USING (account_id)"
                " JOIN book k ON k.book_id = e.book_id"
                " LEFT JOIN vat_code v USING (vat_code_id)"
                " LEFT JOIN dimension_set d ON d.dim_set_id = l.dim_set_id"
                " WHERE k.code = :book AND l.effective_date >= :first AND l.effective_date < :end"
                f" AND l.effective_date <= coalesce(CAST(:day AS date), 'infinity'){known}"
                " ORDER BY l.effective_date, l.entry_id, l.line_no"
            ),
            {
                "book": book, "first": starts_on, "end": ends_on, "day": effective_as_of,
                "known": known_as_of,
            },
            execution_options={"yield_per": _FETCHED},
        )  # fmt: skip
        for row in rows:
            yield ExportLine(*row)
