"""Books and their master data: seeding, periods, and the rules that say which account is used."""

import csv
from datetime import date
from importlib.resources import files
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.refusals import NoPostingRule, UnknownBook, UnknownVatCode
from ledger.service.refused import translated

_SEED = files("ledger") / "seed"
# Per seed file: its table, the columns as the file names them, and how a row is inserted.
_INSERTS = {
    "accounts": (
        "INSERT INTO account (book_id, number, name, class, is_control, party_required, open_item,"
        " manual_post_allowed, grouping_category, grouping_code)"
        " SELECT book_id, :number, :name, :class, :is_control = '1', :party_required = '1',"
        " :open_item = '1', :manual_post_allowed = '1', :grouping_category, :grouping_code"
        " FROM book WHERE code = :book ON CONFLICT DO NOTHING"
    ),
    "vat_codes": (
        "INSERT INTO vat_code (book_id, code, name, saft_code, rate_bp, valid_from, valid_to)"
        " SELECT book_id, :code, :name, :saft_code, CAST(:rate_bp AS integer),"
        " CAST(:valid_from AS date), CAST(nullif(:valid_to, '') AS date)"
        " FROM book WHERE code = :book ON CONFLICT DO NOTHING"
    ),
    "dimensions": (
        "INSERT INTO dimension (book_id, code, name)"
        " SELECT book_id, :code, :name FROM book WHERE code = :book ON CONFLICT DO NOTHING"
    ),
    "voucher_series": (
        "INSERT INTO voucher_series (book_id, code, document_type, module, description)"
        " SELECT book_id, :code, :document_type, :module, :description"
        " FROM book WHERE code = :book ON CONFLICT DO NOTHING"
    ),
    "posting_rules": (
        "INSERT INTO posting_rule (book_id, event, leg, selector, account_number, valid_from)"
        " SELECT book_id, :event, :leg, :selector, :account, CAST(:valid_from AS date)"
        " FROM book WHERE code = :book ON CONFLICT DO NOTHING"
    ),
}


def seed_book(
    session: Session, book: str, legal_entity: str = "Nordlys Mobil AS", currency: str = "NOK"
) -> None:
    """Make a book with the house's chart, VAT codes, dimensions, voucher series and posting rules.

    Idempotent: what is there is left as it is, what is missing is added. Raises `UnknownCurrency`.
    """
    with translated():
        session.execute(
            text(
                "INSERT INTO book (code, legal_entity, functional_currency)"
                " VALUES (:book, :entity, :currency) ON CONFLICT DO NOTHING"
            ),
            {"book": book, "entity": legal_entity, "currency": currency},
        )
    for name, statement in _INSERTS.items():
        rows = read_seed(name)
        session.execute(text(statement), [{"book": book, **row} for row in rows])


def read_seed(name: str) -> list[dict[str, str]]:
    """Read a seed file: accounts, vat_codes, dimensions, voucher_series or posting_rules."""
    content = (_SEED / f"{name}.csv").read_text("utf-8")
    return list(csv.DictReader(content.splitlines()))


def require_book(session: Session, book: str) -> None:
    """Raise `UnknownBook` unless there is a book of this code; an empty report would mislead."""
    codes = session.execute(text("SELECT code FROM book ORDER BY code")).scalars().all()
    if book not in codes:
        known = ", ".join(codes) or "none; make one with hovedbok ledger init --year YEAR"
        raise UnknownBook(f"There is no book {book}. Known: {known}.", book=book)


def functional_currency(session: Session, book: str) -> str:
    """Give the currency that a book is kept in. Raises `UnknownBook`."""
    require_book(session, book)
    return str(
        session.scalar(text("SELECT functional_currency FROM book WHERE code = :book"),
                       {"book": book})
    )  # fmt: skip


def open_periods(session: Session, book: str, year: int) -> int:
    """Open the twelve periods of a fiscal year with their partitions; returns how many were new.

    Raises `UnknownBook`, or `UnknownPeriod` for a year outside 2000 to 2999.
    """
    with translated():
        return int(
            session.scalar(
                text("SELECT ledger_open_periods(:book, :year)"), {"book": book, "year": year}
            )
            or 0
        )


def posting_account(
    session: Session, book: str, event: str, leg: str, selector: str, on: date
) -> str:
    """Find the account of an event's leg on a date: the selector's own rule, else that of '*'.

    Raises `NoPostingRule`: an event without a rule is never posted to a guess.
    """
    account = session.scalar(
        text(
            "SELECT account_number FROM posting_rule JOIN book USING (book_id)"
            " WHERE code = :book AND event = :event AND leg = :leg"
            " AND selector IN (:selector, '*') AND valid_from <= :on"
            " ORDER BY selector = '*', valid_from DESC LIMIT 1"
        ),
        {"book": book, "event": event, "leg": leg, "selector": selector, "on": on},
    )
    if account is None:
        raise NoPostingRule(
            f"Book {book} has no posting rule for {event}, {leg}, {selector!r} on {on}. Add one to "
            "the posting rules.",
            event=event,
            leg=leg,
            selector=selector,
            on=on.isoformat(),
        )
    return str(account)


class PostingRuleView(NamedTuple):
    """A posting rule as accountants read it; '*' is any selector."""

    event: str
    leg: str
    selector: str
    account: str
    valid_from: date


def posting_rules(session: Session, book: str, on: date | None = None) -> list[PostingRuleView]:
    """List every posting rule of a book, or those that hold on a day. Raises `UnknownBook`."""
    require_book(session, book)
    rows = session.execute(
        text(
            "SELECT event, leg, selector, account_number, valid_from FROM posting_rule p"
            " JOIN book b USING (book_id) WHERE b.code = :book AND (CAST(:on AS date) IS NULL"
            "  OR (valid_from <= :on AND NOT EXISTS (SELECT FROM posting_rule q"
            "   WHERE q.book_id = p.book_id AND (q.event, q.leg, q.selector)"
            "   = (p.event, p.leg, p.selector) AND q.valid_from > p.valid_from"
            "   AND q.valid_from <= :on)))"
            " ORDER BY event, leg, selector, valid_from"
        ),
        {"book": book, "on": on},
    )
    return [PostingRuleView(*row) for row in rows]


def vat_rate_bp(session: Session, book: str, code: str, on: date) -> int:
    """Give the rate of a VAT code on a date. [hundredths of a per cent]

    Raises `UnknownVatCode` where the code does not exist on that date.
    """
    rate = session.scalar(
        text(
            "SELECT rate_bp FROM vat_code v JOIN book b USING (book_id)"
            " WHERE b.code = :book AND v.code = :code AND valid_from <= :on"
            " AND (valid_to IS NULL OR :on < valid_to)"
        ),
        {"book": book, "code": code, "on": on},
    )
    if rate is None:
        raise UnknownVatCode(f"There is no VAT code {code} on {on}.", vat_code=code)
    return int(rate)


def vat_codes(session: Session, book: str, on: date) -> list[str]:
    """List the VAT codes that a book has on a day."""
    query = text(
        "SELECT v.code FROM vat_code v JOIN book b USING (book_id)"
        " WHERE b.code = :book AND valid_from <= :on AND (valid_to IS NULL OR :on < valid_to)"
        " ORDER BY v.code"
    )
    return list(session.scalars(query, {"book": book, "on": on}))
