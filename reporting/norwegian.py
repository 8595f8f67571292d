"""How figures, dates and numbers are written on Norwegian documents and screens.

Digits group by three with a no-break space, the decimal sign is a comma, the minus is U+2212.
Everything is made from integers; no float is formatted.
"""

from __future__ import annotations

import re
from datetime import date
from fractions import Fraction

from ledger.errors import Invalid
from ledger.money import MINOR_PER_UNIT, parse_amount

NBSP = "\u00a0"
MINUS = "\u2212"

# An amount in a sentence; no part of a version, a clock or a longer number.
_AMOUNT = re.compile(r"(?<![\w.,:/-])-?[0-9]{1,15}\.[0-9]{2}(?![\w:/-]|[.,][0-9])", re.ASCII)
_SECONDS_PER_MINUTE = 60
_SECONDS_PER_HOUR = 3600
_OCTET_SCALES = ((2**30, "GB"), (2**20, "MB"), (2**10, "kB"))
_COUNT_WORDS = {"message": "stk.", "piece": "stk.", "month": "md.", "day": "dager"}
MONTHS = (
    "januar", "februar", "mars", "april", "mai", "juni",
    "juli", "august", "september", "oktober", "november", "desember",
)  # fmt: skip


def kroner(minor: int) -> str:
    """Write øre as kroner with two decimals.

    >>> kroner(123450).replace(NBSP, " ")
    '1 234,50'
    """
    whole, rest = divmod(abs(minor), MINOR_PER_UNIT)
    return f"{MINUS if minor < 0 else ''}{whole_number(whole)},{rest:02d}"


def read_kroner(written: str) -> int:
    """Read kroner as Norwegians type them, in øre; blanks group, a comma or a point divides.

    Raises `Invalid` for anything else.

    >>> read_kroner("1 234,5"), read_kroner("−1.00")
    (123450, -100)
    """
    plain = "".join(written.split()).replace(MINUS, "-").replace(",", ".")
    try:
        return parse_amount(plain)
    except Invalid:
        raise Invalid(f"{written!r} is not an amount; write it as 1 234,50.") from None


def figures_in(sentence: str) -> str:
    """Write the amounts of a sentence, such as 1234.50, as Norwegians do; nothing else changes.

    >>> figures_in("1530 says -1234.50 on 2026-03-31; SAL/2026/1 has 0.00.").replace(NBSP, " ")
    '1530 says −1 234,50 on 2026-03-31; SAL/2026/1 has 0,00.'
    """
    return _AMOUNT.sub(lambda found: kroner(parse_amount(found[0])), sentence)


def whole_number(number: int) -> str:
    """Group the digits of a count by three.

    >>> whole_number(-1234567).replace(NBSP, " ")
    '−1 234 567'
    """
    return f"{number:,}".replace(",", NBSP).replace("-", MINUS)


def long_date(day: date) -> str:
    """Write a date as it stands on documents.

    >>> long_date(date(2026, 3, 31))
    '31.03.2026'
    """
    return day.strftime("%d.%m.%Y")


def month_name(day: date) -> str:
    """Name the month of a date.

    >>> month_name(date(2026, 3, 31))
    'mars 2026'
    """
    return f"{MONTHS[day.month - 1]} {day.year}"


def rate(rate_bp: int) -> str:
    """Write a rate held in hundredths of a per cent.

    >>> rate(2500).replace(NBSP, " "), rate(1111).replace(NBSP, " ")
    ('25 %', '11,11 %')
    """
    whole, rest = divmod(rate_bp, 100)
    decimals = f",{rest:02d}".rstrip("0").rstrip(",")
    return f"{whole}{decimals}{NBSP}%"


def quantity(amount: int, unit: str) -> str:
    """Write a quantity of seconds, octets, messages, months or pieces for a reader.

    >>> quantity(3725, "s").replace(NBSP, " "), quantity(5 * 2**30 // 4, "octet").replace(NBSP, " ")
    ('1 t 02 min 05 s', '1,25 GB')
    >>> quantity(5, "octet").replace(NBSP, " "), quantity(1024, "octet").replace(NBSP, " ")
    ('5 B', '1,00 kB')
    """
    if unit == "s":
        return _duration(amount)
    if unit == "octet":
        return _volume(amount)
    return f"{whole_number(amount)}{NBSP}{_COUNT_WORDS.get(unit, unit)}"


def phone_number(digits: str) -> str:
    """Group a Norwegian number as people read it; other numbers keep a plus sign.

    >>> phone_number("4790000001").replace(NBSP, " "), phone_number("46701740605")
    ('900 00 001', '+46701740605')
    """
    if digits.startswith("47") and len(digits) == 10:
        return _grouped(digits[2:], (3, 2, 3))
    return f"+{digits}" if digits.isdigit() else digits


def bank_account(digits: str) -> str:
    """Group an account number as banks do.

    >>> bank_account("12345678903").replace(NBSP, " ")
    '1234 56 78903'
    """
    return _grouped(digits, (4, 2, 5))


def organisation_number(digits: str) -> str:
    """Group an organisation number by three.

    >>> organisation_number("310000205").replace(NBSP, " ")
    '310 000 205'
    """
    return _grouped(digits, (3, 3, 3))


def _grouped(digits: str, sizes: tuple[int, ...]) -> str:
    if len(digits) != sum(sizes):
        return digits
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return NBSP.join(digits[end - size : end] for end, size in zip(ends, sizes, strict=True))


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, _SECONDS_PER_HOUR)
    minutes, rest = divmod(rest, _SECONDS_PER_MINUTE)
    if hours:
        return f"{whole_number(hours)}{NBSP}t{NBSP}{minutes:02d}{NBSP}min{NBSP}{rest:02d}{NBSP}s"
    return f"{minutes}{NBSP}min{NBSP}{rest:02d}{NBSP}s"


def _volume(octets: int) -> str:
    if 0 < octets < _OCTET_SCALES[-1][0]:
        return f"{octets}{NBSP}B"
    scale, name = next((pair for pair in _OCTET_SCALES if octets >= pair[0]), _OCTET_SCALES[-1])
    hundredths = int(Fraction(octets * 100, scale) + Fraction(1, 2))
    return f"{kroner(hundredths)}{NBSP}{name}"
