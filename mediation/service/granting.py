"""What a month's allowances begin with: grants by days and sharing, what rolled over, top-ups."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from sqlalchemy.orm import Session

from ledger.vault import Vault
from mediation.charging import Month
from mediation.rated_files import Owners, owners_of
from mediation.records import Int64
from mediation.remainder_files import read_remainder
from mediation.service.contracts import Contracts
from mediation.service.service_charges import local_day_numbers
from mediation.service.sharing import Pools
from mediation.usage_files import read_parquet
from rating import service as rating
from rating.allowance_terms import BOUGHT, name_at
from rating.allowances import Counters
from rating.clock import month_number
from rating.grants import monthly_grants
from rating.tariff import TariffBook
from rating.tariff_terms import TopUp
from rating.top_ups import TopUps
from rating.versions import InForce


@dataclass(frozen=True, slots=True, eq=False)
class Granted:
    """What the allowances of each version hold before the first event, in the codes of owners."""

    owners: Owners
    counters: tuple[Counters | None, ...]
    top_ups: tuple[TopUps, ...]
    remainder_in: str | None = None  # what rolled over from the month before, in the vault


@dataclass(frozen=True, slots=True)
class Bought:
    """An order for more of an allowance."""

    allowance: str
    quantity: int
    subscription_id: int
    billing_account_id: int
    start: int  # [UTC epoch seconds]


def _remainder_before(
    session: Session, month: Month, known_as_of: datetime | None
) -> str | None:  # fmt: skip
    """Name what the last run of the month before left to this one; None where nothing."""
    run = rating.last_run(session, month.previous().period, known_as_of)
    return None if run is None else run.remainder_out_sha256


def grant(
    session: Session, store: Vault, month: Month, versions: Sequence[InForce], usage: pa.Table,
    pools: Pools, contracts: Contracts, known_as_of: datetime | None = None, *,
    everybody: bool = False,
) -> Granted:  # fmt: skip
    """Grant what no version can know of a month's allowances.

    Where something may roll over, everybody who was active is an owner, for what nobody used rolls
    over as well.

    Parameters
    ----------
    known_as_of : what rolled over, by the last run that was recorded by then; None for the last.
    everybody : whoever was active is an owner, whether anything rolls over or not.
    """
    books = [one.book for one in versions]
    stated = any(book.included.stated.any() for book in books)
    rolls = any(book.included.rollover_micro.any() for book in books)
    bought = _orders(contracts, versions)
    active = contracts.active if stated or everybody else None
    owning = [usage]
    bringing = np.zeros(0, np.int64)
    if active is not None:
        bringing = pools.of_offerings(active.billing_account_id, active.offering)
    if (rolls or everybody) and active is not None:
        owning.append(_people(active.subscription_id, bringing))
        owning.append(
            _people(
                np.array([one.subscription_id for one in bought], np.int64), _buyers(bought, pools)
            )
        )
    owners = owners_of(*owning)
    taken = _remainder_before(session, month, known_as_of)
    rolled = None if taken is None else read_parquet(store.open(taken))
    counters = []
    for book in books:
        parts = []
        if active is not None:
            parts.append(monthly_grants(
                book, month.period, book.offering_codes(active.offering),
                local_day_numbers(active.valid_from), local_day_numbers(active.valid_to),
                owners.subscription_codes(active.subscription_id),
                owners.payer_codes(bringing), versions,
            ))  # fmt: skip
        if rolled is not None:
            parts.append(read_remainder(rolled, book, owners, month_number(month.period)))
        counters.append(_joined(parts))
    return Granted(
        owners, tuple(counters),
        tuple(_top_ups(month, book, owners, bought, pools) for book in books), taken,
    )  # fmt: skip


def _orders(contracts: Contracts, versions: Sequence[InForce]) -> list[Bought]:
    """List the month's top-ups, each by the terms of the version in force on its day."""
    if not any(_terms(one.book) for one in versions):
        return []
    found = []
    for order in contracts.ordered:
        start = int(order.effective_at.timestamp())
        day = int(local_day_numbers(np.array([start]))[0])
        terms = next(_terms(one.book) for one in versions if day < one.to_day)
        if order.action == "addon":
            found += [
                Bought(top_up.allowance, top_up.quantity, order.subscription_id,
                       order.billing_account_id, start)
                for top_up in terms.get(order.offering, ())
            ]  # fmt: skip
    return found


def _terms(book: TariffBook) -> dict[str, tuple[TopUp, ...]]:
    return {one.id: one.top_ups for one in book.tariff.offerings if one.top_ups}


def _top_ups(
    month: Month, book: TariffBook, owners: Owners, bought: Sequence[Bought], pools: Pools
) -> TopUps:  # fmt: skip
    """Give top-ups in the codes of a version; of an allowance that it does not sell, none."""
    places = {name: index for index, name in enumerate(book.allowances)}
    index = np.array(
        [places.get(name_at(one.allowance, BOUGHT), -1) for one in bought], np.int32
    )  # fmt: skip
    owner = owners.codes_of(
        np.array([one.subscription_id for one in bought], np.int64),
        _buyers(bought, pools),
        np.append(book.included.shared, False)[index],
    )
    known = np.flatnonzero((index >= 0) & (owner >= 0))
    return TopUps(
        owner[known], index[known],
        np.full(len(known), month_number(month.period), np.int32),
        np.array([one.start for one in bought], np.int64)[known],
        np.array([one.quantity for one in bought], np.int64)[known],
    )  # fmt: skip


def _buyers(bought: Sequence[Bought], pools: Pools) -> Int64:
    """Give the pool that each top-up goes to, where its allowance is shared."""
    account = np.array([one.billing_account_id for one in bought], np.int64)
    wide = np.array([one.allowance in pools.allowances for one in bought], np.bool_)
    return pools.of(account, wide)


def _people(subscription: np.ndarray, payer: np.ndarray) -> pa.Table:
    return pa.table({"subscription_id": subscription, "billing_account_id": payer})


def _joined(parts: Sequence[Counters]) -> Counters | None:
    if not parts:
        return None
    names = ("subscription", "allowance", "month", "granted")
    return Counters.grants(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
    )
