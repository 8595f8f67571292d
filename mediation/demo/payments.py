"""How customers pay: mostly in full, some in part, some too much, some not at all.

Two payments find no invoice: one KID belongs to nobody, one has a wrong check digit.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import holidays
import numpy as np

from mediation.demo.bills import Bill
from mediation.demo.numbering import kid
from mediation.demo.plan import Plan

EXACT, PARTIAL, OVER, UNPAID = range(4)
_HABITS = np.repeat(np.arange(4), (84, 5, 3, 8))
STRANGER = "38888888"
STRANGER_PAYS = 50_000  # øre
TOO_MUCH = 10_000  # øre


@dataclass(frozen=True)
class Payment:
    """One payment as the bank reports it."""

    settled: date
    kid: str
    amount_minor: int
    account: str | None  # whose invoice it settles; None where nobody can tell


def bank_days(first: date, last: date) -> list[date]:
    """List the days on which banks settle, both ends included."""
    closed = holidays.country_holidays("NO", years=range(first.year, last.year + 1))
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    return [day for day in days if day.weekday() < 5 and day not in closed]


def make_payments(plan: Plan, bills: list[Bill]) -> list[Payment]:
    """Draw how each invoice is paid in the month after it, ordered by settlement date."""
    dice = plan.dice(4)
    days = bank_days(plan.next_month + timedelta(days=6), plan.next_month + timedelta(days=19))
    habits = _HABITS[dice.integers(0, len(_HABITS), len(bills))]
    habits[[1, 3, 4, 5]] = (PARTIAL, OVER, UNPAID, UNPAID)  # every demo month shows each habit
    settled = dice.integers(0, len(days), len(bills) + 2)
    payments = [
        Payment(days[settled[place]], bill.kid, amount, bill.account)
        for place, (bill, habit) in enumerate(zip(bills, habits, strict=True))
        if (amount := _amount(bill.gross_minor, int(habit))) > 0
    ]
    broken = f"{bills[5].kid[:-1]}{(int(bills[5].kid[-1]) + 1) % 10}"
    payments.append(Payment(days[settled[-2]], kid(STRANGER, 1), STRANGER_PAYS, None))
    payments.append(Payment(days[settled[-1]], broken, bills[5].gross_minor, None))
    return sorted(payments, key=lambda payment: (payment.settled, payment.kid))


def _amount(gross_minor: int, habit: int) -> int:
    if habit == EXACT:
        return gross_minor
    if habit == PARTIAL:
        return gross_minor // 200 * 100
    return gross_minor + TOO_MUCH if habit == OVER else 0
