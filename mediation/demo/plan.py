"""What one demo month is made of: its arguments, its instants, its random numbers."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from ledger.errors import Invalid
from mediation.demo import wallclock

MAX_SUBSCRIBERS = 900_000  # So many MSISDNs and account numbers the number plan holds.
FEWEST_SUBSCRIBERS = 20  # Fewer cannot show a household, an organisation and every habit.


@dataclass(frozen=True)
class Plan:
    """The arguments of a demo month; the same plan gives the same bytes."""

    first_day: date
    subscribers: int
    days: int  # usage on days 1 to `days`; recurring charges cover the whole month
    seed: int

    @property
    def next_month(self) -> date:
        """First day after the month."""
        return self.first_day + timedelta(days=self.days_in_month)

    @property
    def days_in_month(self) -> int:
        """Count the days of the calendar month."""
        return monthrange(self.first_day.year, self.first_day.month)[1]

    @property
    def last_day(self) -> date:
        """The day on which invoices are dated."""
        return self.next_month - timedelta(days=1)

    @property
    def start(self) -> int:
        """Instant at which the month begins, local midnight."""
        return wallclock.midnight(self.first_day)

    @property
    def usage_end(self) -> int:
        """Instant at which usage stops: midnight after day `days`."""
        return wallclock.midnight(self.first_day + timedelta(days=self.days))

    @property
    def end(self) -> int:
        """Instant at which the month ends."""
        return wallclock.midnight(self.next_month)

    def dice(self, purpose: int) -> np.random.Generator:
        """Give each purpose its own stream, so that one part can change without moving the rest."""
        return np.random.Generator(np.random.PCG64([self.seed, purpose]))


def make_plan(month: str, subscribers: int, days: int | None, seed: int) -> Plan:
    """Check the arguments of the command.

    Raises `Invalid` when the month is not YYYY-MM from 2026 on, or a count is out of its range.
    """
    try:
        first_day = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise Invalid(f"{month!r} is not a month; write it as 2026-03.", month=month) from None
    if not date(2026, 1, 1) <= first_day < date(2099, 1, 1):
        raise Invalid("The demo tariff starts in 2026-01; choose a later month.", month=month)
    if not FEWEST_SUBSCRIBERS <= subscribers <= MAX_SUBSCRIBERS:
        raise Invalid(
            f"Choose {FEWEST_SUBSCRIBERS} to {MAX_SUBSCRIBERS} subscribers.",
            subscribers=subscribers,
        )
    whole = monthrange(first_day.year, first_day.month)[1]
    if days is not None and not 1 <= days <= whole:
        raise Invalid(f"{month} has {whole} days; choose 1 to {whole} days of usage.", days=days)
    if not 0 <= seed < 2**63:
        raise Invalid("Choose a seed from 0 to 2**63 - 1.", seed=seed)
    return Plan(first_day, subscribers, days or whole, seed)
