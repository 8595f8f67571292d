"""The usage half of a rating run: events priced, explained and kept; what has no price waits."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from sqlalchemy.orm import Session

from ledger.vault import Vault
from mediation.charging import USAGE, Found, Month, Setting, charge_key, usage_owed
from mediation.counter_files import write_counters
from mediation.rated_files import Owners, batch_of, owners_of, write_rated
from mediation.records import Int64
from mediation.service.contract_charges import charge_beyond_fair_use, charge_pools
from mediation.service.discount_charges import charge_usage_discounts
from mediation.service.payers import payers_of
from mediation.service.service_charges import local_day_numbers
from mediation.service.suspense import (
    Suspended,
    release_priced,
    suspend_rated,
    unpriced_places,
)
from mediation.wallclock import local_days
from party import service as party
from rating.allowances import Counters
from rating.codes import Codes, check_codes, codes_of
from rating.grants import monthly_grants
from rating.pipeline import Rated, rate
from rating.tariff import TariffBook
from rating.usage import Reason, UsageBatch

EVENTS_PER_OBJECT = 250_000


@dataclass(frozen=True, slots=True, eq=False)
class RatedUsage:
    """A month's usage, priced: row by row as in `table`."""

    table: pa.Table  # accepted usage
    book: TariffBook
    owners: Owners
    batch: UsageBatch
    subscription: Int64  # ids
    payer: Int64  # ids of billing accounts
    rated: Rated
    codes: Codes

    def counters(self) -> bytes:
        """Write how allowances stand afterwards."""
        return write_counters(self.rated.counters, self.book, self.owners)

    @property
    def unpriced(self) -> int:
        """How many events have no price."""
        return int((self.rated.reason != Reason.OK).sum())


def rate_usage(session: Session, month: Month, book: TariffBook, usage: pa.Table) -> RatedUsage:
    """Rate all usage of the month and explain it; nothing is kept yet.

    Raises
    ------
    DoesNotTie : an event's amount is not what its explanation sums to.
    """
    owners = owners_of(usage)
    return rate_granted(book, usage, owners, _grants(session, month, book, owners))


def rate_granted(
    book: TariffBook, usage: pa.Table, owners: Owners, grants: Counters | None
) -> RatedUsage:
    """Rate and explain usage with what was granted; raises as `rate_usage`.

    Parameters
    ----------
    grants : in the codes of `owners`.
    """
    batch, subscription, payer = batch_of(usage, book, owners)
    rated = rate(batch, book, grants)
    codes = codes_of(batch, rated, book)
    check_codes(codes, batch, rated, book)
    return RatedUsage(usage, book, owners, batch, subscription, payer, rated, codes)


def add_usage(
    session: Session, month: Month, book: TariffBook, setting: Setting, used: RatedUsage,
    found: Found,
) -> None:  # fmt: skip
    """Sum what the events cost, by charge; their explanations must sum to the same."""
    offering = used.batch.offering.astype(np.int64)
    owed = usage_owed(
        used.rated, book, offering, used.subscription, used.payer, used.batch.quantity,
        used.codes.amount_micro,
    )  # fmt: skip
    payers = payers_of(session, {account for account, *_ in owed})
    last_day = _last_day(used.table) if owed else month.first_day
    for (account, subscriber, component, basis), amount in owed.items():
        key = charge_key(book, setting, payers[account], subscriber, component, basis, USAGE)
        found.add(key, amount, last_day)
    events, rated, subscription = used.batch, used.rated, used.subscription
    charge_usage_discounts(
        month, book, setting, events, rated, subscription, used.payer, payers, found
    )
    charge_pools(session, month, book, setting, events, rated, subscription, found, last_day)
    charge_beyond_fair_use(
        session, month, book, setting, events, rated, subscription, used.payer, found, last_day
    )


def settle_suspense(session: Session, month: Month, used: RatedUsage, actor: str) -> None:
    """Release usage that has a price now, and suspend what has none."""
    _release_priced(session, used.table, used.rated, month, actor)
    _suspend_unpriced(session, used.table, used.rated, month)


def _grants(session: Session, month: Month, book: TariffBook, owners: Owners) -> Counters | None:
    """Grant what the book cannot know: allowances by days, and those that accounts share."""
    if not book.included.stated.any():
        return None
    active = party.active_intervals(session, *month.instants())
    return monthly_grants(
        book, month.period, book.offering_codes(active.offering),
        local_day_numbers(active.valid_from), local_day_numbers(active.valid_to),
        owners.subscription_codes(active.subscription_id),
        owners.payer_codes(active.billing_account_id),
    )  # fmt: skip


def store_rated(store: Vault, book: TariffBook, used: RatedUsage) -> list[str]:
    """Keep rated events in order of their keys: the same events give the same objects."""
    order = np.argsort(used.batch.event_key, kind="stable")
    return [
        store.put(
            write_rated(
                used.table, used.rated, used.codes, book, order[begin : begin + EVENTS_PER_OBJECT]
            ),
            "traffic",
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
