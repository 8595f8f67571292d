"""What a quote costs beside its events and prices: fair use, pools, discounts, frames.

One subscription alone is asked about, so a pool is what its own card brings, discounts are those
that a customer with nothing else has, and a frame is that of the offering. The functions are those
that bill, in their order: discounts come before frames, each on what is left.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ledger.errors import Invalid
from rating.clock import local_days
from rating.conditions import Holdings, conditional_discounts
from rating.fair_use import beyond_volumes, surcharges
from rating.flat_codes import FlatCode, discount_code, fair_use_code, frame_code, pool_codes
from rating.frames import frame_discounts, parts_by_percent, percents_at
from rating.iot import pool_month
from rating.tariff import TariffBook
from rating.tariff_terms import Offering
from rating.usage import Reason, UsageBatch
from rating.versions import InForce, RatedVersions, VersionCharges, taken_charges

_NOBODY = np.zeros(1, np.int64)  # the one card and account of a quote


@dataclass(frozen=True, slots=True)
class Beside:
    """An amount beside events and monthly prices, under a component, with its explanation."""

    book: TariffBook
    component: int
    micro: int
    quantity: int
    code: FlatCode
    reference: str = ""  # of a discount; use beyond what is included has none
    text: str = ""  # what the discount is called


def beside_usage(
    versions: Sequence[InForce], offering: str, batch: UsageBatch, rated: RatedVersions,
    vat_rates_bp: Mapping[str, int] | None,
) -> Iterator[Beside]:  # fmt: skip
    """Give what use costs beyond fair use and beyond what a card includes, and what frames take.

    Raises
    ------
    Invalid : a volume of fair use depends on a rate of VAT that nobody knows here.
    """
    book = versions[0].book
    if (place := int(book.offering_codes([offering])[0])) >= 0:
        terms = book.tariff.offerings[place]
        yield from _pools(book, place, terms, batch, rated)
        if terms.fair_use:
            if vat_rates_bp is None:
                raise Invalid(
                    f"{offering} has a volume of fair use, which depends on VAT. Load the tariff "
                    "where there is a book, and quote it by its name."
                )
            yield from _fair_use(book, batch, rated, vat_rates_bp)
    yield from _usage_frames(rated)


def _fair_use(
    book: TariffBook, batch: UsageBatch, rated: RatedVersions, vat_rates_bp: Mapping[str, int]
) -> Iterator[Beside]:
    """Charge what lies beyond the volume of the month's first day, by the version of each event."""
    beyond = beyond_volumes(*rated.in_codes_of(book, batch), book, vat_rates_bp)
    for part in rated.parts:
        extra = surcharges(part.batch, part.rated, part.book, vat_rates_bp, beyond[part.rows])
        for code in np.unique(extra.component[extra.component >= 0]).tolist():
            rows = np.flatnonzero(extra.component == code)
            octets, micro = int(extra.beyond[rows].sum()), sum(extra.amount_micro[rows].tolist())
            why = fair_use_code(part.book, octets, len(rows), micro)
            yield Beside(part.book, code, micro, octets, why)


def _pools(
    book: TariffBook, place: int, terms: Offering, batch: UsageBatch, rated: RatedVersions
) -> Iterator[Beside]:
    """Charge what the card used beyond what it brings, where it is alone in its pool."""
    own, priced = rated.in_codes_of(book, batch)
    for pool in terms.pools:
        counted = np.array([book.components.index(name) for name in pool.components])
        rows = np.flatnonzero(
            (own.offering == place) & (priced.reason == Reason.OK)
            & np.isin(priced.component, counted) & (own.quantity > 0)
        )  # fmt: skip
        whose = np.zeros(len(rows), np.int64)
        cards, _ = pool_month(pool.terms, _NOBODY, _NOBODY, whose, own.quantity[rows])
        used, micro = int(cards.counted[0]), int(cards.amount_micro[0])
        if micro:
            (why,) = pool_codes(book, pool.terms, [used], [pool.terms.included])
            yield Beside(book, book.components.index(pool.overage), micro, used, why)


def _usage_frames(rated: RatedVersions) -> Iterator[Beside]:
    """Take what the offering's frame takes off events, each by the terms of its day."""
    sums: dict[tuple[str, str, int], int] = {}
    books: dict[str, TariffBook] = {}
    for part in rated.parts:
        book, frames = part.book, part.book.tariff.frames
        rows = np.flatnonzero(part.rated.reason == Reason.OK)
        if not frames or not len(rows):
            continue
        of_offering = np.array([_frame_of(book, each) for each in book.tariff.offerings], np.int64)
        frame = of_offering[part.batch.offering[rows]]
        component = part.rated.component[rows].astype(np.int64)
        days = local_days(book.clock, part.batch.started_at[rows])
        percents = percents_at(frames, book.components, frame, component, days)
        for n in np.flatnonzero(percents).tolist():
            name = book.components[int(component[n])]
            key = (name, frames[int(frame[n])].id, int(percents[n]))
            sums[key] = sums.get(key, 0) + int(part.rated.amount_micro[rows[n]])
            books[name] = book
    for (name, frame_id, percent), micro in sums.items():
        yield from _frame(books[name], books[name].components.index(name), frame_id, percent, micro)


def beside_months(
    versions: Sequence[InForce], offering: str, period: str, days: tuple[int, int],
    priced: VersionCharges,
) -> Iterator[Beside]:  # fmt: skip
    """Take discounts and frames off monthly prices, as a run does: by the days of each version."""
    spans = sorted(set(zip(priced.since.tolist(), priced.version.tolist(), strict=True)))
    for since, until in spans:
        book = versions[until].book
        rows = np.flatnonzero((priced.since == since) & (priced.version == until))
        charges = taken_charges(priced.charges, rows)
        begin = max(days[0], versions[since].from_day)
        end = min(days[1], versions[until].to_day)
        code = book.offering_codes([offering])
        holdings = Holdings(_NOBODY, code, np.array([begin]), np.array([end]))
        given = conditional_discounts(book, period, charges, holdings)
        left: dict[int, int] = {}
        for component, micro in zip(
            charges.component.tolist(), charges.amount_micro.tolist(), strict=True
        ):
            left[component] = left.get(component, 0) + micro
        for n, number in enumerate(given.discount.tolist()):
            terms, component = book.tariff.discounts[number], int(given.component[n])
            held, micro = int(given.days[n]), int(given.amount_micro[n])
            left[component] += micro
            why = discount_code(book, terms, int(given.of_micro[n]), held, int(given.of_days[n]))
            yield Beside(book, component, micro, held, why, f"discount/{terms.id}", terms.text)
        yield from _monthly_frames(book, int(code[0]), left, (begin, end))


def _monthly_frames(
    book: TariffBook, place: int, left: Mapping[int, int], days: tuple[int, int]
) -> Iterator[Beside]:
    frames = book.tariff.frames
    frame = _frame_of(book, book.tariff.offerings[place]) if place >= 0 else -1
    if frame < 0:
        return
    for component, micro in left.items():
        parts = parts_by_percent(frames, book.components, frame, component, micro, days)
        for percent, part in parts.items():
            if percent:
                yield from _frame(book, component, frames[frame].id, percent, part)


def _frame(book: TariffBook, component: int, frame: str, percent: int, of: int) -> Iterator[Beside]:
    taken = frame_discounts(np.array([of]), _NOBODY, _NOBODY, np.full((1, 1), percent))
    if off := int(taken[0]):
        why = frame_code(book, percent, of)
        yield Beside(book, component, -off, 1, why, f"frame/{frame}", f"Rammeavtale {frame}")


def _frame_of(book: TariffBook, offering: Offering) -> int:
    names = [frame.id for frame in book.tariff.frames]
    return -1 if offering.frame is None else names.index(offering.frame)
