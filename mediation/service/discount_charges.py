"""Discounts as charges of their own: conditional ones off monthly prices, and those of frames.

A discount stands beside what it is off, under the same component, revenue account and VAT, so that
price times quantity can be redone by hand. Frames take their part of what is left after conditional
discounts, by the terms of the month's first day.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mediation.charging import (
    DISCOUNT,
    FRAME,
    ONE_OFF,
    Found,
    Month,
    Owed,
    Payer,
    Setting,
    charge_key,
    usage_owed,
)
from mediation.records import Int64
from party.service import ActiveIntervals
from rating.conditions import Holdings, conditional_discounts
from rating.flat_codes import FlatCode, discount_code, frame_code
from rating.frames import NONE, frame_discounts, frame_percents
from rating.pipeline import Rated
from rating.recurring import FlatCharges
from rating.tariff import TariffBook
from rating.usage import Int32, Reason, UsageBatch


def charge_recurring_discounts(
    month: Month, book: TariffBook, setting: Setting, active: ActiveIntervals,
    days: tuple[Int64, Int64], offering: Int32, charges: FlatCharges,
    payers: Mapping[int, Payer], found: Found,
) -> None:  # fmt: skip
    """Take conditional discounts and those of frames off a month's recurring charges.

    Parameters
    ----------
    active : stretches of subscriptions. `days` : their local days [from, to).
    offering : (n,) of the stretches, index into the book.
    charges : what the stretches are charged, before any discount.
    """
    if not book.tariff.discounts and not book.tariff.frames:
        return
    holdings = Holdings(active.billing_account_id, offering, *days)
    given = conditional_discounts(book, month.period, charges, holdings)
    for n, source in enumerate(given.source.tolist()):
        terms = book.tariff.discounts[int(given.discount[n])]
        _add(
            book, setting, payers[int(active.billing_account_id[source])],
            int(active.subscription_id[source]), int(given.component[n]),
            _basis(book, int(offering[source])), f"{DISCOUNT}{terms.id}", terms.text,
            Owed(int(given.amount_micro[n]), 1, int(given.days[n])), month, found,
            discount_code(
                book, terms, int(given.of_micro[n]), int(given.days[n]), int(given.of_days[n])
            ),
        )  # fmt: skip
    source = np.concatenate([charges.source, given.source])
    component = np.concatenate([charges.component, given.component])
    keys, place = np.unique(np.stack([source, component]), axis=1, return_inverse=True)
    left = np.zeros(keys.shape[1], np.int64)
    np.add.at(left, place.ravel(), np.concatenate([charges.amount_micro, given.amount_micro]))
    off, percent = _frame_off(book, month, offering[keys[0]], keys[1], left)
    for n in np.flatnonzero(off).tolist():
        stretch = int(keys[0, n])
        _add_frame(
            book, setting, payers[int(active.billing_account_id[stretch])],
            int(active.subscription_id[stretch]), int(keys[1, n]), int(offering[stretch]),
            int(off[n]), month, found, frame_code(book, int(percent[n]), int(left[n])),
        )  # fmt: skip


def charge_usage_discounts(
    month: Month, book: TariffBook, setting: Setting, batch: UsageBatch, rated: Rated,
    subscription: Int64, payer: Int64, payers: Mapping[int, Payer], found: Found,
) -> None:  # fmt: skip
    """Take what frames take off usage, by the offering of each event."""
    for number, offering in enumerate(book.tariff.offerings):
        if offering.frame is None:
            continue
        others = batch.offering != number
        mine = replace(
            rated, reason=np.where(others, Reason.NO_RATE, rated.reason).astype(np.int16)
        )
        owed = usage_owed(
            mine, book, batch.offering.astype(np.int64), subscription, payer, batch.quantity
        )
        component = np.array([part for _, _, part, _ in owed], np.int64)
        amount = np.array([each.micro for each in owed.values()], np.int64)
        off, percent = _frame_off(
            book, month, np.full(len(owed), number, np.int32), component, amount
        )
        for n, (account, subscriber, part, _) in enumerate(owed):
            if off[n]:
                _add_frame(
                    book, setting, payers[account], subscriber, part, number, int(off[n]), month,
                    found, frame_code(book, int(percent[n]), int(amount[n])),
                )  # fmt: skip


def _frame_off(
    book: TariffBook, month: Month, offering: Int32, component: Int64, amount: Int64
) -> tuple[Int64, Int64]:
    """Give what frames take off amounts, and their percentages, on the month's first day."""
    names = [frame.id for frame in book.tariff.frames]
    of_offering = [
        -1 if each.frame is None else names.index(each.frame) for each in book.tariff.offerings
    ]
    frame = np.array([*of_offering, -1], np.int64)[offering]
    percents = frame_percents(book.tariff.frames, book.components, month.first_day)
    wide = np.concatenate([percents, np.zeros((1, percents.shape[1]), np.int64)])
    taken: Int64 = np.maximum(wide[frame, component], NONE)
    return frame_discounts(amount, component, frame, percents), taken


def _add_frame(
    book: TariffBook, setting: Setting, payer: Payer, subscription: int, component: int,
    offering: int, off: int, month: Month, found: Found, why: FlatCode,
) -> None:  # fmt: skip
    name = book.tariff.offerings[offering].frame
    _add(
        book, setting, payer, subscription, component, _basis(book, offering), f"{FRAME}{name}",
        f"Rammeavtale {name}", Owed(-off, 1, 1), month, found, why,
    )  # fmt: skip


def _add(
    book: TariffBook, setting: Setting, payer: Payer, subscription: int, component: int, basis: str,
    reference: str, text: str, owed: Owed, month: Month, found: Found, why: FlatCode,
) -> None:  # fmt: skip
    key = charge_key(
        book, setting, payer, subscription, component, basis, ONE_OFF, reference, unit="piece"
    )
    found.add(replace(key, text=f"{text}: {key.text}"), owed, month.first_day, why)


def _basis(book: TariffBook, offering: int) -> str:
    basis: str = book.tariff.offerings[offering].price_basis
    return basis
