"""The tariff file "hovedbok-tariff/1": what a product manager writes, read into frozen values.

Every fault of a file is found in one reading and told with its key path and what is allowed there.
Unknown keys are refused: a misspelt `incremnt` must not become a default. The meaning of the keys
is in `docs/pricing.md`; `rating.tariff` compiles what is read here into arrays.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from rating import tariff_sections as sections
from rating.faults import Fault, did_you_mean, placed, read_fault
from rating.reading import MAX_TEXT, Reader
from rating.rounding import Mode
from rating.section_faults import wrong_sections
from rating.tariff_references import wrong_references
from rating.tariff_terms import (
    ACCOUNT,
    BAND_SPLITS,
    CURRENCIES,
    EVERY_DAY,
    FORMAT,
    HOLIDAY,
    MAX_ALLOWANCE,
    MAX_PER,
    MAX_PRICE_MICRO,
    MAX_ROLLOVER_MONTHS,
    OCCASIONS,
    SCOPES,
    SPLIT_CARRY,
    UNITS,
    USAGES,
    Allowance,
    Band,
    Component,
    Offering,
    OneOff,
    Rate,
    Recurring,
    Step,
    Tariff,
    TariffInvalid,
    Zone,
)
from rating.toml_lines import lines_of_keys

_DEEP_KEY = re.compile(r"^[ \t\[]*(?:[A-Za-z0-9_-]+[ \t]*\.[ \t]*){64}", re.MULTILINE)
_DIGITS = re.compile(r"[0-9_]{4300}")
_ZONE_LENGTH = 64  # of the name of a time zone
_AT_LINE = re.compile(r"at line (\d+)")


def read_tariff(source: bytes) -> Tariff:
    """Read a tariff file.

    Raises
    ------
    TariffInvalid : not UTF-8, not TOML, or against the format; `faults` lists line and key of each.
    """
    try:
        written = source.decode("utf-8-sig")  # Editors of Windows begin with a byte order mark.
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        sentence = f"the file is not UTF-8: byte {error.start} cannot be read"
        raise refusal([Fault("", sentence, line)]) from error
    if deep := _DEEP_KEY.search(written):
        # The time that the parser takes for one goes by the square of its parts.
        line = written.count("\n", 0, deep.start()) + 1
        raise refusal([Fault("", "a key has dots without end", line)])
    try:
        content = tomllib.loads(written)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        line = int(found[1]) if found else written.count("\n") + 1
        raise refusal([Fault("", f"the file is not TOML: {error}", line)]) from error
    except ValueError as error:
        sentence = "the file is not TOML: a number has more digits than anything here has"
        raise refusal([Fault("", sentence, _line_of_digits(written))]) from error
    except RecursionError:
        raise refusal(
            [Fault("", "the file is not TOML: brackets inside brackets without end")]
        ) from None
    if long := _too_long(content):
        lines = lines_of_keys(written)
        raise refusal([placed(fault, lines) for fault in long])
    reader = Reader(content)
    tariff = tariff_of(reader)
    contradictions = [*wrong_references(tariff), *wrong_sections(tariff)]
    faults = [*reader.faults, *_further(reader.faults, contradictions)]
    if faults:
        lines = lines_of_keys(written)
        raise refusal([placed(fault, lines) for fault in faults])
    return tariff


def _line_of_digits(written: str) -> int | None:
    """Find the first number that is too long to be read at all."""
    found = _DIGITS.search(written)
    return written.count("\n", 0, found.start()) + 1 if found else None


def _too_long(content: Mapping[str, Any]) -> list[Fault]:
    """Find texts and keys that nobody writes: they would be compared, and repeated, as they are."""
    found, waiting = [], [("", content)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str) and len(value) > MAX_TEXT:
            found.append(Fault(path, f"has {len(value)} characters; at most {MAX_TEXT} are read"))
        elif isinstance(value, int) and value.bit_length() > MAX_TEXT:
            found.append(Fault(path, "is a number of more digits than anything here has"))
        elif isinstance(value, list):
            tables = bool(value) and isinstance(value[0], dict)
            waiting += [
                (f"{path}[{place}]" if tables else path, part)
                for place, part in enumerate(value, 1)
            ]
        elif isinstance(value, dict):
            for key, part in value.items():
                where = f"{path}.{key}" if path else key
                if len(key) > MAX_TEXT:
                    sentence = f"a key has {len(key)} characters; at most {MAX_TEXT} are read"
                    found.append(Fault(path, sentence))
                else:
                    waiting.append((where, part))
    return found


def refusal(faults: Sequence[Fault]) -> TariffInvalid:
    """Word the faults of a file as one refusal; `faults` of it has them one by one."""
    ordered = sorted(faults, key=lambda fault: fault.line or 0)
    shown = "; ".join(str(fault) for fault in ordered[:5])
    more = f"; and {len(ordered) - 5} more" if len(ordered) > 5 else ""
    return TariffInvalid(
        f"{shown}{more}. Correct the file and load it again.",
        faults=[fault.facts() for fault in ordered],
    )


def _further(first: Sequence[Fault], found: Iterable[str]) -> list[Fault]:
    """Drop what only follows from a key that could not be read: it would be told twice."""
    told = {fault.key for fault in first}
    unnamed = {fault.key.partition("[")[0] for fault in first if fault.key.endswith(".id")}
    faults = [read_fault(sentence) for sentence in found]
    return [
        fault
        for fault in faults
        if fault.key not in told
        and not any(fault.sentence.startswith(f"there is no {what} ") for what in unnamed)
    ]


def tariff_of(reader: Reader) -> Tariff:
    """Read every key there is; the schema is made by asking the same questions."""
    reader.choice("format", (FORMAT,))
    tariff = Tariff(
        name=reader.name("name"),
        version=reader.integer("version", 1, 10**6),
        valid_from=reader.day("valid_from"),
        currency=reader.choice("currency", CURRENCIES),
        time_zone=_time_zone(reader),
        zones=tuple(_zone(table) for table in reader.tables("zone")),
        bands=tuple(_band(table) for table in reader.tables("band")),
        components=tuple(_component(table) for table in reader.tables("component")),
        offerings=tuple(_offering(table) for table in reader.tables("offering")),
        holidays=tuple(sorted(set(reader.days("holidays")))),
        band_split=reader.choice("band_split", BAND_SPLITS, SPLIT_CARRY),
        refunds=reader.choice("refunds", ("refused", "charged"), "refused") == "charged",
        sells=reader.choice("sells", ("retail", "wholesale"), "retail"),
        exchange=tuple(sections.exchange(table) for table in reader.tables("exchange")),
        carried=tuple(sections.carried(table) for table in reader.tables("carried")),
        roaming_caps=tuple(sections.roaming_cap(table) for table in reader.tables("roaming_cap")),
        spend_limits=tuple(sections.spend_limit(table) for table in reader.tables("spend_limit")),
        binding_limits=tuple(
            sections.binding_limit(table) for table in reader.tables("binding_limit")
        ),
        discounts=tuple(sections.discount(table) for table in reader.tables("discount")),
        frames=tuple(sections.frame(table) for table in reader.tables("frame")),
    )
    reader.refuse_unknown()
    return tariff


def _time_zone(reader: Reader) -> str:
    zone: str = reader.text("time_zone")
    if zone == "?":  # Said already: there is none, or it is no text.
        return zone
    try:
        # A name of many parts is looked for folder by folder, without end.
        ZoneInfo(zone if len(zone) <= _ZONE_LENGTH else "")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = did_you_mean(zone, available_timezones())
        reader.fault("time_zone", f"{zone!r} is not a time zone such as Europe/Oslo{near}")
    return zone


def _zone(table: Reader) -> Zone:
    zone = Zone(
        id=table.name("id"),
        prefixes=table.texts("prefixes", r"\d{0,15}", "prefixes of up to 15 digits", ()),
        rating_groups=table.integers("rating_groups", 1, 2**31 - 1, ()),
    )
    table.at_least_one(
        "prefixes", "rating_groups", "needs prefixes or rating_groups, else nothing reaches it"
    )
    table.refuse_unknown()
    return zone


def _band(table: Reader) -> Band:
    band = Band(
        id=table.name("id"),
        from_second=table.time_of_day("from"),
        weekdays=tuple(sorted(set(table.integers("weekdays", 1, HOLIDAY, EVERY_DAY)))),
        priority=table.integer("priority", -1000, 1000, 0),
        months=tuple(sorted(set(table.integers("months", 1, 12, ())))),
        month_days=tuple(sorted(set(table.integers("month_days", 1, 31, ())))),
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
        partner=table.text("partner", None),
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
        fair_use=tuple(sections.fair_use(part) for part in table.tables("fair_use")),
        bindings=tuple(sections.binding(part) for part in table.tables("binding")),
        pools=tuple(sections.pool(part) for part in table.tables("pool")),
        frame=table.name("frame", None),
        top_ups=tuple(sections.top_up(part) for part in table.tables("top_up")),
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
    amount = table.price("amount", MAX_PRICE_MICRO, None)
    quantity = table.integer("quantity", 0, MAX_ALLOWANCE, None)
    table.exactly_one(
        "quantity", "amount", "needs a quantity, or in its place an amount of money; not both"
    )
    allowance = Allowance(
        id=table.name("id"),
        components=table.one_or_more("component"),
        quantity=(quantity if amount is None else amount) or 0,
        prorate=table.flag("prorate", False),
        money=amount is not None,
        increment=table.integer("increment", 0, MAX_ALLOWANCE, 0),
        priority=table.integer("priority", -1000, 1000, 0),
        shared=table.flag("shared", False),
        member_cap=table.integer("member_cap", 0, MAX_ALLOWANCE, None),
        valid_from=table.optional_day("valid_from"),
        valid_to=table.optional_day("valid_to"),
        rollover_micro=table.price("rollover", sections.HUNDRED_PERCENT, 0),
        rollover_most=table.integer("rollover_most", 0, MAX_ALLOWANCE, None),
        rollover_months=table.integer("rollover_months", 1, MAX_ROLLOVER_MONTHS, 1),
        rollover_first=table.flag("rollover_first", False),
        scope=table.choice("scope", SCOPES, ACCOUNT),
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
        steps=tuple(_step(part) for part in table.tables("step")),
        whole_step=table.choice("step_mode", ("part", "whole"), "part") == "whole",
        until=table.integer("until", 0, MAX_ALLOWANCE, 0),
        max_charge_micro=table.price("max_charge", MAX_PRICE_MICRO, None),
        rounding=table.choice("rounding", tuple(mode.value for mode in Mode), Mode.HALF_UP),
        round_to_micro=table.price("round_to", MAX_PRICE_MICRO, 1) or 1,
    )
    table.refuse_unknown()
    return rate


def _step(table: Reader) -> Step:
    step = Step(
        start=table.integer("from", 1, MAX_ALLOWANCE),
        price_micro=table.price("price", MAX_PRICE_MICRO),
        per=table.integer("per", 1, MAX_PER, 1),
        increment=table.integer("increment", 0, MAX_PER, 1),
    )
    table.refuse_unknown()
    return step
