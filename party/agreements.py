"""Who had a number, an offering and a payer at an instant: sorted intervals, found by bisection.

All intervals are half-open, [from, to), in UTC seconds. A number that was given to another
subscription never carries the earlier holder over: between two intervals there is nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ledger.errors import Invalid

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

NOBODY = -1
FOREVER = 2**62  # the `to` of an interval that lasts. [UTC s]
_SPAN = 2**34  # instants from 1970 to 2514 fit. [s]


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Intervals per key, in order of (key, from); those of one key do not overlap."""

    keys: Int64  # (k,) the distinct keys, ascending
    order: Int64  # (n,) position of the key * 2**34 + from
    start: Int64  # (n,) UTC s
    end: Int64  # (n,) UTC s, exclusive; FOREVER while it lasts
    value: Int64  # (n,) what holds in the interval

    @classmethod
    def of(cls, key: Int64, start: Int64, end: Int64, value: Int64) -> "Intervals":
        """Sort intervals; empty ones fall away.

        Parameters
        ----------
        key, start, end, value : (n,) int64, in any order. `start` and `end` in UTC s.

        Raises
        ------
        Invalid : an interval starts before 1970 or after 2514, or two of a key overlap.
        """
        kept = start < end
        key, start, end, value = key[kept], start[kept], end[kept], value[kept]
        if len(start) and not (start.min() >= 0 and start.max() < _SPAN):
            raise Invalid("An interval does not start between 1970 and 2514.")
        keys, place = np.unique(key, return_inverse=True)
        order = place.astype(np.int64) * _SPAN + start
        by = np.argsort(order, kind="stable")
        key, order, start, end, value = key[by], order[by], start[by], end[by], value[by]
        clash = np.flatnonzero((key[1:] == key[:-1]) & (start[1:] < end[:-1]))
        if len(clash):
            raise Invalid(f"Two intervals of {key[clash[0]]} overlap.", key=int(key[clash[0]]))
        return cls(keys, order, start, end, value)

    def at(self, keys: Int64, instants: Int64) -> Int64:
        """Give what holds for each key at each instant, `NOBODY` where nothing does.

        Parameters
        ----------
        keys, instants : (n,) int64; instants in UTC s.
        """
        if not len(self.start):
            return np.full(len(keys), NOBODY, np.int64)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        sought = place * _SPAN + np.clip(instants, 0, _SPAN - 1)
        row = np.maximum(np.searchsorted(self.order, sought, side="right") - 1, 0)
        holds = (
            (self.keys[place] == keys)
            & (self.order[row] // _SPAN == place)
            & (self.start[row] <= instants)
            & (instants < self.end[row])
        )
        found: Int64 = np.where(holds, self.value[row], NOBODY)
        return found


NO_INTERVALS = Intervals.of(*(np.empty(0, np.int64) for _ in range(4)))


@dataclass(slots=True, eq=False)
class Agreements:
    """All agreements at once, as mediation asks for them."""

    identifiers: Mapping[str, Intervals]  # by kind: imsi, msisdn, iccid
    offerings: Intervals  # by subscription: code into offering_names
    payers: Intervals  # by subscription: billing account
    offering_names: tuple[str, ...]

    def find(self, kind: str, values: Int64, instants: Int64) -> Int64:
        """Give the subscription that held each number at each instant, -1 for none.

        Parameters
        ----------
        kind : imsi, msisdn or iccid; a kind that nobody has finds nobody.
        values : (n,) int64; an ICCID as `identifiers.encode_iccid` gives it.
        instants : (n,) int64. [UTC s]
        """
        return self.identifiers.get(kind, NO_INTERVALS).at(values, instants)

    def offerings_at(self, subscription_ids: Int64, instants: Int64) -> Int32:
        """Give the code of each subscription's offering at each instant, -1 for none."""
        return self.offerings.at(subscription_ids, instants).astype(np.int32)

    def payers_at(self, subscription_ids: Int64, instants: Int64) -> Int64:
        """Give the billing account that pays at each instant, -1 for none."""
        return self.payers.at(subscription_ids, instants)
