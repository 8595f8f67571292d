"""Pools as one would serve them by hand: event by event, bucket by bucket, exact fractions."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction


@dataclass
class Bucket:
    """A balance and who may use it."""

    name: str
    balance: Fraction
    priority: int = 0
    expires: int | None = None
    money: bool = False
    increment: Fraction = Fraction(0)
    rates: set[str] | None = None
    people: set[str] | None = None
    valid_from: int | None = None
    valid_to: int | None = None
    cap: Fraction | None = None
    topups: list[tuple[int, Fraction]] = field(default_factory=list)
    per_rate: dict[str, tuple[int, Fraction]] = field(default_factory=dict)  # priority, increment
    drawn: dict[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True)
class Want:
    """An event."""

    quantity: Fraction
    rate: str = "v"
    who: str = "p"
    start: int | None = None


Steps = list[tuple[Fraction, Fraction, Fraction]]  # from, price per unit, increment


def price(steps: Steps, quantity: Fraction) -> Fraction:
    """Walk through the steps of one event."""
    total, paid_until = Fraction(0), Fraction(0)
    for number, (begin, unit_price, increment) in enumerate(steps):
        end = steps[number + 1][0] if number + 1 < len(steps) else quantity
        begins = max(begin, paid_until)
        unpaid = max(Fraction(0), min(quantity, end) - begins)
        if not unpaid:
            continue
        billed = -(-unpaid // increment) * increment if increment else unpaid
        total += billed * unit_price
        paid_until = begins + billed
    return total


def most_paid_for(steps: Steps, quantity: Fraction, money: Fraction) -> Fraction:
    """Try every whole unit from above: the first that money pays for."""
    return next(
        Fraction(x) for x in range(int(quantity), -1, -1) if price(steps, Fraction(x)) <= money
    )


def serve_by_hand(
    buckets: list[Bucket], wants: list[Want], rates: dict[str, Steps]
) -> list[Fraction]:
    """Give what is covered of each event, in this order; balances move in place."""
    return [_serve_one(buckets, want, rates) for want in wants]


def _serve_one(buckets: list[Bucket], want: Want, rates: dict[str, Steps]) -> Fraction:
    for bucket in buckets:
        while bucket.topups and want.start is not None and bucket.topups[0][0] <= want.start:
            bucket.balance += bucket.topups.pop(0)[1]
    left = max(want.quantity, Fraction(0))
    for bucket in sorted(
        (b for b in buckets if _may(b, want)),
        key=lambda b: (
            b.per_rate.get(want.rate, (b.priority, 0))[0],
            b.expires is None, b.expires or 0, b.name,
        ),
    ):  # fmt: skip
        free, debit = _draw(bucket, want, left, rates)
        left -= free
        bucket.balance -= debit
        bucket.drawn[want.who] = bucket.drawn.get(want.who, Fraction(0)) + debit
    return max(want.quantity, Fraction(0)) - left


def _may(bucket: Bucket, want: Want) -> bool:
    ends = [end for end in (bucket.valid_to, bucket.expires) if end is not None]
    begun = bucket.valid_from is None or want.start is None or bucket.valid_from <= want.start
    over = want.start is not None and any(end <= want.start for end in ends)
    eligible = bucket.rates is None or want.rate in bucket.rates
    return begun and not over and eligible and (bucket.people is None or want.who in bucket.people)


def _draw(
    bucket: Bucket, want: Want, left: Fraction, rates: dict[str, Steps]
) -> tuple[Fraction, Fraction]:
    available = max(bucket.balance, Fraction(0))
    if bucket.cap is not None:
        spent = bucket.drawn.get(want.who, Fraction(0))
        available = max(Fraction(0), min(available, bucket.cap - spent))
    if not left or not available:
        return Fraction(0), Fraction(0)
    if bucket.money:
        if want.rate not in rates:
            return Fraction(0), Fraction(0)
        covered = most_paid_for(rates[want.rate], left, available)
        return covered, price(rates[want.rate], covered)
    increment = bucket.per_rate.get(want.rate, (0, bucket.increment))[1]
    if not increment:
        return min(left, available), min(left, available)
    debit = min(-(-left // increment), available // increment) * increment
    return min(left, debit), debit
