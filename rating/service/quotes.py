"""Quotes from the versions that are loaded: nothing is posted, nothing is kept."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy.orm import Session

from ledger import lookups
from ledger import service as ledger
from ledger.service.statements import read_books
from rating import quoting
from rating.allowance_terms import name_at
from rating.dated import day_of
from rating.phrases import Language
from rating.quoting import Asked, Balance, Quote
from rating.recurring import month_span
from rating.service.months import month_versions
from rating.service.tariffs import find_tariff, tariff_versions
from rating.versions import InForce


def quote(
    session: Session,
    asked: Asked,
    language: Language = "nb",
    *,
    tariff: str | None = None,
    book: str = "NO01",
    subscription: str | None = None,
    effective_as_of: datetime | None = None,
    known_as_of: datetime | None = None,
) -> Quote:
    """Price what is asked, with VAT as the book has it at the end of the month.

    Parameters
    ----------
    tariff : left out, the month goes by the versions that rate it; a name where several are in
        force; or a version such as NORDLYS/2, which may still be a proposal: it is then quoted as
        if it were in force all month.
    subscription : one that exists, by its reference or number: what it may still draw on is looked
        up, where `asked` does not say it, and its offering where none is asked for.
    effective_as_of, known_as_of : of use before the one, as was known at the other; None for all.

    Raises `TariffNotFound`, `UnknownBook`, `UnknownVatCode`, else as `rating.quoting.quote`.
    """
    first, after = (day_of(day) for day in month_span(asked.period))
    versions: Sequence[InForce]
    if tariff is not None and "/" in tariff:
        versions = (InForce(find_tariff(session, tariff).book, *month_span(asked.period)),)
    else:
        versions = (
            month_versions(session, asked.period)
            if tariff is None
            else tuple(tariff_versions(session, first, after, tariff))
        )
    balance: Balance | None = None
    if subscription is not None:
        clocks = (effective_as_of, known_as_of)
        balance = lookups.ask("balance", session, subscription, asked.period, *clocks)
        asked = _with_balance(asked, balance, versions)
    if not read_books(session):
        # Before there are books, nobody knows VAT.
        return replace(quoting.quote(versions, asked, language), balance=balance)
    ledger.require_book(session, book)
    last = date.fromordinal(after.toordinal() - 1)
    codes = {part.vat for one in versions for part in one.book.tariff.components}
    rates = {code: ledger.vat_rate_bp(session, book, code, on=last) for code in sorted(codes)}
    return replace(quoting.quote(versions, asked, language, rates), balance=balance)


def _with_balance(asked: Asked, balance: Balance, versions: Sequence[InForce]) -> Asked:
    """Let a real subscription draw on what it has, as far as the quoted tariff knows it."""
    said = {(one.allowance, one.age) for one in asked.remaining}
    known = {name for one in versions for name in one.book.allowances}
    looked_up = tuple(
        one
        for one in balance.remaining
        if (one.allowance, one.age) not in said and name_at(one.allowance, one.age) in known
    )
    return replace(
        asked,
        offering=asked.offering or balance.offering,
        remaining=(*asked.remaining, *looked_up),
    )
