"""Who pays behind billing accounts."""

from sqlalchemy.orm import Session

from mediation.charging import Payer
from party import service as party


def payers_of(session: Session, account_ids: set[int]) -> dict[int, Payer]:
    """Give who pays behind some billing accounts."""
    found = party.billing_accounts(session, ids=sorted(account_ids))
    return {one.billing_account_id: Payer(one.billing_account_id, one.party_id) for one in found}
