"""Who used it: the card at the instant, else the number; the first rule that applies decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from mediation.guiding import guide, use_of
from mediation.outcomes import REASONS, Bucket
from mediation.policy import policy_on
from mediation.records import DATA, SMS_MO, SMS_MT, VOICE_MO, VOICE_MT, Columns
from party.agreements import FOREVER, Agreements, Intervals

POLICY = policy_on(date(2026, 3, 1))
CARD, OTHER_CARD, STRANGE_CARD, VISITOR = (
    242010000000001, 242010000000002, 242990000000001, 262010000000001,
)  # fmt: skip
NUMBER, SHARED = 4790000001, 4740000002
EVENING = 1_000  # when subscription 7 gives its number back
MORNING = 2_000  # when subscription 2 gets it
# Kind, number, from, to, subscription.
HELD = [
    ("imsi", CARD, 0, FOREVER, 1),
    ("imsi", OTHER_CARD, MORNING, FOREVER, 2),
    ("msisdn", NUMBER, 0, FOREVER, 1),
    ("msisdn", SHARED, 0, EVENING, 7),
    ("msisdn", SHARED, MORNING, FOREVER, 2),
]
SOLD = [(1, 0, FOREVER, 0), (2, MORNING, FOREVER, 1), (7, 0, EVENING, 0)]
PAID = [(1, 0, FOREVER, 501), (2, MORNING + 500, FOREVER, 502), (7, 0, EVENING, 507)]


def _intervals(rows: list[tuple[int, int, int, int]]) -> Intervals:
    return Intervals.of(*(np.array(column, np.int64) for column in zip(*rows, strict=True)))


AGREEMENTS = Agreements(
    identifiers={
        kind: _intervals([row[1:] for row in HELD if row[0] == kind]) for kind in ("imsi", "msisdn")
    },
    offerings=_intervals(SOLD),
    payers=_intervals(PAID),
    offering_names=("SMALL", "LARGE"),
)


@dataclass(frozen=True)
class Event:
    """An event as guiding sees it."""

    kind: int
    imsi: int
    msisdn: int
    started_at: int
    used: int


events = st.lists(
    st.builds(
        Event,
        kind=st.sampled_from([VOICE_MO, VOICE_MT, SMS_MO, SMS_MT, DATA]),
        imsi=st.sampled_from([-1, CARD, OTHER_CARD, STRANGE_CARD, VISITOR]),
        msisdn=st.sampled_from([-1, NUMBER, SHARED, 4799999999]),
        started_at=st.sampled_from([0, EVENING - 1, EVENING, MORNING - 1, MORNING, 9_999]),
        used=st.sampled_from([0, 1, 60]),
    ),
    max_size=12,
)


def _at(rows: list[tuple[int, int, int, int]], key: int, instant: int) -> int:
    return next((v for k, begin, end, v in rows if k == key and begin <= instant < end), -1)


def _slow(event: Event) -> tuple[str, str, int, int, int]:
    """Follow the rules one by one, in the order in which they are written down."""
    kind, value = ("imsi", event.imsi) if event.imsi >= 0 else ("msisdn", event.msisdn)
    numbers = [row[1:] for row in HELD if row[0] == kind]
    found = _at(numbers, value, event.started_at)
    if event.imsi >= 0 and not str(event.imsi).startswith("242"):
        why = ("filtered", "WHOLESALE")
    elif event.kind in {VOICE_MT, SMS_MT}:
        why = ("filtered", "TERMINATING")
    elif event.used == 0:
        why = ("filtered", "ZERO_USAGE")
    elif found < 0:
        why = ("suspended", "UNKNOWN_SUBSCRIBER")
    else:
        offering, payer = (_at(rows, found, event.started_at) for rows in (SOLD, PAID))
        if offering >= 0 and payer >= 0:
            return "accepted", "", found, payer, offering
        why = ("suspended", "NO_OFFERING")
    return *why, -1, -1, -1


def _fast(given_events: list[Event]) -> list[tuple[str, str, int, int, int]]:
    columns: Columns = {
        name: np.array([getattr(event, name) for event in given_events], np.int64)
        for name in ("kind", "imsi", "msisdn", "started_at")
    }
    used = np.array([event.used for event in given_events], np.int64)
    found = guide(columns, used, AGREEMENTS, POLICY)
    return [
        (Bucket(int(bucket)).label, REASONS[reason], *rest)
        for bucket, reason, *rest in zip(
            found.bucket, found.reason.tolist(), found.subscription.tolist(),
            found.payer.tolist(), found.offering.tolist(), strict=True,
        )
    ]  # fmt: skip


@given(events)
@example([])
def test_guiding_agrees_with_the_rules_one_by_one(given_events: list[Event]) -> None:
    """For any mixture of cards, numbers, instants and kinds, columns give what the rules give."""
    assert _fast(given_events) == [_slow(event) for event in given_events]


def test_a_number_used_again_belongs_to_whoever_has_it_at_the_instant() -> None:
    """The former holder up to the last second, nobody in between, the new one from the first."""
    instants = (EVENING - 1, EVENING, MORNING - 1, MORNING + 500)
    calls = [Event(VOICE_MO, -1, SHARED, instant, 60) for instant in instants]
    assert [(said[1], said[2]) for said in _fast(calls)] == [
        ("", 7), ("UNKNOWN_SUBSCRIBER", -1), ("UNKNOWN_SUBSCRIBER", -1), ("", 2),
    ]  # fmt: skip


def test_a_known_number_on_an_unknown_card_proves_nothing() -> None:
    """The card decides where there is one: nobody is billed for a stranger's card."""
    call = Event(VOICE_MO, STRANGE_CARD, NUMBER, 60, 60)
    assert _fast([call])[0][:2] == ("suspended", "UNKNOWN_SUBSCRIBER")


def test_a_message_counts_as_one_and_the_rest_by_its_measure() -> None:
    """Seconds of calls, octets of data; a message that lasted nothing was sent all the same."""
    kinds = np.array([VOICE_MO, VOICE_MT, SMS_MO, SMS_MT, DATA], np.int16)
    seconds, octets = np.array([5, 6, 0, 0, 7], np.int64), np.array([0, 0, 0, 0, 800], np.int64)
    assert use_of(kinds, seconds, octets).tolist() == [5, 6, 1, 1, 800]
