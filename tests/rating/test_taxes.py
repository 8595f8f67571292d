"""VAT in øre, as invoices compute it, against Decimal and Fraction."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rating.taxes import tax_in_gross, tax_on_net

amounts = st.lists(st.integers(-(2**48), 2**48))


def _half_away(value: Fraction) -> int:
    """The slow rule: Decimal's ROUND_HALF_UP goes away from zero."""
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


@given(amounts, st.sampled_from([0, 1111, 1200, 1500, 2500]))
def test_a_gross_amount_splits_without_a_rest(gross: list[int], rate: int) -> None:
    """Net and VAT sum to the gross, and the net is the exact quotient rounded once."""
    net, vat, _ = tax_in_gross(np.array(gross, np.int64), (rate, 10_000), 100)
    assert (net + vat).tolist() == gross
    assert net.tolist() == [_half_away(Fraction(g * 10_000, 10_000 + rate)) for g in gross]


@given(amounts, st.sampled_from([0, 1500, 2500]))
def test_vat_on_net_agrees_with_decimal(net: list[int], rate: int) -> None:
    """VAT is the rate of the sum, rounded once."""
    slow = [_half_away(Fraction(n * rate, 10_000)) for n in net]
    assert tax_on_net(np.array(net, np.int64), (rate, 10_000), 100)[1].tolist() == slow
