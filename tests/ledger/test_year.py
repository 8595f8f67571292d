"""A year of trade: on every day the items of each customer are the lines of each customer.

And what must not change the books does not: how batches are split, in which order they arrive, how
late, and what is added and taken back again.
"""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service
from ledger.db import transaction
from ledger.journal import BatchDraft, EntryDraft
from ledger.service import revaluation
from ledger.service.events import last_position
from ledger.service.signing import open_signer
from tests.ledger import deeds
from tests.ledger.conftest import seal_all
from tests.ledger.crashes import Saboteur
from tests.ledger.simulator import FIRST, World

YEAR = 365
MONTHS = 12
A_MONTH = int(os.environ.get("HOVEDBOK_DEEDS", "8"))
SEED = int(os.environ.get("HOVEDBOK_SEED", "1"))

# By currency and customer. [minor units]
Sums = dict[tuple[str, int], int]
# What an open-item list says: item, left of it, in its order.
Listed = list[tuple[int, int]]


@pytest.mark.timeout(900)
def test_items_are_the_control_account_on_every_day_of_a_year(
    saboteur: Saboteur, tmp_path: Path
) -> None:
    """Per customer and currency; and what was told once is told again when asked as of then."""
    key = open_signer(tmp_path / "seal-key")
    world = World("NO01", random.Random(SEED), saboteur, key, cut_share=0, span=YEAR)
    told: dict[tuple[int, date], Listed] = {}
    trade = (deeds.post, deeds.allocate, deeds.undo, deeds.reverse, deeds.write_off)
    for month in range(MONTHS):
        for deed in world.chance.choices(trade, (3, 4, 2, 1, 1), k=A_MONTH):
            deed(world)
        end = FIRST + timedelta(30 * month + 29)
        deeds.realise(world, end)
        deeds.adjust(world, end)
        seal_all(key)
        with transaction() as session:
            assert revaluation.realised(session, "NO01", end) == []
            assert revaluation.unrealised(session, "NO01", end) == []
            known = last_position(session)
            for day in (end, FIRST + timedelta(YEAR)):
                told[known, day] = _listed(session, day, known)
    world.check()
    assert {use.amount > 0 for use in world.model.uses} == {True, False}, "nothing was undone"
    with transaction("auditor") as session:
        lines = _lines(session)
        for day in (FIRST + timedelta(n) for n in range(YEAR + 1)):
            assert _items(session, day) == _summed(lines, day), day
        for (known, day), before in told.items():
            assert _listed(session, day, known) == before
        assert service.verify(session) == []


def _listed(session: Session, day: date, known: int) -> Listed:
    items = service.open_items(session, "NO01", day, known_as_of=known)
    return [(item.open_item_id, item.outstanding_minor) for item in items]


def _items(session: Session, day: date) -> Sums:
    sums: Sums = Counter()
    for item in service.open_items(session, "NO01", day):
        assert item.party_id is not None
        assert 0 < abs(item.outstanding_minor) <= abs(item.original_minor)
        assert (item.outstanding_minor > 0) == (item.original_minor > 0)
        sums[item.currency, item.party_id] += item.outstanding_minor
    return {where: amount for where, amount in sums.items() if amount}


def _lines(session: Session) -> Sequence[tuple[date, str, int, int]]:
    rows = session.execute(
        text(
            "SELECT effective_date, l.currency, party_id, amount_minor FROM journal_line l"
            " JOIN account USING (account_id) WHERE number = '1500'"
        )
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def _summed(lines: Sequence[tuple[date, str, int, int]], day: date) -> Sums:
    sums: Sums = Counter()
    for on, currency, party, amount in lines:
        if on <= day:
            sums[currency, party] += amount
    return {where: amount for where, amount in sums.items() if amount}


# What must not change the books -----------------------------------------------------------------

Books = tuple[object, ...]


def _books(book: str) -> Books:
    """What a book says, whatever its entries are numbered: balances and items, by day."""
    told: list[object] = []
    with transaction() as session:
        for day in (FIRST + timedelta(n) for n in range(0, 120, 7)):
            rows = service.trial_balance(session, book, day)
            told.append([(r.account, r.currency, r.balance_minor, r.base_minor) for r in rows])
            items = service.open_items(session, book, day)
            told.append(sorted((i.document_ref, i.currency, i.outstanding_minor) for i in items))
    return tuple(told)


def _numbers(book: str) -> dict[str, list[int]]:
    with transaction() as session:
        rows = session.execute(
            text(
                "SELECT s.code || '/' || fiscal_year, voucher_no FROM journal_entry e"
                " JOIN voucher_series s USING (series_id) JOIN book b ON b.book_id = e.book_id"
                " WHERE b.code = :book"
            ),
            {"book": book},
        )
        numbers: dict[str, list[int]] = defaultdict(list)
        for series, number in rows:
            numbers[series].append(number)
    return {series: sorted(of_series) for series, of_series in numbers.items()}


def _post(book: str, parts: Sequence[Sequence[EntryDraft]]) -> None:
    for number, entries in enumerate(parts):
        named = tuple(replace(e, source_ref=f"{book}/{e.source_ref}") for e in entries)
        with transaction() as session:
            service.post_batch(session, BatchDraft(book, "year", f"{book}/{number}", "x", named))


def test_how_entries_arrive_changes_no_balance(saboteur: Saboteur, tmp_path: Path) -> None:
    """One batch, many, one by one, in any order, backdated: each day's books are the same."""
    key = open_signer(tmp_path / "seal-key")
    chance = random.Random(SEED)
    worlds = {
        name: World(name, random.Random(SEED), saboteur, key, cut_share=0)
        for name in ("WHOLE", "SPLIT", "SINGLE", "SHUFFLED", "LATEST")
    }
    entries = [worlds["WHOLE"].entry() for _ in range(40)]
    shuffled = chance.sample(entries, len(entries))
    latest_first = sorted(entries, key=lambda entry: entry.effective_date, reverse=True)
    _post("WHOLE", [entries])
    _post("SPLIT", [entries[:7], entries[7:30], entries[30:]])
    _post("SINGLE", [[entry] for entry in entries])
    _post("SHUFFLED", [shuffled[:20], shuffled[20:]])
    _post("LATEST", [[entry] for entry in latest_first])
    whole = _books("WHOLE")
    for book in worlds:
        assert _books(book) == whole, book
        # The numbers are given in another order, and are the same numbers, without a gap.
        assert _numbers(book) == _numbers("WHOLE"), book
    with transaction("auditor") as session:
        assert service.verify(session) == []


def test_what_is_added_and_taken_back_leaves_nothing(saboteur: Saboteur, tmp_path: Path) -> None:
    """From the day of the reversals on; every entry of a book reversed sums to nothing."""
    key = open_signer(tmp_path / "seal-key")
    world = World("NO01", random.Random(SEED), saboteur, key, cut_share=0)
    kept, passing = ([world.entry() for _ in range(15)] for _ in range(2))
    _post("NO01", [kept])
    before = _books("NO01")[-2:]
    with transaction() as session:
        posted = service.post_batch(
            session, BatchDraft("NO01", "year", "passing", "x", tuple(passing))
        )
        for entry_id in posted.entry_ids:
            service.reverse_entry(session, entry_id, reason="x", actor="x")
    after = _books("NO01")[-2:]
    assert [row for row in after[0] if row[2] or row[3]] == [  # type: ignore[attr-defined]
        row
        for row in before[0]
        if row[2] or row[3]  # type: ignore[attr-defined]
    ]
    assert after[1] == before[1]
    with transaction() as session:
        rest = session.scalars(
            text(
                "SELECT entry_id FROM journal_entry e WHERE entry_type <> 'reversal' AND NOT EXISTS"
                " (SELECT FROM journal_entry r WHERE r.reverses_entry_id = e.entry_id)"
            )
        ).all()
        for entry_id in rest:
            service.reverse_entry(session, entry_id, reason="x", actor="x")
        rows = service.trial_balance(session, "NO01")
        assert {(row.balance_minor, row.base_minor) for row in rows} == {(0, 0)}
        assert service.open_items(session, "NO01") == []
    with transaction("auditor") as session:
        assert service.verify(session) == []
