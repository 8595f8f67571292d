"""Reading the books: statements by pages, and the same figures however they are asked for."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from ledger import refusals, service
from ledger.cursors import CursorInvalid, read_cursor, write_cursor
from ledger.db import transaction
from ledger.journal import BatchDraft, EntryDraft, ItemDraft, Line
from ledger.service.reading.statement import StatementMoved

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

BOOK, FIRST = "NO01", date(2026, 3, 1)
# A batch: entries of a day and lines on 1500 (party and amount), each balanced on 1920.
LINES = st.lists(st.tuples(st.integers(1, 2), st.integers(-9, 9).filter(bool)), min_size=1,
                 max_size=4)  # fmt: skip
BATCHES = st.lists(st.lists(st.tuples(st.integers(0, 40), LINES), min_size=1, max_size=3),
                   min_size=1, max_size=6)  # fmt: skip


def entry(ref: str, day: date, moves: list[tuple[int, int]]) -> EntryDraft:
    """An entry of claims on 1500, balanced on 1920, each with a dimension of its own."""
    lines = []
    for party, amount in moves:
        item = ItemDraft("claim", ref, None, day, day)
        dimensions = {"area": "odd" if amount % 2 else "even"}
        lines += [
            Line("1500", amount, party_id=party, item=item, dimensions=dimensions),
            Line("1920", -amount),
        ]
    return EntryDraft("JNL", day, day, "test", ref, "Bilag", tuple(lines))


def post(session: Session, ref: str, *entries: EntryDraft) -> None:
    """Post a batch of the source system 'test'."""
    service.post_batch(session, BatchDraft(BOOK, "test", ref, "tester", entries))


def read_all(session: Session, limit: int, **wanted: Any) -> list[service.StatementLine]:
    """Follow a statement to its end; the pages must join."""
    lines: list[service.StatementLine] = []
    after, met = None, None
    while True:
        page = service.account_statement(session, BOOK, "1500", after=after, limit=limit, **wanted)
        assert len(page.lines) <= limit
        if wanted.get("newest"):
            assert met in {None, page.closing_minor.get("NOK", 0)}
            lines[:0], met = page.lines, page.opening_minor.get("NOK", 0)
        else:
            assert met in {None, page.opening_minor.get("NOK", 0)}
            lines += page.lines
            met = page.closing_minor.get("NOK", 0)
        after = page.next_cursor
        if after is None:
            return lines
        assert page.lines


@settings(max_examples=25, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    batches=BATCHES, limit=st.integers(1, 5), newest=st.booleans(),
    party=st.sampled_from([None, 1, 2]), first=st.sampled_from([None, 10]),
    last=st.sampled_from([None, 25]),
)  # fmt: skip
def test_pages_of_any_size_are_the_whole_statement(
    books: str, batches: Any, limit: int, newest: bool, party: int | None, first: int | None,
    last: int | None,
) -> None:  # fmt: skip
    """From either end, for a party or all, in any span of days: what a sorted list says."""
    with Session(service_engine()) as session:
        model = []
        for number, batch in enumerate(batches):
            entries = [
                entry(f"{number}-{place}", FIRST + timedelta(day), moves)
                for place, (day, moves) in enumerate(batch)
            ]
            post(session, f"b-{number}", *entries)
            for place, (day, moves) in enumerate(batch):
                for line, (of_party, amount) in enumerate(moves):
                    model.append((day, number, place, line, of_party, amount))
        model = sorted(x for x in model if party in {None, x[4]} and (last is None or x[0] <= last))
        expected, balance = [], 0
        for day, _, _, _, _, amount in model:
            balance += amount
            if first is None or day >= first:
                expected.append((FIRST + timedelta(day), amount, balance))
        wanted = {
            "party_id": party, "newest": newest,
            "first_day": None if first is None else FIRST + timedelta(first),
            "effective_as_of": None if last is None else FIRST + timedelta(last),
        }  # fmt: skip
        lines = read_all(session, limit, **wanted)
        assert [(x.effective_date, x.amount_minor, x.balance_minor) for x in lines] == expected
        session.rollback()


def service_engine() -> Any:
    """The engine of the service role."""
    from ledger.db import engine

    return engine()


def test_a_statement_that_changed_before_its_cursor_says_so(session: Session, books: str) -> None:
    """Pages that no longer add up are refused; a line after the place is on the next page."""
    for number in range(4):
        post(session, f"b-{number}", entry(f"{number}", FIRST + timedelta(number), [(1, 5)]))
    first = service.account_statement(session, BOOK, "1500", limit=2)
    post(session, "late", entry("late", FIRST + timedelta(3), [(2, 7)]))
    rest = service.account_statement(session, BOOK, "1500", limit=2, after=first.next_cursor)
    assert [x.balance_minor for x in rest.lines] == [15, 20]
    assert rest.next_cursor is not None
    post(session, "early", entry("early", FIRST, [(2, 7)]))
    with pytest.raises(StatementMoved, match="posted to before"):
        service.account_statement(session, BOOK, "1500", limit=2, after=first.next_cursor)


def test_a_cursor_belongs_to_one_list(session: Session, books: str) -> None:
    """With another account, span or direction, cut or changed, it is refused."""
    for number in range(3):
        post(session, f"b-{number}", entry(f"{number}", FIRST, [(1, 5)]))
    cursor = service.account_statement(session, BOOK, "1500", limit=1).next_cursor
    assert cursor is not None
    edited = cursor[:30] + ("B" if cursor[30] == "A" else "A") + cursor[31:]
    wrong: list[tuple[str, dict[str, Any]]] = [
        (cursor, {"first_day": FIRST}), (cursor, {"newest": True}), (cursor, {"party_id": 1}),
        (cursor[:-4], {}), ("", {}), ("æ", {}), (edited, {}),
    ]  # fmt: skip
    for given_cursor, more in wrong:
        with pytest.raises(CursorInvalid):
            service.account_statement(session, BOOK, "1500", after=given_cursor, **more)
    with pytest.raises(CursorInvalid):
        service.account_statement(session, BOOK, "1920", after=cursor)


@given(st.lists(st.one_of(st.none(), st.integers(), st.text()), max_size=5), st.text(max_size=8))
def test_cursors_come_back_as_they_went(place: list[str | int | None], book: str) -> None:
    """Any place survives the journey through a URL."""
    cursor = write_cursor(place, {"book": book})
    assert cursor.isascii()
    assert read_cursor(cursor, {"book": book}) == place
    with pytest.raises(CursorInvalid):
        read_cursor(cursor, {"book": f"{book}x"})


def test_zero_is_a_balance(session: Session, books: str, drafts: Drafts) -> None:
    """An account whose postings cancel out is listed; one without postings is not."""
    service.post_batch(session, drafts.batch("b", drafts.journal("j", ("1920", 5), ("2400", -5))))
    service.post_batch(session, drafts.batch("c", drafts.journal("k", ("1920", -5), ("2400", 5))))
    rows = service.trial_balance(session, BOOK)
    assert [(row.account, row.balance_minor) for row in rows] == [("1920", 0), ("2400", 0)]
    assert [row.debit_minor for row in rows] == [5, 5]


def test_an_account_that_does_not_exist_has_no_statement(session: Session, books: str) -> None:
    """An unknown account is refused, an unused one is empty and of zero."""
    with pytest.raises(refusals.UnknownAccount):
        service.account_statement(session, BOOK, "0000")
    page = service.account_statement(session, BOOK, "1921")
    assert (page.lines, page.opening_minor, page.next_cursor) == ((), {}, None)


def test_a_snapshot_sees_one_moment(books: str, drafts: Drafts) -> None:
    """What is committed while a report runs is not in any part of it."""
    with transaction("auditor") as reader:
        service.hold_snapshot(reader)
        assert service.trial_balance(reader, BOOK) == []
        with transaction() as writer:
            service.post_batch(writer, drafts.batch("b-1", drafts.invoice("i-1")))
        assert service.trial_balance(reader, BOOK) == []
