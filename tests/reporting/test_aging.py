"""The aging list: against a loop that anybody can read, and refused when it does not tie."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import DoesNotTie, Invalid
from reporting.aging import BUCKETS, CREDITS, AgingList, Items, age, bucket_of, check_ties

AS_OF = date(2026, 4, 30)

items = st.lists(
    st.tuples(
        st.integers(1, 5),
        st.sampled_from(["1500", "1505", "1571"]),
        st.integers(-30, 500),  # Days past due.
        st.integers(-(10**12), 10**12),
    ),
    max_size=60,
)


def columns(rows: list[tuple[int, str, int, int]]) -> Items:
    """Open items from (party, account, days past due, øre)."""
    return Items(
        party_id=np.array([row[0] for row in rows], np.int64),
        account=np.array([row[1] for row in rows], "U4"),
        due_date=np.array([AS_OF - timedelta(days=row[2]) for row in rows], "datetime64[D]"),
        outstanding_minor=np.array([row[3] for row in rows], np.int64),
    )


def slow_age(rows: list[tuple[int, str, int, int]]) -> dict[tuple[str, int], list[int]]:
    """The list by a loop: find the bucket by asking, add to it."""
    table: dict[tuple[str, int], list[int]] = {}
    for party, account, days, amount in rows:
        if amount == 0:
            continue
        if amount < 0:
            column = 7
        elif days <= 0:
            column = 0
        elif days <= 30:
            column = 1
        elif days <= 60:
            column = 2
        elif days <= 90:
            column = 3
        elif days <= 180:
            column = 4
        elif days <= 365:
            column = 5
        else:
            column = 6
        table.setdefault((account, party), [0] * 8)[column] += amount
    return table


def as_table(aging: AgingList) -> dict[tuple[str, int], list[int]]:
    """The list as the slow loop writes it."""
    keys = zip(aging.account.tolist(), aging.party_id.tolist(), strict=True)
    return dict(zip(keys, aging.amounts_minor.tolist(), strict=True))


@given(items)
def test_the_list_agrees_with_a_loop(rows: list[tuple[int, str, int, int]]) -> None:
    """Every party, account and bucket has what the loop finds, sorted by account and party."""
    aging = age(columns(rows), AS_OF)
    slow = slow_age(rows)
    assert as_table(aging) == slow
    assert list(as_table(aging)) == sorted(slow)


@given(items)
def test_the_list_loses_nothing(rows: list[tuple[int, str, int, int]]) -> None:
    """Buckets and credits sum to what is outstanding, per account and in all."""
    aging = age(columns(rows), AS_OF)
    assert int(aging.totals_minor.sum()) == sum(row[3] for row in rows)
    assert sum(aging.by_account().values()) == sum(row[3] for row in rows)
    assert (aging.amounts_minor[:, :CREDITS] >= 0).all()
    assert (aging.amounts_minor[:, CREDITS] <= 0).all()


@pytest.mark.parametrize(
    ("days", "bucket"),
    [(-1, 0), (0, 0), (1, 1), (30, 1), (31, 2), (60, 2), (61, 3), (90, 3), (91, 4), (180, 4),
     (181, 5), (365, 5), (366, 6), (5000, 6)],
)  # fmt: skip
def test_a_claim_moves_on_its_day(days: int, bucket: int) -> None:
    """A claim is not overdue on its due date; each bucket ends on the day in its name."""
    due = np.array([AS_OF - timedelta(days=days)], "datetime64[D]")
    assert bucket_of(due, AS_OF).tolist() == [bucket]
    assert len(BUCKETS) == 7


def test_a_credit_does_not_shrink_another_claim() -> None:
    """A customer's unused credit stands apart, beside the full claim."""
    aging = age(columns([(1, "1500", 10, 100), (1, "1500", 10, -40)]), AS_OF)
    assert aging.amounts_minor.tolist() == [[0, 100, 0, 0, 0, 0, 0, -40]]
    assert aging.balance_minor.tolist() == [60]


def test_a_list_that_ties_passes() -> None:
    """Equal sums pass, and an account that is zero on one side may be absent from the other."""
    check_ties({"1500": 100}, {"1500": 100, "1505": 0}, AS_OF)


def test_a_list_that_does_not_tie_is_refused_with_both_numbers() -> None:
    """The refusal shows the open items' figure and the journal's, for each account that differs."""
    with pytest.raises(DoesNotTie) as refusal:
        check_ties({"1500": 12345, "1505": 1}, {"1500": 12344, "1510": 7, "1505": 1}, AS_OF)
    told = str(refusal.value)
    assert "account 1500: open items 123.45, journal 123.44" in told
    assert "account 1510: open items 0.00, journal 0.07" in told
    assert "1505" not in told


def test_columns_must_match() -> None:
    """Columns of different length, or floats, are refused at the door."""
    rows = columns([(1, "1500", 1, 1)])
    with pytest.raises(Invalid, match="length"):
        age(Items(rows.party_id[:0], rows.account, rows.due_date, rows.outstanding_minor), AS_OF)
    floats = rows.outstanding_minor.astype(np.float64)
    with pytest.raises(Invalid, match="int64"):
        age(Items(rows.party_id, rows.account, rows.due_date, floats), AS_OF)  # type: ignore[arg-type]
