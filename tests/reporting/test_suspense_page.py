"""The desk's page of suspense: rows of orders are run again, corrected and given up there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from ledger.db import transaction
from ledger.service import seed_book
from rating import service as rating
from tests.mediation.test_row_suspense import add, cease, rows_of, send
from tests.rating.tariffs import SMALL
from tests.reporting.test_desk import PAGE, enter, make_app
from tests.reporting.test_desk import client as _client

client = _client
ROWS = "Rows of orders and lists"


@pytest.fixture(name="page")
def _page(db: str) -> FlaskClient:
    """The desk of billing operations, over a new book whose tariff sells ONE."""
    with transaction() as session:
        seed_book(session, "NO01")
        rating.load_tariff(session, SMALL.encode())
    made = make_app().test_client()
    enter(made, "operations")
    return made


def act(page: FlaskClient, action: str, **typed: str) -> tuple[int, str]:
    """Send a form of the page; gives the status and the text of what comes back."""
    shown = page.get("/suspense", headers=PAGE).text
    token = re.search(r'csrf_token" value="([^"]+)"', shown)
    assert token is not None
    data = {"csrf_token": token.group(1), "action": action, "reason": "late", **typed}
    answer = page.post("/suspense/rows", data=data, headers=PAGE)
    return answer.status_code, re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def test_rows_are_tried_run_corrected_and_given_up(page: FlaskClient, tmp_path: Path) -> None:
    """Each says what became of the row; a trial changes nothing; the act is in a person's name."""
    rows = (cease("O-2", "S-1"), cease("O-3", "S-9"), add("O-4", "S-4", "4791000004"))
    file_id = send(tmp_path, 2, *(rows[:2]), {**rows[2], "offering": "TWO"}, name="early.csv")
    send(tmp_path, 1, add("O-1", "S-1", "4791000001"), name="late.csv")
    status, said = act(page, "try")
    assert status == 200
    assert "early.csv, line 3: applied." in said
    assert "this was a trial" in said
    assert rows_of(file_id) == (0, 0, 3, 0)
    assert "line 4: suspended. UNKNOWN_SUBSCRIPTION" in act(page, "run")[1]
    assert rows_of(file_id) == (1, 0, 2, 0)
    place = {"file": "early.csv", "line": "5"}
    assert "line 5: applied." in act(page, "correct", **place, column="offering", value="ONE")[1]
    assert "line 4: given up." in act(page, "give_up", file=str(file_id), line="4")[1]
    assert rows_of(file_id) == (2, 0, 0, 1)
    assert "No row of orders waits." in act(page, "run")[1]
    with transaction() as session:
        actors = session.scalars(text("SELECT DISTINCT actor FROM suspense_release")).all()
    assert actors == ["staff:operations"]


@pytest.mark.parametrize(
    ("action", "typed", "status", "said"),
    [
        ("run", {"reason": " "}, 422, "give an author and a reason"),
        ("correct", {"file": "x.csv", "line": "3", "column": "a", "value": "b"}, 404, "No file"),
        ("correct", {"file": "orders.csv", "line": "0"}, 422, "is no number of a line"),
        ("correct", {"file": "orders.csv", "line": "3"}, 422, "Say what to correct"),
        ("correct", {"file": "orders.csv", "line": "3", "column": "ofering", "value": "ONE"}, 422,
         "There is no such column"),
        ("give_up", {"file": "orders.csv", "line": "9"}, 409, "does not wait"),
        ("guess", {}, 422, "Choose what to do"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_on_the_page(
    page: FlaskClient, tmp_path: Path, action: str, typed: dict[str, str], status: int, said: str
) -> None:
    """And the rows wait as before."""
    file_id = send(tmp_path, 1, cease("O-2", "S-1"))
    answered, text_said = act(page, action, **typed)
    assert answered == status
    assert said in text_said
    assert rows_of(file_id) == (0, 0, 1, 0)


def test_a_form_keeps_what_was_typed_until_it_is_done(page: FlaskClient, tmp_path: Path) -> None:
    """After a refusal, and after a trial, which is then run in earnest; a trial is of all rows."""
    send(tmp_path, 1, add("O-4", "S-4", "4791000004") | {"offering": "TWO"})
    typed = {"file": "orders.csv", "line": "3", "column": "ofering", "value": "ONE"}
    for name, value in typed.items():
        assert f'name="{name}" value="{value}"' in form_after(page, "correct", **typed)
    kept = form_after(page, "try", reason="The offer is loaded")
    assert kept.count('value="The offer is loaded"') == 1
    done = form_after(page, "correct", **typed | {"column": "offering"}, reason="Misspelt")
    assert "Misspelt" not in done


def form_after(page: FlaskClient, action: str, **typed: str) -> str:
    """The page that comes back after a form was sent."""
    token = re.search(r'csrf_token" value="([^"]+)"', page.get("/suspense", headers=PAGE).text)
    assert token is not None
    data = {"csrf_token": token.group(1), "action": action, "reason": "late", **typed}
    return page.post("/suspense/rows", data=data, headers=PAGE).text


def test_who_may_only_read_is_shown_no_form(client: FlaskClient) -> None:
    """An auditor sees what waits, and nothing to press."""
    enter(client, "auditor")
    assert ROWS not in client.get("/suspense", headers=PAGE).text
