"""Tax on net prices, tax inside gross prices, and the tax of a credit: from exact values.

Source: docs/pricing.md, "Gross and net"; kinds tax and credit_note_tax of the pricing case format.
"""

from ledger.errors import Invalid
from rating.rounding import MICRO, Integers, Rounding, check_integers, share_of

Rate = tuple[int, int]  # numerator, denominator: 25 % is (25, 100)


def tax_on_net(
    net: Integers, rate: Rate, units_per_currency: int = MICRO, rounding: Rounding | None = None
) -> tuple[Integers, Integers, Integers]:
    """Compute net, tax and gross of exact net amounts.

    Net and tax are rounded from the exact values, gross is their exact sum, rounded: it may differ
    by a step from the sum of the two.

    Parameters
    ----------
    net : (n,) int64 of either sign, exact. [currency units]
    rounding : None for whole units, half away from zero.
    """
    top, bottom = _checked(net, rate)

    def rounded(times: int) -> Integers:
        return share_of(net, times, bottom, units_per_currency, rounding)

    return rounded(bottom), rounded(top), rounded(bottom + top)


def tax_in_gross(
    gross: Integers, rate: Rate, units_per_currency: int = MICRO, rounding: Rounding | None = None
) -> tuple[Integers, Integers, Integers]:
    """Split exact gross amounts: net is rounded, tax is what is left of the rounded gross.

    Parameters
    ----------
    gross : (n,) int64 of either sign, exact. [currency units]
    rounding : None for whole units, half away from zero.

    Returns
    -------
    net, tax, gross : (n,) int64 each, net + tax = gross. [currency units]
    """
    top, bottom = _checked(gross, rate)
    net = share_of(gross, bottom, bottom + top, units_per_currency, rounding)
    whole = share_of(gross, 1, 1, units_per_currency, rounding)
    return net, whole - net, whole


def credited_tax(
    credited: Integers,
    subtotal: Integers,
    tax: Integers,
    units_per_currency: int = MICRO,
    rounding: Rounding | None = None,
) -> Integers:
    """Give the share of each tax of an invoice that a credit of its net carries.

    Parameters
    ----------
    credited, subtotal : (n,) int64, net credited and net of the invoice, above zero. [units]
    tax : (n,) int64, a tax of that invoice. [currency units]

    Raises
    ------
    Invalid : the subtotal of an invoice is zero or less: nothing of it can be credited.
    """
    if not (subtotal > 0).all():
        raise Invalid("The invoice's subtotal must be above zero for a part to be credited.")
    return share_of(tax, credited, subtotal, units_per_currency, rounding)


def _checked(amount: Integers, rate: Rate) -> Rate:
    check_integers(amount, "Amounts")
    if rate[0] < 0 or rate[1] <= 0:
        raise Invalid("A tax rate must not be negative.")
    return rate
