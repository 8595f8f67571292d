"""Discounts off monthly prices as charges of their own: conditional ones, then those of frames.

A discount stands beside what it is off, under the same component, revenue account and VAT, so that
price times quantity can be redone by hand. Frames take their part of what is left after conditional
discounts.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mediation.charging import (
    DISCOUNT,
    ONE_OFF,
    Found,
    Month,
    Owed,
    Payer,
    Setting,
    charge_key,
)
from mediation.records import Int64
from mediation.service.frame_charges import charge_monthly_frames
from party.service import ActiveIntervals, AgreementsOn
from rating.conditions import Holdings, conditional_discounts
from rating.flat_codes import FlatCode, discount_code
from rating.recurring import FlatCharges
from rating.tariff import TariffBook
from rating.usage import Int32


def charge_recurring_discounts(
    month: Month, book: TariffBook, setting: Setting, active: ActiveIntervals,
    days: tuple[Int64, Int64], offering: Int32, charges: FlatCharges,
    payers: Mapping[int, Payer], agreed: AgreementsOn, found: Found,
) -> None:  # fmt: skip
    """Take conditional discounts and those of frames off a month's recurring charges.

    Parameters
    ----------
    active : stretches of subscriptions. `days` : their local days [from, to).
    offering : (n,) of the stretches, index into the book.
    charges : what the stretches are charged, before any discount.
    agreed : the frame agreements of the month.
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
            book.tariff.offerings[int(offering[source])].price_basis,
            f"{DISCOUNT}{terms.id}", terms.text,
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
    stretch = keys[0]
    charge_monthly_frames(
        month, book, setting, active.billing_account_id[stretch], active.subscription_id[stretch],
        offering[stretch], keys[1], left, (days[0][stretch], days[1][stretch]), payers, agreed,
        found,
    )  # fmt: skip


def _add(
    book: TariffBook, setting: Setting, payer: Payer, subscription: int, component: int, basis: str,
    reference: str, text: str, owed: Owed, month: Month, found: Found, why: FlatCode,
) -> None:  # fmt: skip
    key = charge_key(
        book, setting, payer, subscription, component, basis, ONE_OFF, reference, unit="piece"
    )
    found.add(replace(key, text=f"{text}: {key.text}"), owed, month.first_day, why)
