"""Several versions of a tariff within one month: each event and each day by the one in force.

An event is priced by the version of its local start, whole, also where it goes on into the next.
A price by days counts the days of each version. What is charged once a month goes by the version
of the first day. A version that changes nothing changes no amount: equal prices are joined before
they are rounded, and what was used of an allowance is used of the next version's of that name.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rating.allowances import Counters, carry_over
from rating.carried_usage import in_codes_of, with_vat_rates
from rating.pipeline import Rated, rate
from rating.recurring import FlatCharges, recurring_charges
from rating.rounding import share_of
from rating.tariff import TariffBook, in_force
from rating.top_ups import TopUps
from rating.usage import Int64, Reason, UsageBatch

_COLUMNS = (
    "amount_micro", "component", "zone", "reason", "billed_units", "free_quantity", "rate_row",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class InForce:
    """A version, and the local days [from, to) of a month on which it is in force."""

    book: TariffBook
    from_day: int  # days since 1970
    to_day: int


@dataclass(frozen=True, slots=True, eq=False)
class RatedPart:
    """The events that one version prices."""

    book: TariffBook
    rows: Int64  # in the whole batch
    batch: UsageBatch
    rated: Rated


@dataclass(frozen=True, slots=True, eq=False)
class RatedVersions:
    """All events of a month, priced by one version or by several."""

    parts: tuple[RatedPart, ...]

    def column(self, name: str) -> Any:
        """Give a column of `Rated` over all events; its codes are those of each version."""
        return self._joined([getattr(part.rated, name) for part in self.parts])

    def names(self, what: str) -> Any:
        """Give each event's "component" or "zone" by name, empty where it has none."""
        found = []
        for part in self.parts:
            known = np.array([*_words(part.book, what), ""])
            found.append(known[getattr(part.rated, what)])
        return self._joined(found)

    def versions(self) -> Any:
        """Give the label of the version that priced each event: NORDLYS/2."""
        return self._joined([np.full(len(part.rows), part.book.label) for part in self.parts])

    def in_codes_of(self, book: TariffBook, batch: UsageBatch) -> tuple[UsageBatch, Rated]:
        """Give all events, of `batch`, with the codes of one book, for what is settled by month.

        An event of a product or component that the book does not have counts there for nothing.
        """
        if len(self.parts) == 1:
            return self.parts[0].batch, self.parts[0].rated
        columns = {name: self.column(name) for name in _COLUMNS}
        offering = np.full(len(batch), -1, np.int32)
        for part in self.parts:
            codes = np.append(book.offering_codes(part.book.offerings), np.int32(-1))
            offering[part.rows] = codes[part.batch.offering]
            for name in ("component", "zone"):
                known = {word: n for n, word in enumerate(_words(book, name))}
                here = [known.get(word, -1) for word in (*_words(part.book, name), "")]
                columns[name][part.rows] = np.array(here, np.int32)[columns[name][part.rows]]
        lost = (offering < 0) | (columns["component"] < 0)
        columns["reason"][lost & (columns["reason"] == Reason.OK)] = Reason.NO_RATE
        drawn = np.zeros((len(batch), book.cells.allowances.shape[1]), np.int64)
        rated = Rated(**columns, counters=self.parts[-1].rated.counters, drawn=drawn)
        return replace(batch, offering=offering), rated

    def _joined(self, columns: Sequence[Any]) -> Any:
        order = np.argsort(np.concatenate([part.rows for part in self.parts]))
        return np.concatenate(columns)[order]


def _words(book: TariffBook, what: str) -> tuple[str, ...]:
    return book.components if what == "component" else book.zones


def rate_versions(
    batch: UsageBatch,
    offerings: Sequence[str],
    versions: Sequence[InForce],
    grants: Sequence[Counters | None],
    top_ups: Sequence[TopUps | None] = (),
    services: Sequence[str] = (),
    currencies: Sequence[str] = (),
    vat_rates_bp: Mapping[str, int] | None = None,
) -> RatedVersions:
    """Rate a month's events, each by the version in force at its start.

    Parameters
    ----------
    batch : events of one month, `offering` being an index into `offerings`; any other is of none.
    offerings : names of offerings.
    versions : in order of their days.
    grants : for each version, what it cannot know of its allowances (`rating.grants`).
    top_ups : for each version, what was bought in the month; left out, nothing.
    services, currencies : what those codes of the batch mean, where events bring prices.
    vat_rates_bp : by VAT code, for prices that come in another basis than their offering's.
    """
    began = np.array([version.book.valid_from for version in versions], np.int64)
    # Before the first version there is none; the first says so of the event.
    chosen = np.maximum(in_force(began, batch.started_at), 0)
    parts: list[RatedPart] = []
    counters: Counters | None = None
    for number, version in enumerate(versions):
        book, rows = version.book, np.flatnonzero(chosen == number)
        mine = in_codes_of(book, batch.take(rows), services, currencies)
        codes = np.append(book.offering_codes(offerings), np.int32(-1))
        known = (mine.offering >= 0) & (mine.offering < len(offerings))
        mine = replace(mine, offering=codes[np.where(known, mine.offering, -1)])
        before = grants[number]
        if counters is not None:
            before = carry_over(counters, versions[number - 1].book, book, before)
        mine = with_vat_rates(mine, book, vat_rates_bp or {})
        rated = rate(mine, book, before, top_ups=top_ups[number] if top_ups else None)
        counters = rated.counters
        parts.append(RatedPart(book, rows, mine, rated))
    return RatedVersions(tuple(parts))


@dataclass(frozen=True, slots=True, eq=False)
class VersionCharges:
    """Monthly charges; `charges.component` is an index into the version's own components."""

    charges: FlatCharges
    version: Int64  # index into the versions; of joined days the last
    since: Int64  # of joined days the first version


def recurring_by_version(
    versions: Sequence[InForce],
    period: str,
    offerings: Sequence[str],
    active_from: Int64,
    active_to: Int64,
    agreed_micro: Int64,
    subscription: Int64,
) -> VersionCharges:
    """Charge a month's recurring prices, each day by the version in force.

    Parameters
    ----------
    offerings : n names; the rest is as `rating.recurring.recurring_charges` takes it.

    Returns
    -------
    VersionCharges : one row for each price of a stretch; days at the same price are one.
    """
    first_day = _first_days(offerings, active_from, subscription)
    found, version = [], []
    for number, one in enumerate(versions):
        charges = recurring_charges(
            one.book, period, one.book.offering_codes(offerings),
            np.maximum(active_from, one.from_day), np.minimum(active_to, one.to_day),
            agreed_micro, subscription,
        )  # fmt: skip
        began = np.maximum(first_day, versions[0].from_day)[charges.source]
        here = (one.from_day <= began) & (began < one.to_day)
        kept = np.flatnonzero((charges.of_days > 1) | here)
        found.append(taken_charges(charges, kept))
        version.append(np.full(len(kept), number))
    joined = FlatCharges(
        *(np.concatenate([getattr(part, name) for part in found])
          for name in FlatCharges.__slots__)
    )  # fmt: skip
    if len(versions) == 1:
        return VersionCharges(joined, version[0], version[0])
    return _merged(joined, np.concatenate(version), versions, offerings)


def _first_days(offerings: Sequence[str], active_from: Int64, subscription: Int64) -> Int64:
    """Give the day on which each row's subscription first had the offering of the row."""
    codes = {name: number for number, name in enumerate(dict.fromkeys(offerings))}
    owner = np.stack([subscription, np.array([codes[name] for name in offerings], np.int64)])
    _, place = np.unique(owner, axis=1, return_inverse=True)
    place = place.ravel()
    earliest = np.full(int(place.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(earliest, place, active_from)
    found: Int64 = earliest[place]
    return found


def _merged(
    charges: FlatCharges, version: Int64, versions: Sequence[InForce], offerings: Sequence[str]
) -> VersionCharges:
    """Join the days of a row at one price; the last version that has the price stands for it."""
    span = np.array(_spans(charges, version, versions, offerings), np.int64)
    count, rows = int(span.max(initial=-1)) + 1, np.arange(len(span))
    days, last = np.zeros(count, np.int64), np.zeros(count, np.int64)
    first = np.full(count, len(rows))
    np.add.at(days, span, charges.days)
    np.maximum.at(last, span, rows)
    np.minimum.at(first, span, rows)
    order = np.lexsort((last, version[last], charges.source[last]))
    days, last, first = days[order], last[order], first[order]
    full, of_days = charges.full_micro[last], charges.of_days[last]
    merged = replace(
        taken_charges(charges, last),
        days=days.astype(np.int32),
        amount_micro=share_of(full, days, of_days),
    )
    return VersionCharges(merged, version[last], version[first])


def _spans(
    charges: FlatCharges, version: Int64, versions: Sequence[InForce], offerings: Sequence[str]
) -> list[int]:
    """Number the spans of days at one price, over versions that follow on each other.

    Days are joined only where nothing changed: component, account, VAT, basis and price.
    """
    latest: dict[tuple[object, ...], tuple[int, int]] = {}  # version and span
    twins: Counter[tuple[object, ...]] = Counter()
    found: list[int] = []
    opened = 0
    for source, code, number, full, of_days in zip(
        charges.source.tolist(), charges.component.tolist(), version.tolist(),
        charges.full_micro.tolist(), charges.of_days.tolist(), strict=True,
    ):  # fmt: skip
        book = versions[number].book
        part = book.tariff.components[code]
        basis = book.tariff.offerings[book.offering_index(offerings[source])].price_basis
        kind = (source, part.id, part.revenue, part.vat, basis, full, of_days)
        key = (*kind, twins[number, kind])
        twins[number, kind] += 1
        before, span = latest.get(key, (-1, -1))
        if of_days == 1 or before != number - 1 or before < 0:
            span, opened = opened, opened + 1
        latest[key] = (number, span)
        found.append(span)
    return found


def taken_charges(charges: FlatCharges, rows: Int64) -> FlatCharges:
    """Select charges by index."""
    return FlatCharges(*(getattr(charges, name)[rows] for name in FlatCharges.__slots__))
