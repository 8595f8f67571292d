"""Addresses of pages: what a page does not know is refused, and no link of ours asks for it."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from reporting.web.arguments import _MORE
from tests.reporting.test_desk import PAGE, address, enter
from tests.reporting.test_desk import client as _client

client = _client
ROLES = ("accountant", "auditor")


@pytest.fixture(name="entered")
def _entered(client: FlaskClient) -> FlaskClient:
    enter(client, *ROLES)
    return client


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/trial-balance?acount=1500", "does not know &#39;acount&#39;"),
        ("/trial-balance?account=1500", "It knows book, effective_as_of, known_as_of."),
        ("/accounts/1500?effective_as_off=2026-03-31", "does not know &#39;effective_as_off&#39;"),
        ("/aging?effective_as_of=2026-03-31&effective_as_of=2026-04-30", "2 times. Say it once."),
        ("/suspense?raeson=NO_RATE", "It knows book, known_as_of, reason."),
        ("/journal?before=soon", "no number of before"),
        ("/journal?before=-1", "no number of before"),
        (f"/journal?before={2**63}", "no number of before"),
        ("/tariffs/SMALL/1?since=x", "no number of since"),
        ("/periods/2026-03?checklist=new", "no number of checklist"),
        ("/suspense?reason=NORATE", "&#39;NORATE&#39; is no reason. It may say ZERO_USAGE, "),
        ("/feeds?look=no", "&#39;no&#39; is no look. It may say yes, or nothing."),
        ("/journal?state=done", "is no state. It may say draft, submitted, "),
        ("/trial-balance/excel?acount=1500", "does not know"),
    ],
)
def test_a_page_does_not_pass_over_what_it_does_not_know(
    entered: FlaskClient, path: str, said: str
) -> None:
    """A page of everything would read as the part that was asked for: it is a page that says so."""
    refused = entered.get(path, headers=PAGE)
    assert refused.status_code == 400, path
    assert said in refused.text
    assert "Address is not clear" in refused.text
    assert "To the front page" in refused.text
    program = entered.get(path)
    assert (program.status_code, program.json["type"]) == (400, "/problems/address-unclear")


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/invoices?period=2026-13", 422, "&#39;2026-13&#39; is not a period; write year and"),
        ("/invoices?period=mars", 422, "is not a period"),
        ("/invoices/excel?period=2026-3", 422, "is not a period"),
        ("/invoices?after=zzz", 422, "is not an invoice number"),
        ("/aging?currency=KRO", 422, "&#39;KRO&#39; is not a currency of the books."),
        ("/aging/excel?currency=kroner", 422, "is not a currency"),
        ("/aging?currency=%00", 422, "is not a currency"),
        ("/aging?effective_as_of=2026-W13", 422, "is not a date; write it as 31.03.2026."),
        ("/accounts/1500?first_day=31.02.2026", 422, "is not a date"),
        ("/accounts/1500?after=zzz", 422, "cursor"),
        ("/accounts/15x", 422, "15x"),
        ("/tariffs/SMALL/1?since=99", 404, "SMALL/99"),
        ("/invoices?book=NO99", 404, "There is no book &#39;NO99&#39;."),
        ("/aging?book=NO99", 404, "There is no book"),
    ],
)
def test_what_cannot_be_is_no_empty_list(
    entered: FlaskClient, path: str, status: int, said: str
) -> None:
    """A month, a currency or a book that is mistyped would read as one in which nothing is."""
    refused = entered.get(path, headers=PAGE)
    assert refused.status_code == status, path
    assert said in refused.text, path
    assert "To the front page" in refused.text


def test_a_stranger_is_led_to_the_login_first(client: FlaskClient) -> None:
    """What an address may ask is told to nobody who may not ask."""
    assert client.get("/trial-balance?acount=1500", headers=PAGE).status_code == 303
    assert client.get("/login?next=/aging", headers=PAGE).status_code == 200


def test_every_page_takes_what_links_carry_and_what_it_is_named_with(entered: FlaskClient) -> None:
    """No name of the table is of a page that is not there, or that reads something else."""
    rules = {
        rule.endpoint.removeprefix("desk."): rule.rule
        for rule in entered.application.url_map.iter_rules()
        if rule.endpoint.startswith("desk.") and "GET" in (rule.methods or ())
    }
    assert _MORE.keys() <= rules.keys()
    for name, rule in rules.items():
        asked = "&".join(f"{one}=" for one in ("book", "known_as_of", *_MORE.get(name, ())))
        status = entered.get(f"{address(rule)}?{asked}", headers=PAGE).status_code
        assert status == 200 or 400 < status < 500 or status == 303, (name, status)


def test_no_link_of_ours_is_refused(entered: FlaskClient) -> None:
    """Every link of every page, and of the pages behind them, with a clock set."""
    waiting, seen = ["/?known_as_of=", "/?effective_as_of=2026-03-31"], set()
    while waiting:
        path = waiting.pop()
        shape = re.sub(r"[0-9]+", "#", path)
        if shape in seen:
            continue
        seen.add(shape)
        answer = entered.get(path, headers=PAGE)
        assert answer.status_code != 400, path
        if answer.mimetype == "text/html":
            waiting += [
                unescape(found) for found in re.findall(r'href="(/[^"#]*)', answer.text)
                if not found.startswith(("/assets/", "/api/"))
            ]  # fmt: skip
    assert len(seen) > 25, seen


def test_the_address_of_a_form_leads_to_its_page(entered: FlaskClient) -> None:
    """Of every form: whoever loads it again, or kept it, is where the form stands."""
    rules = [rule for rule in entered.application.url_map.iter_rules()
             if rule.endpoint.startswith("desk.")]  # fmt: skip
    pages = {rule.rule for rule in rules if "GET" in (rule.methods or ())}
    forms = [rule for rule in rules if rule.rule not in pages]
    assert len(forms) > 12
    for rule in forms:
        path = re.sub(
            "<([^>]*)>",
            lambda part: {"period": "2026-03", "name": "SMALL"}.get(part[1], "1"),
            rule.rule,
        )
        led = entered.get(f"{path}?book=NO01", headers=PAGE)
        assert led.status_code == 303, path
        page = entered.get(led.location, headers=PAGE)
        assert page.status_code == 200, led.location
        assert "book=NO01" in led.location
        # Programs are told the methods, and a form sent to a page is still refused.
        told = entered.get(path)
        assert (told.status_code, told.json["type"]) == (405, "/problems/method-not-allowed")
        assert "POST" in told.headers["Allow"]
    closing = entered.get("/periods/2026-03/close", headers=PAGE)
    assert closing.location == "/periods/2026-03"
    assert entered.get("/years/2026/close", headers=PAGE).location == "/periods"
    assert entered.delete("/periods/2026-03/close", headers=PAGE).status_code == 405
