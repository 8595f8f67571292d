"""Balances from folded months, at any two clocks, against a list of lines filtered by hand."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service
from ledger.db import transaction
from ledger.journal import BatchDraft, EntryDraft, Line
from ledger.service.reading.turnover import fold_job
from ledger.service.signing import Signer, open_signer
from ledger.service.verify import verification_steps
from tests.ledger.conftest import BOOK, seal_all

FIRST, DAYS = date(2026, 1, 1), 150
# What was posted: (seal position, day, account, amount).
Facts = list[tuple[int, date, str, int]]


@pytest.fixture(name="key")
def _key(tmp_path: Path) -> Signer:
    """A sealing key of this test."""
    return open_signer(tmp_path / "seal-key")


def post(draws: random.Random, number: int) -> Facts:
    """Post a batch of random days over five months, as one batch of seal position `number`."""
    entries, facts = [], []
    for place in range(draws.randrange(1, 5)):
        on = FIRST + timedelta(draws.randrange(DAYS))
        amount = draws.randrange(1, 10_000)
        debit, credit = draws.sample(("1920", "1940", "4300"), 2)
        lines = (Line(debit, amount), Line(credit, -amount))
        entries.append(EntryDraft("JNL", on, on, "test", f"{number}-{place}", "Bilag", lines))
        facts += [(number, on, line.account, line.amount_minor) for line in lines]
    with transaction() as session:
        service.post_batch(session, BatchDraft(BOOK, "test", f"{number}", "tester", tuple(entries)))
    return facts


def history(seed: int, key: Signer) -> Facts:
    """Thirty batches, sealed and folded now and then; the last ones are neither."""
    draws, facts = random.Random(seed), Facts()
    for number in range(1, 31):
        facts += post(draws, number)
        if number <= 26:
            seal_all(key)
        if number <= 22 and draws.random() < 0.4:
            with transaction() as session:
                assert service.fold_balances(session, BOOK, least_deltas=1) > 0
    return facts


def expected(
    facts: Facts, first: date | None, last: date | None, known: int | None
) -> dict[str, tuple[int, int]]:
    """Debit and credit of every account with a line that counts."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for position, on, account, amount in facts:
        within = (first is None or first <= on) and (last is None or on <= last)
        if within and (known is None or position <= known):
            sums[account][0 if amount > 0 else 1] += abs(amount)
    return {account: (debit, credit) for account, (debit, credit) in sums.items()}


def read(
    session: Session, first: date | None, last: date | None, known: int | None
) -> dict[str, tuple[int, int]]:
    """The same from the ledger."""
    rows = service.trial_balance(session, BOOK, last, known, first_day=first)
    assert all(row.base_minor == row.balance_minor for row in rows)
    return {row.account: (row.debit_minor, row.credit_minor) for row in rows}


def test_any_two_days_at_any_position(books: str, key: Signer) -> None:
    """Folds, cut months, batches backdated after a fold and unsealed ones: each counts once."""
    facts = history(20261129, key)
    draws = random.Random(1)
    days = [None, FIRST, date(2026, 1, 31), date(2026, 2, 1), date(2026, 3, 31), date.max]
    days += [FIRST + timedelta(draws.randrange(DAYS)) for _ in range(12)]
    with transaction() as session:
        folds = session.scalar(text("SELECT count(DISTINCT position) FROM balance_month"))
        assert (folds or 0) > 3
        for _ in range(300):
            first, last = draws.choice(days), draws.choice(days)
            known = draws.choice([None, *range(27)])
            found = read(session, first, last, known)
            assert found == expected(facts, first, last, known), (first, last, known)
        for known in (None, *range(27)):
            counted = [on for position, on, *_ in facts if known is None or position <= known]
            for by in days:
                last_day = service.last_effective_date(session, BOOK, known, by=by)
                assert last_day == max((on for on in counted if not by or on <= by), default=None)


def test_the_last_day_by_a_day_in_the_midst_of_a_folded_month(books: str, key: Signer) -> None:
    """All postings of the month may lie on later days: then one of an earlier month is the last."""
    for number, day in enumerate((date(2026, 2, 10), date(2026, 3, 20))):
        lines = (Line("1920", 1), Line("7830", -1))
        entry = EntryDraft("JNL", day, day, "test", f"{number}", "Bilag", lines)
        with transaction() as session:
            service.post_batch(session, BatchDraft(BOOK, "test", f"b-{number}", "tester", (entry,)))
    seal_all(key)
    with transaction() as session:
        assert service.fold_balances(session, BOOK, least_deltas=1) == 4
        last_day = service.last_effective_date(session, BOOK, by=date(2026, 3, 15))
        assert last_day == date(2026, 2, 10)


def test_a_statement_opens_with_what_was_folded(books: str, key: Signer) -> None:
    """Running balances of all pages equal the sums by hand, across folded months."""
    facts = history(7, key)
    for known in (None, 10, 26):
        ordered = [
            amount for position, on, account, amount in sorted(facts, key=lambda f: (f[1], f[0]))
            if account == "1920" and (known is None or position <= known)
        ]  # fmt: skip
        found, cursor = [], None
        with transaction() as session:
            while True:
                page = service.account_statement(
                    session, BOOK, "1920", known_as_of=known, after=cursor, limit=7
                )
                assert page.opening_minor.get("NOK", 0) == sum(found)
                found += [line.amount_minor for line in page.lines]
                assert page.lines[-1].balance_minor == sum(found)
                cursor = page.next_cursor
                if cursor is None:
                    break
        assert sorted(found) == sorted(ordered)


def test_a_fold_waits_until_it_is_worth_it(books: str, key: Signer) -> None:
    """Too few deltas, or none sealed since the last fold: nothing is written."""
    post(random.Random(3), 1)
    with transaction() as session:
        assert service.fold_balances(session, BOOK, least_deltas=1) == 0  # Not sealed yet.
    seal_all(key)
    fold_job()
    with transaction() as session:
        assert not session.scalar(text("SELECT count(*) FROM balance_month"))
        assert service.fold_balances(session, BOOK, least_deltas=1) > 0
        assert service.fold_balances(session, BOOK, least_deltas=1) == 0


def test_verify_rebuilds_every_fold(books: str, key: Signer) -> None:
    """Folds of several histories are what their deltas come to."""
    history(11, key)
    folded = dict(verification_steps())["folded month"]
    with transaction() as session:
        assert list(folded(session)) == []
