"""How an invoice enters the books: claim the gross, empty unbilled revenue of the net, owe the VAT.

Pure: the accounts come from the dated posting rules, the entry goes out as a draft. No name and no
phone number goes with it; the customer is a `party_id`, the claim a KID.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.journal import AllocationDraft, EntryDraft, ItemDraft, Line
from ledger.periods import period_of
from reporting.invoicing import Invoice

SERIES = "SAL"
SOURCE_SYSTEM = "billing"
SET_OFF = "set-off: credit note"


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of the event "invoice" on the invoice date, as the posting rules give them."""

    receivable: Mapping[str, str]  # By segment: consumer, business.
    unbilled: str
    vat: Mapping[str, str]  # By VAT code; codes without VAT are not in it.


def source_ref(book: str, invoice: Invoice) -> str:
    """Name the invoice for ever: a retry finds the entry under it and can never post twice.

    The bill sequence of an account is given once, so the reference is too.
    """
    return f"{book}/{invoice.account.number}/{invoice.bill_seq}"


def entry_of(invoice: Invoice, book: str, accounts: Accounts) -> EntryDraft:
    """Draft the entry of an invoice: receivable (gross), unbilled (net), VAT per code.

    The tax base has the sign of its line: a credit of VAT stands on a credit of revenue. Of a
    credit note every side is the opposite one: the customer has a credit, unbilled revenue is
    emptied of what was taken back, and the VAT is owed no longer.

    Source: ledger/seed/posting_rules.csv; docs/decisions.md, "Rating and charges".
    """
    reference = f"{invoice.account.number}/{invoice.bill_seq}"
    dated = invoice.terms.invoice_date
    claim = Line(
        account=accounts.receivable[invoice.account.segment],
        amount_minor=invoice.gross_minor,
        party_id=invoice.account.party_id,
        item=ItemDraft(
            kind="credit_note" if invoice.is_credit else "invoice",
            document_ref=reference,
            # Nobody pays a credit note: a payment must not find it by its KID.
            kid=None if invoice.is_credit else invoice.kid,
            document_date=dated,
            due_date=invoice.due_date,
        ),
    )
    delivered = Line(account=accounts.unbilled, amount_minor=-invoice.net_minor)
    taxes = [
        Line(
            account=accounts.vat[tax.vat_code],
            amount_minor=-tax.vat_minor,
            vat_code=tax.vat_code,
            tax_base_minor=-tax.base_minor,
        )
        for tax in invoice.vat
        if tax.vat_minor
    ]
    period = period_of(invoice.terms.period_start)
    return EntryDraft(
        series=SERIES,
        effective_date=dated,
        document_date=dated,
        entry_type="credit_note" if invoice.is_credit else "invoice",
        source_ref=source_ref(book, invoice),
        text=f"{'Credit note' if invoice.is_credit else 'Invoice'} of {period}, billing account "
        f"{invoice.account.number}",
        lines=tuple(line for line in (claim, delivered, *taxes) if line.amount_minor),
        document_ref=reference,
    )


def allocations_of(invoice: Invoice, index: int) -> tuple[AllocationDraft, ...]:
    """Draft the use of earlier credits for an invoice, on its date.

    Parameters
    ----------
    index : of the invoice's entry in its batch; its claim is the first line.
    """
    return tuple(
        AllocationDraft(
            used.open_item_id, (index, 1), used.amount_minor, invoice.terms.invoice_date,
            f"{SET_OFF} {used.number}",
        )
        for used in invoice.set_off
    )  # fmt: skip
