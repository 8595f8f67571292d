"""Charges that follow from a contract: beyond fair use, beyond a pool, before the end of a term."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Self

import numpy as np
from sqlalchemy.orm import Session

from mediation.charging import ONE_OFF, USAGE, Found, Owed, Setting, charge_key, usage_owed
from mediation.records import Int64
from mediation.service.contracts import Contracts
from mediation.service.payers import payers_of
from mediation.service.sharing import topmost_agreements
from mediation.wallclock import ZONE
from party.agreements import Intervals
from party.service import ActiveIntervals, AgreementsOn, OrderCharge
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
from rating.iot import Cards, PoolTerms, counted_octets, pool_month
from rating.pipeline import Rated
from rating.tariff import TariffBook
from rating.tariff_terms import AGREEMENT, Pool
from rating.usage import Reason, UsageBatch
from rating.versions import RatedPart


def charge_beyond_fair_use(
    session: Session, active: ActiveIntervals, book: TariffBook, setting: Setting,
    batch: UsageBatch, rated: Rated, parts: Sequence[RatedPart], subscription: Int64, payer: Int64,
    found: Found, last_day: date,
) -> None:  # fmt: skip
    """Add what data abroad beyond fair use costs on top of its price at home.

    The volume is that of the month's first day, by `book`, whose codes `batch` and `rated` have;
    what lies beyond is priced by the version of each event.
    """
    if not any(offering.fair_use for offering in book.tariff.offerings):
        return
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
    session: Session, contracts: Contracts, book: TariffBook, setting: Setting, batch: UsageBatch,
    rated: Rated, subscription: Int64, found: Found, last_day: date,
) -> None:  # fmt: skip
    """Charge what cards used beyond what they bring together, card by card."""
    for plans in _pools_of(book):
        used = _PoolUse.of(contracts, book, plans, batch, rated, subscription)
        terms = next(iter(plans.values())).terms
        cards, _ = pool_month(
            terms, used.card, used.pool, used.session_card, used.octets, used.brings, used.counted
        )
        payers = payers_of(session, set(used.account.tolist()))
        told = _pool_codes(book, terms, cards, used.brings)
        for n in np.flatnonzero(cards.amount_micro).tolist():
            plan = int(used.plan[n])
            key = charge_key(
                book, setting, payers[int(used.account[n])], int(cards.card[n]),
                book.components.index(plans[plan].overage),
                book.tariff.offerings[plan].price_basis, USAGE,
            )  # fmt: skip
            owed = Owed(int(cards.amount_micro[n]), int(cards.sessions[n]), int(cards.counted[n]))
            found.add(key, owed, last_day, told[n])


def _pools_of(book: TariffBook) -> list[dict[int, Pool]]:
    """List the pools of a tariff, each with its plans: offerings that name it, or the only one."""
    pools: dict[tuple[str | None, int, int], dict[int, Pool]] = {}
    for number, offering in enumerate(book.tariff.offerings):
        for place, pool in enumerate(offering.pools):
            name = (pool.id, 0, 0) if pool.id is not None else (None, number, place)
            pools.setdefault(name, {})[number] = pool
    return list(pools.values())


@dataclass(frozen=True, slots=True, eq=False)
class _PoolUse:
    """The cards of a month that share a pool, in order of card, and their sessions."""

    card: Int64
    account: Int64  # that pays for the card
    pool: Int64  # whose cards share: an account, or an agreement below zero
    plan: Int64  # offering of the card's first day in the month, which says what it brings
    brings: Int64
    session_card: Int64
    octets: Int64
    counted: Int64  # by the plan at the session

    @classmethod
    def of(
        cls, contracts: Contracts, book: TariffBook, plans: Mapping[int, Pool],
        batch: UsageBatch, rated: Rated, subscription: Int64,
    ) -> Self:  # fmt: skip
        """Find who shares a pool in a month, and what counts."""
        active = contracts.active
        codes = book.offering_codes(active.offering)
        stretches = np.flatnonzero(np.isin(codes, list(plans)))
        card, first = np.unique(active.subscription_id[stretches], return_index=True)
        account = active.billing_account_id[stretches[first]]
        plan = codes[stretches[first]].astype(np.int64)
        rows, counted = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for number, pool in plans.items():
            known = np.array([book.components.index(name) for name in pool.components])
            rows.append(np.flatnonzero(
                (batch.offering == number) & (rated.reason == Reason.OK)
                & np.isin(rated.component, known) & (batch.quantity > 0)
            ))  # fmt: skip
            counted.append(counted_octets(pool.terms, batch.quantity[rows[-1]]))
        sessions = np.concatenate(rows)
        return cls(
            card, account, _sharers(contracts.agreed, plans, account), plan,
            np.array([plans[int(one)].terms.included for one in plan], np.int64),
            subscription[sessions], batch.quantity[sessions], np.concatenate(counted),
        )  # fmt: skip


def _sharers(agreed: AgreementsOn, plans: Mapping[int, Pool], account: Int64) -> Int64:
    """Say with whom each account's cards share."""
    if all(pool.scope != AGREEMENT for pool in plans.values()):
        return account
    topmost = topmost_agreements(agreed)
    found = [-topmost[one] if one in topmost else one for one in account.tolist()]
    return np.array(found, np.int64)


def _pool_codes(
    book: TariffBook, terms: PoolTerms, cards: Cards, brings: Int64
) -> dict[int, FlatCode]:
    """Explain each card's part by its row, pool by pool."""
    told: dict[int, FlatCode] = {}
    for pool in np.unique(cards.pool).tolist():
        rows = np.flatnonzero(cards.pool == pool).tolist()
        codes = pool_codes(book, terms, cards.counted[rows].tolist(), brings[rows].tolist())
        told |= dict(zip(rows, codes, strict=True))
    return told


def charge_bindings(
    session: Session, contracts: Contracts, book: TariffBook, setting: Setting,
    ordered: Sequence[OrderCharge], offering: np.ndarray, found: Found,
) -> None:  # fmt: skip
    """Charge subscriptions that end before their term what is left of it.

    Parameters
    ----------
    ordered : orders of the month. `offering` : (n,) their offerings, indices into the book.
    """
    if not any(offering.bindings for offering in book.tariff.offerings):
        return
    begun = contracts.begun_of(session, ordered)
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
