"""Rating again what was rated: late and corrected events, other prices, other grants. Pure.

A snapshot is all that a result depends on: events, tariff book, counters in. Of two snapshots only
the pools that differ are rated again, in full, since whoever shares a pool may be served otherwise.
The old snapshot must first give the result that was booked; only then do the differences count.
Booking them and rating the new snapshot again gives nothing.

Source: docs/decisions.md, "Rating and charges".
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.errors import DoesNotTie, Invalid
from rating.allowances import Counters
from rating.charges import sum_by_key
from rating.ordering import distinct, matched, rising
from rating.pipeline import Rated, rate
from rating.tariff import TariffBook
from rating.top_ups import TopUps
from rating.usage import NO_PRICE, NO_SERVICE, Bool, Int16, Int64, UsageBatch
from rating.versions import RatedVersions

Names = NDArray[np.str_]

_TOLD = 5  # differences that a refusal names
_FEW = 8  # words that are found one by one sooner than by a search
# What a column that was left out says of its events, where that is not zero.
_ABSENT = {"service": NO_SERVICE, "price_micro": NO_PRICE, "currency": -1}


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What a result is a function of.

    Codes of subscriptions, pools and charges are the caller's and mean the same in all snapshots.
    """

    batch: UsageBatch
    book: TariffBook
    counters: Counters  # before the first event: what is granted
    charge: Int64  # (n,) the charge that each event belongs to
    top_ups: TopUps | None = None  # what was bought


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What was booked of each event, in order of event keys."""

    event_key: Int64
    charge: Int64
    component: Names  # "" where suspended
    amount_micro: Int64
    quantity: Int64
    free_quantity: Int64
    billed_units: Int64
    reason: Int16

    def __len__(self) -> int:
        return len(self.event_key)

    def take(self, rows: Int64 | Bool) -> "Result":
        """Select events, by index array or mask."""
        if rows.dtype == np.bool_:
            if rows.all():
                return self
            rows = np.flatnonzero(rows)
        return Result(*(getattr(self, column.name)[rows] for column in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """What is to be booked: one row a charge and component whose sums change."""

    charge: Int64
    component: Names
    micro: Int64
    events: Int64
    quantity: Int64
    free_quantity: Int64
    event_key: Int64  # the events whose own result changes, ascending
    rated_again: int  # events of the pools concerned
    after: Result  # the whole new result

    def __len__(self) -> int:
        return len(self.charge)


def result_of(rated: Rated, snapshot: Snapshot) -> Result:
    """Write a rating as it is booked, in order of event keys."""
    order = rising(snapshot.batch.event_key)
    names = np.array([*snapshot.book.components, ""])
    return Result(
        event_key=snapshot.batch.event_key[order],
        charge=snapshot.charge[order],
        component=names[rated.component[order]],
        amount_micro=rated.amount_micro[order],
        quantity=snapshot.batch.quantity[order],
        free_quantity=rated.free_quantity[order],
        billed_units=rated.billed_units[order],
        reason=rated.reason[order],
    )


def result_of_versions(rated: RatedVersions, batch: UsageBatch, charge: Int64) -> Result:
    """Write a month that several versions priced as it is booked, in order of event keys.

    Parameters
    ----------
    batch : all events, in the order of the rows that the parts name.
    """
    order = rising(batch.event_key)
    return Result(
        event_key=batch.event_key[order],
        charge=charge[order],
        component=rated.names("component")[order],
        quantity=batch.quantity[order],
        **{
            name: rated.column(name)[order]
            for name in ("amount_micro", "free_quantity", "billed_units", "reason")
        },
    )


def rerate(old: Snapshot, booked: Result, new: Snapshot) -> Correction:
    """Compare what was booked with what the new snapshot gives.

    Raises
    ------
    DoesNotTie : the old snapshot does not give what was booked; nothing may be posted.
    Invalid : what was booked is not of the events of the old snapshot.
    """
    order = rising(old.batch.event_key)
    if not np.array_equal(old.batch.event_key[order], booked.event_key):
        raise Invalid("What was booked is not of the events of the old snapshot.")
    old_rows, new_rows = affected(old, new)
    concerned = np.zeros(len(booked), np.bool_)
    concerned[old_rows] = True
    concerned = concerned[order]
    before = booked.take(concerned)
    _reproduce(_rate(old, old_rows), before)
    after = _rate(new, new_rows)
    return _differences(before, after, _join(booked.take(~concerned), after))


def compare(again: Result, booked: Result, after: Result) -> Correction:
    """Compare what was booked with a new result, both of a whole month, whatever priced them.

    Parameters
    ----------
    again : the past, repeated.
    after : the new result.

    Raises
    ------
    DoesNotTie : the past cannot be repeated; nothing may be posted.
    Invalid : what was booked is not of the events that were repeated.
    """
    if not np.array_equal(again.event_key, booked.event_key):
        raise Invalid("What was booked is not of the events of the old snapshot.")
    _reproduce(again, booked)
    return _differences(booked, after, after)


def affected(old: Snapshot, new: Snapshot) -> tuple[Int64, Int64]:
    """Give the rows of both snapshots that lie in a pool in which anything differs."""
    label_old, label_new = _labels(old, new)
    changed_old, changed_new = _changed_events(old, new)
    regranted = _regranted(old, new, (label_old, label_new))
    touched = np.unique(np.concatenate([label_old[changed_old], label_new[changed_new], regranted]))
    return (
        np.flatnonzero(np.isin(label_old, touched)),
        np.flatnonzero(np.isin(label_new, touched)),
    )


def _rate(snapshot: Snapshot, rows: Int64) -> Result:
    part = snapshot
    if len(rows) < len(snapshot.batch):
        part = replace(snapshot, batch=snapshot.batch.take(rows), charge=snapshot.charge[rows])
    return result_of(rate(part.batch, part.book, part.counters, top_ups=part.top_ups), part)


def _reproduce(again: Result, before: Result) -> None:
    """Refuse to go on where the past cannot be repeated."""
    for column in fields(Result):
        wrong = np.flatnonzero(getattr(again, column.name) != getattr(before, column.name))
        if len(wrong):
            told = "; ".join(
                f"Event {int(before.event_key[row])} was booked with {column.name} "
                f"{getattr(before, column.name)[row]}, the old tariff and counters give "
                f"{getattr(again, column.name)[row]}"
                for row in wrong[:_TOLD].tolist()
            )
            raise DoesNotTie(
                f"{told}. {len(wrong)} events differ; nothing is rated again until they agree.",
                event_key=int(before.event_key[wrong[0]]), differing=len(wrong),
            )  # fmt: skip


def _changed_events(old: Snapshot, new: Snapshot) -> tuple[Bool, Bool]:
    """Mark the events that are gone, new, corrected or sold by terms that changed."""
    at_old, at_new = matched(old.batch.event_key, new.batch.event_key)
    differs = np.zeros(len(old.batch.event_key[at_old]), np.bool_)
    for left, right in _columns(old, new):
        differs |= left[at_old] != right[at_new]
    if old.book is not new.book:
        same_terms = _same_terms(old.book, new.book)
        offering = old.batch.offering[at_old]
        sold = (offering >= 0) & (offering < len(same_terms))
        differs |= ~np.where(sold, same_terms[np.where(sold, offering, 0)], False)
    changed_old = np.ones(len(old.batch), np.bool_)
    changed_new = np.ones(len(new.batch), np.bool_)
    changed_old[at_old], changed_new[at_new] = differs, differs
    return changed_old, changed_new


def _columns(old: Snapshot, new: Snapshot) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Pair the columns that say what an event is; an offering is known by its name."""
    names = (*old.book.offerings, *new.book.offerings)
    pairs = [(old.charge, new.charge), (_offerings(old, names), _offerings(new, names))]
    for column in fields(UsageBatch):
        left, right = getattr(old.batch, column.name), getattr(new.batch, column.name)
        if column.name == "offering" or (left is None and right is None):
            continue
        absent = _ABSENT.get(column.name, 0)
        pairs.append((
            np.full(len(old.batch), absent, right.dtype) if left is None else left,
            np.full(len(new.batch), absent, left.dtype) if right is None else right,
        ))  # fmt: skip
    return pairs


def _offerings(snapshot: Snapshot, names: tuple[str, ...]) -> Int64:
    """Give the offering of each event as its first place among names, -1 where it is none."""
    places = np.array([*(names.index(name) for name in snapshot.book.offerings), -1])
    code = snapshot.batch.offering
    return places[np.where((code >= 0) & (code < len(places) - 1), code, len(places) - 1)]


def _same_terms(old: TariffBook, new: TariffBook) -> Bool:
    """Say of each offering of the old book whether the new one sells it on the same terms."""
    if old.content_hash == new.content_hash:
        return np.ones(max(len(old.offerings), 1), np.bool_)
    rest = {column.name for column in fields(old.tariff)} - {"offerings", "version", "name"}
    common = all(getattr(old.tariff, name) == getattr(new.tariff, name) for name in rest)
    terms = {offering.id: offering for offering in new.tariff.offerings}
    same = [common and terms.get(offering.id) == offering for offering in old.tariff.offerings]
    return np.array(same or [False], np.bool_)


def _labels(old: Snapshot, new: Snapshot) -> tuple[Int64, Int64]:
    """Label the events of both: equal where they may draw on one balance, directly or by others.

    Subscriptions and pools are two sides of a graph, each event an edge; the label is the lowest
    subscription that is reached. It is spread along the edges until nothing changes.
    """
    shares = bool(old.book.included.shared.any() or new.book.included.shared.any())
    subscription = np.concatenate([old.batch.subscription, new.batch.subscription])
    pools = [_pools(old, shares=shares), _pools(new, shares=shares)]
    _, who = distinct(subscription)
    _, where = distinct(np.concatenate(pools))
    label = np.arange(who.max(initial=-1) + 1)
    while True:
        lowest = np.full(where.max(initial=-1) + 1, len(label))
        np.minimum.at(lowest, where, label[who])
        spread = label.copy()
        np.minimum.at(spread, who, lowest[where])
        if np.array_equal(spread, label):
            break
        label = spread
    every = label[who]
    return every[: len(old.batch)], every[len(old.batch) :]


def _pools(snapshot: Snapshot, *, shares: bool) -> Int64:
    """Give the pool of each event; who shares nothing is a pool of his own."""
    pool = snapshot.batch.pool if shares else None
    own = snapshot.batch.subscription
    # Above the pools' codes, so that the two do not meet.
    return own.astype(np.int64) + 2**32 if pool is None else pool.astype(np.int64)


def _regranted(old: Snapshot, new: Snapshot, labels: tuple[Int64, Int64]) -> Int64:
    """Give the labels of those whose counters differ before the first event."""
    before, after = _grants(old), _grants(new)
    owners = {
        (shared, owner)
        for shared, owner, name, month in before.keys() | after.keys()
        if before.get((shared, owner, name, month)) != after.get((shared, owner, name, month))
    }
    found: list[Int64] = []
    for snapshot, label in zip((old, new), labels, strict=True):
        for shared in (False, True):
            codes = [owner for common, owner in owners if common == shared]
            column = snapshot.batch.pool if shared else None
            column = snapshot.batch.subscription if column is None else column
            found.append(label[np.isin(column, codes)])
    return np.unique(np.concatenate(found))


def _grants(snapshot: Snapshot) -> dict[tuple[bool, int, str, int], tuple[int, ...]]:
    """Name what each pool begins with: its counters, or what it buys and when."""
    counters, book = snapshot.counters, snapshot.book
    count = len(book.allowances)
    columns = zip(*(getattr(counters, n).tolist() for n in Counters.__slots__), strict=True)
    bought: dict[tuple[bool, int, str, int], tuple[int, ...]] = {}
    top_ups = snapshot.top_ups or TopUps.none()
    rows = zip(*(getattr(top_ups, n).tolist() for n in TopUps.__slots__), strict=True)
    for owner, allowance, month, *one in sorted(rows):
        name = (bool(book.included.shared[allowance]), owner, book.allowances[allowance], month)
        bought[name] = (*bought.get(name, ()), *one)
    return bought | {
        (
            bool(book.included.shared[allowance % count]) and allowance < count, owner,
            f"{book.allowances[allowance % count]}/{allowance // count}", month,
        ): tuple(rest)
        for owner, allowance, month, *rest in columns
    }  # fmt: skip


def _join(one: Result, other: Result) -> Result:
    if not len(one):
        return other
    columns = [
        np.concatenate([getattr(one, column.name), getattr(other, column.name)])
        for column in fields(Result)
    ]
    order = np.argsort(columns[0], kind="stable")
    return Result(*(column[order] for column in columns))


def _differences(before: Result, after: Result, whole: Result) -> Correction:
    """Sum per charge and component what the new result has more than the old one.

    An event whose own result is as it was adds what it takes away: only the others are summed.
    """
    gone, come, event_key = _changed(before, after)
    old, new = before.take(gone), after.take(come)
    names, component = _coded(np.concatenate([old.component, new.component]))
    sound = np.concatenate([old.reason, new.reason]) == 0
    rated = slice(None) if sound.all() else np.flatnonzero(sound)
    charges, at = distinct(np.concatenate([old.charge, new.charge])[rated])
    codes, place = distinct(at * len(names) + component[rated])
    keys = (charges[codes // len(names)], names[codes % len(names)])

    def change(ours: Int64, theirs: Int64) -> Int64:
        summed: Int64 = sum_by_key(place, np.concatenate([-ours, theirs])[rated], len(codes))
        return summed

    columns = [
        change(getattr(old, name), getattr(new, name))
        for name in ("amount_micro", "quantity", "free_quantity")
    ]
    events = change(np.ones(len(old), np.int64), np.ones(len(new), np.int64))
    moved = np.flatnonzero(np.any([events != 0, *(column != 0 for column in columns)], axis=0))
    micro, quantity, free = (column[moved] for column in columns)
    return Correction(
        keys[0][moved], keys[1][moved], micro, events[moved], quantity, free, event_key,
        len(after), whole,
    )  # fmt: skip


def _coded(words: Names) -> tuple[Names, Int64]:
    """Give the different words in order, and the place of each row's among them."""
    found: list[str] = []
    rest = words
    while len(rest) and len(found) <= _FEW:
        found.append(str(rest[0]))
        rest = rest[np.flatnonzero(rest != rest[0])]
    if len(rest):
        names = np.unique(words)
        return names, np.searchsorted(names, words)
    names, codes = np.array(sorted(found), np.str_), np.zeros(len(words), np.int64)
    for number, name in enumerate(names[1:], 1):
        codes[np.flatnonzero(words == name)] = number
    return names, codes


def _changed(before: Result, after: Result) -> tuple[Bool, Bool, Int64]:
    """Mark the events of both whose own result is another, or that come or go; and their keys."""
    at_before, at_after = matched(before.event_key, after.event_key)
    differs = np.zeros(len(before.event_key[at_before]), np.bool_)
    for column in fields(Result):
        differs |= getattr(before, column.name)[at_before] != getattr(after, column.name)[at_after]
    gone, come = np.ones(len(before), np.bool_), np.ones(len(after), np.bool_)
    gone[at_before], come[at_after] = False, differs
    keys = [before.event_key[np.flatnonzero(gone)], after.event_key[np.flatnonzero(come)]]
    gone[at_before] = differs
    return gone, come, np.sort(np.concatenate(keys), kind="stable")
