"""OCR giro: what customers paid, as the bank tells it, with control totals at two levels.

A transmission holds assignments, an assignment payments. Counts and sums of both must tie, or the
whole file is refused. A KID that fails its check digit is no fault of the file: the money is there.

Source: OCR giro, system specification (Mastercard Payment Services).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ledger.journal import MAX_AMOUNT
from mediation.formats.ocr_records import (
    ASSIGNMENT_END,
    ASSIGNMENT_START,
    ITEM_1,
    ITEM_2,
    ITEM_3,
    MARK,
    TRANSMISSION_END,
    TRANSMISSION_START,
    Layout,
    Record,
    broken,
    read_records,
)
from mediation.formats.problems import BrokenFile

REVERSALS = frozenset({18, 20})
WITH_TEXT = frozenset({20, 21})
_SIGNATURE = b"NY000010"


class ControlTotalsDiffer(BrokenFile):
    """The counts or sums that the bank declares are not those of the file's payments."""

    title = "Control totals of the bank file differ"


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment. `amount_minor` has the sign it has in the bank's sums. [øre]

    A credit note is negative; a reversal (types 18 and 20) is added, as the specification says.
    """

    line_no: int  # of its amount item 1
    kind: int  # type 10 to 21
    tx_no: int
    settled: date
    centre: str
    day_code: str
    part: int
    serial: int  # ties payments to one lump sum on the account's statement
    amount_minor: int
    kid: str | None  # as written, without the blanks around it
    card_issuer: str
    form_no: str
    reference: str | None  # the agreement or the bank's archive
    bank_date: date | None
    debit_account: str | None
    text: str | None = None

    @property
    def is_reversal(self) -> bool:
        """Tell whether a purchase is reversed."""
        return self.kind in REVERSALS


@dataclass(frozen=True, slots=True)
class Assignment:
    """Payments to one account under one agreement. Two of them may carry the same number."""

    line_no: int
    agreement: str
    number: int
    account: str
    payments: tuple[Payment, ...]
    settled: date | None

    @property
    def amount_minor(self) -> int:
        """Sum the payments. [øre]"""
        return sum(payment.amount_minor for payment in self.payments)


@dataclass(frozen=True, slots=True)
class Transmission:
    """A file whose totals tie."""

    number: int
    sender: str
    recipient: str
    assignments: tuple[Assignment, ...]
    settled: date | None
    record_count: int

    @property
    def amount_minor(self) -> int:
        """Sum the payments of all assignments. [øre]"""
        return sum(assignment.amount_minor for assignment in self.assignments)

    @property
    def payment_count(self) -> int:
        """Count the payments of all assignments."""
        return sum(len(assignment.payments) for assignment in self.assignments)


def recognises(head: bytes) -> bool:
    """Tell whether a file begins like a transmission of the bank: NY, service 00, record 10."""
    return head.removeprefix(MARK).startswith(_SIGNATURE)


def read(raw: bytes, name: str) -> Transmission:
    """Read a whole file, or refuse it whole.

    Parameters
    ----------
    raw : ISO-8859-1, lines of 80 characters ended by CRLF or LF.
    name : of the file, for messages.

    Raises
    ------
    BrokenFile : the structure is broken; with line and position.
    ServiceNotRead : it holds records of another service, such as AvtaleGiro.
    ControlTotalsDiffer : a count or a sum differs; with line and both figures.
    """
    return _Reader(read_records(raw, name), name).transmission()


def place(raw: bytes) -> tuple[str | None, int | None]:
    """Give sender, recipient and number of any transmission whose first record can be read.

    No two transmissions between them carry the same number within a year.
    """
    try:
        start = next(iter(read_records(raw.partition(b"\n")[0], "")), None)
    except BrokenFile:
        return None, None
    if start is None or start.layout is not TRANSMISSION_START:
        return None, None
    return f"{start.digits('sender')}-{start.digits('recipient')}", start.number("number")


def settled_days(raw: bytes, name: str) -> tuple[date, date] | None:
    """Give the first and the last day of settlement that the records of a file name.

    None where they name none.

    Raises
    ------
    BrokenFile : not all of them can be read.
    """
    days = [
        day
        for record in read_records(raw, name)
        for field in ("settled", "earliest", "latest")
        if field in record.values and (day := record.day(field)) is not None
    ]
    return (min(days), max(days)) if days else None


class _Reader:
    """Walks the records once; each method reads one element of the file's grammar."""

    def __init__(self, records: list[Record], name: str) -> None:
        self._records = records
        self._name = name
        self._at = 0

    def transmission(self) -> Transmission:
        start = self._take(TRANSMISSION_START)
        assignments = []
        while self._sees(ASSIGNMENT_START):
            assignments.append(self._assignment())
        end = self._take(TRANSMISSION_END)
        if self._at < len(self._records):
            raise broken(
                self._name, end.line_no + 1,
                "a record follows the end of the transmission; a file holds one transmission.",
            )  # fmt: skip
        read = Transmission(
            number=start.number("number"),
            sender=start.digits("sender"),
            recipient=start.digits("recipient"),
            assignments=tuple(assignments),
            settled=end.day("settled"),
            record_count=len(self._records),
        )
        self._check(end, read.payment_count, read.record_count, read.amount_minor)
        return read

    def _assignment(self) -> Assignment:
        begin = self._at
        start = self._take(ASSIGNMENT_START)
        payments = []
        while self._sees(ITEM_1):
            payments.append(self._payment())
        end = self._take(ASSIGNMENT_END)
        read = Assignment(
            line_no=start.line_no,
            agreement=start.digits("agreement"),
            number=start.number("number"),
            account=start.digits("account"),
            payments=tuple(payments),
            settled=end.day("settled"),
        )
        self._check(end, len(payments), self._at - begin, read.amount_minor)
        self._check_size(end, abs(read.amount_minor), 25)
        self._check_days(end, read.payments)
        return read

    def _payment(self) -> Payment:
        first = self._take(ITEM_1)
        second = self._take(ITEM_2, of=first)
        third = self._take(ITEM_3, of=first) if self._sees(ITEM_3) else None
        if third is not None and first.kind not in WITH_TEXT:
            raise broken(
                self._name, third.line_no,
                f"amount item 3 belongs to types 20 and 21 only, not to {first.kind}.",
                position=7,
            )  # fmt: skip
        settled = first.day("settled")
        if settled is None:
            raise broken(
                self._name, first.line_no,
                "position 16 must be a settlement date, not zeros.", position=16,
            )  # fmt: skip
        amount = first.number("amount")
        self._check_size(first, amount, 33)
        deducted = first.digits("sign") == "-" and first.kind not in REVERSALS
        return Payment(
            line_no=first.line_no,
            kind=first.kind,
            tx_no=first.number("tx_no"),
            settled=settled,
            centre=first.digits("centre"),
            day_code=first.digits("day_code"),
            part=first.number("part"),
            serial=first.number("serial"),
            amount_minor=-amount if deducted else amount,
            kid=first.text("kid"),
            card_issuer=first.digits("card_issuer"),
            form_no=second.digits("form_no"),
            reference=second.text("reference"),
            bank_date=second.day("bank_date"),
            debit_account=second.text("debit_account"),
            text=third.text("text") if third else None,
        )

    def _sees(self, layout: Layout) -> bool:
        return self._at < len(self._records) and self._records[self._at].layout is layout

    def _take(self, layout: Layout, of: Record | None = None) -> Record:
        """Take the next record, which must be of a layout, and of one payment with another."""
        if self._at >= len(self._records):
            raise broken(
                self._name, len(self._records) + 1,
                f"the file ends where the {layout.title} (record {layout.code}) must stand.",
                expected=layout.code,
            )  # fmt: skip
        record = self._records[self._at]
        if record.layout is not layout:
            raise broken(
                self._name, record.line_no,
                f"here stands the {record.layout.title} (record {record.layout.code}), where the "
                f"{layout.title} (record {layout.code}) must stand.",
                position=7, expected=layout.code, found=record.layout.code,
            )  # fmt: skip
        if of is not None and record.kind != of.kind:
            raise broken(
                self._name, record.line_no,
                f"position 5 names type {record.kind}, amount item 1 on line {of.line_no} names "
                f"{of.kind}.",
                position=5, expected=of.kind, found=record.kind,
            )  # fmt: skip
        if of is not None and record.number("tx_no") != of.number("tx_no"):
            raise broken(
                self._name, record.line_no,
                f"position 9 names transaction {record.number('tx_no')}, amount item 1 on line "
                f"{of.line_no} names {of.number('tx_no')}.",
                position=9, expected=of.number("tx_no"), found=record.number("tx_no"),
            )  # fmt: skip
        self._at += 1
        return record

    def _check(self, end: Record, transactions: int, records: int, amount_minor: int) -> None:
        """Compare what an end record declares with what was read."""
        # A sum has no sign in the file; where credit notes outweigh payments, its size is written.
        found = {"transactions": transactions, "records": records, "sum": abs(amount_minor)}
        for field, figure in found.items():
            declared = end.number(field)
            if declared != figure:
                raise ControlTotalsDiffer(
                    f"{self._name}, line {end.line_no}: the {end.layout.title} declares "
                    f"{_said(field, declared)}, the file holds {_said(field, figure)}. Nothing of "
                    "the file is used. Fetch it again from the bank.",
                    file=self._name, line=end.line_no, field=field, declared=declared, found=figure,
                )  # fmt: skip

    def _check_size(self, record: Record, amount_minor: int, position: int) -> None:
        """Refuse an amount of more digits than any book holds: the bank did not pay it out."""
        if amount_minor >= MAX_AMOUNT:
            raise broken(
                self._name, record.line_no,
                f"position {position} ({record.layout.title}) says {amount_minor} øre, more than "
                "the books can hold.",
                position=position, found=amount_minor,
            )  # fmt: skip

    def _check_days(self, end: Record, payments: tuple[Payment, ...]) -> None:
        """Refuse a payment settled outside the days that its assignment declares."""
        earliest, latest = end.day("earliest"), end.day("latest")
        for payment in payments:
            if earliest and latest and not earliest <= payment.settled <= latest:
                raise broken(
                    self._name, payment.line_no,
                    f"position 16 says settled on {payment.settled}; the end of the assignment on "
                    f"line {end.line_no} declares {earliest} to {latest}.",
                    position=16, declared=[str(earliest), str(latest)], found=str(payment.settled),
                )  # fmt: skip


def _said(field: str, figure: int) -> str:
    return f"a sum of {figure} øre" if field == "sum" else f"{figure} {field}"
