"""Dimensions: registered with their values, and required or forbidden account by account.

The database checks every line that is inserted; see migrations/sql/0012_structure.
"""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.errors import NotFound
from ledger.service.books import require_book

RULES = ("required", "allowed", "forbidden")


class UnknownDimension(NotFound):
    """The book has registered no such dimension.

    Raise as: f"Book {book} has no dimension {code}. Register it first.".
    """

    title = "Unknown dimension"


@dataclass(frozen=True, slots=True)
class DimensionRule:
    """What accounts that begin with a prefix do with a dimension from a day on."""

    dimension: str
    account_prefix: str  # "" is every account
    rule: str  # one of RULES
    valid_from: date


@dataclass(frozen=True, slots=True)
class DimensionView:
    """A dimension with the values it has had, and its rules."""

    code: str
    name: str
    values: tuple[tuple[str, str, date, date | None], ...]  # code, name, valid from, to
    rules: tuple[DimensionRule, ...]


def add_dimension(session: Session, book: str, code: str, name: str) -> None:
    """Register a dimension; from then on its values must be registered too. Idempotent."""
    require_book(session, book)
    session.execute(
        text("INSERT INTO dimension (book_id, code, name) SELECT book_id, :code, :name FROM book"
             " WHERE code = :book ON CONFLICT DO NOTHING"),
        {"book": book, "code": code, "name": name},
    )  # fmt: skip


def add_value(
    session: Session, book: str, dimension: str, code: str, name: str,
    valid_from: date = date(2000, 1, 1), valid_to: date | None = None,
) -> None:  # fmt: skip
    """Register a value of a dimension, on the days [valid_from, valid_to). Idempotent.

    Raises `UnknownDimension`.
    """
    session.execute(
        text("INSERT INTO dimension_value (dimension_id, code, name, valid_from, valid_to)"
             " VALUES (:id, :code, :name, :first, :after) ON CONFLICT DO NOTHING"),
        {"id": _dimension_id(session, book, dimension), "code": code, "name": name,
         "first": valid_from, "after": valid_to},
    )  # fmt: skip


def set_dimension_rule(session: Session, book: str, rule: DimensionRule, *, actor: str) -> None:
    """Add a rule; the longest prefix decides, and of its rules the latest that has begun.

    Raises `UnknownDimension`. What was posted before is not checked again.
    """
    session.execute(
        text("INSERT INTO dimension_rule (dimension_id, account_prefix, rule, valid_from, actor)"
             " VALUES (:id, :prefix, :rule, :first, :actor) ON CONFLICT DO NOTHING"),
        {"id": _dimension_id(session, book, rule.dimension), "prefix": rule.account_prefix,
         "rule": rule.rule, "first": rule.valid_from, "actor": actor},
    )  # fmt: skip


def dimensions(session: Session, book: str) -> list[DimensionView]:
    """List the registered dimensions of a book. Raises `UnknownBook`."""
    require_book(session, book)
    found = session.execute(
        text("SELECT dimension_id, d.code, d.name FROM dimension d JOIN book b USING (book_id)"
             " WHERE b.code = :book ORDER BY d.code"),
        {"book": book},
    ).all()  # fmt: skip
    values = session.execute(
        text("SELECT dimension_id, code, name, valid_from, valid_to FROM dimension_value"
             " ORDER BY code")
    ).all()  # fmt: skip
    rules = session.execute(
        text("SELECT dimension_id, account_prefix, rule, valid_from FROM dimension_rule"
             " ORDER BY account_prefix, valid_from")
    ).all()  # fmt: skip
    return [
        DimensionView(
            code, name,
            tuple((v[1], v[2], v[3], v[4]) for v in values if v[0] == number),
            tuple(DimensionRule(code, r[1], r[2], r[3]) for r in rules if r[0] == number),
        )
        for number, code, name in found
    ]  # fmt: skip


def _dimension_id(session: Session, book: str, code: str) -> int:
    found = session.scalar(
        text("SELECT dimension_id FROM dimension d JOIN book b USING (book_id)"
             " WHERE b.code = :book AND d.code = :code"),
        {"book": book, "code": code},
    )  # fmt: skip
    if found is None:
        raise UnknownDimension(f"Book {book} has no dimension {code}. Register it first.",
                               dimension=code)  # fmt: skip
    return int(found)
