"""From the trial balance to the line in a real Chromium, for every account; proofs; rich drafts."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from playwright.sync_api import Page, expect
from sqlalchemy import text

from ledger import service as ledger
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.journal import BatchDraft, EntryDraft, Line
from ledger.service.signing import open_signer, public_pem
from tests.ledger.conftest import seal_all
from tests.reporting.desk_books import BOOK, MARCH_END
from tests.reporting.test_desk_browser import Shoot, address, browser, check, log_in, page, shoot
from tests.reporting.test_journal_browser import type_line

__all__ = ["address", "browser", "page", "shoot"]


def post_in_euro() -> None:
    """An account with lines in two currencies."""
    lines = (Line("7830", 10_00, "EUR", base_minor=115_00), Line("1920", -10_00, "EUR",
             base_minor=-115_00), Line("7830", 5_00), Line("1920", -5_00))  # fmt: skip
    entry = EntryDraft("JNL", MARCH_END, MARCH_END, "import", "fx", "Gebyr i euro", lines)
    with transaction() as session:
        ledger.post_batch(session, BatchDraft(BOOK, "test", "fx", "tester", (entry,)))


def test_every_account_leads_to_its_lines(page: Page, home: Path, shoot: Shoot) -> None:
    """Trial balance, statement, voucher: the line that was clicked is marked on its voucher."""
    post_in_euro()
    log_in(page, home, "accountant")
    page.goto("/trial-balance")
    shoot(page, "drill-balance.png")
    rows = page.get_by_role("table").locator("tbody tr")
    accounts = [(row.locator("th").inner_text(), row.locator("td").nth(1).inner_text(),
                 row.locator("td").nth(4).inner_text()) for row in rows.all()]  # fmt: skip
    assert {currency for _, currency, _ in accounts} == {"NOK", "EUR"}
    for number, currency, balance in accounts:
        page.goto("/trial-balance")
        page.get_by_role("link", name=number, exact=True).first.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(number)
        lines = page.get_by_role("table").locator("tbody tr:not(.carried)")
        # The last line of the currency holds the balance that was clicked.
        of_currency = lines.filter(has_text=currency) if currency == "EUR" else lines
        held = [row.locator("td").last.inner_text().replace("\u00a0", " ") for row in
                of_currency.all()]  # fmt: skip
        assert balance.replace("\u00a0", " ").replace("–", "0,00") in held, (number, currency)
        for place in {0, lines.count() - 1}:
            amount = lines.nth(place).locator("td.num").first.inner_text().lstrip("−-")
            lines.nth(place).locator("a.code").first.click()
            marked = page.locator("tr:target")
            expect(marked).to_contain_text(number)
            expect(marked).to_contain_text(amount)
            page.go_back()
    page.goto("/accounts/1920")
    check(page, "statement in two currencies")
    shoot(page, "drill-account.png")
    page.get_by_role("link", name="JNL/2026/1").first.click()
    check(page, "voucher in two currencies")
    shoot(page, "drill-voucher.png")


def test_a_proof_is_downloaded_and_holds_without_the_books(
    page: Page, home: Path, shoot: Shoot, tmp_path: Path
) -> None:
    """The file of the voucher's page is what check-proof verifies, under the public key."""
    key = open_signer(tmp_path / "seal-key")
    seal_all(key)
    log_in(page, home, "accountant")
    page.goto("/entries/SAL/2026/1")
    shoot(page, "voucher-sealed.png")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download its proof").click()
    assert downloading.value.suggested_filename == "SAL-2026-1.proof.json"
    proof = tmp_path / "proof.json"
    downloading.value.save_as(proof)
    with transaction() as session:
        public = bytes(session.scalar(text("SELECT public_key FROM signing_key")) or b"")
    pem = tmp_path / "public.pem"
    pem.write_text(public_pem(public))
    checked = CliRunner().invoke(ledger_cli, ["check-proof", str(proof), "--key", str(pem)])
    assert checked.exit_code == 0, checked.output
    assert "SAL/2026/1 of book NO01" in checked.output
    content = proof.read_bytes()
    assert b'"source_system": "billing"' in content
    proof.write_bytes(content.replace(b'"source_system": "billing"', b'"source_system": "Billing"'))
    forged = CliRunner().invoke(ledger_cli, ["check-proof", str(proof), "--key", str(pem)])
    assert forged.exit_code == 1


def test_a_rich_journal_is_typed_kept_and_withdrawn(page: Page, home: Path, shoot: Shoot) -> None:
    """Customer, dimensions and currency on a line; sums per currency; the maker takes it back."""
    log_in(page, home, "accountant")
    page.goto("/journal/new")
    page.get_by_label("Effective date").fill("30.04.2026")
    page.get_by_label("Text", exact=True).fill("Gebyr for en kunde")
    type_line(page, 1, "7830", customer="C7", dimensions="product=mobile; area=consumer",
              debit="100")  # fmt: skip
    type_line(page, 2, "1920", credit="100")
    type_line(page, 3, "7830", currency="EUR", debit="10")
    type_line(page, 4, "1920", currency="EUR", credit="9")
    expect(page.get_by_text("1,00 lacking in credit")).to_be_visible()
    page.get_by_label("Credit, line 4", exact=True).fill("10")
    expect(page.get_by_text("debit and credit are equal")).to_have_count(2)
    check(page, "rich form")
    shoot(page, "journal-rich-form.png")
    page.get_by_role("button", name="Save as draft").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("unfinished")
    expect(page.get_by_role("link", name="Testkunde En")).to_be_visible()
    page.get_by_text("Withdraw this draft").click()
    check(page, "rich draft")
    shoot(page, "journal-rich.png")
    page.get_by_label("Reason").fill("Feil kunde")
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_text("Feil kunde")).to_be_visible()
    check(page, "withdrawn draft")
    shoot(page, "journal-withdrawn.png")
