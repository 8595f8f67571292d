"""The allowances of a tariff as columns, in the one order in which every event uses them.

The order is priority, then place in the file. A shared allowance may stand in several offerings:
each subscription brings what its own offering states (a member may bring nothing), and all use the
sum. Layers let one pass serve many allowances: an offering has at most one allowance in a layer,
and its layers follow the order.

What rolled over from months before, and what is bought beside, are allowances of their own here,
next to the one that they belong to: what rolled over, the oldest first, before or after it as its
terms say, what was bought directly behind it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from rating.clock import Clock, midnight
from rating.drawing import NO_CAP
from rating.faults import did_you_mean
from rating.tariff_terms import ACCOUNT, Allowance, Offering, Tariff
from rating.usage import Bool, Int32, Int64

_ALWAYS, _NEVER = -(2**62), 2**62

# What an allowance of the columns is, beside how many months ago its quantity was included.
OWN, BOUGHT = 0, -1


@dataclass(frozen=True, slots=True, eq=False)
class Included:
    """One row an allowance, in order of use."""

    ids: tuple[str, ...]
    quantity: Int64  # what the first offering that states it includes
    money: Bool
    increment: Int64
    shared: Bool
    stated: Bool  # the grant is in the counters: prorated, shared, or what is left rolls over
    cap: Int64  # of each member, NO_CAP where none
    valid_from: Int64  # UTC epoch seconds, [from, to)
    valid_to: Int64
    layer: Int32
    of: Int32  # the allowance that it belongs to: itself, but for what rolled over or was bought
    age: Int32  # OWN, BOUGHT, or from how many months ago it rolled over
    rollover_micro: Int64  # per cent of what is left that rolls over, x 10**6
    rollover_most: Int64  # units at most, NO_CAP where all of it
    rollover_months: Int64  # that it serves

    def layers_of(self, offering: Offering, component: str) -> list[int]:
        """Give the allowances that events of a component of an offering may use, by layer."""
        found = [-1] * int(self.layer.max(initial=-1) + 1)
        for allowance in offering.allowances:
            if component in allowance.components:
                for index in np.flatnonzero(self.of == self.ids.index(allowance.id)).tolist():
                    found[self.layer[index]] = index
        return found


def included_in(tariff: Tariff, clock: Clock, ticks: int = 1) -> Included:
    """Lay out the allowances of a tariff. `ticks` of the clock of events make a second."""
    terms: dict[str, Allowance] = {}
    for allowance in (a for offering in tariff.offerings for a in offering.allowances):
        terms.setdefault(allowance.id, allowance)
    by_priority = sorted(terms.values(), key=lambda a: a.priority)
    topped_up = {top_up.allowance for offering in tariff.offerings for top_up in offering.top_ups}
    placed = [(a, age) for a in by_priority for age in _ages(a, bought=a.id in topped_up)]
    ordered, ages = [a for a, _ in placed], [age for _, age in placed]
    names = [name_at(a.id, age) for a, age in placed]

    def instant(day: date | None, absent: int) -> int:
        return absent if day is None else midnight(clock, day) * ticks

    return Included(
        ids=tuple(names),
        quantity=np.array([0 if age else a.quantity for a, age in placed], np.int64),
        money=np.array([a.money for a in ordered], np.bool_),
        increment=np.array([a.increment for a in ordered], np.int64),
        shared=np.array([a.shared for a in ordered], np.bool_),
        stated=np.array([not age and _is_stated(a) for a, age in placed], np.bool_),
        cap=np.array(
            [NO_CAP if a.member_cap is None or age else a.member_cap for a, age in placed], np.int64
        ),
        valid_from=np.array([instant(a.valid_from, _ALWAYS) for a in ordered], np.int64),
        valid_to=np.array([instant(a.valid_to, _NEVER) for a in ordered], np.int64),
        layer=_layers(tariff, [a.id for a in ordered]),
        of=np.array([names.index(a.id) for a in ordered], np.int32),
        age=np.array(ages, np.int32),
        rollover_micro=np.array([a.rollover_micro for a in ordered], np.int64),
        rollover_most=np.array(
            [NO_CAP if a.rollover_most is None else a.rollover_most for a in ordered], np.int64
        ),
        rollover_months=np.array([a.rollover_months for a in ordered], np.int64),
    )


def name_at(allowance: str, age: int) -> str:
    """Name what belongs to an allowance: its own, BOUGHT, or rolled over some months ago.

    >>> name_at("data", OWN), name_at("data", BOUGHT), name_at("data", 2)
    ('data', 'data/top-up', 'data/rollover-2')
    """
    if age == OWN:
        return allowance
    return f"{allowance}/top-up" if age == BOUGHT else f"{allowance}/rollover-{age}"


def _ages(allowance: Allowance, *, bought: bool) -> list[int]:
    """List what belongs to an allowance, in order of use."""
    rolled = list(range(allowance.rollover_months, 0, -1)) if allowance.rollover_micro else []
    own = [OWN, BOUGHT] if bought else [OWN]
    return [*rolled, *own] if allowance.rollover_first else [*own, *rolled]


def _is_stated(allowance: Allowance) -> bool:
    """Say whether the counters must tell the grant; what nobody used can only roll over so."""
    return allowance.shared or allowance.prorate or allowance.rollover_micro > 0


def _layers(tariff: Tariff, ids: list[str]) -> Int32:
    """Put each allowance into the first layer behind all that its offerings use before it.

    `ids` holds the name of an allowance once for itself and once for each that belongs to it.
    """
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
    yield from _wrong_names(tariff, first)


def _wrong_names(tariff: Tariff, allowances: Mapping[str, Allowance]) -> Iterator[str]:
    """Find top-ups of nothing, and allowances called as what belongs to another is."""
    for number, offering in enumerate(tariff.offerings, 1):
        for place, top_up in enumerate(offering.top_ups, 1):
            where = f"offering[{number}].top_up[{place}].allowance"
            topped = allowances.get(top_up.allowance)
            if topped is None:
                near = did_you_mean(top_up.allowance, allowances)
                yield f"{where}: there is no allowance {top_up.allowance!r}{near}"
            elif topped.money:
                yield f"{where}: {topped.id} is money; a top-up adds seconds, messages or octets"
        for place, allowance in enumerate(offering.allowances, 1):
            for other in allowances.values():
                ages = (age for age in _ages(other, bought=True) if age)
                if allowance.id in {name_at(other.id, age) for age in ages}:
                    yield (
                        f"offering[{number}].allowance[{place}].id: {allowance.id} is what "
                        f"belongs to allowance {other.id} is called; choose another"
                    )


def _contradictions(where: str, allowance: Allowance, offering: Offering) -> Iterator[str]:
    if allowance.money and (allowance.increment or allowance.member_cap is not None):
        yield f"{where}.amount: money is not debited in increments and has no member_cap"
    if allowance.member_cap is not None and not allowance.shared:
        yield f"{where}.member_cap: only what is shared is capped per member"
    if allowance.scope != ACCOUNT and not allowance.shared:
        yield f"{where}.scope: only what is shared has one"
    if {other.scope for other in offering.allowances if other.shared} - {allowance.scope} and (
        allowance.shared
    ):
        yield f"{where}.scope: what an offering shares is all shared by account or all by agreement"
    if allowance.rollover_micro and allowance.member_cap is not None:
        yield f"{where}.rollover: what is capped per member does not roll over"
    if allowance.money and allowance.rollover_most is not None:
        yield f"{where}.rollover_most: counts units; money rolls over by its percentage alone"
    if allowance.valid_from and allowance.valid_to and allowance.valid_to <= allowance.valid_from:
        yield f"{where}.valid_to: must be later than valid_from"
    if allowance.money and any(
        rate.whole_step and rate.component in allowance.components for rate in offering.rates
    ):
        yield f"{where}.amount: money cannot pay for parts of a price by whole steps"
