"""Rates of exchange: one a day and pair, for ever, and the amounts that follow from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.errors import Conflict
from ledger.exchange import format_rate, with_base_amounts
from ledger.journal import BatchDraft, EntryDraft
from ledger.refusals import UnknownCurrency
from ledger.service.books import functional_currency


class RateFixed(Conflict):
    """A rate of a day is fixed: what was posted at it must be computable again.

    Raise as: f"{currency} of {day} is {rate}. Use another day, or state base amounts.".
    """

    title = "Rate of the day is fixed"


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit of a currency is worth in the book's own on a day. [e-8]"""

    currency: str
    valid_on: date
    rate_e8: int
    source: str


def set_rate(session: Session, base_currency: str, rate: Rate, *, actor: str) -> None:
    """Record a rate; the same rate twice is recorded once.

    Raises `RateFixed` for another rate of that day, `UnknownCurrency`.
    """
    facts = {"base": base_currency, "currency": rate.currency, "day": rate.valid_on,
             "rate": rate.rate_e8, "source": rate.source, "actor": actor}  # fmt: skip
    known = session.scalar(text("SELECT count(*) FROM currency WHERE code IN (:base, :currency)"),
                           facts)  # fmt: skip
    if known != 2:
        raise UnknownCurrency(f"{rate.currency} is not a currency that can be exchanged.")
    session.execute(text(_SET), facts)
    fixed = session.execute(text(_ON_DAY), facts).scalar_one()
    if fixed != rate.rate_e8:
        raise RateFixed(
            f"{rate.currency} of {rate.valid_on} is {format_rate(fixed)}. Use another day, or "
            "state the base amounts of what you post.",
            currency=rate.currency, valid_on=rate.valid_on.isoformat(),
        )  # fmt: skip


def rate_on(session: Session, base_currency: str, currency: str, day: date) -> Rate:
    """Give the latest rate on or before a day. Raises `UnknownCurrency` where there is none."""
    row = session.execute(
        text(_LATEST), {"base": base_currency, "currency": currency, "day": day}
    ).one_or_none()
    if row is None:
        raise UnknownCurrency(
            f"There is no rate of {currency} in {base_currency} on or before {day}. Add one: "
            "hovedbok ledger rate add.", currency=currency, day=day.isoformat(),
        )  # fmt: skip
    return Rate(*row)


def list_rates(session: Session, base_currency: str, currency: str | None = None) -> list[Rate]:
    """List the rates of a base currency, the latest first."""
    rows = session.execute(
        text(
            "SELECT currency, valid_on, rate_e8, source FROM exchange_rate"
            " WHERE base_currency = :base AND (CAST(:currency AS text) IS NULL"
            "  OR currency = :currency) ORDER BY currency, valid_on DESC"
        ),
        {"base": base_currency, "currency": currency},
    )
    return [Rate(*row) for row in rows]


def exchanged(session: Session, draft: BatchDraft) -> BatchDraft:
    """Give every line of another currency its amount in the book's own, at the rate of its day.

    Raises `UnknownCurrency` where a rate is missing, with the entry.
    """
    own = own_currency(session, draft.book)
    if not any(needs_rate(entry, own) for entry in draft.entries):
        return draft
    entries = [
        with_base_amounts(entry, own, _rates(session, own, entry, position))
        for position, entry in enumerate(draft.entries)
    ]
    return replace(draft, entries=tuple(entries))


# A book keeps its currency for ever: nobody may change it. Asked once per database and process.
_own_currencies: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()


def own_currency(session: Session, book: str) -> str:
    """Give the currency a book is kept in, from memory after the first time."""
    known = _own_currencies.setdefault(session.get_bind(), {})
    if book not in known:
        known[book] = functional_currency(session, book)
    return known[book]


def needs_rate(entry: EntryDraft, own: str) -> bool:
    """Tell whether a line of an entry leaves its amount in the book's own currency to a rate."""
    return any(line.base_minor is None and line.currency != own for line in entry.lines)


def _rates(session: Session, own: str, entry: EntryDraft, position: int) -> Mapping[str, int]:
    wanted: Sequence[str] = sorted({
        line.currency for line in entry.lines
        if line.currency != own and line.base_minor is None
    })  # fmt: skip
    found = {}
    for currency in wanted:
        try:
            found[currency] = rate_on(session, own, currency, entry.effective_date).rate_e8
        except UnknownCurrency as refusal:
            line = next(n for n, line in enumerate(entry.lines, 1) if line.currency == currency)
            raise UnknownCurrency(
                f"Entry {position} line {line}: {refusal}",
                **{**refusal.facts, "entry": position, "line": line},
            ) from refusal
    return found


_SET = """
    INSERT INTO exchange_rate (base_currency, currency, valid_on, rate_e8, source, actor)
    VALUES (:base, :currency, :day, :rate, :source, :actor) ON CONFLICT DO NOTHING"""
_ON_DAY = """
    SELECT rate_e8 FROM exchange_rate
    WHERE base_currency = :base AND currency = :currency AND valid_on = :day"""
_LATEST = """
    SELECT currency, valid_on, rate_e8, source FROM exchange_rate
    WHERE base_currency = :base AND currency = :currency AND valid_on <= :day
    ORDER BY valid_on DESC LIMIT 1"""
