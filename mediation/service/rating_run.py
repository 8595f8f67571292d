"""A rating run: what a period's charges should stand at, and only the difference is booked.

The whole period is rated every time, from accepted usage, orders and the tariff book. The result
does not depend on how often that was done before, or in which order files came; a run that finds
nothing new books nothing. Everything a run records is one transaction.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.journal import BatchDraft
from ledger.vault import Vault
from mediation.accruals import accrual_entries
from mediation.charging import (
    SERIES,
    Difference,
    Found,
    Month,
    Owed,
    Setting,
    Standing,
    differences,
)
from mediation.records import Int64
from mediation.service.service_charges import charge_services
from mediation.service.usage import accepted_usage
from mediation.service.usage_rating import add_usage, rate_usage, settle_suspense, store_rated
from mediation.tying import check_equal, sums_charged, sums_owed, sums_posted
from rating import service as rating
from rating.charges import Booked, ChargeKey
from rating.tariff import TariffBook

SOURCE_SYSTEM = "rating"


@dataclass(frozen=True, slots=True)
class RatingOutcome:
    """What a run did. Zero differences and no batch: there was nothing new."""

    events: int
    unpriced: int
    charges_changed: int
    net_minor: int
    batch_id: int | None


def rate_period(
    session: Session,
    store: Vault,
    month: Month,
    billed_keys: Callable[[Sequence[int]], set[int]],
    actor: str = "system:rating",
) -> RatingOutcome:
    """Rate a period and book what its charges lack.

    Parameters
    ----------
    billed_keys : says which of some charge keys stand on an issued invoice; those are never
        touched, what they lack goes to the account's next bill.
    """
    # One run of a period at a time: two would both find the same difference.
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"),
        {"key": f"rating/{month.book_code}/{month.period}"},
    )
    book = rating.tariff_book(session, month.first_day)
    usage = accepted_usage(session, store, month.period)
    setting = month_setting(session, month, book)
    found = Found()
    used = rate_usage(session, month, book, usage)
    refs = store_rated(store, book, used)
    settle_suspense(session, month, used, actor)
    add_usage(session, month, book, setting, used, found)
    charge_services(session, month, book, setting, found)
    rating.lock_charges(session, month.book_code)
    day = _accounting_day(session, month, found)
    booked = differences(
        *_against_the_books(session, month, found, billed_keys), day.strftime("%Y-%m")
    )
    inputs = _inputs_hash(book, refs, found)
    last = rating.last_run(session, month.period)
    events, unpriced = len(used.batch), used.unpriced
    batch_id = _book(session, month, booked, day, inputs, actor)
    _prove(session, month, found)
    if last is not None and last.inputs_hash == inputs and not booked:
        return RatingOutcome(events, unpriced, 0, 0, None)
    rating.record_run(
        session, month.period, inputs, book.content_hash, batch_id=batch_id, rated_refs=refs,
        counts={"events": events, "unpriced": unpriced},
    )  # fmt: skip
    return RatingOutcome(
        events=events,
        unpriced=unpriced,
        charges_changed=len(booked),
        net_minor=sum(one.minor_net for one in booked),
        batch_id=batch_id,
    )


def month_setting(session: Session, month: Month, book: TariffBook) -> Setting:
    """Give what all charges of a month share: revenue accounts and VAT rates of its last day."""
    last = month.after - timedelta(days=1)
    components = book.tariff.components
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
        vat_rates_bp={
            code: ledger.vat_rate_bp(session, month.book_code, code, on=last)
            for code in sorted({component.vat for component in components})
        },
    )


# Booking ---------------------------------------------------------------------------------------


def _against_the_books(
    session: Session, month: Month, found: Found, billed_keys: Callable[[Sequence[int]], set[int]]
) -> tuple[dict[ChargeKey, Owed], list[Standing], dict[int, str]]:
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
        next_bill[account] = max(next_bill.get(account, ""), _next_period(period))
    return found.owed, standing, next_bill


def _accounting_day(session: Session, month: Month, found: Found) -> date:
    """Give the day of the postings: the last day used, or the first open one where that is closed.

    The VAT return of the month must be open too: revenue carries VAT codes.
    """
    last_day = max(month.first_day, min(found.last_day, month.after - timedelta(days=1)))
    return ledger.first_open_day(session, month.book_code, SERIES, last_day, vat=True)


def _next_period(period: str) -> str:
    first = date.fromisoformat(f"{period}-01")
    return (first + timedelta(days=32)).strftime("%Y-%m")


def _book(
    session: Session, month: Month, booked: Sequence[Difference], day: date, inputs: str,
    actor: str,
) -> int | None:  # fmt: skip
    """Post the accrual and write the differences to the charges, in one transaction.

    Differences that come to no øre are written all the same: the usage was rated.
    """
    if not booked:
        return None
    ids = rating.ensure_charge_keys(session, [one.key for one in booked])
    unbilled = ledger.posting_account(
        session, month.book_code, "usage_rated", "unbilled", "*", on=month.first_day
    )
    runs = len(rating.rating_runs(session, month.period))
    source = f"{month.book_code}/{month.period}/{runs + 1}/{inputs[:16]}"
    entries = accrual_entries(booked, unbilled, {day.strftime("%Y-%m"): day}, source)
    batch_id = None
    posted: tuple[int, ...] = ()
    if entries:
        draft = BatchDraft(month.book_code, SOURCE_SYSTEM, source, actor, entries)
        done = ledger.post_batch(session, draft)
        batch_id, posted = done.batch_id, done.entry_ids
    rating.add_charge_deltas(
        session, batch_id, ids,
        Booked(
            _column(booked, "micro"), _column(booked, "minor_net"), _column(booked, "minor_gross")
        ),
        _column(booked, "events"), _column(booked, "quantity"),
    )  # fmt: skip
    if batch_id is not None:
        _prove_posted(session, batch_id, posted, unbilled)
    return batch_id


def _prove(session: Session, month: Month, found: Found) -> None:
    """Tie explanations with rated amounts, and both with the charges as they stand now."""
    explained, rated = sums_owed(found.owed)
    charged = rating.charged_micro(session, month.book_code, month.period)
    check_equal(explained, "Explanations", rated, "rated amounts", "millionths")
    check_equal(explained, "Explanations", charged, "charges", "millionths")


def _prove_posted(session: Session, batch_id: int, entry_ids: Sequence[int], unbilled: str) -> None:
    """Tie what a batch added to charges with what it posted, by revenue key."""
    entries = [ledger.read_entry(session, entry_id) for entry_id in entry_ids]
    lines = [
        (entry.effective_date.strftime("%Y-%m"), line) for entry in entries for line in entry.lines
    ]
    charged = sums_charged(rating.revenue_of_batch(session, batch_id))
    check_equal(charged, "Charges", sums_posted(lines, unbilled), "postings", "øre")


def _column(booked: Sequence[Difference], name: str) -> Int64:
    return np.array([getattr(one, name) for one in booked], np.int64)


def _inputs_hash(book: TariffBook, refs: Sequence[str], found: Found) -> str:
    """Name what a run was made from: tariff, rated events and what every charge should be."""
    owed = sorted(
        (key.billing_account_id, key.subscription_id, key.component, key.kind, key.charge_ref,
         amount.micro)
        for key, amount in found.owed.items()
    )  # fmt: skip
    content = json.dumps([book.content_hash, list(refs), owed])
    return sha256(content.encode()).hexdigest()
