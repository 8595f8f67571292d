"""What frames take off usage and monthly prices, as charges of their own.

A frame is that of the account's agreement, or the nearest above it that the tariff has a frame for,
and otherwise that of the offering. Its terms hold by the day: an event has those of its local day
in the version that priced it, a monthly price those of each day it is for. Amounts of one frame at
one percentage are summed before they are rounded, whichever version they come from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mediation.charging import FRAME, ONE_OFF, Found, Month, Owed, Payer, Setting, charge_key
from mediation.records import Int64
from party.service import AgreementsOn
from rating.charges import sum_by_key
from rating.clock import local_days
from rating.flat_codes import frame_code
from rating.frames import frame_discounts, parts_by_percent, percents_at
from rating.tariff import TariffBook
from rating.usage import Int32, Reason
from rating.versions import RatedPart


@dataclass(frozen=True, slots=True)
class _Place:
    """What is reduced together: one frame, one percentage, under one charge."""

    account: int
    subscription: int
    component: str
    basis: str
    frame: str
    percent_micro: int


def frames_at(
    book: TariffBook, account: Int64, offering: Int32, agreed: AgreementsOn
) -> Int64:  # fmt: skip
    """Give the frame of each row, an index into the tariff's, -1 for none."""
    place = {frame.id: number for number, frame in enumerate(book.tariff.frames)}
    sold = [
        -1 if each.frame is None else place[each.frame] for each in book.tariff.offerings
    ]  # fmt: skip
    by_offering = np.array([*sold, -1], np.int64)[offering]
    accounts, of = np.unique(account, return_inverse=True)
    own = np.array(
        [_own_frame(int(one), place, agreed) for one in accounts.tolist()], np.int64
    )  # fmt: skip
    mine = own[of.ravel()] if len(accounts) else np.zeros(0, np.int64)
    found: Int64 = np.where(mine >= 0, mine, by_offering)
    return found


def _own_frame(account: int, place: Mapping[str, int], agreed: AgreementsOn) -> int:
    chain = agreed.chain.get(agreed.of_account.get(account, 0), ())
    named = [place[agreed.names[one]] for one in chain if agreed.names[one] in place]
    return named[0] if named else -1


def charge_usage_frames(
    month: Month, parts: Sequence[RatedPart], setting: Setting, subscription: Int64, payer: Int64,
    payers: Mapping[int, Payer], agreed: AgreementsOn, found: Found,
) -> None:  # fmt: skip
    """Take what frames take off usage, each event by the terms of its day.

    Parameters
    ----------
    parts : the events of each version. `subscription`, `payer` : of all events, ids.
    """
    sums: dict[_Place, int] = {}
    books: dict[str, TariffBook] = {}
    for part in parts:
        if part.book.tariff.frames:
            books |= dict.fromkeys(part.book.components, part.book)
            for place, micro in _usage_of(part, subscription, payer, agreed).items():
                sums[place] = sums.get(place, 0) + micro
    for place in sorted(sums, key=repr):
        _add(books[place.component], setting, payers, place, sums[place], month, found)


def _usage_of(
    part: RatedPart, subscription: Int64, payer: Int64, agreed: AgreementsOn
) -> dict[_Place, int]:
    """Sum a version's events by what is reduced together."""
    book, batch, rated = part.book, part.batch, part.rated
    rows = np.flatnonzero(rated.reason == Reason.OK)
    account = payer[part.rows[rows]]
    frame = frames_at(book, account, batch.offering[rows], agreed)
    component = rated.component[rows].astype(np.int64)
    day = local_days(book.clock, batch.started_at[rows])
    percent = percents_at(book.tariff.frames, book.components, frame, component, day)
    less = np.flatnonzero(percent)
    columns = np.stack([
        account, subscription[part.rows[rows]], component,
        book.sold_gross(batch.offering[rows]).astype(np.int64), frame, percent,
    ])[:, less]  # fmt: skip
    keys, of = np.unique(columns, axis=1, return_inverse=True)
    micro = sum_by_key(of.ravel(), rated.amount_micro[rows][less], keys.shape[1])
    return {
        _Place(
            who, subscriber, book.components[what], "gross" if gross else "net",
            book.tariff.frames[which].id, off,
        ): total
        for (who, subscriber, what, gross, which, off), total in zip(
            keys.T.tolist(), micro.tolist(), strict=True
        )
    }  # fmt: skip


def charge_monthly_frames(
    month: Month, book: TariffBook, setting: Setting, account: Int64, subscription: Int64,
    offering: Int32, component: Int64, left: Int64, days: tuple[Int64, Int64],
    payers: Mapping[int, Payer], agreed: AgreementsOn, found: Found,
) -> None:  # fmt: skip
    """Take what frames take off monthly prices, each day's part by the terms of the day.

    Parameters
    ----------
    account, subscription, offering, component : (n,) of the prices; indices into the book, ids.
    left : (n,) the prices after other discounts. [millionths]
    days : (n,) local days [from, to) that each is for, over which it is spread evenly.
    """
    frame = frames_at(book, account, offering, agreed)
    gross = book.sold_gross(offering)
    for n in np.flatnonzero(frame >= 0).tolist():
        sums = parts_by_percent(
            book.tariff.frames, book.components, int(frame[n]), int(component[n]), int(left[n]),
            (int(days[0][n]), int(days[1][n])),
        )  # fmt: skip
        for percent, part in sums.items():
            if percent:
                place = _Place(
                    int(account[n]), int(subscription[n]), book.components[int(component[n])],
                    "gross" if gross[n] else "net", book.tariff.frames[int(frame[n])].id, percent,
                )  # fmt: skip
                _add(book, setting, payers, place, part, month, found)


def _add(
    book: TariffBook, setting: Setting, payers: Mapping[int, Payer], place: _Place, micro: int,
    month: Month, found: Found,
) -> None:  # fmt: skip
    only = np.zeros(1, np.int64)
    percents = np.full((1, 1), place.percent_micro)
    off = int(frame_discounts(np.array([micro]), only, only, percents)[0])
    if not off:
        return
    key = charge_key(
        book, setting, payers[place.account], place.subscription,
        book.components.index(place.component), place.basis, ONE_OFF, f"{FRAME}{place.frame}",
        unit="piece",
    )  # fmt: skip
    text = f"Rammeavtale {place.frame}: {key.text}"
    why = frame_code(book, place.percent_micro, micro)
    found.add(replace(key, text=text), Owed(-off, 1, 1), month.first_day, why)
