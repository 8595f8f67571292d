"""Tariff versions: load them, and find the one in force."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ledger.errors import Conflict, Invalid, NotFound
from rating.models import TariffBookRow
from rating.service.checking import require_known
from rating.tariff import TariffBook, compile_tariff, parse_tariff
from rating.tariff_file import read_tariff

_VERSION_DIGITS = 9


class TariffNotFound(NotFound):
    """No tariff book is in force on the day, or several are and none is named."""

    title = "Tariff book not found"


class TariffVersionTaken(Conflict):
    """Another content was loaded under this name and version, or for this first day."""

    title = "Tariff version is taken"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The outcome of loading a tariff file."""

    book: TariffBook
    new: bool


def load_tariff(session: Session, source: bytes) -> Loaded:
    """Keep a tariff file as an immutable book; the same content again is the same book.

    Raises
    ------
    TariffInvalid : the file breaks the format, or names a VAT code or a kind of revenue that no
        book knows.
    TariffVersionTaken : its name and version, or name and first day, belong to another content.
    """
    book = parse_tariff(source)
    tariff = book.tariff
    # Two loads at once: the second waits for the first, then finds what it did.
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('tariff_book'))"))
    if session.scalar(select(TariffBookRow).filter_by(content_hash=book.content_hash)):
        return Loaded(book, new=False)
    require_known(session, source, tariff)
    taken = session.scalar(
        select(TariffBookRow)
        .filter_by(name=tariff.name)
        .where(
            (TariffBookRow.version == tariff.version)
            | (TariffBookRow.valid_from == tariff.valid_from)
        )
    )
    if taken:
        raise TariffVersionTaken(
            f"{taken.name}/{taken.version} valid from {taken.valid_from} is loaded with other "
            "content. Give the changed tariff a new version and a first day of its own.",
            loaded_hash=taken.content_hash,
            content_hash=book.content_hash,
        )
    session.add(
        TariffBookRow(
            name=tariff.name,
            version=tariff.version,
            valid_from=tariff.valid_from,
            content_hash=book.content_hash,
            source=source.decode(),
        )
    )
    session.flush()
    return Loaded(book, new=True)


def tariff_books(session: Session) -> list[TariffBookRow]:
    """List the loaded books, by name and first day."""
    order = (TariffBookRow.name, TariffBookRow.valid_from)
    return list(session.scalars(select(TariffBookRow).order_by(*order)))


def tariff_book(session: Session, on: date, name: str | None = None) -> TariffBook:
    """Give the book in force on a day: the last whose first day has come.

    Parameters
    ----------
    name : which tariff; may be left out while only one sells to customers.

    Raises
    ------
    TariffNotFound : none is in force, or several names are loaded and none was given.
    """
    query = select(TariffBookRow).where(TariffBookRow.valid_from <= on)
    rows = session.scalars(query.order_by(TariffBookRow.valid_from.desc())).all()
    if name is None:
        # What partners ask of us is no price of a customer, also where nothing else is loaded.
        newest = {row.name: row for row in reversed(rows)}
        names = sorted(each for each, row in newest.items() if _sells(row) == "retail")
        if len(names) > 1:
            listed = ", ".join(names)
            raise TariffNotFound(f"Several tariffs are in force on {on}: {listed}; name one.")
        rows = [row for row in rows if row.name in names]
    row = next((row for row in rows if name in (None, row.name)), None)
    if row is None:
        raise TariffNotFound(
            f"No tariff book{f' {name}' if name else ''} is valid on {on}. "
            "Load one with hovedbok rating load FILE."
        )
    return _compiled(row.source, row.content_hash)


def tariff_book_by_hash(session: Session, content_hash: str) -> TariffBook:
    """Give the book that a rating run or a rated file names; raises `TariffNotFound`."""
    row = session.scalar(select(TariffBookRow).filter_by(content_hash=content_hash))
    if row is None:
        raise TariffNotFound(f"No tariff book has the content hash {content_hash}.")
    return _compiled(row.source, row.content_hash)


def tariff_book_labelled(session: Session, label: str) -> TariffBook:
    """Give a loaded book by NAME/VERSION; raises `Invalid`, `TariffNotFound`."""
    name, _, version = label.rpartition("/")
    if not name or not version.isdecimal() or len(version) > _VERSION_DIGITS:
        raise Invalid(f"{label!r} is no tariff book; write NAME/VERSION, as NORDLYS/2.")
    row = session.scalar(select(TariffBookRow).filter_by(name=name, version=int(version)))
    if row is None:
        raise TariffNotFound(
            f"No tariff book {label} is loaded; see hovedbok rating list, or load it with "
            "hovedbok rating load FILE."
        )
    return _compiled(row.source, row.content_hash)


def _sells(row: TariffBookRow) -> str:
    return _compiled(row.source, row.content_hash).tariff.sells


@lru_cache(maxsize=8)
def _compiled(source: str, content_hash: str) -> TariffBook:
    book = compile_tariff(read_tariff(source.encode()))
    if book.content_hash != content_hash:
        raise Invalid(
            f"Tariff book {book.label} reads as {book.content_hash}, stored was {content_hash}."
        )
    return book
