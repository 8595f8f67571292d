"""What a tariff says, as frozen values: zones, bands, components and offerings with their prices.

A field with a default came later than the format: a file that does not use it keeps the content
hash it had (`rating.tariff.canonical_content`). Amounts are in millionths of the currency.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from ledger.errors import Invalid
from ledger.money import MICRO_PER_UNIT
from rating.carried import Carried
from rating.dated import Exchange
from rating.frames import Frame
from rating.iot import PoolTerms
from rating.rounding import Mode

FORMAT = "hovedbok-tariff/1"
USAGES = ("voice", "sms", "data")
UNITS = ("s", "message", "octet", "month", "piece")
UNIT_OF_USAGE = {"voice": "s", "sms": "message", "data": "octet"}
ACCOUNT, AGREEMENT = "account", "agreement"
SCOPES = (ACCOUNT, AGREEMENT)  # of what is shared
OCCASIONS = ("add", "change", "addon", "cease")

# Customers are charged in kroner; partners' tariffs are in their own, maritime ones in SDR (XDR).
CURRENCIES = ("NOK", "XDR", "EUR", "USD", "SEK", "DKK", "GBP")

MAX_PRICE_MICRO = 10**9 * MICRO_PER_UNIT
MAX_PER = 2**40
MAX_ALLOWANCE = 10**15
MAX_ROLLOVER_MONTHS = 12
EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
HOLIDAY = 8  # the pseudo weekday of a public holiday

# How a call over several bands is paid for.
SPLIT, SPLIT_CARRY, START_BAND = "split", "split_carry", "start_band"
BAND_SPLITS = (SPLIT_CARRY, SPLIT, START_BAND)

NO_PRICE = -1  # of a step in which nothing is sold


class TariffInvalid(Invalid):
    """The tariff file breaks its format; every fault is listed with its line and key."""

    title = "Tariff file is invalid"


@dataclass(frozen=True, slots=True)
class Zone:
    """Where to: called numbers by longest prefix, or rating groups of data."""

    id: str
    prefixes: tuple[str, ...]
    rating_groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """When: from a time of day on some days, until another band takes over or the day ends.

    A public holiday is weekday 8 and no other; all seven weekdays are every day, holidays too.
    """

    id: str
    from_second: int  # of the local day
    weekdays: tuple[int, ...]  # ISO, Monday is 1; 8 is a public holiday
    priority: int
    months: tuple[int, ...] = ()  # of the year; empty is all
    month_days: tuple[int, ...] = ()  # of the month; empty is all


def band_weekdays(band: Band) -> tuple[int, ...]:
    """List the weekdays of a band, with holidays where it holds every day."""
    return (*EVERY_DAY, HOLIDAY) if band.weekdays == EVERY_DAY else band.weekdays


@dataclass(frozen=True, slots=True)
class Component:
    """What an invoice line and a revenue account are about."""

    id: str
    text: str
    revenue: str  # the selector of the posting rule
    vat: str
    unit: str
    partner: str | None = None  # to whom a wholesale price is owed


@dataclass(frozen=True, slots=True)
class Recurring:
    """A price per month."""

    component: str
    price_micro: int
    proration: str  # days | none


@dataclass(frozen=True, slots=True)
class OneOff:
    """A price for something that happens once."""

    on: str
    component: str
    price_micro: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is included each month, for events of some components."""

    id: str
    components: tuple[str, ...]
    quantity: int  # of usage; of millionths where `money`
    prorate: bool
    money: bool = False  # pays for usage at its price; never for a set-up fee
    increment: int = 0  # debited in whole ones; 0 is exactly what is used
    priority: int = 0  # lowest first, then in order of the file
    shared: bool = False  # by many subscriptions, who all bring their part
    member_cap: int | None = None  # what one subscription may use of what is shared
    valid_from: date | None = None  # serves usage of local days [valid_from, valid_to)
    valid_to: date | None = None
    rollover_micro: int = 0  # per cent of what is left that goes into the next month, x 10**6
    rollover_most: int | None = None  # units at most
    rollover_months: int = 1  # how many months what rolled over serves
    rollover_first: bool = False  # used before what the month includes, else after it
    scope: str = ACCOUNT  # whose subscriptions share it: of the billing account, or the agreement


@dataclass(frozen=True, slots=True)
class TopUp:
    """What an add-on adds to an allowance, from the order to the end of the month."""

    allowance: str  # of any offering of the tariff
    quantity: int


@dataclass(frozen=True, slots=True)
class Step:
    """Another price from some usage of an event on."""

    start: int  # units of the usage since the event began
    price_micro: int
    per: int
    increment: int  # 0 is proportional


@dataclass(frozen=True, slots=True)
class Rate:
    """What usage of one kind to one zone in one band costs."""

    usage: str
    zone: str
    band: str | None  # None is every band that has no row of its own
    component: str
    setup_micro: int
    price_micro: int
    per: int
    increment: int  # 0 is proportional
    minimum_micro: int
    steps: tuple[Step, ...] = ()  # after the first, which starts at 0
    whole_step: bool = False  # the step of the last unit prices the whole event
    until: int = 0  # units that have a price; beyond, nothing is sold; 0 is no end
    max_charge_micro: int | None = None
    rounding: str = Mode.HALF_UP  # of the amount of one event
    round_to_micro: int = 1


@dataclass(frozen=True, slots=True)
class RoamingCap:
    """What a partner may ask for data abroad at most, from a day on, without VAT."""

    valid_from: date
    currency: str
    gigabyte_micro: int  # [millionths of the currency]


@dataclass(frozen=True, slots=True)
class FairUse:
    """Data abroad at the price at home up to a volume by formula; beyond, a surcharge."""

    components: tuple[str, ...]  # of the usage that counts
    surcharge: str  # the component of what is added
    price_micro: int | None = None  # of a gigabyte beyond, in the price basis; None is the cap
    gigabyte: int = 2**30  # octets


@dataclass(frozen=True, slots=True)
class SpendLimit:
    """What use may cost in a month before somebody is told, or it is stopped. Without VAT."""

    id: str
    components: tuple[str, ...]
    valid_from: date
    currency: str
    amount_micro: int  # [millionths of the currency]
    notify: tuple[int, ...] = ()  # per cent of the limit; reaching it is always told
    stop: bool = False


@dataclass(frozen=True, slots=True)
class Binding:
    """What a subscription costs that ends before its term; it falls in a straight line."""

    component: str
    months: int
    charge_micro: int  # on the first day


@dataclass(frozen=True, slots=True)
class BindingLimit:
    """The longest term that consumers may be bound to, if it begins from a day on."""

    valid_from: date
    months: int


@dataclass(frozen=True, slots=True)
class Pool:
    """An allowance that cards bring together, settled once a month."""

    components: tuple[str, ...]  # of the sessions that count
    overage: str  # the component of what lies beyond
    terms: PoolTerms
    id: str | None = None  # offerings that name one have one pool; without, each has its own
    scope: str = ACCOUNT  # whose cards share it: of the billing account, or the agreement


@dataclass(frozen=True, slots=True)
class ConditionalDiscount:
    """Off monthly prices, on the days on which an account has what is asked for."""

    id: str
    text: str  # of the line that says it
    reduces: tuple[str, ...]  # components of monthly prices
    offerings: tuple[str, ...] = ()  # whose; empty is all
    percent_micro: int = 0  # 10 % is 10_000_000
    amount_micro: int = 0  # a month, of each price
    at_least: int = 0  # subscriptions of the account
    with_offerings: tuple[str, ...] = ()  # the account has them all
    valid_from: date | None = None  # local days [valid_from, valid_to)
    valid_to: date | None = None


@dataclass(frozen=True, slots=True)
class Offering:
    """A product one can subscribe to or buy."""

    id: str
    name: str
    price_basis: str  # gross: prices include VAT; net: they do not
    recurring: tuple[Recurring, ...]
    one_off: tuple[OneOff, ...]
    allowances: tuple[Allowance, ...]
    rates: tuple[Rate, ...]
    fair_use: tuple[FairUse, ...] = ()
    bindings: tuple[Binding, ...] = ()
    pools: tuple[Pool, ...] = ()
    frame: str | None = None  # whose terms hold for who has it
    top_ups: tuple[TopUp, ...] = ()


def components_behind(offerings: Iterable[Offering], component: str) -> tuple[str, ...]:
    """Name the components whose use makes a charge of a component: itself, and what it surcharges.

    Beyond fair use, and beyond a pool, other components are what was used.
    """
    behind = {component}
    for offering in offerings:
        for use in offering.fair_use:
            behind |= set(use.components) if use.surcharge == component else set()
        for pool in offering.pools:
            behind |= set(pool.components) if pool.overage == component else set()
    return tuple(sorted(behind))


@dataclass(frozen=True, slots=True)
class Tariff:
    """The content of one tariff file."""

    name: str
    version: int
    valid_from: date
    currency: str
    time_zone: str
    zones: tuple[Zone, ...]
    bands: tuple[Band, ...]
    components: tuple[Component, ...]
    offerings: tuple[Offering, ...]
    holidays: tuple[date, ...] = ()
    band_split: str = SPLIT_CARRY
    refunds: bool = False  # a negative quantity is a refund; else it has no price
    sells: str = "retail"  # to customers; or wholesale: what partners ask of us
    exchange: tuple[Exchange, ...] = ()
    carried: tuple[Carried, ...] = ()
    roaming_caps: tuple[RoamingCap, ...] = ()
    spend_limits: tuple[SpendLimit, ...] = ()
    binding_limits: tuple[BindingLimit, ...] = ()
    discounts: tuple[ConditionalDiscount, ...] = ()
    frames: tuple[Frame, ...] = ()
