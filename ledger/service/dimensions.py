"""Dimensions: registered by name, with a list of values or none, required or forbidden by account.

A dimension without values takes any; from its first value on it takes those. Names are checked once
for each set that is new, here and in the database (migrations/sql/0037_dimensions); values and
rules by the database, for every line that is inserted.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.journal import BatchDraft
from ledger.registering import UnknownDimension
from ledger.service.audit import tell_audit
from ledger.service.books import require_book

RULES = ("required", "allowed", "forbidden")


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


def add_dimension(session: Session, book: str, code: str, name: str, *, actor: str) -> None:
    """Register a dimension; it takes any value until one of its own is registered. Idempotent."""
    require_book(session, book)
    made = session.scalar(
        text("INSERT INTO dimension (book_id, code, name) SELECT book_id, :code, :name FROM book"
             " WHERE code = :book ON CONFLICT DO NOTHING RETURNING dimension_id"),
        {"book": book, "code": code, "name": name},
    )  # fmt: skip
    if made is not None:
        tell_audit(session, actor, "dimension registered", f"{book}/{code}")


def add_value(
    session: Session, book: str, dimension: str, code: str, name: str,
    valid_from: date = date(2000, 1, 1), valid_to: date | None = None, *, actor: str,
) -> None:  # fmt: skip
    """Register a value of a dimension, on the days [valid_from, valid_to). Idempotent.

    Raises `UnknownDimension`.
    """
    made = session.scalar(
        text("INSERT INTO dimension_value (dimension_id, code, name, valid_from, valid_to)"
             " VALUES (:id, :code, :name, :first, :after) ON CONFLICT DO NOTHING RETURNING code"),
        {"id": _dimension_id(session, book, dimension), "code": code, "name": name,
         "first": valid_from, "after": valid_to},
    )  # fmt: skip
    if made is not None:
        tell_audit(session, actor, "dimension value registered", f"{book}/{dimension}/{code}")


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
        raise _unknown(book, code)
    return int(found)


def require_registered(session: Session, book: str, keys: Iterable[str]) -> None:
    """Check the names in canonical keys of dimension sets. Raises `UnknownDimension`."""
    named = {pair.partition("=")[0] for key in keys for pair in key.split(";")}
    registered = session.scalars(
        text("SELECT d.code FROM dimension d JOIN book b USING (book_id) WHERE b.code = :book"),
        {"book": book},
    )
    if unknown := sorted(named.difference(registered)):
        raise _unknown(book, unknown[0])


@contextmanager
def on_their_line(draft: BatchDraft) -> Iterator[None]:
    """Say of an unknown dimension which line of the batch carries it."""
    try:
        yield
    except UnknownDimension as refusal:
        name = refusal.facts["dimension"]
        entry, line = next(
            (position, line_no)
            for position, entry in enumerate(draft.entries)
            for line_no, line in enumerate(entry.lines, 1)
            if name in (line.dimensions or {})
        )
        raise UnknownDimension(
            f"Entry {entry} line {line}: {refusal}",
            **{**refusal.facts, "entry": entry, "line": line,
               "pointer": f"/lines/{line - 1}/dimensions/{name}"},
        ) from refusal  # fmt: skip


def _unknown(book: str, code: str) -> UnknownDimension:
    return UnknownDimension(f"Book {book} has no dimension {code}. Register it first.",
                            dimension=code)  # fmt: skip
