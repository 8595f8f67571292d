"""Whether stored tariffs are what they say: each text its hash, each verdict of what it judged.

Seals find a change of what they cover; this finds it too before the next seal, or where somebody
wrote a version past the functions, and is run by `hovedbok ledger verify`.
"""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.errors import Problem
from rating.models import TariffBookRow, TariffVerdict
from rating.tariff import parse_tariff


def wrong_tariffs(session: Session) -> Iterator[tuple[str, str]]:
    """Yield (where, what) for each version, and each verdict, that is not as it must be."""
    books = {row.tariff_book_id: row for row in session.scalars(select(TariffBookRow))}
    for number, row in sorted(books.items()):
        for what in _contradictions(row):
            yield f"tariff_book {number}", f"{row.name}/{row.version}: {what}"
    for verdict in session.scalars(select(TariffVerdict).order_by(TariffVerdict.tariff_book_id)):
        where, judged = f"tariff_verdict {verdict.tariff_book_id}", books[verdict.tariff_book_id]
        label = f"{judged.name}/{judged.version}"
        if verdict.content_hash != judged.content_hash:
            yield (
                where,
                (
                    f"{label}: it was of the content {verdict.content_hash}, and the version has "
                    f"{judged.content_hash}"
                ),
            )
        if verdict.judge == judged.loaded_by:
            yield where, f"{label}: {verdict.judge} judged what they had proposed themselves"


def _contradictions(row: TariffBookRow) -> Iterator[str]:
    try:
        book = parse_tariff(row.source.encode())
    except Problem as refusal:
        yield f"its text is no tariff any more: {refusal}"
        return
    if book.content_hash != row.content_hash:
        yield f"its text has the hash {book.content_hash}, and not {row.content_hash}"
    said = (row.name, row.version, row.valid_from)
    written = (book.tariff.name, book.tariff.version, book.tariff.valid_from)
    for what, one, other in zip(("name", "version", "first day"), said, written, strict=True):
        if one != other:
            yield f"its {what} is {one}, and {other} in its text"
