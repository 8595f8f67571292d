"""Sifting against posting one by one: the same posted and the same refused, in fewer batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Conflict
from ledger.intake import Drafted
from ledger.journal import EntryDraft, Line
from ledger.service import sifting
from ledger.service.sifting import Refused, sift

OPEN, CLOSED = date(2026, 3, 1), date(2026, 2, 1)


class Savepoint:
    """Nothing stays of what was posted since, unless it comes to a good end."""

    def __init__(self, books: Books) -> None:
        self.books, self.before = books, (set(books.refs), len(books.batches))

    def rollback(self) -> None:
        """Take everything back."""
        self.books.refs = set(self.before[0])
        del self.books.batches[self.before[1] :]

    def __enter__(self) -> None:
        pass

    def __exit__(self, fault: object, *_: object) -> None:
        if fault is not None:
            self.rollback()


class Books:
    """Refuses as the books do: for the first entry only, and names what is wrong or where."""

    def __init__(self) -> None:
        self.refs: set[str] = set()
        self.batches: list[int] = []
        self.attempts = 0

    def begin_nested(self) -> Savepoint:
        """Begin what may be taken back."""
        return Savepoint(self)

    def post(self, drafted: Sequence[Drafted]) -> list[int]:
        """Give the records, or say what is wrong with one of them."""
        self.attempts += 1
        refs = [one.source_ref for one in drafted]
        for place, one in enumerate(drafted):
            lines = one.entry.lines
            if lines[0].account == "9999":
                raise Conflict("Unknown.", entry=place, line=1, account="9999")
            # An account that is not to blame is named too: most entries have it.
            if lines[0].party_id is None:
                raise Conflict("No party.", entry=place, line=1, account=lines[0].account)
            if one.entry.text == "odd":
                raise Conflict("Odd.", entry=place)
        if any(one.entry.effective_date == CLOSED for one in drafted):
            raise Conflict("Closed.", effective_date=CLOSED.isoformat(), period="2026-02")
        if any(one.entry.text == "silent" for one in drafted):
            raise Conflict("Somewhere.")
        if self.refs & set(refs) or len(set(refs)) < len(refs):
            raise Conflict("Reused.")
        self.refs |= set(refs)
        self.batches.append(len(drafted))
        return [one.record for one in drafted]


def entry(record: int, ref: str, account: str, day: date, party: int | None, text: str) -> Drafted:
    """An entry that a file has at a record."""
    lines = (Line(account, 1_00, party_id=party), Line("1920", -1_00))
    return Drafted.alone(record, EntryDraft("JNL", day, day, "import", ref, text, lines))


def sifted(
    drafted: Sequence[Drafted], most: int = 10**6
) -> tuple[list[int], dict[int, str], Books]:
    """The records that were posted, why the others were not, and the books."""
    books: Any = Books()
    found = sift(books, drafted, books.post, most)
    posted = [one for one in found if not isinstance(one, Refused)]
    refused = {one.record: str(one.problem) for one in found if isinstance(one, Refused)}
    assert len(posted) + len(refused) == len(found)
    return sorted(posted), refused, books


def one_by_one(drafted: Sequence[Drafted]) -> tuple[list[int], dict[int, str]]:
    """The slow and obvious way."""
    books, posted, refused = Books(), [], {}
    for one in drafted:
        try:
            posted += books.post([one])
        except Conflict as refusal:
            refused[one.record] = str(refusal)
    return posted, refused


@pytest.fixture(autouse=True)
def _no_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sifting, "keep_stage", lambda _session: None)


kinds = st.tuples(
    st.integers(0, 60),
    st.sampled_from(["7830", "7830", "7830", "9999"]),
    st.sampled_from([OPEN, OPEN, OPEN, CLOSED]),
    st.sampled_from([7, 7, 7, 7, None]),
    st.sampled_from(["fine"] * 6 + ["odd", "silent"]),
)


@given(st.lists(kinds, max_size=60))
def test_whatever_is_wrong_the_outcome_is_that_of_one_by_one(drawn: list[Any]) -> None:
    """Also where references come twice: the first has it."""
    drafted = [entry(record, f"r{ref}", *rest) for record, (ref, *rest) in enumerate(drawn, 1)]
    posted, refused, _ = sifted(drafted)
    assert (posted, refused) == one_by_one(drafted)


@given(st.lists(kinds, max_size=40), st.integers(0, 5))
def test_it_stops_behind_so_many(drawn: list[Any], most: int) -> None:
    """What was tried has the outcome that it would have had."""
    drafted = [entry(record, f"r{ref}", *rest) for record, (ref, *rest) in enumerate(drawn, 1)]
    _, expected = one_by_one(drafted)
    _, refused, _ = sifted(drafted, most)
    assert len(refused) == min(most, len(expected))
    assert refused.items() <= expected.items()


@pytest.mark.parametrize(
    ("spoil", "attempts"),
    [
        (lambda record: record % 30 == 7, 240),  # Two hundred accounts nobody knows, far apart.
        (lambda record: record >= 3_000, 3_100),  # A file whose second half is bad.
    ],
)
def test_what_is_alike_costs_one_attempt_each(spoil: Callable[[int], bool], attempts: int) -> None:
    """And the good ones of six thousand stay together: nothing stays of attempts on a part."""
    drafted = [
        entry(n, f"r{n}", "9999" if spoil(n) else "7830", OPEN, 7, "fine") for n in range(6_000)
    ]
    posted, refused, books = sifted(drafted)
    assert sorted([*posted, *refused]) == list(range(6_000))
    assert set(refused) == {n for n in range(6_000) if spoil(n)}
    assert books.attempts < attempts
    assert books.batches == [len(posted)]


def test_what_one_entry_lacks_is_not_held_against_all_for_long() -> None:
    """A refusal names an account that every entry has: they are good, and soon together again."""
    drafted = [
        entry(n, f"r{n}", "7830", OPEN, None if n == 1_234 else 7, "fine") for n in range(6_000)
    ]
    posted, refused, books = sifted(drafted)
    assert (len(posted), list(refused)) == (5_999, [1_234])
    assert books.attempts < 60
