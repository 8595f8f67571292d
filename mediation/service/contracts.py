"""What a month's charges follow from beside use: who had what, who ordered what, what is agreed.

Read once for a month. A run takes those of everybody; a quote takes those of one subscription and
of whoever shares something with it, changed as it is asked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from mediation.charging import Month
from party import service as party
from party.service import ActiveIntervals, AgreementsOn, OrderCharge


@dataclass(frozen=True, slots=True, eq=False)
class Contracts:
    """Contracts of a month, of everybody or of some."""

    active: ActiveIntervals
    ordered: tuple[OrderCharge, ...]  # that took effect in the month, in that order
    agreed: AgreementsOn  # of its first day
    # Since when a subscription would have an offering that it has not: only where one is asked for.
    begun: Mapping[tuple[int, str], datetime] = field(default_factory=dict)

    def begun_of(self, session: Session, ordered: Iterable[OrderCharge]) -> list[datetime | None]:
        """Give since when the subscription of each order had its offering, up to the order."""
        asked = [(one.subscription_id, one.offering, one.effective_at) for one in ordered]
        found = party.offerings_begun(session, asked)
        return [
            at or self.begun.get((subscription, offering))
            for at, (subscription, offering, _) in zip(found, asked, strict=True)
        ]


def contracts_in(
    session: Session, month: Month, accounts: Iterable[int] | None = None
) -> Contracts:  # fmt: skip
    """Read the contracts of a month.

    Parameters
    ----------
    accounts : only of subscriptions that one of these paid for in the month; None for all.
    """
    active = party.active_intervals(session, *month.instants(), accounts=accounts)
    known = None if accounts is None else set(active.subscription_id.tolist())
    return Contracts(
        active, tuple(party.order_charges(session, *month.instants(), known)),
        party.agreements_on(session, month.first_day),
    )  # fmt: skip
