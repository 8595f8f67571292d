"""A year of a clerk's deeds drawn from a seed, over a line that is cut, held against the model.

Requests wait in a mailbox: they are delivered late, in another order, and more than once. A client
whose line is cut tries again, or gives up and looks later whether its deed was done. Whatever was
drawn, `check` compares the whole book with the model, which knows nothing of lines.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service
from ledger.db import transaction
from ledger.errors import Problem
from ledger.exchange import RATE_UNIT
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line, Posted
from ledger.service import assertions, events, rates
from ledger.service.posted import read_posted
from ledger.service.signing import Signer
from tests.conftest import register_dimensions
from tests.ledger.conftest import seal_all
from tests.ledger.crashes import CUTS, Cut, GaveUp, Saboteur, insist
from tests.ledger.model import OWN, Item, Model

FIRST = date(2025, 11, 15)
SPAN = 100  # days of a history; a year-end lies among them
ACTORS = ("anna", "berit")
LONGEST = 40  # exchanges of a deed; a cut beyond the last never comes

_T = TypeVar("_T")


@dataclass
class World:
    """One book, its model, and the clients who write to it."""

    book: str
    chance: random.Random
    saboteur: Saboteur
    key: Signer
    cut_share: float = 0.6
    span: int = SPAN
    planned: tuple[int, Cut] | None = None  # where to cut the line of the next deed, if anywhere
    passed: int = 0  # deeds to let pass before that
    exchanged: list[str] = field(default_factory=list)  # what the planned deed exchanged
    model: Model = field(default_factory=lambda: Model({2025, 2026}))
    mailbox: list[BatchDraft] = field(default_factory=list)
    asserted: list[assertions.Assertion] = field(default_factory=list)
    counter: int = 0

    def __post_init__(self) -> None:
        """Seed the book with two years and rates of the euro."""
        with transaction() as session:
            service.seed_book(session, self.book)
            register_dimensions(session, self.book)
            for year in sorted(self.model.years):
                service.open_periods(session, self.book, year)
            for days, rate in ((-30, 1165), (20, 1180), (45, 1140), (80, 1203)):
                on, rate_e8 = FIRST + timedelta(days), rate * RATE_UNIT // 100
                self.model.rates["EUR", on] = rate_e8
                rates.set_rate(
                    session, OWN, rates.Rate("EUR", on, rate_e8, "test"), actor="anna"
                )  # fmt: skip

    def ref(self) -> str:
        """A reference that was not used before."""
        self.counter += 1
        return f"{self.book}-{self.counter}"

    def day(self) -> date:
        """A day of the history."""
        return FIRST + timedelta(self.chance.randrange(self.span))

    # What is drawn ---------------------------------------------------------------------------

    def entry(self, kind: str = "") -> EntryDraft:
        """A claim, a payment or a journal, in kroner or euro, of any of three customers."""
        ref, on, amount = self.ref(), self.day(), self.chance.randint(1, 500)
        kind = kind or self.chance.choice(["claim", "claim", "payment", "payment", "journal"])
        currency = self.chance.choice([OWN, OWN, "EUR"])
        if kind == "journal":
            lines = (Line("7830", amount, currency), Line("1920", -amount, currency))
            return EntryDraft("JNL", on, on, "test", ref, "Bilag", lines)
        signed = amount if kind == "claim" else -amount
        item = ItemDraft(kind, ref, None, on, on)
        party = self.chance.randint(1, 3)
        lines = (
            Line("1500", signed, currency, party_id=party, item=item),
            Line("1920", -signed, currency),
        )
        return EntryDraft("SAL" if kind == "claim" else "PAY", on, on, "test", ref, "Bilag", lines)

    def batch(self, *entries: EntryDraft, uses: tuple[AllocationDraft, ...] = ()) -> BatchDraft:
        """A batch of this book, by one of two actors."""
        actor = self.chance.choice(ACTORS)
        return BatchDraft(self.book, "simulator", self.ref(), actor, entries, uses)

    def draw_batch(self) -> BatchDraft:
        """One entry, a few, many, or a claim with the payment that settles it."""
        size = self.chance.choice([1, 1, 2, 5, 60])
        if size != 2:
            return self.batch(*(self.entry() for _ in range(size)))
        claim, payment = self.entry("claim"), self.entry("payment")  # Perhaps of two customers.
        amount = self.chance.randint(1, 500)
        used = AllocationDraft((1, 1), (0, 1), amount, self.day(), "test")
        return self.batch(claim, payment, uses=(used,))

    def draw_allocation(self) -> BatchDraft | None:
        """Use one item against another: often fitting, sometimes not."""
        items = list(self.model.items.items())
        if len(items) < 2:
            return None
        credit, debit = self.chance.choice(items), self.chance.choice(items)
        fitting = [one for one in items if _fits(credit[1], one[1])]
        if fitting and self.chance.random() < 0.8:
            debit = self.chance.choice(fitting)
        on = max(credit[1].opened_on, debit[1].opened_on, self.day())
        amount = self.chance.choice([1, min(abs(credit[1].amount), abs(debit[1].amount)) or 1])
        return self.batch(uses=(AllocationDraft(credit[0], debit[0], amount, on, "test"),))

    # How it is sent --------------------------------------------------------------------------

    def send(self, deed: Callable[[Session], _T], *, stubborn: bool = False) -> _T | None:
        """Do a deed over a line that may be cut; None where the client gave up after a cut.

        A stubborn client never gives up.
        """
        if self.chance.random() < self.cut_share:
            self.planned = self.chance.randint(1, LONGEST), self.chance.choice(CUTS)
            stubborn = stubborn or self.chance.random() < 0.8
        else:
            stubborn = True
        if self.planned is not None and not self.passed:
            self.saboteur.arm(*self.planned)
        try:
            return insist(deed, tries=5 if stubborn else 1)
        except GaveUp:
            return None
        finally:
            if self.planned is not None and not self.passed:
                self.planned, self.exchanged = None, list(self.saboteur.exchanges)
            self.passed = max(0, self.passed - 1)
            self.saboteur.disarm()

    def deliver(
        self,
        draft: BatchDraft,
        deed: Callable[[Session], Posted | None] | None = None,
        early: type[Problem] | None = None,
    ) -> Posted | None:
        """Post a batch, or do the deed that posts it, and hold the outcome against the model's.

        Parameters
        ----------
        early : why the deed is refused before the batch is looked at, if it is.

        Returns what was posted; None where it was refused, or where the client gave up and finds
        under its reference that nothing was done.
        """
        expected = early or self.model.refusal(draft)
        known = self.model.batches.get(draft.source_ref)
        refusal = posted = None
        try:
            posted = self.send(deed or (lambda session: service.post_batch(session, draft)))
        except Problem as problem:
            refusal = type(problem)
        if refusal is not None:
            assert refusal is expected, (refusal, expected, draft)
            return None
        posted = posted or self.look_up(draft)
        if known is not None:
            assert expected is None or posted == known[1]
            assert posted is not None
            assert replace(posted, replayed=False) == known[1]
        elif posted is not None:
            assert expected is None, (expected, draft)
            self.record(draft, posted)
        return posted

    def record(self, draft: BatchDraft, posted: Posted) -> None:
        """Take in what was posted, once its numbers are the model's."""
        assert posted.vouchers == self.model.vouchers(draft)
        self.model.record(draft, replace(posted, replayed=False))

    def look_up(self, draft: BatchDraft) -> Posted | None:
        """Find what became of a reference."""
        with transaction() as session:
            found = session.scalar(
                text("SELECT batch_id FROM posting_batch"
                     " WHERE source_system = :system AND source_ref = :ref"),
                {"system": draft.source_system, "ref": draft.source_ref},
            )  # fmt: skip
            return None if found is None else read_posted(session, found, replayed=False)

    # Whether all of it is in the books -------------------------------------------------------

    def check(self) -> None:
        """Compare the book with the model, whole: the clocks, numbers, events and retries."""
        self.saboteur.disarm()
        seal_all(self.key)
        self.check_sums(FIRST + timedelta(SPAN // 2))
        model, book = self.model, self.book
        with transaction() as session:
            self._check_events(session)
            checks = assertions.check_assertions(session, book)
            assert {c.assertion for c in checks} == set(self.asserted)
            for check in checks:
                on, account = check.assertion.effective_date, check.assertion.account
                held = model.balances(on, None).get((account, OWN), (0, 0))
                assert check.actual_minor == held[0]
            posted = session.scalars(
                text("SELECT source_ref FROM posting_batch JOIN book USING (book_id)"
                     " WHERE code = :book ORDER BY batch_id"), {"book": book},
            ).all()  # fmt: skip
            assert sorted(posted) == sorted(model.batches)
            for draft, known in model.batches.values():
                assert read_posted(session, known.batch_id, replayed=False) == known
                if draft.source_system == "simulator":
                    again = service.post_batch(session, draft)
                    assert again == replace(known, replayed=True)

    def check_sums(self, *days: date) -> None:
        """Compare balances, open items and the control account, now and at the end of days."""
        model, book = self.model, self.book
        with transaction() as session:
            for day in (None, *days):
                rows = service.trial_balance(session, book, day)
                told = {(r.account, r.currency): (r.balance_minor, r.base_minor) for r in rows}
                assert told == model.balances(day, None)
                items = service.open_items(session, book, day)
                left = {item.open_item_id: item.outstanding_minor for item in items}
                assert left == model.outstanding(day, None)
                control = service.control_balance(session, book, ["1500"], day)
                assert control == sum(left.values())

    def _check_events(self, session: Session) -> None:
        told = events.events_after(session, self.book, 0, events.LIMIT_MAX)
        places = [event.position for event in told]
        assert places == sorted(set(places))
        assert [event.event_type for event in told] == ["batch.posted"] * len(told)
        batches = {posted.batch_id: ref for ref, (_, posted) in self.model.batches.items()}
        assert {event.batch_id: event.content["source_ref"] for event in told} == batches


def _fits(credit: Item, debit: Item) -> bool:
    ours = credit.account, credit.currency, credit.party
    return ours == (debit.account, debit.currency, debit.party) and credit.amount < 0 < debit.amount
