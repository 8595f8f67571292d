"""The desk in a real Chromium: every page passes WCAG A and AA, and nothing breaks the policy."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright
from werkzeug.serving import make_server

from ledger.access import ROLES
from ledger.db import transaction
from ledger.service import access
from ledger.web import now
from rating import service as rating
from tests.flows.home import MONTH, Home
from tests.ledger.ports import free_port, wait_for
from tests.rating.tariffs import SMALL
from tests.reporting.desk_books import open_books
from tests.reporting.test_desk import make_app

PAGES = {
    "accountant": (
        "/", "/trial-balance", "/accounts/1500", "/entries/SAL/2026/1",
        "/aging?effective_as_of=2026-05-31", "/payments/unmatched", "/customers", "/customers/7",
        "/invoices", "/invoices/2026-000001", "/trace/invoice/2026-000001",
        "/trace/voucher/SAL/2026/1", "/no/such/page", "/ledger/chart", "/journal",
        "/journal?state=posted", "/journal/1", "/journal/1/edit", "/journal/new",
    ),
    "approver": ("/journal", "/journal/1"),
    "operations": ("/", "/feeds", "/feeds/2", "/feeds/1", "/suspense", "/suspense?reason=NO_RATE"),
    "administrator": ("/", "/access", "/trial-balance"),
}  # fmt: skip
QUOTE = "/tariffs/quote?offering=ONE&usage=voice&called=4790000001&at=02.03.2026+16:59&quantity=90"
_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
_WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; a clear skip where there is none, a failure in CI."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing; the desk must be tried in CI (apt install chromium).")
        pytest.skip("no Chromium on PATH; apt install chromium to try the desk in a browser")
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=_FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def address(db: str, home: Path) -> Iterator[str]:
    """The desk over a small billed month, served on a free port, with the demo's users."""
    open_books()
    with transaction() as session:
        access.seed_demo_staff(session, home, now=now())
    server = make_server("127.0.0.1", 0, make_app(), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


class Shoot(Protocol):
    """Takes a picture of a page, whole or as far as it is seen, under a name."""

    def __call__(self, page: Page, name: str, *, full_page: bool = True) -> None:
        """Take it."""


@pytest.fixture
def shoot() -> Shoot:
    """Pictures go to the folder that HOVEDBOK_SHOTS names; without it nobody looks at them."""
    folder = os.environ.get("HOVEDBOK_SHOTS")

    def take(page: Page, name: str, *, full_page: bool = True) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(folder) / name, full_page=full_page)

    return take


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page that remembers what its console complained of."""
    context = browser.new_context(base_url=address, viewport={"width": 1360, "height": 900})
    opened = context.new_page()
    opened.complaints = []  # type: ignore[attr-defined]
    opened.on("console", lambda said: _note(opened, said.type, said.text, said.location))
    opened.on("pageerror", lambda fault: _note(opened, "error", str(fault), {}))
    yield opened
    context.close()


def _note(page: Any, kind: str, text: str, where: dict[str, Any]) -> None:
    # Chromium logs every 4xx answer as an error; those pages are visited on purpose.
    if kind in {"error", "warning"} and "status of 4" not in text:
        page.complaints.append(f"{text} {where}")


def log_in(page: Page, home: Path, role: str) -> None:
    """Fill in the form as a person does."""
    lines = (home / "demo-users.txt").read_text().splitlines()
    password = next(line.split("\t")[2] for line in lines if line.startswith(f"{role}\t"))
    page.goto("/login")
    page.get_by_label("User name").fill(role)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def check(page: Page, what: str) -> None:
    """Fail with axe's own report if the page breaks a WCAG A or AA rule, or complained."""
    found = Axe().run(page, options=_WCAG)
    assert found.violations_count == 0, f"{what}\n{found.generate_report()}"
    assert page.complaints == [], what  # type: ignore[attr-defined]


@pytest.mark.parametrize("role", PAGES)
def test_every_page_is_accessible_and_quiet(
    page: Page, home: Path, shoot: Shoot, role: str
) -> None:
    """No violation of WCAG A or AA and no word in the console, on any page of a role."""
    log_in(page, home, role)
    for path in PAGES[role]:
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        check(page, path)
        name = re.sub(r"\W+", "-", path).strip("-") or "home"
        shoot(page, f"{role}-{name}.png")


def test_the_picture_of_the_readme(
    browser: Browser, tmp_path: Path, shoot: Shoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The overview of a finished month; with HOVEDBOK_SHOTS set, of the whole demo month."""
    subscribers, days = ("2000", "31") if "HOVEDBOK_SHOTS" in os.environ else ("20", "1")
    home, port = Home(tmp_path / "home"), free_port()
    files = str(tmp_path / "files")
    home.run("demo", "make", "--out", files, "--subscribers", subscribers, "--days", days)
    monkeypatch.setenv("HOVEDBOK_PORT", str(port))
    try:
        home.run("month", "run", files, "--month", MONTH)
        home.run("access", "demo-users")
        desk = home.start("serve", "--workers", "1")
        try:
            wait_for(port)
            size: ViewportSize = {"width": 1360, "height": 720}
            opened = browser.new_page(base_url=f"http://127.0.0.1:{port}", viewport=size)
            log_in(opened, home.folder, "accountant")
            expect(opened.get_by_text("Every file's sums tie")).to_be_visible()
            expect(opened.get_by_text("Debit and credit are equal")).to_be_visible()
            shoot(opened, "desk.png", full_page=False)
            opened.close()
        finally:
            desk.send_signal(signal.SIGINT)
            desk.communicate(timeout=30)
    finally:
        home.server.stop()


def test_the_login_page_is_accessible(page: Page, shoot: Shoot) -> None:
    """Also after a refusal, which is announced."""
    page.goto("/login")
    check(page, "login")
    shoot(page, "login.png", full_page=False)
    page.get_by_label("User name").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("User name or password is wrong.")
    check(page, "login refused")


def test_the_desk_fits_a_small_screen(page: Page, home: Path, shoot: Shoot) -> None:
    """On a phone nothing but the tables scrolls sideways."""
    with transaction() as session:
        rating.load_tariff(session, SMALL.encode())
    page.set_viewport_size({"width": 390, "height": 800})
    for role, paths in (
        ("operations", ("/feeds/2", "/tariffs/SMALL/1", QUOTE)),
        ("collector", ("/", "/aging", "/customers/7")),
    ):
        page.context.clear_cookies()
        log_in(page, home, role)
        for path in paths:
            page.goto(path)
            check(page, path)
            wide = page.locator("html").evaluate("root => root.scrollWidth > root.clientWidth")
            assert not wide, path
    shoot(page, "phone-customer.png")


def test_lists_show_their_last_column_beside_the_menu(page: Page, home: Path) -> None:
    """What is outstanding of an invoice, and whether it is paid, is seen on a common screen."""
    log_in(page, home, "accountant")
    page.set_viewport_size({"width": 1280, "height": 900})
    for path in ("/invoices", "/customers/7", "/customers/8"):
        page.goto(path)
        for table in page.locator(".scroll").all():
            assert table.evaluate("box => box.scrollWidth <= box.clientWidth"), path


def test_a_collector_works_without_a_mouse(page: Page, home: Path) -> None:
    """Slash goes to the search, typing filters the list, Tab and Enter open the customer."""
    log_in(page, home, "collector")
    page.goto("/customers")
    page.keyboard.press("/")
    expect(page.get_by_label("Search", exact=True)).to_be_focused()
    page.keyboard.type("sønner")
    expect(page.get_by_role("link", name="Testkunde En")).to_have_count(0)
    link = page.get_by_role("link", name="Prøve og Sønner AS")
    expect(link).to_be_visible()
    link.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Prøve og Sønner AS")
    check(page, "customer")


def test_the_first_tab_skips_to_the_content(page: Page, home: Path) -> None:
    """A keyboard need not walk the menu on every page."""
    log_in(page, home, "collector")
    page.goto("/aging")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()


def test_swagger_ui_shows_the_api(page: Page, shoot: Shoot) -> None:
    """Under the strict policy, from the wheel, with every operation."""
    page.goto("/api/v1/docs")
    described = page.request.get("/api/v1/openapi.json").json()["paths"].values()
    operations = sum(method != "parameters" for path in described for method in path)
    assert operations > 20
    expect(page.locator(".opblock")).to_have_count(operations)
    assert page.complaints == []  # type: ignore[attr-defined]
    shoot(page, "api-docs.png", full_page=False)


def test_every_role_can_log_in(page: Page, home: Path) -> None:
    """The demo's six users all come in and out again."""
    for role in ROLES:
        log_in(page, home, role)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
