"""The period pages through a test client: each button for those with the right only."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from ledger import service
from ledger.db import transaction
from ledger.service import checklists
from ledger.web import now
from reporting.norwegian import long_date
from reporting.web import periods
from tests.reporting import test_desk
from tests.reporting.desk_books import await_march
from tests.reporting.test_desk import PAGE, enter, text_of
from tests.reporting.test_journal_pages import send

client = test_desk.client
MARCH = "/periods/2026-03"


@pytest.fixture(autouse=True)
def _february_is_closed(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await_march(monkeypatch)


def standing(client: FlaskClient) -> str:
    """How the page says that the month stands."""
    found = re.search(r'name="standing" value="([^"]+)"', client.get(MARCH, headers=PAGE).text)
    return found[1] if found else ""


def levels() -> list[str]:
    """How the modules of March stand."""
    with transaction() as session:
        states = service.period_states(session, "NO01")
    return [state.level for state in states if state.period == "2026-03"]


def test_a_month_end_at_the_desk(client: FlaskClient) -> None:
    """One runs the checks, another waives, the first closes; a reopening says why."""
    enter(client, "accountant")
    assert "have not been run yet" in client.get(MARCH, headers=PAGE).text
    assert send(client, f"{MARCH}/checklist").status_code == 303
    page = client.get(MARCH, headers=PAGE).text
    assert "records of usage are suspended" in page
    assert ">Waive<" not in page
    refused = send(client, f"{MARCH}/close", level="soft", standing=standing(client))
    assert refused.status_code == 409
    assert "Checks are open" in refused.text
    assert not re.search(r"\d\.\d\d\b(?!\.)", re.sub("<time.*?</time>", "", refused.text))
    assert "Run the checks: what they find is kept below" in refused.text
    enter(client, "approver")
    page = client.get(MARCH, headers=PAGE).text
    assert ">Close the month<" not in page
    with transaction() as session:
        seen = checklists.latest_checklist(session, "NO01", "2026-03")
    for one in seen.results:
        if one.state == "open":
            sent = send(client, f"{MARCH}/waivers", checklist=seen.checklist_id, check=one.code,
                        reason="known")  # fmt: skip
            assert sent.status_code == 303, sent.text
    enter(client, "accountant", "auditor")
    assert (
        send(client, f"{MARCH}/close", level="soft", standing=standing(client)).status_code == 303
    )
    assert levels() == ["soft"] * 4
    page = client.get(MARCH, headers=PAGE).text
    assert "Waived by approver: known" in page
    assert "the month was closed on it" in page
    no_reason = send(client, f"{MARCH}/reopen", module="GL", standing=standing(client))
    assert no_reason.status_code == 422
    reopened = send(
        client, f"{MARCH}/reopen", module="GL", reason="late bill", standing=standing(client)
    )
    assert reopened.status_code == 303
    assert levels() == ["open", "soft", "soft", "soft"]
    assert "partly closed" in client.get(MARCH, headers=PAGE).text


def test_the_cases_of_a_check_are_figures_that_lead_on(client: FlaskClient) -> None:
    """Amounts and counts as everywhere at the desk, the numbers of things as they are written."""
    figures = {("octets", 5_434_385): "5\xa0434\xa0385", ("balance", "-1234.50"): "−1\xa0234,50",
               ("batch", 12_345): None, ("name", "1.5"): None}  # fmt: skip
    for (name, value), written in figures.items():
        assert periods.case_figure(name, value) == written
    enter(client, "accountant")
    send(client, f"{MARCH}/checklist")
    page = client.get(MARCH, headers=PAGE).text
    assert 'href="/suspense?reason=UNKNOWN_SUBSCRIBER"' in page
    assert '<td class="num">1</td>' in page
    assert "Charges not billed are 0,00, as account 1530 says." in page
    enter(client, "approver")
    assert "/suspense" not in client.get(MARCH, headers=PAGE).text


def test_a_stale_page_closes_nothing(client: FlaskClient) -> None:
    """Somebody else changed the month since: the page says so, and shows it anew."""
    enter(client, "accountant")
    read = standing(client)
    with transaction() as session:
        service.lock_period(session, "NO01", "2026-03", module="AR", level="soft", actor="x",
                            reason="x")  # fmt: skip
    answer = send(client, f"{MARCH}/close", level="soft", standing=read)
    assert answer.status_code == 412
    assert "changed by somebody else" in answer.text
    assert levels() == ["open", "soft", "open", "open"]


def test_a_hard_lock_is_confirmed_on_the_server_too(client: FlaskClient) -> None:
    """A form without the tick is refused, whatever sent it."""
    enter(client, "accountant")
    answer = send(client, f"{MARCH}/close", level="hard", standing=standing(client))
    assert (answer.status_code, levels()) == (422, ["open"] * 4)
    assert "Confirm that the month is closed for good" in answer.text


def test_somebody_is_let_in_by_somebody_else(client: FlaskClient) -> None:
    """For a module and some days; never oneself."""
    with transaction() as session:
        service.lock_period(session, "NO01", "2026-03", module="GL", level="soft", actor="x",
                            reason="x")  # fmt: skip
    enter(client, "approver")
    leave = {"module": "GL", "reason": "late bill", "until": long_date(now() + timedelta(days=2))}
    assert send(client, f"{MARCH}/exceptions", actor="approver", **leave).status_code == 422
    assert send(client, f"{MARCH}/exceptions", actor="accountant", **leave).status_code == 303
    page = text_of(client, MARCH)
    assert "accountant may post until" in page
    assert "1 let in" in text_of(client, "/periods")
    missing = send(client, f"{MARCH}/exceptions", actor="x", module="GL", reason="x", until="")
    assert missing.status_code == 422


def test_a_refused_form_of_a_month_keeps_what_was_typed(client: FlaskClient) -> None:
    """A date that is none costs nobody the name and the reason; other forms stay empty."""
    with transaction() as session:
        service.lock_period(session, "NO01", "2026-03", module="AR", level="soft", actor="x",
                            reason="x")  # fmt: skip
        service.lock_period(session, "NO01", "2026-03", module="VAT", level="soft", actor="x",
                            reason="x")  # fmt: skip
    enter(client, "accountant", "approver")
    typed = {"module": "VAT", "actor": "berit", "reason": "A <late> bill", "until": "31.2."}
    page = send(client, f"{MARCH}/exceptions", **typed).text
    assert "&#39;31.2.&#39; is not a date" in page
    assert "<option selected>VAT</option>" in page
    assert page.count('value="A &lt;late&gt; bill"') == 1
    assert ('value="berit"' in page, 'value="31.2."' in page) == (True, True)
    stale = send(client, f"{MARCH}/reopen", module="AR", reason="A bill came", standing="x").text
    assert "was changed by somebody else" in stale
    assert ("<option selected>AR</option>" in stale, 'value="A bill came"' in stale) == (True, True)


def test_the_list_shows_years_and_closes_them(client: FlaskClient) -> None:
    """The button appears when every month is closed, and the year names its voucher."""
    enter(client, "accountant")
    page = client.get("/periods", headers=PAGE).text
    assert "Close the year" not in page
    assert send(client, "/years/2026/close").status_code == 409
    with transaction() as session:
        for month in range(1, 13):
            service.lock_period(
                session, "NO01", f"2026-{month:02d}", module="GL", level="soft", actor="x",
                reason="x",
            )  # fmt: skip
    assert "Close the year 2026" in client.get("/periods", headers=PAGE).text
    assert send(client, "/years/2026/close").status_code == 303
    page = text_of(client, "/periods")
    assert "moved to equity by YEC/2026/1" in page
    assert client.get("/entries/YEC/2026/1", headers=PAGE).status_code == 200
    late = text_of(client, "/periods/2026-12")
    assert "YEC/2026/1" in late


@pytest.mark.parametrize(
    ("path", "status"),
    [("/periods/2031-01", 409), ("/periods/March", 422), (f"{MARCH}?checklist=99", 404)],
)
def test_what_is_not_there_is_a_page(client: FlaskClient, path: str, status: int) -> None:
    """With its title, not a fault of ours."""
    enter(client, "accountant")
    assert client.get(path, headers=PAGE).status_code == status
