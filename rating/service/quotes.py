"""Quotes from the versions that are loaded: nothing is posted, nothing is kept."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy.orm import Session

from ledger import lookups
from ledger import service as ledger
from ledger.service.statements import read_books
from rating import quoting
from rating.dated import day_of
from rating.phrases import Language
from rating.quoted_asking import Asked
from rating.quoting import Quote
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
    subscription : one that exists, by its reference or number: the rooms above quote it, with its
        contract, its use so far and all with whom it shares.
    effective_as_of, known_as_of : of use before the one, as was known at the other; None for all.

    Raises `TariffNotFound`, `UnknownBook`, `UnknownVatCode`, `NotFound` where nobody has the
    subscription, else as `rating.quoting.quote`.
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
    if subscription is not None:
        ledger.require_book(session, book)
        found: Quote = lookups.ask(
            "quote", session, asked, language, subscription, versions, book,
            effective_as_of, known_as_of,
        )  # fmt: skip
        return found
    if not read_books(session):
        return quoting.quote(versions, asked, language)  # Before there are books, nobody knows VAT.
    ledger.require_book(session, book)
    last = date.fromordinal(after.toordinal() - 1)
    codes = {part.vat for one in versions for part in one.book.tariff.components}
    rates = {code: ledger.vat_rate_bp(session, book, code, on=last) for code in sorted(codes)}
    return quoting.quote(versions, asked, language, rates)
