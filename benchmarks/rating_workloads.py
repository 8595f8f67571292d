"""Usage and tariffs to rate, drawn from one seed: calls, bundles and pools, tiny sessions.

A: calls to 20,000 prefixes in 200 zones, five bands of the day and week, 60/1 with a set-up fee;
   about 2 in 100 cross a band.
B: the calls of A by a million subscriptions with a bundle of their own, of which 200,000 also share
   20,000 pools; half of those are members of one single pool.
C: sessions of a few kilobytes of 100,000 devices, pooled by 1,000 customers; the rest is paid by
   the megabyte.

Numbers of subscriptions, devices and pools shrink with the number of events where there are fewer
than designed for, so that each keeps its events.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from rating import Counters, TariffBook, UsageBatch, check_usage, encode_numbers, parse_tariff
from rating.clock import months

SEED = 1
ZONES, PREFIXES = 200, 20_000
FEBRUARY, MARCH = 1_769_900_400, 1_772_319_600  # 2026-02-01 and 2026-03-01, 00:00 in Oslo
OSLO = 3_600  # Seconds ahead of UTC all through that month: no clock change.
MEAN_SECONDS, MAX_SECONDS = 340, 5_400  # Shorter than any band: a call crosses one border at most.
# The bands, as seconds of a working day and of the weekend: night, morning, day, evening, weekend.
BANDS = ("night", "morning", "day", "evening", "weekend")
WORKDAY = ((0, 0), (6 * 3600, 1), (8 * 3600, 2), (17 * 3600, 3), (22 * 3600, 0))
SETUP_MICRO, PER = 690_000, 60
BUNDLE, MEMBER_BUNDLE = 1_200, 1_500  # Seconds a month: of each its own, and what a member brings.
KILOBYTE, MEGABYTE = 1 << 10, 1 << 20
DEVICE_OCTETS = 100 * KILOBYTE
OCTET_PRICE_MICRO = 490_000  # A megabyte.


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """What is rated, and the facts that a peer needs to do the same without the library."""

    name: str
    batch: UsageBatch
    book: TariffBook
    counters: Counters
    numbers: np.ndarray  # (n,) "S15" called numbers; empty where nothing is called
    prefixes: tuple[tuple[str, int], ...]  # prefix and the zone it leads to
    prices: np.ndarray  # (zones, bands) millionths per PER seconds


def calls(count: int) -> Workload:
    """Workload A: calls, no allowance."""
    random = np.random.default_rng(SEED)
    prefixes = _prefixes(random)
    prices = random.integers(10, 999, (ZONES, len(BANDS))) * 10_000
    book = parse_tariff(_calls_tariff(prefixes, prices, "").encode())
    batch, numbers = _calls(random, prefixes, count, max(count // 10, 1))
    return Workload("A", batch, book, Counters.none(), numbers, prefixes, prices)


def bundles(count: int) -> Workload:
    """Workload B: the same calls, out of bundles and shared pools first."""
    random = np.random.default_rng(SEED)
    prefixes = _prefixes(random)
    prices = random.integers(10, 999, (ZONES, len(BANDS))) * 10_000
    book = parse_tariff(_calls_tariff(prefixes, prices, _BUNDLES).encode())
    subscriptions = max(min(count // 10, 1_000_000), 10)
    batch, numbers = _calls(random, prefixes, count, subscriptions)
    members, pools = subscriptions // 5, max(subscriptions // 50, 1)
    pool = np.arange(subscriptions, dtype=np.int32) + np.int32(pools)  # Nobody to share with.
    pool[:members] = random.integers(0, pools, members)
    pool[: members // 2] = 0
    batch = check_usage(
        **{name: getattr(batch, name) for name in _COLUMNS if name not in {"offering", "pool"}},
        offering=(batch.subscription < members).astype(np.int32),
        pool=pool[batch.subscription],
    )
    held = np.bincount(pool[:members], minlength=pools)
    return Workload(
        "B", batch, book, _granted(book, "pool", held * MEMBER_BUNDLE), numbers, prefixes, prices
    )


def devices(count: int) -> Workload:
    """Workload C: small sessions of devices that share what their customer has included."""
    random = np.random.default_rng(SEED)
    book = parse_tariff(device_tariff(_kroner(OCTET_PRICE_MICRO)).encode())
    owners = max(min(count // 500, 100_000), 10)
    customers = max(owners // 100, 1)
    device = random.integers(0, owners, count).astype(np.int32)
    batch = check_usage(
        event_key=np.arange(count),
        started_at=np.sort(random.integers(FEBRUARY, MARCH, count)),
        quantity=random.exponential(3 * KILOBYTE, count).astype(np.int64) + 1,
        usage_type=np.full(count, 3, np.int16),
        called=np.zeros(count, np.int64),
        rating_group=np.full(count, 100, np.int32),
        subscription=device,
        offering=np.zeros(count, np.int32),
        pool=device % np.int32(customers),
    )
    held = np.bincount(np.arange(owners) % customers, minlength=customers)
    octets = held * min(DEVICE_OCTETS, count // owners * KILOBYTE)
    nothing = np.zeros((0, 0), np.int64)
    return Workload(
        "C", batch, book, _granted(book, "octets", octets), np.zeros(0, "S15"), (), nothing
    )


_COLUMNS = (
    "event_key", "started_at", "quantity", "usage_type", "called", "rating_group", "subscription",
    "offering", "pool",
)  # fmt: skip


def _granted(book: TariffBook, allowance: str, granted: np.ndarray) -> Counters:
    """State what each pool has included in the month of the workload."""
    pools = len(granted)
    month = months(book.clock, np.array([FEBRUARY]))[0]
    return Counters.grants(
        np.arange(pools, dtype=np.int32),
        np.full(pools, book.included.ids.index(allowance), np.int32),
        np.full(pools, month, np.int32),
        granted.astype(np.int64),
    )


def _prefixes(random: np.random.Generator) -> tuple[tuple[str, int], ...]:
    """Draw prefixes of two to eight digits; the longer ones lie within shorter ones."""
    found = {str(head): int(zone) for head, zone in
             zip(range(20, 100), random.integers(0, ZONES, 80), strict=True)}  # fmt: skip
    while len(found) < PREFIXES:
        head, length = int(random.integers(20, 100)), int(random.integers(1, 7))
        tail = int(random.integers(0, 10**length))
        found.setdefault(f"{head}{tail:0{length}d}", int(random.integers(0, ZONES)))
    return tuple(sorted(found.items()))


def _calls(
    random: np.random.Generator, prefixes: tuple[tuple[str, int], ...],
    count: int, subscriptions: int,
) -> tuple[UsageBatch, np.ndarray]:  # fmt: skip
    """Draw calls to numbers below the prefixes, in order of time, as mediation delivers them."""
    heads = np.array([prefix for prefix, _ in prefixes], "S8")
    below = random.integers(10**6, 10**7, count).astype("S7")
    numbers = np.char.add(heads[random.integers(0, len(heads), count)], below)
    seconds = random.exponential(MEAN_SECONDS, count).astype(np.int64) + 1
    batch = check_usage(
        event_key=np.arange(count),
        started_at=np.sort(random.integers(FEBRUARY, MARCH - MAX_SECONDS, count)),
        quantity=np.minimum(seconds, MAX_SECONDS),
        usage_type=np.ones(count, np.int16),
        called=encode_numbers(numbers),
        rating_group=np.zeros(count, np.int32),
        subscription=random.integers(0, subscriptions, count).astype(np.int32),
        offering=np.zeros(count, np.int32),
    )
    return batch, numbers


def _calls_tariff(
    prefixes: tuple[tuple[str, int], ...], prices: np.ndarray, allowances: str
) -> str:
    """Write the tariff: a row a zone and band; two offerings, of which the second may share."""
    of_zone: list[list[str]] = [[] for _ in range(ZONES)]
    for prefix, zone in prefixes:
        of_zone[zone].append(prefix)
    zones = "".join(
        f'[[zone]]\nid = "Z{zone}"\nprefixes = {sorted(held)}\n'
        for zone, held in enumerate(of_zone)
    )
    bands = '[[band]]\nid = "weekend"\nfrom = "00:00"\nweekdays = [6, 7]\n' + "".join(
        f'[[band]]\nid = "{BANDS[band]}"\nfrom = "{second // 3600:02d}:00"\n'
        "weekdays = [1, 2, 3, 4, 5]\n"
        for second, band in WORKDAY
    )
    rates = "".join(
        f'[[offering.rate]]\nusage = "voice"\nzone = "Z{zone}"\nband = "{name}"\n'
        f'component = "voice"\nsetup_fee = "0.69"\nprice = "{_kroner(prices[zone, band])}"\n'
        f"per = {PER}\nincrement = 60\n"
        f'[[offering.rate.step]]\nfrom = 60\nprice = "{_kroner(prices[zone, band])}"\n'
        f"per = {PER}\nincrement = 1\n"
        for zone in range(ZONES)
        for band, name in enumerate(BANDS)
    )
    own, shared = allowances.split("---") if allowances else ("", "")
    offerings = "".join(
        f'[[offering]]\nid = "{name}"\nname = "{name}"\nprice_basis = "net"\n{held}{rates}'
        for name, held in (("OWN", own), ("MEMBER", own.replace("own", "member") + shared))
    )
    return _HEAD + zones + bands + _component("voice", "s") + offerings


def _kroner(micro: int) -> str:
    return f"{micro // 1_000_000}.{micro % 1_000_000:06d}".rstrip("0").ljust(3, "0")


def _component(name: str, unit: str) -> str:
    return (
        f'[[component]]\nid = "{name}"\ntext = "{name}"\nrevenue = "{name}"\nvat = "3"\n'
        f'unit = "{unit}"\n'
    )


_HEAD = f"""format = "hovedbok-tariff/1"
name = "BENCH"
version = 1
valid_from = {date(2026, 1, 1)}
currency = "NOK"
time_zone = "Europe/Oslo"
"""
_BUNDLES = f"""[[offering.allowance]]
id = "own"
component = "voice"
quantity = {BUNDLE}
---[[offering.allowance]]
id = "pool"
component = "voice"
quantity = {MEMBER_BUNDLE}
shared = true
"""


def device_tariff(price: str) -> str:
    """Write the tariff of devices at a price a megabyte."""
    return (
        _HEAD
        + '[[zone]]\nid = "DATA"\nrating_groups = [100]\n'
        + _component("data", "octet")
        + f"""[[offering]]
id = "DEVICE"
name = "DEVICE"
price_basis = "net"
[[offering.allowance]]
id = "octets"
component = "data"
quantity = {DEVICE_OCTETS}
shared = true
[[offering.rate]]
usage = "data"
zone = "DATA"
component = "data"
price = "{price}"
per = {MEGABYTE}
increment = {KILOBYTE}
"""
    )
