"""What is not in the quote of a subscription that exists, in sentences."""

from collections.abc import Iterator

import numpy as np
from sqlalchemy import func, select

from mediation.models import FileReversal, FileUsage
from mediation.records import Bool, Int64
from mediation.service.quoted_use import Case
from mediation.service.usage_rating import RatedUsage
from rating.explain import kroner
from rating.phrases import PHRASES, Language
from rating.spend_limits import limits_in_force, watch


def left_out_of(
    case: Case, earlier: Int64, used: RatedUsage, asked: Bool, others_micro: int,
    language: Language,
) -> Iterator[str]:  # fmt: skip
    """Say what is charged elsewhere, or not known.

    Parameters
    ----------
    earlier : subscriptions of the events that a run rated before.
    used : those events and the ones that are asked about; `asked` says which.
    others_micro : by how much charges of others change.
    """
    say, period = PHRASES[language], case.asked.period
    own = int((earlier == case.found.subscription_id).sum())
    if case.asked.remaining:
        yield say["used_unsaid"].format(period=period)
    elif own and case.run is not None:
        yield say["used_before"].format(period=period, run=case.run.run_id, events=own)
    if case.known_as_of is not None:
        yield say["known_now"]
    elif waiting := _not_rated(case):
        if case.run is None:
            yield say["never_rated"].format(period=period, events=waiting)
        else:
            yield say["not_rated"].format(period=period, events=f"{waiting:+d}")
    if others_micro:
        yield say["others_pay"].format(amount=kroner(others_micro, language))
    for limit, micro in _beyond_limits(case, used, asked):
        yield say["limit_stops"].format(limit=limit, amount=kroner(micro, language))


def _not_rated(case: Case) -> int:
    """Count events of the month that came since it was rated, less those taken back."""
    accepted = (
        select(func.coalesce(func.sum(FileUsage.row_count), 0))
        .where(FileUsage.period == case.asked.period)
        .where(FileUsage.file_id.not_in(select(FileReversal.file_id)))
    )
    rated = 0 if case.run is None else int(case.run.counts["events"])
    return int(case.session.scalar(accepted) or 0) - rated


def _beyond_limits(case: Case, used: RatedUsage, asked: Bool) -> Iterator[tuple[str, int]]:
    """Give what of the events that are asked about lies beyond limits that stop use."""
    for limit in limits_in_force(used.book.tariff.spend_limits, case.month.first_day):
        told = watch(used.batch, used.rated, used.book, limit, case.setting.vat_rates_bp)
        micro = sum(told.beyond_micro[np.flatnonzero(asked)].tolist())
        if micro:
            yield limit.id, micro
