"""Maritime accounts: ships' traffic in SDR or gold francs, per accounting authority and month.

A ship's traffic through a coast or satellite station is paid by its accounting authority, named by
its identification code (AAIC: two letters for the country, two digits). Accounts state ship, coast
and land line charges in SDR, or in gold francs, of which 3.061 are one SDR. Each item is converted
once, exactly, to millionths of SDR; an account is the sum of its items, and its value in kroner is
the sum at the rate of its day, rounded once.

Source: ITU-T D.90, D.195; International Telecommunication Regulations, appendix 2 (an account is
paid within six calendar months after its dispatch); 47 CFR 3.46 (the gold franc).
"""

import re
from dataclasses import dataclass
from datetime import date

import numpy as np

from ledger.errors import Invalid
from rating.binding import term_end
from rating.charges import sum_by_key
from rating.dated import NOT_KNOWN, Dated, day_number, day_of
from rating.rounding import MICRO, Integers, check_integers, share_of
from rating.usage import MAX_QUANTITY, Int16, Int32, Int64, Reason

SDR, GOLD_FRANC = 0, 1
GOLD_FRANCS_PER_SDR = (3061, 1000)
MONTHS_TO_PAY = 6

_AAIC = re.compile(r"[A-Z]{2}\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class MaritimeItems:
    """Items of ships' accounts; charges of either sign, in millionths of `unit`."""

    authority: Int32  # index into the authorities of the call, -1 where none is known
    ship: Int64  # MMSI
    day: Int64  # local days since 1970
    service: Int32
    unit: Int32  # SDR or GOLD_FRANC
    ship_charge: Int64
    coast_charge: Int64
    line_charge: Int64


@dataclass(frozen=True, slots=True, eq=False)
class MaritimeAccounts:
    """One row per authority, ship, month and service, in that order."""

    authority: Int32
    ship: Int64
    month: Int64  # months since 1970
    service: Int32
    sdr_micro: Int64
    own_micro: Int64  # in the tariff's currency
    items: Int64


@dataclass(frozen=True, slots=True, eq=False)
class MaritimeRated:
    """The outcome per item, and the accounts of those that could be accounted."""

    sdr_micro: Int64
    reason: Int16
    accounts: MaritimeAccounts


def check_authority(code: str) -> str:
    """Let through an accounting authority identification code.

    Raises
    ------
    Invalid : it is not two letters and two digits.

    >>> check_authority("NO01")
    'NO01'
    """
    if not _AAIC.fullmatch(code):
        raise Invalid(f"{code!r} is no accounting authority: two letters and two digits, NO01.")
    return code


def in_sdr(charge: Integers, gold: bool) -> Integers:
    """Give charges in SDR, rounded once, half away from zero. [millionths of SDR]

    Parameters
    ----------
    charge : (n,) int64 of either sign. [millionths of SDR, or of a gold franc]
    """
    check_integers(charge, "Charges")
    francs, sdr = GOLD_FRANCS_PER_SDR
    return share_of(charge, sdr, francs) if gold else charge


def account_items(items: MaritimeItems, rates: Dated) -> MaritimeRated:
    """Sum the items of ships' accounts.

    Parameters
    ----------
    rates : what one SDR is worth. [millionths of the tariff's currency]

    An item without authority, in a unit that is neither, of a month without rate, or of an absurd
    charge is suspended, each with its reason.
    The rate of an account is that of the last day of its month.
    """
    count = len(items.day)
    parts = (items.ship_charge, items.coast_charge, items.line_charge)
    reason = np.zeros(count, np.int16)
    month = items.day.astype("datetime64[D]").astype("datetime64[M]")
    last = ((month + 1).astype("datetime64[D]") - 1).astype(np.int64)
    rate = rates.at(last)
    reason[(rate == NOT_KNOWN) | ~np.isin(items.unit, (SDR, GOLD_FRANC))] = Reason.NO_RATE
    reason[items.authority < 0] = Reason.NO_ZONE
    for part in parts:
        reason[(part > MAX_QUANTITY) | (part < -MAX_QUANTITY)] = Reason.OUT_OF_RANGE
    charge = np.where(reason == Reason.OK, sum(parts), 0)
    sdr = np.zeros(count, np.int64)
    for gold in (False, True):
        rows = np.flatnonzero((reason == Reason.OK) & (items.unit == int(gold)))
        sdr[rows] = in_sdr(charge[rows], gold)
    good = np.flatnonzero(reason == Reason.OK)
    keys, place = np.unique(
        np.stack([items.authority[good].astype(np.int64), items.ship[good],
                  month[good].astype(np.int64), items.service[good].astype(np.int64)]),
        axis=1, return_inverse=True,
    )  # fmt: skip
    place = place.ravel()
    total = sum_by_key(place, sdr[good], keys.shape[1])
    worth = np.zeros(keys.shape[1], np.int64)
    worth[place] = rate[good]
    accounts = MaritimeAccounts(
        keys[0].astype(np.int32), keys[1], keys[2], keys[3].astype(np.int32), total,
        share_of(total, worth, MICRO), np.bincount(place, minlength=keys.shape[1]),
    )  # fmt: skip
    return MaritimeRated(sdr, reason, accounts)


def due_on(dispatched: date) -> date:
    """Give the day by which an account is to be paid: six calendar months after its dispatch.

    >>> due_on(date(2026, 8, 31))
    datetime.date(2027, 2, 28)
    """
    begun = np.array([day_number(dispatched)], np.int64)
    return day_of(int(term_end(begun, np.array([MONTHS_TO_PAY]))[0]))
