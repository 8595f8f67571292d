"""What a customer has to his credit pays his next invoice: his own account's, oldest first.

Pure. A credit pays only claims of the same party on the same control account, and never below
zero; the invoice and its KID stay what they are, less is left to pay of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from reporting.invoicing import Invoice, SetOff


@dataclass(frozen=True, slots=True)
class Credit:
    """A credit note of a billing account, and what may still be used of it. [øre, positive]"""

    open_item_id: int
    number: str
    dated: date
    party_id: int
    account: str  # the control account that holds it
    left_minor: int


def set_off(invoice: Invoice, receivable: str, held: Iterable[Credit]) -> Invoice:
    """Let credits of an invoice's own billing account pay for it, the oldest first.

    Parameters
    ----------
    receivable : the control account of the claim.
    held : credits of the billing account, as far as they are free from the invoice date on.
    """
    left, used = invoice.gross_minor, []
    for credit in sorted(held, key=lambda each: (each.dated, each.open_item_id)):
        taken = min(left, credit.left_minor)
        same = (credit.party_id, credit.account) == (invoice.account.party_id, receivable)
        if taken > 0 and same:
            used.append(SetOff(credit.open_item_id, credit.number, taken))
            left -= taken
    return replace(invoice, set_off=tuple(used))
