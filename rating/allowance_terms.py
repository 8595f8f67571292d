"""The allowances of a tariff as columns, in the one order in which every event uses them.

The order is priority, then place in the file. A shared allowance may stand in several offerings:
each subscription brings what its own offering states (a member may bring nothing), and all use the
sum. Layers let one pass serve many allowances: an offering has at most one allowance in a layer,
and its layers follow the order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from rating.clock import Clock, midnight
from rating.drawing import NO_CAP
from rating.tariff_terms import Allowance, Offering, Tariff
from rating.usage import Bool, Int32, Int64

_ALWAYS, _NEVER = -(2**62), 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Included:
    """One row an allowance, in order of use."""

    ids: tuple[str, ...]
    quantity: Int64  # what the first offering that states it includes
    money: Bool
    increment: Int64
    shared: Bool
    stated: Bool  # the grant is in the counters: prorated or shared
    cap: Int64  # of each member, NO_CAP where none
    valid_from: Int64  # UTC epoch seconds, [from, to)
    valid_to: Int64
    layer: Int32

    def layers_of(self, offering: Offering, component: str) -> list[int]:
        """Give the allowances that events of a component of an offering may use, by layer."""
        found = [-1] * int(self.layer.max(initial=-1) + 1)
        for allowance in offering.allowances:
            if component in allowance.components:
                index = self.ids.index(allowance.id)
                found[self.layer[index]] = index
        return found


def included_in(tariff: Tariff, clock: Clock, ticks: int = 1) -> Included:
    """Lay out the allowances of a tariff. `ticks` of the clock of events make a second."""
    terms: dict[str, Allowance] = {}
    for allowance in (a for offering in tariff.offerings for a in offering.allowances):
        terms.setdefault(allowance.id, allowance)
    ordered = sorted(terms.values(), key=lambda a: a.priority)

    def instant(day: date | None, absent: int) -> int:
        return absent if day is None else midnight(clock, day) * ticks

    return Included(
        ids=tuple(a.id for a in ordered),
        quantity=np.array([a.quantity for a in ordered], np.int64),
        money=np.array([a.money for a in ordered], np.bool_),
        increment=np.array([a.increment for a in ordered], np.int64),
        shared=np.array([a.shared for a in ordered], np.bool_),
        stated=np.array([a.shared or a.prorate for a in ordered], np.bool_),
        cap=np.array([NO_CAP if a.member_cap is None else a.member_cap for a in ordered], np.int64),
        valid_from=np.array([instant(a.valid_from, _ALWAYS) for a in ordered], np.int64),
        valid_to=np.array([instant(a.valid_to, _NEVER) for a in ordered], np.int64),
        layer=_layers(tariff, [a.id for a in ordered]),
    )


def _layers(tariff: Tariff, ids: list[str]) -> Int32:
    """Put each allowance into the first layer behind all that its offerings use before it."""
    used = [{a.id for a in offering.allowances} for offering in tariff.offerings]
    free_from = [0] * len(used)
    layers = []
    for name in ids:
        mine = [number for number, names in enumerate(used) if name in names]
        layers.append(max(free_from[number] for number in mine))
        for number in mine:
            free_from[number] = layers[-1] + 1
    return np.array(layers, np.int32)


def wrong_allowances(tariff: Tariff) -> Iterator[str]:
    """Find allowances that contradict themselves or each other."""
    first: dict[str, Allowance] = {}
    for number, offering in enumerate(tariff.offerings, 1):
        names = [allowance.id for allowance in offering.allowances]
        for place, allowance in enumerate(offering.allowances, 1):
            where = f"offering[{number}].allowance[{place}]"
            yield from _contradictions(where, allowance, offering)
            other = first.setdefault(allowance.id, allowance)
            if names.index(allowance.id) < place - 1:
                yield f"{where}.id: allowance {allowance.id} is defined twice"
            elif other is not allowance and not (other.shared and allowance.shared):
                twice = f"allowance {allowance.id} is defined twice"
                yield f"{where}.id: {twice}; only shared ones may be"
            elif replace(other, quantity=0) != replace(allowance, quantity=0):
                yield f"{where}: shared {allowance.id} differs elsewhere in more than its quantity"


def _contradictions(where: str, allowance: Allowance, offering: Offering) -> Iterator[str]:
    if allowance.money and (allowance.increment or allowance.member_cap is not None):
        yield f"{where}.amount: money is not debited in increments and has no member_cap"
    if allowance.member_cap is not None and not allowance.shared:
        yield f"{where}.member_cap: only what is shared is capped per member"
    if allowance.valid_from and allowance.valid_to and allowance.valid_to <= allowance.valid_from:
        yield f"{where}.valid_to: must be later than valid_from"
    if allowance.money and any(
        rate.whole_step and rate.component in allowance.components for rate in offering.rates
    ):
        yield f"{where}.amount: money cannot pay for parts of a price by whole steps"
