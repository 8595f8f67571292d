"""Exchange: amounts of another currency in the book's own, exactly, and the differences that come.

A rate is units of the book's currency for 10^8 units of the other, an integer: 11.5140 NOK for one
EUR is 1_151_400_000. Both currencies have two decimals here, so minor units convert alike.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from ledger.errors import Invalid
from ledger.journal import EntryDraft, Line
from ledger.money import largest_remainder

RATE_UNIT = 10**8


def parse_rate(text: str) -> int:
    """Read a rate of one unit, such as "11.5140", as an integer. Raises `Invalid`. [e-8]"""
    whole, _, part = text.strip().partition(".")
    digits = whole + part.ljust(8, "0")
    if not whole or not digits.isascii() or not digits.isdecimal() or len(part) > 8:
        raise Invalid(f"{text!r} is not a rate; write 11.5140, with at most eight decimals.")
    if not 0 < int(digits) < 10**15:
        raise Invalid(f"A rate of {text} cannot be; it is of one unit of the other currency.")
    return int(digits)


def format_rate(rate_e8: int) -> str:
    """Write a rate with four decimals, or more where it has them."""
    whole, part = divmod(rate_e8, RATE_UNIT)
    return f"{whole}.{f'{part:08d}'.rstrip('0').ljust(4, '0')}"


def convert(amount_minor: int, rate_e8: int) -> int:
    """Convert an amount at a rate, half away from zero. [minor units of the book's currency]"""
    product = abs(amount_minor) * rate_e8
    converted = (2 * product + RATE_UNIT) // (2 * RATE_UNIT)
    return converted if amount_minor >= 0 else -converted


def with_base_amounts(entry: EntryDraft, currency: str, rates: Mapping[str, int]) -> EntryDraft:
    """Give each line of another currency its amount in the book's own, where it has none.

    Debits and credits of a currency are converted as sums and shared out by largest remainder, so
    an entry that balances in the currency balances in the book's currency too.

    Parameters
    ----------
    currency : the book's own.
    rates : e-8 rates of the entry's day, by currency.

    Raises
    ------
    KeyError : a currency has no rate; the caller says which day it was wanted for.
    """
    sides: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for place, line in enumerate(entry.lines):
        if line.currency != currency and line.base_minor is None:
            sides[line.currency, line.amount_minor > 0].append(place)
    if not sides:
        return entry
    lines = list(entry.lines)
    for (other, _), places in sides.items():
        for place, base in zip(places, _shares(lines, places, rates[other]), strict=True):
            lines[place] = replace(lines[place], base_minor=base)
    return replace(entry, lines=tuple(lines))


def _shares(lines: list[Line], places: list[int], rate_e8: int) -> list[int]:
    amounts = [abs(lines[place].amount_minor) for place in places]
    sign = 1 if lines[places[0]].amount_minor > 0 else -1
    total = convert(sum(amounts), rate_e8)
    return [sign * int(share) for share in largest_remainder(total, amounts)]
