"""Partial records: parts of one call or session, merged when the chain is whole.

A chain runs from sequence 1 without a hole to a part whose cause says that it was the last. A
sequence of 1 begins a new chain, so a reference that the network uses again does not join two
calls. What is not whole is held, and nothing of it is billed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediation.policy import Policy
from mediation.records import DATA, Columns, Int64
from mediation.screening import mix, name_code

_SEED = 0x452821E638D01377

NO_CHAIN = -1


@dataclass(frozen=True, slots=True, eq=False)
class Chains:
    """Which chain each part belongs to; the number is the row of the chain's first part."""

    first: Int64  # (n,) row of the first part where the chain is whole, NO_CHAIN where held


def is_partial(columns: Columns) -> NDArray[np.bool_]:
    """Tell the rows that are parts: their record carries a place in a chain."""
    partial: NDArray[np.bool_] = columns["chain_seq"] >= 0
    return partial


def is_last(columns: Columns, policy: Policy) -> NDArray[np.bool_]:
    """Tell the parts after which nothing follows, by the cause of closing."""
    packet = columns["kind"] == DATA
    open_packet = np.isin(columns["cause"], policy.partial_causes_packet)
    open_circuit = np.isin(columns["cause"], policy.partial_causes_circuit)
    return ~np.where(packet, open_packet, open_circuit)


def chain_keys(columns: Columns, nodes: tuple[str, ...]) -> Int64:
    """Name the chain of each row: kind, node, reference and subscriber, in 64 bits."""
    node_codes = np.array([name_code(node) for node in nodes], np.int64)
    return mix(
        _SEED, columns["kind"], node_codes[columns["node"]], columns["chain_id"], columns["imsi"]
    )


def find_chains(key: Int64, started_at: Int64, seq: Int64, last: NDArray[np.bool_]) -> Chains:
    """Find the whole chains among parts.

    Parameters
    ----------
    key : (n,) from `chain_keys`.
    started_at : (n,) UTC epoch seconds.
    seq : (n,) place in the chain, from 1.
    last : (n,) from `is_last`.
    """
    count = len(key)
    if not count:
        return Chains(np.zeros(0, np.int64))
    order = np.lexsort((seq, started_at, key))
    k, s, end = key[order], seq[order], last[order]
    begins = np.ones(count, np.bool_)
    begins[1:] = (k[1:] != k[:-1]) | (s[1:] == 1)
    starts = np.flatnonzero(begins)
    group = np.cumsum(begins) - 1
    place = np.arange(count) - starts[group] + 1
    sizes = np.diff(np.append(starts, count))
    in_order = np.minimum.reduceat(s == place, starts)
    # The last part, and no other, says that nothing follows.
    ends_well = end[starts + sizes - 1] & (np.add.reduceat(end.astype(np.int64), starts) == 1)
    whole = in_order & ends_well
    first = np.full(count, NO_CHAIN, np.int64)
    first[order] = np.where(whole[group], order[starts][group], NO_CHAIN)
    return Chains(first)
