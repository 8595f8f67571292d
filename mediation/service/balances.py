"""What a subscription may still draw on in a month, after use that was rated: for quotes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from mediation.counter_files import ALWAYS
from mediation.service.usage_rating import RatedUsage
from mediation.usage_files import read_parquet
from party.service import SubscriptionIn
from rating.allowance_terms import BOUGHT, OWN
from rating.allowances import NOT_STATED
from rating.models import RatingRun
from rating.quoted_allowances import Remaining
from rating.quoting import Balance
from rating.tariff import TariffBook

ALWAYS_KNOWN = 2**62  # later than any use


@dataclass(frozen=True, slots=True)
class _Held:
    """One thing that a subscription, or its pool, holds: so much, of which so much is used."""

    allowance: str  # as the book names it: data, data/top-up, data/rollover-1
    granted: int
    used: int
    of_member: bool = False  # only `used` counts: the member's own use of what is shared


def balance_after(
    used: RatedUsage, reference: str, found: SubscriptionIn, pool: int, run: RatingRun | None,
    effective_as_of: datetime | None,
) -> Balance:  # fmt: skip
    """Say what rated use has left to a subscription.

    Parameters
    ----------
    used : of the subscription and all with whom it shares, each of whom is an owner.
    reference : what it is called by who asks.
    pool : whose balances it may draw on, as an id.
    run : that knew the use; None where there is none.
    effective_as_of : the use is that before it; what was bought later is not there yet.
    """
    until = ALWAYS_KNOWN if effective_as_of is None else int(effective_as_of.timestamp())
    book = used.parts[-1].book
    own = _of_offering(book, found.offering)
    table = read_parquet(pa.BufferReader(used.counters()))
    who = (found.subscription_id, pool)
    held = list(_left_by(table, book, who, len(used.parts) - 1, until))
    known = {one.allowance for one in held if not one.of_member}
    held += [
        # What every subscription has alike is counted only once something is used of it.
        _Held(name, int(book.included.quantity[n]), 0)
        for n, name in enumerate(book.allowances)
        if name in own - known and book.included.age[n] == OWN and not book.included.stated[n]
    ]
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
