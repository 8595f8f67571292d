"""Check a tariff file against its format, the books and the versions there are; keep nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.service.statements import read_books
from rating.faults import Fault, did_you_mean, placed
from rating.models import TariffBookRow
from rating.tariff import TariffBook, parse_tariff
from rating.tariff_file import refusal
from rating.tariff_gaps import tariff_gaps
from rating.tariff_terms import Tariff, TariffInvalid
from rating.toml_lines import lines_of_keys


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found. Faults stop a file from being loaded, gaps are worth a look."""

    book: TariffBook | None  # None where the file cannot be read
    faults: tuple[Fault, ...]
    gaps: tuple[Fault, ...] = ()


def check_file(source: bytes) -> Checked:
    """Check a file by itself; needs no database."""
    try:
        book = parse_tariff(source)
    except TariffInvalid as found:
        return Checked(None, faults_of(found))
    lines = lines_of_keys(source.decode("utf-8-sig"))
    return Checked(book, (), tuple(placed(gap, lines) for gap in tariff_gaps(book.tariff)))


def check_tariff(session: Session, source: bytes) -> Checked:
    """Check a file, what it says of the books, and its place among the versions that are loaded."""
    checked = check_file(source)
    if checked.book is None:
        return checked
    tariff, lines = checked.book.tariff, lines_of_keys(source.decode("utf-8-sig"))
    found = [*_strange_to_the_books(session, tariff)]
    if not session.scalar(select(TariffBookRow).filter_by(content_hash=checked.book.content_hash)):
        found += _taken(session, tariff)
    return replace(checked, faults=tuple(placed(fault, lines) for fault in found))


def require_known(session: Session, source: bytes, tariff: Tariff) -> None:
    """Refuse a tariff whose VAT codes or kinds of revenue no book knows; raises `TariffInvalid`."""
    if found := list(_strange_to_the_books(session, tariff)):
        lines = lines_of_keys(source.decode("utf-8-sig"))
        raise refusal([placed(fault, lines) for fault in found])


def faults_of(refused: TariffInvalid) -> tuple[Fault, ...]:
    """Give the faults that a refusal lists; a book that cannot be compiled is one fault."""
    listed = refused.facts.get("faults")
    if not isinstance(listed, list):
        return (Fault("", str(refused)),)
    return tuple(Fault(one["key"], one["detail"], one["line"]) for one in listed)


def _strange_to_the_books(session: Session, tariff: Tariff) -> Iterator[Fault]:
    """Find VAT codes and kinds of revenue that no book has on the first day of the tariff."""
    books, day = [one.book for one in read_books(session)], tariff.valid_from
    if not books:
        return  # Before there is a book there is nothing to be strange to.
    kinds = {
        rule.selector
        for book in books
        for rule in ledger.posting_rules(session, book, day)
        if (rule.event, rule.leg) == ("usage_rated", "revenue")
    }
    codes = {code for book in books for code in ledger.vat_codes(session, book, day)}
    for number, component in enumerate(tariff.components, 1):
        if not kinds & {component.revenue, "*"}:
            yield Fault(
                f"component[{number}].revenue",
                f"no book has a posting rule for revenue {component.revenue!r} on {day}"
                f"{_known(component.revenue, kinds)}",
            )
        if component.vat not in codes:
            yield Fault(
                f"component[{number}].vat",
                f"no book has VAT code {component.vat!r} on {day}{_known(component.vat, codes)}",
            )


def _known(written: str, known: Iterable[str]) -> str:
    return f"; known are {', '.join(sorted(known)) or 'none'}{did_you_mean(written, known)}"


def _taken(session: Session, tariff: Tariff) -> Iterator[Fault]:
    """Find versions that stand where this one would."""
    rows = session.scalars(select(TariffBookRow).filter_by(name=tariff.name))
    for row in rows:
        if row.version == tariff.version:
            yield Fault(
                "version",
                f"{row.name}/{row.version} is loaded with other content; a changed tariff is a "
                "new version",
            )
        if row.valid_from == tariff.valid_from:
            yield Fault(
                "valid_from",
                f"{row.name}/{row.version} is valid from the same day, {row.valid_from}; each "
                "version has a first day of its own",
            )
