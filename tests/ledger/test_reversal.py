"""Undoing by counter-fact: entries by their mirrors, allocations by their opposites."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ledger import refusals, service, undoing
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.errors import Invalid, Problem
from ledger.journal import AllocationDraft, EntryDraft, Line, Posted, Voucher
from tests.ledger.conftest import post

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

BOOK, MARCH, APRIL, MAY = "NO01", date(2026, 3, 31), date(2026, 4, 20), date(2026, 5, 2)


def reverse(entry_id: int, **choices: Any) -> Posted:
    """Reverse in a transaction of its own."""
    with transaction() as session:
        return service.reverse_entry(
            session, entry_id, **{"reason": "wrong customer", "actor": "tester", **choices}
        )


def undo(allocation_id: int, **choices: Any) -> Posted:
    """Undo in a transaction of its own."""
    given_ = {"effective_date": APRIL, "reason": "wrong invoice", "actor": "tester", **choices}
    with transaction() as session:
        return service.undo_allocation(session, allocation_id, **given_)


def outstanding(as_of: date | None = None) -> dict[int, int]:
    """What is left of each item; proves each time that items and their account agree."""
    with transaction() as session:
        left = {
            i.open_item_id: i.outstanding_minor for i in service.open_items(session, BOOK, as_of)
        }
        assert service.control_balance(session, BOOK, ["1500"], as_of) == sum(left.values())
        assert service.verify(session) == []
    return left


def test_an_invoice_is_taken_back_whole(books: str, drafts: Drafts) -> None:
    """The mirror has every line with the opposite sign, settles the claim and links both ways."""
    posted = post(drafts.batch("b-1", drafts.invoice("i-1")))
    back = reverse(posted.entry_ids[0])
    with transaction() as session:
        original = service.read_entry(session, posted.entry_ids[0])
        mirror = service.read_entry(session, back.entry_ids[0])
        assert all(not row.balance_minor for row in service.trial_balance(session, BOOK))
    assert (original.reversed_by, mirror.reverses) == (mirror.voucher, original.voucher)
    assert mirror.voucher == Voucher("SAL", 2026, 2)
    assert mirror.text == "Tilbakeføring av SAL/2026/1: wrong customer"
    assert mirror.effective_date == MARCH  # The month is open, so the day is the original's.
    for line, negated in zip(original.lines, mirror.lines, strict=True):
        assert replace(
            negated, amount_minor=-negated.amount_minor, base_minor=-negated.base_minor,
            tax_base_minor=line.tax_base_minor, open_item_id=line.open_item_id,
        ) == line  # fmt: skip
        assert negated.tax_base_minor == (line.tax_base_minor and -line.tax_base_minor)
    assert outstanding() == {}


def test_a_second_reversal_names_the_first(books: str, drafts: Drafts) -> None:
    """An entry is reversed once; a caller with a reference of their own gets the first answer."""
    entry = post(drafts.batch("b-1", drafts.invoice("i-1"))).entry_ids[0]
    first = reverse(entry, source_ref="mine")
    assert reverse(entry, source_ref="mine") == replace(first, replayed=True)
    for other in ({}, {"source_ref": "mine", "reason": "another"}, {"source_ref": "yours"}):
        with pytest.raises(refusals.AlreadyReversed, match="reversed by SAL/2026/2") as caught:
            reverse(entry, **other)
        assert caught.value.facts["reversed_by"] == "SAL/2026/2"
    with pytest.raises(undoing.ReversalIsFinal, match="itself the reversal of SAL/2026/1"):
        reverse(first.entry_ids[0])
    with pytest.raises(Invalid, match="Say why"):
        reverse(entry, reason=" ")
    with pytest.raises(refusals.UnknownEntry):
        reverse(17)


def test_the_day_is_chosen_or_the_first_open_one(books: str, drafts: Drafts) -> None:
    """A closed month sends the reversal to the next open day; an own choice may be later only."""
    one, two, three = post(
        drafts.batch("b-1", *(drafts.invoice(f"i-{n}") for n in range(3)))
    ).entry_ids
    with pytest.raises(undoing.ReversalTooEarly, match="Use that day or a later one"):
        reverse(one, effective_date=date(2026, 3, 30))
    for module, day in (("BILLING", date(2026, 4, 1)), ("VAT", date(2026, 5, 1))):
        with transaction() as session:
            for month in ("2026-03", "2026-04") if module == "VAT" else ("2026-03",):
                service.lock_period(
                    session, BOOK, month, module=module, level="soft", actor="a", reason="close"
                )
        back = reverse(one if module == "BILLING" else two)
        with transaction() as session:
            assert service.read_entry(session, back.entry_ids[0]).effective_date == day
    with pytest.raises(refusals.PeriodClosed):
        reverse(three, effective_date=MARCH)
    reverse(three, effective_date=MAY)
    outstanding()


def test_what_was_paid_stays_with_the_customer(books: str, drafts: Drafts) -> None:
    """A claim that was partly paid is settled for the rest; the payment becomes a credit."""
    invoice = post(drafts.batch("b-1", drafts.invoice("i-1")))
    settle = AllocationDraft((0, 2), invoice.open_item_ids[0, 1], 40_00, APRIL, "kid")
    post(drafts.batch("b-2", drafts.payment("p-1", 40_00), allocations=(settle,)))
    back = reverse(invoice.entry_ids[0], effective_date=MAY)
    assert outstanding() == {back.open_item_ids[0, 1]: -40_00}
    assert outstanding(APRIL) == {invoice.open_item_ids[0, 1]: 85_00}


def test_a_payment_in_use_is_freed_first(books: str, drafts: Drafts) -> None:
    """A payment that bounced leaves the invoice open again: its allocation is undone, then it."""
    invoice = post(drafts.batch("b-1", drafts.invoice("i-1")))
    claim = invoice.open_item_ids[0, 1]
    settle = AllocationDraft((0, 2), claim, 125_00, APRIL, "kid")
    payment = post(drafts.batch("b-2", drafts.payment("p-1", 125_00), allocations=(settle,)))
    with transaction() as session:
        (used,) = service.allocations_of(session, claim)
    with pytest.raises(undoing.ItemInUse, match=str(used.allocation_id)) as caught:
        reverse(payment.entry_ids[0])
    assert caught.value.facts["allocations"] == [used.allocation_id]
    undo(used.allocation_id)
    reverse(payment.entry_ids[0])
    assert outstanding() == {claim: 125_00}


def test_an_allocation_is_undone_once_and_on_its_day(books: str, drafts: Drafts) -> None:
    """Both items are outstanding again from the day of the undoing; before it nothing changed."""
    claim = post(drafts.batch("b-1", drafts.invoice("i-1"))).open_item_ids[0, 1]
    settle = AllocationDraft((0, 2), claim, 50_00, APRIL, "kid")
    payment = post(drafts.batch("b-2", drafts.payment("p-1", 50_00), allocations=(settle,)))
    with transaction() as session:
        used = service.allocations_of(session, claim)[0].allocation_id
    with pytest.raises(undoing.UndoRefused, match="on that day or later"):
        undo(used, effective_date=MARCH)
    first = undo(used, effective_date=MAY, source_ref="mine")
    assert undo(used, effective_date=MAY, source_ref="mine") == replace(first, replayed=True)
    assert outstanding() == {claim: 125_00, payment.open_item_ids[0, 2]: -50_00}
    assert outstanding(APRIL) == {claim: 75_00}
    with transaction() as session:
        there, gone = service.allocations_of(session, claim)
    assert (there.amount_minor, gone.amount_minor, gone.rule) == (50_00, -50_00, "wrong invoice")
    for again in ({}, {"source_ref": "yours"}):
        with pytest.raises(undoing.AllocationUndone, match=str(gone.allocation_id)):
            undo(used, **again)
    with pytest.raises(refusals.SourceRefReused):
        undo(used, effective_date=APRIL, source_ref="mine")
    with pytest.raises(undoing.UndoRefused, match="undoes another"):
        undo(gone.allocation_id, effective_date=MAY)
    with pytest.raises(undoing.UnknownAllocation):
        undo(17)


def test_an_allocation_is_not_undone_in_a_closed_month(books: str, drafts: Drafts) -> None:
    """Receivables of a closed month stand; an exception lets its actor through."""
    claim = post(drafts.batch("b-1", drafts.invoice("i-1"))).open_item_ids[0, 1]
    settle = AllocationDraft((0, 2), claim, 50_00, APRIL, "kid")
    post(drafts.batch("b-2", drafts.payment("p-1", 50_00), allocations=(settle,)))
    with transaction() as session:
        used = service.allocations_of(session, claim)[0].allocation_id
        service.lock_period(
            session, BOOK, "2026-04", module="AR", level="soft", actor="a", reason="close"
        )
    with pytest.raises(refusals.PeriodClosed, match="Use 2026-05-01 or later"):
        undo(used)
    undo(used, effective_date=MAY)


def test_the_command_undoes_an_allocation_by_its_number(books: str, drafts: Drafts) -> None:
    """A collector who matched the wrong invoice takes it back from a day on."""
    claim = post(drafts.batch("b-1", drafts.invoice("i-1"))).open_item_ids[0, 1]
    settle = AllocationDraft((0, 2), claim, 50_00, APRIL, "kid")
    post(drafts.batch("b-2", drafts.payment("p-1", 50_00), allocations=(settle,)))
    with transaction() as session:
        used = service.allocations_of(session, claim)[0].allocation_id
    words = ["undo", str(used), "--on", MAY.isoformat(), "--reason", "wrong invoice"]
    done = CliRunner().invoke(ledger_cli, words, catch_exceptions=False)
    assert (done.exit_code, done.output) == (0, f"Allocation {used} is undone from {MAY}.\n")
    assert outstanding()[claim] == 125_00
    with pytest.raises(undoing.AllocationUndone):
        CliRunner().invoke(ledger_cli, words, catch_exceptions=False)


def test_many_reversals_at_once_give_one(books: str, drafts: Drafts) -> None:
    """Whoever comes second is told so; the numbers stay without gaps."""
    entry = post(drafts.batch("b-1", drafts.invoice("i-1"))).entry_ids[0]
    outcomes: list[object] = []

    def attempt() -> None:
        try:
            outcomes.append(reverse(entry))
        except Problem as problem:
            outcomes.append(problem)

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(x) for x in outcomes].count(refusals.AlreadyReversed) == 5
    with transaction() as session:
        assert service.gaps(session) == []


AMOUNTS = st.lists(st.integers(-(10**9), 10**9).filter(bool), min_size=1, max_size=5)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(entries=st.lists(AMOUNTS, min_size=1, max_size=4), paid=st.integers(0, 4))
def test_reversing_everything_leaves_nothing(
    books: str, drafts: Drafts, entries: list[list[int]], paid: int
) -> None:
    """Whatever was posted and allocated: all undone, every balance and every item is zero."""
    with transaction() as session:
        run = session.scalar(text("SELECT count(*) FROM posting_batch"))
    journals = [_journal(f"{run}-j-{n}", amounts) for n, amounts in enumerate(entries)]
    invoices = [drafts.invoice(f"{run}-i-{n}", 500 * (n + 1), party=n + 1) for n in range(2)]
    posted = post(drafts.batch(f"{run}", *journals, *invoices, drafts.payment(f"{run}-p", 400)))
    place = len(journals)
    allocated = []
    if paid:
        use = AllocationDraft(
            posted.open_item_ids[place + 2, 2], posted.open_item_ids[place, 1], paid, APRIL, "kid"
        )
        batch_id = post(drafts.batch(f"{run}-a", allocations=(use,))).batch_id
        allocated.append(batch_id << 20)
    for allocation in allocated:
        undo(allocation)
    for entry in posted.entry_ids:
        reverse(entry)
    assert outstanding() == {}
    with transaction() as session:
        assert {row.balance_minor for row in service.trial_balance(session, BOOK)} == {0}


def _journal(ref: str, amounts: list[int]) -> EntryDraft:
    """A journal of any lines, some with VAT, and whatever balances them."""
    lines = [
        Line("3010", x, vat_code="3", tax_base_minor=x, dimensions={"area": "x"}) for x in amounts
    ]
    rest = [Line("1920", -sum(amounts))] if sum(amounts) else []
    return EntryDraft("JNL", MARCH, MARCH, "accrual", ref, "Bilag", (*lines, *rest))


@pytest.mark.parametrize(
    "change",
    [
        lambda line: replace(line, amount_minor=line.amount_minor * 2, base_minor=None),
        lambda line: replace(line, account="1921"),
        lambda line: replace(line, party_id=7),
        lambda line: replace(line, vat_code="31"),
        lambda line: replace(line, dimensions={"area": "x"}),
        lambda line: replace(line, tax_base_minor=1),
    ],
)
def test_what_is_no_mirror_is_refused(books: str, drafts: Drafts, change: Any) -> None:
    """A reversal drafted by hand must be the mirror: account, amount, party, VAT, dimensions."""
    entry = post(drafts.batch("b-1", drafts.journal("j-1", ("1920", 5), ("1940", -5)))).entry_ids[0]
    back = drafts.journal("j-2", ("1920", -5), ("1940", 5))
    lines = tuple(change(line) for line in back.lines)
    back = replace(back, entry_type="reversal", reverses_entry_id=entry)
    with pytest.raises(undoing.NotAMirror, match="Entry 0 is not the mirror"):
        post(drafts.batch("b-2", replace(back, lines=lines)))
    first = post(drafts.batch("b-3", back)).entry_ids[0]
    again = drafts.journal("j-4", ("1920", 5), ("1940", -5))
    with pytest.raises(undoing.ReversalIsFinal):
        post(drafts.batch("b-4", replace(again, entry_type="reversal", reverses_entry_id=first)))


FORGED = """
    INSERT INTO posting_batch (book_id, source_system, source_ref, request_hash, entry_count,
        line_count, item_count, allocation_count, debit_totals, first_date, last_date, created_by)
    SELECT book_id, 'x', 'x', sha256('x'), 1, 2, 0, 0, '{{"NOK": {debit}}}', '2026-03-31',
        '2026-03-31', 'x' FROM book;
    UPDATE voucher_counter SET last_no = last_no + 1;
    INSERT INTO journal_line (entry_id, line_no, effective_date, account_id, amount_minor,
        base_minor, currency)
    SELECT (SELECT max(batch_id) FROM posting_batch) << 20, line_no, '2026-03-31', a.account_id,
        x.amount, x.amount, 'NOK'
    FROM (VALUES {lines}) x (line_no, number, amount) JOIN account a ON a.number = x.number;
    INSERT INTO balance_delta (batch_id, book_id, account_id, currency, dim_set_id, effective_date,
        debit_minor, credit_minor, base_debit_minor, base_credit_minor, line_count)
    SELECT entry_id >> 20, 1, account_id, 'NOK', 0, effective_date, greatest(amount_minor, 0),
        greatest(-amount_minor, 0), greatest(amount_minor, 0), greatest(-amount_minor, 0), 1
    FROM journal_line WHERE entry_id >> 20 = (SELECT max(batch_id) FROM posting_batch);
    INSERT INTO journal_entry (entry_id, voucher_no, effective_date, document_date, book_id,
        series_id, fiscal_year, line_count, entry_type, source_system, source_ref, text, leaf,
        reverses_entry_id)
    SELECT (SELECT max(batch_id) FROM posting_batch) << 20, last_no, '2026-03-31', '2026-03-31', 1,
        series_id, 2026, 2, 'reversal', 'x', 'x', 'x', sha256('x'),
        (SELECT min(entry_id) FROM journal_entry)
    FROM voucher_counter;
"""


@pytest.mark.parametrize(
    ("debit", "lines", "accepted"),
    [
        (5, "(1, '1920', -5), (2, '1940', 5)", True),  # No straw man: a true mirror is taken.
        (4, "(1, '1920', -4), (2, '1940', 4)", False),
        (5, "(1, '1921', -5), (2, '1940', 5)", False),
        (5, "(1, '1920', 5), (2, '1940', -5)", False),
    ],
)
def test_a_forged_reversal_meets_the_commit_check(
    pg: PrivateServer, books: str, drafts: Drafts, debit: int, lines: str, *, accepted: bool
) -> None:
    """The owner of the tables, past every function, still cannot store a reversal that is none."""
    post(drafts.batch("b-1", drafts.journal("j-1", ("1920", 5), ("1940", -5))))
    url = pg.url("owner", books).replace("+psycopg", "", 1)
    connection = psycopg.connect(url)
    connection.execute(FORGED.format(debit=debit, lines=lines))
    if accepted:
        connection.commit()
    else:
        with pytest.raises(psycopg.Error, match="not the mirror") as caught:
            connection.commit()
        assert caught.value.sqlstate == "HB091"
    connection.close()


def test_a_forged_undoing_meets_the_commit_check(
    pg: PrivateServer, books: str, drafts: Drafts
) -> None:
    """An undoing of less than was allocated is no undoing."""
    claim = post(drafts.batch("b-1", drafts.invoice("i-1"))).open_item_ids[0, 1]
    settle = AllocationDraft((0, 2), claim, 50_00, APRIL, "kid")
    post(drafts.batch("b-2", drafts.payment("p-1", 50_00), allocations=(settle,)))
    url = pg.url("owner", books).replace("+psycopg", "", 1)
    with pytest.raises(psycopg.Error, match="does not undo"), psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO posting_batch (book_id, source_system, source_ref, request_hash,"
            " entry_count, line_count, item_count, allocation_count, debit_totals, first_date,"
            " last_date, created_by) SELECT 1, 'x', 'x', sha256('x'), 0, 0, 0, 1, '{}',"
            " '2026-04-20', '2026-04-20', 'x';"
            "INSERT INTO allocation SELECT (SELECT max(batch_id) FROM posting_batch) << 20,"
            " credit_item_id, debit_item_id, -1, allocation_id,"
            " (SELECT max(batch_id) FROM posting_batch), effective_date, book_id, rule"
            " FROM allocation LIMIT 1"
        )
