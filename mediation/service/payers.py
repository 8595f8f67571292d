"""Who pays behind billing accounts, and what a book calls the offerings they have."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy.orm import Session

from mediation.charging import Payer
from party import service as party
from rating.tariff import TariffBook


def payers_of(session: Session, account_ids: set[int]) -> dict[int, Payer]:
    """Give who pays behind some billing accounts."""
    found = party.billing_accounts(session, ids=sorted(account_ids))
    return {one.billing_account_id: Payer(one.billing_account_id, one.party_id) for one in found}


def offering_codes(book: TariffBook, names: Sequence[str]) -> np.ndarray:
    """Give the index of offerings in the book, -1 where it does not sell them."""
    index = {name: number for number, name in enumerate(book.offerings)}
    return np.array([index.get(name, -1) for name in names], np.int32)
