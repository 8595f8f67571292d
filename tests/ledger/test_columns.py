"""Batches in columns against the words of `ledger.journal`: the same octets, the same verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.columns import (
    check_columns,
    columns_of,
    content_hash,
    entry_bodies,
    entry_hashes,
    texts_of,
    totals,
)
from ledger.columns.octets import buffer, ends
from ledger.columns.rules import is_sound
from ledger.encoding import encode_entry, entry_hash, request_hash
from ledger.errors import Problem
from ledger.journal import (
    MAX_AMOUNT,
    AllocationDraft,
    BatchDraft,
    EntryDraft,
    ItemDraft,
    Line,
    check_batch,
    totals_of,
)
from ledger.refusals import MalformedEntry
from tests.ledger.nasty import LETTERS

DAYS = st.dates(date(2000, 1, 1), date(2999, 12, 31))
WORDS = st.text(LETTERS, max_size=9)
NAMES = WORDS.filter(bool)
AMOUNTS = st.one_of(st.integers(-9, 9), st.integers(1 - MAX_AMOUNT, MAX_AMOUNT - 1))
ITEMS = st.builds(ItemDraft, NAMES, WORDS, st.none() | WORDS, DAYS, DAYS)
DIMENSIONS = st.none() | st.dictionaries(st.sampled_from("ab"), st.sampled_from("xyz"))
LINES = st.builds(
    Line, account=WORDS, amount_minor=AMOUNTS.filter(bool),
    currency=st.sampled_from(["NOK", "EUR"]), party_id=st.none() | st.integers(1, 2**40),
    vat_code=st.none() | WORDS, tax_base_minor=st.none() | AMOUNTS, dimensions=DIMENSIONS,
    item=st.none() | ITEMS, text=st.none() | WORDS, base_minor=st.none() | AMOUNTS,
)  # fmt: skip
SIDES = st.integers(0, 2**60) | st.tuples(st.integers(0, 9), st.integers(1, 9))
ALLOCATIONS = st.builds(AllocationDraft, SIDES, SIDES, st.integers(1, 10**9), DAYS, NAMES)


@st.composite
def entries(draw: st.DrawFn) -> EntryDraft:
    """Draw an entry that balances, by turning each of its lines into a pair."""
    half = draw(st.lists(LINES, min_size=1, max_size=4))
    back = (replace(x, amount_minor=-x.amount_minor, base_minor=-x.base, item=None) for x in half)
    reverses = draw(st.none() | st.integers(0, 2**60))
    return EntryDraft(
        draw(NAMES), draw(DAYS), draw(DAYS), "x" if reverses is None else "reversal", draw(NAMES),
        draw(WORDS), (*half, *back), draw(st.none() | WORDS), reverses,
    )  # fmt: skip


BATCHES = st.builds(
    BatchDraft, NAMES, NAMES, NAMES, NAMES,
    st.lists(entries(), min_size=1, max_size=4).map(tuple),
    st.lists(ALLOCATIONS, max_size=3).map(tuple),
)  # fmt: skip


@given(BATCHES)
def test_columns_encode_and_hash_as_each_entry_does(draft: BatchDraft) -> None:
    """Bodies, hashes and totals of all rows at once are those of the entries one by one."""
    columns = columns_of(draft)
    check_columns(columns, draft)
    bodies = entry_bodies(columns, texts_of(columns))
    octets, places = buffer(bodies), ends(bodies)
    slow = [encode_entry(entry) for entry in draft.entries]
    assert bytes(octets[: int(places[-1])]) == b"".join(slow)
    assert entry_hashes(bodies, draft.book, draft.source_system, draft.actor) == [
        entry_hash(body, draft.book, draft.source_system, draft.actor) for body in slow
    ]
    assert content_hash(columns, bodies, draft.book) == request_hash(draft, iter(slow))
    assert totals(columns) == totals_of(draft.entries)


SPOILT: dict[str, st.SearchStrategy[object]] = {
    "amount_minor": st.sampled_from([0, 1, MAX_AMOUNT, -MAX_AMOUNT, 2**70]),
    "base_minor": st.sampled_from([0, 1, MAX_AMOUNT]),
    "currency": st.sampled_from(["", "KRON", "kr\u00f8"]),
    "party_id": st.sampled_from([MAX_AMOUNT, 2**70]),
    "text": st.just("a\0b"),
    "account": st.just("\0"),
}


@given(BATCHES, st.data())
@settings(max_examples=100)
def test_columns_are_sound_exactly_when_the_words_have_no_objection(
    draft: BatchDraft, data: st.DataObject
) -> None:
    """Whatever one line is changed to, both say the same of the batch."""
    field = data.draw(st.sampled_from(sorted(SPOILT)))
    entry = draft.entries[0]
    spoilt = replace(entry.lines[0], **{field: data.draw(SPOILT[field])})  # type: ignore[arg-type]
    changed = replace(entry, lines=(spoilt, *entry.lines[1:]))
    draft = replace(draft, entries=(changed, *draft.entries[1:]))
    if _fits(spoilt):
        assert is_sound(columns_of(draft)) == (_refused(draft) is None)
    else:
        with pytest.raises(Problem) as told:
            columns_of(draft)
        assert (type(told.value), str(told.value)) == _refused(draft)


def _fits(line: Line) -> bool:
    """Tell whether the numbers of a line fit in 64 bits, so that they can be columns at all."""
    numbers = (line.amount_minor, line.base, line.party_id or 0)
    return all(abs(number) < 2**63 for number in numbers)


def _refused(draft: BatchDraft) -> tuple[type[Problem], str] | None:
    try:
        check_batch(draft)
    except Problem as problem:
        return type(problem), str(problem)
    return None


DAY = date(2026, 3, 31)
PAIR = (Line("1920", 5), Line("2400", -5))
PLAIN = EntryDraft("JNL", DAY, DAY, "journal", "j", "", PAIR)


@pytest.mark.parametrize(
    "entry",
    [
        replace(PLAIN, lines=()),
        replace(PLAIN, source_ref=""),
        replace(PLAIN, entry_type="reversal"),
        replace(PLAIN, reverses_entry_id=1),
        replace(PLAIN, text="\ud800"),
        replace(PLAIN, lines=(replace(PAIR[0], amount_minor=5.0), PAIR[1])),
        replace(PLAIN, lines=(Line("1920", 5, item=ItemDraft("", "r", None, DAY, DAY)), PAIR[1])),
    ],
)
def test_what_the_words_refuse_is_refused_in_their_words(entry: EntryDraft) -> None:
    """An entry that cannot be is named by `check_batch`, also where no column could hold it."""
    draft = BatchDraft("NO01", "test", "b", "tester", (PLAIN, entry))
    with pytest.raises(MalformedEntry) as told:
        check_columns(columns_of(draft), draft)
    assert (type(told.value), str(told.value)) == _refused(draft)


def test_sums_that_could_leave_int64_are_left_to_exact_integers() -> None:
    """Many huge amounts may wrap to zero in int64; the exact check is asked, and has its say."""
    huge = MAX_AMOUNT - 1
    lines = tuple(Line("1920", huge if n % 2 else -huge) for n in range(20_000))
    draft = BatchDraft("NO01", "test", "b", "tester", (replace(PLAIN, lines=lines),))
    columns = columns_of(draft)
    assert not is_sound(columns)
    check_columns(columns, draft)
