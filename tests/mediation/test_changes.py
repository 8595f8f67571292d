"""Orders inside a month, at midnights and when the clock changes: who owes what for it."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.vault import vault
from mediation.charging import Month
from mediation.demo.tariff import tariff_text
from mediation.service.rating_run import rate_period
from party import service as party
from party.orders import Customer
from rating import service as rating
from tests.party.rows import order

OSLO = ZoneInfo("Europe/Oslo")
BERIT = Customer("10000002", "person", "Kunde 10000002", street="Prøveveien 2", postcode="0150",
                 city="Oslo")  # fmt: skip
PRICE = 299_000_000
RECURRING = text(
    "SELECT a.number, sum(c.micro)::bigint, sum(c.quantity)::bigint FROM charge c"
    " JOIN billing_account a USING (billing_account_id)"
    " WHERE c.kind = 'recurring' GROUP BY 1 ORDER BY 1"
)


@pytest.fixture(name="books")
def _books(session: Session, home: object) -> Session:
    assert home
    ledger.seed_book(session, "NO01")
    ledger.open_periods(session, "NO01", 2026)
    rating.load_tariff(session, tariff_text().encode())
    return session


def _at(day: int, hour: int = 0, minute: int = 0) -> int:
    return int(datetime(2026, 3, day, hour, minute, tzinfo=OSLO).timestamp())


def _apply(session: Session, *orders: Any) -> None:
    done = party.apply_orders(session, orders, {"MOBIL-5GB", "MOBIL-15GB"})
    assert [outcome.state for outcome in done] == ["applied"] * len(orders), done


def _owed(session: Session) -> dict[str, tuple[int, int]]:
    """Give millionths and days by account."""
    rate_period(session, vault(), Month("NO01", "2026-03"), lambda _: set())
    return {number: (micro, days) for number, micro, days in session.execute(RECURRING)}


@pytest.mark.parametrize("day", [1, 2, 16, 29, 30, 31])
@pytest.mark.parametrize("clock", [(0, 0), (2, 59), (23, 59)])
def test_a_new_payer_pays_from_the_day_of_the_change(
    books: Session, day: int, clock: tuple[int, int]
) -> None:
    """The two shares of an unbroken month are its price, to half a millionth each."""
    started = _at(1) - 40 * 86_400
    _apply(books, order(1, "add", started, offering="MOBIL-5GB"))
    _apply(
        books,
        order(2, "change", _at(day, *clock), offering="MOBIL-5GB", account_ref="30000002",
              customer=BERIT),
    )  # fmt: skip
    owed = _owed(books)
    assert owed.pop("30000002") == _share(32 - day)
    assert owed.pop("30000001", (0, 0)) == _share(day - 1)
    assert not owed
    assert abs(_share(day - 1)[0] + _share(32 - day)[0] - PRICE) <= 1


def _share(days: int) -> tuple[int, int]:
    exact = Fraction(PRICE * days, 31)
    return int(exact + Fraction(1, 2)), days


def test_ceased_and_added_again_in_one_month(books: Session) -> None:
    """Days without the subscription cost nothing; at the same midnight there are none."""
    _apply(
        books,
        order(1, "add", _at(1), offering="MOBIL-5GB"),
        order(2, "cease", _at(10)),
        order(3, "add", _at(20), offering="MOBIL-5GB"),
        order(4, "cease", _at(29)),
        order(5, "add", _at(29), offering="MOBIL-5GB"),
    )
    micro, days = _owed(books)["30000001"]
    assert days == 9 + 9 + 3
    assert micro == _share(9)[0] + _share(9)[0] + _share(3)[0]


def test_a_number_moves_at_an_instant(books: Session) -> None:
    """To the second before it is the old subscription's use, from then on the new one's."""
    moved = _at(29, 3)
    _apply(
        books,
        order(1, "add", _at(1), offering="MOBIL-5GB"),
        order(2, "cease", moved),
        order(3, "add", moved, offering="MOBIL-15GB", subscription_ref="SUB2",
              account_ref="30000002", customer=BERIT),
    )  # fmt: skip
    agreements = party.load_agreements(books)
    at = np.array([moved - 1, moved], np.int64)
    holder = agreements.find("msisdn", np.full(2, 4791000001), at)
    assert holder[0] != holder[1]
    payers = party.billing_accounts(books, ids=agreements.payers_at(holder, at).tolist())
    assert [payer.number for payer in payers] == ["30000001", "30000002"]
    assert {number: days for number, (_, days) in _owed(books).items()} == {
        "30000001": 28, "30000002": 3
    }  # fmt: skip


def test_a_cease_that_is_told_late_is_given_back(books: Session) -> None:
    """The charge goes down to what it should have been, and the books with it."""
    _apply(books, order(1, "add", _at(1), offering="MOBIL-5GB"))
    assert _owed(books)["30000001"] == (PRICE, 31)
    _apply(books, order(2, "cease", _at(16)))
    assert _owed(books)["30000001"] == _share(15)
    assert _owed(books)["30000001"] == _share(15)
    (net,) = books.execute(text("SELECT sum(minor_net) FROM charge")).one()
    assert ledger.control_balance(books, "NO01", ["1530"]) == net
