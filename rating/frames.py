"""Frame agreements of large customers: what is agreed above holds below, unless it is agreed anew.

An agreement has units, units have units, subscriptions belong to one of them. For each component
the nearest statement wins: the subscription's own, then its unit's, and so on up to the agreement.
"None" is a statement too: there, and below, the list price holds whatever was agreed above. Of the
statements of one place the latest that has begun holds.

Source: reference, mediation and party 3.6 (Agreement); docs/pricing.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ledger.errors import Invalid
from ledger.money import largest_remainder
from rating.dated import day_number, day_of
from rating.rounding import MICRO, Integers, share_of
from rating.usage import Int64

NOT_STATED = -1  # ask above
NONE = 0  # no discount, and nothing is asked above

_HUNDRED_PERCENT = 100 * MICRO


@dataclass(frozen=True, slots=True)
class FrameTerm:
    """What a frame says of one component from a day on."""

    component: str
    percent_micro: int  # off; NONE is the list price
    valid_from: date


@dataclass(frozen=True, slots=True)
class Frame:
    """An agreement, or a unit of one."""

    id: str
    parent: str | None = None
    terms: tuple[FrameTerm, ...] = ()


def inherit(parent: Int64, stated: Int64) -> Int64:
    """Give each place what it states, else what the nearest place above it states.

    Parameters
    ----------
    parent : (n,) the place above, -1 for none.
    stated : (n,) or (n, k) not negative; NOT_STATED where a place says nothing.

    Returns
    -------
    Like `stated`; NOT_STATED where nobody up to the top says anything.

    Raises
    ------
    Invalid : places lie above each other in a circle, or a place above does not exist.
    """
    count = len(parent)
    if count and (int(parent.max()) >= count or int(parent.min()) < -1):
        raise Invalid("A frame lies below one that does not exist.")
    above = np.append(parent, -1)  # the place above the top is no place, whose parent is itself
    found = np.concatenate([stated, np.full((1, *stated.shape[1:]), NOT_STATED, np.int64)])
    # After round r each place knows the nearest statement among 2**r places above it.
    for _ in range(max(count, 1).bit_length() + 1):
        found = np.where(found == NOT_STATED, found[above], found)
        above = above[above]
    if (above >= 0).any():
        raise Invalid(
            f"Frames lie above each other in a circle: {np.flatnonzero(above >= 0)[:5].tolist()}."
        )
    inherited: Int64 = found[:-1]
    return inherited


def frame_percents(frames: Sequence[Frame], components: Sequence[str], day: date) -> Int64:
    """Give what each frame takes off each component on a day: (frames, components).

    Returns
    -------
    Millionths of a per cent; NOT_STATED where nothing is agreed.
    """
    place = {frame.id: number for number, frame in enumerate(frames)}
    parent = np.array(
        [-1 if frame.parent is None else place[frame.parent] for frame in frames], np.int64
    )
    stated = np.full((len(frames), len(components)), NOT_STATED, np.int64)
    column = {name: number for number, name in enumerate(components)}
    for number, frame in enumerate(frames):
        for term in sorted(frame.terms, key=lambda each: each.valid_from):
            if term.valid_from <= day:
                stated[number, column[term.component]] = term.percent_micro
    return inherit(parent, stated)


def percents_at(
    frames: Sequence[Frame], components: Sequence[str], frame: Int64, component: Int64, day: Int64
) -> Int64:
    """Give what frames take off components on days. [millionths of a per cent]

    Parameters
    ----------
    frame, component : (n,) indices into `frames` and `components`; a frame of -1 is none.
    day : (n,) local days since 1970.
    """
    begins = _begins(frames)
    period = np.searchsorted(np.array(begins, np.int64), day, side="right")
    found = np.full(len(day), NONE, np.int64)
    for number in np.unique(period).tolist():
        rows = np.flatnonzero((period == number) & (frame >= 0))
        since = day_of(begins[number - 1]) if number else date.min
        percents = frame_percents(frames, components, since)
        found[rows] = np.maximum(percents[frame[rows], component[rows]], NONE)
    return found


def parts_by_percent(
    frames: Sequence[Frame], components: Sequence[str], frame: int, component: int, amount: int,
    days: tuple[int, int],
) -> dict[int, int]:  # fmt: skip
    """Cut the price of some days by what a frame takes off it on each of them.

    Parameters
    ----------
    days : local days [from, to) since 1970, over which the amount is spread evenly.

    Returns
    -------
    by per cent in millionths, the part of the amount; the parts are the amount.
    """
    begin, end = days[0], max(days[1], days[0] + 1)
    cuts = [begin, *(day for day in _begins(frames) if begin < day < end), end]
    spans = np.diff(cuts).tolist()
    percents = percents_at(
        frames, components, np.full(len(spans), frame), np.full(len(spans), component),
        np.array(cuts[:-1], np.int64),
    )  # fmt: skip
    sums: dict[int, int] = {}
    parts = largest_remainder(amount, spans)
    for percent, part in zip(percents.tolist(), parts, strict=True):
        sums[percent] = sums.get(percent, 0) + part
    return sums


def _begins(frames: Sequence[Frame]) -> list[int]:
    """List the days on which a term of any frame begins."""
    return sorted({day_number(term.valid_from) for frame in frames for term in frame.terms})


def frame_discounts(
    amount: Integers, component: Int64, frame: Int64, percents: Int64,
    own: Int64 | None = None,
) -> Integers:  # fmt: skip
    """Give what frames take off amounts.

    Parameters
    ----------
    amount : (n,) int64 of either sign; a refund takes its discount back. [currency units]
    component, frame : (n,) columns and rows of `percents`; a frame of -1 is none.
    own : (n,) what the subscription itself has agreed, NOT_STATED for nothing.

    Returns
    -------
    (n,) int64, to be subtracted; rounded half away from zero. [currency units]
    """
    wide = np.concatenate([percents, np.full((1, percents.shape[1]), NOT_STATED, np.int64)])
    percent = wide[frame, component]
    if own is not None:
        percent = np.where(own == NOT_STATED, percent, own)
    return share_of(amount, np.maximum(percent, NONE), _HUNDRED_PERCENT)
