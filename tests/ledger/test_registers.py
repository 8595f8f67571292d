"""What postings name is dated: rates of VAT end and begin, and posting rules follow one another."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from ledger import service
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.errors import Invalid
from ledger.journal import EntryDraft, Line
from ledger.refusals import (
    NoPostingRule,
    PeriodClosed,
    UnknownAccount,
    UnknownSeries,
    UnknownVatCode,
)
from ledger.registering import NumberNotMissing, PostingRuleTaken, VatCodeInUse
from ledger.service import access, registers
from ledger.service import books as rules
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


def test_the_database_lets_no_rule_begin_in_a_closed_month(pg: PrivateServer, books: str) -> None:
    """Whoever writes the row; one that is there already is left out by a seed, closed or not."""
    insert = (
        "INSERT INTO posting_rule (book_id, event, leg, selector, account_number, valid_from)"
        " SELECT book_id, 'invoice', 'receivable', 'barter', '1510', '{}' FROM book"
        " ON CONFLICT DO NOTHING"
    )
    with transaction() as session:
        session.execute(text(insert.format("2026-02-14")))
        for period, level in (("2026-02", "soft"), ("2026-03", "hard")):
            service.lock_period(
                session, "NO01", period, module="GL", level=level, actor="x", reason="x"
            )
    for login in ("service", "owner", "postgres"):
        url = pg.url(login, books).replace("+psycopg", "", 1)
        for day, said in (("2026-02-01", "closed (soft)"), ("2026-03-31", "closed (hard)")):
            with psycopg.connect(url) as connection, pytest.raises(psycopg.Error) as refused:
                connection.execute(insert.format(day))
            assert refused.value.sqlstate == "HB013", login
            assert f"{day[:7]} is {said} for GL, and was posted by the rule it had" in str(
                refused.value
            )
    with transaction() as session:
        for day in ("2026-02-14", "2026-04-01", "2031-01-01"):
            session.execute(text(insert.format(day)))
        found = session.scalars(text("SELECT valid_from::text FROM posting_rule"
                                     " WHERE selector = 'barter' ORDER BY 1")).all()  # fmt: skip
        assert found == ["2026-02-14", "2026-04-01", "2031-01-01"]
        assert service.verify(session) == []


def test_a_rule_and_a_lock_of_its_month_wait_for_each_other(pg: PrivateServer, books: str) -> None:
    """A lock under way is not overlooked: the rule is written before it, or refused."""
    url = pg.url("service", books).replace("+psycopg", "", 1)
    lock = "SELECT ledger_lock_period('NO01', '2026-03', 'GL', 'soft', 'x', 'x')"
    insert = (
        "INSERT INTO posting_rule (book_id, event, leg, selector, account_number, valid_from)"
        " SELECT book_id, 'invoice', 'receivable', 'barter', '1510', '2026-03-01' FROM book"
    )
    with psycopg.connect(url) as locking, psycopg.connect(url) as adding:
        locking.execute(lock)
        adding.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            adding.execute(insert)
        adding.rollback()
        locking.commit()
        with pytest.raises(psycopg.Error, match="posted by the rule it had"):
            adding.execute(insert)


@pytest.fixture
def lost(pg: PrivateServer, posted: str) -> str:
    """Books in which SAL/2026/2 and 3 were given to nothing."""
    with psycopg.connect(pg.url("postgres", posted).replace("+psycopg", "", 1)) as connection:
        connection.execute(
            "UPDATE voucher_counter SET last_no = 3 WHERE series_id ="
            " (SELECT series_id FROM voucher_series WHERE code = 'SAL')"
        )
    return posted


def test_a_missing_number_is_explained_once(lost: str) -> None:
    """By whom and why stays; the close is not blocked any more, and verify is content."""
    said = ("explain-gap", "SAL/2026/2", "--reason", "printer test")
    assert run(*said) == "SAL/2026/2 is explained: printer test\n"
    assert run(*said) == "SAL/2026/2 is explained already: printer test\n"
    with pytest.raises(NumberNotMissing, match="explained already, by system:command-line: print"):
        run("explain-gap", "SAL/2026/2", "--reason", "another reason")
    listed = CliRunner().invoke(ledger_cli, ["gaps", "--json"])
    (book,) = json.loads(listed.output)["books"]
    assert (book["gaps"], [one["voucher"] for one in book["explained"]]) == (
        ["SAL/2026/3"], ["SAL/2026/2"],
    )  # fmt: skip
    with transaction() as session:
        faults = [(one.check, one.where) for one in service.verify(session)]
        event = access.audit_log(session)[0]
    assert ("voucher gap", "SAL/2026/3") in faults
    assert ("voucher gap", "SAL/2026/2") not in faults
    run("explain-gap", "SAL/2026/3", "--reason", "printer test")
    with transaction() as session:
        assert service.verify(session) == []
    assert (event["actor"], event["act"], event["subject"], event["facts"]) == (
        "system:command-line", "gap explained", "voucher/NO01/SAL/2026/2",
        {"reason": "printer test"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("voucher", "said"),
    [
        ("SAL/2026/1", "it is the number of an entry"),
        ("SAL/2026/4", "was never given: SAL stands at 3 in 2026"),
        ("SAL/2025/1", "was never given: SAL stands at 0 in 2025"),
        ("SAL/2026/0", "was never given"),
        ("XYZ/2026/1", "no voucher series XYZ"),
    ],
)
def test_a_number_that_is_not_missing_is_not_explained(lost: str, voucher: str, said: str) -> None:
    """An explanation ahead of time would hide the entry that goes missing."""
    with pytest.raises((NumberNotMissing, UnknownSeries), match=said):
        run("explain-gap", voucher, "--reason", "x")
    with transaction() as session:
        assert registers.voucher_gaps(session, "NO01") == []


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
