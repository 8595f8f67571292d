"""Maritime accounts against fractions: gold francs, SDR, kroner, per authority, ship and month."""

from __future__ import annotations

from datetime import date
from fractions import Fraction as Q

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Invalid
from rating.dated import Dated, day_number, day_of
from rating.maritime import (
    GOLD_FRANC,
    SDR,
    MaritimeItems,
    account_items,
    check_authority,
    due_on,
    in_sdr,
)
from rating.usage import Reason
from tests.rating.oracle import round_half_away

RATES = Dated.of("rate of XDR", [(date(2026, 1, 31), 14_012_345), (date(2026, 3, 1), 13_900_000)])
MARCH = day_number(date(2026, 3, 1))

Row = tuple[int, int, int, int, int, int, int, int]
rows_of = st.lists(
    st.tuples(
        st.integers(-1, 1), st.sampled_from([257_000_001, 259_000_002]),
        st.integers(MARCH - 70, MARCH + 60), st.integers(0, 1), st.integers(0, 2),
        st.integers(-(10**9), 10**12), st.integers(0, 10**9) | st.just(2**61),
        st.integers(0, 10**9),
    ), max_size=25,
)  # fmt: skip


def items(rows: list[Row]) -> MaritimeItems:
    """Make columns of rows."""
    authority, ship, day, service, unit, own, coast, line = (
        np.array(rows, np.int64).reshape(-1, 8).T.copy()
    )
    return MaritimeItems(
        authority.astype(np.int32), ship, day, service.astype(np.int32), unit.astype(np.int32),
        own, coast, line,
    )  # fmt: skip


def slow(row: Row) -> tuple[str, int]:
    """One item by hand: reason and SDR."""
    authority, _, day, _, unit, *charges = row
    month = day_of(day).replace(day=1)
    if any(abs(charge) > 2**60 for charge in charges):
        return "OUT_OF_RANGE", 0
    if authority < 0:
        return "NO_ZONE", 0
    if unit not in {SDR, GOLD_FRANC} or month < date(2026, 1, 1):
        return "NO_RATE", 0
    charge = Q(sum(charges))
    return "OK", round_half_away(charge / Q("3.061") if unit == GOLD_FRANC else charge)


@settings(deadline=None)
@given(rows_of, st.randoms())
def test_accounts_agree_with_fractions(rows: list[Row], random: object) -> None:
    """Each item converted once, accounts summed, valued at the rate of the month's last day."""
    random.shuffle(rows)  # type: ignore[attr-defined]
    done = account_items(items(rows), RATES)
    want = [slow(row) for row in rows]
    assert [Reason(int(each)).name for each in done.reason] == [reason for reason, _ in want]
    assert done.sdr_micro.tolist() == [sdr for _, sdr in want]
    sums: dict[tuple[int, int, int, int], list[int]] = {}
    for (authority, ship, day, service, *_), (reason, sdr) in zip(rows, want, strict=True):
        if reason == "OK":
            on = day_of(day)
            key = (authority, ship, (on.year - 1970) * 12 + on.month - 1, service)
            at = sums.setdefault(key, [0, 0])
            at[0], at[1] = at[0] + sdr, at[1] + 1
    told = done.accounts
    got = {
        key: value
        for *key_parts, sdr, own, count in zip(
            told.authority.tolist(), told.ship.tolist(), told.month.tolist(),
            told.service.tolist(), told.sdr_micro.tolist(), told.own_micro.tolist(),
            told.items.tolist(), strict=True,
        )
        for key, value in [(tuple(key_parts), (sdr, own, count))]
    }  # fmt: skip
    january, march = 56 * 12 + 0, 56 * 12 + 2
    assert list(got) == sorted(sums)
    for key, (sdr, count) in sums.items():
        rate = Q(14_012_345 if january <= key[2] < march else 13_900_000, 10**6)
        assert got[key] == (sdr, round_half_away(sdr * rate), count)


def test_a_thousand_gold_francs_are_326_69_sdr() -> None:
    """47 CFR 3.46: 1 SDR is 3.061 gold francs."""
    assert in_sdr(np.array([1000 * 10**6, -1000 * 10**6]), gold=True).tolist() == [
        326_690_624, -326_690_624
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("dispatched", "due"),
    [(date(2026, 3, 10), date(2026, 9, 10)), (date(2026, 8, 31), date(2027, 2, 28))],
)
def test_an_account_is_due_six_calendar_months_after_its_dispatch(
    dispatched: date, due: date
) -> None:
    """The last day of a shorter month."""
    assert due_on(dispatched) == due


@pytest.mark.parametrize("code", ["NO1", "no01", "N001", "NO011", "", "NØ01"])
def test_an_authority_is_two_letters_and_two_digits(code: str) -> None:
    """NO01, GB14."""
    assert check_authority("GB14") == "GB14"
    with pytest.raises(Invalid, match="no accounting authority"):
        check_authority(code)
