"""Hypothesis plays a bookkeeper against the slow model: every answer and every refusal agrees."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from ledger import refusals, service
from ledger.closing import YearResultLeft
from ledger.db import transaction
from ledger.drafts import Draft
from ledger.errors import Problem
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line, Posted
from ledger.service import drafting
from ledger.service.signing import Signer, open_signer
from tests.ledger.conftest import seal_all
from tests.ledger.model import Fact, Model

EXAMPLES = int(os.environ.get("HOVEDBOK_EXAMPLES", "8"))
STEPS = int(os.environ.get("HOVEDBOK_STEPS", "30"))
FIRST = date(2025, 12, 1)

# A year-end lies in the middle, so that two runs of numbers are in use; the last days of the
# range lie in a year that is not open.
DAYS = st.integers(0, 100).map(lambda n: FIRST + timedelta(days=n))
LATE_DAYS = st.integers(0, 500).map(lambda n: FIRST + timedelta(days=n))
AMOUNTS = st.integers(1, 500)
PLACES = st.integers(0, 1000)
# What is drawn of an entry: kind, day, amount, party.
ENTRIES = st.tuples(st.sampled_from(["claim", "payment", "journal"]), DAYS, AMOUNTS,
                    st.integers(1, 3))  # fmt: skip
PERIODS = st.sampled_from(["2025-12", "2026-01", "2026-02", "2026-03"])
BOOKS = count(1)


def entry(ref: str, kind: str, day: date, amount: int, party: int) -> EntryDraft:
    """A claim, a payment that is not yet used, or a journal of plain lines."""
    if kind == "journal":
        lines: tuple[Line, ...] = (Line("7830", amount), Line("1920", -amount))
        return EntryDraft("JNL", day, day, "test", ref, "Bilag", lines)
    signed = amount if kind == "claim" else -amount
    item = ItemDraft(kind, ref, None, day, day)
    lines = (Line("1500", signed, party_id=party, item=item), Line("1940", -signed))
    return EntryDraft("SAL" if kind == "claim" else "PAY", day, day, "test", ref, "Bilag", lines)


def opposite(fact: Fact, ref: str, day: date) -> EntryDraft:
    """The entry that takes another back: every line and item with the sign turned."""
    lines = tuple(
        replace(
            line, amount_minor=-line.amount_minor,
            item=line.item and replace(line.item, kind="reversal", document_ref=ref),
        )
        for line in fact.entry.lines
    )  # fmt: skip
    return replace(
        fact.entry, effective_date=day, source_ref=ref, lines=lines,
        entry_type="reversal", reverses_entry_id=fact.entry_id,
    )  # fmt: skip


class Bookkeeper(RuleBasedStateMachine):
    """Does anything that a bookkeeper may try, in one book of its own per run."""

    key: Signer

    def __init__(self) -> None:
        """Begin with no book; the first step opens one."""
        super().__init__()
        self.model = Model({2025, 2026})
        self.counter = count(1)
        self.first_position = self.last_position = 0

    @initialize()
    def open_a_book(self) -> None:
        """Seed a book with two years; others may have been posted to before in this database."""
        self.book = f"NO{next(BOOKS):03d}"
        with transaction() as session:
            service.seed_book(session, self.book)
            for year in sorted(self.model.years):
                service.open_periods(session, self.book, year)
        seal_all(self.key)
        with transaction() as session:
            last = session.scalar(text("SELECT coalesce(max(position), 0) FROM seal_member"))
        self.first_position = self.last_position = int(last or 0)

    def ref(self) -> str:
        """A reference that was not used before."""
        return f"{self.book}-{next(self.counter)}"

    def batch(
        self, *entries: EntryDraft, uses: tuple[AllocationDraft, ...] = (), ref: str = ""
    ) -> BatchDraft:
        """A batch of this book."""
        return BatchDraft(self.book, "stateful", ref or self.ref(), "tester", entries, uses)

    def post(self, draft: BatchDraft) -> Posted | None:
        """Post, and hold the answer or the refusal against the model's."""
        expected, refusal, posted = self.model.refusal(draft), None, None
        known = self.model.batches.get(draft.source_ref)
        try:
            with transaction() as session:
                posted = service.post_batch(session, draft)
        except Problem as problem:
            refusal = type(problem)
        assert refusal is expected, (refusal, expected, draft)
        if posted is None:
            return None
        if known is not None:
            assert posted == replace(known[1], replayed=True)
            return posted
        assert not posted.replayed
        assert posted.vouchers == self.model.vouchers(draft)
        self.model.record(draft, posted)
        return posted

    @rule(drawn=st.lists(ENTRIES, min_size=1, max_size=5))
    def post_a_batch(self, drawn: list[tuple[str, date, int, int]]) -> None:
        """One entry or several of any kind, on any day."""
        self.post(self.batch(*(entry(self.ref(), *one) for one in drawn)))

    @rule(day=LATE_DAYS, amount=AMOUNTS, kind=st.sampled_from(["claim", "journal"]))
    def post_on_a_late_day(self, day: date, amount: int, kind: str) -> None:
        """Perhaps of a year that is not open."""
        self.post(self.batch(entry(self.ref(), kind, day, amount, 1)))

    @rule(day=DAYS, amount=AMOUNTS, use=AMOUNTS, later=st.integers(-3, 9))
    def post_claim_and_payment(self, day: date, amount: int, use: int, later: int) -> None:
        """A batch that also uses what it opens itself, perhaps too much or too early."""
        claim = entry(self.ref(), "claim", day, amount, 1)
        payment = entry(self.ref(), "payment", day, amount, 1)
        used = AllocationDraft((1, 1), (0, 1), use, day + timedelta(later), "test")
        self.post(self.batch(claim, payment, uses=(used,)))

    @rule(day=DAYS, amount=AMOUNTS, defect=st.sampled_from(["balance", "account", "series"]))
    def post_what_is_wrong(self, day: date, amount: int, defect: str) -> None:
        """The second of two entries is wrong: neither is posted."""
        good = entry(self.ref(), "claim", day, amount, 1)
        bad = entry(self.ref(), "journal", day, amount, 1)
        if defect == "series":
            bad = replace(bad, series="XYZ")
        else:
            change = {"amount_minor": amount + 1} if defect == "balance" else {"account": "9999"}
            bad = replace(bad, lines=(replace(bad.lines[0], **change), bad.lines[1]))
        self.post(self.batch(good, bad))

    @precondition(lambda self: self.model.batches)
    @rule(place=PLACES, change=st.sampled_from(["same", "content", "entry"]))
    def post_again(self, place: int, change: str) -> None:
        """A retry, another content under a known reference, or a known entry in a new batch."""
        sent = [draft for draft, _ in self.model.batches.values() if draft.entries]
        if not sent:
            return
        draft = sent[place % len(sent)]
        if change == "content":
            draft = replace(draft, entries=(replace(draft.entries[0], text="Noe annet"),))
        elif change == "entry":
            draft = replace(draft, source_ref=self.ref(), allocations=())
        if draft.source_system == "stateful":
            self.post(draft)

    @precondition(lambda self: self.model.facts)
    @rule(place=PLACES, day=DAYS)
    def reverse(self, place: int, day: date) -> None:
        """Take an entry back, perhaps too early, twice, or one that takes another back itself."""
        fact = self.model.facts[place % len(self.model.facts)]
        self.post(self.batch(opposite(fact, self.ref(), day)))

    @precondition(lambda self: len(self.model.items) > 1)
    @rule(one=PLACES, other=PLACES, amount=AMOUNTS, day=DAYS, in_time=st.booleans())
    def allocate(self, one: int, other: int, amount: int, day: date, in_time: bool) -> None:
        """Use one item against another; often of the wrong sign, too much, or too early."""
        items = self.model.items
        credits_ = [name for name in items if items[name].amount < 0] or list(items)
        debits = [name for name in items if items[name].amount > 0] or list(items)
        credit, debit = credits_[one % len(credits_)], debits[other % len(debits)]
        if in_time:
            day = max(items[credit].opened_on, items[debit].opened_on, day)
        self.post(self.batch(uses=(AllocationDraft(credit, debit, amount, day, "test"),)))

    @rule(period=PERIODS, module=st.sampled_from(["GL", "AR", "BILLING"]),
          level=st.sampled_from(["soft", "open", "open", "hard"]))  # fmt: skip
    def lock(self, period: str, module: str, level: str) -> None:
        """Close a period, or open it again; what is closed for good stays closed."""
        passes = self.model.lock(period, module, level)
        try:
            with transaction() as session:
                service.lock_period(
                    session, self.book, period, module=module, level=level, actor="x", reason="x"
                )
        except (refusals.PeriodLockedForGood, YearResultLeft):
            assert not passes
            return
        assert passes

    @rule(day=DAYS, amount=AMOUNTS)
    def approve_a_draft(self, day: date, amount: int) -> None:
        """A person's draft becomes a fact when another approves it, unless the period is closed."""
        made = replace(entry(self.ref(), "journal", day, amount, 1), entry_type="manual")
        if not self.model.is_open("GL", day):
            return
        with transaction() as session:
            view, _ = drafting.create_draft(
                session, Draft(self.book, made), actor="staff:anna", key=self.ref(), ready=True
            )
            posted = drafting.approve(
                session, view.draft_id, view.latest.content_hash, approver="staff:berit"
            )
        draft = BatchDraft(self.book, "manual", f"draft/{view.draft_id}", "staff:anna", (made,))
        assert posted.vouchers == self.model.vouchers(draft)
        self.model.record(draft, posted)

    @rule()
    def seal(self) -> None:
        """Give the batches their positions, in the order of their ids."""
        seal_all(self.key)
        self.last_position = self.model.seal(self.last_position)

    @rule(day=st.none() | DAYS, back=st.none() | st.integers(0, 40))
    def read(self, day: date | None, back: int | None) -> None:
        """Balances, statements, open items and vouchers at two clocks drawn at random."""
        known = None if back is None else max(self.first_position, self.last_position - back)
        model = self.model
        with transaction() as session:
            rows = service.trial_balance(session, self.book, day, known)
            told = {(r.account, r.currency): (r.balance_minor, r.base_minor) for r in rows}
            assert told == model.balances(day, known)
            items = service.open_items(session, self.book, day, known_as_of=known)
            left = {item.open_item_id: item.outstanding_minor for item in items}
            assert left == model.outstanding(day, known)
            control = service.control_balance(session, self.book, ["1500"], day, known)
            assert control == sum(left.values())
            for account in ("1500", "1920"):
                page = service.account_statement(
                    session, self.book, account, effective_as_of=day, known_as_of=known, limit=1000
                )
                seen = [(line.entry_id, line.amount_minor) for line in page.lines]
                assert seen == model.statement(account, day, known)
            for fact in model.entries(day, known)[-2:]:
                voucher = fact.voucher
                view = service.find_voucher(
                    session, self.book, voucher.series, voucher.year, voucher.number, day, known
                )
                assert view.entry_id == fact.entry_id

    def teardown(self) -> None:
        """Whatever was done: all is read back, no number is missing and the books verify."""
        self.read(None, None)
        with transaction("auditor") as session:
            assert service.gaps(session) == []
            assert service.verify(session) == []


def test_the_ledger_does_what_the_model_says(db: str, tmp_path: Path) -> None:
    """Runs of random deeds; HOVEDBOK_EXAMPLES and HOVEDBOK_STEPS make more and longer ones."""
    Bookkeeper.key = open_signer(tmp_path / "seal-key")
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Bookkeeper,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
