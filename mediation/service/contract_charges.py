"""Charges that follow from a contract: beyond fair use, beyond a pool, before the end of a term."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
from sqlalchemy.orm import Session

from mediation.charging import ONE_OFF, USAGE, Found, Month, Owed, Setting, charge_key, usage_owed
from mediation.records import Int64
from mediation.service.payers import payers_of
from mediation.wallclock import ZONE
from party import service as party
from party.agreements import Intervals
from party.service import OrderCharge
from rating.binding import NO_START, binding_charges
from rating.dated import day_number
from rating.fair_use import beyond_volumes, surcharges
from rating.flat_codes import (
    FlatCode,
    binding_code,
    fair_use_code,
    pool_codes,
    surcharge,
)
from rating.iot import Cards, PoolTerms, pool_month
from rating.pipeline import Rated
from rating.tariff import TariffBook
from rating.usage import Reason, UsageBatch
from rating.versions import RatedPart


def charge_beyond_fair_use(
    session: Session, month: Month, book: TariffBook, setting: Setting, batch: UsageBatch,
    rated: Rated, parts: Sequence[RatedPart], subscription: Int64, payer: Int64, found: Found,
    last_day: date,
) -> None:  # fmt: skip
    """Add what data abroad beyond fair use costs on top of its price at home.

    The volume is that of the month's first day, by `book`, whose codes `batch` and `rated` have;
    what lies beyond is priced by the version of each event.
    """
    if not any(offering.fair_use for offering in book.tariff.offerings):
        return
    active = party.active_intervals(session, *month.instants())
    agreed = Intervals.of(
        active.subscription_id, active.valid_from, active.valid_to, active.agreed_micro
    ).at(subscription, batch.started_at)
    beyond = beyond_volumes(batch, rated, book, setting.vat_rates_bp, agreed)
    for part in parts:
        rows = part.rows
        _charge_surcharges(
            session, setting, part, beyond[rows], subscription[rows], payer[rows], found, last_day
        )


def _charge_surcharges(
    session: Session, setting: Setting, part: RatedPart, beyond: Int64, subscription: Int64,
    payer: Int64, found: Found, last_day: date,
) -> None:  # fmt: skip
    """Charge what the events of one version used beyond fair use."""
    batch, book = part.batch, part.book
    extra = surcharges(batch, part.rated, book, setting.vat_rates_bp, beyond)
    dear = extra.component >= 0
    added = replace(
        part.rated, amount_micro=extra.amount_micro, component=extra.component,
        reason=np.where(dear, Reason.OK, Reason.NO_RATE).astype(np.int16),
    )  # fmt: skip
    explained = np.zeros(len(batch), np.int64)
    for row in np.flatnonzero(dear).tolist():
        explained[row] = surcharge(
            int(extra.beyond[row]), int(extra.price[row]), int(extra.per[row])
        )  # fmt: skip
    owed = usage_owed(
        added, book, batch.offering.astype(np.int64), subscription, payer, extra.beyond, explained
    )
    payers = payers_of(session, {account for account, *_ in owed})
    for (account, subscriber, component, basis), amount in owed.items():
        key = charge_key(book, setting, payers[account], subscriber, component, basis, USAGE)
        why = fair_use_code(book, amount.quantity, amount.events, amount.explained_micro)
        found.add(key, amount, last_day, why)


def charge_pools(
    session: Session, month: Month, book: TariffBook, setting: Setting, batch: UsageBatch,
    rated: Rated, subscription: Int64, found: Found, last_day: date,
) -> None:  # fmt: skip
    """Charge what the cards of an account used beyond what they bring together, card by card."""
    if not any(offering.pools for offering in book.tariff.offerings):
        return
    active = party.active_intervals(session, *month.instants())
    codes = book.offering_codes(active.offering)
    payers = payers_of(session, set(active.billing_account_id.tolist()))
    for number, offering in enumerate(book.tariff.offerings):
        stretches = np.flatnonzero(codes == number)
        card, first = np.unique(active.subscription_id[stretches], return_index=True)
        account = active.billing_account_id[stretches[first]]
        for pool in offering.pools:
            counted = np.array([book.components.index(name) for name in pool.components])
            rows = np.flatnonzero(
                (batch.offering == number) & (rated.reason == Reason.OK)
                & np.isin(rated.component, counted) & (batch.quantity > 0)
            )  # fmt: skip
            cards, _ = pool_month(
                pool.terms, card, account, subscription[rows], batch.quantity[rows]
            )
            told = _pool_codes(book, pool.terms, cards)
            for n in np.flatnonzero(cards.amount_micro).tolist():
                key = charge_key(
                    book, setting, payers[int(account[n])], int(cards.card[n]),
                    book.components.index(pool.overage), offering.price_basis, USAGE,
                )  # fmt: skip
                owed = Owed(
                    int(cards.amount_micro[n]), int(cards.sessions[n]), int(cards.counted[n])
                )
                found.add(key, owed, last_day, told[n])


def _pool_codes(book: TariffBook, terms: PoolTerms, cards: Cards) -> dict[int, FlatCode]:
    """Explain each card's part by its row, pool by pool."""
    told: dict[int, FlatCode] = {}
    for pool in np.unique(cards.pool).tolist():
        rows = np.flatnonzero(cards.pool == pool).tolist()
        counted = cards.counted[rows].tolist()
        told |= dict(zip(rows, pool_codes(book, terms, counted), strict=True))
    return told


def charge_bindings(
    session: Session, book: TariffBook, setting: Setting, ordered: Sequence[OrderCharge],
    offering: np.ndarray, found: Found,
) -> None:  # fmt: skip
    """Charge subscriptions that end before their term what is left of it.

    Parameters
    ----------
    ordered : the month's orders. `offering` : (n,) their offerings, indices into the book.
    """
    if not any(offering.bindings for offering in book.tariff.offerings):
        return
    begun = party.offerings_begun(
        session, [(each.subscription_id, each.offering, each.effective_at) for each in ordered]
    )
    days = [each.effective_at.astimezone(ZONE).date() for each in ordered]
    charges = binding_charges(
        book, offering, [each.action for each in ordered],
        np.array(
            [NO_START if at is None else day_number(at.astimezone(ZONE).date()) for at in begun],
            np.int64,
        ),
        np.array([day_number(day) for day in days], np.int64),
    )  # fmt: skip
    payers = payers_of(session, {order.billing_account_id for order in ordered})
    for n, source in enumerate(charges.source.tolist()):
        order = ordered[source]
        basis = book.tariff.offerings[int(offering[source])].price_basis
        key = charge_key(
            book, setting, payers[order.billing_account_id], order.subscription_id,
            int(charges.component[n]), basis, ONE_OFF, order.order_ref, unit="day",
        )  # fmt: skip
        left, whole = int(charges.days[n]), int(charges.of_days[n])
        why = binding_code(book, int(charges.full_micro[n]), left, whole)
        found.add(key, Owed(int(charges.amount_micro[n]), 1, left), days[source], why)
