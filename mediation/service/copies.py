"""Earlier records of the same days, fetched for the search for copies: those that could be meant.

Every file leaves a block of its record keys in the vault. A day has many files, so the blocks are
not laid end to end and sorted anew for each of them: a sorted half of each block stays at hand, and
only a block that shares a key with the file is read in full.
"""

from collections import OrderedDict
from io import BytesIO

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.vault import Vault
from mediation.records import Int64
from mediation.screening import KeyBlock, meets
from mediation.usage_files import read_key_halves, read_keys

_ROWS_AT_HAND = 8_000_000  # 64 MB
_SAME_DAYS = text(
    "SELECT file_id, keys_sha256 FROM source_file"
    " WHERE keys_sha256 IS NOT NULL AND first_day <= :last AND last_day >= :first"
    " AND file_id NOT IN (SELECT file_id FROM file_reversal)"
    # A file with one late record spans a month; it asks only for the days that it has.
    " AND EXISTS (SELECT FROM unnest(CAST(:days AS integer[])) AS d"
    " WHERE d BETWEEN first_day AND last_day)"
    " ORDER BY file_id"
)


def earlier_keys(session: Session, store: Vault, days: Int64, keys: Int64) -> KeyBlock:
    """Give what earlier files hold under the keys of a file.

    Parameters
    ----------
    days : UTC days since 1970 on which the file has records, in any order.
    keys : (n, 2) keys of its records.

    Raises
    ------
    VaultCorrupt : a block was changed since it was put; no copy could be told from a new record.
    """
    asked = np.unique(days).tolist()
    if not asked:
        return KeyBlock.none()
    found = session.execute(_SAME_DAYS, {"days": asked, "first": asked[0], "last": asked[-1]}).all()
    sought = np.unique(keys[:, 0])
    blocks = []
    for row in found:
        if meets(_at_hand.halves(store, row.keys_sha256), sought):
            block = read_keys(BytesIO(store.get(row.keys_sha256)), row.file_id)
            blocks.append(block.only(np.isin(block.keys[:, 0], sought)))
    return KeyBlock.join(blocks)


class _Shelf:
    """Sorted key halves by the hash of their block; those not used for longest make room.

    Blocks never change, and `lock_feed` lets one file at a time through, so nothing is guarded.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows = 0
        self._kept: OrderedDict[str, Int64] = OrderedDict()

    def halves(self, store: Vault, sha256: str) -> Int64:
        """Give the first halves of a block's keys, ascending."""
        known = self._kept.get(sha256)
        if known is not None:
            self._kept.move_to_end(sha256)
            return known
        made = np.sort(read_key_halves(BytesIO(store.get(sha256))))
        self._kept[sha256] = made
        self._rows += len(made)
        while self._rows > self._limit and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._rows -= len(oldest)
        return made


_at_hand = _Shelf(_ROWS_AT_HAND)
