"""Posting: what is refused and with which words, replays, numbers, items and allocations."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ledger import refusals, service
from ledger.db import transaction
from ledger.errors import Problem
from ledger.journal import (
    AllocationDraft,
    Declared,
    EntryDraft,
    ItemDraft,
    Line,
    Posted,
    Voucher,
)
from ledger.service import few, posting, staging
from ledger.service.journal_list import JournalFilter, list_entries
from tests.ledger.conftest import post

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

BOOK, MARCH, APRIL = "NO01", date(2026, 3, 31), date(2026, 4, 20)
ITEM = ItemDraft("invoice", "x", None, MARCH, APRIL)


@pytest.fixture(params=["few", "many"], autouse=True)
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Send every batch of these tests as arguments, and then again through columns and a stage."""
    if request.param == "many":
        monkeypatch.setattr(posting, "FEW_LINES", 0)
    return str(request.param)


def test_a_batch_gives_ids_numbers_and_items(books: str, drafts: Drafts) -> None:
    """Entries are numbered from 1 per series and year, in their order; ids hold the batch."""
    posted = post(drafts.batch("b-1", drafts.invoice("i-1"), drafts.invoice("i-2", party=2)))
    base = posted.batch_id << 20
    assert posted.entry_ids == (base, base + 1)
    assert posted.vouchers == (Voucher("SAL", 2026, 1), Voucher("SAL", 2026, 2))
    assert posted.open_item_ids == {(0, 1): base, (1, 1): base + 1}
    assert not posted.replayed


def test_both_roads_store_the_same(
    books: str, drafts: Drafts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch replays whichever road it takes, and its hashes are those of what is stored."""
    entries = (drafts.invoice("i-1"), drafts.journal("j-1", ("1920", 5), ("2400", -5)))
    first = post(drafts.batch("b-1", *entries))
    monkeypatch.setattr(posting, "FEW_LINES", 0 if posting.FEW_LINES else 200)
    again = post(drafts.batch("b-1", *entries))
    assert again.replayed
    assert replace(again, replayed=False) == first
    with transaction("auditor") as session:
        assert service.verify(session) == []


def test_numbers_run_by_series_and_year_in_the_order_of_the_entries(
    books: str, drafts: Drafts
) -> None:
    """Whatever the order of days in a batch, and after what a batch before it took."""
    with transaction() as session:
        service.open_periods(session, BOOK, 2027)
    new_year = date(2027, 1, 2)
    paid = (("1920", 5), ("2400", -5))
    post(drafts.batch("b-1", drafts.journal("j-0", *paid, day=new_year)))
    posted = post(drafts.batch(
        "b-2", drafts.journal("j-1", *paid, day=new_year), drafts.invoice("i-1"),
        drafts.journal("j-2", *paid), drafts.journal("j-3", *paid, day=new_year),
        drafts.invoice("i-2"), drafts.journal("j-4", *paid),
    ))  # fmt: skip
    assert [str(voucher) for voucher in posted.vouchers] == [
        "JNL/2027/2", "SAL/2026/1", "JNL/2026/1", "JNL/2027/3", "SAL/2026/2", "JNL/2026/2",
    ]  # fmt: skip
    with transaction("auditor") as session:
        assert service.read_posted(session, posted.batch_id, replayed=False) == posted
        assert service.verify(session) == []


def test_a_vat_code_is_the_one_of_the_day(books: str, drafts: Drafts) -> None:
    """Two entries of one batch on either side of a new rate hold a row of the code each."""
    with transaction("owner") as session:
        session.execute(text(
            "INSERT INTO vat_code (book_id, code, name, saft_code, rate_bp, valid_from, valid_to)"
            " SELECT book_id, 'X', 'x', '3', rate, begins, ends FROM book, (VALUES"
            " (2400, date '2026-01-01', date '2026-03-15'), (2500, '2026-03-15', NULL))"
            " AS v (rate, begins, ends)"))  # fmt: skip
    entries = [
        drafts.journal(f"j-{day}", ("1920", 5), ("2400", -5), day=date(2026, 3, day))
        for day in (14, 15)
    ]
    with_code = [
        replace(entry, lines=(replace(entry.lines[0], vat_code="X"), entry.lines[1]))
        for entry in entries
    ]
    post(drafts.batch("b-1", *with_code))
    with transaction() as session:
        rates = session.execute(text(
            "SELECT rate_bp FROM journal_line JOIN vat_code USING (vat_code_id)"
            " ORDER BY entry_id")).scalars()  # fmt: skip
        assert list(rates) == [2400, 2500]


def test_an_entry_is_read_back_as_it_was_drafted(books: str, drafts: Drafts) -> None:
    """Every column of the draft is found on the voucher."""
    posted = post(drafts.batch("b-1", drafts.invoice("i-1")))
    with transaction() as session:
        seen = service.find_voucher(session, BOOK, "SAL", 2026, 1)
        assert seen == service.read_entry(session, posted.entry_ids[0])
        named, other = (
            list_entries(session, BOOK, JournalFilter(source_system="test", reference=ref)).rows
            for ref in ("i-1", "b-1")
        )
        assert ([row.entry_id for row in named], other) == ([seen.entry_id], ())
        assert service.last_effective_date(session, BOOK) == MARCH
        assert service.last_effective_date(session, "NO99") is None
        for lost in (
            lambda: service.read_entry(session, 1),
            lambda: service.find_voucher(session, BOOK, "SAL", 2026, 2),
        ):
            with pytest.raises(refusals.UnknownEntry):
                lost()
    assert (seen.source_system, seen.source_ref, seen.batch_source_ref) == ("test", "i-1", "b-1")
    assert [(x.account, x.amount_minor) for x in seen.lines] == [
        ("1500", 12500), ("1530", -10000), ("2700", -2500),
    ]  # fmt: skip
    assert seen.lines[1].dimensions == "area=consumer;product=mobile"
    assert (seen.lines[2].vat_code, seen.lines[2].tax_base_minor) == ("3", -10000)
    assert seen.lines[2].text == "MVA"


def test_a_batch_is_approved_by_somebody_else(
    books: str, drafts: Drafts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The approver is kept with the batch; the one who posts is refused, in Python and in SQL."""
    draft = drafts.batch("b-1", drafts.invoice("i-1"), approved_by="checker")
    batch_id = post(draft).batch_id
    with transaction() as session:
        approver = session.scalar(
            text("SELECT approved_by FROM posting_batch WHERE batch_id = :b"), {"b": batch_id}
        )
    assert approver == "checker"
    own = drafts.batch("b-2", drafts.invoice("i-2"), approved_by="tester")
    with pytest.raises(refusals.ApprovedByCreator):
        post(own)
    monkeypatch.setattr(few, "check_batch", lambda _draft: None)
    monkeypatch.setattr(staging, "check_columns", lambda *_: None)
    with pytest.raises(refusals.ApprovedByCreator, match="Nobody approves"):
        post(own)


def test_a_batch_holds_what_is_declared(books: str, drafts: Drafts) -> None:
    """Declared control totals are compared with the content, and the difference is told."""
    entries = drafts.invoice("i-1"), drafts.payment("p-1", 50_00)
    right = Declared(2, 5, {"NOK": 175_00, "EUR": 0})
    for wrong in (
        replace(right, entries=3),
        replace(right, lines=4),
        replace(right, debits={"NOK": 174_99}),
        replace(right, debits={"NOK": 175_00, "EUR": 1}),
    ):
        with pytest.raises(refusals.TotalsDiffer, match=r"but holds 2 entries, 5 lines") as caught:
            post(drafts.batch("b-1", *entries, declared=wrong))
        assert caught.value.facts["debits"] == {"NOK": "175.00"}
    assert not post(drafts.batch("b-1", *entries, declared=right)).replayed


def test_a_retry_gets_the_first_answer(books: str, drafts: Drafts) -> None:
    """The same reference and content posts once, whoever sends it again."""
    draft = drafts.batch("b-1", drafts.invoice("i-1"), drafts.payment("p-1", 50_00))
    first, second = post(draft), post(replace(draft, actor="somebody else"))
    assert second.replayed
    assert second == replace(first, replayed=True)
    with transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM posting_batch")) == 1


def test_a_reference_with_other_content_is_refused(books: str, drafts: Drafts) -> None:
    """A reference means one content for ever; batch and entry references are separate sets."""
    post(drafts.batch("b-1", drafts.invoice("i-1")))
    with pytest.raises(refusals.SourceRefReused, match="posted as batch"):
        post(drafts.batch("b-1", drafts.invoice("i-1", gross=250_00)))
    with pytest.raises(refusals.EntryRefReused) as caught:
        post(drafts.batch("b-2", drafts.invoice("i-1")))
    # Which of the batch it is, and no word of how the database keeps it.
    assert caught.value.facts == {"source_system": "test", "source_ref": "i-1"}
    with pytest.raises(refusals.EntryRefReused):
        post(drafts.batch("b-3", drafts.invoice("i-3"), drafts.invoice("i-3")))
    assert post(drafts.batch("i-1", drafts.invoice("b-1"))).vouchers == (Voucher("SAL", 2026, 2),)


@pytest.mark.parametrize(
    ("line", "refusal", "words"),
    [
        (Line("9999", 5), refusals.UnknownAccount, "no account 9999"),
        (Line("3099", 5), refusals.AccountClosed, "3099 is not open on 2026-03-31"),
        (Line("1500", 5, item=ITEM), refusals.PartyRequired, "1500 needs a party"),
        (Line("1500", 5, party_id=1), refusals.OpenItemMismatch, "1500 must carry an open item"),
        (Line("1920", 5, item=ITEM), refusals.OpenItemMismatch, "1920 does not take"),
        (Line("3010", 5, vat_code="99"), refusals.UnknownVatCode, "no VAT code 99 on 2026-03-31"),
        (Line("3010", 5, vat_code="OLD"), refusals.UnknownVatCode, "no VAT code OLD"),
        (Line("1920", 5, "ZZZ"), refusals.UnknownCurrency, "rate of ZZZ"),
        (Line("1920", 5, base_minor=4), refusals.UnknownCurrency, "differs from its base"),
    ],
)
def test_a_line_is_refused_in_words(
    books: str, drafts: Drafts, line: Line, refusal: type[Problem], words: str
) -> None:
    """Each fault of a line has its own problem, which names the entry and the line."""
    with transaction() as session:
        session.execute(
            text(
                "INSERT INTO account (book_id, number, name, class, grouping_category,"
                " grouping_code, valid_to) SELECT book_id, '3099', 'Closed', 'I', 'x', 'x',"
                " '2026-03-31' FROM book"
            )
        )
        session.execute(
            text(
                "INSERT INTO vat_code (book_id, code, name, saft_code, rate_bp, valid_from,"
                " valid_to) SELECT book_id, 'OLD', 'x', '3', 2400, '2000-01-01', '2026-03-31'"
                " FROM book"
            )
        )
    other = Line("1940", -line.amount_minor, line.currency, base_minor=-line.base)
    bad = EntryDraft("JNL", MARCH, MARCH, "manual", "j-1", "Bilag", (line, other))
    with pytest.raises(refusal, match=words) as caught:
        post(drafts.batch("b-1", drafts.invoice("i-1"), bad))
    assert (caught.value.facts["entry"], caught.value.facts["line"]) == (1, 1)
    with transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM journal_entry")) == 0


def test_books_series_and_periods_must_exist(books: str, drafts: Drafts) -> None:
    """An unknown book, series or year is named."""
    with pytest.raises(refusals.UnknownBook, match="no book NO99"):
        post(replace(drafts.batch("b-1", drafts.invoice("i-1")), book="NO99"))
    with pytest.raises(refusals.UnknownSeries, match="no voucher series NON"):
        post(drafts.batch("b-1", replace(drafts.invoice("i-1"), series="NON")))
    late = drafts.journal("j", ("1920", 1), ("1940", -1), day=date(2031, 1, 1))
    with pytest.raises(refusals.UnknownPeriod, match="No accounting period holds 2031-01-01"):
        post(drafts.batch("b-1", late))


def test_where_nothing_later_is_open_no_day_is_named(books: str, drafts: Drafts) -> None:
    """The sentence said to use " or later"."""
    for month in range(3, 13):
        with transaction() as session:
            service.lock_period(
                session, BOOK, f"2026-{month:02d}", module="GL", level="soft", actor="a",
                reason="year end",
            )  # fmt: skip
    with pytest.raises(refusals.PeriodClosed, match=r"for GL\. Open a later period first\."):
        post(drafts.batch("b-1", drafts.journal("j-1", ("1920", 5), ("1940", -5))))


def test_a_locked_period_takes_nothing_and_says_what_is_open(books: str, drafts: Drafts) -> None:
    """A module's lock stops that module; a lock of the general ledger stops everything."""
    with transaction() as session:
        service.lock_period(
            session, BOOK, "2026-03", module="BILLING", level="soft", actor="a", reason="month end"
        )
    with pytest.raises(refusals.PeriodClosed, match="Use 2026-04-01 or later") as caught:
        post(drafts.batch("b-1", drafts.invoice("i-1")))
    assert caught.value.facts["first_open_day"] == "2026-04-01"
    post(drafts.batch("b-2", drafts.journal("j-1", ("1920", 5), ("1940", -5))))
    with transaction() as session:
        service.lock_period(
            session, BOOK, "2026-03", module="GL", level="hard", actor="a", reason="closed"
        )
    with pytest.raises(refusals.PeriodClosed):
        post(drafts.batch("b-3", drafts.journal("j-2", ("1920", 5), ("1940", -5))))
    with transaction() as session, pytest.raises(refusals.PeriodLockedForGood):
        service.lock_period(
            session, BOOK, "2026-03", module="GL", level="open", actor="a", reason="regret"
        )


def test_a_period_is_locked_by_the_transaction_that_posted_in_it(
    books: str, drafts: Drafts
) -> None:
    """Posting the last voucher and closing the month may be one transaction."""
    with transaction() as session:
        service.post_batch(session, drafts.batch("b-1", drafts.invoice("i-1")))
        service.lock_period(
            session, BOOK, "2026-03", module="GL", level="hard", actor="a", reason="month end"
        )
    with transaction() as session:
        assert service.verify(session) == []


def test_money_is_allocated_at_most_once(books: str, drafts: Drafts) -> None:
    """Outstanding falls by what is allocated, on both sides, and never below nothing."""
    invoice = post(drafts.batch("b-1", drafts.invoice("i-1"))).open_item_ids[0, 1]
    settle = AllocationDraft((0, 2), invoice, 100_00, APRIL, "kid")
    payment = drafts.payment("p-1", 150_00)
    credit = post(drafts.batch("b-2", payment, allocations=(settle,))).open_item_ids[0, 2]
    with transaction() as session:
        left = {i.open_item_id: i.outstanding_minor for i in service.open_items(session, BOOK)}
        before = service.open_items(session, BOOK, effective_as_of=date(2026, 4, 19))
        assert service.control_balance(session, BOOK, ["1500"]) == sum(left.values())
    assert left == {invoice: 25_00, credit: -50_00}
    assert [item.outstanding_minor for item in before] == [125_00]
    for position, amount in enumerate((26_00, 51_00)):
        more = AllocationDraft(credit, invoice, amount, APRIL, "manual")
        with pytest.raises(refusals.OverAllocated, match="at most what is outstanding"):
            post(drafts.batch(f"b-3-{position}", allocations=(more,)))
    rest = AllocationDraft(credit, invoice, 25_00, APRIL, "manual")
    with transaction() as session:
        service.allocate(session, drafts.batch("b-4", allocations=(rest,)))
        assert [x.rule for x in service.allocations_of(session, credit)] == ["kid", "manual"]
        items = service.open_items(session, BOOK, kids=["00000001"], settled=True)
    assert [(item.open_item_id, item.outstanding_minor) for item in items] == [(invoice, 0)]


def test_items_that_do_not_match_are_refused(books: str, drafts: Drafts) -> None:
    """Two debits, swapped sides, another account, too early a day, or an id that does not exist."""
    other = drafts.invoice("i-2")
    business = replace(other.lines[0], account="1505")
    other = replace(other, lines=(business, *other.lines[1:]))
    posted = post(drafts.batch("b-1", drafts.invoice("i-1"), other, drafts.payment("p-1", 10_00)))
    consumer_item, business_item = posted.open_item_ids[0, 1], posted.open_item_ids[1, 1]
    credit = posted.open_item_ids[2, 2]
    for position, (left, right, day) in enumerate([
        (consumer_item, consumer_item, APRIL), (consumer_item, credit, APRIL),
        (credit, business_item, APRIL), (credit, consumer_item, MARCH),
    ]):  # fmt: skip
        wrong = AllocationDraft(left, right, 1, day, "manual")
        with pytest.raises(refusals.AllocationMismatch):
            post(drafts.batch(f"b-2-{position}", allocations=(wrong,)))
    for position, nowhere in enumerate((12345, (7, 1))):
        wrong = AllocationDraft(credit, nowhere, 1, APRIL, "manual")
        with pytest.raises(refusals.UnknownOpenItem):
            post(drafts.batch(f"b-3-{position}", allocations=(wrong,)))


def test_an_entry_is_reversed_once(books: str, drafts: Drafts) -> None:
    """A second reversal, and a reversal of nothing, are refused."""
    entry = drafts.journal("j-1", ("1920", 5), ("1940", -5))
    posted = post(drafts.batch("b-1", entry))
    back = drafts.journal("j-2", ("1920", -5), ("1940", 5))
    back = replace(back, entry_type="reversal", reverses_entry_id=posted.entry_ids[0])
    post(drafts.batch("b-2", back))
    with pytest.raises(refusals.AlreadyReversed):
        post(drafts.batch("b-3", replace(back, source_ref="j-3")))
    with pytest.raises(refusals.UnknownEntry):
        post(drafts.batch("b-4", replace(back, source_ref="j-4", reverses_entry_id=1)))


def test_a_rolled_back_batch_returns_its_numbers(books: str, drafts: Drafts) -> None:
    """A number is used only by what was committed."""

    class Change(Exception):
        pass

    with pytest.raises(Change), transaction() as session:  # noqa: PT012 - raises at its end
        service.post_batch(session, drafts.batch("b-1", drafts.invoice("i-1")))
        raise Change
    assert post(drafts.batch("b-2", drafts.invoice("i-2"))).vouchers == (Voucher("SAL", 2026, 1),)


def test_two_writers_number_without_gaps(books: str, drafts: Drafts) -> None:
    """Four threads that post to one series leave numbers 1 to n, each once."""

    def write(writer: int) -> None:
        for turn in range(8):
            refs = [f"{writer}-{turn}-{n}" for n in range(3)]
            post(drafts.batch(refs[0], *(drafts.invoice(ref) for ref in refs)))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    with transaction() as session:
        numbers = session.scalars(text("SELECT voucher_no FROM journal_entry ORDER BY 1")).all()
        assert list(numbers) == list(range(1, 97))
        assert service.gaps(session) == []


def test_a_retry_storm_posts_once(books: str, drafts: Drafts) -> None:
    """The same batch from many threads at once gives one posting and one answer."""
    answers: list[Posted] = []
    draft = drafts.batch("b-1", drafts.invoice("i-1"))
    storm = [threading.Thread(target=lambda: answers.append(post(draft))) for _ in range(6)]
    for thread in storm:
        thread.start()
    for thread in storm:
        thread.join()
    assert len(answers) == 6
    assert {(answer.batch_id, answer.entry_ids, answer.vouchers) for answer in answers} == {
        (answers[0].batch_id, answers[0].entry_ids, answers[0].vouchers)
    }
    assert [answer.replayed for answer in answers].count(False) == 1


def test_a_lock_waits_for_the_posting_under_way(books: str, drafts: Drafts) -> None:
    """No batch that passed the lock check commits after the lock."""
    locked = threading.Event()

    def lock() -> None:
        with transaction() as session:
            service.lock_period(
                session, BOOK, "2026-03", module="GL", level="soft", actor="a", reason="month end"
            )
        locked.set()

    closer = threading.Thread(target=lock)
    with transaction() as session:
        service.post_batch(session, drafts.batch("b-1", drafts.invoice("i-1")))
        closer.start()
        assert not locked.wait(0.3)
    closer.join()
    with pytest.raises(refusals.PeriodClosed):
        post(drafts.batch("b-2", drafts.invoice("i-2")))


ACCOUNTS = ["1920", "1940", "3010", "3030", "7830"]
ENTRIES = st.lists(
    st.lists(
        st.tuples(st.sampled_from(ACCOUNTS), st.integers(-10**9, 10**9).filter(bool)),
        min_size=1, max_size=5,
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=25, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(batches=st.lists(st.tuples(ENTRIES, st.integers(1, 28)), min_size=1, max_size=3))
def test_the_trial_balance_is_a_dictionary(
    books: str, drafts: Drafts, batches: list[tuple[list[list[tuple[str, int]]], int]]
) -> None:
    """Whatever is posted, the trial balance of any day is what a dictionary says."""
    with transaction() as session:
        known = session.scalar(text("SELECT coalesce(max(batch_id), 0) FROM posting_batch"))
        model = _balances(session, None)
        early = _balances(session, date(2026, 3, 14))
        for number, (entries, day) in enumerate(batches):
            built = []
            for position, pairs in enumerate(entries):
                ref = f"{known}-{number}-{position}"
                balanced = [*pairs, ("2400", -sum(amount for _, amount in pairs))]
                balanced = [(account, amount) for account, amount in balanced if amount]
                built.append(drafts.journal(ref, *balanced, day=date(2026, 3, day)))
                for account, amount in balanced:
                    model[account] = model.get(account, 0) + amount
                    if day <= 14:
                        early[account] = early.get(account, 0) + amount
            service.post_batch(session, drafts.batch(f"{known}-{number}", *built))
        assert _balances(session, None) == model
        assert _balances(session, date(2026, 3, 14)) == early
        assert sum(model.values()) == 0


def _balances(session: object, day: date | None) -> dict[str, int]:
    rows = service.trial_balance(session, BOOK, day)  # type: ignore[arg-type]
    return {row.account: row.balance_minor for row in rows}


def test_fifty_thousand_lines_in_one_batch(books: str, drafts: Drafts, road: str) -> None:
    """A large batch goes through the same door, ties and verifies; five thousand as few ones."""
    count = 16_667 if road == "many" else 1_667
    entries = [drafts.invoice(f"i-{n}", party=n % 999 + 1) for n in range(count)]
    posted = post(drafts.batch("bulk", *entries))
    assert posted.vouchers[-1] == Voucher("SAL", 2026, count)
    with transaction() as session:
        assert service.control_balance(session, BOOK, ["1500"]) == count * 125_00
        assert service.verify(session) == []


def test_a_statement_runs_from_what_was_before(books: str, drafts: Drafts) -> None:
    """The first line of a page starts from the balance before it."""
    post(drafts.batch("b-1", drafts.invoice("i-1"), drafts.payment("p-1", 40_00)))
    with transaction() as session:
        page = service.account_statement(session, BOOK, "1500", first_day=APRIL)
        assert [(x.amount_minor, x.balance_minor) for x in page.lines] == [(-40_00, 85_00)]
        with pytest.raises(refusals.UnknownAccount):
            service.account_statement(session, BOOK, "0000")


def test_rules_choose_accounts_by_date_and_selector(books: str) -> None:
    """The selector's own rule goes before '*', the latest that has begun before older ones."""
    with transaction() as session:
        session.execute(
            text(
                "INSERT INTO posting_rule (book_id, event, leg, selector, account_number,"
                " valid_from) SELECT book_id, 'invoice', 'receivable', 'consumer', '1510',"
                " '2026-07-01' FROM book"
            )
        )
        ask = ("invoice", "receivable", "consumer")
        assert service.posting_account(session, BOOK, *ask, date(2026, 6, 30)) == "1500"
        assert service.posting_account(session, BOOK, *ask, date(2026, 7, 1)) == "1510"
        assert service.posting_account(session, BOOK, "invoice", "unbilled", "x", MARCH) == "1530"
        assert service.vat_rate_bp(session, BOOK, "3", MARCH) == 2500
        with pytest.raises(refusals.NoPostingRule):
            service.posting_account(session, BOOK, "invoice", "receivable", "nobody", MARCH)
        with pytest.raises(refusals.UnknownVatCode):
            service.vat_rate_bp(session, BOOK, "99", MARCH)


def test_seeding_and_opening_again_changes_nothing(books: str) -> None:
    """Both verbs may run at every start."""
    with transaction() as session:
        count = text("SELECT count(*) FROM account_version")
        before = session.scalar(count)
        service.seed_book(session, BOOK)
        assert service.open_periods(session, BOOK, 2026) == 0
        assert session.scalar(count) == before
