"""Why an event costs what it costs, as sentences made from the codes that rating stored.

The parts are computed from the book with Python's integers, apart from the columns that priced the
event, and must sum to the amount that was stored: an explanation that does not is refused.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ledger.errors import DoesNotTie
from ledger.money import MICRO_PER_UNIT, largest_remainder
from rating.allowance_terms import BOUGHT, OWN
from rating.carried import Carried
from rating.carried_usage import brings_price, explain_carried, other_basis
from rating.clock import EARLIEST, LATEST
from rating.phrases import PHRASES, Language
from rating.pieces import Piece, Session, pieces
from rating.pipeline import Rated
from rating.pricing import exact_amount, price_exactly, timelines
from rating.tariff import TariffBook
from rating.tariff_terms import UNIT_OF_USAGE
from rating.usage import CONTENT, USAGE_NAMES, VOICE, Reason, UsageBatch
from rating.zones import decode_number, longest_prefix

_PERCENT_MICRO = 10_000  # millionths of a per cent in a basis point
_KINDS = {**USAGE_NAMES, CONTENT: "content"}


@dataclass(frozen=True, slots=True)
class Part:
    """One summand of an amount. [millionths]"""

    text: str
    amount_micro: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """An event in words; the parts sum to the amount exactly."""

    amount_micro: int
    parts: tuple[Part, ...]
    sentences: tuple[str, ...]


def explain_event(
    batch: UsageBatch, rated: Rated, book: TariffBook, row: int, language: Language = "nb"
) -> Explanation:
    """Explain one event of a rated batch.

    Raises
    ------
    DoesNotTie : the parts do not sum to the stored amount; the book is not the one that rated it.
    """
    say = PHRASES[language]
    opening = _opening(batch, rated, book, row, language)
    version = say["version"].format(label=book.label, day=book.tariff.valid_from)
    reason = Reason(int(rated.reason[row]))
    if reason is not Reason.OK:
        return Explanation(0, (), (opening, version, say["suspended"].format(why=say[reason.name])))
    if brings_price(batch)[row]:
        return _explain_carried(batch, rated, book, row, language, (opening, version))
    sentences = [opening, version]
    free, amount = int(rated.free_quantity[row]), int(rated.amount_micro[row])
    payable = abs(int(batch.quantity[row]) - free)
    if free:
        sentences.append(_coverage(batch, rated, book, row, language))
    parts = _parts(batch, book, row, payable, language) if payable else ()
    if batch.quantity[row] < 0:
        sentences.append(say["refund"])
        parts = tuple(Part(part.text, -part.amount_micro) for part in parts)
    if not payable and not free:
        sentences.append(say["nothing_used"])
    if sum(part.amount_micro for part in parts) != amount:
        raise _differs(batch, book, row, amount, parts)
    sentences += [f"{part.text}: {kroner(part.amount_micro, language)}." for part in parts]
    sentences.append(_total(batch, book, row, amount, language))
    return Explanation(amount, parts, tuple(sentences))


def _explain_carried(
    batch: UsageBatch, rated: Rated, book: TariffBook, row: int, language: Language,
    begun: tuple[str, ...],
) -> Explanation:  # fmt: skip
    """Explain an event that brought its price: that, at its rate, and what is added."""
    say, amount = PHRASES[language], int(rated.amount_micro[row])
    one = batch.take([row])
    events, priced, codes = explain_carried(one, book)
    price, currency = int(events.price_micro[0]), book.currencies[int(events.currency[0])]
    named = say["brought"].format(price=kroner(price, language), currency=currency)
    if currency != book.tariff.currency:
        rate = int(book.exchange[currency].at(events.day)[0])
        named += say["at_rate"].format(rate=kroner(rate, language))
    if other_basis(one, book)[0] and one.vat_rate_bp is not None:
        percent = kroner(int(one.vat_rate_bp[0]) * _PERCENT_MICRO, language)
        inside = one.with_vat is not None and one.with_vat[0]
        named += say["net_of_vat" if inside else "with_vat"].format(percent=percent)
    markup = _markup(book.tariff.carried[int(priced.terms[0])], language)
    parts = (
        Part(named, int(codes.price_micro[0])),
        *([Part(markup, int(codes.markup_micro[0]))] if codes.markup_micro[0] else []),
        *([Part(say["once_rounded"], int(codes.rounding_micro[0]))] if codes.rounding_micro[0]
          else []),
    )  # fmt: skip
    if sum(part.amount_micro for part in parts) != amount:
        raise _differs(batch, book, row, amount, parts)
    sentences = [f"{part.text}: {kroner(part.amount_micro, language)}." for part in parts]
    if price < 0:
        sentences.insert(0, say["carried_refund"])
    sentences.append(_total(batch, book, row, amount, language))
    return Explanation(amount, parts, (*begun, *sentences))


def _total(batch: UsageBatch, book: TariffBook, row: int, amount: int, language: Language) -> str:
    say, currency = PHRASES[language], book.tariff.currency
    basis = book.tariff.offerings[int(batch.offering[row])].price_basis
    return say["sum"].format(
        amount=kroner(amount, language), currency=say.get(currency, currency), basis=say[basis]
    )


def _markup(terms: Carried, language: Language) -> str:
    """Name what is added, and its limits."""
    say = PHRASES[language]
    added = [f"{kroner(terms.percent_micro, language)} %"] if terms.percent_micro else []
    added += [kroner(terms.fixed_micro, language)] if terms.fixed_micro else []
    limits = ""
    if terms.minimum_micro:
        limits += say["at_least"].format(amount=kroner(terms.minimum_micro, language))
    if terms.maximum_micro is not None:
        limits += say["at_most"].format(amount=kroner(terms.maximum_micro, language))
    return say["markup"].format(added=" + ".join(added) or "0", limits=limits)


def _differs(
    batch: UsageBatch, book: TariffBook, row: int, amount: int, parts: tuple[Part, ...]
) -> DoesNotTie:
    return DoesNotTie(
        f"Event {int(batch.event_key[row])} was rated at {amount} millionths, its explanation "
        f"from book {book.label} sums to {sum(part.amount_micro for part in parts)}."
    )


def kroner(micro: int, language: Language = "nb") -> str:
    """Write millionths as kroner with at least two and at most six decimals.

    >>> kroner(1_631_667), kroner(690_000, "en")
    ('1,631667', '0.69')
    """
    whole, rest = divmod(abs(micro), MICRO_PER_UNIT)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    point = "," if language == "nb" else "."
    return f"{'-' if micro < 0 else ''}{whole}{point}{decimals}"


def _opening(
    batch: UsageBatch, rated: Rated, book: TariffBook, row: int, language: Language
) -> str:
    say = PHRASES[language]
    kind = _KINDS.get(int(batch.usage_type[row]), "usage")
    zone = int(rated.zone[row])
    target = ""
    if zone >= 0 and kind == "data":
        target = say["group"].format(group=int(batch.rating_group[row]), zone=book.zones[zone])
    elif kind != "data":
        number = decode_number(int(batch.called[row]))
        prefix = longest_prefix(book.tariff.zones[zone].prefixes, number) if zone >= 0 else None
        target = say["number"].format(number=number or "?") if number or kind != "content" else ""
        if prefix is not None:
            target += say["prefix"].format(zone=book.zones[zone], prefix=prefix)
    if batch.service is not None and batch.service[row] >= 0:
        target += say["service"].format(service=book.services[int(batch.service[row])])
    offering = int(batch.offering[row])
    known = 0 <= offering < len(book.offerings)
    return say["opening"].format(
        kind=say[kind],
        target=target,
        at=_wall_clock(int(batch.started_at[row]), book.tariff.time_zone),
        quantity=_amount_used(int(batch.quantity[row]), kind),
        offering=book.tariff.offerings[offering].name if known else "?",
    )


def _wall_clock(instant: int, time_zone: str) -> str:
    if not EARLIEST <= instant < LATEST:
        return f"{instant} s"  # since 1970, as it came: no calendar holds it
    local = datetime.fromtimestamp(instant, UTC).astimezone(ZoneInfo(time_zone))
    return local.strftime("%Y-%m-%d %H:%M:%S")


def _coverage(
    batch: UsageBatch, rated: Rated, book: TariffBook, row: int, language: Language
) -> str:
    """Say what is included, and in what; several allowances each with its part."""
    kind, free = USAGE_NAMES[int(batch.usage_type[row])], int(rated.free_quantity[row])
    layers = book.cells.allowances[_cell(batch, book, row)].tolist()
    drawn = rated.drawn[row].tolist()
    parts = [
        (_allowance(book, n, language), part) for n, part in zip(layers, drawn, strict=True) if part
    ]
    named = ", ".join(
        name if len(parts) == 1 else f"{name} ({_amount_used(part, kind)})" for name, part in parts
    )
    phrase = "all_free" if free == int(batch.quantity[row]) else "part_free"
    return PHRASES[language][phrase].format(free=_amount_used(free, kind), allowance=named)


def _allowance(book: TariffBook, index: int, language: Language) -> str:
    """Name an allowance, and say of what is there beside it where it comes from."""
    say, age = PHRASES[language], int(book.included.age[index])
    name = book.allowances[int(book.included.of[index])]
    if age == OWN:
        return name
    if age == BOUGHT:
        return say["bought"].format(allowance=name)
    return say["rolled" if age == 1 else "rolled_long"].format(allowance=name, age=age)


def _parts(
    batch: UsageBatch, book: TariffBook, row: int, payable: int, language: Language
) -> tuple[Part, ...]:
    """List set-up fee, pieces, rounding, and what minimum and most change."""
    say = PHRASES[language]
    start, voice = int(batch.started_at[row]), int(batch.usage_type[row]) == VOICE
    lines = timelines(book, start, start + (payable if voice else 0))
    elapsed = 0 if batch.elapsed_before is None else int(batch.elapsed_before[row])
    session = Session(_cell(batch, book, row), start, payable, voice, elapsed)
    cut = list(pieces(book, lines, session))
    first = book.rate_of_row(cut[0].row)
    continued = batch.continuation is not None and bool(batch.continuation[row])
    setup, minimum = (0, 0) if continued else (first.setup_micro, first.minimum_micro)
    parts = [Part(say["setup"], setup)] if setup else []
    if continued:
        parts.append(Part(say["continued"], 0))
    weights = [part.billed * int(book.steps.prices[part.row, part.step]) for part in cut]
    numerator, denominator = exact_amount(book, cut)
    used = (2 * numerator + denominator) // (2 * denominator)
    shares = largest_remainder(used, weights) if any(weights) else [0] * len(cut)
    for part, share in zip(cut, shares, strict=True):
        parts.append(Part(_portion(book, part, language), share))
    amount = price_exactly(book, cut, continued=continued)
    left = amount - sum(part.amount_micro for part in parts)
    if left and amount - left < minimum:
        name = say["minimum"].format(amount=kroner(minimum, language))
    elif left and first.max_charge_micro is not None and amount - left > first.max_charge_micro:
        name = say["most"].format(amount=kroner(first.max_charge_micro, language))
    else:
        name = say["rounding"].format(unit=kroner(first.round_to_micro, language))
    return (*parts, Part(name, left)) if left else tuple(parts)


def _portion(book: TariffBook, part: Piece, language: Language) -> str:
    say = PHRASES[language]
    rate = book.rate_of_row(part.row)
    unit = say[UNIT_OF_USAGE[rate.usage]]
    # The step before the first of `rate.steps` is the price of the rate itself.
    step = rate.steps[part.step - 1] if part.step else rate
    since = book.steps.starts[part.row, part.step]
    return say["portion"].format(
        used=_amount_used(part.used, rate.usage),
        band=say["band"].format(band=rate.band) if rate.band else "",
        step=say["step"].format(since=_amount_used(int(since), rate.usage)) if since else "",
        billed=f"{part.billed} {unit}",
        price=kroner(step.price_micro, language),
        per=f"{step.per} {unit}" if step.per != 1 else unit,
    )


def _cell(batch: UsageBatch, book: TariffBook, row: int) -> int:
    """Find the cell of prices of an event again, from its columns, without the kernel."""
    usage = int(batch.usage_type[row])
    if USAGE_NAMES[usage] == "data":
        group = int(batch.rating_group[row])
        zone = next(n for n, z in enumerate(book.tariff.zones) if group in z.rating_groups)
    else:
        number = decode_number(int(batch.called[row]))
        prefix = longest_prefix((p for z in book.tariff.zones for p in z.prefixes), number)
        zone = next(n for n, z in enumerate(book.tariff.zones) if prefix in z.prefixes)
    return int(book.cube[int(batch.offering[row]), usage - 1, zone])


def _amount_used(quantity: int, kind: str) -> str:
    """Write a quantity as people read it, exactly: 4 min 05 s, 3 SMS, 1048576 B."""
    if quantity < 0:
        return f"-{_amount_used(-quantity, kind)}"
    if kind == "voice" and quantity >= 60:
        hours, rest = divmod(quantity, 3600)
        minutes, seconds = divmod(rest, 60)
        return (
            f"{hours} h {minutes:02} min {seconds:02} s"
            if hours
            else (f"{minutes} min {seconds:02} s")
        )
    return f"{quantity} {({'voice': 's', 'sms': 'SMS', 'data': 'B'}).get(kind, '')}".strip()
