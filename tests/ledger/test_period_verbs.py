"""Locks, exceptions and late postings: who may still post into a month, and who did."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from ledger import refusals, service, undoing
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.errors import Invalid
from ledger.journal import AllocationDraft, BatchDraft
from ledger.service import access, closing
from tests.ledger.conftest import post

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

BOOK, MARCH, APRIL = "NO01", date(2026, 3, 31), date(2026, 4, 20)


def lock(module: str = "GL", level: str = "soft", period: str = "2026-03") -> int:
    """Lock a module of a period."""
    with transaction() as session:
        return service.lock_period(
            session, BOOK, period, module=module, level=level, actor="chief", reason="month end"
        )


def soon(seconds: float = 3600) -> datetime:
    """An instant a while ahead."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def leave(module: str = "GL", actor: str = "tester", until: datetime | None = None) -> int:
    """Grant an exception."""
    with transaction() as session:
        return service.grant_exception(
            session, BOOK, "2026-03", module=module, actor=actor, reason="late invoice",
            granted_by="chief", expires_at=until or soon(),
        )  # fmt: skip


def test_the_vat_lock_stops_what_a_return_is_made_of(books: str, drafts: Drafts) -> None:
    """Lines with VAT are stopped, whatever their series; those without, or of no treatment, not."""
    lock("VAT")
    with pytest.raises(refusals.PeriodClosed, match=r"closed \(soft\) for VAT") as caught:
        post(drafts.batch("b-1", drafts.invoice("i-1")))
    assert caught.value.facts["first_open_day"] == "2026-04-01"
    post(drafts.batch("b-2", drafts.journal("j-1", ("1920", 5), ("1940", -5))))
    leave("VAT")
    post(drafts.batch("b-3", drafts.invoice("i-1")))


def test_an_exception_is_for_one_actor_one_module_and_a_while(books: str, drafts: Drafts) -> None:
    """Others stay out, other locks stay shut, and when it expires so does the leave."""
    lock("BILLING")
    leave("BILLING", actor="tester", until=soon(3))
    post(drafts.batch("b-1", drafts.invoice("i-1")))
    stranger = BatchDraft(BOOK, "test", "b-2", "stranger", (drafts.invoice("i-2"),))
    with pytest.raises(refusals.PeriodClosed):
        post(stranger)
    lock("GL")
    with pytest.raises(refusals.PeriodClosed, match="for GL"):
        post(drafts.batch("b-3", drafts.invoice("i-3")))
    leave("GL")
    time.sleep(3.1)
    with pytest.raises(refusals.PeriodClosed, match="for BILLING"):
        post(drafts.batch("b-3", drafts.invoice("i-3")))


def test_locking_again_ends_every_exception(books: str, drafts: Drafts) -> None:
    """An exception is from the lock that stood when it was granted; hard admits nobody."""
    lock()
    leave()
    lock()
    with pytest.raises(refusals.PeriodClosed):
        post(drafts.batch("b-1", drafts.invoice("i-1")))
    leave()
    lock(level="hard")
    with pytest.raises(refusals.PeriodClosed, match="hard"):
        post(drafts.batch("b-1", drafts.invoice("i-1")))
    for module in ("GL", "AR"):
        with pytest.raises(undoing.NotSoftClosed):
            leave(module)


def test_an_exception_is_never_for_oneself_nor_for_ever(books: str) -> None:
    """Granted by another person, with a reason and an end within 31 days."""
    with pytest.raises(undoing.NotSoftClosed, match="not soft-closed for GL"):
        leave()
    lock()
    with pytest.raises(Invalid, match="cannot make an exception for themselves"):
        leave(actor="chief")
    for until in (soon(-1), soon(32 * 86400)):
        with pytest.raises(Invalid, match="at most 31 days"):
            leave(until=until)
    with transaction() as session, pytest.raises(Invalid, match="Say why"):
        service.grant_exception(
            session, BOOK, "2026-03", module="GL", actor="x", reason=" ", granted_by="y",
            expires_at=soon(),
        )  # fmt: skip
    with transaction() as session, pytest.raises(refusals.UnknownPeriod):
        service.grant_exception(
            session, BOOK, "2031-03", module="GL", actor="x", reason="x", granted_by="y",
            expires_at=soon(),
        )  # fmt: skip


EXCEPTION = (
    "INSERT INTO period_lock_exception (lock_event_id, book_id, period_code, module, actor, reason,"
    " granted_by, expires_at) SELECT {event}, book_id, '2026-03', '{module}', 'tester', 'x',"
    " '{by}', now() + interval '{days} days' FROM book"
)


@pytest.mark.parametrize(
    ("module", "by", "days", "event", "state"),
    [
        ("GL", "tester", 1, "1", "23514"), ("GL", "chief", 32, "1", "23514"),
        ("GL", "chief", -1, "1", "23514"), ("AR", "chief", 1, "1", "HB026"),
        ("VAT", "chief", 1, "2", "HB026"), ("GL", "chief", 1, "3", "HB026"),
    ],
)  # fmt: skip
def test_the_owner_cannot_forge_an_exception(
    pg: PrivateServer, books: str, module: str, by: str, days: int, event: str, state: str
) -> None:
    """For oneself, for too long, from no lock, from a hard one, from the lock of another module."""
    lock("GL")
    lock("VAT", "hard")
    with (
        pytest.raises(psycopg.Error) as caught,
        psycopg.connect(pg.url("owner", books).replace("+psycopg", "", 1)) as connection,
    ):
        connection.execute(EXCEPTION.format(module=module, by=by, days=days, event=event))
    assert caught.value.sqlstate == state


def test_a_backdated_exception_is_dated_by_the_database(pg: PrivateServer, books: str) -> None:
    """Who inserts by hand cannot choose the instant, and so not stretch the 31 days."""
    lock()
    url = pg.url("owner", books).replace("+psycopg", "", 1)
    forged = EXCEPTION.replace("expires_at)", "expires_at, recorded_at)").replace(
        " FROM book", ", '2099-01-01' FROM book"
    )
    with psycopg.connect(url) as connection:
        connection.execute(forged.format(module="GL", by="chief", days=1, event=1))
        row = connection.execute("SELECT recorded_at < now() + interval '1 minute'"
                                 " FROM period_lock_exception").fetchone()  # fmt: skip
    assert row == (True,)


def test_a_reopening_may_have_a_term(books: str, drafts: Drafts) -> None:
    """Until then everybody may post; afterwards the period is soft-closed again by itself."""
    with transaction() as session, pytest.raises(undoing.LockRefused):
        service.reopen_period(
            session, BOOK, "2026-03", module="GL", actor="chief", reason="x", until=soon()
        )
    lock()
    with transaction() as session:
        service.reopen_period(
            session, BOOK, "2026-03", module="GL", actor="chief", reason="late bills",
            until=soon(3),
        )  # fmt: skip
    post(drafts.batch("b-1", drafts.invoice("i-1")))
    time.sleep(3.1)
    with pytest.raises(refusals.PeriodClosed):
        post(drafts.batch("b-2", drafts.invoice("i-2")))
    leave()
    post(drafts.batch("b-2", drafts.invoice("i-2")))
    with transaction() as session:
        late = service.late_postings(session, BOOK, "2026-03")
    assert [(one.voucher.number, one.under) for one in late] == [(1, "reopened"), (2, "exception")]


def test_a_hard_lock_of_the_ledger_opens_no_module(books: str) -> None:
    """GL stands over all: where it is locked for good, no module is opened either."""
    lock("AR")
    lock("GL", "hard")
    for module in ("AR", "GL"):
        with transaction() as session, pytest.raises(refusals.PeriodLockedForGood, match="for GL"):
            service.reopen_period(
                session, BOOK, "2026-03", module=module, actor="chief", reason="regret"
            )


def test_a_hard_lock_is_asked_for_again_in_vain_and_without_harm(books: str) -> None:
    """Whose lock stands is told, nothing is written; a softer one is refused as ever."""
    why = {"actor": "deputy", "reason": "again"}
    first = lock("AR", "hard")
    with transaction() as session:
        again = service.ensure_locked(session, BOOK, "2026-03", module="AR", level="hard", **why)
        assert (again.lock_event_id, again.already, again.actor) == (first, True, "chief")
        for level in ("soft", "open"):
            with pytest.raises(refusals.PeriodLockedForGood):
                service.ensure_locked(session, BOOK, "2026-03", module="AR", level=level, **why)
        # A hard lock of the ledger is not one of its modules, which can still be locked for good.
        service.ensure_locked(session, BOOK, "2026-03", module="GL", level="hard", **why)
        vat = service.ensure_locked(session, BOOK, "2026-03", module="VAT", level="hard", **why)
        assert (vat.already, vat.actor) == (False, "deputy")
    with transaction() as session:
        soft = [
            service.ensure_locked(session, BOOK, "2026-02", module="AR", level="soft", **why)
            for _ in range(2)
        ]
        assert [one.already for one in soft] == [False, False], "it ends exceptions each time"
        assert service.verify(session) == []


def test_of_two_that_lock_for_good_at_once_one_writes(books: str) -> None:
    """The second waits for the first and then finds its lock."""
    found: list[service.Locked] = []

    def ask() -> None:
        with transaction() as session:
            found.append(service.ensure_locked(
                session, BOOK, "2026-03", module="GL", level="hard", actor="x", reason="x"
            ))  # fmt: skip

    with transaction() as session:
        first = service.ensure_locked(
            session, BOOK, "2026-03", module="GL", level="hard", actor="chief", reason="done"
        )
        second = Thread(target=ask)
        second.start()
        second.join(0.3)
        assert second.is_alive()
    second.join(30)
    (told,) = found
    assert (first.already, told) == (False, replace(first, already=True))


def test_states_say_who_when_and_why(books: str) -> None:
    """One row per period and module; exceptions that stand are listed with their lock."""
    lock("AR")
    leave("AR")
    with transaction() as session:
        states = service.period_states(session, BOOK)
        with pytest.raises(refusals.UnknownBook):
            service.period_states(session, "NO99")
    assert len(states) == 48
    held = {(s.period, s.module): s for s in states}
    locked = held["2026-03", "AR"]
    assert (locked.level, locked.actor, locked.reason) == ("soft", "chief", "month end")
    assert [(e.actor, e.granted_by) for e in locked.exceptions] == [("tester", "chief")]
    assert (held["2026-03", "GL"].level, held["2026-03", "GL"].since) == ("open", None)


def test_late_postings_are_those_after_the_lock_of_their_module(books: str, drafts: Drafts) -> None:
    """What was in time, or of another module, is not late."""
    post(drafts.batch("b-1", drafts.invoice("i-1")))
    lock("BILLING")
    lock("VAT")
    for module in ("BILLING", "VAT"):
        leave(module)
    post(drafts.batch("b-2", drafts.journal("j-1", ("1920", 5), ("1940", -5))))
    late = post(drafts.batch("b-3", drafts.invoice("i-2")))
    with transaction() as session:
        found = service.late_postings(session, BOOK, "2026-03")
        with pytest.raises(Invalid):
            service.late_postings(session, BOOK, "March")
        # That nothing of a month came late would reassure of one that the book has not.
        with pytest.raises(refusals.UnknownPeriod, match="no period 2062-03"):
            service.late_postings(session, BOOK, "2062-03")
    assert [(x.entry_id, x.module, x.under) for x in found] == [
        (late.entry_ids[0], "BILLING", "exception"), (late.entry_ids[0], "VAT", "exception"),
    ]  # fmt: skip
    assert all(x.closed_at < x.recorded_at and x.actor == "tester" for x in found)


def test_the_first_open_day_is_open_for_all_that_matters(books: str) -> None:
    """The module of the series, the ledger over it, and VAT where it is asked for."""
    with transaction() as session:
        assert service.first_open_day(session, BOOK, "SAL", MARCH) == MARCH
    lock("BILLING")
    lock("GL", period="2026-04")
    lock("VAT", period="2026-05")
    with transaction() as session:
        assert service.first_open_day(session, BOOK, "SAL", MARCH) == date(2026, 5, 1)
        assert service.first_open_day(session, BOOK, "SAL", MARCH, vat=True) == date(2026, 6, 1)
        assert service.first_open_day(session, BOOK, "JNL", MARCH) == MARCH
    with transaction() as session, pytest.raises(refusals.UnknownSeries):
        service.first_open_day(session, BOOK, "ZZZ", MARCH)
    with transaction() as session, pytest.raises(refusals.UnknownPeriod, match="no open day"):
        service.first_open_day(session, BOOK, "SAL", date(2027, 1, 1))


def test_allocations_keep_out_of_a_closed_month(
    pg: PrivateServer, books: str, drafts: Drafts
) -> None:
    """By the front door with a sentence, and by the owner's insert at the commit check."""
    claim = post(drafts.batch("b-1", drafts.invoice("i-1"))).open_item_ids[0, 1]
    credit = post(drafts.batch("b-2", drafts.payment("p-1", 50_00))).open_item_ids[0, 2]
    lock("AR", period="2026-04")
    use = AllocationDraft(credit, claim, 50_00, APRIL, "manual")
    with pytest.raises(refusals.PeriodClosed, match="for AR"):
        post(drafts.batch("b-3", allocations=(use,)))
    url = pg.url("owner", books).replace("+psycopg", "", 1)
    with pytest.raises(psycopg.Error, match="not open"), psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO posting_batch (book_id, source_system, source_ref, request_hash,"
            " entry_count, line_count, item_count, allocation_count, debit_totals, first_date,"
            " last_date, created_by) SELECT 1, 'x', 'x', sha256('x'), 0, 0, 0, 1, '{}',"
            " '2026-04-20', '2026-04-20', 'x';"
            "INSERT INTO allocation SELECT b << 20, "
            f"{credit}, {claim}, 1, NULL, b, '2026-04-20', 1, 'x'"
            " FROM (SELECT max(batch_id) AS b FROM posting_batch) x"
        )


def run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(ledger_cli, list(arguments), input=answer, catch_exceptions=False)


def test_the_commands_of_a_close(books: str, drafts: Drafts) -> None:
    """Lock, except, late, reverse, reopen: each says what it did; the overview says it again."""
    post(drafts.batch("b-1", drafts.invoice("i-1")))
    why = ("--reason", "month end")
    assert "locked (soft)" in run("lock", "2026-03", "--module", "BILLING", "--level", "soft",
                                  *why).output  # fmt: skip
    told = run("except", "2026-03", "--module", "BILLING", "--for", "tester", *why).output
    assert "tester may post into 2026-03, closed for BILLING, until" in told
    post(drafts.batch("b-2", drafts.invoice("i-2")))
    assert "SAL/2026/2" in run("late", "2026-03").output
    assert json.loads(run("late", "2026-03", "--json").output)["late"][0]["module"] == "BILLING"
    assert "Nothing of 2026-05 was recorded" in run("late", "2026-05").output
    told = run("reverse", "SAL/2026/1", *why).output
    assert told == "SAL/2026/1 is reversed by SAL/2026/3 on 2026-04-01.\n"
    told = run("reverse", "SAL/2026/2", "--on", "2026-06-01", "--json", *why).output
    assert json.loads(told)["effective_date"] == "2026-06-01"
    assert run("reverse", "17", *why).exit_code == 2
    overview = run("periods").output
    assert "2026-03  GL open  AR open  BILLING soft  VAT open" in overview
    assert "by system:command-line: month end" in overview
    assert "except for tester until" in overview
    rows = json.loads(run("periods", "--json").output)["periods"]
    assert [r["level"] for r in rows if r["period"] == "2026-03"] == [
        "open",
        "open",
        "soft",
        "open",
    ]
    told = run("reopen", "2026-03", "--module", "BILLING", "--until", "2099-01-01", *why).output
    assert told == "2026-03 is open for BILLING until 2099-01-01T00:00Z.\n"
    hard = ("lock", "2026-03", "--module", "GL", "--level", "hard", *why)
    assert run(*hard, answer="n\n").exit_code == 1
    assert "locked (hard)" in run(*hard, "--yes").output
    again = run(*hard, "--yes")
    assert again.exit_code == 0
    assert "is locked (hard) for GL already, by system:command-line since 20" in again.output
    with pytest.raises(refusals.PeriodLockedForGood):
        run("lock", "2026-03", "--module", "GL", "--level", "soft", *why)
    with transaction() as session:
        levels = session.scalars(text("SELECT level FROM period_lock_event ORDER BY 1")).all()
        assert service.verify(session) == []
    assert levels == ["hard", "open", "soft"]


def log() -> list[tuple[str, str, str, dict[str, Any]]]:
    """What the audit log says of periods, oldest first."""
    with transaction() as session:
        found = access.audit_log(session)
    return [
        (one["actor"], one["act"], one["subject"], one["facts"])
        for one in reversed(found) if one["subject"].startswith("period/")
    ]  # fmt: skip


def test_every_lock_and_opening_of_a_module_stands_in_the_audit_log(books: str) -> None:
    """Who, which module, how far and why; a lock that stood already is told once."""
    until, subject = soon().replace(microsecond=0), "period/NO01/2026-03"
    first = lock("AR")
    with transaction() as session:
        second = service.reopen_period(
            session, BOOK, "2026-03", module="AR", actor="deputy", reason="a late bill", until=until
        )
        hard = [
            service.ensure_locked(
                session, BOOK, "2026-03", module="VAT", level="hard", actor="chief", reason="sent"
            )
            for _ in range(2)
        ]
    assert log() == [
        ("chief", "module locked", subject,
         {"module": "AR", "level": "soft", "reason": "month end", "lock_event": first}),
        ("deputy", "module opened", subject,
         {"module": "AR", "level": "open", "until": until.isoformat(), "reason": "a late bill",
          "lock_event": second}),
        ("chief", "module locked", subject,
         {"module": "VAT", "level": "hard", "reason": "sent",
          "lock_event": hard[0].lock_event_id}),
    ]  # fmt: skip


def test_the_log_keeps_no_lock_that_was_refused(books: str) -> None:
    """And the modules of a month that are opened together are one act."""
    lock("GL", "hard", period="2026-02")
    with pytest.raises(refusals.PeriodLockedForGood):
        lock("GL", "soft", period="2026-02")
    lock("GL")
    lock("AR")
    with transaction() as session:
        closing.reopen_modules(session, BOOK, "2026-03", actor="chief", reason="late")
    assert [act for _, act, _, _ in log()] == ["module locked"] * 3 + ["period reopened"]
