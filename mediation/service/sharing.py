"""Who shares allowances: the subscriptions of a billing account, or all under an agreement.

Whose balances are shared is said by one id a pool: that of the billing account, or that of the
topmost agreement below zero, so that the two never meet. A month has one pool from its first day to
its last: agreement and scope are those of its first day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mediation.records import Bool, Int64
from party.service import AgreementsOn
from rating.tariff_terms import AGREEMENT
from rating.versions import InForce


@dataclass(frozen=True, slots=True)
class Pools:
    """What of a month is shared by agreement."""

    offerings: frozenset[str]  # whose shared allowances are
    allowances: frozenset[str]
    agreement: Mapping[int, int]  # the topmost, by billing account

    def of(self, account: Int64, by_agreement: Bool) -> Int64:
        """Give the pool of each row, as an id."""
        if not self.agreement:
            return account
        known = np.array(sorted(self.agreement), np.int64)
        values = np.array([self.agreement[key] for key in known.tolist()], np.int64)
        place = np.minimum(np.searchsorted(known, account), len(known) - 1)
        under = by_agreement & (known[place] == account)
        found: Int64 = np.where(under, -values[place], account)
        return found

    def of_offerings(self, account: Int64, offering: Sequence[str]) -> Int64:
        """Give the pool of accounts, each for an offering."""
        return self.of(account, np.array([name in self.offerings for name in offering], np.bool_))


def pools_of(versions: Sequence[InForce], agreed: AgreementsOn) -> Pools:
    """Say who shares what in a month, by the agreements of its first day."""
    scopes: dict[str, set[str]] = {}
    for one in reversed(versions):  # Of each offering the first version that sells it.
        for offering in one.book.tariff.offerings:
            scopes[offering.id] = {
                each.id for each in offering.allowances if each.scope == AGREEMENT
            }
    offerings = frozenset(name for name, wide in scopes.items() if wide)
    if not offerings:
        return Pools(offerings, frozenset(), {})
    return Pools(offerings, frozenset().union(*scopes.values()), topmost_agreements(agreed))


def topmost_agreements(agreed: AgreementsOn) -> dict[int, int]:
    """Give the topmost agreement of each billing account that is under one."""
    return {
        account: agreed.chain[agreement][-1] for account, agreement in agreed.of_account.items()
    }


def with_pools(usage: pa.Table, pools: Pools) -> pa.Table:
    """Add whose balances each event may draw on, where that is not the account's alone."""
    if not usage.num_rows or not pools.agreement:
        return usage
    offering = usage["offering"].combine_chunks().dictionary_encode()
    wide = np.array([name in pools.offerings for name in offering.dictionary.to_pylist()], np.bool_)
    pool = pools.of(usage["billing_account_id"].to_numpy(), wide[offering.indices.to_numpy()])
    return usage.append_column("pool_id", pa.array(pool))
