"""What an event, a bundle of events or a whole month would cost, by the functions that bill.

Nothing is posted and nothing is remembered: one subscription that nobody has, alone, is rated and
charged as `mediation` rates and charges a real one, with what its offering includes for the days it
is active, what is said to be left or to have rolled over, what its orders top up, and what is
settled once for the month: fair use, its pool, discounts and frames.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ledger.errors import Invalid
from ledger.money import MINOR_PER_UNIT
from rating.charges import Booked, rounded
from rating.dated import day_number
from rating.explain import Explanation, explain_event, kroner
from rating.flat_codes import say_flat
from rating.left_out import left_out_of_nobody
from rating.phrases import PHRASES, Language
from rating.quoted_allowances import Bought, Remaining, grants_of, top_ups_of
from rating.quoted_asking import Asked
from rating.quoted_events import batch_of_events
from rating.quoted_terms import Beside, beside_months, beside_usage
from rating.recurring import NOT_AGREED, month_span, one_off_charges
from rating.tariff import TariffBook
from rating.tariff_terms import OCCASIONS
from rating.taxes import tax_on_net
from rating.usage import Bool, Int64, Reason
from rating.versions import (
    InForce,
    RatedPart,
    RatedVersions,
    rate_versions,
    recurring_by_version,
)


@dataclass(frozen=True, slots=True)
class QuotedEvent:
    """An event with its price and the reasons for it."""

    tariff: str  # label of the version that priced it
    component: str  # empty where it has no price
    reason: str  # OK, or why it has no price
    amount_micro: int
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class QuotedCharge:
    """A charge as it would stand on the bill, rounded once. [øre]"""

    component: str
    kind: str  # usage | recurring | one_off
    text: str
    price_basis: str  # gross: the amount includes VAT
    vat: str
    quantity: int
    micro: int
    amount_minor: int
    sentences: tuple[str, ...]
    billing_account: str = ""  # the number of the account that pays, of a real subscription


@dataclass(frozen=True, slots=True)
class Balance:
    """What a real subscription may draw on, and since when that is known."""

    subscription: str
    offering: str
    remaining: tuple[Remaining, ...]
    run_id: int | None  # of the rating run that left it; None where the month was not rated yet
    known_at: datetime | None
    effective_as_of: datetime | None = None  # of use before it; None for all that is known


@dataclass(frozen=True, slots=True)
class Quote:
    """What it all would cost; the totals need the rates of VAT. [øre]"""

    tariffs: tuple[str, ...]
    events: tuple[QuotedEvent, ...]
    charges: tuple[QuotedCharge, ...]
    net_minor: int | None
    vat_minor: int | None
    gross_minor: int | None
    balance: Balance | None = None  # of the subscription that is asked for, where one is
    left_out: tuple[str, ...] = ()  # sentences about what is not in it

    @property
    def priced(self) -> bool:
        """Say whether everything asked for has a price."""
        return all(event.reason == Reason.OK.name for event in self.events)


@dataclass(slots=True)
class _Sum:
    """What has been charged so far on one component."""

    text: str
    micro: int
    quantity: int
    sentences: list[str]


# Component, kind of charge, price basis, VAT code; every order is a charge of its own.
_Key = tuple[str, str, str, str]
_USAGE, _RECURRING, _ONE_OFF = "usage", "recurring", "one_off"


def quote(
    versions: Sequence[InForce],
    asked: Asked,
    language: Language = "nb",
    vat_rates_bp: Mapping[str, int] | None = None,
) -> Quote:
    """Price what is asked, with the sentences that explain it.

    Parameters
    ----------
    versions : those in force in the month, in order.
    vat_rates_bp : by VAT code, for totals with and without VAT; None where nobody knows.

    Raises
    ------
    OfferingUnknown : no version of the month sells the offering.
    Invalid : an event is of another month, an order of no known kind, or there are too many.
    """
    check_asked(versions, asked)
    sums: dict[_Key, _Sum] = {}
    events = _quote_events(versions, asked, language, sums, vat_rates_bp) if asked.events else ()
    _charge_months(versions, asked, language, sums)
    _charge_orders(versions, asked, language, sums)
    gross = np.array([basis == "gross" for _, _, basis, _ in sums], np.bool_)
    rates = np.array([(vat_rates_bp or {}).get(vat, 0) for *_, vat in sums], np.int64)
    stands = rounded(np.array([one.micro for one in sums.values()], np.int64), gross, rates)
    net, vat, sum_gross = (
        (None, None, None) if vat_rates_bp is None else totals_of(stands, gross, rates)
    )
    labels = tuple(one.book.label for one in versions)
    missing = tuple(left_out_of_nobody(versions, asked, language))
    charges = _charges(sums, stands, gross)
    return Quote(labels, events, charges, net, vat, sum_gross, left_out=missing)


def check_asked(versions: Sequence[InForce], asked: Asked) -> None:
    """Refuse what no version of the month sells, or no order is.

    Raises
    ------
    OfferingUnknown : no version of the month sells an offering.
    Invalid : an order is of no known kind, or on a day without a version.
    """
    if asked.offering and all(asked.offering not in one.book.offerings for one in versions):
        versions[-1].book.offering_index(asked.offering)
    for order in asked.orders:
        if order.on not in OCCASIONS:
            raise Invalid(f"{order.on!r} is no order; choose among {', '.join(OCCASIONS)}.")
        day = day_number(order.day)
        held = [one for one in versions if one.from_day <= day < one.to_day]
        if not held:
            raise Invalid(f"No version of the tariff is in force on {order.day} in {asked.period}.")
        if order.offering:
            held[0].book.offering_index(order.offering)


# Events ----------------------------------------------------------------------------------------


def _quote_events(
    versions: Sequence[InForce], asked: Asked, language: Language, sums: dict[_Key, _Sum],
    vat_rates_bp: Mapping[str, int] | None,
) -> tuple[QuotedEvent, ...]:  # fmt: skip
    batch, services, currencies = batch_of_events(
        versions[0].book.tariff, asked.events, asked.period
    )
    bought = [
        Bought(order.offering or asked.offering, order.day)
        for order in asked.orders if order.on == "addon"
    ]  # fmt: skip
    granted = grants_of(
        versions, asked.offering, asked.period, _active_days(asked), asked.remaining
    )
    top_ups = top_ups_of(versions, asked.period, bought, asked.remaining)
    rated = rate_versions(
        batch, [asked.offering], versions, granted, top_ups, services, currencies,
        vat_rates_bp or {},
    )  # fmt: skip
    quoted: dict[int, QuotedEvent] = {}
    for part in rated.parts:
        for row, place in enumerate(part.rows.tolist()):
            quoted[place] = quoted_event(part, row, language)
    _sum_events(rated, sums)
    for beside in beside_usage(versions, asked.offering, batch, rated, vat_rates_bp):
        _add_beside(sums, beside, asked.offering, language)
    return tuple(quoted[place] for place in sorted(quoted))


def quoted_event(part: RatedPart, row: int, language: Language) -> QuotedEvent:
    """Give an event of a version with its price and why."""
    told = explain_event(part.batch, part.rated, part.book, row, language)
    code = int(part.rated.component[row])
    name = part.book.components[code] if code >= 0 else ""
    return QuotedEvent(
        part.book.label, name, Reason(int(part.rated.reason[row])).name,
        int(part.rated.amount_micro[row]), told,
    )  # fmt: skip


def _sum_events(rated: RatedVersions, sums: dict[_Key, _Sum]) -> None:
    for part in rated.parts:
        for row in np.flatnonzero(part.rated.reason == Reason.OK).tolist():
            terms = part.book.tariff.offerings[int(part.batch.offering[row])]
            one = _of(sums, part.book, int(part.rated.component[row]), _USAGE, terms.price_basis)
            one.micro += int(part.rated.amount_micro[row])
            one.quantity += int(part.batch.quantity[row])


def _active_days(asked: Asked) -> tuple[int, int]:
    """Give the local days [from, to) of the month on which it is active; all, unless it says."""
    first, after = month_span(asked.period)
    begin = first if asked.active_from is None else max(day_number(asked.active_from), first)
    return begin, after if asked.active_to is None else min(day_number(asked.active_to), after)


# Months and orders -----------------------------------------------------------------------------


def _charge_months(
    versions: Sequence[InForce], asked: Asked, language: Language, sums: dict[_Key, _Sum]
) -> None:
    if asked.active_from is None:
        return
    begin, end = _active_days(asked)
    priced = recurring_by_version(
        versions, asked.period, [asked.offering], _one(begin), _one(end), _one(NOT_AGREED), _one(0)
    )
    charges, say = priced.charges, PHRASES[language]
    for n, number in enumerate(priced.version.tolist()):
        book = versions[number].book
        basis = book.tariff.offerings[book.offering_index(asked.offering)].price_basis
        one = _of(sums, book, int(charges.component[n]), _RECURRING, basis)
        amount, days, of_days = (
            int(column[n]) for column in (charges.amount_micro, charges.days, charges.of_days)
        )
        one.micro += amount
        one.quantity += days
        one.sentences.append(
            say["days" if of_days > 1 else "month"].format(
                text=one.text, price=kroner(int(charges.full_micro[n]), language), days=days,
                of_days=of_days, amount=kroner(amount, language), label=book.label,
            )
        )  # fmt: skip

    for beside in beside_months(versions, asked.offering, asked.period, (begin, end), priced):
        _add_beside(sums, beside, asked.offering, language)


def _charge_orders(
    versions: Sequence[InForce], asked: Asked, language: Language, sums: dict[_Key, _Sum]
) -> None:
    for number, order in enumerate(asked.orders, 1):
        day = day_number(order.day)
        book = next(one.book for one in versions if one.from_day <= day < one.to_day)
        ordered = book.offering_index(order.offering or asked.offering)
        charges = one_off_charges(book, np.array([ordered], np.int32), [order.on])
        for code, micro in zip(
            charges.component.tolist(), charges.amount_micro.tolist(), strict=True
        ):
            terms = book.tariff.offerings[ordered]
            one = _of(sums, book, code, f"{_ONE_OFF} {number}", terms.price_basis)
            one.micro += micro
            one.quantity += 1
            one.sentences.append(
                PHRASES[language]["once"].format(
                    text=one.text, amount=kroner(micro, language), label=book.label
                )
            )


# Charges ---------------------------------------------------------------------------------------


def _of(sums: dict[_Key, _Sum], book: TariffBook, code: int, kind: str, basis: str) -> _Sum:
    part = book.tariff.components[code]
    return sums.setdefault((part.id, kind, basis, part.vat), _Sum(part.text, 0, 0, []))


def _add_beside(sums: dict[_Key, _Sum], beside: Beside, offering: str, language: Language) -> None:
    """Add what is charged beside events and monthly prices, a discount as a charge of its own."""
    book = beside.book
    basis = book.tariff.offerings[book.offering_index(offering)].price_basis
    kind = f"{_ONE_OFF} {beside.reference}" if beside.reference else _USAGE
    one = _of(sums, book, beside.component, kind, basis)
    if beside.text and not one.sentences:
        one.text = f"{beside.text}: {one.text}"
    one.micro += beside.micro
    one.quantity += beside.quantity
    one.sentences.append(say_flat(beside.code, one.text, language))


def _charges(
    sums: Mapping[_Key, _Sum], stands: Booked, gross: Bool
) -> tuple[QuotedCharge, ...]:  # fmt: skip
    amounts = np.where(gross, stands.minor_gross, stands.minor_net)
    return tuple(
        QuotedCharge(
            component, kind.partition(" ")[0], one.text, basis, vat, one.quantity, one.micro,
            int(amount), tuple(one.sentences),
        )
        for ((component, kind, basis, vat), one), amount in zip(sums.items(), amounts, strict=True)
    )  # fmt: skip


def totals_of(stands: Booked, gross: Bool, rates_bp: Int64) -> tuple[int, int, int]:
    """Sum as a bill does: gross charges are split one by one, VAT on nets comes once per rate.

    Returns
    -------
    Net, VAT, gross. [øre]
    """
    net = int(stands.minor_net.sum())
    vat = int((stands.minor_gross - stands.minor_net)[gross].sum())
    for rate in np.unique(rates_bp[~gross]).tolist():
        nets = stands.minor_net[~gross & (rates_bp == rate)].sum(keepdims=True)
        vat += int(tax_on_net(nets, (rate, 10_000), MINOR_PER_UNIT)[1][0])
    return net, vat, net + vat


def _one(number: int) -> Int64:
    return np.array([number], np.int64)
