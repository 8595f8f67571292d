"""A manual journal in a real Chromium: typed, added up, proved, sent back, approved by another."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.reporting.test_desk_browser import Shoot, address, browser, check, log_in, page, shoot

__all__ = ["address", "browser", "page", "shoot"]


def type_line(page: Page, number: int, account: str, **cells: str) -> None:
    """Fill in one line of the form."""
    page.get_by_label(f"Account, line {number}", exact=True).fill(account)
    for name, value in cells.items():
        page.get_by_label(f"{name.capitalize()}, line {number}", exact=True).fill(value)


def log_out(page: Page) -> None:
    """Leave the desk to the next person."""
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_a_journal_from_the_first_key_to_the_voucher(
    page: Page, home: Path, shoot: Shoot, tmp_path: Path
) -> None:
    """Two people, three versions, one voucher; accessible and quiet at every step."""
    receipt = tmp_path / "kvittering.pdf"
    receipt.write_bytes(b"%PDF-1.7\nA receipt of another day.\n")
    log_in(page, home, "accountant")
    page.goto("/journal")
    page.get_by_role("link", name="New journal").click()
    page.get_by_label("Effective date").fill("30.04.2026")
    page.get_by_label("Text", exact=True).fill("Gebyr bank, april")
    type_line(page, 1, "7830", debit="1 250,50")
    type_line(page, 2, "1920", credit="1250")
    expect(page.get_by_text("0,50 lacking in credit")).to_be_visible()
    page.get_by_role("button", name="Add lines").click()
    expect(page.get_by_label("Account, line 7", exact=True)).to_be_visible()
    expect(page.get_by_label("Debit, line 1", exact=True)).to_have_value("1 250,50")
    page.get_by_role("button", name="Submit for approval").click()
    expect(page.get_by_role("alert")).to_contain_text("off by 0.50 in NOK")
    check(page, "refused form")
    shoot(page, "journal-refused.png")

    page.get_by_label("Credit, line 2", exact=True).fill("1250,50")
    expect(page.get_by_text("debit and credit are equal")).to_be_visible()
    page.get_by_role("button", name="Save as draft").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("unfinished")
    page.get_by_label("Attach a file").set_input_files(receipt)
    page.get_by_role("button", name="Attach", exact=True).click()
    expect(page.get_by_role("link", name="kvittering.pdf")).to_be_visible()
    page.get_by_role("button", name="Submit for approval").click()
    expect(page.get_by_text("another person must approve it")).to_be_visible()
    expect(page.get_by_role("button", name="Approve and post")).to_have_count(0)
    check(page, "own draft")
    shoot(page, "journal-own.png")
    where = page.url
    log_out(page)

    log_in(page, home, "approver")
    page.goto(where)
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("alert")).to_contain_text("Say why")
    page.get_by_label("Comment").fill("Which bank?")
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("rejected")
    check(page, "rejected")
    log_out(page)

    log_in(page, home, "accountant")
    page.goto(where)
    expect(page.get_by_text("approver sent it back:")).to_be_visible()
    page.get_by_role("link", name="Change").click()
    page.get_by_label("Text, line 1", exact=True).fill("Nordlys Bank")
    page.get_by_role("button", name="Submit for approval").click()
    log_out(page)

    log_in(page, home, "approver")
    page.goto("/journal")
    page.get_by_role("row", name="Gebyr bank, april").get_by_role("link").click()
    expect(page.locator("ins", has_text="Nordlys Bank")).to_be_visible()
    check(page, "to approve")
    shoot(page, "journal-to-approve.png")
    page.get_by_role("button", name="Approve and post").click()
    page.get_by_role("link", name="Voucher JNL/2026/1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Voucher JNL/2026/1")
    expect(page.get_by_role("link", name="kvittering.pdf")).to_be_visible()
    expect(page.get_by_text("Approved by")).to_be_visible()
    check(page, "voucher")
    shoot(page, "journal-voucher.png")


def test_a_journal_is_typed_without_a_mouse(page: Page, home: Path) -> None:
    """Tab walks the cells in the order they are read, and Enter keeps the draft, never submits."""
    log_in(page, home, "accountant")
    page.goto("/journal/new")
    page.get_by_label("Account, line 1", exact=True).focus()
    to_debit = ("Tab",) * 5  # over customer, dimensions, VAT code and currency
    for cell in ("7830", "Tab", "Gebyr", *to_debit, "100", "Tab", "Tab", "1920", "Tab", *to_debit,
                 "Tab", "99"):  # fmt: skip
        page.keyboard.press(cell) if cell == "Tab" else page.keyboard.type(cell)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("unfinished")
    expect(page.get_by_role("row", name="Gebyr")).to_contain_text("100,00")
    check(page, "draft")


def test_the_journal_pages_fit_a_small_screen(page: Page, home: Path, shoot: Shoot) -> None:
    """On a phone nothing but the tables scrolls sideways."""
    log_in(page, home, "accountant")
    page.set_viewport_size({"width": 390, "height": 800})
    for path in ("/journal", "/journal/1", "/journal/new", "/ledger/chart"):
        page.goto(path)
        check(page, path)
        wide = page.locator("html").evaluate("root => root.scrollWidth > root.clientWidth")
        assert not wide, path
        shoot(page, f"phone{path.replace('/', '-')}.png")
