"""A tariff rates once somebody else has approved what they read: in Python and in the database."""

from __future__ import annotations

from datetime import date

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ledger.db import transaction
from ledger.errors import Problem
from ledger.refusals import CommentMissing
from ledger.service.access import audit_log
from rating import service
from rating.service import OwnTariff, TariffChanged, TariffJudged, TariffNotFound
from tests.rating.staff import JUDGE, MAKER, hire
from tests.rating.tariffs import SMALL
from tests.rating.test_cli import run

MARCH = date(2026, 3, 1)
SECOND = SMALL.replace("version = 1", "version = 2").replace("2026-01-01", "2026-03-15")


def propose(session: Session, source: str = SMALL) -> str:
    """Propose a version as Maja; gives its hash."""
    return service.propose_tariff(session, source.encode(), actor="staff:maja").book.content_hash


def test_a_proposal_rates_only_when_another_person_has_approved_it(session: Session) -> None:
    """Before, the refusal names it; its author does not count."""
    read = propose(session)
    with pytest.raises(TariffNotFound, match=r"SMALL/1 waits for approval"):
        service.tariff_book(session, MARCH)
    with pytest.raises(OwnTariff):
        service.approve_tariff(session, "SMALL/1", read, judge="staff:maja")
    done = service.approve_tariff(session, "SMALL/1", read, judge="staff:jens", comment="Good")
    assert (done.state, done.judge, done.comment) == ("approved", "staff:jens", "Good")
    assert service.tariff_book(session, MARCH).content_hash == read
    again = service.approve_tariff(session, "SMALL/1", read, judge="staff:jens")
    assert again == done
    acts = [(row["actor"], row["act"]) for row in audit_log(session)]
    assert acts[:2] == [("staff:jens", "tariff approved"), ("staff:maja", "tariff proposed")]


def test_what_was_not_read_is_not_approved(session: Session) -> None:
    """Another hash, a part of it that is too short, a version that is not there."""
    read = propose(session)
    for wrong in ("0" * 64, read[:7], ""):
        with pytest.raises(TariffChanged):
            service.approve_tariff(session, "SMALL/1", wrong, judge="staff:jens")
    with pytest.raises(TariffNotFound, match=r"no tariff version SMALL/9\. Known: SMALL/1"):
        service.approve_tariff(session, "SMALL/9", read, judge="staff:jens")
    assert service.find_tariff(session, "SMALL/1").state == "proposed"


def test_a_rejected_version_is_final_and_leaves_its_day(session: Session) -> None:
    """The corrected version takes the first day; the rejected one never rates."""
    read = propose(session)
    with pytest.raises(CommentMissing):
        service.reject_tariff(session, "SMALL/1", read, judge="staff:jens", comment=" ")
    service.reject_tariff(session, "SMALL/1", read, judge="staff:jens", comment="Too dear")
    with pytest.raises(TariffJudged, match="rejected by staff:jens"):
        service.approve_tariff(session, "SMALL/1", read, judge="staff:jens")
    better = SMALL.replace("version = 1", "version = 2").replace('"0.90"', '"0.80"')
    service.approve_tariff(session, "SMALL/2", propose(session, better), judge="staff:jens")
    assert service.tariff_book(session, MARCH).label == "SMALL/2"
    states = [(one.label, one.state) for one in service.tariff_books(session)]
    assert states == [("SMALL/1", "rejected"), ("SMALL/2", "approved")]


def test_versions_in_force_are_cut_by_their_days(session: Session) -> None:
    """Of a month: the one that has begun, then those that begin in it; proposals are no end."""
    service.load_tariff(session, SMALL.encode())
    later = propose(session, SECOND)
    april = date(2026, 4, 1)
    (only,) = service.tariff_versions(session, MARCH, april)
    assert (only.book.label, only.to_day - only.from_day) == ("SMALL/1", 31)
    service.approve_tariff(session, "SMALL/2", later, judge="staff:jens")
    one, two = service.tariff_versions(session, MARCH, april)
    assert [part.book.label for part in (one, two)] == ["SMALL/1", "SMALL/2"]
    assert (one.to_day, two.to_day - two.from_day) == (two.from_day, 17)
    first, second = service.tariff_books(session)
    assert (first.valid_to, second.valid_to) == (date(2026, 3, 15), None)
    (after,) = service.tariff_versions(session, april, date(2026, 5, 1))
    assert after.book.label == "SMALL/2"


VERDICT = (
    "INSERT INTO tariff_verdict (tariff_book_id, content_hash, verdict, judge, comment)"
    " SELECT tariff_book_id, {hash}, '{verdict}', '{judge}', '{comment}' FROM tariff_book"
)
GOOD = {"hash": "content_hash", "verdict": "approved", "judge": "staff:jens", "comment": ""}
PAST_THE_RULES = {
    "their own": ({"judge": "staff:maja"}, "HB083"),
    "another content": ({"hash": "repeat('0', 64)"}, "HB080"),
    "a verdict that is none": ({"verdict": "maybe"}, "23514"),
    "a rejection without a reason": ({"verdict": "rejected"}, "23514"),
    "nobody": ({"judge": ""}, "23514"),
}


@pytest.mark.parametrize("role", ["service", "owner"])
@pytest.mark.parametrize("what", PAST_THE_RULES)
def test_the_database_refuses_a_verdict_past_the_rules(db: str, role: str, what: str) -> None:
    """Whoever inserts, and whatever program they use."""
    changed, state = PAST_THE_RULES[what]
    with transaction() as session:
        propose(session)
    with pytest.raises(DBAPIError) as refused, transaction(role) as session:  # type: ignore[arg-type]
        session.execute(text(VERDICT.format(**GOOD | changed)))
    assert isinstance(refused.value.orig, psycopg.Error)
    assert refused.value.orig.sqlstate == state


def test_the_database_refuses_a_second_verdict_and_a_second_version_of_a_day(db: str) -> None:
    """A verdict is final, and one first day has one version that was not rejected."""
    with transaction() as session:
        propose(session)
        session.execute(text(VERDICT.format(**GOOD)))
    row = (
        "INSERT INTO tariff_book (name, version, valid_from, content_hash, source, loaded_by)"
        " SELECT name, 7, valid_from, repeat('0', 64), source, 'x' FROM tariff_book"
    )
    for statement, state in ((VERDICT.format(**GOOD), "HB081"), (row, "HB082")):
        with pytest.raises(DBAPIError) as refused, transaction() as session:
            session.execute(text(statement))
        assert isinstance(refused.value.orig, psycopg.Error)
        assert refused.value.orig.sqlstate == state


def test_the_commands_load_approve_and_reject(db: str, tmp_path: object) -> None:
    """By names of staff with the scope; the list says who did what."""
    hire()
    files = []
    for number, source in enumerate((SMALL, SECOND)):
        files.append(f"{tmp_path}/{number}.toml")
        with open(files[-1], "w") as file:  # noqa: PTH123
            file.write(source)
    told = run("load", files[0], "--as", MAKER).output
    assert "It is a proposal" in told
    read = told.partition("--hash ")[2].partition(" ")[0]
    with pytest.raises(Problem, match="tariffs:approve"):
        run("approve", "SMALL/1", "--hash", read, "--as", MAKER)
    told = run("approve", "SMALL/1", "--hash", read, "--as", JUDGE).output
    assert told == "SMALL/1 is approved by staff:jens and rates from 2026-01-01.\n"
    run("load", files[1], "--as", MAKER)
    with transaction() as session:
        second = service.find_tariff(session, "SMALL/2").content_hash
    told = run("reject", "SMALL/2", "--hash", second, "--as", JUDGE, "--comment", "Not yet").output
    assert told == "SMALL/2 is rejected by staff:jens: Not yet\n"
    lines = run("list").output.splitlines()
    assert "approved by staff:jens, loaded by staff:maja" in lines[0]
    assert "rejected by staff:jens" in lines[1]
