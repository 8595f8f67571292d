"""Who gets what of a price: providers, collectors, oneself; the shares are the price, exactly.

Each holder claims a part of the price and a fixed amount; claims are met in their order as far as
the price goes, and the provider has the rest. What cannot be divided goes by largest remainder,
ties to the earlier holder. A reversal gives each holder back exactly what it had. Money for a
charity passes through whole: no holder but the charity.

Booking: what is collected is owed to the provider, his VAT included; the own
fee is taken from it, with VAT where the provider is Norwegian.

Source: Norwegian VAT Act sections 3-1, 6-22; docs/pricing.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ledger.errors import Invalid
from ledger.journal import Line
from ledger.money import MINOR_PER_UNIT
from rating.rounding import FITS, MICRO, Integers, check_integers, largest
from rating.taxes import tax_in_gross
from rating.usage import Int64

OWN = "own"  # the holder that is us


@dataclass(frozen=True, slots=True)
class Share:
    """What one holder claims of a price."""

    holder: str
    percent_micro: int = 0  # 10 % is 10_000_000
    fixed_micro: int = 0


@dataclass(frozen=True, slots=True)
class Sharing:
    """Whose service it is, and who claims what of its price; the provider has the rest."""

    provider: str
    country: str  # of the provider, ISO 3166
    shares: tuple[Share, ...] = ()
    fee_vat: str = ""  # the VAT code of the own fee
    charity: bool = False


@dataclass(frozen=True, slots=True)
class Accounts:
    """Where the money of others is booked; `posting_rule` content_for_others says which."""

    collected: str  # receivable, or unbilled until the bill is out
    provider: str
    charity: str
    fee: str
    vat: Mapping[str, str]  # by VAT code; a code without rate has none


def split(amount: Integers, sharing: Sharing, units_per_currency: int = MICRO) -> Integers:
    """Split prices over the holders and the provider.

    Parameters
    ----------
    amount : (n,) int64 of either sign; negative is a reversal. [units]
    units_per_currency : 10**6 for millionths, 100 for øre.

    Returns
    -------
    (n, holders + 1) of the dtype of `amount`, in order of the shares, the provider last;
    the sum of a row is its amount. [units]
    """
    check_integers(amount, "Amounts")
    scale = 100 * MICRO
    claims = [(s.percent_micro, s.fixed_micro * units_per_currency * 100) for s in sharing.shares]
    widest = max([scale, *(rate for rate, _ in claims)])
    if amount.dtype != np.object_ and (
        largest(amount) >= FITS // (2 * widest) or any(f >= FITS // 2 for _, f in claims)
    ):
        return split(amount.astype(object), sharing, units_per_currency).astype(np.int64)
    size = np.abs(amount)
    exact = np.zeros((len(amount), len(claims) + 1), amount.dtype)
    left = size * scale
    for place, (rate, fixed) in enumerate(claims):
        exact[:, place] = np.minimum(size * rate + fixed, left)
        left = left - exact[:, place]
    exact[:, -1] = left
    whole = exact // scale
    rest = exact - whole * scale
    missing = size - whole.sum(axis=1)
    # Stable from the largest remainder: of equal ones the earlier holder comes first.
    order = np.argsort(-rest, axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    shares: Integers = (whole + (rank < missing[:, None])) * np.sign(amount)[:, None]
    return shares


def booking(
    amount_minor: Int64, sharing: Sharing, accounts: Accounts, vat_rates_bp: Mapping[str, int],
    currency: str = "NOK", parts: Sequence[int] | None = None,
) -> tuple[Line, ...]:  # fmt: skip
    """Draft what some sales of one service book, reversals among them: lines that sum to zero.

    Parameters
    ----------
    amount_minor : (n,) int64 of either sign, as charged; VAT of the provider included. [øre]
    vat_rates_bp : rate by VAT code on the day. [hundredths of a per cent]
    parts : of the holders and the provider, where they are not split amount by amount. [øre]

    Returns
    -------
    Lines, none that is zero: what is collected, what is owed to each holder or the charity (named
    by the dimension `provider`), the own fee out of it, and its VAT.
    """
    total = int(amount_minor.sum())
    if sharing.charity:
        return _lines(currency, [
            (accounts.collected, total, None, None),
            (accounts.charity, -total, None, sharing.provider),
        ])  # fmt: skip
    shares = parts or split(amount_minor, sharing, MINOR_PER_UNIT).sum(axis=0).tolist()
    owed: dict[str, int] = {}
    for share, minor in zip((*sharing.shares, Share(sharing.provider)), shares, strict=True):
        owed[share.holder] = owed.get(share.holder, 0) + int(minor)
    fee = owed.pop(OWN, 0)
    net, vat = fee, 0
    if fee and vat_rates_bp[sharing.fee_vat]:
        rate = (vat_rates_bp[sharing.fee_vat], 10_000)
        net, vat, _ = (int(part[0]) for part in tax_in_gross(np.array([fee]), rate, MINOR_PER_UNIT))
    # All is owed to others first; the own fee is then taken from what the provider has.
    owed[sharing.provider] += fee
    lines: list[tuple[str, int, str | None, str | None]] = [
        (accounts.collected, total, None, None),
        *((accounts.provider, -minor, None, holder) for holder, minor in owed.items()),
        (accounts.provider, fee, None, sharing.provider),
    ]
    lines.append((accounts.fee, -net, sharing.fee_vat, None))
    if vat:
        lines.append((accounts.vat[sharing.fee_vat], -vat, sharing.fee_vat, None))
    return _lines(currency, lines)


def check_sharing(sharing: Sharing, vat_rates_bp: Mapping[str, int]) -> None:
    """Refuse what cannot be booked.

    Raises
    ------
    Invalid : a fee on charity; a fee without VAT code; VAT on the fee of a provider abroad.
    """
    fee = any(share.holder == OWN for share in sharing.shares)
    if sharing.charity and sharing.shares:
        raise Invalid(f"{sharing.provider} is a charity: nobody takes a share of a gift.")
    if fee and sharing.fee_vat not in vat_rates_bp:
        raise Invalid(
            f"The fee of {sharing.provider} has VAT code {sharing.fee_vat!r}, which is not known."
        )
    if fee and sharing.country != "NO" and vat_rates_bp[sharing.fee_vat]:
        raise Invalid(
            f"{sharing.provider} is in {sharing.country}: the own fee carries no Norwegian VAT. "
            "Use code 52 (export) or 6 (outside the Act)."
        )


def _lines(
    currency: str, wanted: Sequence[tuple[str, int, str | None, str | None]]
) -> tuple[Line, ...]:
    return tuple(
        Line(
            account=account, amount_minor=minor, currency=currency, vat_code=vat_code,
            dimensions=None if holder is None else {"provider": holder},
        )
        for account, minor, vat_code, holder in wanted
        if minor
    )  # fmt: skip
