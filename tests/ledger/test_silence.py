"""A refusal of the database is not its silence: whoever tries again would be refused for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from ledger import web
from ledger.db import find_silence, transaction

if TYPE_CHECKING:
    from tests.ledger.crashes import Saboteur

REFUSE = text(
    "CALL ledger_refuse('HB091', 'Batch 7 does not agree with itself.', '{\"batch_id\": 7}')"
)


def test_what_the_commit_check_refuses_is_told_as_what_it_is(db: str) -> None:
    """The driver calls class HB an operational error; no verb stands there to translate it."""
    with pytest.raises(OperationalError) as refused, transaction("owner") as session:
        session.execute(REFUSE)
    assert find_silence(refused.value) is None

    app = Flask("trial", static_folder=None)
    web.install(app)

    @web.public
    def refuses() -> str:
        with transaction("owner") as session:
            session.execute(REFUSE)
        return "never"

    app.add_url_rule("/refuses", view_func=refuses)
    answer = app.test_client().get("/refuses")
    assert answer.json is not None
    assert (answer.status_code, answer.json["type"]) == (500, "/problems/batch-broken")
    assert answer.json["batch_id"] == 7
    assert "Retry-After" not in answer.headers


def test_a_line_that_is_cut_is_silence(saboteur: Saboteur) -> None:
    """Whoever meets it may try again."""
    saboteur.arm(1, "after")
    with pytest.raises(Exception, match="connection is lost") as lost, transaction() as session:
        session.execute(text("SELECT 1"))
    assert find_silence(lost.value) == "the connection is lost"
