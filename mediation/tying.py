"""The proof of a rating run: what was explained, rated, charged and posted is one and the same.

    explanations = rated amounts = charges       in millionths, by component and revenue key
    charges = postings                           in øre, by revenue key and month of the books

Each side is read from where it was written. A run whose sums differ is refused before it commits.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ledger.errors import DoesNotTie
from ledger.journal import canonical_dimensions
from mediation.charging import Owed
from rating.charges import ChargeKey

# What charges are summed by: kind, component, revenue account, VAT code, price basis.
Sums = Mapping[tuple[str, ...], int]
_NAMED = 5


def sums_owed(owed: Mapping[ChargeKey, Owed]) -> tuple[Sums, Sums]:
    """Sum what was explained and what was rated, by what charges are summed by. [millionths]"""
    explained: dict[tuple[str, ...], int] = {}
    rated: dict[tuple[str, ...], int] = {}
    for key, amount in owed.items():
        name = (key.kind, key.component, key.revenue_account, key.vat_code, key.price_basis)
        explained[name] = explained.get(name, 0) + amount.explained_micro
        rated[name] = rated.get(name, 0) + amount.micro
    return explained, rated


def sums_posted(lines: Iterable[tuple[str, Any]], unbilled_account: str) -> Sums:
    """Sum revenue as posted, by month, account, VAT code and dimensions. [øre]

    Parameters
    ----------
    lines : the lines of the run's entries, each with the month of its entry.
    """
    sums: dict[tuple[str, ...], int] = {}
    for month, line in lines:
        if line.account != unbilled_account:
            name = (month, line.account, line.vat_code or "", line.dimensions)
            sums[name] = sums.get(name, 0) - line.amount_minor
    return sums


def sums_charged(rows: Iterable[tuple[str, str, str, Mapping[str, str], int]]) -> Sums:
    """Sum the nets of a batch's deltas, named as `sums_posted` names them. [øre]"""
    sums: dict[tuple[str, ...], int] = {}
    for month, account, vat_code, dimensions, net in rows:
        name = (month, account, vat_code, canonical_dimensions(dimensions))
        sums[name] = sums.get(name, 0) + net
    return sums


def check_equal(left: Sums, left_name: str, right: Sums, right_name: str, unit: str) -> None:
    """Refuse sums that differ.

    Raises
    ------
    DoesNotTie : says of the first names what each side has.
    """
    differing = [
        name
        for name in sorted(left.keys() | right.keys())
        if left.get(name, 0) != right.get(name, 0)
    ]
    if not differing:
        return
    told = "; ".join(
        f"{' '.join(filter(None, name))}: {left.get(name, 0)} and {right.get(name, 0)} {unit}"
        for name in differing[:_NAMED]
    )
    raise DoesNotTie(
        f"{left_name} and {right_name} differ in {len(differing)} sums: {told}. Nothing of the run "
        "is recorded.",
        differing=len(differing),
    )
