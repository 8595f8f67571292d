"""Why a charge that is no single event costs what it does, as integers; sentences on request.

Months, orders, terms that end early, discounts, frames, pools and surcharges beyond fair use; of
settlements, `rating.settled_codes` makes the codes. The amount of a code is computed from its own
numbers with Python's integers, apart from the columns that made the charge: a second opinion, as
`rating.codes` is of events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.money import largest_remainder
from rating.dated import day_of
from rating.explain import kroner
from rating.iot import PoolTerms
from rating.phrases import PHRASES, Language
from rating.tariff import TariffBook
from rating.tariff_terms import ConditionalDiscount

MONTH, ONCE, BINDING = "month", "once", "binding"
PERCENT, AMOUNT, FRAME = "percent", "amount", "frame"
POOL, FAIR_USE = "pool", "fair_use"
PARTNER, COLLECTED, SHARE, REST, GIFT = "partner", "collected", "share", "rest", "gift"
OWN_PART, LESS_VAT, OWN_VAT = "own_part", "less_vat", "own_vat"
COLLECTED_ON = "collected_on"  # on some days of the month, where terms change

# What the numbers of each kind of code are, in order. [millionths, days, octets]
NUMBERS: Mapping[str, tuple[str, ...]] = {
    MONTH: ("price", "days", "of_days"),
    ONCE: ("price",),
    BINDING: ("price", "days", "of_days"),
    PERCENT: ("percent", "of", "days", "of_days"),
    AMOUNT: ("price", "of", "days", "of_days"),
    FRAME: ("percent", "of"),
    POOL: ("used", "cards", "included", "beyond", "price", "per", "total", "part"),
    FAIR_USE: ("octets", "events"),
    PARTNER: ("events",),
    COLLECTED: ("charges",),
    COLLECTED_ON: ("charges", "first", "last"),
    SHARE: ("percent", "fixed", "charges", "of"),
    OWN_PART: ("percent", "fixed", "charges", "of"),
    REST: ("of",),
    GIFT: (),
    LESS_VAT: ("percent", "of"),
    OWN_VAT: ("percent", "of"),
}
_MICRO_NAMES = frozenset({"price", "of", "total", "fixed"})
_DAY_NAMES = ("first", "last")
# What these say is somebody's is a credit in the books.
_CREDITED = frozenset({SHARE, REST, GIFT, OWN_PART, OWN_VAT})
_WHOLE = 100 * 10**6  # a hundred per cent, in millionths of one


@dataclass(frozen=True, slots=True)
class FlatCode:
    """One summand of a charge."""

    kind: str
    label: str  # of the tariff version: NORDLYS/2
    numbers: tuple[int, ...]  # as `NUMBERS` names them
    amount_micro: int  # what they come to


def month_code(book: TariffBook, price: int, days: int, of_days: int) -> FlatCode:
    """Explain a monthly price for some days; one of one day is a whole month."""
    return FlatCode(MONTH, book.label, (price, days, of_days), exact_share(price, days, of_days))


def once_code(book: TariffBook, price: int) -> FlatCode:
    """Explain a price that an order causes."""
    return FlatCode(ONCE, book.label, (price,), price)


def binding_code(book: TariffBook, price: int, days: int, of_days: int) -> FlatCode:
    """Explain what is left of a term of some days."""
    return FlatCode(BINDING, book.label, (price, days, of_days), exact_share(price, days, of_days))


def discount_code(
    book: TariffBook, terms: ConditionalDiscount, of: int, days: int, of_days: int
) -> FlatCode:
    """Explain a conditional discount of what was left of a price; never more than that."""
    if terms.percent_micro:
        kind, given = PERCENT, terms.percent_micro
        taken = exact_share(of, given * days, _WHOLE * of_days)
    else:
        kind, given = AMOUNT, terms.amount_micro
        taken = exact_share(given, days, of_days)
    return FlatCode(kind, book.label, (given, of, days, of_days), -min(taken, of))


def frame_code(book: TariffBook, percent_micro: int, of: int) -> FlatCode:
    """Explain what a frame takes off an amount."""
    return FlatCode(FRAME, book.label, (percent_micro, of), -exact_share(of, percent_micro, _WHOLE))


def pool_codes(
    book: TariffBook, terms: PoolTerms, counted: Sequence[int], brings: Sequence[int]
) -> list[FlatCode]:
    """Explain the parts of a pool's cards, in their order.

    Parameters
    ----------
    counted : octets of each card, as sessions count.
    brings : octets that each card includes.
    """
    used, included = sum(counted), sum(brings)
    beyond = -(-max(used - included, 0) // terms.step) * terms.step
    total = exact_share(beyond, terms.price_micro, terms.per)
    parts = largest_remainder(total, counted)
    numbers = (used, len(counted), included, beyond, terms.price_micro, terms.per, total)
    return [
        FlatCode(POOL, book.label, (*numbers, mine), part)
        for mine, part in zip(counted, parts, strict=True)
    ]


def fair_use_code(book: TariffBook, octets: int, events: int, amount_micro: int) -> FlatCode:
    """Explain a surcharge: the events beyond the volume, each rounded by itself."""
    return FlatCode(FAIR_USE, book.label, (octets, events), amount_micro)


def surcharge(octets: int, price: int, per: int) -> int:
    """Price what one event used beyond fair use. [millionths]"""
    return exact_share(octets, price, per)


def say_flat(
    code: FlatCode, text: str, language: Language = "nb", holder: str = "", currency: str = "NOK"
) -> str:
    """Put a code into a sentence.

    Parameters
    ----------
    text : what the charge is called on the bill.
    holder : of a settlement, whom the money is for.
    """
    numbers = dict(zip(NUMBERS[code.kind], code.numbers, strict=True))
    said = {
        name: kroner(value, language) if name in _MICRO_NAMES else f"{value}"
        for name, value in numbers.items()
    }
    said |= {name: f"{day_of(numbers[name])}" for name in _DAY_NAMES if name in numbers}
    if "percent" in numbers:
        # As kroner are written, without decimals that say nothing.
        said["percent"] = kroner(numbers["percent"], language).rstrip("0").rstrip(".,")
    kind = "days" if code.kind == MONTH and numbers["of_days"] > 1 else code.kind
    if numbers.get("fixed") == 0:
        kind += "_by_percent"
    amount = -code.amount_micro if code.kind in _CREDITED else code.amount_micro
    return PHRASES[language][kind].format(
        text=text, label=code.label, amount=kroner(amount, language), holder=holder,
        currency=currency, **said,
    )  # fmt: skip


def exact_share(amount: int, part: int, whole: int) -> int:
    """Take part / whole (above zero) of an amount of either sign, rounded half away from zero."""
    size = (2 * abs(amount) * part + whole) // (2 * whole)
    return -size if amount < 0 else size
