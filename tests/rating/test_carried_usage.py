"""Events that bring their price, in batches with others: against fractions, in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction as Q

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.carried_usage import in_codes_of, with_vat_rates
from rating.codes import check_codes, codes_of
from rating.dated import day_number
from rating.explain import explain_event
from rating.pipeline import rate
from rating.tariff import parse_tariff
from rating.usage import (
    CONTENT,
    NO_PRICE,
    NO_SERVICE,
    UNKNOWN_SERVICE,
    Reason,
    UsageBatch,
    UsageInvalid,
    check_usage,
)
from rating.zones import encode_numbers
from tests.rating.oracle import round_half_away
from tests.rating.test_margins import RETAIL

SECTIONS = """
[[exchange]]
currency = "EUR"
valid_from = 2026-01-01
rate = "11.5140"
[[exchange]]
currency = "EUR"
valid_from = 2026-03-10
rate = "12"
[[carried]]
service = "GAMES"
component = "voice"
valid_from = 2026-01-01
percent = "7.5"
fixed = "0.333333"
[[carried]]
service = "TAP"
component = "voice"
valid_from = 2026-02-01
percent = "20"
minimum = "1.50"
maximum = "30"
"""
NET = RETAIL[RETAIL.index("[[offering]]") :].replace("MOBIL", "BEDRIFT").replace("gross", "net")
BOOK = parse_tariff((RETAIL + NET + SECTIONS).encode())
EUR_FROM = ((day_number(datetime(2026, 1, 1, tzinfo=UTC).date()), Q("11.514")),
            (day_number(datetime(2026, 3, 10, tzinfo=UTC).date()), Q(12)))  # fmt: skip
START = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())

events = st.lists(
    st.tuples(
        st.integers(0, 25), st.integers(0, 1), st.integers(-2, 1), st.integers(-1, 1),
        st.integers(-(10**9), 10**9) | st.just(NO_PRICE), st.booleans(), st.integers(1, 300),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


def _batch(rows: list[tuple[int, int, int, int, int, bool, int]]) -> UsageBatch:
    day, offering, service, currency, price, with_vat, seconds = zip(*rows, strict=True)
    batch = check_usage(
        event_key=np.arange(len(rows), dtype=np.int64),
        started_at=START + 43_200 + 86_400 * np.array(day, np.int64),
        quantity=np.array(seconds, np.int64),
        usage_type=np.where(np.array(service) == NO_SERVICE, 1, CONTENT).astype(np.int16),
        called=encode_numbers(["4740000001"] * len(rows)),
        rating_group=np.zeros(len(rows), np.int32),
        subscription=np.zeros(len(rows), np.int32),
        offering=np.array(offering, np.int32),
        service=np.array(service, np.int32),
        price_micro=np.array(price, np.int64),
        currency=np.array(currency, np.int32),
        with_vat=np.array(with_vat, np.bool_),
    )
    return with_vat_rates(batch, BOOK, {"3": 2_500})


def _slow(row: tuple[int, int, int, int, int, bool, int]) -> tuple[str, int]:
    """One event by hand: reason and amount."""
    day, offering, service, currency, price, with_vat, seconds = row
    if service == NO_SERVICE:
        return "OK", round_half_away(Q(500_000 * seconds, 60))
    if service == UNKNOWN_SERVICE:
        return "NO_RATE", 0
    if price == NO_PRICE:
        return "NO_PRICE", 0
    if currency < 0:
        return "NO_RATE", 0
    today = START // 86_400 + day
    rate_of_day = [rate for since, rate in EUR_FROM if since <= today][-1] if currency else Q(1)
    vat = {(True, 1): Q(4, 5), (False, 0): Q(5, 4)}.get((with_vat, offering), Q(1))
    base = abs(price) * rate_of_day * vat
    percent, fixed, least, most = ((Q("7.5"), 333_333, 0, None), (Q(20), 0, 1_500_000, 30_000_000))[
        service
    ]
    added = max(base * percent / 100 + fixed, Q(least))
    added = added if most is None else min(added, Q(most))
    return "OK", round_half_away((base + added) * (1 if price > 0 else -1)) if price else 0


@settings(deadline=None, max_examples=60)
@given(events, st.randoms(use_true_random=False))
def test_carried_and_rated_events_lie_in_one_batch(
    rows: list[tuple[int, int, int, int, int, bool, int]], random: object
) -> None:
    """Each by its own road, to the millionth; explanations sum to it, and no order matters."""
    batch = _batch(rows)
    rated = rate(batch, BOOK)
    told = [
        (Reason(int(why)).name, int(amount))
        for why, amount in zip(rated.reason, rated.amount_micro, strict=True)
    ]
    assert told == [_slow(row) for row in rows]
    check_codes(codes_of(batch, rated, BOOK), batch, rated, BOOK)
    for number in range(len(rows)):
        said = explain_event(batch, rated, BOOK, number, "en")
        assert sum(part.amount_micro for part in said.parts) == said.amount_micro
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    again = rate(batch.take(order), BOOK)
    for name in ("amount_micro", "component", "reason", "billed_units", "drawn"):
        assert (getattr(again, name) == getattr(rated, name)[order]).all()


def test_a_price_of_another_basis_needs_the_rate_of_vat() -> None:
    """Without it there is no price, and none is guessed; a price of the same basis needs none."""
    rows = [(0, 0, 0, 0, 10_000_000, False, 1), (0, 0, 0, 0, 10_000_000, True, 1)]
    unknown = replace(_batch(rows), vat_rate_bp=None)
    assert rate(unknown, BOOK).reason.tolist() == [Reason.NO_RATE, Reason.OK]
    assert rate(with_vat_rates(unknown, BOOK, {}), BOOK).reason.tolist() == [Reason.NO_RATE, 0]
    # What an event was rated with once it keeps.
    kept = with_vat_rates(_batch(rows), BOOK, {"3": 1_200})
    assert kept.vat_rate_bp is not None
    assert kept.vat_rate_bp.tolist() == [2_500, 2_500]


def test_codes_follow_the_names_from_book_to_book() -> None:
    """A service that the other book does not know is unknown there, not another one."""
    other = parse_tariff(
        (RETAIL + SECTIONS.replace('"GAMES"', '"MUSIC"').replace('"EUR"', '"SEK"')).encode()
    )
    rows = [(0, 0, service, currency, 1, True, 1)
            for service, currency in ((0, 0), (1, 1), (-1, -1), (-2, 0))]  # fmt: skip
    there = in_codes_of(other, _batch(rows), BOOK.services, BOOK.currencies)
    assert there.service is not None
    assert there.currency is not None
    assert there.service.tolist() == [UNKNOWN_SERVICE, 1, NO_SERVICE, UNKNOWN_SERVICE]
    assert there.currency.tolist() == [0, -1, -1, 0]


def test_content_without_a_service_has_no_price() -> None:
    """No tariff has rates for content; and the columns of a price come together."""
    batch = replace(_batch([(0, 0, 0, 0, 1, True, 1)]), service=np.array([NO_SERVICE], np.int32))
    assert rate(batch, BOOK).reason.tolist() == [Reason.UNKNOWN_USAGE]
    columns = {name: getattr(batch, name) for name in UsageBatch.__slots__}
    columns = {name: column for name, column in columns.items() if column is not None}
    del columns["price_micro"]
    with pytest.raises(UsageInvalid, match="price_micro"):
        check_usage(**columns)
