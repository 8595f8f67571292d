"""What billing and mediation look at before a month is closed, and that the door hands it over."""

from __future__ import annotations

from datetime import date

from sqlalchemy import text

import app
from ledger import service
from ledger.closing import Finding, PeriodCheck, Scope
from ledger.db import transaction
from ledger.service.checks import CHECKS
from mediation.service.suspense import Suspended, record_releases, suspend
from reporting.service.closing import SUSPENDED, UNBILLED
from tests.ledger.conftest import Drafts
from tests.reporting.desk_books import open_books

MARCH = Scope.of("NO01", "2026-03")


def look(check: PeriodCheck) -> Finding:
    """Run one check over the books as they are."""
    with transaction() as session:
        return check.find(session, MARCH)


def test_charges_not_billed_are_account_1530(db: str) -> None:
    """An invoice of charges that nobody accrued blocks the close, with both figures."""
    open_books()
    fine = look(UNBILLED)
    assert (fine.state, fine.figures["charges"]) == ("ok", fine.figures["account"])
    drafts = Drafts()
    with transaction() as session:
        service.post_batch(session, drafts.batch("stray", drafts.invoice("stray")))
    torn = look(UNBILLED)
    assert torn.state == "blocked"
    assert torn.figures["account"] == "-100.00"
    assert torn.figures["charges"] == "0.00"
    assert "account 1530 says -100.00" in torn.detail


def test_usage_in_suspense_is_somebodys_decision(db: str) -> None:
    """How many records wait, and for which reasons."""
    assert look(SUSPENDED).state == "ok"
    open_books()
    waiting = look(SUSPENDED)
    assert waiting.state == "open"
    assert waiting.figures["records"] == sum(row["records"] for row in waiting.figures["rows"])


def test_usage_of_other_months_does_not_hold_up_this_one(db: str) -> None:
    """What has a day counts in its month; what has none counts in each, and the check says so."""
    open_books()
    with transaction() as session:
        days = (date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 31), date(2026, 4, 1))
        suspend(
            session,
            [Suspended(2, 900 + n, "NO_RATE", "No price.", seconds=7, used_on=day)
             for n, day in enumerate(days)],
        )  # fmt: skip
    march = look(SUSPENDED)
    assert (march.figures["records"], march.figures["undated"]) == (4, 2)
    assert march.detail == (
        "4 records of usage are suspended, for 2 reasons. When 2 of them were used cannot be read; "
        "they count in every month."
    )
    assert {row["reason"]: (row["records"], row["undated"], row["seconds"])
            for row in march.figures["rows"]} == {
        "NO_RATE": (3, 1, 64), "UNKNOWN_SUBSCRIBER": (1, 1, 50),
    }  # fmt: skip
    with transaction() as session:
        february, may = (
            SUSPENDED.find(session, Scope.of("NO01", f"2026-0{month}")) for month in (2, 5)
        )
    assert (february.figures["records"], may.figures["records"]) == (3, 2)


def test_no_undated_usage_is_not_spoken_of(db: str) -> None:
    """One record of March: the sentence is about it alone, and April is in order."""
    open_books()
    with transaction() as session:
        file_id = session.scalar(text("SELECT file_id FROM suspense LIMIT 1"))
        waiting = session.scalars(text("SELECT suspense_id FROM suspense")).all()
        record_releases(
            session, [{"suspense_id": one, "bucket": "accepted"} for one in waiting], "a test", "x"
        )
        found = Suspended(int(file_id or 0), 900, "NO_RATE", "-", used_on=date(2026, 3, 9))
        suspend(session, [found])
    assert look(SUSPENDED).detail == "1 record of usage is suspended, for 1 reason."
    with transaction() as session:
        assert SUSPENDED.find(session, Scope.of("NO01", "2026-04")).state == "ok"


def test_the_door_hands_over_every_check_once(db: str) -> None:
    """Those that app.py names can be loaded, and no code is used twice."""
    given = [app._load(target) for target in app.CLOSE_CHECKS]
    assert given == [UNBILLED, SUSPENDED]
    codes = [check.code for check in (*CHECKS, *given)]
    assert len(set(codes)) == len(codes)
