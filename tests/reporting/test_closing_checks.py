"""What billing and mediation look at before a month is closed, and that the door hands it over."""

from __future__ import annotations

import app
from ledger import service
from ledger.closing import Finding, PeriodCheck, Scope
from ledger.db import transaction
from ledger.service.checks import CHECKS
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


def test_the_door_hands_over_every_check_once(db: str) -> None:
    """Those that app.py names can be loaded, and no code is used twice."""
    given = [app._load(target) for target in app.CLOSE_CHECKS]
    assert given == [UNBILLED, SUSPENDED]
    codes = [check.code for check in (*CHECKS, *given)]
    assert len(set(codes)) == len(codes)
