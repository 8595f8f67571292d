"""How money received enters the books: clearing against the claims it pays, the rest unallocated.

One entry per assignment and settlement date, like the bank's lump sum on the account statement: one
line of clearing, then a line with an item of its own for each use of each payment. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby

from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line
from mediation.formats.ocr_giro import Assignment, Payment
from mediation.matching import NOT_BOOKED, Match

SERIES = "PAY"
SOURCE_SYSTEM = "OCR"
PAYMENTS_PER_ENTRY = 5_000  # An entry holds 32 767 lines, and a payment may pay several claims.


@dataclass(frozen=True, slots=True)
class Receipt:
    """One payment, the assignment that brought it, and what it pays."""

    assignment: Assignment
    payment: Payment
    match: Match


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of the event "payment" on a settlement date, as the posting rules give them."""

    clearing: str
    unallocated: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a payment lies in the batch: its entry, the line of each use, the line of the rest."""

    entry_index: int
    use_lines: tuple[int, ...]
    rest_line: int | None


@dataclass(slots=True)
class Drafted:
    """Entries and allocations, and the place of each booked payment by its line in the file."""

    entries: list[EntryDraft] = field(default_factory=list)
    allocations: list[AllocationDraft] = field(default_factory=list)
    places: dict[int, Place] = field(default_factory=dict)

    def batch(self, book: str, source_ref: str, actor: str) -> BatchDraft:
        """Make the one batch of a transmission."""
        return BatchDraft(
            book=book,
            source_system=SOURCE_SYSTEM,
            source_ref=source_ref,
            actor=actor,
            entries=tuple(self.entries),
            allocations=tuple(self.allocations),
        )


def draft(
    receipts: Sequence[Receipt], source_ref: str, accounts: Callable[[date], Accounts]
) -> Drafted:
    """Draft the entries and allocations of the payments that are booked.

    Parameters
    ----------
    receipts : in the order of the file; those not booked are passed over.
    source_ref : of the batch; each entry's reference begins with it.
    accounts : gives the accounts on a settlement date.

    Clearing stands against receivable, or against 2991 unallocated.
    Source: docs/decisions.md, "Receivables".
    """
    drafted = Drafted()
    for together in _lump_sums(receipts):
        first = together[0]
        index = len(drafted.entries)
        lines = _lines(drafted, index, together, accounts(first.payment.settled))
        settled = first.payment.settled
        number = first.assignment.number
        drafted.entries.append(
            EntryDraft(
                series=SERIES,
                effective_date=settled,
                document_date=settled,
                entry_type="payment",
                source_ref=f"{source_ref}/{first.payment.line_no}",
                text=f"OCR giro, assignment {number}, settled {settled}",
                lines=tuple(lines),
                document_ref=f"OCR {first.assignment.agreement}/{number}",
            )
        )
    return drafted


def bank_key(payment: Payment) -> str:
    """Write the bank's own key of a payment, the one to quote when asking the bank about it."""
    return f"{payment.settled}/{payment.form_no}"


def _lump_sums(receipts: Sequence[Receipt]) -> Iterator[list[Receipt]]:
    """Cut receipts into entries: by assignment, settlement date, and what an entry can hold."""
    booked = [receipt for receipt in receipts if receipt.match.outcome != NOT_BOOKED]
    booked.sort(key=_lump)
    for _, group in groupby(booked, key=_lump):
        together = list(group)
        for begin in range(0, len(together), PAYMENTS_PER_ENTRY):
            yield together[begin : begin + PAYMENTS_PER_ENTRY]


def _lump(receipt: Receipt) -> tuple[int, date]:
    return receipt.assignment.line_no, receipt.payment.settled


def _lines(drafted: Drafted, index: int, together: list[Receipt], accounts: Accounts) -> list[Line]:
    """Write the lines of one entry; note the places and allocations of its payments."""
    total = sum(receipt.payment.amount_minor for receipt in together)
    # Credit notes may cancel the payments; a line of zero is no line.
    lines = [Line(accounts.clearing, total)] if total else []
    for receipt in together:
        payment, found = receipt.payment, receipt.match
        use_lines = []
        for use in found.uses:
            lines.append(_line(use.claim.account, use.amount_minor, use.claim.party_id, payment))
            use_lines.append(len(lines))
            drafted.allocations.append(
                AllocationDraft(
                    credit=(index, len(lines)),
                    debit=use.claim.open_item_id,
                    amount_minor=use.amount_minor,
                    # A claim cannot be paid, in the books, before it is made.
                    effective_date=max(payment.settled, use.claim.effective_date),
                    rule=found.rule or found.outcome,
                )
            )
        rest_line = None
        if found.rest_minor:
            lines.append(_line(accounts.unallocated, found.rest_minor, found.party_id, payment))
            rest_line = len(lines)
        drafted.places[payment.line_no] = Place(index, tuple(use_lines), rest_line)
    return lines


def _line(account: str, received_minor: int, party_id: int | None, payment: Payment) -> Line:
    """Credit what was received; what the bank deducted is negative and so a debit."""
    return Line(
        account=account,
        amount_minor=-received_minor,
        party_id=party_id,
        item=ItemDraft(
            kind="payment",
            document_ref=bank_key(payment),
            kid=payment.kid,
            document_date=payment.settled,
            due_date=payment.settled,
        ),
    )
