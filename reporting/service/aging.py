"""The aging list and the trial balance of a book, read from the ledger and proved before shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.refusals import UnknownCurrency
from ledger.service import registers
from party import service as party
from reporting.aging import AgingList, Items, age, check_ties
from reporting.statements import BalanceRow, TrialBalance
from reporting.statements import trial_balance as shape_trial_balance

OSLO = ZoneInfo("Europe/Oslo")
# The receivable family: its accounts hold claims on customers, each claim an open item.
RECEIVABLES = ("1500", "1505", "1510", "1515", "1540", "1549", "1571")
UNALLOCATED = "2991"


@dataclass(frozen=True, slots=True)
class AgingReport:
    """The list, the proof (journal's figure per account) and the names to show beside it."""

    book: str
    currency: str  # Of every amount; a list is of one currency.
    others: tuple[str, ...]  # Currencies that have open claims too, each in a list of its own.
    aging: AgingList
    control_minor: Mapping[str, int]  # From the journal, per receivable account. [øre]
    names: Mapping[int, str]  # By party; kept out of the journal, so looked up here.
    customer_nos: Mapping[int, str]  # By party, as the customer knows it.


@dataclass(frozen=True, slots=True)
class UnmatchedPayment:
    """Money received that no claim has taken yet. Amounts positive. [minor units]"""

    open_item_id: int
    document_ref: str
    kid: str | None
    received_on: date
    currency: str
    original_minor: int
    outstanding_minor: int
    entry_id: int  # Of the entry that brought it.


def newest_day(
    session: Session, book: str, known_as_of: int | None = None, *, now: datetime
) -> date:
    """Give the day of a report that names none: the newest with a known posting, or today.

    Days are those of Oslo, and none lies in the future. Raises `NotYetKnown`.
    """
    today = now.astimezone(OSLO).date()
    return ledger.last_effective_date(session, book, known_as_of, by=today) or today


def aging_report(
    session: Session, book: str, as_of: date, known_as_of: int | None = None,
    currency: str | None = None,
) -> AgingReport:  # fmt: skip
    """Age the open claims of a book in one currency and prove them against the control accounts.

    Claims and journal are both read as they were known at the position. Without `currency` the list
    is in the book's own.

    Raises
    ------
    DoesNotTie : open items and journal differ on an account; both numbers are printed.
    NotYetKnown : no seal has reached the position.
    UnknownCurrency : no amount can be in it; an empty list would read as if nothing were owed.
    """
    if currency and currency not in {one.code for one in registers.currencies(session)}:
        raise UnknownCurrency(f"{currency!r} is not a currency of the books.", currency=currency)
    currency = currency or ledger.functional_currency(session, book)
    everything = [
        item
        for item in ledger.open_items(
            session, book, as_of, known_as_of=known_as_of, accounts=RECEIVABLES
        )
        if item.outstanding_minor
    ]
    claims = [item for item in everything if item.currency == currency]
    listed = age(
        Items(
            party_id=np.array([item.party_id for item in claims], np.int64),
            account=np.array([item.account for item in claims], "U16"),
            due_date=np.array([item.due_date for item in claims], "datetime64[D]"),
            outstanding_minor=np.array([item.outstanding_minor for item in claims], np.int64),
        ),
        as_of,
    )
    control = {
        balance.account: balance.balance_minor
        for balance in ledger.trial_balance(session, book, as_of, known_as_of)
        if balance.account in RECEIVABLES and balance.currency == currency
    }
    check_ties(listed.by_account(), control, as_of)
    labels = party.party_labels(session, sorted(set(listed.party_id.tolist())))
    return AgingReport(
        book,
        currency,
        tuple(sorted({item.currency for item in everything} - {currency})),
        listed,
        control,
        names={party_id: name for party_id, (_, name) in labels.items()},
        customer_nos={party_id: number for party_id, (number, _) in labels.items()},
    )


def trial_balance(
    session: Session, book: str, as_of: date | None = None, known_as_of: int | None = None
) -> TrialBalance:
    """Give the trial balance of a book as of a day and a seal position. Raises `DoesNotTie`."""
    balances = ledger.trial_balance(session, book, as_of, known_as_of)
    rows = [
        BalanceRow(
            account=balance.account,
            name=balance.name,
            currency=balance.currency,
            debit_minor=balance.debit_minor,
            credit_minor=balance.credit_minor,
            balance_minor=balance.balance_minor,
            base_minor=balance.base_minor,
        )
        for balance in balances
    ]
    return shape_trial_balance(rows, book, as_of)


def unmatched_payments(
    session: Session, book: str, as_of: date | None, known_as_of: int | None = None
) -> list[UnmatchedPayment]:
    """List the money on 2991 that waits for a claim, oldest first, at both clocks.

    Raises `NotYetKnown`.
    """
    return [
        UnmatchedPayment(
            open_item_id=item.open_item_id,
            document_ref=item.document_ref,
            kid=item.kid,
            received_on=item.document_date,
            currency=item.currency,
            original_minor=-item.original_minor,
            outstanding_minor=-item.outstanding_minor,
            entry_id=item.entry_id,
        )
        for item in sorted(
            ledger.open_items(
                session, book, as_of, known_as_of=known_as_of, accounts=(UNALLOCATED,)
            ),
            key=lambda item: (item.document_date, item.open_item_id),
        )
        if item.outstanding_minor
    ]
