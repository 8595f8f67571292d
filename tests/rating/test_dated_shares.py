"""Charges cut where their terms change: the parts are the charge, by arrays and by hand."""

from __future__ import annotations

from fractions import Fraction as Q

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rating.dated import day_number, day_of
from rating.dated_shares import cut_by_hand, cut_by_stretch, parts_of_sales, stretches_of
from rating.revenue_shares import Share, Sharing
from rating.service.months import one_version
from rating.settled_codes import sharing_codes
from rating.tariff import parse_tariff
from rating.versions import InForce
from tests.rating.oracle import round_half_away
from tests.rating.test_margins import RETAIL
from tests.rating.test_revenue_shares import ACCOUNTS, RATES

MICRO = st.integers(-(10**13), 10**13)
TERMS = """
[[carried]]
service = "829"
component = "voice"
valid_from = 2026-{day}
provider = "{provider}"
"""


def _book(version: int, *terms: tuple[str, str]) -> str:
    source = RETAIL.replace("version = 1", f"version = {version}", 1)
    told = "".join(TERMS.format(day=day, provider=provider) for day, provider in terms)
    return source.replace("[[offering]]", told + "[[offering]]", 1)


@given(st.integers(1, 4).flatmap(lambda k: st.lists(
    st.tuples(st.integers(-(10**9), 10**9), st.lists(MICRO, min_size=k, max_size=k)), max_size=9
)))  # fmt: skip
def test_the_parts_are_the_charge(rows: list[tuple[int, list[int]]]) -> None:
    """Whatever was used before each change, of whatever sign, nothing is lost and both agree."""
    count = len(rows[0][1]) if rows else 1
    amount = np.array([minor for minor, _ in rows], np.int64)
    until = np.array([micro for _, micro in rows], np.int64).reshape(-1, count)
    cut = cut_by_stretch(amount, until)
    assert cut.sum(axis=1).tolist() == amount.tolist()
    assert cut.tolist() == [cut_by_hand(minor, micro) for minor, micro in rows]


SHARINGS = st.builds(
    lambda claims: Sharing(
        "P", "NO", tuple(Share(f"H{n}", *claim) for n, claim in enumerate(claims))
    ),
    st.lists(st.tuples(st.integers(0, 60 * 10**6), st.integers(0, 3 * 10**6)), max_size=3),
)  # fmt: skip


@given(st.lists(st.integers(-(10**9), 10**9), max_size=12), st.integers(-2, 2), SHARINGS)
def test_the_parts_of_sales_are_the_charge(sales: list[int], off: int, sharing: Sharing) -> None:
    """By arrays and by hand; a sale and its reversal leave nobody anything."""
    charge = round_half_away(Q(sum(sales), 10_000)) + off  # Several bills may be an øre off.
    parts = parts_of_sales(charge, np.array(sales, np.int64), sharing).tolist()
    assert sum(parts) == charge
    codes = sharing_codes(
        "T/1", "D", "games", [charge], sharing, ACCOUNTS, RATES, sales=[sales]
    )  # fmt: skip
    by_hand = [-code.code.amount_micro for code in codes if code.code.kind in {"share", "rest"}]
    assert by_hand == [part * 10_000 for part in parts]
    undone = [*sales, *(-sale for sale in sales)]
    assert not parts_of_sales(0, np.array(undone, np.int64), sharing).any()


def test_stretches_are_those_on_which_terms_differ() -> None:
    """A section in mid-month, a version that changes nothing, one that shares no more."""
    first = parse_tariff(_book(1, ("01-01", "A"), ("03-10", "B")).encode())
    same = parse_tariff(_book(2, ("01-01", "B")).encode())
    nobody = parse_tariff(_book(3).encode())
    begin, mid, late, end = (day_number(day_of(20_513 + n)) for n in (0, 14, 20, 31))
    versions = [
        InForce(first, begin, mid), InForce(same, mid, late), InForce(nobody, late, end)
    ]  # fmt: skip
    assert set(stretches_of(versions)) == {"voice"}
    found = [
        (each.from_day - begin, each.to_day - begin, each.label, each.sharing)
        for each in stretches_of(versions)["voice"]
    ]
    assert found == [
        (0, 9, "RETAIL/1", Sharing("A", "NO")), (9, 20, "RETAIL/1", Sharing("B", "NO")),
        (20, 31, "RETAIL/3", None),
    ]  # fmt: skip
    turned = stretches_of([InForce(nobody, begin, mid), InForce(first, mid, end)])["voice"]
    assert [(each.from_day - begin, each.sharing) for each in turned] == [
        (0, None), (14, Sharing("B", "NO"))
    ]  # fmt: skip
    assert stretches_of(one_version(nobody, "2026-03")) == {}
