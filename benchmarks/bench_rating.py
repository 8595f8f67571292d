"""Rating in columns beside a plain Python integer loop, same tariff, same events, same sums.

    python -m benchmarks.bench_rating [EVENTS]

The tariff has zones by prefix, day and night bands, increments, set-up fees, a minimum and a data
allowance per subscription; events come in order of time, as mediation delivers them. Each round
rates all events in columns and those of 2,000 subscriptions in the loop, alternating; the loop's
rate is that of its sample. The sums of money over the sample must be identical, or the program
fails.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.measure import alternate, tell, tell_ratio
from rating import TariffBook, UsageBatch, check_usage, encode_numbers, parse_tariff, rate
from rating.clock import local_seconds

TARIFF = Path(__file__).with_name("tariff.toml")
SEED = 1
MARCH, APRIL = 1_772_319_600, 1_774_994_400  # 2026-03-01 and 2026-04-01, 00:00 in Oslo
DAY_FROM, DAY_TO = 8 * 3600, 17 * 3600


def make_events(count: int, book: TariffBook) -> UsageBatch:
    """Draw a month of usage: 40 % calls, 20 % messages, 40 % data, 50 events a subscription."""
    random = np.random.default_rng(SEED)
    usage = random.choice(np.array([1, 2, 3], np.int16), count, p=[0.4, 0.2, 0.4])
    blocks = random.choice([4790_000_000, 4640_000_000, 4430_000_000], count, p=[0.85, 0.1, 0.05])
    called = encode_numbers((blocks + random.integers(0, 9_999_999, count)).astype("S10"))
    called[usage == 3] = 0
    seconds = random.exponential(120, count).astype(np.int64)
    octets = random.integers(1, 50_000_000, count)
    subscription = random.integers(0, max(count // 50, 1), count).astype(np.int32)
    return check_usage(
        event_key=np.arange(count),
        started_at=np.sort(random.integers(MARCH, APRIL, count)),
        quantity=np.select([usage == 1, usage == 3], [seconds, octets], 1),
        usage_type=usage,
        called=called,
        rating_group=np.where(usage == 3, 100, 0).astype(np.int32),
        subscription=subscription,
        offering=(subscription % len(book.offerings)).astype(np.int32),
    )


def python_loop(events: list[tuple], book: TariffBook) -> int:
    """Price events one by one with integers and dictionaries; gives the sum in millionths."""
    prefixes = {p: n for n, zone in enumerate(book.tariff.zones) for p in zone.prefixes}
    groups = {g: n for n, zone in enumerate(book.tariff.zones) for g in zone.rating_groups}
    prices = {
        (number, rate.usage, book.zones.index(rate.zone), rate.band): rate
        for number, offering in enumerate(book.tariff.offerings)
        for rate in offering.rates
    }
    left: dict[int, int] = {}
    total = 0
    for event in events:
        start, wall, quantity, usage, number, group, subscription, offering = event
        if usage == "data":
            zone = groups[group]
            balance = left.get(subscription, book.tariff.offerings[offering].allowances[0].quantity)
            free = min(balance, quantity)
            left[subscription] = balance - free
            quantity -= free
        else:
            zone = next(prefixes[number[:k]] for k in range(7, 0, -1) if number[:k] in prefixes)
        if not quantity:
            continue
        paid_until, numerator, first = start, 0, None
        for band, begin, end in _portions(start, wall, quantity, usage):
            row = prices.get((offering, usage, zone, None)) or prices[offering, usage, zone, band]
            first = first or row
            unpaid = max(0, end - max(begin, paid_until))
            billed = -(-unpaid // row.increment) * row.increment
            paid_until = max(begin, paid_until) + billed
            numerator += billed * row.price_micro
        assert first is not None
        amount = first.setup_micro + (2 * numerator + first.per) // (2 * first.per)
        total += max(amount, first.minimum_micro)
    return total


def _portions(start: int, wall: int, quantity: int, usage: str) -> Iterator[tuple[str, int, int]]:
    """Cut a call at 8 and 17 o'clock of weekdays; the clock change at night cuts nothing."""
    end = start + (quantity if usage == "voice" else 1)
    last = start + quantity
    while start < end:
        second = wall % 86_400
        workday = (wall // 86_400 + 3) % 7 < 5
        is_day = workday and DAY_FROM <= second < DAY_TO
        border = next(b for b in (DAY_FROM, DAY_TO, 86_400) if second < b) - second
        stop = min(end, start + border) if usage == "voice" else last
        yield ("day" if is_day else "night"), start, stop
        wall += stop - start
        start = stop if usage == "voice" else end


def _rows(batch: UsageBatch, book: TariffBook) -> list[tuple]:
    """Lay the events out as Python values, ready to loop over; no part of the time measured."""
    numbers = [_digits(code) for code in batch.called.tolist()]
    names = {1: "voice", 2: "sms", 3: "data"}
    return list(
        zip(
            batch.started_at.tolist(), local_seconds(book.clock, batch.started_at).tolist(),
            batch.quantity.tolist(), [names[u] for u in batch.usage_type.tolist()], numbers,
            batch.rating_group.tolist(), batch.subscription.tolist(), batch.offering.tolist(),
            strict=True,
        )
    )  # fmt: skip


def _digits(code: int) -> str:
    found = ""
    while code:
        code, digit = divmod(code, 11)
        found = (str(digit - 1) if digit else "") + found
    return found


def main(count: int = 2_000_000) -> None:
    """Measure both, alternating, and print the ratio of the medians."""
    book = parse_tariff(TARIFF.read_bytes())
    batch = make_events(count, book)
    # Whole months of some subscriptions, so that the loop meets exhausted allowances as well.
    few = batch.take(batch.subscription < 2_000)
    rows = _rows(few, book)
    slow: list[int] = []
    columns, loop = alternate(
        [(count, lambda: rate(batch, book)),
         (len(few), lambda: slow.append(python_loop(rows, book)))]
    )  # fmt: skip
    fast = rate(few, book)
    if fast.reason.any() or int(fast.amount_micro.sum()) != slow[0]:
        raise SystemExit(f"Sums differ: {fast.amount_micro.sum()} in columns, {slow[0]} in a loop.")
    print(f"rating: {count:,} events, seed {SEED}, tariff {book.label} {book.content_hash[:12]};")
    print(f"  over {len(few):,} of them both come to {slow[0]:,} millionths; one core")
    tell("in columns", columns, "events/s")
    tell("plain Python loop of integers", loop, "events/s")
    tell_ratio("ratio", columns, loop)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:2]))
