"""The usage ledger: what comes in is what becomes of it, and nobody can change what was written."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from ledger.errors import DoesNotTie
from mediation.outcomes import Bucket
from mediation.service import registration
from mediation.service.control import (
    ControlTotal,
    Move,
    control_totals,
    post_moves,
    verify_file,
)
from mediation.service.registration import Registration
from mediation.service.suspense import (
    Suspended,
    release_priced,
    suspend_rated,
    suspense,
    suspense_by_reason,
)

FACTS = (
    "source_file", "file_alarm", "file_usage", "control_move", "suspense", "suspense_release",
    "held_part", "held_release", "file_reversal", "refused_file", "refused_file_end",
)  # fmt: skip
ENDS = [bucket for bucket in Bucket if bucket is not Bucket.RECEIVED]


def _file(session: Session, letter: str = "a") -> int:
    """Register a file of which nothing is known but its hash."""
    file_id = registration.next_file_id(session)
    registration.register(
        session,
        Registration(
            file_id=file_id, source_system="network", name=f"{letter}.ber", sha256=letter * 64,
            size=1, format="msc", state="accepted",
        ),
    )  # fmt: skip
    return file_id


@pytest.mark.parametrize("seed", range(5))
def test_totals_agree_with_moves_counted_one_by_one(seed: int, session: Session) -> None:
    """Any moves between buckets: the totals are what a counter per bucket says, and they tie."""
    dice = random.Random(seed)
    counted: dict[tuple[int, str], Counter[Bucket]] = {}
    moves = []
    for file_id in (_file(session, "a"), _file(session, "b")):
        for measure in ("records", "seconds", "octets", "ore"):
            count = counted.setdefault((file_id, measure), Counter())
            for _ in range(dice.randint(1, 8)):
                source = dice.choice([Bucket.RECEIVED, *(b for b in ENDS if count[b] > 0)])
                end = dice.choice([bucket for bucket in ENDS if bucket is not source])
                quantity = dice.randint(1, 2**50)
                moves.append(Move(file_id, measure, source, end, "", quantity))
                count[source] += quantity if source is Bucket.RECEIVED else -quantity
                count[end] += quantity
    post_moves(session, moves, "a test")
    found = {(total.file_id, total.measure): total for total in control_totals(session)}
    assert found == {
        key: ControlTotal(*key, *(count[bucket] for bucket in Bucket))
        for key, count in counted.items()
    }
    assert all(total.ties for total in found.values())


def test_a_file_ties_with_its_bytes_or_is_refused(session: Session) -> None:
    """One record less than the bytes hold: the refusal names file, measure and both figures."""
    file_id = _file(session)
    post_moves(
        session, [Move(file_id, "records", Bucket.RECEIVED, Bucket.ACCEPTED, "", 11)], "a test"
    )
    verify_file(session, file_id, {"records": 11, "seconds": 0})
    with pytest.raises(
        DoesNotTie, match=rf"File {file_id} holds 12 records, its outcomes sum to 11"
    ):
        verify_file(session, file_id, {"records": 12})
    with pytest.raises(DoesNotTie, match="holds 1 seconds, its outcomes sum to 0"):
        verify_file(session, file_id, {"seconds": 1})


def test_moves_of_nothing_are_not_written(session: Session) -> None:
    """A control account has no lines of zero."""
    post_moves(
        session, [Move(_file(session), "octets", Bucket.RECEIVED, Bucket.HELD, "", 0)], "a test"
    )
    assert control_totals(session) == []


@pytest.mark.parametrize(
    "columns",
    [
        "'records', 'held', 'held', '', 1",
        "'records', 'accepted', 'received', '', 1",
        "'records', 'lost', 'accepted', '', 1",
        "'litres', 'received', 'accepted', '', 1",
    ],
)
def test_a_move_that_makes_no_sense_is_refused(columns: str, session: Session) -> None:
    """To itself, back to received, from nowhere, of an unknown measure: the database says no."""
    file_id = _file(session)
    with pytest.raises(IntegrityError, match="ck_control_move"):
        session.execute(
            text(
                "INSERT INTO control_move (file_id, measure, from_bucket, to_bucket, reason,"
                f" quantity, cause) VALUES ({file_id}, {columns}, 'a test')"
            )
        )


@pytest.mark.parametrize("table", FACTS)
@pytest.mark.parametrize(
    "attack", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
def test_facts_of_mediation_cannot_be_changed(table: str, attack: str, session: Session) -> None:
    """The service may add to them and nothing else; every table carries both guards."""
    column = session.execute(
        text(
            "SELECT column_name FROM information_schema.columns WHERE table_name = :table"
            " ORDER BY ordinal_position DESC LIMIT 1"
        ),
        {"table": table},
    ).scalar_one()
    guards = session.execute(
        text(
            "SELECT count(*) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
            " WHERE t.tgrelid = CAST(:table AS regclass) AND p.proname = 'ledger_refuse_change'"
            " AND t.tgenabled <> 'D'"
        ),
        {"table": table},
    ).scalar_one()
    assert guards == 2
    with pytest.raises(DBAPIError, match="permission denied"):
        session.execute(text(attack.format(table, column, column)))


# Usage without a price ---------------------------------------------------------------------------


def _unpriced(file_id: int, record_no: int, part_no: int, octets: int) -> Suspended:
    return Suspended(
        file_id, record_no, "NO_RATE", "No rate for it.", part_no=part_no, octets=octets
    )


def test_usage_without_a_price_is_suspended_once(session: Session) -> None:
    """A record goes with the first of its rows; a second run finds everything done."""
    file_id = _file(session)
    accepted = [("records", 3), ("octets", 600)]
    post_moves(
        session,
        [Move(file_id, name, Bucket.RECEIVED, Bucket.ACCEPTED, "", n) for name, n in accepted],
        "a test",
    )
    found = [
        _unpriced(file_id, 1, 1, 100),
        _unpriced(file_id, 1, 2, 50),
        _unpriced(file_id, 2, 1, 7),
    ]
    assert suspend_rated(session, found, "rating 2026-03") == 3
    said = control_totals(session), suspense_by_reason(session)
    assert suspend_rated(session, found, "rating 2026-03") == 0
    assert said == (control_totals(session), suspense_by_reason(session))
    totals = {total.measure: total for total in said[0]}
    assert (totals["records"].accepted, totals["records"].suspended) == (1, 2)
    assert (totals["octets"].accepted, totals["octets"].suspended) == (443, 157)
    assert all(total.ties for total in totals.values())
    assert said[1] == [("NO_RATE", 2, 0, 157)]


def test_usage_that_gets_its_price_returns_with_the_last_of_its_rows(session: Session) -> None:
    """The record is accepted when all of it is priced, and all is as it was before."""
    file_id = _file(session)
    accepted = [("records", 1), ("octets", 150)]
    post_moves(
        session,
        [Move(file_id, name, Bucket.RECEIVED, Bucket.ACCEPTED, "", n) for name, n in accepted],
        "a test",
    )
    before = control_totals(session)
    suspend_rated(session, [_unpriced(file_id, 1, n, 100 // n) for n in (1, 2)], "rating")
    assert release_priced(session, {(file_id, 1, 1)}, "rating", "system:rating") == 1
    totals = {total.measure: total for total in control_totals(session)}
    assert (totals["records"].accepted, totals["octets"].accepted) == (0, 100)
    assert [one.part_no for one in suspense(session)] == [2]
    assert release_priced(session, {(file_id, 1, 2)}, "rating", "system:rating") == 1
    assert (control_totals(session), suspense(session)) == (before, [])
    assert release_priced(session, {(file_id, 1, 2)}, "rating", "system:rating") == 0
