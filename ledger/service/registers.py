"""Registers that postings name: currencies, VAT codes, voucher series and posting rules.

Their rows are dated and never changed: a VAT code ends and another rate begins, a posting rule is
followed by a later one. Who did so, and why, stands in the audit log.
"""

from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.errors import Invalid
from ledger.journal import Voucher
from ledger.refusals import NoPostingRule, UnknownVatCode
from ledger.service.access import record_event
from ledger.service.audit import tell_audit
from ledger.service.books import PostingRuleView, posting_rules, require_book
from ledger.service.refused import translated
from ledger.service.turns import take_turn

_FULL_BP = 10_000


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


class VoucherGap(NamedTuple):
    """A number that is missing, and why."""

    voucher: str
    reason: str
    actor: str
    recorded_at: datetime


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


def vat_code_rates(
    session: Session, book: str, code: str, *, to_change: bool = False
) -> list[VatCode]:
    """List the rates that a VAT code has had, the first one first.

    Who reads them to change them has them alone until the transaction ends.

    Raises `UnknownBook`, `UnknownVatCode`.
    """
    if to_change:
        take_turn(session, f"vat/{book}/{code}")
    found = [one for one in vat_codes(session, book) if one.code == code]
    if not found:
        raise UnknownVatCode(f"Book {book} has no VAT code {code}.", vat_code=code)
    return found


def add_vat_code(session: Session, book: str, made: VatCode, *, actor: str, reason: str) -> None:
    """Give a book a VAT code, or a code that has ended its next rate.

    Raises
    ------
    Invalid : the rate is no share, or nobody says why.
    VatCodeInUse : the code has a rate on some of those days.
    UnknownBook
    """
    _check_reason(reason)
    require_book(session, book)
    take_turn(session, f"vat/{book}/{made.code}")
    if not 0 <= made.rate_bp <= _FULL_BP:
        raise Invalid(f"A rate is from 0 to 100 %, not {made.rate_bp / 100:g} %.")
    if made.valid_to is not None and made.valid_to <= made.valid_from:
        raise Invalid(f"VAT code {made.code} ends before it begins.")
    with translated():
        session.execute(
            text(
                "INSERT INTO vat_code (book_id, code, name, saft_code, rate_bp, valid_from,"
                " valid_to) SELECT book_id, :code, :name, :saft_code, :rate_bp, :valid_from,"
                " :valid_to FROM book WHERE code = :book"
            ),
            {**made._asdict(), "book": book},
        )
    facts = {"rate_bp": made.rate_bp, "valid_from": made.valid_from.isoformat()}
    tell_audit(session, actor, "VAT code added", f"{book}/{made.code}", **facts, reason=reason)


def end_vat_code(
    session: Session, book: str, code: str, last_day: date, *, actor: str, reason: str
) -> None:
    """End a VAT code after a day; what was posted with it stands.

    Raises
    ------
    UnknownVatCode : the book has no such code, or it has ended.
    VatCodeInUse : something is posted with it after the day, or it begins later.
    """
    _check_reason(reason)
    require_book(session, book)
    take_turn(session, f"vat/{book}/{code}")
    with translated():
        session.execute(
            text("SELECT ledger_end_vat_code(:book, :code, :day, :actor, :reason)"),
            {"book": book, "code": code, "day": last_day, "actor": actor, "reason": reason},
        )


def add_posting_rule(
    session: Session, book: str, rule: PostingRuleView, *, actor: str, reason: str
) -> None:
    """Say which account an event uses from a day on; the rule before it holds until then.

    Parameters
    ----------
    rule : of an event and a leg that the book knows; the selector may be new.

    Raises
    ------
    NoPostingRule : there is no such event, or no such leg of it.
    PeriodClosed : the day lies in a month that is closed for GL: it was posted by the old rule.
    PostingRuleTaken : there is a rule from that day on.
    UnknownBook, UnknownAccount
    """
    _check_reason(reason)
    known = sorted({(one.event, one.leg) for one in posting_rules(session, book)})
    if (rule.event, rule.leg) not in known:
        legs = [leg for event, leg in known if event == rule.event]
        told = f"its legs are {', '.join(legs)}" if legs else "there is no such event"
        raise NoPostingRule(
            f"No posting has the leg {rule.leg!r} of {rule.event!r}: {told}. "
            "See hovedbok ledger rules.",
            event=rule.event, leg=rule.leg,
        )  # fmt: skip
    with translated():
        session.execute(
            text(
                "INSERT INTO posting_rule (book_id, event, leg, selector, account_number,"
                " valid_from) SELECT book_id, :event, :leg, :selector, :account, :valid_from"
                " FROM book WHERE code = :book"
            ),
            {**rule._asdict(), "book": book},
        )
    facts = {"account": rule.account, "valid_from": rule.valid_from.isoformat()}
    subject = f"{book}/{rule.event}/{rule.leg}/{rule.selector}"
    tell_audit(session, actor, "posting rule added", subject, **facts, reason=reason)


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise Invalid("Say why: the reason is kept in the audit log.")


def voucher_gaps(session: Session, book: str) -> list[VoucherGap]:
    """List the numbers of a book that are missing and explained. Raises `UnknownBook`."""
    require_book(session, book)
    rows = session.execute(
        text(
            "SELECT s.code || '/' || g.fiscal_year || '/' || g.voucher_no, g.reason, g.actor,"
            " g.recorded_at FROM voucher_gap g JOIN voucher_series s USING (series_id)"
            " JOIN book b USING (book_id) WHERE b.code = :book"
            " ORDER BY s.code, g.fiscal_year, g.voucher_no"
        ),
        {"book": book},
    )
    return [VoucherGap(*row) for row in rows]


def explain_gap(session: Session, book: str, voucher: Voucher, *, actor: str, reason: str) -> bool:
    """Say for good why a number is missing; the same words again change nothing.

    Returns whether it was written now.

    Raises
    ------
    NumberNotMissing : it was never given, is that of an entry, or somebody explained it otherwise.
    UnknownBook, UnknownSeries
    Invalid : nobody says why.
    """
    _check_reason(reason)
    number = {"series": voucher.series, "year": voucher.year, "number": voucher.number}
    with translated():
        made = session.scalar(
            text("SELECT ledger_explain_gap(:book, :series, :year, :number, :actor, :reason)"),
            {**number, "book": book, "actor": actor, "reason": reason.strip()},
        )
    if made:
        record_event(
            session, actor, "gap explained", f"voucher/{book}/{voucher}", reason=reason.strip()
        )
    return bool(made)


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
