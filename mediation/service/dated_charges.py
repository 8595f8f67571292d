"""What of a month's charges belongs to which days, where whose they are changes within the month.

Usage counts by the day of its event, a monthly price by the days it is for, an order by its day.
Discounts follow what they are off; what cannot be told apart goes by the month's first terms.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.orm import Session

from ledger.vault import Vault
from mediation.charging import DISCOUNT, FRAME, RECURRING, USAGE, Month
from mediation.records import Int64
from mediation.service.service_charges import local_day_numbers
from mediation.usage_files import read_parquet
from mediation.wallclock import ZONE
from party import service as party
from rating import service as rating
from rating.charges import sum_by_key
from rating.dated import day_number
from rating.rounding import share_of
from rating.service import Charge
from rating.tariff import TariffBook
from rating.usage import Reason
from rating.versions import InForce, recurring_by_version

_Owner = tuple[int, int, str]  # billing account, subscription, price basis
_COLUMNS = ("billing_account_id", "subscription_id", "component", "offering", "started_at",
            "amount_micro", "reason", "tariff_version")  # fmt: skip


@dataclass(frozen=True, slots=True)
class DatedCharge:
    """What a subscription owes for one thing, on all its bills, and what of it until some days."""

    amount_minor: int
    until_micro: tuple[int, ...]
    sales: tuple[Sequence[int], ...] = ()  # what it sums, by stretch, where it is asked for


@dataclass(slots=True)
class DatedCharges:
    """The month's events and prices, to be asked for the charges of components."""

    session: Session
    store: Vault
    month: Month
    versions: Sequence[InForce]
    _tables: list[pa.Table] | None = field(default=None)

    def until(
        self, component: str, days: Sequence[int], charges: Sequence[Charge], *,
        by_sale: bool = False,
    ) -> list[DatedCharge]:  # fmt: skip
        """Say of a component's charges what belongs to the days before each of `days`. [1970]

        Parameters
        ----------
        by_sale : tell the sales too: the events of a charge, or what is charged once a month.
        """
        sold = self._sales(component, days) if by_sale else {}
        every = [*days, day_number(self.month.after)]
        used, monthly = self._events(component, every), self._monthly(component, every)
        ordered = self._order_days()
        found = []
        for (owner, kind, ref), (minor, micro) in sorted(_together(charges).items()):
            at_first = (micro,) * len(days)
            if kind == USAGE:
                until = used.get(owner, at_first)
            elif kind == RECURRING:
                until = monthly.get(owner, at_first)
            elif ref.startswith((DISCOUNT, FRAME)):
                # A discount is off monthly prices, a frame off usage too.
                of = (monthly,) if ref.startswith(DISCOUNT) else (used, monthly)
                off = [part[owner] for part in of if owner in part]
                until = _in_proportion(micro, [sum(sums) for sums in zip(*off, strict=True)])
            else:
                until = tuple(micro if ordered.get(ref, 0) < day else 0 for day in days)
            until = (until or at_first)[: len(days)]
            parts: tuple[Sequence[int], ...] = ()
            if by_sale and kind == USAGE and owner in sold:
                parts = sold[owner]
            elif by_sale:
                once = np.diff([*until, micro], prepend=0).tolist()
                parts = tuple([part] if part else [] for part in once)
            found.append(DatedCharge(minor, until, parts))
        return found

    def _sales(
        self, component: str, days: Sequence[int]
    ) -> Mapping[_Owner, tuple[Sequence[int], ...]]:
        """List a component's events of the last run, by who owes them and by stretch."""
        sold: dict[_Owner, tuple[list[int], ...]] = {}
        for table, books in self._rated():
            owners, place, day, micro = _events_of(table, books, component)
            stretch = np.searchsorted(np.array(days, np.int64), day, side="right")
            for n, part, amount in zip(
                place.tolist(), stretch.tolist(), micro.tolist(), strict=True
            ):
                empty: tuple[list[int], ...] = tuple([] for _ in range(len(days) + 1))
                sold.setdefault(owners[n], empty)[part].append(amount)
        return sold

    def _rated(self) -> Iterator[tuple[pa.Table, Mapping[int, TariffBook]]]:
        """Read the last run's events, with the versions that priced them."""
        run = rating.last_run(self.session, self.month.period)
        if run is None:
            return
        if self._tables is None:
            self._tables = [
                read_parquet(self.store.open(name), list(_COLUMNS)) for name in run.rated_refs
            ]
        versions = rating.versions_of_run(self.session, run)
        books = {one.book.tariff.version: one.book for one in versions}
        yield from ((table, books) for table in self._tables)

    def _events(self, component: str, days: Sequence[int]) -> Mapping[_Owner, tuple[int, ...]]:
        """Sum a component's events of the last run, by who owes them, until each of the days."""
        sums: dict[_Owner, list[int]] = {}
        for table, books in self._rated():
            for owner, parts in _sums_until(table, books, component, days).items():
                known = sums.setdefault(owner, [0] * len(days))
                sums[owner] = [one + other for one, other in zip(known, parts, strict=True)]
        return {owner: tuple(parts) for owner, parts in sums.items()}

    def _monthly(self, component: str, days: Sequence[int]) -> Mapping[_Owner, tuple[int, ...]]:
        """Sum a component's monthly prices by who owes them, for the days until each of `days`."""
        active = party.active_intervals(self.session, *self.month.instants())
        begin, end = (
            local_day_numbers(active.valid_from), local_day_numbers(active.valid_to)
        )  # fmt: skip
        sums: dict[_Owner, list[int]] = {}
        for place, day in enumerate(days):
            priced = recurring_by_version(
                self.versions, self.month.period, active.offering, begin, np.minimum(end, day),
                active.agreed_micro, active.subscription_id,
            )  # fmt: skip
            charges = priced.charges
            for n, source in enumerate(charges.source.tolist()):
                book = self.versions[int(priced.version[n])].book
                if book.components[int(charges.component[n])] != component:
                    continue
                offering = book.offering_index(active.offering[source])
                owner = (
                    int(active.billing_account_id[source]), int(active.subscription_id[source]),
                    book.tariff.offerings[offering].price_basis,
                )  # fmt: skip
                known = sums.setdefault(owner, [0] * len(days))
                known[place] += int(charges.amount_micro[n])
        return {owner: tuple(parts) for owner, parts in sums.items()}

    def _order_days(self) -> Mapping[str, int]:
        return {
            each.order_ref: day_number(each.effective_at.astimezone(ZONE).date())
            for each in party.order_charges(self.session, *self.month.instants())
        }


def _together(
    charges: Sequence[Charge],
) -> dict[tuple[_Owner, str, str], tuple[int, int]]:
    """Sum charges over the bills that they are on: øre and millionths."""
    sums: dict[tuple[_Owner, str, str], tuple[int, int]] = {}
    for charge in charges:
        key = charge.key
        owner = (key.billing_account_id, key.subscription_id, key.price_basis)
        name = (owner, key.kind, key.charge_ref)
        minor, micro = sums.get(name, (0, 0))
        sums[name] = (minor + charge.amount_minor, micro + charge.micro)
    return sums


def _sums_until(
    table: pa.Table, books: Mapping[int, TariffBook], component: str, days: Sequence[int]
) -> dict[_Owner, list[int]]:
    """Sum the events of one object."""
    owners, place, day, micro = _events_of(table, books, component)
    until = [sum_by_key(place, np.where(day < one, micro, 0), len(owners)).tolist() for one in days]
    return {owner: [sums[n] for sums in until] for n, owner in enumerate(owners)}


def _events_of(
    table: pa.Table, books: Mapping[int, TariffBook], component: str
) -> tuple[list[_Owner], Int64, Int64, Int64]:
    """Give a component's priced events: owners, and of each event its owner, local day, amount."""
    rows = table.filter(
        pc.and_(pc.equal(table["component"], component), pc.equal(table["reason"], Reason.OK))
    )
    account, subscription, start, micro, version = (
        rows[name].to_numpy()
        for name in ("billing_account_id", "subscription_id", "started_at", "amount_micro",
                     "tariff_version")
    )  # fmt: skip
    offering = rows["offering"].combine_chunks().dictionary_encode()
    names, sold = offering.dictionary.to_pylist(), offering.indices.to_numpy()
    gross = np.zeros(rows.num_rows, np.int64)
    for number in np.unique(version).tolist():
        mine = version == number
        gross[mine] = books[number].sold_gross(books[number].offering_codes(names))[sold[mine]]
    owners, place = np.unique(np.stack([account, subscription, gross]), axis=1, return_inverse=True)
    named = [
        (who, what, "gross" if taxed else "net") for who, what, taxed in owners.T.tolist()
    ]  # fmt: skip
    return named, place.ravel().astype(np.int64), local_day_numbers(start), micro


def _in_proportion(micro: int, off: Sequence[int]) -> tuple[int, ...]:
    """Cut a discount as what it is off is cut; nothing where that cannot be divided.

    Parameters
    ----------
    off : what it is off came to until each day, and in all.
    """
    if not off or off[-1] <= 0 or min(off) < 0 or max(off) > off[-1]:
        return ()
    return tuple(int(share_of(np.array([micro]), part, off[-1])[0]) for part in off[:-1])
