"""What a month's charges should stand at by a tariff, compared with what they stand at.

Nothing is recorded here but locks: a dry run ends after it, a run goes on to book the differences.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256

from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.errors import Conflict
from ledger.periods import next_period, period_of
from ledger.vault import Vault
from mediation.charging import (
    SERIES,
    Difference,
    Found,
    Month,
    Setting,
    Standing,
    differences,
)
from mediation.service.contracts import Contracts, contracts_in
from mediation.service.service_charges import charge_services
from mediation.service.usage import accepted_usage
from mediation.service.usage_rating import RatedUsage, add_usage, rate_usage, store_rated
from rating import service as rating
from rating.tariff import TariffBook
from rating.versions import InForce


class RatedInAnotherBook(Conflict):
    """All usage of the operator is charged in one book; in a second one it would be owed twice.

    Raise as: f"Usage is charged in book {known}. Rated in {asked} too, it would be owed twice: use
    --book {known}.".
    """

    title = "Usage is charged in another book"


# Says which of some charge keys stand on an issued invoice.
BilledKeys = Callable[[Sequence[int]], set[int]]


@dataclass(frozen=True, slots=True, eq=False)
class Reckoning:
    """A month rated in full, and what its charges lack."""

    month: Month
    versions: tuple[InForce, ...]  # of the tariff, by which it was rated
    used: RatedUsage
    refs: tuple[str, ...]  # of the rated events in the vault
    found: Found
    standing: tuple[Standing, ...]
    booked: tuple[Difference, ...]  # to be booked
    day: date  # the effective date of the postings
    contracts: Contracts
    remainder_in: str | None = None  # what rolled over from the month before, in the vault
    remainder_out: str | None = None  # what rolls on into the next

    @property
    def book(self) -> TariffBook:
        """Give the last of the versions: the one that the run names."""
        return self.versions[-1].book

    def inputs_hash(self) -> str:
        """Name what the run was made from: tariff, rated events, what every charge should be."""
        owed = sorted(
            (key.billing_account_id, key.subscription_id, key.component, key.kind, key.charge_ref,
             amount.micro)
            for key, amount in self.found.owed.items()
        )  # fmt: skip
        tariffs = "+".join(one.book.content_hash for one in self.versions)
        rolled = [one for one in (self.remainder_in, self.remainder_out) if one is not None]
        content = json.dumps([tariffs, list(self.refs), owed, *rolled])
        return sha256(content.encode()).hexdigest()


def _require_one_book(session: Session, asked: str) -> None:
    known = rating.rated_book(session)
    if known is None:
        # The first of two first runs decides, and the other sees what it charged.
        ledger.take_turn(session, "rating/book")
        known = rating.rated_book(session)
    if known not in {None, asked}:
        raise RatedInAnotherBook(
            f"Usage is charged in book {known}. Rated in {asked} too, it would be owed twice: use "
            f"--book {known}.", known=known, asked=asked,
        )  # fmt: skip


def lock_period(session: Session, month: Month) -> None:
    """Let one run of a period at a time through: two would both find the same difference.

    The months behind it are locked too, up to the first that was never rated: what rolls over may
    make a run go on into them, and two runs that wait for each other's months would never end.

    Raises `RatedInAnotherBook`.
    """
    _require_one_book(session, month.book_code)
    last = rating.last_period(session) or month.period
    while True:
        ledger.take_turn(session, f"rating/{month.book_code}/{month.period}")
        if month.period > last:
            return
        month = month.next()


def reckon(
    session: Session,
    store: Vault,
    month: Month,
    versions: Sequence[InForce],
    billed_keys: BilledKeys,
) -> Reckoning:
    """Rate a locked period and compare it with the books.

    Parameters
    ----------
    billed_keys : charges that stand on an issued invoice are never touched; what they lack goes to
        the account's next bill.

    Raises
    ------
    DoesNotTie : an event's amount is not what its explanation sums to.
    """
    setting = month_setting(session, month, versions)
    usage = accepted_usage(session, store, month.period)
    contracts = contracts_in(session, month)
    used = rate_usage(session, store, month, versions, usage, setting.vat_rates_bp, contracts)
    remainder = used.remainder(month)
    refs = store_rated(store, used)
    found = Found()
    add_usage(session, month, setting, used, contracts, found)
    charge_services(session, month, versions, setting, contracts, found)
    rating.lock_charges(session, month.book_code)
    day = _accounting_day(session, month, found)
    standing, next_bill = _stands(session, month, billed_keys)
    booked = differences(found.owed, standing, next_bill, period_of(day))
    return Reckoning(
        month, tuple(versions), used, tuple(refs), found, tuple(standing), tuple(booked), day,
        contracts, used.remainder_in,
        None if remainder is None else store.put(remainder, "traffic").sha256,
    )  # fmt: skip


def month_setting(session: Session, month: Month, versions: Sequence[InForce]) -> Setting:
    """Look up the accounts and VAT rates of a month for the components of a tariff."""
    last = month.after - timedelta(days=1)
    components = [part for one in versions for part in one.book.tariff.components]
    return Setting(
        book_code=month.book_code,
        usage_period=month.period,
        accounting_month=month.period,
        accounts={
            selector: ledger.posting_account(
                session, month.book_code, "usage_rated", "revenue", selector, on=last
            )
            for selector in sorted({component.revenue for component in components})
        },
        vat_rates_bp=vat_rates(session, month, {component.vat for component in components}),
        words={component.id: (component.text, component.unit) for component in components},
    )


def vat_rates(session: Session, month: Month, codes: Iterable[str]) -> dict[str, int]:
    """Give the rates of VAT codes at the end of a month. [hundredths of a per cent]"""
    last = month.after - timedelta(days=1)
    return {
        code: ledger.vat_rate_bp(session, month.book_code, code, on=last) for code in sorted(codes)
    }


def _stands(
    session: Session, month: Month, billed_keys: BilledKeys
) -> tuple[list[Standing], dict[int, str]]:
    """Fetch what stands on the period's charges, and where each account's next bill is."""
    charges = rating.charges_of_usage(session, month.book_code, month.period)
    later = rating.later_bills(session, month.book_code, month.period)
    billed = billed_keys([charge.charge_key_id for charge in charges] + [key for key, *_ in later])
    standing = [
        Standing(
            charge.key, charge.micro, charge.minor_net, charge.minor_gross, charge.events,
            charge.quantity, charge.charge_key_id in billed,
        )
        for charge in charges
    ]  # fmt: skip
    # A bill of a later month may be out as well: what comes now goes behind the last of them.
    bills = [(account, period) for key, account, period in later if key in billed]
    bills += [
        (charge.key.billing_account_id, charge.key.billing_period)
        for charge in standing
        if charge.billed
    ]
    next_bill: dict[int, str] = {}
    for account, period in bills:
        next_bill[account] = max(next_bill.get(account, ""), next_period(period))
    return standing, next_bill


def _accounting_day(session: Session, month: Month, found: Found) -> date:
    """Give the day of the postings: the last day used, or the first open one where that is closed.

    The VAT return of the month must be open too: revenue carries VAT codes.
    """
    last_day = max(month.first_day, min(found.last_day, month.after - timedelta(days=1)))
    return ledger.first_open_day(session, month.book_code, SERIES, last_day, vat=True)
