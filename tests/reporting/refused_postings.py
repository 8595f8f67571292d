"""The gallery of errors: what a post is refused for, provoked one by one."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

from psycopg.errors import DeadlockDetected
from sqlalchemy.orm import Session

from ledger import service
from ledger.conditions import LastVoucher
from ledger.errors import Problem
from ledger.intake.conditions import read_conditions
from ledger.service.answers import Request
from ledger.service.intake import Sender
from ledger.service.singles import Single, post_singles
from tests.ledger.conftest import Drafts

drafts = Drafts()


def _conditions_not_met(session: Session) -> object:
    next_is_two = (LastVoucher("SAL", 2026, 1),)
    entry = drafts.invoice("i-1")
    return service.post_batch(session, drafts.batch("b-1", entry, conditions=next_is_two))


def _condition_malformed(_session: Session) -> object:
    told = [{"kind": "party-balance", "party_id": 1, "account": "1500"}]
    return read_conditions(told, "NOK")


def _books_busy(_session: Session) -> object:
    """The other side is played: two deadlocks in a row are not made at will."""
    entry = drafts.journal("j", ("7830", 1), ("1920", -1))
    asked = Request("client:trial", "j", "POST /api/v1/entries?", b"0" * 32)
    single = Single(Sender("NO01", "REST:client:trial", "client:trial"), entry, asked, vars)
    with patch("ledger.service.singles.begin_all", side_effect=DeadlockDetected):
        (refusal,) = post_singles([single])
    assert isinstance(refusal, Problem)
    raise refusal


REFUSED_POSTINGS: dict[str, Callable[[Session], object]] = {
    "conditions-not-met": _conditions_not_met,
    "condition-malformed": _condition_malformed,
    "books-busy": _books_busy,
}
