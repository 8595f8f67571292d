"""Who calls, writes and surfs when: the sessions of a month, before a switch makes records of them.

Random numbers are whole numbers only, shaped by tables, so that no platform's floating point can
change a byte. A subscription starts at most one session in a second: the order in which sessions
use up an allowance is then the order of their starts, without ties.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from mediation.demo import wallclock
from mediation.demo.ber import Int64, Mask
from mediation.demo.destinations import FIRST_OF_EACH, Pool
from mediation.demo.plan import Plan
from mediation.demo.population import Subscription

RECORDS_PER_MONTH = 500  # per subscription in 31 days, about
SURF, CALL, ANSWER, MESSAGE = range(4)
_KINDS = np.repeat(np.arange(4), (46, 22, 10, 22))
# Weight of each hour of the day, local time.
_HOURS = np.repeat(
    np.arange(24),
    (2, 1, 1, 1, 1, 2, 5, 9, 12, 13, 13, 13, 14, 13, 13, 14, 15, 15, 14, 13, 12, 10, 7, 4),
)
# Powers of two for volumes: most sessions move one to sixteen megabytes.
_SHIFTS = np.repeat(np.arange(4, 17), (2, 3, 4, 6, 8, 10, 13, 16, 17, 12, 6, 2, 1))
LONG_PART = 3_600  # a long call is recorded anew each hour
SESSION_PART = 1_800  # a long session each half hour
FOREIGN_IMSI = ("262010000000009", "262020000000117", "240070000000033")
FOREIGN_MSISDN = ("4915112345678", "4915212345699", "46701230033")
UNKNOWN_IMSI = ("242010999999001", "242010999999002")
UNKNOWN_MSISDN = ("4799999901", "4799999902")


@dataclass(frozen=True)
class Identities:
    """SIM cards that turn up in the network: subscriptions first, then unknown, then foreign."""

    imsi: list[str]
    msisdn: list[str]
    known: int  # so many are subscriptions
    home: int  # so many belong to the home network

    @classmethod
    def of(cls, subscriptions: list[Subscription]) -> "Identities":
        """Append the strangers to the subscriptions."""
        imsi = [s.imsi for s in subscriptions]
        msisdn = [s.msisdn for s in subscriptions]
        known = len(imsi)
        return cls(
            imsi + list(UNKNOWN_IMSI + FOREIGN_IMSI),
            msisdn + list(UNKNOWN_MSISDN + FOREIGN_MSISDN),
            known,
            known + len(UNKNOWN_IMSI),
        )


@dataclass(frozen=True)
class Voice:
    """Calls, one row each. A row of n parts lacks part `missing` in the files; 0 lacks none."""

    identity: Int64
    start: Int64  # [s, UTC]
    incoming: Mask
    duration: Int64  # [s]
    other: Int64  # member of the voice pool
    parts: Int64
    missing: Int64


@dataclass(frozen=True)
class Messages:
    """Messages sent."""

    identity: Int64
    start: Int64  # [s, UTC]
    other: Int64  # member of the message pool


@dataclass(frozen=True)
class Packets:
    """Data sessions with volumes of rating group 100 and, where not zero, of 900."""

    identity: Int64
    start: Int64  # [s, UTC]
    duration: Int64  # [s]
    up: Int64  # [octets]
    down: Int64
    free_up: Int64  # [octets, rating group 900]
    free_down: Int64
    parts: Int64
    missing: Int64


@dataclass(frozen=True)
class Traffic:
    """All sessions of the month."""

    identities: Identities
    voice: Voice
    messages: Messages
    packets: Packets
    voice_pool: Pool = field(repr=False)
    message_pool: Pool = field(repr=False)


def make_traffic(
    plan: Plan, subscriptions: list[Subscription], voice_pool: Pool, message_pool: Pool
) -> Traffic:
    """Draw the month's sessions; each lies within an active interval of its subscription."""
    dice = plan.dice(2)
    identities = Identities.of(subscriptions)
    identity, start, kind = _draw_starts(plan, dice, subscriptions, identities)
    answers = (kind == CALL) | (kind == ANSWER)
    voice = _draw_voice(
        plan, dice, identities, voice_pool, identity[answers], start[answers], kind[answers]
    )
    texts = kind == MESSAGE
    messages = Messages(identity[texts], start[texts], message_pool.draw(dice, int(texts.sum())))
    surfs = kind == SURF
    packets = _draw_packets(plan, dice, identities, identity[surfs], start[surfs])
    return Traffic(identities, voice, messages, packets, voice_pool, message_pool)


def _draw_starts(
    plan: Plan,
    dice: np.random.Generator,
    subscriptions: list[Subscription],
    identities: Identities,
) -> tuple[Int64, Int64, Int64]:
    """Draw who, when and what, sorted by identity and start, one start per identity and second."""
    wanted = plan.subscribers * RECORDS_PER_MONTH * plan.days // 31
    strangers = len(identities.imsi) - identities.known
    few = max(2, wanted // 50_000)
    activity = np.cumsum(dice.integers(40, 160, identities.known))
    identity = np.concatenate(
        [
            np.searchsorted(activity, dice.integers(0, activity[-1], wanted), side="right"),
            np.repeat(np.arange(strangers) + identities.known, few),
        ]
    ).astype(np.int64)
    count = len(identity)
    first_wall = plan.start + int(wallclock.offset_seconds(np.array([plan.start]))[0])
    wall = (
        first_wall
        + dice.integers(0, plan.days, count) * wallclock.DAY
        + _HOURS[dice.integers(0, len(_HOURS), count)] * 3_600
        + dice.integers(0, 3_600, count)
    )
    start = wallclock.from_wall(wall)
    kind = _KINDS[dice.integers(0, len(_KINDS), count)]
    strange = identity >= identities.known
    # Strangers only call and surf: what they do is then suspended or settled wholesale.
    kind[strange] = np.where(np.arange(int(strange.sum())) % 2 == 0, CALL, SURF)
    order = np.lexsort((kind, start, identity))
    identity, start, kind = identity[order], start[order], kind[order]
    start = _one_per_second(identity, start)
    kept = _active(subscriptions, identity, start) & (start < plan.usage_end)
    return identity[kept], start[kept], kind[kept]


def _one_per_second(identity: Int64, start: Int64) -> Int64:
    """Move starts that collide by a second until none does."""
    moved = start.copy()
    while True:
        clash = (identity[1:] == identity[:-1]) & (moved[1:] <= moved[:-1])
        if not clash.any():
            return moved
        moved[1:][clash] = moved[:-1][clash] + 1


def _active(subscriptions: list[Subscription], identity: Int64, start: Int64) -> Mask:
    """Keep sessions within the life of their subscription; strangers are always kept."""
    forever = np.iinfo(np.int64).max
    strangers = int(identity.max(initial=0)) + 1 - len(subscriptions)
    extra = max(strangers, 0)
    since = np.array([s.intervals[0].start for s in subscriptions] + [0] * extra, np.int64)
    until = np.array(
        [s.intervals[-1].end or forever for s in subscriptions] + [forever] * extra, np.int64
    )
    kept: Mask = (start >= since[identity]) & (start < until[identity])
    return kept


def _draw_voice(
    plan: Plan,
    dice: np.random.Generator,
    identities: Identities,
    pool: Pool,
    identity: Int64,
    start: Int64,
    kind: Int64,
) -> Voice:
    """Draw lengths and numbers of calls; some are not answered, a few last for hours."""
    count = len(identity)
    duration = 1 + dice.integers(0, 25, count) * dice.integers(1, 13, count)
    duration += dice.integers(0, 40, count) * (dice.integers(0, 10, count) == 0) * 40
    incoming = kind == ANSWER
    plain = ~incoming & (identity < identities.known)
    unanswered = plain & (dice.integers(0, 25, count) == 0)
    duration = np.where(unanswered, 0, duration)
    other = pool.draw(dice, count)
    parts, missing = np.ones(count, np.int64), np.zeros(count, np.int64)
    usual = np.flatnonzero(plain & ~unanswered)
    long = _long_calls(plan, dice, usual, start)
    duration[long] = 2 * LONG_PART + dice.integers(1, LONG_PART, len(long))
    parts[long] = 3
    missing[long[-1:]] = 2
    # One call to each kind of destination, however small the month.
    shown = np.setdiff1d(usual, long)[: len(FIRST_OF_EACH)]
    other[shown] = [pool.first_of(name) for name in FIRST_OF_EACH[: len(shown)]]
    return Voice(identity, start, incoming, duration, other, parts, missing)


def _long_calls(plan: Plan, dice: np.random.Generator, usual: Int64, start: Int64) -> Int64:
    """Choose calls to be recorded in three parts: half of them run past midnight."""
    few = max(2, len(usual) // 3_000)
    room = usual[start[usual] + 3 * LONG_PART <= plan.usage_end]
    wall = start[room] + wallclock.offset_seconds(start[room])
    late = room[wall % wallclock.DAY >= 22 * 3_600]
    early = room[wall % wallclock.DAY < 20 * 3_600]
    return np.concatenate([dice.permutation(late)[:few], dice.permutation(early)[:few]])


def _draw_packets(
    plan: Plan,
    dice: np.random.Generator,
    identities: Identities,
    identity: Int64,
    start: Int64,
) -> Packets:
    """Draw lengths and volumes of data sessions; some are cut in two records, some are empty."""
    count = len(identity)
    room = plan.usage_end - start
    duration = np.minimum(1 + dice.integers(0, 60, count) * dice.integers(1, 30, count), room)
    up = dice.integers(64, 128, count) << _SHIFTS[dice.integers(0, len(_SHIFTS), count)]
    down = dice.integers(1024, 2048, count) << _SHIFTS[dice.integers(0, len(_SHIFTS), count)]
    up, down = up + dice.integers(0, 1000, count), down + dice.integers(0, 1000, count)
    shared = dice.integers(0, 6, count) == 0
    free_up = np.where(shared, dice.integers(1_000, 60_000, count), 0)
    free_down = np.where(shared, dice.integers(40_000, 6_000_000, count), 0)
    parts, missing = np.ones(count, np.int64), np.zeros(count, np.int64)
    packets = Packets(identity, start, duration, up, down, free_up, free_down, parts, missing)
    known = np.flatnonzero((identity < identities.known) & (room > 2 * SESSION_PART))
    return _special_packets(dice, packets, known)


def _special_packets(dice: np.random.Generator, packets: Packets, known: Int64) -> Packets:
    """Make chains over two records, chains without an end, very large and empty sessions."""
    wall = packets.start[known] + wallclock.offset_seconds(packets.start[known])
    crossing = known[wall % (6 * 3_600) >= 6 * 3_600 - SESSION_PART]
    few = max(2, len(known) // 60)
    order = dice.permutation(known)
    chains = np.unique(np.concatenate([dice.permutation(crossing)[:few], order[:few]]))
    rest = np.setdiff1d(order, chains, assume_unique=True)
    hanging, large, empty = (
        rest[: max(1, few // 50)],
        rest[-max(2, few // 100) :],
        rest[few : few + max(2, few // 5)],
    )
    duration, parts, missing = packets.duration.copy(), packets.parts.copy(), packets.missing.copy()
    up, down = packets.up.copy(), packets.down.copy()
    free_up, free_down = packets.free_up.copy(), packets.free_down.copy()
    both = np.concatenate([chains, hanging])
    duration[both] = SESSION_PART + dice.integers(1, SESSION_PART, len(both))
    parts[both] = 2
    missing[hanging] = 2
    down[large] = (1 << 31) + dice.integers(0, 1 << 31, len(large))
    for volume in (up, down, free_up, free_down):
        volume[empty] = 0
    return replace(
        packets,
        duration=duration,
        parts=parts,
        missing=missing,
        up=up,
        down=down,
        free_up=free_up,
        free_down=free_down,
    )
