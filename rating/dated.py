"""Dated figures: rates of exchange, regulated caps. Each holds from its day until the next one's.

What a day before the first figure stands at is not known, and is never taken for zero or for the
first: whoever asks must say what becomes of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from ledger.errors import NotFound
from rating.rounding import MICRO
from rating.usage import Int32, Int64

NOT_KNOWN = -1
_EPOCH = date(1970, 1, 1)


class FigureNotDated(NotFound):
    """A figure is wanted for a day before the first one that the tariff states.

    Raise as: f"The tariff states no {what} on {day}; its first is of {first}. Add ...".
    """

    title = "No figure for the day"


@dataclass(frozen=True, slots=True, eq=False)
class Dated:
    """A figure that changes from day to day; values are not negative."""

    what: str  # as a sentence says it: rate of EUR
    since: Int64  # (k,) days since 1970, increasing
    value: Int64  # (k,)

    @classmethod
    def of(cls, what: str, figures: Iterable[tuple[date, int]]) -> "Dated":
        """Sort figures by their first day; of one day only one may be given."""
        ordered = sorted(figures)
        since = np.array([day_number(day) for day, _ in ordered], np.int64)
        return cls(what, since, np.array([value for _, value in ordered], np.int64))

    def at(self, day: Int64) -> Int64:
        """Give the figure of each day, `NOT_KNOWN` before the first.

        Parameters
        ----------
        day : (n,) int64 local days since 1970.
        """
        place = np.searchsorted(self.since, day, side="right")
        found: Int64 = np.concatenate([np.array([NOT_KNOWN], np.int64), self.value])[place]
        return found

    def on(self, day: date) -> int:
        """Give the figure of one day.

        Raises
        ------
        FigureNotDated : the day is before the first.
        """
        found = int(self.at(np.array([day_number(day)]))[0])
        if found == NOT_KNOWN:
            first = (
                f"its first is of {day_of(int(self.since[0]))}"
                if len(self.since)
                else "it has none"
            )
            raise FigureNotDated(
                f"The tariff states no {self.what} on {day}; {first}. Add one with an earlier "
                "valid_from.",
                day=day.isoformat(),
            )
        return found


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one unit of a currency is worth from a day on. [millionths of the tariff's currency]"""

    currency: str
    valid_from: date
    rate_micro: int


def exchange_rates(exchange: Iterable[Exchange]) -> dict[str, Dated]:
    """Give the dated rates of each currency."""
    listed: dict[str, list[tuple[date, int]]] = {}
    for each in exchange:
        listed.setdefault(each.currency, []).append((each.valid_from, each.rate_micro))
    return {name: Dated.of(f"rate of {name}", figures) for name, figures in listed.items()}


def day_number(day: date) -> int:
    """Give a day as days since 1970."""
    return (day - _EPOCH).days


def day_of(number: int) -> date:
    """Give the day of a number of days since 1970."""
    return date.fromordinal(_EPOCH.toordinal() + number)


def rates_at(
    exchange: Mapping[str, Dated], own: str, currencies: tuple[str, ...], currency: Int32,
    day: Int64,
) -> Int64:  # fmt: skip
    """Give what one unit of each row's currency is worth, `NOT_KNOWN` where no rate is.

    Parameters
    ----------
    exchange : rates by currency. [millionths of the own currency]
    own : the currency of the tariff, worth one.
    currencies : what the codes in `currency` mean; a code outside is no currency.
    currency : (n,) int32.
    day : (n,) int64 local days since 1970.

    Returns
    -------
    (n,) int64. [millionths of the own currency]
    """
    rate = np.full(len(day), NOT_KNOWN, np.int64)
    for code, name in enumerate(currencies):
        rows = np.flatnonzero(currency == code)
        if name == own:
            rate[rows] = MICRO
        elif name in exchange:
            rate[rows] = exchange[name].at(day[rows])
    return rate
