"""Shares of content revenue, against fractions: they are the price, exactly, and books balance."""

from __future__ import annotations

from fractions import Fraction as Q
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Invalid
from ledger.journal import canonical_dimensions
from rating.flat_codes import say_flat
from rating.revenue_shares import Accounts, Share, Sharing, booking, check_sharing, split
from rating.settled_codes import sharing_codes, sums_explained

ACCOUNTS = Accounts("1530", "2992", "2993", "3700", {"3": "2700"})
BOOK: Any = SimpleNamespace(label="NORDLYS/2")
RATES = {"3": 2500, "52": 0, "6": 0}

shares = st.lists(st.tuples(st.integers(0, 40_000_000), st.integers(0, 3_000_000)), max_size=4).map(
    lambda terms: tuple(Share(f"H{n}", *each) for n, each in enumerate(terms))
)


def slow(amount: int, sharing: Sharing, units: int) -> list[int]:
    """One price by hand: claims in order, the provider last, then largest remainder."""
    size, left, claims = abs(amount), Q(abs(amount)), []
    for share in sharing.shares:
        wanted = size * Q(share.percent_micro, 10**8) + Q(share.fixed_micro * units, 10**6)
        claims.append(min(wanted, left))
        left -= claims[-1]
    claims.append(left)
    parts = [int(claim) for claim in claims]
    by_rest = sorted(range(len(claims)), key=lambda n: (-(claims[n] - parts[n]), n))
    for n in by_rest[: size - sum(parts)]:
        parts[n] += 1
    return [part if amount >= 0 else -part for part in parts]


@settings(deadline=None)
@given(
    st.lists(st.integers(-(10**6), 10**6) | st.integers(-(2**61), 2**61), max_size=10),
    shares, st.sampled_from([100, 10**6]),
)  # fmt: skip
def test_shares_are_the_price_and_agree_with_fractions(
    amounts: list[int], terms: tuple[Share, ...], units: int
) -> None:
    """Rows sum to their price; a reversal is the mirror of the sale."""
    sharing, column = Sharing("P", "NO", terms), np.array(amounts, np.int64)
    parts = split(column, sharing, units)
    assert parts.dtype == np.int64
    assert parts.sum(axis=1).tolist() == amounts
    assert parts.tolist() == [slow(amount, sharing, units) for amount in amounts]
    assert (split(-column, sharing, units) == -parts).all()


@settings(deadline=None)
@given(
    st.lists(st.integers(-(10**6), 10**6), max_size=30), shares, st.integers(0, 60_000_000),
    st.sampled_from([("NO", "3"), ("SE", "52"), ("US", "6")]), st.booleans(),
)  # fmt: skip
def test_the_booking_balances_and_owes_what_was_collected(
    amounts: list[int], terms: tuple[Share, ...], own: int, place: tuple[str, str], charity: bool
) -> None:
    """Everything collected is owed or is the own fee; VAT only on fees of providers at home."""
    country, code = place
    sharing = Sharing("P", country, (*terms, Share("own", own)), code)
    if charity:
        sharing = Sharing("P", country, charity=True)
    check_sharing(sharing, RATES)
    lines = booking(np.array(amounts, np.int64), sharing, ACCOUNTS, RATES)
    codes = sharing_codes(BOOK.label, "D", "games", amounts, sharing, ACCOUNTS, RATES)
    told = sums_explained(codes)
    places: dict[tuple[str, ...], int] = {}
    for line in lines:
        at = ("D", line.account, "NOK", canonical_dimensions(line.dimensions or {}))
        places[at] = places.get(at, 0) + line.amount_minor
    assert {at: minor for at, minor in told.items() if minor} == {
        at: minor for at, minor in places.items() if minor
    }
    books: dict[str, int] = {}
    for line in lines:
        books[line.account] = books.get(line.account, 0) + line.amount_minor
    assert sum(books.values()) == 0
    assert all(line.amount_minor for line in lines)
    assert books.get("1530", 0) == sum(amounts)
    if charity:
        assert books.get("2993", 0) == -sum(amounts)
        assert set(books) <= {"1530", "2993"}
        return
    fee = sum(slow(amount, sharing, 100)[-2] for amount in amounts)
    assert books.get("3700", 0) + books.get("2700", 0) == -fee
    assert books.get("2992", 0) == fee - sum(amounts)
    if country != "NO":
        assert "2700" not in books
    elif fee:
        net = Q(fee * 100, 125)
        assert abs(books.get("3700", 0) + net) <= Q(1, 2)


def test_a_game_of_ten_kroner() -> None:
    """3.5 per cent and 0.25 to the collector, 15 per cent to us, 8.03 to the provider in Norway."""
    sharing = Sharing(
        "Spill AS", "NO", (Share("STREX", 3_500_000, 250_000), Share("own", 15_000_000)), "3"
    )
    lines = booking(np.array([1000]), sharing, ACCOUNTS, RATES)
    assert [(line.account, line.amount_minor) for line in lines] == [
        ("1530", 1000), ("2992", -60), ("2992", -940), ("2992", 150), ("3700", -120),
        ("2700", -30),
    ]  # fmt: skip
    assert [line.dimensions for line in lines[1:4]] == [
        {"provider": "STREX"}, {"provider": "Spill AS"}, {"provider": "Spill AS"}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sharing", "told"),
    [
        (Sharing("P", "NO", (Share("own", 1),), charity=True), "nobody takes a share of a gift"),
        (Sharing("P", "NO", (Share("own", 1),), "4"), "VAT code '4', which is not known"),
        (Sharing("P", "SE", (Share("own", 1),), "3"), "carries no Norwegian VAT"),
    ],
)
def test_what_cannot_be_booked_is_refused(sharing: Sharing, told: str) -> None:
    """Before anything is posted."""
    with pytest.raises(Invalid, match=told):
        check_sharing(sharing, RATES)


def test_a_settlement_is_told_in_both_languages() -> None:
    """Each holder, the own fee and its VAT, with the numbers that it can be redone from."""
    terms = (Share("STREX", 3_500_000, 250_000), Share("own", 15_000_000))
    sharing = Sharing("Spill AS", "NO", terms, "3")
    codes = sharing_codes(BOOK.label, "D", "games", [1000, 1000], sharing, ACCOUNTS, RATES)
    told = [
        [say_flat(each.code, "Spill", language, each.holder) for each in codes]
        for language in ("en", "nb")
    ]  # fmt: skip
    assert told[0] == [
        "Spill: 2 charges of 20.00 together are collected for others, by NORDLYS/2.",
        "STREX has 3.5 % and 0.25 of each of 2 sales of 20.00 together: 1.20.",
        "Our part is 15 % of each of 2 charges of 20.00 together: 3.00.",
        "Spill AS has what is left of 20.00: 15.80.",
        "Of our part of 3.00, 0.60 is VAT, 25 %; the rest is income.",
        "VAT of 25 % on our part of 3.00: 0.60.",
    ]
    assert told[1][3] == "Spill AS har resten av 20,00: 15,80."
    assert len(set(told[0]) & set(told[1])) == 0
