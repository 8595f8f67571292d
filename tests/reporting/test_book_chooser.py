"""Several books at the desk: who may see them chooses one, and every page says which it shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from ledger import service as ledger
from ledger.db import transaction
from ledger.journal import BatchDraft, EntryDraft, Line
from ledger.service import book_access
from tests.reporting.desk_books import BOOK, MARCH_END
from tests.reporting.test_desk import PAGE, enter
from tests.reporting.test_desk import client as _client
from tests.reporting.test_desk_browser import Shoot, address, browser, check, log_in, page, shoot

__all__ = ["address", "browser", "page", "shoot"]
client = _client
OTHER, THIRD = "NO02", "NO03"


def add_books(*codes: str) -> None:
    """Books beside the first, each with a bank charge of its own."""
    with transaction() as session:
        for number, code in enumerate(codes, start=1):
            ledger.seed_book(session, code)
            ledger.open_periods(session, code, 2026)
            amount = 11_00 * number
            lines = (Line("7830", amount), Line("1920", -amount))
            entry = EntryDraft("JNL", MARCH_END, MARCH_END, "import", code, "Charge", lines)
            ledger.post_batch(session, BatchDraft(code, "test", code, "tester", (entry,)))


def grant(holder: str, *codes: str, granted: bool = True) -> None:
    """Open books to somebody, or close them."""
    with transaction() as session:
        for code in codes:
            book_access.set_book_access(
                session, holder, code, granted=granted, reason="theirs", actor="test"
            )


def page_of(client: FlaskClient, path: str) -> str:
    """A page, which must be there."""
    answer = client.get(path, headers=PAGE, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return answer.text


def choose(client: FlaskClient, code: str, token: str | None = None, **more: str) -> Any:
    """Send the chooser's form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page_of(client, "/"))
    assert found is not None
    sent = {"csrf_token": found[1] if token is None else token, "book": code, **more}
    return client.post("/book", data=sent, headers=PAGE)


def offered(html: str) -> list[str]:
    """The books that a page lets its reader choose among."""
    return re.findall(r'<option value="(NO0\d)"', html)


def test_one_book_needs_no_chooser(client: FlaskClient) -> None:
    """It is named all the same, and addresses stay short."""
    enter(client, "accountant")
    html = page_of(client, "/trial-balance")
    assert offered(html) == []
    assert re.search(r"Book NO01 · \S", html)
    assert "book=" not in html


def test_a_choice_is_kept_for_the_session(client: FlaskClient) -> None:
    """Bare addresses show the chosen book; an address that names one shows that; logout forgets."""
    add_books(OTHER)
    enter(client, "accountant")
    html = page_of(client, "/trial-balance")
    assert offered(html) == [BOOK, OTHER]
    assert "<title>Trial balance · NO01 · Hovedbok</title>" in html
    answer = choose(client, OTHER, page="desk.trial_balance")
    assert (answer.status_code, answer.location) == (303, f"/trial-balance?book={OTHER}")
    html = page_of(client, "/trial-balance")
    assert "11,00" in html
    assert "<title>Trial balance · NO02 · Hovedbok</title>" in html
    assert f'<option value="{OTHER}" selected>' in html
    assert "11,00" not in page_of(client, f"/trial-balance?book={BOOK}")
    for odd in ("", "desk.logout", "desk.entry", "https://evil.example"):
        assert choose(client, OTHER, page=odd).location == f"/?book={OTHER}"
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found is not None
    assert client.post("/logout", data={"csrf_token": found[1]}).location == "/login"
    enter(client, "auditor")
    assert "<title>Trial balance · NO01" in page_of(client, "/trial-balance")


def test_every_link_and_form_of_a_page_keeps_its_book(client: FlaskClient) -> None:
    """A window that shows one book ends in no other, whatever is chosen in a second one."""
    add_books(OTHER)
    enter(client, "accountant", "approver")
    choose(client, OTHER)
    for path in ("/", "/trial-balance", "/periods", "/journal", "/invoices", "/journal/new"):
        for code in (BOOK, OTHER):
            html = page_of(client, f"{path}?book={code}")
            links = re.findall(r'(?:href|action)="(/[^"]*)"', html)
            led = [x for x in links if not x.startswith(("/api", "/assets", "/book", "/logout"))]
            assert len(led) > 5
            assert [one for one in led if f"book={code}" not in one] == [], path
            for form in re.findall(r'<form method="get".*?</form>', html, re.DOTALL):
                assert f'name="book" value="{code}"' in form, (path, form)


def test_a_draft_is_shown_in_its_own_book(client: FlaskClient) -> None:
    """Also to somebody who has chosen another: the frame says whose it is."""
    add_books(OTHER)
    enter(client, "accountant")
    choose(client, OTHER)
    for path in ("/journal/1", "/journal/1/edit"):
        assert f'<p class="of-book">Book {BOOK} · ' in page_of(client, path)


def test_only_books_one_may_see_are_offered_and_chosen(client: FlaskClient) -> None:
    """A choice that was taken from somebody is as none; what there is not cannot be chosen."""
    add_books(OTHER, THIRD)
    enter(client, "accountant")
    grant("staff:accountant", BOOK, THIRD)
    assert offered(page_of(client, "/trial-balance")) == [BOOK, THIRD]
    assert choose(client, OTHER).status_code == 403
    assert choose(client, "NO99").status_code == 403
    assert choose(client, THIRD).status_code == 303
    assert "22,00" in page_of(client, "/trial-balance")
    grant("staff:accountant", THIRD, granted=False)
    html = page_of(client, "/trial-balance")
    assert (offered(html), "22,00" in html) == ([], False)
    refused = client.get(f"/trial-balance?book={THIRD}", headers=PAGE)
    assert (refused.status_code, "NO03 ·" in refused.text) == (403, False)


def test_a_choice_is_made_by_its_reader(client: FlaskClient) -> None:
    """Another site cannot choose: the form's own token is asked for. No stranger chooses either."""
    add_books(OTHER)
    enter(client, "accountant")
    assert choose(client, OTHER, token="").status_code == 400
    assert "<title>Trial balance · NO01" in page_of(client, "/trial-balance")
    assert choose(client, "NO99").status_code == 404
    assert choose(client, "").status_code == 422
    client.delete_cookie("hovedbok")
    assert client.post("/book", data={"book": OTHER}, headers=PAGE).status_code in {302, 303, 401}


def test_the_chooser_in_a_browser(page: Page, home: Path, shoot: Shoot) -> None:
    """By keyboard, without a script; every page names the book and passes WCAG."""
    add_books(OTHER)
    log_in(page, home, "accountant")
    page.goto("/trial-balance")
    check(page, "several books")
    chooser = page.get_by_label("Book", exact=True)
    expect(chooser).to_have_value(BOOK)
    chooser.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/trial-balance\?book={OTHER}$"))
    expect(page.get_by_text(re.compile(rf"^Book {OTHER} · "))).to_be_visible()
    expect(page).to_have_title(re.compile(OTHER))
    for path in ("/", "/trial-balance", "/periods", "/journal/new", "/no/such/page"):
        page.goto(path)
        expect(page.get_by_label("Book", exact=True)).to_have_value(OTHER)
        check(page, path)
    shoot(page, "chooser.png", full_page=False)
    page.set_viewport_size({"width": 380, "height": 800})
    page.goto("/trial-balance")
    check(page, "several books on a phone")
    shoot(page, "chooser-phone.png", full_page=False)
