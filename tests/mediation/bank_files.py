"""A writer of OCR giro files for the tests: written from the specification, not from the reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from mediation.formats.ocr_giro import Assignment, Payment, Transmission

APRIL = date(2026, 4, 20)
ACCOUNT = "15030000002"
KID = "300000010000013"

PAYMENT = Payment(
    line_no=0, kind=10, tx_no=1, settled=APRIL, centre="01", day_code="20", part=1, serial=1,
    amount_minor=125_00, kid=KID, card_issuer="00", form_no="9713000001", reference="000000001",
    bank_date=APRIL, debit_account="86010000001",
)  # fmt: skip


def transmission(*parts: list[Payment], number: int = 1) -> Transmission:
    """Put payments into assignments 1, 2 and so on of a transmission; they are numbered anew."""
    assignments = tuple(
        Assignment(0, "001234567", place, ACCOUNT, _numbered(part), None)
        for place, part in enumerate(parts, 1)
    )
    return Transmission(number, "00008080", "00123456", assignments, None, 0)


def lines_of(sent: Transmission) -> list[str]:
    """Write the records of a transmission with its control totals."""
    lines = [f"NY000010{sent.sender}{sent.number:07d}{sent.recipient}".ljust(80, "0")]
    for assignment in sent.assignments:
        part = [
            f"NY090020{assignment.agreement}{assignment.number:07d}{assignment.account}"
            .ljust(80, "0")
        ]  # fmt: skip
        for payment in assignment.payments:
            part += _items(payment)
        days = [payment.settled for payment in assignment.payments]
        span = f"{_day(min(days))}{_day(max(days))}" if days else "0" * 12
        part.append(
            (
                f"NY090088{len(assignment.payments):08d}{len(part) + 1:08d}"
                f"{abs(assignment.amount_minor):017d}{_day(assignment.settled)}{span}"
            ).ljust(80, "0")
        )
        lines += part
    lines.append(
        (
            f"NY000089{sent.payment_count:08d}{len(lines) + 1:08d}"
            f"{abs(sent.amount_minor):017d}{_day(sent.settled)}"
        ).ljust(80, "0")
    )
    return lines


def octets_of(lines: list[str], end: str = "\n") -> bytes:
    """Join lines into the octets of a file."""
    return "".join(f"{line}{end}" for line in lines).encode("iso-8859-1")


def written(*parts: list[Payment], number: int = 1) -> bytes:
    """Write a file of so many assignments."""
    return octets_of(lines_of(transmission(*parts, number=number)))


def placed(sent: Transmission) -> Transmission:
    """Give every element the line on which the writer puts it."""
    line_no, assignments = 2, []
    for assignment in sent.assignments:
        start, payments = line_no, []
        line_no += 1
        for payment in assignment.payments:
            payments.append(replace(payment, line_no=line_no))
            line_no += 3 if payment.text else 2
        line_no += 1
        assignments.append(replace(assignment, line_no=start, payments=tuple(payments)))
    return replace(sent, assignments=tuple(assignments), record_count=line_no)


def _numbered(payments: list[Payment]) -> tuple[Payment, ...]:
    return tuple(
        replace(payment, tx_no=place, serial=place) for place, payment in enumerate(payments, 1)
    )


def _items(payment: Payment) -> Iterator[str]:
    sign = "-" if payment.amount_minor < 0 else "0"
    head = f"NY09{payment.kind:02d}"
    yield (
        f"{head}30{payment.tx_no:07d}{_day(payment.settled)}{payment.centre}{payment.day_code}"
        f"{payment.part}{payment.serial:05d}{sign}{abs(payment.amount_minor):017d}"
        f"{payment.kid or '':>25}{payment.card_issuer}0000"
    )
    yield (
        f"{head}31{payment.tx_no:07d}{payment.form_no}{payment.reference or '':<9}{'0' * 7}"
        f"{_day(payment.bank_date)}{payment.debit_account or '':<11}"
    ).ljust(80, "0")
    if payment.text:
        yield f"{head}32{payment.tx_no:07d}{payment.text:<40}".ljust(80, "0")


def _day(day: date | None) -> str:
    return f"{day:%d%m%y}" if day else "000000"
