"""Take back a posted entry: the same lines with the opposite sign, and what that settles.

Pure: `ledger.service.reversal` reads the original and posts what is drafted here.

A claim that is reversed is settled by its mirror for what is outstanding of it; what had been paid
stays with the customer as a credit. A credit that is reversed (a payment that bounced) must not
have been used: what it settled would look settled still, so those allocations are undone first.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from ledger.journal import AllocationDraft, EntryDraft, ItemDraft, Line

RULE = "reversal"


@dataclass(frozen=True, slots=True)
class OpenedItem:
    """An open item of the original, by its line: claims positive, credits negative. [øre]"""

    line_no: int
    open_item_id: int
    original_minor: int
    outstanding_minor: int

    @property
    def is_used_credit(self) -> bool:
        """Tell whether this is money or a credit note of which something has been used."""
        return self.original_minor < 0 and self.outstanding_minor != self.original_minor


def mirror_entry(
    original: EntryDraft, entry_id: int, *, effective_date: date, source_ref: str, text: str
) -> EntryDraft:
    """Draft the entry that takes back another one; it stays in the series of the original.

    Every line is negated with its base amount and its tax base; accounts, parties, dimensions, VAT
    codes and document references are kept. Mirrors of open items fall due at once.
    """
    return EntryDraft(
        series=original.series,
        effective_date=effective_date,
        document_date=effective_date,
        entry_type="reversal",
        source_ref=source_ref,
        text=text,
        lines=tuple(_mirror_line(line, effective_date) for line in original.lines),
        document_ref=original.document_ref,
        reverses_entry_id=entry_id,
    )


def settle_against_mirror(items: Iterable[OpenedItem], on: date) -> tuple[AllocationDraft, ...]:
    """Allocate what is outstanding of each item against its mirror, entry 0 of the same batch."""
    return tuple(
        AllocationDraft(
            credit=(0, item.line_no) if item.original_minor > 0 else item.open_item_id,
            debit=item.open_item_id if item.original_minor > 0 else (0, item.line_no),
            amount_minor=abs(item.outstanding_minor),
            effective_date=on,
            rule=RULE,
        )
        for item in items
        if item.outstanding_minor
    )


def _mirror_line(line: Line, on: date) -> Line:
    item = line.item
    return replace(
        line,
        amount_minor=-line.amount_minor,
        base_minor=-line.base,
        tax_base_minor=None if line.tax_base_minor is None else -line.tax_base_minor,
        item=item and ItemDraft(RULE, item.document_ref, item.kid, on, on),
    )
