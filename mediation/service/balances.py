"""What a subscription may still draw on in a month: for quotes, from what the last run left.

A run keeps what it granted and what is used of it, so nothing is rated to look, unless an earlier
time of the month is asked for: then the pool's events until then are. Where the month was not rated
yet, or nobody of the pool has used anything, it is what a run would grant now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.orm import Session

from ledger.errors import NotFound
from ledger.vault import vault
from mediation.charging import Month
from mediation.counter_files import ALWAYS
from mediation.rated_files import owners_of
from mediation.service.contracts import contracts_in
from mediation.service.granting import grant
from mediation.service.run_contents import events_of_run, granted_by_run
from mediation.service.sharing import pools_of
from mediation.service.usage_rating import rate_granted
from mediation.usage_files import read_parquet
from party import service as party
from rating import service as rating
from rating.allowance_terms import BOUGHT, OWN
from rating.allowances import NOT_STATED
from rating.models import RatingRun
from rating.quoted_allowances import Remaining
from rating.quoting import Balance
from rating.tariff import TariffBook
from rating.versions import InForce

ALWAYS_KNOWN = 2**62  # later than any use


@dataclass(frozen=True, slots=True)
class _Held:
    """One thing that a subscription, or its pool, holds: so much, of which so much is used."""

    allowance: str  # as the book names it: data, data/top-up, data/rollover-1
    granted: int
    used: int
    of_member: bool = False  # only `used` counts: the member's own use of what is shared


def balance_of(
    session: Session, reference: str, period: str,
    effective_as_of: datetime | None = None, known_as_of: datetime | None = None,
) -> Balance:  # fmt: skip
    """Look up what is left to a subscription in a month.

    Parameters
    ----------
    reference : as the order systems name it, or its number (MSISDN) in the month.
    effective_as_of : of use before that time; None for all of the month that is known.
    known_as_of : by the last run that was recorded by then; None for the last.

    Raises `NotFound`, `TariffNotFound`.
    """
    month = Month("", period)
    found = party.subscription_in(session, reference, *month.instants())
    if found is None:
        raise NotFound(
            f"No subscription {reference} is active in {period}. Give its reference in the order "
            "system, or its number with country code: 4791000001."
        )
    run = rating.last_run(session, period, known_as_of)
    until = ALWAYS_KNOWN if effective_as_of is None else int(effective_as_of.timestamp())
    versions = (
        rating.month_versions(session, period) if run is None
        else rating.versions_of_run(session, run)
    )  # fmt: skip
    book = versions[-1].book
    pools = pools_of(versions, contracts_in(session, month).agreed)
    account = np.array([found.billing_account_id], np.int64)
    pool = int(pools.of_offerings(account, [found.offering])[0])
    own = _of_offering(book, found.offering)
    held: list[_Held] = []
    who = (found.subscription_id, pool)
    if run is not None and run.counters_sha256 is not None:
        table = read_parquet(
            vault().open(run.counters_sha256) if effective_as_of is None
            else pa.BufferReader(_counters_until(run, versions, who, until))
        )  # fmt: skip
        held = list(_left_by(table, book, who, len(versions) - 1, until))
    missing = own - {one.allowance for one in held if not one.of_member}
    if any(book.included.stated[book.allowances.index(name)] for name in missing):
        usage = pa.table({
            "subscription_id": [found.subscription_id],
            "billing_account_id": [found.billing_account_id], "pool_id": [pool],
        })  # fmt: skip
        granted = _granted(session, month, versions, usage, until)
        held += [one for one in granted if one.allowance in missing]
    return Balance(
        reference, found.offering, tuple(_remaining(book, held, own)),
        None if run is None else run.run_id, None if run is None else run.recorded_at,
        effective_as_of,
    )  # fmt: skip


def _of_offering(book: TariffBook, offering: str) -> set[str]:
    """Name what events of an offering may draw on."""
    index = int(book.offering_codes([offering])[0])
    if index < 0:
        return set()
    ids = {one.id for one in book.tariff.offerings[index].allowances}
    of = book.included.of
    return {name for n, name in enumerate(book.allowances) if book.allowances[of[n]] in ids}


def _counters_until(
    run: RatingRun, versions: tuple[InForce, ...], who: tuple[int, int], until: int
) -> bytes:
    """Rate the events of a subscription and its pool that began before a time, as the run did."""
    events = events_of_run(vault(), run)
    if events.num_rows:
        subscription, pool = who
        shares = "pool_id" if "pool_id" in events.column_names else "billing_account_id"
        mine = pc.or_(
            pc.equal(events["subscription_id"], subscription), pc.equal(events[shares], pool)
        )
        events = events.filter(pc.and_(mine, pc.less(events["started_at"], until)))
    granted = granted_by_run(vault(), run, versions, owners_of(events))
    return rate_granted(versions, events, granted, {}).counters()


def _left_by(
    table: pa.Table, book: TariffBook, who: tuple[int, int], version: int, until: int
) -> Iterator[_Held]:
    """Read what a run left to a subscription and its pool, in the last version of the month."""
    subscription, pool = who
    if "version" in table.column_names:
        table = table.filter(pc.equal(table["version"], version))
    shared = table["shared"]
    mine = pc.or_(
        pc.and_(shared, pc.equal(table["owner"], pool)),
        pc.and_(pc.invert(shared), pc.equal(table["owner"], subscription)),
    )
    bought: dict[str, int] = {}
    used: dict[str, int] = {}
    for row in table.filter(mine).to_pylist():
        name = row["allowance"]
        if row.get("since", ALWAYS) >= until:
            continue  # It was not bought yet.
        if row.get("since", ALWAYS) != ALWAYS:
            bought[name] = bought.get(name, 0) + row["granted"]
        elif row["of_member"]:
            yield _Held(name, 0, row["used"], of_member=True)
        elif name in book.allowances:
            used[name] = row["used"]
            index = book.allowances.index(name)
            if book.included.age[index] != BOUGHT:
                granted = row["granted"]
                if granted == NOT_STATED:
                    granted = int(book.included.quantity[index])
                yield _Held(name, granted, row["used"])
    for name, quantity in bought.items():
        yield _Held(name, quantity, used.get(name, 0))


def _granted(
    session: Session, month: Month, versions: tuple[InForce, ...], usage: pa.Table, until: int
) -> Iterator[_Held]:
    """Give what a run would grant to the one subscription of a table, and to its pool."""
    pools = pools_of(versions, contracts_in(session, month).agreed)
    granted = grant(session, vault(), month, versions, usage, pools, contracts_in(session, month))
    book, counters, top_ups = versions[-1].book, granted.counters[-1], granted.top_ups[-1]
    subscription = granted.owners.subscription_codes(usage["subscription_id"].to_numpy())[0]
    pool = granted.owners.payer_codes(usage["pool_id"].to_numpy())[0]
    sums: dict[str, int] = {}
    had = top_ups.start < until
    parts = [(top_ups.owner[had], top_ups.allowance[had], top_ups.quantity[had])]
    if counters is not None:
        parts.append((counters.subscription, counters.allowance, counters.granted))
    for owners, allowances, quantities in parts:
        for owner, index, quantity in zip(
            owners.tolist(), allowances.tolist(), quantities.tolist(), strict=True
        ):
            if owner == (pool if book.included.shared[index] else subscription):
                name = book.allowances[index]
                sums[name] = sums.get(name, 0) + quantity
    yield from (_Held(name, quantity, 0) for name, quantity in sums.items())


def _remaining(book: TariffBook, held: list[_Held], own: set[str]) -> Iterator[Remaining]:
    """Say what is left, of the allowances of the offering, in the order in which they are used."""
    members = {one.allowance: one.used for one in held if one.of_member}
    known = {one.allowance: one for one in held if not one.of_member and one.allowance in own}
    for index, name in enumerate(book.allowances):
        if name not in known:
            continue
        age = int(book.included.age[index])
        one = known[name]
        yield Remaining(
            book.allowances[book.included.of[index]], max(one.granted - one.used, 0),
            age if age != BOUGHT else OWN, age == BOUGHT, members.get(name, 0),
        )  # fmt: skip
