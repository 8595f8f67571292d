"""Registers that postings name: currencies, VAT codes and voucher series, as lists."""

from datetime import date
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.service.books import require_book


class Currency(NamedTuple):
    """A currency by its ISO 4217 codes, and the decimals of its amounts."""

    code: str
    numeric_code: int
    minor_digits: int
    name: str


class VatCode(NamedTuple):
    """A VAT code on the days [valid_from, valid_to). [rate in hundredths of a per cent]"""

    code: str
    name: str
    saft_code: str
    rate_bp: int
    valid_from: date
    valid_to: date | None


class LastNumber(NamedTuple):
    """The last voucher number of a series in a fiscal year."""

    year: int
    last_number: int


class VoucherSeries(NamedTuple):
    """A voucher series and how far it has come in each year."""

    code: str
    document_type: str
    module: str
    description: str
    years: tuple[LastNumber, ...]


def currencies(session: Session) -> list[Currency]:
    """List the currencies that amounts may be in, by code."""
    rows = session.execute(
        text("SELECT code, numeric_code, minor_digits, name FROM currency ORDER BY code")
    )
    return [Currency(*row) for row in rows]


def vat_codes(session: Session, book: str, on: date | None = None) -> list[VatCode]:
    """List the VAT codes of a book, all or those that hold on a day. Raises `UnknownBook`."""
    require_book(session, book)
    rows = session.execute(
        text(
            "SELECT v.code, v.name, saft_code, rate_bp, valid_from, valid_to"
            " FROM vat_code v JOIN book b USING (book_id) WHERE b.code = :book"
            " AND (CAST(:on AS date) IS NULL"
            "  OR (valid_from <= :on AND (valid_to IS NULL OR :on < valid_to)))"
            " ORDER BY v.code, valid_from"
        ),
        {"book": book, "on": on},
    )
    return [VatCode(*row) for row in rows]


def voucher_series(session: Session, book: str) -> list[VoucherSeries]:
    """List the voucher series of a book by code. Raises `UnknownBook`."""
    require_book(session, book)
    rows = session.execute(
        text(
            "SELECT s.code, document_type, module, description,"
            " coalesce(array_agg(fiscal_year ORDER BY fiscal_year)"
            "  FILTER (WHERE last_no > 0), '{}') AS years,"
            " coalesce(array_agg(last_no ORDER BY fiscal_year)"
            "  FILTER (WHERE last_no > 0), '{}') AS numbers"
            " FROM voucher_series s JOIN book b USING (book_id)"
            " LEFT JOIN voucher_counter c USING (series_id) WHERE b.code = :book"
            " GROUP BY series_id ORDER BY s.code"
        ),
        {"book": book},
    )
    found = []
    for row in rows:
        years = tuple(map(LastNumber, row.years, row.numbers))
        found.append(VoucherSeries(row.code, row.document_type, row.module, row.description, years))
    return found
