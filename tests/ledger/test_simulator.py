"""Deeds over a line that is cut between any two statements: nothing lost, doubled or half done."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from datetime import date
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger import service
from ledger.db import transaction
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line
from ledger.periods import MODULES
from ledger.service import closing, year_end
from ledger.service.signing import open_signer
from tests.ledger import deeds
from tests.ledger.crashes import CUTS, Cut, Saboteur
from tests.ledger.simulator import World

SIMULATIONS = int(os.environ.get("HOVEDBOK_SIMULATIONS", "8"))
EVERY_CUT = "HOVEDBOK_SIMULATIONS" in os.environ
SEED = int(os.environ.get("HOVEDBOK_SEED", time.time_ns() % 100_000))
PER_DATABASE = 4  # Sealing and verify read the master data of every book of a database.
JANUARY = date(2026, 1, 15)
FEBRUARY = date(2026, 2, 10)  # at another rate of the euro
BOOKS = count(1)

Step = Callable[[World], None]


def _verify() -> None:
    with transaction("auditor") as session:
        assert service.gaps(session) == []
        assert service.verify(session) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, SIMULATIONS, PER_DATABASE))
def test_histories_with_crashes_end_as_the_model_says(
    first: int, saboteur: Saboteur, tmp_path: Path
) -> None:
    """HOVEDBOK_SIMULATIONS histories from HOVEDBOK_SEED on, each in a book of its own.

    Each is held against its model when it ends. Facts are only added, so the proof of the whole
    database finds afterwards what is wrong in any of its books.
    """
    key = open_signer(tmp_path / "seal-key")
    for number in range(first, min(first + PER_DATABASE, SIMULATIONS)):
        print(f"HOVEDBOK_SEED={SEED + number}")
        world = World(f"S{next(BOOKS):05d}", random.Random(SEED + number), saboteur, key)
        deeds.live(world)
    _verify()
    assert saboteur.cuts > 0 or SIMULATIONS < PER_DATABASE  # A single one may have met none.


# Every statement boundary ----------------------------------------------------------------------


def _claim(
    world: World, amount: int, currency: str = "EUR", on: date = JANUARY
) -> EntryDraft:  # fmt: skip
    """A claim, or a payment where the amount is negative, with dimensions."""
    ref = world.ref()
    item = ItemDraft("invoice", ref, None, on, on)
    lines = (
        Line("1500", amount, currency, party_id=1, item=item),
        Line("1920", -amount, currency, dimensions={"product": f"p{world.counter}"}),
    )
    return EntryDraft("SAL", on, on, "test", ref, "Bilag", lines)


def _use(world: World) -> AllocationDraft:
    """Post a claim and its payment at another rate; the use of the one against the other."""
    payment = _claim(world, -300, on=FEBRUARY)
    posted = world.deliver(world.batch(_claim(world, 500), payment))
    assert posted is not None
    debit, credit = posted.open_item_ids[0, 1], posted.open_item_ids[1, 1]
    return AllocationDraft(credit, debit, 200, FEBRUARY, "test")


def _deliver(draft_of: Callable[[World], BatchDraft]) -> Callable[[World], Step]:
    def prepare(world: World) -> Step:
        draft = draft_of(world)

        def step(again: World) -> None:
            assert again.deliver(draft) is not None

        return step

    return prepare


def _settled_at_once(world: World) -> BatchDraft:
    used = AllocationDraft((1, 1), (0, 1), 200, JANUARY, "test")
    return world.batch(_claim(world, 500), _claim(world, -300), uses=(used,))


def _undo(world: World) -> Step:
    world.deliver(world.batch(uses=(_use(world),)))
    use = world.model.uses[-1]
    return lambda w: deeds.undo(w, use)


def _reverse(world: World) -> Step:
    world.deliver(world.batch(_claim(world, 500)))
    fact = world.model.facts[-1]
    return lambda w: deeds.reverse(w, fact)


def _judge(world: World) -> Step:
    world.passed = 1  # The writing of the draft; what is cut is its approval.
    return deeds.approve


def _revalue(deed: Callable[[World, date], None]) -> Callable[[World], Step]:
    def prepare(world: World) -> Step:
        world.deliver(world.batch(uses=(_use(world),)))
        return lambda w: deed(w, FEBRUARY)

    return prepare


def _except(world: World) -> Step:
    for module in deeds.MODULES:
        for period in deeds.PERIODS:
            if (period, module) not in world.model.locks:
                deeds.lock(world, "soft", period, module)
    return deeds.leave


def _let_seals_pass() -> None:
    """Wait until nobody who was cut off holds the horizon: what is certain then stays so."""
    deadline = time.monotonic() + 60
    while True:
        with transaction() as session:
            lag = service.sealing_lag(session)
        if not lag.held_batches:
            return
        assert time.monotonic() < deadline, lag
        time.sleep(0.05)


def _seal(world: World) -> Step:
    world.deliver(world.batch(_claim(world, 500)))
    _let_seals_pass()
    return deeds.seal


def _fold(world: World) -> Step:
    _seal(world)
    deeds.seal(world)
    return deeds.fold


def _close_month(world: World) -> Step:
    """Close the first month again: it is opened before, and nothing was posted in it."""
    period, who = "2025-01", {"actor": "x", "reason": "x"}
    _let_seals_pass()
    deeds.seal(world)
    with transaction() as session:
        closing.reopen_modules(session, world.book, period, **who)
        kept = len(closing.list_checklists(session, world.book, period, limit=1000))

    def step(again: World) -> None:
        again.send(
            lambda session: closing.close_period(
                session, again.book, period, level="soft", actor="x"
            ),
            stubborn=True,
        )
        with transaction() as session:
            states = service.period_states(session, again.book)
            levels = {one.level for one in states if one.period == period}
            evidence = closing.list_checklists(session, again.book, period, limit=1000)
        assert (levels, len(evidence)) == ({"soft"}, kept + 1)

    return step


def _close_year(world: World) -> Step:
    """Close the year 2025 of another book; a second call finds the first."""
    other = World(f"Y{next(BOOKS):05d}", random.Random(1), world.saboteur, world.key, cut_share=0)
    day = date(2025, 12, 15)
    lines = (Line("7830", 700), Line("1920", -700))
    entry = EntryDraft("JNL", day, day, "test", other.ref(), "Bilag", lines)
    other.deliver(other.batch(entry))
    with transaction() as session:
        for month in range(1, 13):
            for module in MODULES:
                service.lock_period(
                    session, other.book, f"2025-{month:02d}", module=module, level="soft",
                    actor="x", reason="x",
                )  # fmt: skip

    def step(again: World) -> None:
        again.send(
            lambda session: year_end.close_year(session, other.book, 2025, actor="x"),
            stubborn=True,
        )
        with transaction() as session:
            year = year_end.read_year(session, other.book, 2025)
            made = session.scalar(
                text("SELECT count(*) FROM journal_entry JOIN book USING (book_id)"
                     " WHERE code = :book AND entry_type = 'year_end'"), {"book": other.book},
            )  # fmt: skip
        assert year.closed_by is not None
        assert (made, year.result_minor) == (1, -700)

    return step


# Each prepares what a deed needs and gives the deed, of which every exchange is then cut once.
SCENARIOS: dict[str, Callable[[World], Step]] = {
    "post one": _deliver(lambda w: w.batch(_claim(w, 500, "NOK"))),
    "post a batch": _deliver(_settled_at_once),
    "post many": _deliver(lambda w: w.batch(*(_claim(w, n) for n in range(1, 40)))),
    "allocate": _deliver(lambda w: w.batch(uses=(_use(w),))),
    "undo": _undo,
    "reverse": _reverse,
    "draft": lambda _: deeds.approve,
    "approve": _judge,
    "realise": _revalue(deeds.realise),
    "adjust": _revalue(deeds.adjust),
    "assert": lambda _: deeds.say,
    "seal": _seal,
    "fold": _fold,
    "close a month": _close_month,
    "close a year": _close_year,
    "lock": lambda _: lambda w: deeds.lock(w, "soft"),
    "reopen": lambda _: lambda w: deeds.lock(w, "open"),
    "exception": _except,
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_cut_at_every_statement_boundary(name: str, saboteur: Saboteur, tmp_path: Path) -> None:
    """A deed is cut at its first exchange, its second, and so on to its last; then retried.

    Cutting after one exchange is cutting before the next. With HOVEDBOK_SIMULATIONS every boundary
    is cut in every way; else the commit is, and of the others those of this seed, a third of them.
    """
    key = open_signer(tmp_path / "seal-key")
    world = World("NO01", random.Random(1), saboteur, key, cut_share=0)
    _do(world, SCENARIOS[name])  # The first time fills caches, and exchanges more than any later.
    exchanges = _do(world, SCENARIOS[name])
    for at, exchange in enumerate(exchanges, 1):
        for cut in _cuts(at, exchange):
            before = saboteur.cuts
            _do(world, SCENARIOS[name], at, cut)
            assert saboteur.cuts == before + 1
            world.check_sums()
    assert "_commit_gen" in exchanges
    print(f"{name}: {len(exchanges)} exchanges")
    world.check()
    _verify()


def _cuts(at: int, exchange: str) -> Sequence[Cut]:
    if EVERY_CUT or exchange == "_commit_gen":
        return CUTS
    return (CUTS[at // 3 % 3],) if (at + SEED) % 3 == 0 else ()


def _do(
    world: World, prepare: Callable[[World], Step], at: int = 10**6, cut: Cut = "before"
) -> list[str]:
    """Prepare a deed and do it while its line is cut; says what it exchanged with the database."""
    world.chance = random.Random(1)
    step = prepare(world)
    world.chance, world.planned = random.Random(1), (at, cut)
    step(world)
    return world.exchanged
