"""A rating run: what a period's charges should stand at, and only the difference is booked.

The whole period is rated every time, from accepted usage, orders and the tariff book. The result
does not depend on how often that was done before, or in which order files came; a run that finds
nothing new books nothing. Everything a run records is one transaction.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256

import numpy as np
import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.journal import BatchDraft
from ledger.vault import Vault
from mediation.charging import (
    SERIES,
    USAGE,
    Difference,
    Found,
    Month,
    Owed,
    Setting,
    Standing,
    accrual_entries,
    charge_key,
    differences,
    usage_owed,
)
from mediation.rated_files import write_rated
from mediation.records import Int64
from mediation.service.contract_charges import charge_beyond_fair_use, charge_pools
from mediation.service.discount_charges import charge_usage_discounts
from mediation.service.payers import offering_codes, payers_of
from mediation.service.service_charges import (
    charge_services,
    local_day_numbers,
)
from mediation.service.suspense import (
    Suspended,
    release_priced,
    suspend_rated,
    unpriced_places,
)
from mediation.service.usage import accepted_usage
from mediation.wallclock import local_days
from party import service as party
from rating import service as rating
from rating.allowances import Counters
from rating.charges import Booked, ChargeKey
from rating.grants import monthly_grants
from rating.pipeline import Rated, rate
from rating.tariff import TariffBook
from rating.usage import Reason, UsageBatch, check_usage

SOURCE_SYSTEM = "rating"
EVENTS_PER_OBJECT = 250_000
_EPOCH = date(1970, 1, 1)


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
    refs, rated = _rate_usage(session, store, month, book, usage, setting, found, actor)
    charge_services(session, month, book, setting, found)
    rating.lock_charges(session, month.book_code)
    day = _accounting_day(session, month, found)
    booked = differences(
        *_against_the_books(session, month, found, billed_keys), day.strftime("%Y-%m")
    )
    inputs = _inputs_hash(book, refs, found)
    last = rating.last_run(session, month.period)
    if last is not None and last.inputs_hash == inputs and not booked:
        return RatingOutcome(len(rated.reason), _unpriced(rated), 0, 0, None)
    batch_id = _book(session, month, booked, day, inputs, actor)
    rating.record_run(
        session, month.period, inputs, book.content_hash, batch_id=batch_id, rated_refs=refs,
        counts={"events": len(rated.reason), "unpriced": _unpriced(rated)},
    )  # fmt: skip
    return RatingOutcome(
        events=len(rated.reason),
        unpriced=_unpriced(rated),
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


# Usage -----------------------------------------------------------------------------------------


def _rate_usage(
    session: Session, store: Vault, month: Month, book: TariffBook, usage: pa.Table,
    setting: Setting, found: Found, actor: str,
) -> tuple[list[str], Rated]:  # fmt: skip
    """Rate all usage of the month, keep the rated events, and sum what they cost."""
    batch, subscription, payer = usage_batch(usage, book)
    grants = month_grants(session, month, book, subscription, payer)
    rated = rate(batch, book, grants)
    refs = _store_rated(store, usage, rated, book, batch)
    _release_priced(session, usage, rated, month, actor)
    _suspend_unpriced(session, usage, rated, month)
    owed = usage_owed(
        rated, book, batch.offering.astype(np.int64), subscription, payer, batch.quantity
    )
    payers = payers_of(session, {account for account, *_ in owed})
    last_day = _last_day(usage) if owed else month.first_day
    for (account, subscriber, component, basis), amount in owed.items():
        key = charge_key(book, setting, payers[account], subscriber, component, basis, USAGE)
        found.add(key, amount, last_day)
    charge_usage_discounts(month, book, setting, batch, rated, subscription, payer, payers, found)
    charge_pools(session, month, book, setting, batch, rated, subscription, found, last_day)
    charge_beyond_fair_use(
        session, month, book, setting, batch, rated, subscription, payer, found, last_day
    )
    return refs, rated


def usage_batch(usage: pa.Table, book: TariffBook) -> tuple[UsageBatch, Int64, Int64]:
    """Turn stored usage into the columns that are rated; subscriptions get dense codes."""
    if not usage.num_rows:
        none = np.zeros(0, np.int64)
        return check_usage(**_typed(dict.fromkeys(_RATED_COLUMNS, none))), none, none
    column = {name: usage[name].to_numpy() for name in usage.column_names if name not in _TEXTS}
    offering = usage["offering"].combine_chunks().dictionary_encode()
    index = {name: number for number, name in enumerate(book.offerings)}
    codes = np.array([index.get(name, -1) for name in offering.dictionary.to_pylist()], np.int32)
    subscription, payer = column["subscription_id"], column["billing_account_id"]
    _, dense = np.unique(subscription, return_inverse=True)
    _, pool = np.unique(payer, return_inverse=True)
    batch = check_usage(
        **_typed(
            {
                **{name: column[name] for name in _RATED_COLUMNS if name in column},
                "subscription": dense,
                "pool": pool,
                "offering": codes[offering.indices.to_numpy()],
            }
        )
    )
    return batch, subscription, payer


def month_grants(
    session: Session, month: Month, book: TariffBook, subscription: Int64, payer: Int64
) -> Counters | None:
    """Grant what the book cannot know: allowances by days, and those that accounts share."""
    if not book.included.stated.any():
        return None
    active = party.active_intervals(session, *month.instants())

    def codes(known: Int64, asked: Int64) -> np.ndarray:
        names = np.unique(known)
        place = np.minimum(np.searchsorted(names, asked), max(len(names) - 1, 0))
        found = names[place] == asked if len(names) else np.zeros(len(asked), np.bool_)
        return np.where(found, place, -1).astype(np.int32)

    return monthly_grants(
        book, month.period, offering_codes(book, active.offering),
        local_day_numbers(active.valid_from), local_day_numbers(active.valid_to),
        codes(subscription, active.subscription_id), codes(payer, active.billing_account_id),
    )  # fmt: skip


_TEXTS = frozenset({"offering", "called_text"})
_RATED_COLUMNS = {
    "event_key": np.int64, "started_at": np.int64, "quantity": np.int64, "usage_type": np.int16,
    "called": np.int64, "rating_group": np.int32, "subscription": np.int32, "offering": np.int32,
    "pool": np.int32,
}  # fmt: skip


def _typed(columns: Mapping[str, object]) -> dict[str, np.ndarray]:
    return {name: np.asarray(columns[name]).astype(kind) for name, kind in _RATED_COLUMNS.items()}


def _store_rated(
    store: Vault, usage: pa.Table, rated: Rated, book: TariffBook, batch: UsageBatch
) -> list[str]:
    """Keep rated events in order of their keys: the same events give the same objects."""
    order = np.argsort(batch.event_key, kind="stable")
    return [
        store.put(
            write_rated(usage, rated, book, order[begin : begin + EVENTS_PER_OBJECT]), "traffic"
        ).sha256
        for begin in range(0, len(order), EVENTS_PER_OBJECT)
    ]


def _release_priced(
    session: Session, usage: pa.Table, rated: Rated, month: Month, actor: str
) -> None:
    """Release usage that an earlier run could not price and this one can, by a newer tariff."""
    waiting = unpriced_places(session)
    if not waiting or not usage.num_rows:
        return
    place = [usage[name].to_numpy() for name in ("file_id", "record_no", "part_no")]
    near = (rated.reason == Reason.OK) & np.isin(place[1], [record for _, record, _ in waiting])
    priced = set(zip(*(column[near].tolist() for column in place), strict=True))
    release_priced(session, priced & waiting.keys(), f"rating {month.period}", actor)


def _suspend_unpriced(session: Session, usage: pa.Table, rated: Rated, month: Month) -> None:
    rows = np.flatnonzero(rated.reason != Reason.OK)
    if not len(rows):
        return
    place = {
        name: usage[name].take(pa.array(rows)).to_pylist()
        for name in ("file_id", "record_no", "part_no", "offset", "seconds", "octets",
                     "called_text", "offering")
    }  # fmt: skip
    suspend_rated(
        session,
        [
            Suspended(
                file_id=place["file_id"][n], record_no=place["record_no"][n],
                part_no=place["part_no"][n], reason="NO_RATE",
                detail=(
                    f"{Reason(int(rated.reason[row])).name}: offering {place['offering'][n]} has "
                    f"no price for {place['called_text'][n] or 'this usage'}. Add it to the tariff."
                ),
                byte_offset=place["offset"][n], seconds=place["seconds"][n],
                octets=place["octets"][n],
            )
            for n, row in enumerate(rows.tolist())
        ],
        cause=f"rating {month.period}",
    )  # fmt: skip


def _last_day(usage: pa.Table) -> date:
    latest = usage["started_at"].to_numpy().max()
    day: date = local_days(np.array([latest])).astype(object)[0]
    return day


def _unpriced(rated: Rated) -> int:
    return int((rated.reason != Reason.OK).sum())


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
    if entries:
        draft = BatchDraft(month.book_code, SOURCE_SYSTEM, source, actor, entries)
        batch_id = ledger.post_batch(session, draft).batch_id
    rating.add_charge_deltas(
        session, batch_id, ids,
        Booked(
            _column(booked, "micro"), _column(booked, "minor_net"), _column(booked, "minor_gross")
        ),
        _column(booked, "events"), _column(booked, "quantity"),
    )  # fmt: skip
    return batch_id


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
