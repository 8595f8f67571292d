"""What postings name is dated: rates of VAT end and begin, and posting rules follow one another."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from ledger import service
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.errors import Invalid
from ledger.journal import EntryDraft, Line
from ledger.refusals import NoPostingRule, PeriodClosed, UnknownAccount, UnknownVatCode
from ledger.registering import PostingRuleTaken, VatCodeInUse
from ledger.service import books as rules
from ledger.service import registers
from ledger.service.books import PostingRuleView
from ledger.service.registers import VatCode

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

WHY = ("--reason", "budget of 2027")


def run(*words: str) -> str:
    """Run a command; a refusal is raised."""
    done = CliRunner().invoke(ledger_cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def _sale(ref: str, on: date) -> EntryDraft:
    lines = (Line("1920", 125_00), Line("3000", -100_00),
             Line("2700", -25_00, vat_code="3", tax_base_minor=-100_00))  # fmt: skip
    return EntryDraft("JNL", on, on, "test", ref, "Sale", lines)


def _rates(code: str) -> list[tuple[int, str, str]]:
    listed: list[dict[str, Any]] = json.loads(run("vat", "list", "--json"))["vat_codes"]
    found = (one for one in listed if one["code"] == code)
    return [(one["rate_bp"], one["valid_from"], str(one["valid_to"])) for one in found]


def test_a_rate_of_vat_ends_and_the_next_begins(books: str, drafts: Drafts) -> None:
    """Postings take the rate of their day; what was posted stands, and the books still hold."""
    (first,) = _rates("3")
    with transaction() as session:
        service.post_batch(session, drafts.batch("b-1", _sale("s-1", date(2026, 9, 1))))
    with pytest.raises(VatCodeInUse, match="cannot end on 2026-08-31: it was used on 2026-09-01"):
        run("vat", "end", "3", "--on", "2026-08-31", *WHY)
    added = ("vat", "add", "3", "24.50", "--name", "New rate", "--saft", "3")
    with pytest.raises(VatCodeInUse, match="hovedbok ledger vat end") as overlapping:
        run(*added, "--from", "2026-10-01", *WHY)
    assert overlapping.value.facts == {}  # The database tells the row; it is nobody's to read.
    run("vat", "end", "3", "--on", "2026-09-30", *WHY)
    with transaction() as session, pytest.raises(UnknownVatCode):
        service.post_batch(session, drafts.batch("b-2", _sale("s-2", date(2026, 10, 1))))
    run(*added, "--from", "2026-10-01", *WHY)
    assert _rates("3") == [(first[0], first[1], "2026-10-01"), (2450, "2026-10-01", "None")]
    assert "24.50 %" in run("vat", "list", "--on", "2026-12-01")
    with transaction() as session:
        service.post_batch(session, drafts.batch("b-2", _sale("s-2", date(2026, 10, 1))))
        told = session.execute(
            text("SELECT actor, action, subject, content ->> 'reason' FROM audit_event"
                 " WHERE action LIKE 'VAT%' ORDER BY audit_event_id")
        ).all()  # fmt: skip
        assert [tuple(row) for row in told] == [
            ("system:command-line", "VAT code ended", "NO01/3", "budget of 2027"),
            ("system:command-line", "VAT code added", "NO01/3", "budget of 2027"),
        ]
        assert service.verify(session) == []


def test_a_vat_code_that_cannot_be_is_refused(books: str) -> None:
    """By name, and nothing is recorded."""
    with transaction() as session, pytest.raises(UnknownVatCode, match="no VAT code 99 that goes"):
        registers.end_vat_code(session, "NO01", "99", date(2026, 9, 1), actor="x", reason="x")
    with transaction() as session, pytest.raises(VatCodeInUse, match="it begins on"):
        registers.end_vat_code(session, "NO01", "3", date(1999, 1, 1), actor="x", reason="x")
    fine = VatCode("77", "x", "3", 2500, date(2026, 1, 1), None)
    for made, reason in (
        (fine._replace(rate_bp=10_001), "x"), (fine._replace(rate_bp=-1), "x"), (fine, " "),
        (fine._replace(valid_to=date(2026, 1, 1)), "x"),
    ):  # fmt: skip
        with transaction() as session, pytest.raises(Invalid):
            registers.add_vat_code(session, "NO01", made, actor="x", reason=reason)
    for rate in ("2,5", "25.001", "nan", "x"):
        words = ["vat", "add", "77", rate, "--name", "x", "--saft", "3", "--from", "2026-01-01"]
        assert CliRunner().invoke(ledger_cli, [*words, *WHY]).exit_code == 2
    assert _rates("77") == []


def test_a_posting_rule_is_followed_by_a_later_one(books: str) -> None:
    """From its day on, for whom it names; the account of a month that is closed stays."""
    add = ("rule", "add", "invoice", "receivable", "1510", "--selector", "barter", *WHY)
    with transaction() as session:
        service.lock_period(
            session, "NO01", "2026-03", module="GL", level="soft", actor="x", reason="x"
        )
        with pytest.raises(NoPostingRule, match="hovedbok ledger rule add"):
            rules.posting_account(session, "NO01", "invoice", "receivable", "barter",
                                  date(2026, 4, 1))  # fmt: skip
    with pytest.raises(PeriodClosed, match="posted by the rule it had"):
        run(*add, "--from", "2026-03-31")
    run(*add, "--from", "2026-04-01")
    with pytest.raises(PostingRuleTaken):
        run(*add, "--from", "2026-04-01")
    run(*(word if word != "1510" else "1505" for word in add), "--from", "2027-01-01")
    with transaction() as session:
        used = [
            rules.posting_account(session, "NO01", "invoice", "receivable", "barter", on)
            for on in (date(2026, 4, 1), date(2026, 12, 31), date(2027, 1, 1))
        ]
        assert used == ["1510", "1510", "1505"]
        assert service.verify(session) == []


@pytest.mark.parametrize(
    ("rule", "refusal", "said"),
    [
        (("invoyce", "receivable", "*", "1500"), NoPostingRule, "there is no such event"),
        (("invoice", "recievable", "*", "1500"), NoPostingRule, "its legs are"),
        (("invoice", "receivable", "barter", "9999"), UnknownAccount, "hovedbok ledger chart"),
    ],
)  # fmt: skip
def test_a_posting_rule_of_nothing_is_refused(
    books: str, rule: tuple[str, str, str, str], refusal: type[Exception], said: str
) -> None:
    """A slip in an event's name would be a rule that is never asked."""
    wanted = PostingRuleView(*rule, date(2026, 5, 1))
    with transaction() as session, pytest.raises(refusal, match=said):
        registers.add_posting_rule(session, "NO01", wanted, actor="x", reason="x")


def test_series_are_listed_with_their_last_numbers(books: str, drafts: Drafts) -> None:
    """For people and for programs."""
    with transaction() as session:
        service.post_batch(session, drafts.batch("b-1", _sale("s-1", date(2026, 9, 1))))
    assert "(2026: 1)" in run("series")
    listed = json.loads(run("series", "--json"))["voucher_series"]
    (journal,) = (one for one in listed if one["code"] == "JNL")
    assert journal["years"] == [{"year": 2026, "last_number": 1}]


def test_an_asserted_balance_may_be_negative(books: str) -> None:
    """What begins with a minus sign is an amount, and no option that nobody knows."""
    told = run("assert", "1920", "-125.50", "--on", "2026-03-31", "--source", "bank")
    assert told == "1920 must be -125.50 NOK at the end of 2026-03-31.\n"
    known = CliRunner().invoke(ledger_cli, ["assertions", "--json"])
    assert json.loads(known.stdout)["assertions"][0]["expected"] == "-125.50"
    slip = ["assert", "1920", "5.00", "--onn", "2026-03-31", "--source", "bank"]
    assert CliRunner().invoke(ledger_cli, slip).exit_code == 2
