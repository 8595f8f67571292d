"""The aging list: open claims by days past due, proved against the control accounts.

Pure NumPy over open items. Debit items fall in seven buckets; credits (money or credit notes not
yet used) stand apart and never make another customer's claim look smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ledger.errors import DoesNotTie, Invalid
from ledger.money import format_amount

Int64 = NDArray[np.int64]
Dates = NDArray[np.datetime64]

# A claim is in the last bucket whose first day it has reached; day 0 is the due date itself.
BUCKET_FIRST_DAY = (1, 31, 61, 91, 181, 366)
BUCKETS = ("Not due", "1–30", "31–60", "61–90", "91–180", "181–365", "Over 365")
CREDITS = len(BUCKETS)  # The column of credits, after the buckets.


@dataclass(frozen=True, slots=True)
class Items:
    """Open items as columns of one length: who, on which account, due when, how much is left."""

    party_id: Int64
    account: NDArray[np.str_]
    due_date: Dates  # datetime64[D]
    outstanding_minor: Int64  # Debit positive. [øre]


@dataclass(frozen=True, slots=True)
class AgingList:
    """Rows per account and party, sorted; columns the seven buckets, then the credits."""

    as_of: date
    account: NDArray[np.str_]
    party_id: Int64
    amounts_minor: Int64  # (rows, 8). [øre]

    @property
    def balance_minor(self) -> Int64:
        """Sum each row over buckets and credits, in øre."""
        balance: Int64 = self.amounts_minor.sum(axis=1)
        return balance

    @property
    def totals_minor(self) -> Int64:
        """Sum each column over all rows, in øre."""
        totals: Int64 = self.amounts_minor.sum(axis=0)
        return totals

    def by_account(self) -> dict[str, int]:
        """Sum the list per account, in øre."""
        sums: dict[str, int] = {}
        for account, balance in zip(
            self.account.tolist(), self.balance_minor.tolist(), strict=True
        ):
            sums[account] = sums.get(account, 0) + balance
        return sums


def bucket_of(due_date: Dates, as_of: date) -> NDArray[np.int64]:
    """Find the bucket of each due date.

    Parameters
    ----------
    due_date : (n,) datetime64[D].
    as_of : the day the list is made for; a claim due that day is not overdue.

    Returns
    -------
    (n,) int64: position in `BUCKETS`.

    Source: days past due as in a provision matrix, IFRS 9 B5.5.35.
    """
    days_late = (np.datetime64(as_of, "D") - due_date).astype(np.int64)
    return np.searchsorted(np.array(BUCKET_FIRST_DAY), days_late, side="right").astype(np.int64)


def age(items: Items, as_of: date) -> AgingList:
    """Spread the outstanding of each party and account over the buckets.

    Parameters
    ----------
    items : columns of one length n; items with nothing outstanding may be among them.
    as_of : the day the list is made for.

    Returns
    -------
    AgingList : one row per account and party with anything outstanding.

    Raises
    ------
    Invalid : the columns differ in length, or the amounts are not int64.
    """
    _check_columns(items)
    open_now = items.outstanding_minor != 0
    outstanding = items.outstanding_minor[open_now]
    column = np.where(outstanding < 0, CREDITS, bucket_of(items.due_date[open_now], as_of))
    accounts, account_no = np.unique(items.account[open_now], return_inverse=True)
    parties, party_no = np.unique(items.party_id[open_now], return_inverse=True)
    keys, row = np.unique(
        account_no.astype(np.int64) * max(len(parties), 1) + party_no, return_inverse=True
    )
    amounts = np.zeros((len(keys), CREDITS + 1), dtype=np.int64)
    np.add.at(amounts, (row, column), outstanding)
    return AgingList(
        as_of=as_of,
        account=accounts[keys // max(len(parties), 1)],
        party_id=parties[keys % max(len(parties), 1)],
        amounts_minor=amounts,
    )


def check_ties(aging: Mapping[str, int], control: Mapping[str, int], as_of: date) -> None:
    """Refuse the list unless it equals the control account, for each account of either side.

    Parameters
    ----------
    aging : øre per account, summed from the open items.
    control : øre per account, summed from the journal.

    Raises
    ------
    DoesNotTie : names both numbers of each account that differs.
    """
    broken = [
        (account, aging.get(account, 0), control.get(account, 0))
        for account in sorted(aging.keys() | control.keys())
        if aging.get(account, 0) != control.get(account, 0)
    ]
    if not broken:
        return
    told = "; ".join(
        f"account {account}: open items {format_amount(left)}, journal {format_amount(right)}"
        for account, left, right in broken
    )
    raise DoesNotTie(
        f"The aging list of {as_of} does not equal the control accounts ({told}). "
        "Run `hovedbok ledger verify` to find the entry.",
        as_of=as_of.isoformat(),
        accounts=[
            {"account": account, "aging": format_amount(left), "control": format_amount(right)}
            for account, left, right in broken
        ],
    )


def _check_columns(items: Items) -> None:
    lengths = {
        len(items.party_id), len(items.account), len(items.due_date), len(items.outstanding_minor)
    }  # fmt: skip
    if len(lengths) != 1:
        raise Invalid("The columns of open items differ in length.", lengths=sorted(lengths))
    if items.outstanding_minor.dtype != np.int64:
        raise Invalid("Amounts must be int64.", dtype=str(items.outstanding_minor.dtype))
