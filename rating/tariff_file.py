"""The tariff file "hovedbok-tariff/1": what a product manager writes, read into frozen values.

Every fault of a file is found in one reading and told with its key path and what is allowed there.
Unknown keys are refused: a misspelt `incremnt` must not become a default. The meaning of the keys
is in `docs/pricing.md`; `rating.tariff` compiles what is read here into arrays.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ledger.errors import Invalid
from ledger.money import MICRO_PER_UNIT
from rating.reading import Reader

FORMAT = "hovedbok-tariff/1"
USAGES = ("voice", "sms", "data")
UNITS = ("s", "message", "octet", "month", "piece")
UNIT_OF_USAGE = {"voice": "s", "sms": "message", "data": "octet"}
OCCASIONS = ("add", "change", "addon", "cease")

MAX_PRICE_MICRO = 10**9 * MICRO_PER_UNIT
MAX_PER = 2**40
MAX_ALLOWANCE = 10**15
EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)


class TariffInvalid(Invalid):
    """The tariff file breaks its format; every fault is listed with its key path."""

    title = "Tariff file is invalid"


@dataclass(frozen=True, slots=True)
class Zone:
    """Where to: called numbers by longest prefix, or rating groups of data."""

    id: str
    prefixes: tuple[str, ...]
    rating_groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """When: from a time of day on some weekdays, until another band takes over."""

    id: str
    from_second: int  # of the local day
    weekdays: tuple[int, ...]  # ISO, Monday is 1
    priority: int


@dataclass(frozen=True, slots=True)
class Component:
    """What an invoice line and a revenue account are about."""

    id: str
    text: str
    revenue: str  # the selector of the posting rule
    vat: str
    unit: str


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
    quantity: int
    prorate: bool


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


def read_tariff(source: bytes) -> Tariff:
    """Read a tariff file.

    Raises
    ------
    TariffInvalid : not UTF-8, not TOML, or against the format; `faults` lists every key path.
    """
    try:
        content = tomllib.loads(source.decode())
    except UnicodeDecodeError as error:
        raise TariffInvalid(f"The file is not UTF-8: byte {error.start} cannot be read.") from error
    except tomllib.TOMLDecodeError as error:
        raise TariffInvalid(f"The file is not TOML: {error}.") from error
    reader = Reader(content)
    tariff = _tariff(reader)
    faults = reader.faults or _references(tariff)
    if faults:
        shown = "; ".join(faults[:5])
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise TariffInvalid(f"{shown}{more}. Correct the file and load it again.", faults=faults)
    return tariff


def _tariff(reader: Reader) -> Tariff:
    reader.choice("format", (FORMAT,))
    tariff = Tariff(
        name=reader.name("name"),
        version=reader.integer("version", 1, 10**6),
        valid_from=reader.day("valid_from"),
        currency=reader.choice("currency", ("NOK",)),
        time_zone=_time_zone(reader),
        zones=tuple(_zone(table) for table in reader.tables("zone")),
        bands=tuple(_band(table) for table in reader.tables("band")),
        components=tuple(_component(table) for table in reader.tables("component")),
        offerings=tuple(_offering(table) for table in reader.tables("offering")),
    )
    reader.refuse_unknown()
    return tariff


def _time_zone(reader: Reader) -> str:
    zone: str = reader.text("time_zone")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        reader.fault("time_zone", f"{zone!r} is not a time zone such as Europe/Oslo")
    return zone


def _zone(table: Reader) -> Zone:
    zone = Zone(
        id=table.name("id"),
        prefixes=table.texts("prefixes", r"\d{1,15}", "prefixes of 1 to 15 digits", ()),
        rating_groups=table.integers("rating_groups", 1, 2**31 - 1, ()),
    )
    if not zone.prefixes and not zone.rating_groups:
        table.fault("", "needs prefixes or rating_groups, else nothing reaches it")
    table.refuse_unknown()
    return zone


def _band(table: Reader) -> Band:
    band = Band(
        id=table.name("id"),
        from_second=table.time_of_day("from"),
        weekdays=tuple(sorted(set(table.integers("weekdays", 1, 7, EVERY_DAY)))),
        priority=table.integer("priority", -1000, 1000, 0),
    )
    if not band.weekdays:
        table.fault("weekdays", "is empty; leave it out for every day")
    table.refuse_unknown()
    return band


def _component(table: Reader) -> Component:
    component = Component(
        id=table.name("id"),
        text=table.text("text"),
        revenue=table.name("revenue"),
        vat=table.name("vat"),
        unit=table.choice("unit", UNITS),
    )
    table.refuse_unknown()
    return component


def _offering(table: Reader) -> Offering:
    offering = Offering(
        id=table.name("id"),
        name=table.text("name"),
        price_basis=table.choice("price_basis", ("gross", "net")),
        recurring=tuple(_recurring(part) for part in table.tables("recurring")),
        one_off=tuple(_one_off(part) for part in table.tables("one_off")),
        allowances=tuple(_allowance(part) for part in table.tables("allowance")),
        rates=tuple(_rate(part) for part in table.tables("rate")),
    )
    table.refuse_unknown()
    return offering


def _recurring(table: Reader) -> Recurring:
    recurring = Recurring(
        component=table.name("component"),
        price_micro=table.price("price", MAX_PRICE_MICRO),
        proration=table.choice("proration", ("days", "none"), "days"),
    )
    table.refuse_unknown()
    return recurring


def _one_off(table: Reader) -> OneOff:
    one_off = OneOff(
        on=table.choice("on", OCCASIONS),
        component=table.name("component"),
        price_micro=table.price("price", MAX_PRICE_MICRO),
    )
    table.refuse_unknown()
    return one_off


def _allowance(table: Reader) -> Allowance:
    allowance = Allowance(
        id=table.name("id"),
        components=table.one_or_more("component"),
        quantity=table.integer("quantity", 0, MAX_ALLOWANCE),
        prorate=table.flag("prorate", False),
    )
    table.refuse_unknown()
    return allowance


def _rate(table: Reader) -> Rate:
    rate = Rate(
        usage=table.choice("usage", USAGES),
        zone=table.name("zone"),
        band=table.name("band", None),
        component=table.name("component"),
        setup_micro=table.price("setup_fee", MAX_PRICE_MICRO, 0),
        price_micro=table.price("price", MAX_PRICE_MICRO),
        per=table.integer("per", 1, MAX_PER, 1),
        increment=table.integer("increment", 0, MAX_PER, 1),
        minimum_micro=table.price("minimum", MAX_PRICE_MICRO, 0),
    )
    table.refuse_unknown()
    return rate


def _references(tariff: Tariff) -> list[str]:
    """Find names that point nowhere, and things said twice."""
    faults = [
        *_doubles("zone", (zone.id for zone in tariff.zones)),
        *_doubles("component", (component.id for component in tariff.components)),
        *_doubles("offering", (offering.id for offering in tariff.offerings)),
        *_doubles("prefix", (prefix for zone in tariff.zones for prefix in zone.prefixes)),
        *_doubles("rating group", (str(g) for zone in tariff.zones for g in zone.rating_groups)),
        *_doubles("allowance", (a.id for offer in tariff.offerings for a in offer.allowances)),
        *_doubles(
            "band start",
            (
                f"{band.from_second // 3600:02}:{band.from_second // 60 % 60:02}"
                f" on weekday {day} at priority {band.priority}"
                for band in tariff.bands
                for day in band.weekdays
            ),
        ),
    ]
    for number, offering in enumerate(tariff.offerings, 1):
        faults += _offering_references(f"offering[{number}]", offering, tariff)
    return faults


def _offering_references(path: str, offering: Offering, tariff: Tariff) -> list[str]:
    units = {component.id: component.unit for component in tariff.components}
    zones = {zone.id for zone in tariff.zones}
    bands = {band.id for band in tariff.bands}
    faults = []
    named = [
        *((f"recurring[{n}]", part.component) for n, part in enumerate(offering.recurring, 1)),
        *((f"one_off[{n}]", part.component) for n, part in enumerate(offering.one_off, 1)),
        *((f"rate[{n}]", part.component) for n, part in enumerate(offering.rates, 1)),
        *(
            (f"allowance[{n}]", component)
            for n, part in enumerate(offering.allowances, 1)
            for component in part.components
        ),
    ]
    for where, component in named:
        if component not in units:
            faults.append(f"{path}.{where}.component: there is no component {component!r}")
    seen: dict[tuple[str, str], tuple[str, set[str | None]]] = {}
    for number, rate in enumerate(offering.rates, 1):
        where = f"{path}.rate[{number}]"
        if rate.zone not in zones:
            faults.append(f"{where}.zone: there is no zone {rate.zone!r}")
        if rate.band is not None and rate.band not in bands:
            faults.append(f"{where}.band: there is no band {rate.band!r}")
        unit = UNIT_OF_USAGE[rate.usage]
        if units.get(rate.component, unit) != unit:
            faults.append(f"{where}.component: {rate.usage} needs a component of unit {unit!r}")
        component, rows = seen.setdefault((rate.usage, rate.zone), (rate.component, set()))
        if rate.band in rows:
            band = "every band" if rate.band is None else f"band {rate.band}"
            faults.append(f"{where}: {rate.usage} to {rate.zone} in {band} is priced twice")
        if component != rate.component:
            faults.append(
                f"{where}.component: {rate.usage} to {rate.zone} is {component!r} in another row;"
                " one event has one component"
            )
        rows.add(rate.band)
    return faults


def _doubles(what: str, names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for name in names:
        if name in seen:
            twice[name] = None
        seen.add(name)
    return [f"{what} {name} is defined twice" for name in twice]
