"""A run books what charges lack: nothing twice, and nothing on a bill that has gone out."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.journal import check_balanced
from mediation.accruals import accrual_entries
from mediation.charging import Difference, Owed, Standing, differences, identity
from rating.charges import ChargeKey

PERIODS = ("2026-03", "2026-04", "2026-05")


def _key(subscription: int, component: str, basis: str) -> ChargeKey:
    return ChargeKey(
        book_code="NO01", billing_account_id=subscription % 2, party_id=1,
        subscription_id=subscription, component=component, revenue_account="3010", vat_code="3",
        vat_rate_bp=2500, price_basis=basis, usage_period=PERIODS[0],
        accounting_month=PERIODS[0], billing_period=PERIODS[0], kind="usage",
    )  # fmt: skip


KEYS = [_key(s, c, b) for s in range(3) for c in ("voice", "sms") for b in ("gross", "net")]
amounts = st.integers(-(10**10), 10**11)
runs = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(KEYS), amounts), st.booleans(), st.sampled_from(PERIODS)
    ),
    min_size=1,
    max_size=5,
)


def _differences(owed: Any, standing: Any, next_bill: Any, month: str = PERIODS[0]) -> Any:
    return differences(owed, standing, next_bill, month)


def _owed(micro: dict[ChargeKey, int]) -> dict[ChargeKey, Owed]:
    return {key: Owed(amount, 1, 60) for key, amount in micro.items()}


class Books:
    """The slow obvious model: every delta on its key, and which keys have been billed."""

    def __init__(self) -> None:
        self.deltas: dict[ChargeKey, list[Difference]] = {}
        self.billed: set[ChargeKey] = set()
        self.next_bill: dict[int, str] = {}

    def standing(self) -> list[Standing]:
        """Sum the deltas of each key."""
        return [
            Standing(
                key,
                *(
                    sum(getattr(one, name) for one in deltas)
                    for name in ("micro", "minor_net", "minor_gross", "events", "quantity")
                ),
                key in self.billed,
            )
            for key, deltas in self.deltas.items()
        ]

    def book(self, found: list[Difference]) -> None:
        """Book differences."""
        for one in found:
            assert one.key not in self.billed, "a bill that has gone out is not touched"
            self.deltas.setdefault(one.key, []).append(one)

    def bill(self) -> None:
        """Send the bills of every key that has none."""
        for key in self.deltas:
            self.billed.add(key)
            following = PERIODS[min(PERIODS.index(key.billing_period) + 1, len(PERIODS) - 1)]
            account = key.billing_account_id
            self.next_bill[account] = max(self.next_bill.get(account, ""), following)


@given(runs)
def test_charges_always_stand_at_what_is_owed(
    history: list[tuple[dict[ChargeKey, int], bool, str]],
) -> None:
    """Whatever was booked, billed and closed before, a charge's keys sum to what is owed now."""
    books = Books()
    for micro, then_bill, month in history:
        found = _differences(_owed(micro), books.standing(), books.next_bill, month)
        assert {one.key.accounting_month for one in found} <= {month}
        books.book(found)
        assert _differences(_owed(micro), books.standing(), books.next_bill, PERIODS[-1]) == []
        sums: dict[Any, int] = {}
        for one in books.standing():
            name = identity(one.key)
            sums[name] = sums.get(name, 0) + one.micro
        assert {k: v for k, v in sums.items() if v} == {
            identity(key): amount for key, amount in micro.items() if amount
        }
        if then_bill and PERIODS[-1] not in books.next_bill.values():
            books.bill()


@given(st.dictionaries(st.sampled_from(KEYS), amounts))
def test_a_second_run_books_nothing(micro: dict[ChargeKey, int]) -> None:
    """The same month rated again finds every charge where it should be."""
    books = Books()
    books.book(_differences(_owed(micro), books.standing(), {}))
    assert _differences(_owed(micro), books.standing(), {}) == []


@given(st.dictionaries(st.sampled_from(KEYS), st.integers(0, 10**10)), st.integers(0, 10))
def test_two_runs_book_what_one_would(micro: dict[ChargeKey, int], share: int) -> None:
    """Cumulative rounding: the øre of parts are the øre of the whole."""
    once, twice = Books(), Books()
    once.book(_differences(_owed(micro), [], {}))
    half = {key: amount * share // 10 for key, amount in micro.items()}
    twice.book(_differences(_owed(half), [], {}))
    twice.book(_differences(_owed(micro), twice.standing(), {}))

    def minor(books: Books) -> dict[ChargeKey, tuple[int, int]]:
        return {
            one.key: (one.minor_net, one.minor_gross)
            for one in books.standing()
            if one.minor_net or one.minor_gross
        }

    assert minor(once) == minor(twice)


@given(st.dictionaries(st.sampled_from(KEYS), amounts))
def test_the_accrual_balances_and_carries_every_net(micro: dict[ChargeKey, int]) -> None:
    """Debit unbilled is what the charges gained net of VAT; revenue is the other side."""
    found = _differences(_owed(micro), [], {})
    entries = accrual_entries(found, "1530", {PERIODS[0]: date(2026, 3, 31)}, "run")
    for entry in entries:
        check_balanced(entry)
    unbilled = sum(
        line.amount_minor for entry in entries for line in entry.lines if line.account == "1530"
    )
    assert unbilled == sum(one.minor_net for one in found)


def test_a_late_part_goes_to_the_next_bill() -> None:
    """A call that came after the bill is on the next one, under the month in which it was made."""
    books = Books()
    key = KEYS[0]
    books.book(_differences(_owed({key: 1_290_000}), [], {}))
    books.bill()
    (late,) = _differences(_owed({key: 2_580_000}), books.standing(), books.next_bill)
    assert late.key == replace(key, billing_period="2026-04")
    assert (late.micro, late.minor_gross) == (1_290_000, 129)


def test_what_comes_after_the_close_is_labelled() -> None:
    """The books of March stay; April has the rest, says of which month it is, on March's bill."""
    books, key = Books(), KEYS[0]
    books.book(_differences(_owed({key: 1_290_000}), [], {}))
    found = _differences(_owed({key: 2_580_000}), books.standing(), {}, "2026-04")
    (late,) = found
    assert late.key == replace(
        key, accounting_month="2026-04", dimensions={"service_period": "2026-03"}
    )
    assert (late.key.billing_period, late.minor_gross) == ("2026-03", 129)
    (entry,) = accrual_entries(found, "1530", {"2026-04": date(2026, 4, 1)}, "run")
    assert entry.text == "Late usage and services of 2026-03, not yet billed, in 2026-04"
    assert [line.dimensions for line in entry.lines] == [None, {"service_period": "2026-03"}]
    check_balanced(entry)
