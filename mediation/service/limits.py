"""Who reached which spend limit in a month, and when: what notices and a cut-off are due for."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from sqlalchemy.orm import Session

from ledger.vault import Vault
from mediation.charging import Month
from mediation.service.rated_month import RatedMonth, rate_month
from mediation.wallclock import ZONE
from party import service as party
from rating.charges import sum_by_key
from rating.spend_limits import limits_in_force, watch


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A threshold that a subscription reached. Amounts without VAT, in millionths."""

    limit: str
    subscription_id: int
    label: str  # the number that customers call it by, "" where it has none
    at: datetime  # local time of the event that reached it
    percent: int
    cost_micro: int  # of the month with that event
    limit_amount_micro: int
    beyond_micro: int  # used after the limit, where it stops; 0 on thresholds below it


def limits_reached(session: Session, store: Vault, month: Month) -> list[LimitReached]:
    """Judge a month's accepted usage, in order of limit, time and subscription."""
    rated = rate_month(session, store, month)
    found: list[LimitReached] = []
    for limit in limits_in_force(rated.book.tariff.spend_limits, month.first_day):
        told = watch(rated.batch, rated.rated, rated.book, limit, rated.setting.vat_rates_bp)
        beyond = _beyond(rated, told.beyond_micro)
        reached = told.reached
        for n, row in enumerate(reached.row.tolist()):
            at = datetime.fromtimestamp(int(rated.batch.started_at[row]), UTC)
            percent, who = int(reached.percent[n]), int(rated.subscription[row])
            found.append(
                LimitReached(
                    limit=limit.id, subscription_id=who, label="",
                    at=at.astimezone(ZONE),
                    percent=percent, cost_micro=int(reached.cost_micro[n]),
                    limit_amount_micro=int(reached.limit_micro[n]),
                    beyond_micro=beyond.get(who, 0) if percent == 100 else 0,
                )
            )  # fmt: skip
    last = month.instants()[1] - 1
    labels = party.subscription_labels(session, {one.subscription_id for one in found}, last)
    return sorted(
        (_labelled(one, labels.get(one.subscription_id, "")) for one in found),
        key=lambda one: (one.limit, one.at, one.subscription_id, one.percent),
    )


def _beyond(rated: RatedMonth, beyond_micro: np.ndarray) -> dict[int, int]:
    """Sum what lies beyond per subscription."""
    rows = np.flatnonzero(beyond_micro)
    who, place = np.unique(rated.subscription[rows], return_inverse=True)
    sums = sum_by_key(place, beyond_micro[rows], len(who))
    return dict(zip(who.tolist(), sums.tolist(), strict=True))


def _labelled(one: LimitReached, label: str) -> LimitReached:
    return replace(one, label=label)
