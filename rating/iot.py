"""Pools of machines: many tiny sessions of many cards over one allowance, counted per card.

    used     = sum over sessions of max(minimum, rounded up to whole increments)
    included = what the pool's cards bring, each by its own plan
    overage  = rounded up to whole steps, priced once per pool, and shared out over the cards

Every session counts, however small; what lies beyond is priced on the pool's total and not session
by session, where rounding would weigh more than use. The amount of a pool is shared over its cards
in proportion to what they used, by largest remainder, ties to the lower card: the parts are the
whole. Nothing depends on the order of sessions.

Source: docs/pricing.md, "Pools of machines".
"""

from dataclasses import dataclass

import numpy as np

from ledger.errors import Invalid
from rating.charges import sum_by_key
from rating.discounts import allocate
from rating.rounding import Integers, share_of
from rating.usage import Int64


@dataclass(frozen=True, slots=True)
class PoolTerms:
    """What a card brings, how sessions count, and what lies beyond costs."""

    included: int  # octets of each card
    price_micro: int  # of `per` octets beyond
    per: int = 1
    step: int = 1  # overage is rounded up to whole ones. [octets]
    increment: int = 1  # a session is rounded up to whole ones. [octets]
    minimum: int = 0  # what a session counts at least. [octets]


@dataclass(frozen=True, slots=True, eq=False)
class Cards:
    """One row per card, in order of card: what it did, and its part of what its pool owes."""

    card: Int64
    pool: Int64  # row of `Pools`
    sessions: Int64
    octets: Int64  # as measured
    counted: Int64  # as sessions count
    amount_micro: Int64


@dataclass(frozen=True, slots=True, eq=False)
class Pools:
    """One row per pool, in order of pool."""

    pool: Int64
    cards: Int64
    used: Int64
    included: Int64
    overage: Int64  # in whole steps
    amount_micro: Int64


def counted_octets(terms: PoolTerms, octets: Int64) -> Int64:
    """Give what sessions count: rounded up to whole increments, and the minimum at least."""
    whole = -(-octets // terms.increment) * terms.increment
    counted: Int64 = np.maximum(whole, terms.minimum)
    return counted


def pool_month(
    terms: PoolTerms, card: Int64, pool_of_card: Int64, session_card: Int64, octets: Int64,
    brings: Int64 | None = None, counted: Int64 | None = None,
) -> tuple[Cards, Pools]:  # fmt: skip
    """Settle a month of pools that share one price.

    Parameters
    ----------
    card, pool_of_card : (k,) the cards of the month, each once, and their pools; a card without
        a session brings its part all the same.
    session_card, octets : (n,) sessions: whose, and how much; not negative.
    brings : (k,) what each card includes, where plans differ; else all bring that of the terms.
    counted : (n,) what each session counts, where plans differ; else by the terms.

    Raises
    ------
    Invalid : a session of a card that is not listed, a card listed twice, a negative session.
    """
    order = np.argsort(card, kind="stable")
    part = np.full(len(card), terms.included, np.int64) if brings is None else brings
    card, pool_of_card, part = card[order], pool_of_card[order], part[order]
    if (card[1:] == card[:-1]).any():
        raise Invalid("A card is listed twice in its month.")
    place = np.minimum(np.searchsorted(card, session_card), max(len(card) - 1, 0))
    if len(session_card) and (not len(card) or (card[place] != session_card).any()):
        raise Invalid("A session belongs to no card of the month.")
    if len(octets) and int(octets.min()) < 0:
        raise Invalid(f"A session of {int(octets.min())} octets cannot be.")
    pools, pool = np.unique(pool_of_card, return_inverse=True)
    counted = counted_octets(terms, octets) if counted is None else counted
    of_card = sum_by_key(place, counted, len(card))
    used = sum_by_key(pool, of_card, len(pools))
    cards = np.bincount(pool, minlength=len(pools)).astype(np.int64)
    included = sum_by_key(pool, part, len(pools))
    overage = -(-np.maximum(used - included, 0) // terms.step) * terms.step
    amount = share_of(overage, terms.price_micro, terms.per)
    return (
        Cards(
            card, pool, np.bincount(place, minlength=len(card)).astype(np.int64),
            sum_by_key(place, octets, len(card)), of_card, _shared(amount, of_card, pool),
        ),
        Pools(pools, cards, used, included, overage, amount),
    )  # fmt: skip


def _shared(amount: Integers, used: Int64, pool: Int64) -> Int64:
    """Share what pools owe over their cards, in proportion to use."""
    parts: Int64 = allocate(amount, used, pool).astype(np.int64)
    return parts
