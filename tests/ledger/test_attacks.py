"""Attacks on the facts, by the service, the owner and the superuser: each is blocked.

What a superuser can do all the same (replication role, disabled triggers, detached partitions) is
in test_verify: it cannot be blocked inside the database, so it must be found and named.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.drafts import Draft
from ledger.journal import AllocationDraft
from ledger.service import (
    access,
    assertions,
    closing,
    dimensions,
    drafting,
    rates,
    webhooks,
)
from ledger.service.assertions import Assertion
from ledger.service.book_access import set_book_access
from ledger.service.dimensions import DimensionRule
from ledger.service.guards import GUARDS
from ledger.service.intake import Sender
from ledger.service.rates import Rate
from ledger.service.requests import accept_request, post_request_job
from ledger.vault import vault
from tests.ledger.conftest import MARCH

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

# The seals are attacked in test_sealing, where blocks are made.
SEALS = {"signing_key", "seal_block", "seal_member", "seal_master", "seal_anchor"}
FACTS = sorted(set(GUARDS) - {"voucher_counter", "vat_code"} - SEALS)
PARTITIONS = ["journal_line_2026_03", "balance_delta_2026_03"]
# Nothing is in these while the attacks run, so no row meets its trigger.
EMPTY = {
    "audit_event",
    "balance_month",
    "period_lock_event",
    "period_lock_exception",
    "tariff_book",
    "tariff_verdict",
    "voucher_gap",
}
# Any column will do for an UPDATE: the guard looks at none.
COLUMN = {
    "access_event": "act",
    "account_version": "version_no", "allocation": "amount_minor", "audit_event": "actor",
    "balance_delta": "debit_minor", "balance_delta_2026_03": "debit_minor",
    "balance_month": "debit_minor",
    "batch_closed": "batch_id", "dimension_set": "canonical_key", "event_outbox": "event_type",
    "journal_entry": "voucher_no", "journal_line": "amount_minor",
    "journal_line_2026_03": "amount_minor", "open_item": "original_minor",
    "period": "ends_on",
    "posting_rule": "account_number", "period_lock_event": "level",
    "period_lock_exception": "actor",
    "posting_batch": "entry_count", "voucher_gap": "reason",
    "journal_draft": "created_by", "draft_version": "author", "draft_attachment": "sha256",
    "draft_approval": "approver", "draft_posted": "batch_id", "approval_policy": "actor",
    "webhook": "url", "webhook_ended": "reason", "webhook_replay": "actor",
    "webhook_delivery": "outcome", "dimension_rule": "rule", "exchange_rate": "rate_e8",
    "draft_withdrawn": "reason", "book_access": "reason",
    "balance_assertion": "expected_minor", "tariff_book": "source", "tariff_verdict": "judge",
    "posting_request": "ref", "posting_request_step": "posted",
    "close_checklist": "actor", "check_waiver": "reason",
}  # fmt: skip

BATCH = (
    "INSERT INTO posting_batch (book_id, source_system, source_ref, request_hash, entry_count,"
    " line_count, item_count, allocation_count, debit_totals, first_date, last_date, created_by)"
    " SELECT book_id, 'x', 'x', sha256('x'), 1, 2, 0, 0, '{\"NOK\": 5}', '2026-03-01',"
    " '2026-03-31', 'x' FROM book;"
)
NEW = "(SELECT max(batch_id) FROM posting_batch)"
OLD = "(SELECT min(batch_id) FROM posting_batch)"


def header(batch: str = NEW, number: str = "99") -> str:
    """Write the insert of entry 0 of a batch, with two lines, into the sales series."""
    return (
        "INSERT INTO journal_entry (entry_id, voucher_no, effective_date, document_date, book_id,"
        " series_id, fiscal_year, line_count, entry_type, source_system, source_ref, text, leaf)"
        f" SELECT {batch} << 20, {number}, '2026-03-31', '2026-03-31', book_id, series_id, 2026, 2,"
        " 'x', 'x', 'x', 'x', sha256('x') FROM voucher_series WHERE code = 'SAL';"
    )


def line(
    number: int, amount: int, batch: str = NEW, table: str = "journal_line", account: str = "1920",
    day: str = "2026-03-31",
) -> str:  # fmt: skip
    """Write the insert of a line of entry 0 of a batch."""
    return (
        f"INSERT INTO {table} (entry_id, line_no, effective_date, account_id, amount_minor,"
        f" base_minor, currency) SELECT {batch} << 20, {number}, '{day}', account_id, {amount},"
        f" {amount}, 'NOK' FROM account WHERE number = '{account}';"
    )


def delta(account: str, debit: int, credit: int) -> str:
    """Write the insert of a delta of the newest batch."""
    return (
        "INSERT INTO balance_delta (batch_id, book_id, account_id, currency, dim_set_id,"
        " effective_date, debit_minor, credit_minor, base_debit_minor, base_credit_minor,"
        f" line_count) SELECT {NEW}, book_id, account_id, 'NOK', 0, '2026-03-31', {debit},"
        f" {credit}, {debit}, {credit}, 1 FROM account WHERE number = '{account}';"
    )


def allocated(credit: str, debit: str, amount: int = 1, undoes: str = "NULL") -> str:
    """Write a batch of one allocation."""
    return BATCH.replace("1, 2, 0, 0, '{\"NOK\": 5}'", "0, 0, 0, 1, '{}'") + (
        f"INSERT INTO allocation SELECT {NEW} << 20, {credit}, {debit}, {amount}, {undoes}, {NEW},"
        " '2026-03-31', book_id, 'x' FROM book;"
    )


CREDIT = "(SELECT max(open_item_id) FROM open_item WHERE original_minor < 0)"
DEBIT = "(SELECT max(open_item_id) FROM open_item WHERE original_minor > 0)"
COUNT = "UPDATE voucher_counter SET last_no = 99;"
GOOD_LINES = line(1, 5) + line(2, -5, account="1940")
GOOD_DELTAS = delta("1920", 5, 0) + delta("1940", 0, 5)
FAKE_STAGE = "".join(
    f"CREATE TEMP TABLE ledger_stage_{noun} (x int);"
    for noun in ("entry", "line", "item", "allocation", "delta")
)
CALL_POST = "SELECT ledger_post_staged('NO01', 'x', 'x', 'x', sha256('x'), 0, 0, '{}');"
CALL_FEW = (
    "SELECT ledger_post_few('NO01', 'x', 'x', 'x', sha256('x'), 0, 0, '{}', NULL, '[]', '[]', '[]',"
    " '[]');"
)

# What the service writes itself, and the column that says when; the database fills it.
DATED = {
    "access_event": "recorded_at",
    "audit_event": "recorded_at", "balance_assertion": "recorded_at", "book_access": "recorded_at",
    "dimension_rule": "recorded_at", "exchange_rate": "recorded_at",
    "posting_request": "received_at", "posting_request_step": "recorded_at",
    "webhook": "created_at", "webhook_delivery": "attempted_at", "webhook_ended": "ended_at",
    "webhook_replay": "recorded_at",
}  # fmt: skip

BY_SERVICE = {
    **{f"insert into {t}": f"INSERT INTO {t} DEFAULT VALUES" for t in
       (*FACTS, *PARTITIONS, "voucher_counter")
       if t not in {"access_event",
                    "audit_event", "dimension_set", "posting_rule", "posting_request",
                    "posting_request_step", "dimension_rule", "exchange_rate",
                    "balance_assertion", "webhook", "webhook_ended", "webhook_replay",
                    "webhook_delivery", "book_access", "tariff_book", "tariff_verdict"}},
    **{f"update {t}": f"UPDATE {t} SET {COLUMN[t]} = {COLUMN[t]}" for t in (*FACTS, *PARTITIONS)},
    **{f"delete from {t}": f"DELETE FROM {t}" for t in (*FACTS, *PARTITIONS)},
    **{f"truncate {t}": f"TRUNCATE {t} CASCADE" for t in (*FACTS, *PARTITIONS)},
    "move a counter": "UPDATE voucher_counter SET last_no = 0",
    "rename an account": "UPDATE account SET name = 'x'",
    "change a rate": "UPDATE vat_code SET rate_bp = 0",
    "change a rule": "UPDATE posting_rule SET account_number = '1920'",
    "open a period by hand": "DELETE FROM period_lock_event",
    **{f"date {table} back": f"INSERT INTO {table} ({column}) VALUES ('2020-01-01')"
       for table, column in DATED.items()},
    "number an event of the audit log": "INSERT INTO audit_event (audit_event_id, actor, action,"
        " subject) OVERRIDING SYSTEM VALUE VALUES (1, 'x', 'x', 'x')",
    "make a table": "CREATE TABLE x (x int)",
    "make a view": "CREATE VIEW x AS SELECT 1",
    "write a checklist": "INSERT INTO close_checklist (book_id, period_code, actor, known_as_of,"
        " content, content_hash) SELECT 1, '2026-03', 'x', 0, '{\"checks\": [1]}', sha256('x')",
    "waive without having looked": "INSERT INTO check_waiver (checklist_id, check_code,"
        " result_hash, actor, reason) SELECT 1, 'sealed', sha256('x'), 'x', 'x'",
    "close without a check": "SELECT ledger_close_period('NO01', '2026-03', 'soft', 'x', 0,"
        " '{\"checks\": []}', sha256('x'))",
    "close over a check": "SELECT ledger_close_period('NO01', '2026-03', 'soft', 'x', 0,"
        " '{\"checks\": [{\"code\": \"x\", \"state\": \"open\"}]}', sha256('x'))",
    "close over a waiver that nobody gave": "SELECT ledger_close_period('NO01', '2026-03', 'soft',"
        " 'x', 0, '{\"checks\": [{\"code\": \"x\", \"state\": \"waived\", \"result_hash\": "
        "\"00\"}]}', sha256('x'))",
    "waive what is blocked": "SELECT ledger_waive_check(1, 'sealed', (SELECT decode(c ->> "
        "'result_hash', 'hex') FROM close_checklist, jsonb_array_elements(content -> 'checks') c"
        " WHERE c ->> 'code' = 'sealed'), 'x', 'x')",
    "make a function": "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "make a schema": "CREATE SCHEMA x",
    "make a temporary table": "CREATE TEMP TABLE x (x int)",
    "make a temporary view": "CREATE TEMP VIEW x AS SELECT 1",
    "make a temporary function": "CREATE FUNCTION pg_temp.x() RETURNS int LANGUAGE sql AS ''",
    "make a partition": "CREATE TABLE x PARTITION OF journal_line DEFAULT",
    "put a trigger": "CREATE TRIGGER x BEFORE INSERT ON journal_line "
                     "EXECUTE FUNCTION ledger_refuse_change()",
    "drop a trigger": "DROP TRIGGER refuse_change ON journal_line",
    "disable triggers": "ALTER TABLE journal_line DISABLE TRIGGER ALL",
    "detach a partition": "ALTER TABLE journal_line DETACH PARTITION journal_line_2026_03",
    "drop a table": "DROP TABLE journal_line",
    "become the owner": "SET ROLE hovedbok_owner",
    "become the superuser": "SET SESSION AUTHORIZATION postgres",
    "turn triggers off": "SET session_replication_role = replica",
    "call a part of posting": "CALL ledger_insert_headers(1, 1::smallint, 'x')",
    "call the partition maker": "CALL ledger_make_partition('journal_line', '2027-01-01')",
    "read its stage": "SELECT ledger_open_stage(1); SELECT * FROM pg_temp.ledger_stage_line",
    "change its stage": "SELECT ledger_open_stage(1); DELETE FROM pg_temp.ledger_stage_line",
    "put a trigger on its stage": "SELECT ledger_open_stage(1); CREATE TRIGGER x BEFORE INSERT "
        "ON pg_temp.ledger_stage_line EXECUTE FUNCTION ledger_refuse_change()",
    "post without a stage": CALL_POST,
    "post nothing": CALL_FEW,
    "post an empty stage": "SELECT ledger_open_stage(1);" + CALL_POST,
}  # fmt: skip

BY_OWNER = {
    **{f"update {t}": f"UPDATE {t} SET {COLUMN[t]} = {COLUMN[t]}" for t in
       (*(set(FACTS) - EMPTY), *PARTITIONS)},
    **{f"delete from {t}": f"DELETE FROM {t}" for t in
       (*(set(FACTS) - EMPTY), *PARTITIONS)},
    **{f"truncate {t}": f"TRUNCATE {t} CASCADE" for t in (*FACTS, *PARTITIONS)},
    "change a rate": "UPDATE vat_code SET rate_bp = 0",
    "forget a rate": "DELETE FROM vat_code",
    "reopen what was locked for good":
        "SELECT ledger_lock_period('NO01', '2026-03', 'GL', 'hard', 'x', 'x');"
        "INSERT INTO period_lock_event (book_id, period_code, module, level, actor, reason)"
        " SELECT book_id, '2026-03', 'GL', 'open', 'x', 'x' FROM book",
    "count backwards": "UPDATE voucher_counter SET last_no = 0",
    "forget a counter": "DELETE FROM voucher_counter",
    "renumber an account": "UPDATE account SET number = '1799' WHERE number = '1749'",
    "a late line": line(9, 5, OLD),
    "late lines that balance": line(8, 5, OLD) + line(9, -5, OLD),
    "late lines aimed at the partition":
        line(8, 5, OLD, "journal_line_2026_03") + line(9, -5, OLD, "journal_line_2026_03"),
    "a late header": header(OLD).replace("<< 20", "<< 20 | 77"),
    "a late delta": delta("1920", 5, 0).replace(NEW, OLD),
    "a late item": "INSERT INTO open_item SELECT open_item_id + 99, entry_id, party_id, 1, 1,"
                   " account_id, effective_date, document_date, due_date, book_id, 3, currency,"
                   " kind, document_ref, kid FROM open_item LIMIT 1",
    "a late allocation": "INSERT INTO allocation SELECT allocation_id + 99, credit_item_id,"
                         " debit_item_id, 1, NULL, batch_id, effective_date, book_id, rule"
                         " FROM allocation LIMIT 1",
    "lines of no batch": line(1, 5, "4711") + line(2, -5, "4711"),
    "a batch of another transaction":
        BATCH.replace("created_by)", "created_by, xid)").replace("'x' FROM", "'x', '5' FROM"),
    "a batch without entries": BATCH,
    "an unbalanced entry": BATCH + COUNT + header() + line(1, 5) + line(2, -4) + GOOD_DELTAS,
    "an entry unbalanced per currency":
        BATCH + COUNT + header() + line(1, 5) + line(2, -5).replace("'NOK'", "'EUR'"),
    "an unbalanced entry aimed at the partition":
        BATCH + COUNT + header() + line(1, 5, table="journal_line_2026_03")
        + line(2, -4, table="journal_line_2026_03"),
    "lines without a header": BATCH + GOOD_LINES + GOOD_DELTAS,
    "a header without lines": BATCH + COUNT + header() + GOOD_DELTAS,
    "a line too few": BATCH + COUNT + header() + line(1, 5) + delta("1920", 5, 0),
    "a line of another day":
        BATCH + COUNT + header() + line(1, 5) + line(2, -5, account="1940", day="2026-03-30"),
    "a line outside the days of its batch":
        BATCH + COUNT + header() + line(1, 5) + line(2, -5, day="2026-04-30"),
    "totals that are not the lines'":
        (BATCH + COUNT + header() + GOOD_LINES + GOOD_DELTAS).replace("5}", "6}"),
    "no deltas": BATCH + COUNT + header() + GOOD_LINES,
    "other deltas": BATCH + COUNT + header() + GOOD_LINES + delta("1920", 5, 0)
                    + delta("1921", 0, 5),
    "a receivable without its item": BATCH + COUNT + header() + line(1, 5, account="1500")
                                     + line(2, -5) + delta("1500", 5, 0) + delta("1920", 0, 5),
    "a number beyond the counter": BATCH + header() + GOOD_LINES + GOOD_DELTAS,
    "a number that is taken": BATCH + header(number="1") + GOOD_LINES + GOOD_DELTAS,
    "an entry in a locked period":
        "SELECT ledger_lock_period('NO01', '2026-03', 'BILLING', 'hard', 'x', 'x');"
        + BATCH + COUNT + header() + GOOD_LINES + GOOD_DELTAS,
    "more lines after an early check":
        BATCH + COUNT + header() + GOOD_LINES + GOOD_DELTAS + "SET CONSTRAINTS ALL IMMEDIATE;"
        + line(3, 5) + line(4, -5),
    "a batch closed by hand":
        BATCH + COUNT + header() + GOOD_LINES + f"INSERT INTO batch_closed VALUES ({NEW});",
    "an allocation of a credit that is not there": allocated("4711", DEBIT),
    "an allocation to a debit that is not there": allocated(CREDIT, "4711"),
    "an allocation turned round": allocated(DEBIT, CREDIT),
    "an undoing of an allocation that is not there": allocated(CREDIT, DEBIT, -1, "4711"),
    "an undoing of an allocation by two": "".join(
        allocated(CREDIT, DEBIT, -5_00, "(SELECT min(allocation_id) FROM allocation)")
        .replace("'x', 'x', sha256", f"'x', 'x{n}', sha256") for n in range(2)),
    "an allocation of no batch": allocated(CREDIT, DEBIT)
        .replace(f", {NEW}, '2026", ", 4711, '2026"),
    "an allocation that is not declared": BATCH + COUNT + header() + GOOD_LINES + GOOD_DELTAS
        + allocated(CREDIT, DEBIT).removeprefix(BATCH.replace(
            "1, 2, 0, 0, '{\"NOK\": 5}'", "0, 0, 0, 1, '{}'")),
    "a reversal of an entry that is not there": BATCH + COUNT + header()
        .replace("text, leaf)", "text, leaf, reverses_entry_id)")
        .replace("'x', 'x', 'x', 'x', sha256('x')", "'reversal', 'x', 'x', 'x', sha256('x'), 4711")
        + GOOD_LINES + GOOD_DELTAS,
    "an item for a line that has none": BATCH + COUNT + header() + GOOD_LINES + GOOD_DELTAS
        + f"INSERT INTO open_item SELECT {NEW} << 20, {NEW} << 20, NULL, 5, 5, account_id,"
        " '2026-03-31', '2026-03-31', '2026-03-31', book_id, 1, 'NOK', 'x', 'x', NULL"
        " FROM account WHERE number = '1920';",
    "an amount of the book's own currency that was converted": (
        BATCH + COUNT + header() + GOOD_LINES + GOOD_DELTAS)
        .replace("5, 5, 'NOK'", "5, 6, 'NOK'").replace("-5, -5, 'NOK'", "-5, -6, 'NOK'")
        .replace("5, 0, 5, 0, 1", "5, 0, 6, 0, 1").replace("0, 5, 0, 5, 1", "0, 5, 0, 6, 1"),
    "lines of a currency that nobody knows":
        (BATCH + COUNT + header() + GOOD_LINES + GOOD_DELTAS).replace("NOK", "QQQ"),
    "lines of a currency that their account does not take":
        "UPDATE account SET currency = 'EUR' WHERE number = '1940';"
        + BATCH + COUNT + header() + GOOD_LINES + GOOD_DELTAS,
    "lines on an account that is closed":
        "UPDATE account SET valid_to = '2026-03-31' WHERE number = '1940';"
        + BATCH + COUNT + header() + GOOD_LINES + GOOD_DELTAS,
    "lines with a VAT code that is not there": (
        BATCH + COUNT + header() + GOOD_LINES + GOOD_DELTAS)
        .replace("currency) SELECT", "currency, vat_code_id) SELECT")
        .replace("'NOK' FROM account", "'NOK', 4711 FROM account"),
    "lines with dimensions that are not there": (
        BATCH + COUNT + header() + GOOD_LINES + GOOD_DELTAS)
        .replace("base_minor, currency) SELECT", "base_minor, currency, dim_set_id) SELECT")
        .replace("'NOK' FROM account", "'NOK', 4711 FROM account")
        .replace("'NOK', 0,", "'NOK', 4711,"),
    "an allocation before its items": allocated(CREDIT, DEBIT).replace("'2026-03-31', book_id",
                                                                       "'2026-03-01', book_id"),
    "a line in a month without partition": BATCH + line(1, 5, day="2031-01-01"),
}  # fmt: skip


@pytest.fixture
def posted(books: str, drafts: Drafts) -> str:
    """Books with rows in every fact table that posting fills."""
    with transaction() as session:
        first = service.post_batch(session, drafts.batch("b-1", drafts.invoice("i-1")))
        settle = AllocationDraft(
            (0, 2), first.open_item_ids[0, 1], 5_00, drafts.payment("", 1).effective_date, "kid"
        )
        payment = drafts.payment("p-1", 5_00)
        service.post_batch(session, drafts.batch("b-2", payment, allocations=(settle,)))
        _post_by_two_people(session, drafts)
        dimensions.add_dimension(session, "NO01", "unit", "Unit", actor="x")
        rule = DimensionRule("unit", "99", "required", MARCH)
        dimensions.set_dimension_rule(session, "NO01", rule, actor="x")
        rates.set_rate(session, "NOK", Rate("EUR", MARCH, 1, "x"), actor="x")
        said = Assertion("1920", "NOK", MARCH, 5, "x")
        assertions.assert_balance(session, "NO01", said, actor="x")
        _tell_somebody(session)
        access.add_client(session, "xx", ["ledger:read"], actor="x", now=datetime.now(UTC))
        set_book_access(session, "client:xx", "NO01", granted=True, reason="x", actor="x")
        number = accept_request(session, Sender("NO01", "REST:x", "x"), "r", "ndjson", b"nonsense")
    post_request_job(number)
    _look_and_waive()
    return books


def _look_and_waive() -> None:
    """A checklist of March with what is open in it waived: money in clearing."""
    with transaction() as session:
        seen = closing.run_checklist(session, "NO01", "2026-03", actor="x")
        closing.waive_check(session, seen.checklist_id, "assertions", actor="x", reason="x")


def _tell_somebody(session: Session) -> None:
    """A webhook that was told, told again and ended."""
    number, _ = webhooks.register(session, "NO01", "https://example.org/", actor="x")
    webhooks.replay(session, number, 0, actor="x")
    webhooks.end(session, number, actor="x", reason="x")
    session.execute(
        text("INSERT INTO webhook_delivery (webhook_id, first_position, last_position, attempt_no,"
             " delivered, outcome) VALUES (:id, 1, 1, 1, true, '200')"),
        {"id": number},
    )  # fmt: skip


def _post_by_two_people(session: Session, drafts: Drafts) -> None:
    """A manual journal with a receipt, drafted by one and approved by another."""
    entry = drafts.journal("", ("7830", 5_00), ("1920", -5_00))
    made, _ = drafting.create_draft(
        session, Draft("NO01", entry), actor="staff:anna", key="k", ready=True
    )
    proved, _ = drafting.attach(
        session, vault(), made.draft_id, 1, "receipt.pdf", b"%PDF-1.7", actor="staff:anna"
    )
    wanted = proved.latest.content_hash
    drafting.approve(session, made.draft_id, wanted, approver="staff:berit")
    again, _ = drafting.create_draft(
        session, Draft("NO01", entry), actor="staff:anna", key="k-2", ready=False
    )
    drafting.withdraw(session, again.draft_id, actor="staff:anna", reason="x")


def attack(server: PrivateServer, login: str, database: str, statements: str) -> psycopg.Error:
    """Run an attack to its commit; give the error that stopped it."""
    url = server.url(login, database).replace("+psycopg", "", 1)
    try:
        with psycopg.connect(url) as connection:
            connection.execute(statements)
    except psycopg.Error as error:
        return error
    pytest.fail(f"{login} was not stopped: {statements}")


def test_the_service_can_do_nothing_but_call(pg: PrivateServer, posted: str) -> None:
    """No statement of the service role reaches a fact, a definition or another role."""
    allowed = {"42501", "HB092", "HB002", "HB015", "HB036", "HB037", "23514"}
    for name, statements in BY_SERVICE.items():
        error = attack(pg, "service", posted, statements)
        assert error.sqlstate in allowed, f"{name}: {error.sqlstate} {error}"
    _assert_unharmed()


@pytest.mark.parametrize("login", ["owner", "postgres"])
def test_the_owner_and_the_superuser_meet_the_guards(
    pg: PrivateServer, posted: str, login: str
) -> None:
    """Whoever inserts, changes or removes: the triggers and the commit check hold."""
    allowed = {"HB014", "HB090", "HB091", "23505", "23514"}
    for name, statements in BY_OWNER.items():
        error = attack(pg, login, posted, statements)
        assert error.sqlstate in allowed, f"{name}: {error.sqlstate} {error}"
    _assert_unharmed()


def test_the_recipe_of_the_attacks_is_sound(pg: PrivateServer, posted: str) -> None:
    """The rows that the attacks start from would be accepted were they complete: no straw men."""
    url = pg.url("owner", posted).replace("+psycopg", "", 1)
    with psycopg.connect(url) as connection:
        connection.execute(BATCH + COUNT + header() + GOOD_LINES + GOOD_DELTAS)
    with transaction() as session:
        checks = {fault.check for fault in service.verify(session)}
    assert checks == {
        "entry hash",
        "voucher gap",
        "voucher counter",
        "event",
    }  # It was not made by the posting functions.


VIEWS = FAKE_STAGE.replace("TABLE", "VIEW").replace("(x int)", "AS SELECT 1 AS entry_index")
DECOYS = FAKE_STAGE + "ALTER TABLE ledger_stage_line OWNER TO hovedbok_owner"


@pytest.mark.parametrize("planted", [FAKE_STAGE, VIEWS, DECOYS, FAKE_STAGE.split(";")[0]])
def test_the_service_cannot_post_from_a_stage_that_somebody_made(
    pg: PrivateServer, posted: str, planted: str
) -> None:
    """A stage that a superuser planted in the session is refused: tables, views, some of each."""
    url = pg.url("postgres", posted).replace("+psycopg", "", 1)
    with psycopg.connect(url) as connection:
        connection.execute(planted)
        connection.execute("SET ROLE hovedbok_service")
        for call in ("SELECT ledger_open_stage(1)", CALL_POST, CALL_FEW):
            with pytest.raises(psycopg.Error) as caught, connection.transaction():
                connection.execute(call)
            assert caught.value.sqlstate == "HB092"
        connection.rollback()


def test_the_service_does_not_know_the_owners_password(pg: PrivateServer, posted: str) -> None:
    """The service's password opens the service's door only."""
    url = pg.url("service", posted).replace("+psycopg", "", 1)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url.replace("hovedbok_service", "hovedbok_owner", 1))


def test_the_auditor_only_reads(pg: PrivateServer, posted: str) -> None:
    """The auditor sees everything, calls nothing that writes and writes nothing."""
    for statements in (
        "INSERT INTO audit_event (actor, action, subject) VALUES ('x', 'x', 'x')",
        "SELECT ledger_open_stage(1)", "SELECT ledger_open_periods('NO01', 2027)",
        CALL_POST, CALL_FEW, "UPDATE account SET name = 'x'", "SET ROLE hovedbok_service",
    ):  # fmt: skip
        assert attack(pg, "auditor", posted, statements).sqlstate == "42501"
    with transaction("auditor") as session:
        assert service.verify(session) == []


def test_every_fact_and_partition_carries_its_guards(posted: str) -> None:
    """The catalogue holds each trigger on each table, for the months of every opened year too."""
    with transaction() as session:
        service.open_periods(session, "NO01", 2027)
    with transaction("auditor") as session:
        assert service.verify(session) == []
        parts = session.scalar(
            text("SELECT count(*) FROM pg_inherits WHERE inhparent IN"
                 " ('journal_line'::regclass, 'balance_delta'::regclass)")
        )  # fmt: skip
    assert parts == 48


def test_the_service_may_call_these_functions_only(posted: str) -> None:
    """Privileges as the catalogue has them: what is callable, and that no fact is writable."""
    with transaction() as session:
        callable_ = session.scalars(
            text(
                "SELECT proname FROM pg_proc WHERE proname LIKE 'ledger\\_%'"
                " AND has_function_privilege('hovedbok_service', oid, 'EXECUTE') ORDER BY 1"
            )
        ).all()
        writable = session.scalars(
            text(
                "SELECT relname FROM pg_class WHERE relname = ANY (:facts)"
                " AND (has_table_privilege('hovedbok_service', oid, 'DELETE, TRUNCATE')"
                " OR has_any_column_privilege('hovedbok_service', oid, 'INSERT, UPDATE'))"
            ),
            {"facts": [*GUARDS, *PARTITIONS]},
        ).all()
    assert set(callable_) == {
        "ledger_approval_needed",
        "ledger_batches_after",
        "ledger_close_account",
        "ledger_close_draft",
        "ledger_close_period",
        "ledger_end_vat_code",
        "ledger_first_open_day",
        "ledger_fold_balances",
        "ledger_explain_gap",
        "ledger_grant_exception",
        "ledger_hold_period",
        "ledger_hold_year",
        "ledger_is_certain",
        "ledger_judge_draft",
        "ledger_lock_period",
        "ledger_lock_seals",
        "ledger_name_account",
        "ledger_open_draft",
        "ledger_open_periods",
        "ledger_open_stage",
        "ledger_policy_day",
        "ledger_post_few",
        "ledger_post_staged",
        "ledger_record_anchor",
        "ledger_record_checklist",
        "ledger_register_key",
        "ledger_seal_block",
        "ledger_set_approval_policy",
        "ledger_sweep_keys",
        "ledger_undo_allocations",
        "ledger_unsealed_batches",
        "ledger_waive_check",
        "ledger_withdraw_draft",
        "ledger_write_draft",
    }
    assert set(writable) == {
        "access_event",
        "audit_event",
        "balance_assertion",
        "book_access",
        "dimension_rule",
        "dimension_set",
        "exchange_rate",
        "posting_request",
        "posting_request_step",
        "posting_rule",
        "tariff_book",
        "tariff_verdict",
        "vat_code",
        "webhook",
        "webhook_delivery",
        "webhook_ended",
        "webhook_replay",
    }


def _assert_unharmed() -> None:
    with transaction("auditor") as session:
        assert service.verify(session) == []
        counts = session.execute(
            text("SELECT (SELECT count(*) FROM journal_entry), (SELECT count(*) FROM journal_line),"
                 " (SELECT count(*) FROM posting_batch), (SELECT count(*) FROM allocation)")
        ).one()  # fmt: skip
    assert tuple(counts) == (3, 7, 3, 1)
