"""A month end in a real Chromium: looked at, waived, closed, reopened, and closed for good."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.reporting.desk_books import await_march
from tests.reporting.test_desk_browser import Shoot, address, browser, check, log_in, page, shoot
from tests.reporting.test_journal_browser import log_out

__all__ = ["address", "browser", "page", "shoot"]


def test_a_month_end_from_the_first_look_to_the_hard_lock(
    page: Page, home: Path, shoot: Shoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people; accessible and quiet at every step, on a screen and on a phone."""
    await_march(monkeypatch)
    log_in(page, home, "accountant")
    page.get_by_role("link", name="Periods and closing").click()
    check(page, "list")
    shoot(page, "periods.png")
    page.get_by_role("link", name="2026-03").click()
    page.get_by_role("button", name="Run the checks").click()
    expect(page.get_by_text("Number 1, run by accountant")).to_be_visible()
    page.get_by_role("button", name="Close the month").click()
    expect(page.get_by_role("alert")).to_contain_text("Checks are open")
    page.locator("summary").first.click()
    check(page, "refused")
    shoot(page, "period-refused.png")
    log_out(page)

    log_in(page, home, "approver")
    page.goto("/periods/2026-03")
    check(page, "to waive")
    shoot(page, "period-to-waive.png")
    for what, why in (("requests and jobs", "The worker is on its way."),
                      ("usage in suspense", "Nobody's SIM cards.")):  # fmt: skip
        page.get_by_label(f"Why {what} may pass").fill(why)
        page.get_by_role("button", name="Waive").first.click()
        expect(page.get_by_text(f"Waived by approver: {why}")).to_be_visible()
    expect(page.get_by_role("button", name="Waive")).to_have_count(0)
    log_out(page)

    log_in(page, home, "accountant")
    page.goto("/periods/2026-03")
    page.get_by_role("button", name="Close the month").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("closed")
    page.set_viewport_size({"width": 390, "height": 800})
    check(page, "closed, on a phone")
    wide = page.locator("html").evaluate("root => root.scrollWidth > root.clientWidth")
    assert not wide
    shoot(page, "phone-period.png")
    page.goto("/periods")
    check(page, "list, on a phone")
    assert not page.locator("html").evaluate("root => root.scrollWidth > root.clientWidth")
    shoot(page, "phone-periods.png")
    page.set_viewport_size({"width": 1360, "height": 900})

    page.goto("/periods/2026-03")
    page.get_by_role("button", name="Close for good").click()
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("for good")  # Not ticked.
    page.get_by_label("Nothing can ever open 2026-03 again").check()
    shoot(page, "period-closed.png")
    page.get_by_role("button", name="Close for good").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("closed for good")
    expect(page.get_by_role("button", name="Open to everybody")).to_have_count(0)
    check(page, "locked")
    shoot(page, "period-locked.png")
