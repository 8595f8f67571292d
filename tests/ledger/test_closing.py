"""The close of a month: what the checks see, what may be waived, and that it happens once."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from ledger import closing as pure
from ledger import refusals, service
from ledger.cli.ledger import ledger_cli
from ledger.closing import Finding, PeriodCheck, Scope
from ledger.db import transaction
from ledger.drafts import Draft
from ledger.errors import Invalid
from ledger.journal import BatchDraft, EntryDraft, Line
from ledger.service import assertions, checklists, closing, drafting, rates, revaluation
from ledger.service.assertions import Assertion
from ledger.service.checklists import Checklist
from ledger.service.intake import Sender
from ledger.service.rates import Rate
from ledger.service.requests import accept_request, post_request_job
from ledger.service.signing import signer
from tests.ledger.conftest import post, seal_all

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

BOOK, MARCH = "NO01", date(2026, 3, 31)


def run(period: str = "2026-03") -> Checklist:
    """Run and keep the checklist of a month."""
    with transaction() as session:
        return closing.run_checklist(session, BOOK, period, actor="chief")


def states(seen: Checklist) -> dict[str, str]:
    """The state of each check that is not in order."""
    return {one.code: one.state for one in seen.results if one.state != "ok"}


def close(period: str = "2026-03", level: str = "soft", **waive: str) -> closing.Closed:
    """Close a month, waiving what is named."""
    with transaction() as session:
        return closing.close_period(session, BOOK, period, level=level, actor="chief", waive=waive)


def lock(period: str, module: str = "GL", level: str = "soft") -> None:
    """Lock a module of a month without looking."""
    with transaction() as session:
        service.lock_period(session, BOOK, period, module=module, level=level, actor="x",
                            reason="x")  # fmt: skip


def levels(period: str = "2026-03") -> list[str]:
    """How the modules of a month stand."""
    with transaction() as session:
        return [one.level for one in service.period_states(session, BOOK) if one.period == period]


def count(table: str) -> int:
    """How many rows a table has."""
    with transaction() as session:
        return int(session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


@pytest.fixture
def march(books: str) -> str:
    """Books whose February is closed, so that March is next."""
    lock("2026-02")
    return books


def test_a_month_in_order_is_closed_once(march: str, drafts: Drafts) -> None:
    """Every module is locked on the evidence of one checklist; a second close writes nothing."""
    post(drafts.batch("b-1", drafts.invoice("i-1")))
    assert states(run()) == {"sealed": "blocked"}
    seal_all(signer())
    done = close()
    assert (done.already, levels()) == (False, ["soft"] * 4)
    assert done.checklist is not None
    assert done.checklist.closes_as == "soft"
    assert done.checklist.known_as_of == 1
    assert {one.state for one in done.checklist.results} == {"ok"}
    rows = [count(t) for t in ("close_checklist", "period_lock_event", "check_waiver")]
    again = close()
    assert (again.already, again.checklist) == (True, done.checklist)
    assert [count(t) for t in ("close_checklist", "period_lock_event", "check_waiver")] == rows
    with pytest.raises(refusals.PeriodClosed):
        post(drafts.batch("b-2", drafts.invoice("i-2")))


def test_a_hard_close_follows_a_soft_one_and_is_final(march: str) -> None:
    """It looks again, locks for good, and is itself repeatable."""
    close()
    assert close(level="hard").already is False
    assert levels() == ["hard"] * 4
    assert close(level="hard").already is True
    assert close().already is True
    with transaction() as session, pytest.raises(refusals.PeriodLockedForGood):
        closing.reopen_modules(session, BOOK, "2026-03", actor="chief", reason="regret")


def test_what_is_open_is_named_and_what_is_blocked_is_not_waived(
    march: str, drafts: Drafts
) -> None:
    """A refusal lists every check in the way; nothing of it is written."""
    post(drafts.batch("b-1", drafts.journal("j-1", ("1940", 5_00), ("7830", -5_00))))
    with pytest.raises(pure.ChecksOpen, match="2026-03 stays open") as caught:
        close()
    assert [(x["code"], x["state"]) for x in caught.value.facts["checks"]] == [  # type: ignore[attr-defined]
        ("suspense", "open"), ("sealed", "blocked"),
    ]  # fmt: skip
    with pytest.raises(pure.CheckNotWaivable, match="blocked"):
        close(sealed="no time")
    assert (levels(), count("close_checklist")) == (["open"] * 4, 0)
    seal_all(signer())
    with pytest.raises(Invalid, match="There is no check 'sale'"):
        close(sale="x")
    with pytest.raises(Invalid, match="Say why"):
        close(suspense=" ")
    done = close(suspense="comes in April")
    assert done.checklist is not None
    waived = next(one for one in done.checklist.results if one.code == "suspense")
    assert (waived.state, waived.waiver and waived.waiver.reason) == ("waived", "comes in April")


def test_a_waiver_is_of_what_was_found(march: str, drafts: Drafts) -> None:
    """Somebody else gives it beforehand; it holds while the figures do, and no longer."""
    post(drafts.batch("b-1", drafts.journal("j-1", ("1940", 5_00), ("7830", -5_00))))
    seal_all(signer())
    seen = run()
    with transaction() as session:
        given = closing.waive_check(
            session, seen.checklist_id, "suspense", actor="approver", reason="known"
        )
        again = closing.waive_check(
            session, seen.checklist_id, "suspense", actor="other", reason="again"
        )
        assert again == given
        with pytest.raises(pure.CheckNotWaivable, match="Only what is open"):
            closing.waive_check(session, seen.checklist_id, "gaps", actor="x", reason="x")
        with pytest.raises(pure.UnknownChecklist):
            closing.waive_check(session, 4711, "gaps", actor="x", reason="x")
    assert states(run()) == {"suspense": "waived"}
    post(drafts.batch("b-2", drafts.journal("j-2", ("1940", 1), ("7830", -1))))
    seal_all(signer())
    assert states(run()) == {"suspense": "open"}
    post(drafts.batch("b-3", drafts.journal("j-3", ("1940", -1), ("7830", 1))))
    seal_all(signer())
    assert close().already is False


def test_drafts_of_the_month_are_in_the_way(march: str, drafts: Drafts) -> None:
    """Unfinished or submitted; not those of other months, nor what was sent back or posted."""
    with transaction() as session:
        for key, day, ready in (
            ("a", MARCH, False),
            ("b", MARCH, True),
            ("c", date(2026, 4, 1), True),
        ):
            entry = drafts.journal("", ("7830", 5_00), ("1920", -5_00), day=day)
            made, _ = drafting.create_draft(
                session, Draft(BOOK, entry), actor="staff:anna", key=key, ready=ready
            )
            if key == "b":
                sent = made
    seen = run()
    assert states(seen) == {"drafts": "open"}
    rows = seen.results[1].finding.figures["rows"]
    assert [(row["draft"], row["state"]) for row in rows] == [(1, "draft"), (2, "submitted")]
    with transaction() as session:
        drafting.reject(
            session, sent.draft_id, sent.latest.content_hash, approver="staff:berit", comment="no"
        )
    assert run().results[1].finding.figures["count"] == 1


def test_banks_need_somebodys_word(march: str, drafts: Drafts) -> None:
    """A bank that moved has an asserted balance at month end, and it is that of the books."""
    post(drafts.batch("b-1", drafts.journal("j-1", ("1920", 5_00), ("7830", -5_00))))
    seal_all(signer())
    assert states(run()) == {"assertions": "open"}
    said = Assertion("1920", "NOK", MARCH, 4_00, "bank statement")
    with transaction() as session:
        assertions.assert_balance(session, BOOK, said, actor="x")
    figures = run().results[3].finding.figures
    assert (figures["differing"], figures["missing"]) == (1, 0)
    assert figures["rows"][0]["said"] == "4.00"
    with transaction() as session:
        assertions.assert_balance(
            session, BOOK, replace(said, expected_minor=5_00, source="the bank again"), actor="x"
        )
    assert run().results[3].finding.figures["differing"] == 1


def test_requests_and_jobs_must_be_done(march: str) -> None:
    """What was accepted and is not posted yet would be refused after the close."""
    with transaction() as session:
        number = accept_request(session, Sender(BOOK, "REST:x", "x"), "r", "ndjson", b"nonsense")
    seen = run()
    assert states(seen) == {"requests": "open"}
    assert [row["what"] for row in seen.results[2].finding.figures["rows"]] == [
        "job post_request", "posting request",
    ]  # fmt: skip
    post_request_job(number)
    with transaction("owner") as session:
        session.execute(text("UPDATE procrastinate_jobs SET status = 'failed'"))
    seen = run()
    assert [row["state"] for row in seen.results[2].finding.figures["rows"]] == ["failed"]


def test_currencies_are_valued(march: str) -> None:
    """Without a rate nothing can be said; with one, what is not posted is in the way."""
    lines = (Line("1920", 100_00, "EUR", base_minor=1_100_00),
             Line("2400", -100_00, "EUR", base_minor=-1_100_00))  # fmt: skip
    entry = EntryDraft("JNL", date(2026, 3, 5), date(2026, 3, 5), "x", "e-1", "EUR", lines)
    post(BatchDraft(BOOK, "test", "e-1", "tester", (entry,)))
    seal_all(signer())
    assert states(run()) == {"assertions": "open", "revaluation": "blocked"}
    with transaction() as session:
        rates.set_rate(session, "NOK", Rate("EUR", MARCH, 12 * 10**8, "x"), actor="x")
    assert states(run())["revaluation"] == "open"
    with transaction() as session:
        revaluation.post_unrealised(session, BOOK, MARCH, actor="x")
    assert "revaluation" not in states(run())


def test_the_month_before_comes_first(books: str) -> None:
    """Unless the book has none; a reopening counts as open."""
    assert states(run()) == {"previous": "blocked"}
    assert states(run("2026-01")) == {}
    close("2026-01")
    assert close("2026-02").already is False
    with transaction() as session:
        assert closing.reopen_modules(
            session, BOOK, "2026-01", modules=["GL", "AR"], actor="chief", reason="late bill"
        ) == ["GL", "AR"]
    assert states(run("2026-02")) == {"previous": "blocked"}


def test_a_missing_number_and_a_torn_sub_ledger_block(march: str, drafts: Drafts) -> None:
    """Only a superuser can make them; no waiver helps."""
    post(drafts.batch("b-1", drafts.invoice("i-1")))
    seal_all(signer())
    with transaction("owner") as session:
        session.execute(text("UPDATE voucher_counter SET last_no = 7"))
        session.execute(text("ALTER TABLE open_item DISABLE TRIGGER refuse_change"))
        session.execute(text("UPDATE open_item SET original_minor = original_minor + 1"))
        session.execute(text("ALTER TABLE open_item ENABLE TRIGGER refuse_change"))
    seen = run()
    assert states(seen) == {"sub-ledgers": "blocked", "gaps": "blocked"}
    assert seen.results[4].finding.figures["rows"][0] == {
        "account": "1500", "currency": "NOK", "items": "125.01", "balance": "125.00",
    }  # fmt: skip


def test_rooms_above_add_their_checks(march: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger runs what it is given, and knows nothing of who gave it."""
    asked: list[Scope] = []

    def find(_session: Any, scope: Scope) -> Finding:
        asked.append(scope)
        return Finding("open", "3 tills are not counted.", {"count": 3, "rows": []})

    monkeypatch.setattr(pure, "_room_checks", lambda: [PeriodCheck("tills", "Tills", find)])
    assert states(run()) == {"tills": "open"}
    assert asked == [Scope(BOOK, "2026-03", date(2026, 3, 1), MARCH)]


def test_evidence_is_sealed_and_verified(march: str) -> None:
    """Who, when and what is under the next seal; a changed word is found."""
    close()
    seal_all(signer())
    with transaction("auditor") as session:
        assert service.verify(session) == []
    with transaction("owner") as session:
        session.execute(text("ALTER TABLE close_checklist DISABLE TRIGGER refuse_change"))
        session.execute(
            text("UPDATE close_checklist SET content = jsonb_set(content, '{actor}', '\"y\"')")
        )
        session.execute(text("ALTER TABLE close_checklist ENABLE TRIGGER refuse_change"))
    with transaction("auditor") as session:
        assert {fault.check for fault in service.verify(session)} == {"checklist", "master data"}


def test_a_close_waits_for_what_is_being_posted(march: str, drafts: Drafts) -> None:
    """A posting under way is seen by the checks; one that comes later is refused."""
    begun, outcome = threading.Event(), list[Any]()

    def closer() -> None:
        begun.set()
        try:
            outcome.append(close())
        except pure.ChecksOpen as refusal:
            outcome.append(refusal)

    thread = threading.Thread(target=closer)
    with transaction() as session:
        service.post_batch(session, drafts.batch("b-1", drafts.invoice("i-1")))
        thread.start()
        begun.wait()
        thread.join(0.5)
        assert thread.is_alive()  # It waits for this posting's commit.
    thread.join(30)
    assert isinstance(outcome[0], pure.ChecksOpen)
    assert "1 batch is not sealed" in str(outcome[0])


def test_closes_and_postings_race_without_a_late_one(march: str, drafts: Drafts) -> None:
    """Four posters and two closers: whatever is in the month was recorded before its lock."""
    refused: list[str] = []

    def poster(name: int) -> None:
        for turn in range(8):
            try:
                post(drafts.batch(f"b-{name}-{turn}", drafts.invoice(f"i-{name}-{turn}")))
            except refusals.PeriodClosed:
                refused.append(f"{name}-{turn}")

    def closer() -> None:
        while levels() != ["soft"] * 4:
            seal_all(key)
            try:
                close()
            except pure.ChecksOpen:
                continue

    key = signer()
    threads = [threading.Thread(target=poster, args=(n,)) for n in range(4)]
    threads += [threading.Thread(target=closer) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    with transaction() as session:
        assert service.late_postings(session, BOOK, "2026-03") == []
        assert service.verify(session) == []
    closing_ones = [one for one in _all_checklists() if one.closes_as]
    assert len(closing_ones) == 1
    assert count("journal_entry") == 32 - len(refused)


def _all_checklists() -> list[Checklist]:
    with transaction() as session:
        return checklists.list_checklists(session, BOOK, "2026-03")


def cli(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(ledger_cli, list(arguments), input=answer, catch_exceptions=False)


def test_the_commands_of_a_month_end(march: str, drafts: Drafts) -> None:
    """Look, waive, close, close again, close for good: each says what it did."""
    post(drafts.batch("b-1", drafts.journal("j-1", ("1940", 5_00), ("7830", -5_00))))
    seal_all(signer())
    looked = cli("checklist", "2026-03")
    assert looked.exit_code == 1
    assert "open     suspense      1 account is not empty: 1940 5.00 NOK." in looked.output
    seen = json.loads(cli("checklist", "2026-03", "--json").output)
    assert [x["code"] for x in seen["checks"] if x["state"] != "ok"] == ["suspense"]
    assert cli("close", "2026-03", "--waive", "suspense").exit_code == 2
    told = cli("waive", str(seen["checklist_id"]), "suspense", "--reason", "known").output
    assert told.endswith("suspense of checklist 2 is waived by system:command-line: known\n")
    done = cli("close", "2026-03")
    assert "waived by system:command-line: known" in done.output
    assert done.output.endswith("2026-03 is closed (soft).\n")
    assert cli("close", "2026-03").output == "2026-03 is closed already (soft).\n"
    assert cli("close", "2026-03", "--hard", answer="n\n").exit_code == 1
    told = cli("close", "2026-03", "--hard", "--yes", "--json").output
    assert json.loads(told)["level"] == "hard"
