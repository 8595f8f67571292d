"""A form sent twice, one after the other or at once, is done once and answered as at first."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from ledger import service
from ledger.db import transaction
from ledger.service import checklists, drafting, seed_book
from ledger.web.gate import now, session_cookie
from rating import service as rating
from reporting.norwegian import long_date
from tests.mediation.test_row_suspense import add, cease, rows_of
from tests.mediation.test_row_suspense import send as take_in
from tests.rating.tariffs import SMALL
from tests.reporting import test_desk
from tests.reporting.desk_books import await_march
from tests.reporting.test_desk import PAGE, enter, make_app
from tests.reporting.test_journal_pages import LINES, latest, send
from tests.reporting.test_period_pages import MARCH, standing

client = test_desk.client
CLICKS = 4


def clicks(client: FlaskClient, path: str, **fields: Any) -> list[Any]:
    """Send a form several times at once, and once more after that."""
    page = client.get("/", headers=PAGE).text
    token = re.search(r'csrf_token" value="([^"]+)"', page)
    assert token is not None
    data = {"csrf_token": token[1], **fields}
    cookies = [client.get_cookie(name) for name in (session_cookie_of(client), "session")]

    def click(_number: int) -> Any:
        window = client.application.test_client()
        for cookie in cookies:
            if cookie is not None:
                window.set_cookie(cookie.key, cookie.value)
        return window.post(path, data=data, headers=PAGE)

    with ThreadPoolExecutor(CLICKS) as pool:
        answers = list(pool.map(click, range(CLICKS)))
    return [*answers, send(client, path, **fields)]


def session_cookie_of(client: FlaskClient) -> str:
    """The name of the cookie that carries the session."""
    with client.application.app_context():
        return session_cookie()


def count(table: str) -> int:
    """How many rows a table has."""
    with transaction() as session:
        return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def acts(name: str) -> int:
    """How often an act stands in the audit log."""
    with transaction() as session:
        found = session.execute(
            text("SELECT count(*) FROM access_event WHERE act = :name"), {"name": name}
        )
        return int(found.scalar_one())


def all_led(answers: list[Any], page: str) -> None:
    """Every answer leads to the page, where what was done stands."""
    assert {(one.status_code, one.location) for one in answers} == {(303, page)}


def test_an_approval_posts_once(client: FlaskClient) -> None:
    """And an approver who presses twice is not told to reverse it."""
    enter(client, "approver")
    before, read = count("journal_entry"), latest(1).latest.content_hash.hex()
    all_led(clicks(client, "/journal/1/verdict", content_hash=read, verdict="approved"),
            "/journal/1")  # fmt: skip
    assert (count("journal_entry") - before, acts("draft approved")) == (1, 1)


def test_a_rejection_is_recorded_once(client: FlaskClient) -> None:
    """With its reason."""
    enter(client, "approver")
    typed = {"content_hash": latest(1).latest.content_hash.hex(), "comment": "Wrong account"}
    all_led(clicks(client, "/journal/1/verdict", **typed, verdict="rejected"), "/journal/1")
    assert (latest(1).state, acts("draft rejected")) == ("rejected", 1)


def test_a_journal_is_submitted_changed_and_posted_once(client: FlaskClient) -> None:
    """Where no rule asks for a second person; each form of its author is safe to press twice."""
    enter(client, "accountant")
    made = clicks(client, "/journal/new", key="k", action="save", **LINES)
    draft = made[0].location
    all_led(made, draft)
    number = int(draft.rpartition("/")[2])
    all_led(clicks(client, f"{draft}/edit", version="1", action="save", **LINES | {"text": "Fee"}),
            draft)  # fmt: skip
    all_led(clicks(client, f"{draft}/submit", version="2"), draft)
    assert (len(latest(number).versions), acts("draft submitted")) == (3, 2)  # One of the books.
    with transaction() as session:
        drafting.set_approval_policy(
            session, "NO01", entry_type="manual", account_prefix="", amount_from_minor=None,
            valid_from=session.scalar(text("SELECT ledger_policy_day()")), actor="x",
        )  # fmt: skip
    before, read = count("journal_entry"), latest(number).latest.content_hash.hex()
    all_led(clicks(client, f"{draft}/posting", content_hash=read), draft)
    assert (count("journal_entry") - before, acts("draft posted")) == (1, 1)


def test_a_change_of_somebody_else_is_still_a_refusal(client: FlaskClient) -> None:
    """The same words of another author, or other words after the same version, change nothing."""
    enter(client, "accountant")
    draft = send(client, "/journal/new", key="k", action="save", **LINES).location
    typed = {"version": "1", "action": "save"}
    assert send(client, f"{draft}/edit", **typed, **LINES | {"text": "A"}).status_code == 303
    assert send(client, f"{draft}/edit", **typed, **LINES | {"text": "B"}).status_code == 412
    enter(client, "accountant", "auditor")
    assert send(client, f"{draft}/edit", **typed, **LINES | {"text": "A"}).status_code == 412
    assert len(latest(int(draft.rpartition("/")[2])).versions) == 2


def test_a_month_is_waived_closed_and_opened_once(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that somebody else changed what they did themselves."""
    await_march(monkeypatch)
    enter(client, "accountant", "approver")
    send(client, f"{MARCH}/checklist")
    with transaction() as session:
        seen = checklists.latest_checklist(session, "NO01", "2026-03")
    waived = [one.code for one in seen.results if one.state == "open"]
    for code in waived:
        typed = {"checklist": seen.checklist_id, "check": code, "reason": "known"}
        all_led(clicks(client, f"{MARCH}/waivers", **typed), MARCH)
    assert count("check_waiver") == acts("check waived") == len(waived) > 0
    read = standing(client)
    all_led(clicks(client, f"{MARCH}/close", level="soft", standing=read), MARCH)
    assert (count("close_checklist"), acts("period closed")) == (2, 1)
    events, closed = count("period_lock_event"), standing(client)
    all_led(clicks(client, f"{MARCH}/reopen", module="GL", standing=closed, reason="late"), MARCH)
    assert (count("period_lock_event") - events, acts("period reopened")) == (1, 1)
    # What was read before it was opened again closes nothing.
    back = send(client, f"{MARCH}/close", level="soft", standing=closed)
    assert back.status_code == 412
    assert "Nothing was done. Look again, below." in back.text


def test_somebody_is_let_in_once(client: FlaskClient) -> None:
    """For the same days and the same reason; another reason is another permission."""
    with transaction() as session:
        for module in ("GL", "AR"):
            service.lock_period(session, "NO01", "2026-03", module=module, level="soft", actor="x",
                                reason="x")  # fmt: skip
    enter(client, "approver")
    typed = {"module": "GL", "actor": "accountant", "reason": "late bill",
             "until": long_date(now() + timedelta(days=2))}  # fmt: skip
    all_led(clicks(client, f"{MARCH}/exceptions", **typed), MARCH)
    assert count("period_lock_exception") == acts("let into period") == 1
    for other in ({"reason": "a second bill"}, {"module": "AR"}, {"actor": "berit"}):
        all_led([send(client, f"{MARCH}/exceptions", **typed | other)], MARCH)
    assert count("period_lock_exception") == 4
    # A lock that is set again ends them all, so the same words are a new permission.
    with transaction() as session:
        service.lock_period(session, "NO01", "2026-03", module="GL", level="soft", actor="x",
                            reason="x")  # fmt: skip
    all_led([send(client, f"{MARCH}/exceptions", **typed)], MARCH)
    assert count("period_lock_exception") == acts("let into period") == 5


def test_a_year_is_closed_once(client: FlaskClient) -> None:
    """One entry moves its result, and whoever pressed twice sees the year closed."""
    enter(client, "accountant")
    with transaction() as session:
        for month in range(1, 13):
            service.lock_period(session, "NO01", f"2026-{month:02d}", module="GL", level="soft",
                                actor="x", reason="x")  # fmt: skip
    before = count("journal_entry")
    all_led(clicks(client, "/years/2026/close"), "/periods")
    assert (count("journal_entry") - before, acts("year closed")) == (1, 1)


@pytest.fixture(name="rows")
def _rows(db: str, tmp_path: Path) -> tuple[FlaskClient, int]:
    """The desk of billing operations, over rows that wait."""
    with transaction() as session:
        seed_book(session, "NO01")
        rating.load_tariff(session, SMALL.encode())
    page = make_app().test_client()
    enter(page, "operations")
    wrong = add("O-4", "S-4", "4791000004") | {"offering": "TWO"}
    return page, take_in(tmp_path, 2, cease("O-3", "S-9"), wrong, name="early.csv")


def told(answers: list[Any]) -> list[tuple[int, str]]:
    """The status and the notice of each answer, the one that did it first."""
    found = [(one.status_code, re.search(r'class="notice[^>]*>(.*?)</div>', one.text, re.DOTALL))
             for one in answers]  # fmt: skip
    return sorted(
        (status, " ".join(re.sub("<[^>]+>", "", notice[1]).split())) for status, notice in found
        if notice
    )  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "done", "again", "left"),
    [
        ({"action": "correct", "line": "4", "column": "offering", "value": "ONE"},
         "early.csv, line 4: applied.", "staff:operations had it applied (late)", (1, 0, 1, 0)),
        ({"action": "give_up", "line": "3"},
         "early.csv, line 3: given up.", "staff:operations had it given up (late)", (0, 0, 1, 1)),
    ],
)  # fmt: skip
def test_a_row_is_corrected_or_given_up_once(
    rows: tuple[FlaskClient, int], typed: dict[str, str], done: str, again: str,
    left: tuple[int, ...],
) -> None:  # fmt: skip
    """Whoever sends it again is told what became of the row, and by whom."""
    page, file_id = rows
    first, *rest = told(clicks(page, "/suspense/rows", **typed, file="early.csv", reason="late"))
    assert first == (200, done)
    assert len(rest) == CLICKS
    for status, said in rest:
        assert status == 409
        assert f"does not wait any more: {again}." in said
    assert (rows_of(file_id), count("suspense_release")) == (left, 1)


def test_a_correction_that_does_not_help_is_kept_once(rows: tuple[FlaskClient, int]) -> None:
    """The row waits on; the same words again are no second correction, other reasons are."""
    page, file_id = rows
    typed = {"action": "correct", "file": "early.csv", "line": "4", "column": "offering"}
    sent = clicks(page, "/suspense/rows", **typed, value="THREE", reason="late")
    assert {status for status, _ in told(sent)} == {200}
    assert (rows_of(file_id), count("row_correction")) == ((0, 0, 2, 0), 1)
    send(page, "/suspense/rows", **typed, value="THREE", reason="The contract says so")
    assert count("row_correction") == 2
