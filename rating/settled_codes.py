"""Why a settlement owes what it does: a partner for traffic, holders their parts of a price.

Each code is one summand of what a document of the run stands at in one place of the books: account
and holder. Amounts are computed with Python's integers from the codes of events, or charge by
charge, apart from the columns that made the booking: a second opinion, as `rating.codes` is of
events.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ledger.journal import canonical_dimensions
from ledger.money import MICRO_PER_MINOR, MICRO_PER_UNIT, MINOR_PER_UNIT, largest_remainder
from rating.flat_codes import (
    COLLECTED,
    COLLECTED_ON,
    GIFT,
    LESS_VAT,
    OWN_PART,
    OWN_VAT,
    PARTNER,
    REST,
    SHARE,
    FlatCode,
    exact_share,
)
from rating.revenue_shares import OWN, Accounts, Sharing
from rating.tariff import TariffBook
from rating.usage import Bool, Int64

_BASIS_POINTS = 10_000
_WHOLE = 100 * MICRO_PER_UNIT  # a hundred per cent, in millionths of one

Place = tuple[str, ...]  # document, account, currency, dimensions as one text


@dataclass(frozen=True, slots=True)
class SettledCode:
    """One summand of what a document of a settlement stands at in one place."""

    document: str
    component: str  # of the tariff: what was sold, or what is owed for
    account: str
    holder: str  # whom the money is for; "" for nobody in particular
    dimensions: str  # of the place, as one text
    currency: str
    code: FlatCode  # debit positive


def partner_codes(
    wholesale: TariffBook, component: Int64, explained_micro: Int64, known: Bool,
    documents: Mapping[tuple[str, str], tuple[str, str]],
) -> list[SettledCode]:  # fmt: skip
    """Explain what partners are owed, component by component.

    Parameters
    ----------
    component : (n,) of each event, index into the tariff's components.
    explained_micro : (n,) what the explanation of each event's cost sums to.
    known : (n,) whether the event has a cost.
    documents : by partner and kind of traffic, the document and the account of its cost.
    """
    told = []
    for place, terms in enumerate(wholesale.tariff.components):
        rows = np.flatnonzero(known & (component == place))
        if not len(rows):
            continue
        partner = terms.partner or terms.text
        document, account = documents[partner, terms.revenue]
        micro = sum(explained_micro[rows].tolist())
        code = FlatCode(PARTNER, wholesale.label, (len(rows),), micro)
        dimensions = canonical_dimensions({"partner": partner})
        told.append(
            SettledCode(
                document, terms.id, account, partner, dimensions, wholesale.tariff.currency, code
            )
        )
    return told


def sharing_codes(
    label: str, document: str, component: str, amounts: Sequence[int], sharing: Sharing,
    accounts: Accounts, vat_rates_bp: Mapping[str, int], currency: str = "NOK",
    days: tuple[int, ...] = (), sales: Sequence[Sequence[int]] | None = None,
) -> list[SettledCode]:  # fmt: skip
    """Explain whose the charges of one component are.

    Parameters
    ----------
    label : of the version of the tariff: NORDLYS/2.
    amounts : of the charges, of either sign, VAT of the provider included. [minor units]
    days : the first and the last day of the terms, where a month has several. [days since 1970]
    sales : of each charge, what it sums, where holders have something each time. [millionths]
    """

    def told(account: str, holder: str, kind: str, numbers: tuple[int, ...],
             minor: int) -> SettledCode:  # fmt: skip
        named = canonical_dimensions({"provider": holder} if holder else {})
        code = FlatCode(kind, label, numbers, minor * MICRO_PER_MINOR)
        return SettledCode(document, component, account, holder, named, currency, code)

    charges, total = len(amounts), sum(amounts)
    times = charges if sales is None else sum(map(len, sales))
    of = total * MICRO_PER_MINOR
    kind = COLLECTED_ON if days else COLLECTED
    found = [told(accounts.collected, "", kind, (charges, *days), total)]
    if sharing.charity:
        return [*found, told(accounts.charity, sharing.provider, GIFT, (), -total)]
    if sales is None:
        *parts, rest = _parts(amounts, sharing)
    else:
        *parts, rest = _parts_of_sales(amounts, sales, sharing)
    for share, part in zip(sharing.shares, parts, strict=True):
        count = times if share.fixed_micro else charges
        claimed = (share.percent_micro, share.fixed_micro, count, of)
        if share.holder == OWN:
            found.append(told(accounts.fee, "", OWN_PART, claimed, -part))
        else:
            found.append(told(accounts.provider, share.holder, SHARE, claimed, -part))
    found.append(told(accounts.provider, sharing.provider, REST, (of,), -rest))
    fee = sum(
        part for share, part in zip(sharing.shares, parts, strict=True) if share.holder == OWN
    )
    rate = vat_rates_bp[sharing.fee_vat] if fee else 0
    if rate:
        vat = fee - exact_share(fee, _BASIS_POINTS, _BASIS_POINTS + rate)
        numbers = (rate * MICRO_PER_MINOR, fee * MICRO_PER_MINOR)
        found.append(told(accounts.fee, "", LESS_VAT, numbers, vat))
        found.append(told(accounts.vat[sharing.fee_vat], "", OWN_VAT, numbers, -vat))
    return found


def sums_explained(codes: Iterable[SettledCode]) -> dict[Place, int]:
    """Sum codes exactly by place, and round each sum once, half away from zero. [minor units]"""
    sums: Counter[Place] = Counter()
    for each in codes:
        sums[each.document, each.account, each.currency, each.dimensions] += each.code.amount_micro
    return {place: exact_share(micro, 1, MICRO_PER_MINOR) for place, micro in sums.items()}


def _parts(amounts: Sequence[int], sharing: Sharing) -> list[int]:
    """Split each charge over the holders and the provider, and sum what each has."""
    sums = [0] * (len(sharing.shares) + 1)
    for amount, times in Counter(amounts).items():
        for place, part in enumerate(_split(amount, sharing, MINOR_PER_UNIT)):
            sums[place] += part * times
    return sums


def _parts_of_sales(
    amounts: Sequence[int], sales: Sequence[Sequence[int]], sharing: Sharing
) -> list[int]:
    """Split each charge as its sales are split, rounding once; the provider has the rest."""
    sums = [0] * (len(sharing.shares) + 1)
    for amount, sold in zip(amounts, sales, strict=True):
        held = [0] * len(sums)
        for micro, times in Counter(sold).items():
            for place, part in enumerate(_split(micro, sharing, MICRO_PER_UNIT)):
                held[place] += part * times
        before = so_far = 0
        for place in range(len(sharing.shares)):
            so_far += held[place]
            stands = exact_share(so_far, 1, MICRO_PER_MINOR)
            sums[place] += stands - before
            before = stands
        sums[-1] += amount - before
    return sums


def _split(amount: int, sharing: Sharing, units: int) -> list[int]:
    """Split one amount over the holders and the provider."""
    size, claims = abs(amount), []
    left = size * _WHOLE
    for share in sharing.shares:
        fixed = share.fixed_micro * units * _WHOLE // MICRO_PER_UNIT
        claims.append(min(size * share.percent_micro + fixed, left))
        left -= claims[-1]
    parts = largest_remainder(size, [*claims, left]) if size else [0] * (len(claims) + 1)
    return parts if amount > 0 else [-part for part in parts]
