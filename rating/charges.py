"""Charges: events summed per key in millionths, and the øre that each batch adds to them.

Cumulative rounding (docs/pricing.md): a batch books round(after) - round(before) of each key.
The sum over batches is then the rounding of the sum, however the events were split, and an invoice
line is what the books already say. Net keys are rounded in net. Gross keys are rounded in gross and
split once into net and VAT, so that twenty items at 1.29 with VAT are 25.80.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ledger.errors import Invalid
from ledger.money import MINOR_PER_UNIT, round_half_away
from rating.taxes import tax_in_gross
from rating.usage import Bool, Int64

_LOW_BITS = 31


class ChargeOverflow(Invalid):
    """The sum of a charge does not fit in 64 bits: no real month does that."""

    title = "Charge is too large"


@dataclass(frozen=True, slots=True)
class ChargeKey:
    """What a charge is about. Everything but `text` and `unit` tells one key from another."""

    book_code: str
    billing_account_id: int
    party_id: int
    subscription_id: int  # 0: a charge of the account itself
    component: str
    revenue_account: str
    vat_code: str
    vat_rate_bp: int  # hundredths of a per cent: 2500 is 25 %
    price_basis: str  # gross | net
    usage_period: str  # YYYY-MM, when it was used
    accounting_month: str  # YYYY-MM, when it counts as revenue
    billing_period: str  # YYYY-MM, the bill it belongs to
    kind: str  # usage | recurring | one_off
    charge_ref: str = ""  # of a one-off: its order
    currency: str = "NOK"
    dimensions: Mapping[str, str] = field(default_factory=dict, hash=False)
    text: str = ""
    unit: str = "piece"


@dataclass(frozen=True, slots=True, eq=False)
class Booked:
    """What stands on each key: (n,) int64 columns, one row per key."""

    micro: Int64
    minor_net: Int64
    minor_gross: Int64  # 0 on net keys: their VAT is computed per rate on the invoice

    @classmethod
    def nothing(cls, count: int) -> "Booked":
        """Make the state of keys on which nothing has been booked."""
        return cls(*(np.zeros(count, np.int64) for _ in range(3)))


def sum_by_key(key: NDArray[np.integer], amounts: Int64, count: int) -> Int64:
    """Sum int64 amounts per key, exactly.

    Parameters
    ----------
    key : (n,) integers from 0 to count - 1.
    amounts : (n,) int64, either sign.

    Returns
    -------
    (count,) int64.

    Raises
    ------
    ChargeOverflow : a sum does not fit in int64; `keys` names the first ten of them.
    """
    sums = np.zeros(count, np.int64)
    if not len(amounts):
        return sums
    largest = max(-int(amounts.min()), int(amounts.max()))
    if largest * len(amounts) < 2**63:
        np.add.at(sums, key, amounts)
        return sums
    # High and low halves cannot overflow apart; together they tell whether the sum does.
    high, low = np.zeros(count, np.int64), np.zeros(count, np.int64)
    np.add.at(high, key, amounts >> _LOW_BITS)
    np.add.at(low, key, amounts & (2**_LOW_BITS - 1))
    carried = high + (low >> _LOW_BITS)
    limit = 2 ** (63 - _LOW_BITS)
    lost = np.flatnonzero((carried >= limit) | (carried < -limit))
    if len(lost):
        raise ChargeOverflow(
            f"{len(lost)} charges exceed 64 bits of millionths; the first is key {lost[0]}.",
            keys=lost[:10].tolist(),
        )
    summed: Int64 = (carried << _LOW_BITS) | (low & (2**_LOW_BITS - 1))
    return summed


def rounded(micro: Int64, gross: Bool, vat_rate_bp: Int64) -> Booked:
    """Round the totals of keys, each in its own basis.

    Parameters
    ----------
    micro : (n,) int64 exact totals, either sign. [millionths]
    gross : (n,) bool, the price of the key includes VAT.
    vat_rate_bp : (n,) int64. [hundredths of a per cent]
    """
    minor = round_half_away(micro)
    net = minor.copy()
    for rate in np.unique(vat_rate_bp[gross]).tolist():
        rows = gross & (vat_rate_bp == rate)
        net[rows], _, _ = tax_in_gross(minor[rows], (rate, 10_000), MINOR_PER_UNIT)
    return Booked(micro, net, np.where(gross, minor, 0))


def deltas(booked: Booked, micro_after: Int64, gross: Bool, vat_rate_bp: Int64) -> Booked:
    """Compute what a batch has to book so that each key stands at its new total.

    Parameters
    ----------
    booked : what the keys stand at, the sum of all earlier deltas.
    micro_after : (n,) int64, the exact total with this batch. [millionths]

    Returns
    -------
    Booked : the differences; all zero where the total is what it was.
    """
    after = rounded(micro_after, gross, vat_rate_bp)
    return Booked(
        after.micro - booked.micro,
        after.minor_net - booked.minor_net,
        after.minor_gross - booked.minor_gross,
    )
