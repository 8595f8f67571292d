"""From rated events and orders to charges: who owes how many millionths for what.

A rating run computes what every charge of a period should stand at. Comparing that with what the
charges stand at gives the differences to book; nothing here knows how often the period was rated
before, or in which order its files came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Any

import numpy as np

from ledger.periods import next_period, period_bounds, period_of
from mediation.wallclock import ZONE
from rating.charges import Booked, ChargeKey, deltas, sum_by_key
from rating.flat_codes import FlatCode
from rating.pipeline import Rated
from rating.tariff import TariffBook
from rating.usage import Int64

USAGE, RECURRING, ONE_OFF = "usage", "recurring", "one_off"
# What the reference of a discount begins with; other one-offs name their order.
DISCOUNT, FRAME = "discount/", "frame/"
SERIES = "USG"
# The dimension of revenue that is posted in a later month than it was earned in.
SERVICE_PERIOD = "service_period"


@dataclass(frozen=True, slots=True)
class Payer:
    """What a charge must know of a billing account."""

    billing_account_id: int
    party_id: int


@dataclass(frozen=True, slots=True)
class Owed:
    """What one charge stands at after a run, before it is compared with the books."""

    micro: int
    events: int
    quantity: int
    explained: int | None = None  # what its explanations sum to; None: a price by itself

    @property
    def explained_micro(self) -> int:
        """Give what its explanations sum to. [millionths]"""
        return self.micro if self.explained is None else self.explained


NOTHING = Owed(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Setting:
    """What all charges of a run share. `accounts` maps a revenue selector to its account.

    `words` has text and unit of components whose tariff changed in the month: a charge has one.
    """

    book_code: str
    usage_period: str
    accounting_month: str
    accounts: Mapping[str, str]
    vat_rates_bp: Mapping[str, int]
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Month:
    """The month that is rated, and the book of accounts it is rated for."""

    book_code: str
    period: str

    @property
    def first_day(self) -> date:
        """The first local day."""
        return period_bounds(self.period)[0]

    @property
    def after(self) -> date:
        """The first local day of the next month."""
        return period_bounds(self.period)[1]

    def next(self) -> "Month":
        """Give the month behind it, of the same book."""
        return Month(self.book_code, next_period(self.period))

    def previous(self) -> "Month":
        """Give the month before it, of the same book."""
        return Month(self.book_code, period_of(self.first_day - timedelta(days=1)))

    def instants(self) -> tuple[int, int]:
        """The month's local midnights as UTC epoch seconds, half-open."""
        first, after = (
            int(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp())
            for day in (self.first_day, self.after)
        )
        return first, after


def month_of(book_code: str, period: str) -> Month:
    """Name a month as people write it.

    Raises
    ------
    Invalid : it is not written as 2026-03.
    """
    period_bounds(period)
    return Month(book_code, period)


@dataclass(slots=True)
class Found:
    """What charges should stand at, and the last day on which something was used."""

    owed: dict[ChargeKey, Owed] = field(default_factory=dict)
    last_day: date = date.min
    codes: list[tuple[ChargeKey, FlatCode]] = field(default_factory=list)  # of what is no event

    def add(self, key: ChargeKey, owed: Owed, day: date, why: FlatCode | None = None) -> None:
        """Add to a charge; `why` explains what no events do, and must come to the same."""
        if why is not None:
            owed = replace(owed, explained=why.amount_micro)
            self.codes.append((key, why))
        before = self.owed.get(key, NOTHING)
        self.owed[key] = Owed(
            before.micro + owed.micro,
            before.events + owed.events,
            before.quantity + owed.quantity,
            before.explained_micro + owed.explained_micro,
        )
        self.last_day = max(self.last_day, day)


def usage_owed(
    rated: Rated,
    book: TariffBook,
    offering: Int64,
    subscription: Int64,
    billing_account: Int64,
    quantity: Int64,
    explained_micro: Int64 | None = None,
) -> dict[tuple[int, int, int, str], Owed]:
    """Sum rated events per (billing account, subscription, component, price basis), exactly.

    Parameters
    ----------
    rated : outcome per event; suspended events count for nothing.
    offering, subscription, billing_account : (n,) int64: index into the book, and ids.
    quantity : (n,) int64 as measured. [seconds, messages or octets]
    explained_micro : (n,) int64, what the explanation of each event sums to, where there are any.
    """
    good = np.flatnonzero(rated.reason == 0)
    if not len(good):
        return {}
    basis = np.array([o.price_basis == "gross" for o in book.tariff.offerings], np.int64)
    columns = np.stack(
        [billing_account[good], subscription[good],
         rated.component[good].astype(np.int64), basis[offering[good]]]
    )  # fmt: skip
    keys, place = np.unique(columns, axis=1, return_inverse=True)
    count = keys.shape[1]
    micro = sum_by_key(place, rated.amount_micro[good], count)
    measured = sum_by_key(place, quantity[good], count)
    told = rated.amount_micro if explained_micro is None else explained_micro
    explained = sum_by_key(place, told[good], count)
    events = np.bincount(place, minlength=count)
    return {
        (int(account), int(subscriber), int(component), "gross" if gross else "net"): Owed(
            int(micro[n]), int(events[n]), int(measured[n]), int(explained[n])
        )
        for n, (account, subscriber, component, gross) in enumerate(keys.T)
    }


def charge_key(
    book: TariffBook,
    setting: Setting,
    payer: Payer,
    subscription_id: int,
    component: int,
    price_basis: str,
    kind: str,
    charge_ref: str = "",
    unit: str = "",
) -> ChargeKey:
    """Name a charge. It starts in the month of use, books and bill; a late one is moved afterwards.

    `unit` says what its quantity counts where that is not the component's own unit.
    """
    terms = book.tariff.components[component]
    said, counted = setting.words.get(terms.id, (terms.text, terms.unit))
    return ChargeKey(
        book_code=setting.book_code,
        billing_account_id=payer.billing_account_id,
        party_id=payer.party_id,
        subscription_id=subscription_id,
        component=terms.id,
        revenue_account=setting.accounts[terms.revenue],
        vat_code=terms.vat,
        vat_rate_bp=setting.vat_rates_bp[terms.vat],
        price_basis=price_basis,
        usage_period=setting.usage_period,
        accounting_month=setting.accounting_month,
        billing_period=setting.usage_period,
        kind=kind,
        charge_ref=charge_ref,
        text=said,
        unit=unit or counted,
    )


# What stays the same of a charge when a late part of it goes to a later bill.
identity = attrgetter(
    "book_code", "billing_account_id", "party_id", "subscription_id", "component",
    "revenue_account", "vat_code", "vat_rate_bp", "price_basis", "usage_period", "kind",
    "charge_ref", "currency",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """A charge as the books have it, and whether its bill has gone out."""

    key: ChargeKey
    micro: int
    minor_net: int
    minor_gross: int
    events: int
    quantity: int
    billed: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """What a run has to book on one charge."""

    key: ChargeKey
    micro: int
    minor_net: int
    minor_gross: int
    events: int
    quantity: int


def differences(
    owed: Mapping[ChargeKey, Owed],
    standing: Sequence[Standing],
    next_bill: Mapping[int, str],
    accounting_month: str,
) -> list[Difference]:
    """Compare what is owed with what stands, and say what to book where.

    A charge whose bill has gone out is never touched: what it lacks or has too much goes to the
    same charge of the account's next bill. Nor is a charge of a month whose books are closed: the
    difference goes to the same charge of the month that is open, labelled with the month of use.

    Parameters
    ----------
    owed : by charge key; the whole period, not only what is new.
    standing : every charge of the usage period, billed or not.
    next_bill : the first period without a bill, by billing account; absent means the key's own.
    accounting_month : the month that takes the postings; the month of use while that is open.
    """
    booked: dict[Any, list[Standing]] = {}
    for charge in standing:
        booked.setdefault(identity(charge.key), []).append(charge)
    named = {identity(key): key for key in owed}
    for name, same in booked.items():
        named.setdefault(name, same[0].key)
    places = [
        _place(
            _target(key, next_bill, accounting_month),
            owed.get(key, NOTHING),
            booked.get(identity(key), []),
        )
        for key in sorted(named.values(), key=_order)
    ]
    return [
        one
        for one in _book(places)
        if one.micro or one.minor_net or one.minor_gross or one.events or one.quantity
    ]


def _target(key: ChargeKey, next_bill: Mapping[int, str], accounting_month: str) -> ChargeKey:
    late = accounting_month != key.usage_period
    return replace(
        key,
        billing_period=max(next_bill.get(key.billing_account_id, ""), key.usage_period),
        accounting_month=accounting_month,
        dimensions={SERVICE_PERIOD: key.usage_period} if late else {},
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """A charge on which a difference is booked: what it is to stand at, and what it stands at."""

    key: ChargeKey
    after_micro: int
    micro: int
    minor_net: int
    minor_gross: int
    events: int  # lacking
    quantity: int  # lacking


def _place(target: ChargeKey, owed: Owed, same: Sequence[Standing]) -> _Place:
    """Let the target stand at what all charges of the same name together lack without it."""
    here = [
        charge
        for charge in same
        if (charge.key.billing_period, charge.key.accounting_month)
        == (target.billing_period, target.accounting_month)
    ]
    micro = sum(charge.micro for charge in here)
    return _Place(
        key=here[0].key if here else target,
        after_micro=owed.micro - sum(charge.micro for charge in same) + micro,
        micro=micro,
        minor_net=sum(charge.minor_net for charge in here),
        minor_gross=sum(charge.minor_gross for charge in here),
        events=owed.events - sum(charge.events for charge in same),
        quantity=owed.quantity - sum(charge.quantity for charge in same),
    )


def _book(places: Sequence[_Place]) -> list[Difference]:
    """Round all charges at once, each in its own basis, and take what stands off."""

    def column(name: str) -> Int64:
        return np.array([getattr(place, name) for place in places], np.int64)

    change = deltas(
        Booked(column("micro"), column("minor_net"), column("minor_gross")),
        column("after_micro"),
        np.array([place.key.price_basis == "gross" for place in places], np.bool_),
        np.array([place.key.vat_rate_bp for place in places], np.int64),
    )
    sums = zip(
        change.micro.tolist(), change.minor_net.tolist(), change.minor_gross.tolist(), strict=True
    )
    return [
        Difference(place.key, micro, net, gross, place.events, place.quantity)
        for place, (micro, net, gross) in zip(places, sums, strict=True)
    ]


def _order(key: ChargeKey) -> tuple[int, int, str, str, str, str]:
    """Keys are locked and numbered in this order by every run: no two runs can block each other."""
    return (
        key.billing_account_id, key.subscription_id, key.component, key.price_basis, key.kind,
        key.charge_ref,
    )  # fmt: skip
