"""Spend limits against a ledger kept by hand: one event after the other, ties in one order only."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction as Q
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.dated import FigureNotDated
from rating.pipeline import Rated, rate
from rating.rounding import Overflow
from rating.spend_limits import LISTED, NO_LIMIT, limits_in_force, running, watch
from rating.tariff import TariffBook, parse_tariff
from rating.tariff_terms import SpendLimit
from rating.usage import UsageBatch, check_usage
from tests.rating.oracle import round_half_away

VAT = {"3": 2500, "6": 0}
TARIFF = """
format = "hovedbok-tariff/1"
name = "LIMITS"
version = 1
valid_from = 2026-01-01
currency = "NOK"
time_zone = "Europe/Oslo"
refunds = "charged"
[[exchange]]
currency = "EUR"
valid_from = 2026-01-15
rate = "11.50"
[[exchange]]
currency = "EUR"
valid_from = 2026-03-10
rate = "12.00"
[[spend_limit]]
id = "roaming"
component = ["abroad", "sea"]
valid_from = 2026-01-01
amount = "50.00"
currency = "EUR"
notify = [80]
stop = true
[[zone]]
id = "ABROAD"
rating_groups = [1]
[[zone]]
id = "SEA"
rating_groups = [2]
[[zone]]
id = "HOME"
rating_groups = [3]
[[component]]
id = "abroad"
text = "Data i utlandet"
revenue = "roaming"
vat = "3"
unit = "octet"
[[component]]
id = "sea"
text = "Data til sjøs"
revenue = "roaming"
vat = "6"
unit = "octet"
[[component]]
id = "home"
text = "Data"
revenue = "data"
vat = "3"
unit = "octet"
[[offering]]
id = "MOBIL"
name = "Mobil"
price_basis = "gross"
  [[offering.rate]]
  usage = "data"
  zone = "ABROAD"
  component = "abroad"
  price = "1.00"
  [[offering.rate]]
  usage = "data"
  zone = "SEA"
  component = "sea"
  price = "2.50"
  [[offering.rate]]
  usage = "data"
  zone = "HOME"
  component = "home"
  price = "9.00"
"""
OSLO = ZoneInfo("Europe/Oslo")
BOOK = parse_tariff(TARIFF.encode())
LIMIT = BOOK.tariff.spend_limits[0]
FEBRUARY = int(datetime(2026, 2, 27, tzinfo=OSLO).timestamp())


def usage(rows: list[tuple[int, int, int, int, int]]) -> UsageBatch:
    """Make data events of (key, start, octets, rating group, subscription)."""
    key, start, quantity, group, subscription = np.array(rows, np.int64).reshape(-1, 5).T.copy()
    count = len(rows)
    return check_usage(
        event_key=key, started_at=start, quantity=quantity,
        usage_type=np.full(count, 3, np.int16), called=np.zeros(count, np.int64),
        rating_group=group.astype(np.int32), subscription=subscription.astype(np.int32),
        offering=np.zeros(count, np.int32),
    )  # fmt: skip


def slow(
    batch: UsageBatch, rated: Rated, book: TariffBook, limit: SpendLimit, own: dict[int, int]
) -> tuple[dict[int, tuple[int, int, bool]], list[tuple[int, int]]]:
    """Keep accounts by hand: (cost so far, beyond, stopped) by key; (key, percent) reached."""
    told, reached = {}, []
    spent: dict[tuple[int, int], int] = {}
    seen: set[tuple[int, int, int]] = set()
    full: set[tuple[int, int]] = set()
    for row in np.lexsort((batch.event_key, batch.started_at)).tolist():
        key = int(batch.event_key[row])
        told[key] = (0, 0, False)
        name = book.components[rated.component[row]] if rated.reason[row] == 0 else ""
        if name not in limit.components:
            continue
        local = datetime.fromtimestamp(int(batch.started_at[row]), UTC).astimezone(OSLO)
        owner = int(batch.subscription[row])
        account = (owner, local.month)
        most = own.get(owner, LISTED)
        if most == LISTED:
            worth = Q(23, 2) if (local.month, 10) < (3, 10) or local.month == 3 else Q(12)
            most = int(50_000_000 * worth)
        cost = int(rated.amount_micro[row])
        if name == "abroad":
            cost = round_half_away(Q(cost * 4, 5))
        before = spent.get(account, 0)
        after = spent[account] = before + cost
        if most == 0:
            full.add(account)
        stopped = account in full
        beyond = cost if stopped else 0
        for percent in (80, 100):
            wanted = round_half_away(Q(most * percent, 100))
            if most >= 0 and before < wanted <= after and (*account, percent) not in seen:
                seen.add((*account, percent))
                reached.append((key, percent))
                if percent == 100 and account not in full:
                    full.add(account)
                    beyond = after - most
        told[key] = (after, beyond, stopped)
    return told, sorted(reached)


events = st.lists(
    st.tuples(
        st.integers(FEBRUARY, FEBRUARY + 40 * 86_400) | st.just(FEBRUARY + 86_400),
        st.integers(-200, 500), st.sampled_from([1, 1, 2, 3, 9]), st.integers(0, 3),
    ), max_size=40,
)  # fmt: skip


@settings(deadline=None)
@given(events, st.randoms(), st.integers(0, 10**9))
def test_limits_agree_with_accounts_kept_by_hand(
    drawn: list[tuple[int, int, int, int]], random: object, own_limit: int
) -> None:
    """Refunds, ties, months, VAT, limits of one's own, none, zero; any order of rows."""
    own = {0: LISTED, 1: NO_LIMIT, 2: own_limit, 3: 0}
    rows = [(key, *row) for key, row in enumerate(drawn)]
    random.shuffle(rows)  # type: ignore[attr-defined]
    batch = usage(rows)
    rated = rate(batch, BOOK)
    limits = np.array([own[int(owner)] for owner in batch.subscription], np.int64)
    got = watch(batch, rated, BOOK, LIMIT, VAT, limits)
    want, reached = slow(batch, rated, BOOK, LIMIT, own)
    rowwise = zip(
        got.cost_micro.tolist(), got.beyond_micro.tolist(), got.stopped.tolist(), strict=True
    )
    assert dict(zip(batch.event_key.tolist(), rowwise, strict=True)) == want
    keys = batch.event_key[got.reached.row].tolist()
    assert sorted(zip(keys, got.reached.percent.tolist(), strict=True)) == reached


def test_a_limit_that_does_not_stop_leaves_nothing_beyond() -> None:
    """It tells, and that is all."""
    batch = usage([(1, FEBRUARY, 1000, 1, 0), (2, FEBRUARY, 1000, 1, 0)])
    told = watch(batch, rate(batch, BOOK), BOOK, replace(LIMIT, stop=False), VAT)
    assert told.reached.percent.tolist() == [80, 100]
    assert told.cost_micro.tolist() == [800_000_000, 1_600_000_000]
    assert (told.beyond_micro.tolist(), told.stopped.tolist()) == ([0, 0], [False, False])


def test_ties_are_settled_by_the_event_key() -> None:
    """Of two events of one second the lower key comes first, whichever row it is in."""
    rows = [(7, FEBRUARY, 500, 1, 0), (5, FEBRUARY, 300, 1, 0)]
    for order in (rows, rows[::-1]):
        batch = usage(order)
        told = watch(batch, rate(batch, BOOK), BOOK, LIMIT, VAT)
        assert batch.event_key[told.reached.row].tolist() == [7, 7]
        assert dict(zip(batch.event_key.tolist(), told.beyond_micro.tolist(), strict=True)) == {
            5: 0, 7: 65_000_000
        }  # fmt: skip


def test_a_limit_without_a_rate_is_refused() -> None:
    """January has no rate of EUR on its first day: no limit is taken for granted."""
    january = int(datetime(2026, 1, 20, tzinfo=OSLO).timestamp())
    batch = usage([(1, january, 10, 1, 0)])
    with pytest.raises(FigureNotDated, match="no rate of EUR on 2026-01-01"):
        watch(batch, rate(batch, BOOK), BOOK, LIMIT, VAT)


def test_a_running_cost_that_might_wrap_is_refused() -> None:
    """62 bits are enough for any month there is."""
    with pytest.raises(Overflow):
        running(np.full(3, 2**61, np.int64), np.array([0]))
    assert running(np.full(3, 2**59, np.int64), np.array([0])).tolist() == [
        2**59, 2**60, 3 * 2**59
    ]  # fmt: skip


def test_the_limit_of_the_day_is_the_one_that_has_begun() -> None:
    """Dated data: what was the limit then is the limit of then."""
    later = replace(LIMIT, valid_from=date(2026, 7, 1), amount_micro=60_000_000)
    other = replace(LIMIT, id="content")
    both = [later, other, LIMIT]
    assert limits_in_force(both, date(2026, 6, 30)) == [other, LIMIT]
    assert limits_in_force(both, date(2026, 7, 1)) == [other, later]
    assert limits_in_force(both, date(2025, 12, 31)) == []
    assert (LIMIT.amount_micro, LIMIT.notify, LIMIT.stop) == (50_000_000, (80,), True)
