"""Several versions in one month: what changes nothing costs the same, what changes is by days."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.allowances import Counters
from rating.grants import monthly_grants
from rating.pipeline import rate
from rating.recurring import NOT_AGREED, month_span, recurring_charges
from rating.tariff import compile_tariff, parse_tariff
from rating.tariff_terms import Offering, Tariff
from rating.usage import Reason
from rating.versions import InForce, rate_versions, recurring_by_version
from tests.rating.oracle import Event
from tests.rating.tariffs import SMALL, batch_of, double_grants, events, tariffs

MARCH_FIRST, APRIL_FIRST = month_span("2026-03")
# Around clock changes and the ends of months, where random events gather.
CUTS = [date(2026, 3, 1), date(2026, 3, 29), date(2026, 3, 30), date(2026, 3, 31),
        date(2026, 4, 1), date(2026, 10, 25), date(2026, 10, 26)]  # fmt: skip
_EPOCH = date(1970, 1, 1)


def versions_of(tariff: Tariff, *days: date, changed: Tariff | None = None) -> list[InForce]:
    """Cut a tariff into versions at some days; the later ones say the same, or what changed."""
    begins = [tariff.valid_from, *days]
    numbers = [(day - _EPOCH).days for day in begins]
    ends = [*numbers[1:], 2**40]
    books = [
        compile_tariff(replace(changed if changed and n else tariff, version=n + 1, valid_from=day))
        for n, day in enumerate(begins)
    ]
    return [InForce(*one) for one in zip(books, numbers, ends, strict=True)]


def _granted(versions: list[InForce]) -> list[Counters | None]:
    return [double_grants(one.book) for one in versions]


@settings(max_examples=40, deadline=None)
@given(tariffs(), events(), st.lists(st.sampled_from(CUTS), max_size=4, unique=True))
def test_a_version_that_changes_nothing_changes_no_amount(
    tariff: Tariff, drawn: list[Event], cuts: list[date]
) -> None:
    """Over random tariffs and events: allowances, also shared and capped ones, go on."""
    batch = batch_of(drawn)
    whole = compile_tariff(tariff)
    days = sorted(day for day in cuts if day > tariff.valid_from)
    alone = rate(batch, whole, double_grants(whole))
    versions = versions_of(tariff, *days)
    month = rate_versions(batch, whole.offerings, versions, _granted(versions))
    assert month.column("reason").tolist() == alone.reason.tolist()
    for name in ("amount_micro", "billed_units", "free_quantity", "rate_row"):
        assert month.column(name).tolist() == getattr(alone, name).tolist(), name
    names = np.array([*whole.components, ""])[alone.component]
    assert month.names("component").tolist() == names.tolist()


def _dearer(price: str = '"1.80"') -> Tariff:
    return parse_tariff(SMALL.replace('"0.90"', price).encode()).tariff


@pytest.fixture
def small() -> Tariff:
    """The small tariff, valid from New Year."""
    return parse_tariff(SMALL.encode()).tariff


def test_each_event_is_priced_by_the_version_of_its_local_start(small: Tariff) -> None:
    """The last second of the 14th, local, is of the 14th; that call is priced whole by it."""
    versions = versions_of(small, date(2026, 3, 15), changed=_dearer())
    midnight = int(np.datetime64("2026-03-14T23:00:00").astype(np.int64))
    noon = 12 * 3600
    starts = (midnight - noon, midnight - 1, midnight + noon + 86400)
    calls = [Event(n, at, 60, 1, "4790000001", 0, 0, 0) for n, at in enumerate(starts)]
    month = rate_versions(batch_of(calls), ["ONE"], versions, [None, None])
    assert month.versions().tolist() == ["SMALL/1", "SMALL/1", "SMALL/2"]
    saturday, _, monday = month.column("amount_micro").tolist()
    assert monday == 690_000 + 1_800_000
    assert saturday > 0


def test_before_the_first_version_nothing_has_a_price(small: Tariff) -> None:
    """The event says so, and waits."""
    versions = versions_of(replace(small, valid_from=date(2026, 3, 10)))
    early = int(np.datetime64("2026-03-05T12:00:00").astype(np.int64))
    month = rate_versions(
        batch_of([Event(1, early, 60, 1, "4790000001", 0, 0, 0)]), ["ONE"], versions, [None]
    )
    assert month.column("reason").tolist() == [Reason.NOT_YET_VALID]


def _month(versions: list[InForce], begin: int, end: int, agreed: int = NOT_AGREED) -> list[int]:
    found = recurring_by_version(
        versions, "2026-03", ["ONE"], np.array([begin]), np.array([end]), np.array([agreed]),
        np.array([7]),
    )  # fmt: skip
    return found.charges.amount_micro.tolist()


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10**12), st.lists(st.integers(1, 30), max_size=4, unique=True),
    st.integers(-5, 31), st.integers(0, 40),
)  # fmt: skip
def test_a_month_in_unchanged_versions_costs_what_the_month_costs(
    price: int, cuts: list[int], begin: int, length: int
) -> None:
    """To the millionth, whatever days it was active: equal prices are joined before rounding."""
    tariff = parse_tariff(SMALL.encode()).tariff
    tariff = _with_price(tariff, price, "days")
    days = [date(2026, 3, 1) + timedelta(days=cut) for cut in sorted(cuts)]
    active = (MARCH_FIRST + begin, MARCH_FIRST + begin + length)
    book = compile_tariff(tariff)
    alone = recurring_charges(
        book, "2026-03", np.zeros(1, np.int32), np.array([active[0]]), np.array([active[1]])
    )
    assert _month(versions_of(tariff, *days), *active) == alone.amount_micro.tolist()


def test_a_price_by_days_counts_the_days_of_each_version(small: Tariff) -> None:
    """31 kroner until the 11th, 62 from then on: ten days at one, 21 at two."""
    cheap, dear = (_with_price(small, price, "days") for price in (31_000_000, 62_000_000))
    versions = versions_of(cheap, date(2026, 3, 11), changed=dear)
    assert _month(versions, 0, 2**40) == [10_000_000, 42_000_000]
    assert _month(versions, MARCH_FIRST + 9, MARCH_FIRST + 12) == [1_000_000, 4_000_000]
    assert _month(versions, 0, 2**40, agreed=31_000_000) == [31_000_000]


def test_a_flat_price_goes_by_the_version_of_the_first_day(small: Tariff) -> None:
    """Charged once, also where another version comes in the month."""
    cheap, dear = (_with_price(small, price, "none") for price in (31_000_000, 62_000_000))
    versions = versions_of(cheap, date(2026, 3, 11), changed=dear)
    assert _month(versions, 0, 2**40) == [31_000_000]
    assert _month(versions, MARCH_FIRST + 10, 2**40) == [62_000_000]
    assert _month(versions, MARCH_FIRST + 9, 2**40) == [31_000_000]


def test_what_is_prorated_is_granted_by_the_days_of_each_version(small: Tariff) -> None:
    """3100 until the 11th, 6200 from then on; every version grants the same sum of the month."""
    less, more = (_with_grant(small, quantity) for quantity in (3100, 6200))
    versions = versions_of(less, date(2026, 3, 11), changed=more)
    versions = [replace(one, to_day=min(one.to_day, APRIL_FIRST)) for one in versions]
    for one in versions:
        granted = monthly_grants(
            one.book, "2026-03", np.zeros(1, np.int32), np.array([MARCH_FIRST]),
            np.array([APRIL_FIRST]), np.zeros(1, np.int32), np.zeros(1, np.int32), versions,
        )  # fmt: skip
        assert granted.granted.tolist() == [10 * 100 + 21 * 200]


def test_what_was_used_before_the_change_is_used_after_it(small: Tariff) -> None:
    """1000 octets a month, then 1500: of 900 and 900 the second pays for 300."""
    more = _with_grant(small, 1500, prorate=False)
    versions = versions_of(small, date(2026, 3, 11), changed=more)
    days = [int(np.datetime64(f"2026-03-{day}T12:00:00").astype(np.int64)) for day in (10, 11)]
    used = [Event(n, day, 900, 3, "", 100, 0, 0) for n, day in enumerate(days, 1)]
    month = rate_versions(batch_of(used), ["ONE"], versions, [None, None])
    assert month.column("free_quantity").tolist() == [900, 600]


def _with_price(tariff: Tariff, price: int, proration: str) -> Tariff:
    (offering,) = tariff.offerings
    month = replace(offering.recurring[0], price_micro=price, proration=proration)
    return _sold(tariff, replace(offering, recurring=(month,)))


def _with_grant(tariff: Tariff, quantity: int, *, prorate: bool = True) -> Tariff:
    (offering,) = tariff.offerings
    granted = replace(offering.allowances[0], quantity=quantity, prorate=prorate)
    return _sold(tariff, replace(offering, allowances=(granted,)))


def _sold(tariff: Tariff, offering: Offering) -> Tariff:
    return replace(tariff, offerings=(offering,))
