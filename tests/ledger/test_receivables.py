"""Open items: outstanding equals the control account on every day, whatever was paid and used."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ledger import refusals, service
from ledger.db import transaction
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line
from tests.ledger.conftest import APRIL

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

BOOK, FIRST = "NO01", date(2026, 3, 1)
DAYS = st.integers(0, 40)
# A claim or a payment: its day, its amount, and the customer.
ITEMS = st.lists(st.tuples(DAYS, st.integers(-500, 500).filter(bool), st.integers(1, 3)),
                 min_size=2, max_size=8)  # fmt: skip
# A use: which two items, when, and how much is tried.
USES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), DAYS, st.integers(1, 500)),
                max_size=8)  # fmt: skip


def _entry(ref: str, day: date, amount: int, party: int) -> EntryDraft:
    item = ItemDraft("invoice" if amount > 0 else "payment", ref, None, day, day)
    lines = (Line("1500", amount, party_id=party, item=item), Line("1920", -amount))
    return EntryDraft("JNL", day, day, "test", ref, "Bilag", lines)


@settings(max_examples=20, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(items=ITEMS, uses=USES)
def test_outstanding_is_what_a_slow_model_says(
    books: str, items: list[tuple[int, int, int]], uses: list[tuple[int, int, int, int]]
) -> None:
    """Per item and day, by hand; and the sum is the control account of the lines on each day."""
    with transaction() as session:
        before = session.scalar(text("SELECT coalesce(max(batch_id), 0) FROM posting_batch"))
        drawn = [(FIRST + timedelta(day), amount, party) for day, amount, party in items]
        entries = [_entry(f"{before}-{n}", *item) for n, item in enumerate(drawn)]
        allocations, left, used = [], [amount for _, amount, _ in drawn], []
        for one, other, day, wanted in uses:
            credit, debit = one % len(drawn), other % len(drawn)
            amount = min(wanted, -left[credit], left[debit])
            if amount <= 0 or drawn[credit][2] != drawn[debit][2]:
                continue
            left[credit] += amount
            left[debit] -= amount
            on = max(FIRST + timedelta(day), drawn[credit][0], drawn[debit][0])
            used.append((credit, debit, on, amount))
            allocations.append(AllocationDraft((credit, 1), (debit, 1), amount, on, "test"))
        posted = service.post_batch(
            session,
            BatchDraft(BOOK, "test", f"{before}", "tester", tuple(entries), tuple(allocations)),
        )
        ids = [posted.open_item_ids[n, 1] for n in range(len(drawn))]
        for day in (FIRST + timedelta(n) for n in range(0, 42, 3)):
            seen = service.open_items(session, BOOK, effective_as_of=day)
            outstanding = {item.open_item_id: item.outstanding_minor for item in seen}
            for number, (opened, amount, _) in enumerate(drawn):
                debits = sum(x for _, d, on, x in used if d == number and on <= day)
                credits_ = sum(x for c, _, on, x in used if c == number and on <= day)
                expected = amount - debits + credits_ if opened <= day else 0
                assert outstanding.get(ids[number], 0) == expected
            free = service.free_items(session, BOOK, ids, day)
            assert {item.open_item_id: item.outstanding_minor for item in free} == {
                ids[n]: left[n] for n, (opened, *_) in enumerate(drawn) if left[n] and opened <= day
            }
            control = service.control_balance(session, BOOK, ["1500"], day)
            assert sum(outstanding.values()) == control
            for party in (1, 2, 3):
                held = sum(i.outstanding_minor for i in seen if i.party_id == party)
                page = service.account_statement(
                    session, BOOK, "1500", effective_as_of=day, party_id=party, limit=1000
                )
                assert held == sum(line.amount_minor for line in page.lines)
        for party in (1, 2, 3):
            of_party = service.open_items(session, BOOK, party_id=party)
            everybody = service.open_items(session, BOOK)
            assert of_party == [item for item in everybody if item.party_id == party]


def test_what_one_customer_paid_settles_nothing_of_another(books: str, drafts: Drafts) -> None:
    """Else the items of each would not sum to the lines of each."""
    with transaction() as session:
        batch = drafts.batch("b-1", drafts.invoice("i-1"), drafts.payment("p-1", 125_00, party=2))
        ids = service.post_batch(session, batch).open_item_ids
    use = AllocationDraft(ids[1, 2], ids[0, 1], 1, APRIL, "kid")
    with (
        pytest.raises(refusals.AllocationMismatch, match=r"of party 2 for .* of party 1"),
        transaction() as session,
    ):
        service.allocate(session, drafts.batch("a-1", allocations=(use,)))


def test_a_use_between_another_and_its_undoing_is_refused(books: str, drafts: Drafts) -> None:
    """On those days the item was used up, whatever became of it; a reversal waits for them."""
    with transaction() as session:
        batch = drafts.batch(
            "b-1", drafts.invoice("i-1"), drafts.payment("p-1", 125_00),
            drafts.payment("p-2", 125_00),
        )  # fmt: skip
        posted = service.post_batch(session, batch)
        ids = posted.open_item_ids
        whole = AllocationDraft(ids[1, 2], ids[0, 1], 125_00, APRIL, "kid")
        first = service.allocate(session, drafts.batch("a-1", allocations=(whole,)))
        undone_on = APRIL + timedelta(10)
        service.undo_allocation(
            session, first.batch_id << 20, effective_date=undone_on, reason="x", actor="x"
        )
    named = [ids[0, 1], ids[1, 2]]
    with transaction("auditor") as session:
        for day, free in ((APRIL + timedelta(9), []), (undone_on, [125_00, -125_00])):
            found = service.free_items(session, BOOK, named, day)
            assert [item.outstanding_minor for item in found] == free
    between = replace(whole, credit=ids[2, 2], effective_date=APRIL + timedelta(5))
    with (
        pytest.raises(refusals.OverAllocated, match="before another use of it was undone"),
        transaction() as session,
    ):
        service.allocate(session, drafts.batch("a-2", allocations=(between,)))
    with transaction() as session:
        service.reverse_entry(session, posted.entry_ids[0], reason="x", actor="x")
        for day in (APRIL, undone_on):
            left = service.open_items(session, BOOK, day, party_id=1)
            assert all(abs(one.outstanding_minor) <= abs(one.original_minor) for one in left)
        assert service.verify(session) == []


def test_two_who_use_the_same_money_at_once(books: str, drafts: Drafts) -> None:
    """Of two allocations that together exceed an invoice, one is refused, whoever comes first."""
    with transaction() as session:
        batch = drafts.batch(
            "b-1", drafts.invoice("i-1"), drafts.payment("p-1", 125_00),
            drafts.payment("p-2", 125_00),
        )  # fmt: skip
        posted = service.post_batch(session, batch)
    invoice = posted.open_item_ids[0, 1]
    outcomes: list[str] = []

    def use(number: int) -> None:
        day = drafts.payment("", 1).effective_date
        credit = posted.open_item_ids[number, 2]
        whole = AllocationDraft(credit, invoice, 125_00, day, "kid")
        try:
            with transaction() as session:
                service.allocate(session, drafts.batch(f"a-{number}", allocations=(whole,)))
            outcomes.append("done")
        except refusals.OverAllocated:
            outcomes.append("refused")

    pair = [threading.Thread(target=use, args=(number,)) for number in (1, 2)]
    for thread in pair:
        thread.start()
    for thread in pair:
        thread.join()
    assert sorted(outcomes) == ["done", "refused"]
    with transaction() as session:
        assert service.verify(session) == []


def test_a_payment_file_of_thousands_settles_thousands(books: str, drafts: Drafts) -> None:
    """One batch may pay and allocate a whole bill run; nothing is left outstanding."""
    parties = range(1, 3001)
    bills = [drafts.invoice(f"i-{party}", party=party) for party in parties]
    with transaction() as session:
        billed = service.post_batch(session, drafts.batch("bills", *bills)).open_item_ids
    receipts = [drafts.payment(f"p-{party}", 125_00, party=party) for party in parties]
    day = receipts[0].effective_date
    settle = tuple(
        AllocationDraft((n, 2), billed[n, 1], 125_00, day, "kid") for n in range(len(receipts))
    )
    with transaction() as session:
        service.post_batch(session, drafts.batch("ocr", *receipts, allocations=settle))
    with transaction() as session:
        assert service.open_items(session, BOOK) == []
        assert len(service.open_items(session, BOOK, settled=True)) == 6000
        assert service.control_balance(session, BOOK, ["1500"]) == 0
        assert service.verify(session) == []
