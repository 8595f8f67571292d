"""What an event brings and costs, as integers that can be redone by hand.

A second opinion on `rating.margins`: VAT is taken out, and cost converted, by one exact division
per event, from the explanations of both prices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ledger.errors import DoesNotTie
from rating.clock import local_days
from rating.codes import Codes
from rating.dated import NOT_KNOWN, Dated
from rating.explain import kroner
from rating.margins import Margins, Sold
from rating.phrases import PHRASES, Language
from rating.pipeline import Rated
from rating.rounding import FITS, MICRO, Integers, Mode, divide, largest
from rating.tariff import TariffBook
from rating.usage import Bool, Int64, Reason, UsageBatch

_BASIS_POINTS = 10_000
# What a row needs beside its cost to be put into words.
MARGIN_COLUMNS = ("rate", "revenue_micro", "cost_micro", "margin_micro", "sold", "known")
_NAMES = ("revenue_micro", "cost_own_micro", "cost_micro", "margin_micro")


@dataclass(frozen=True, slots=True, eq=False)
class MarginCodes:
    """Why each event leaves what it does, row by row; zero where it is not known."""

    vat_bp: Int64  # in the customer's price; 0 where there is none. [hundredths of a per cent]
    rate: Int64  # of the partner's currency on the day, NOT_KNOWN before the first
    revenue_micro: Int64  # without VAT
    cost_own_micro: Int64  # in the partner's currency
    cost_micro: Int64  # in the book's own
    margin_micro: Int64
    sold: Bool  # whether there is a price to a customer
    known: Bool  # whether there is a cost


def margin_codes(
    batch: UsageBatch, customers: Sold, wholesale: TariffBook, codes: Codes, cost: Rated,
    rates: Dated, rate_unit: int = MICRO,
) -> MarginCodes:  # fmt: skip
    """Explain revenue, cost and margin of all events.

    Parameters
    ----------
    customers : what they pay, which was explained already; what is left without VAT is computed
        again.
    codes : the explanations of its cost; of `cost`, only what was suspended is believed.
    rates : what `rate_unit` of the wholesale tariff's currency is worth in the book's, by day.
    """
    rate = rates.at(local_days(wholesale.clock, batch.started_at))
    sold = customers.reason == Reason.OK
    known = (cost.reason == Reason.OK) & (rate != NOT_KNOWN)
    price, vat = customers.amount_micro, customers.vat_bp
    own = np.where(known, codes.amount_micro, 0)
    revenue = _share(price, np.full(len(batch), _BASIS_POINTS), _BASIS_POINTS + vat)
    worth = _share(own, np.where(known, rate, 0), np.full(len(batch), rate_unit))
    return MarginCodes(
        vat, rate, revenue, own, worth, np.where(known & sold, revenue - worth, 0), sold, known
    )


def check_margins(codes: MarginCodes, found: Margins, batch: UsageBatch) -> None:
    """Refuse margins that their explanations do not come to.

    Raises
    ------
    DoesNotTie : names the first such event and counts them; nothing may be posted.
    """
    for name in _NAMES:
        told, amount = getattr(codes, name), getattr(found, name)
        wrong = np.flatnonzero(told != amount)
        if len(wrong):
            row = int(wrong[np.argmin(batch.event_key[wrong])])
            raise DoesNotTie(
                f"Event {int(batch.event_key[row])} has {name} {int(amount[row])}, its explanation "
                f"comes to {int(told[row])}; {len(wrong)} of {len(batch)} events differ. Nothing "
                "is posted until they agree.",
                event_key=int(batch.event_key[row]), differing=len(wrong),
            )  # fmt: skip


def say_margin(
    row: Mapping[str, Any], cost_own_micro: int, currency: str, own_currency: str, rate: str,
    language: Language = "nb",
) -> tuple[str, ...]:  # fmt: skip
    """Put into words what an event leaves.

    Parameters
    ----------
    row : its columns `MARGIN_COLUMNS`.
    rate : of the partner's currency in the book's own, as a decimal.
    """
    say, told = PHRASES[language], []
    if not row["known"]:
        return () if row["rate"] != NOT_KNOWN else (say["no_exchange"].format(currency=currency),)
    cost = kroner(row["cost_micro"], language)
    if currency != own_currency:
        told.append(say["converted"].format(
            own=kroner(cost_own_micro, language), currency=currency, cost=cost, to=own_currency,
            rate=rate.replace(".", "," if language == "nb" else "."),
        ))  # fmt: skip
    if row["sold"]:
        told.append(say["margin"].format(
            revenue=kroner(row["revenue_micro"], language), cost=cost,
            margin=kroner(row["margin_micro"], language),
        ))  # fmt: skip
    return tuple(told)


def _share(amount: Int64, part: Int64, whole: Int64) -> Int64:
    """Take part / whole of amounts, with Python's integers where a product is too wide."""
    wide: Integers = amount
    if largest(amount) * max(int(part.max(initial=1)), 1) >= FITS:
        wide = amount.astype(object)
    return divide(wide * part, whole, Mode.HALF_UP).astype(np.int64)
