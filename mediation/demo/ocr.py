"""OCR giro file of incoming payments: 80-character records, one assignment per settlement date.

Source: OCR giro, system specification (Mastercard Payment Services). Positions there are 1-based.
"""

from collections.abc import Iterator
from datetime import date
from itertools import groupby

from mediation.demo.numbering import valid_numbers
from mediation.demo.payments import Payment

AGREEMENT = "001234567"
CUSTOMER_UNIT = "00123456"
TRANSMISSION = 1
TYPES = ("10", "10", "11", "13")  # giro, giro, standing order, business terminal giro
_WIDTH = 80
_BASE_ACCOUNT = 1_503_000_000  # ten digits; the eleventh checks them
_DEBIT_ACCOUNT = 8_601_000_000


def write_ocr(payments: list[Payment]) -> bytes:
    """Write payments, ordered by settlement date, with the control totals a bank would give."""
    account = valid_numbers(_BASE_ACCOUNT, 1)[0]
    debits = valid_numbers(_DEBIT_ACCOUNT, 50)
    lines = [_padded(f"NY00001000008080{TRANSMISSION:07d}{CUSTOMER_UNIT}")]
    days = groupby(payments, key=lambda payment: payment.settled)
    for number, (settled, group) in enumerate(days, start=1):
        lines += _assignment(number, settled, list(group), account, debits)
    total = sum(payment.amount_minor for payment in payments)
    first = min(payment.settled for payment in payments)
    lines.append(
        _padded(f"NY000089{len(payments):08d}{len(lines) + 1:08d}{total:017d}{_date(first)}")
    )
    return "".join(f"{line}\n" for line in lines).encode("iso-8859-1")


def _assignment(
    number: int, settled: date, payments: list[Payment], account: str, debits: list[str]
) -> list[str]:
    lines = [_padded(f"NY090020{AGREEMENT}{number:07d}{account}")]
    for place, payment in enumerate(payments, start=1):
        lines += _items(place, payment, debits[place % len(debits)])
    total = sum(payment.amount_minor for payment in payments)
    day = _date(settled)
    lines.append(
        _padded(f"NY090088{len(payments):08d}{len(lines) + 1:08d}{total:017d}{day}{day}{day}")
    )
    return lines


def _items(place: int, payment: Payment, debit: str) -> Iterator[str]:
    """Write amount item 1 and 2 of one payment."""
    kind = TYPES[place % len(TYPES)]
    day = _date(payment.settled)
    yield (
        f"NY09{kind}30{place:07d}{day}01{payment.settled.day:02d}1{place % 100_000:05d}0"
        f"{payment.amount_minor:017d}{payment.kid:>25}000000"
    )
    form = payment.settled.toordinal() % 10_000 * 1_000_000 + place
    yield _padded(f"NY09{kind}31{place:07d}{form:010d}{place:09d}{'0' * 7}{day}{debit}")


def _date(day: date) -> str:
    return f"{day:%d%m%y}"


def _padded(text: str) -> str:
    return text.ljust(_WIDTH, "0")
