"""Use for a quote: what a run knows of it already, what is asked about, and both with prices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.orm import Session

from ledger.vault import vault
from mediation.charging import Month, Setting
from mediation.rated_files import Owners
from mediation.service.contracts import Contracts
from mediation.service.granting import Granted, grant
from mediation.service.run_contents import some_events_of_run
from mediation.service.service_charges import local_day_numbers
from mediation.service.sharing import pools_of, with_pools
from mediation.service.usage_rating import RatedUsage, rate_granted
from mediation.service.what_if import NotActive, Wished, told_stretches
from mediation.usage_files import PRICE_COLUMNS
from mediation.wallclock import ZONE
from party.service import SubscriptionIn
from rating.allowance_terms import name_at
from rating.models import RatingRun
from rating.quoted_allowances import Bought, Remaining, grants_of, top_ups_of
from rating.quoted_asking import Asked
from rating.quoted_events import batch_of_events
from rating.tariff_terms import Tariff
from rating.usage import NO_PRICE
from rating.versions import InForce

_RATED = ("event_key", "started_at", "quantity", "usage_type", "called", "rating_group",
          "subscription_id", "billing_account_id", "offering")  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What a quote is made from, whatever its contracts and its use."""

    session: Session
    month: Month
    versions: Sequence[InForce]
    setting: Setting
    reference: str  # what the subscription is called by who asks
    found: SubscriptionIn
    asked: Asked
    run: RatingRun | None  # that knows the use so far
    known_as_of: datetime | None


def earlier_use(case: Case, contracts: Contracts, effective_as_of: datetime | None) -> pa.Table:
    """Read what a run knows of the use of some contracts, of all or of that before a time.

    Keys become places in their order, so that what is asked about can come behind them.
    """
    if case.run is None:
        return pa.table({})
    active = contracts.active
    kept = pc.field("subscription_id").isin(np.unique(active.subscription_id)) | pc.field(
        "billing_account_id"
    ).isin(np.unique(active.billing_account_id))
    if effective_as_of is not None:
        kept &= pc.field("started_at") < int(effective_as_of.timestamp())
    # Prices that events bring are turned into the basis of their offering anew, as in every run.
    table = some_events_of_run(vault(), case.run, (*_RATED, *PRICE_COLUMNS), kept)
    if not table.num_rows:
        return pa.table({})
    place = np.argsort(np.argsort(table["event_key"].to_numpy()))
    return table.drop_columns("event_key").append_column("event_key", pa.array(place))


def asked_use(case: Case, tariff: Tariff, wished: Wished, first_key: int) -> pa.Table:
    """Lay out the events that are asked about as accepted usage.

    Parameters
    ----------
    first_key : of the first event; those that follow count on.

    Raises
    ------
    NotActive : one is of a time when the subscription is not active.
    Invalid : one is of another month, or there are too many.
    """
    events = case.asked.events
    batch, services, currencies = batch_of_events(tariff, events, case.asked.period)
    if not events:
        return pa.table({})
    ends = np.array([one.end for one in wished.stretches], np.int64)
    place = np.searchsorted(ends, batch.started_at, side="right")
    begins = np.array([*(one.begin for one in wished.stretches), 2**62], np.int64)[place]
    if (outside := np.flatnonzero(batch.started_at < begins)).size:
        number = int(outside[0])
        at = datetime.fromtimestamp(int(batch.started_at[number]), ZONE)
        raise NotActive(
            f"Event {number + 1} starts {at:%Y-%m-%d %H:%M}, when {case.reference} is not active; "
            f"as asked it is {told_stretches(wished.stretches)}."
        )
    held = [wished.stretches[n] for n in place.tolist()]
    columns = {
        "event_key": first_key + batch.event_key, "started_at": batch.started_at,
        "quantity": batch.quantity, "usage_type": batch.usage_type, "called": batch.called,
        "rating_group": batch.rating_group,
        "subscription_id": np.full(len(batch), case.found.subscription_id),
        "billing_account_id": np.array([one.account for one in held], np.int64),
    }  # fmt: skip
    table = {name: pa.array(column) for name, column in columns.items()}
    table["offering"] = pa.array([one.offering for one in held], pa.string())
    if batch.service is not None:
        assert batch.currency is not None
        assert batch.price_micro is not None
        table |= {
            "service": _named(batch.service.tolist(), services),
            "price_micro": pa.array(batch.price_micro, mask=batch.price_micro == NO_PRICE),
            "currency": _named(batch.currency.tolist(), currencies),
            "with_vat": pa.array(batch.with_vat),
        }
    return pa.table(table)


def _named(codes: Sequence[int], names: Sequence[str]) -> pa.Array:
    return pa.array([names[code] if code >= 0 else None for code in codes], pa.string())


def joined(*tables: pa.Table) -> pa.Table:
    """Put use together; events that bring prices have columns that others lack."""
    some = [table for table in tables if table.num_rows]
    return pa.concat_tables(some, promote_options="default") if some else pa.table({})


def rate_use(case: Case, contracts: Contracts, usage: pa.Table) -> RatedUsage:
    """Rate use with what contracts grant now, as a run would."""
    pools = pools_of(case.versions, contracts.agreed)
    usage = with_pools(usage, pools)
    granted = grant(
        case.session, vault(), case.month, case.versions, usage, pools, contracts,
        case.known_as_of, everybody=True,
    )  # fmt: skip
    return rate_granted(case.versions, usage, granted, case.setting.vat_rates_bp)


def rate_as_said(
    case: Case, wished: Wished, looked_up: Sequence[Remaining], usage: pa.Table
) -> RatedUsage:
    """Rate use with what is said to be left; what is not said is as it was looked up.

    What is left is what the subscription may draw on, whether it is its own or its pool's.

    Raises
    ------
    Invalid : nothing of that name can be left, or it is said twice.
    """
    asked, held = case.asked, wished.stretches
    said = {(one.allowance, one.age) for one in asked.remaining}
    known = {name for one in case.versions for name in one.book.allowances}
    remaining = asked.remaining + tuple(
        one
        for one in looked_up
        if (one.allowance, one.age) not in said and name_at(one.allowance, one.age) in known
    )
    begin, end = local_day_numbers(np.array([held[0].begin, held[-1].end])).tolist()
    bought = [
        Bought(order.offering, order.day) for order in asked.orders if order.on == "addon"
    ]  # fmt: skip
    only = np.zeros(1, np.int64)  # the one pool
    if usage.num_rows:
        usage = usage.append_column("pool_id", pa.array(np.zeros(usage.num_rows, np.int64)))
    granted = Granted(
        Owners(np.array([case.found.subscription_id], np.int64), only),
        tuple(
            grants_of(case.versions, held[-1].offering, asked.period, (begin, end), remaining)
        ),
        tuple(top_ups_of(case.versions, asked.period, bought, remaining)),
    )  # fmt: skip
    return rate_granted(case.versions, usage, granted, case.setting.vat_rates_bp)
