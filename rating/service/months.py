"""By which versions of a tariff a month is rated: those it was corrected by, else those in force.

Whoever asks what a month's usage costs asks here, so that its charges, what partners get of them
and what they leave, go by the same prices, also after these were put right.
"""

from sqlalchemy.orm import Session

from ledger.errors import Invalid
from rating.dated import day_number, day_of
from rating.models import RatingRun
from rating.recurring import month_span
from rating.service.charges import last_correction
from rating.service.tariffs import tariff_book_by_hash, tariff_book_labelled, tariff_versions
from rating.tariff import TariffBook
from rating.versions import InForce


def month_versions(session: Session, period: str) -> tuple[InForce, ...]:
    """Give the versions that rate a month, each for its days.

    A month that was rated again keeps the versions of that until it is rated again.

    Raises `TariffNotFound`.
    """
    again = last_correction(session, period)
    if again is not None:
        return versions_of_run(session, again)
    return versions_in_force(session, period)


def versions_in_force(session: Session, period: str) -> tuple[InForce, ...]:
    """Give the versions that are in force in a month now; raises `TariffNotFound`."""
    first, after = (day_of(day) for day in month_span(period))
    return tuple(tariff_versions(session, first, after))


def versions_of_run(session: Session, run: RatingRun) -> tuple[InForce, ...]:
    """Give the versions by which a run rated its month, each for the days it did.

    Labels and first days never change, so this holds whatever was loaded since.
    """
    labels = run.counts.get("tariffs", [])
    if len(labels) < 2:
        return one_version(tariff_book_by_hash(session, run.tariff_hash), run.period)
    books = [tariff_book_labelled(session, label) for label in labels]
    first, after = month_span(run.period)
    began = [max(day_number(book.tariff.valid_from), first) for book in books]
    ended = [*began[1:], after]
    return tuple(map(InForce, books, began, ended))


def one_version(book: TariffBook, period: str) -> tuple[InForce]:
    """Take one version for a whole month, whatever else is in force; from its own first day on.

    Raises
    ------
    Invalid : it begins after the month.
    """
    first, after = month_span(period)
    begin = max(day_number(book.tariff.valid_from), first)
    if begin >= after:
        raise Invalid(
            f"{book.label} is in force from {book.tariff.valid_from}, after {period}. Name a "
            "version that begins in that month or before it.",
            tariff=book.label,
        )
    return (InForce(book, begin, after),)
