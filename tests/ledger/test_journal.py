"""The pure words of double entry: balance, malformed drafts, and hashes that see every column."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.encoding import encode_entry, entry_hash, leaf_hash, request_hash
from ledger.errors import Problem
from ledger.journal import (
    AllocationDraft,
    BatchDraft,
    EntryDraft,
    ItemDraft,
    Line,
    Voucher,
    canonical_dimensions,
    check_balanced,
    check_batch,
)
from ledger.refusals import EntryNotBalanced, MalformedEntry
from ledger.unstorable import (
    EntryTooLong,
    NumberTooLarge,
    TextHoldsControl,
    TextHoldsNul,
    TextTooLong,
)

DAY = date(2026, 3, 31)
KNOWN_HASH = "426eb703e552570264d4ffafa710cf0fa2b68f3d4db5f96d957b6207fd418c1a"
ITEM = ItemDraft("invoice", "r-1", "12345", DAY, date(2026, 4, 14))
ENTRY = EntryDraft(
    "SAL", DAY, DAY, "invoice", "inv-1", "Faktura",
    (
        Line("1500", 125, party_id=7, item=ITEM),
        Line("3010", -100, vat_code="3", tax_base_minor=-100, dimensions={"a": "1", "b": "2"}),
        Line("2700", -25, text="MVA"),
    ),
)  # fmt: skip


def _batch(*entries: EntryDraft, **more: object) -> BatchDraft:
    return BatchDraft("NO01", "test", "b-1", "tester", entries, **more)  # type: ignore[arg-type]


def _with_line(position: int, **changes: object) -> EntryDraft:
    lines = list(ENTRY.lines)
    lines[position] = replace(lines[position], **changes)  # type: ignore[arg-type]
    return replace(ENTRY, lines=tuple(lines))


@given(st.lists(st.tuples(st.sampled_from(["NOK", "EUR"]), st.integers(-9, 9).filter(bool))))
def test_balance_agrees_with_a_dictionary(pairs: list[tuple[str, int]]) -> None:
    """An entry balances exactly when the sums per currency, kept by hand, are all zero."""
    lines = tuple(Line("1920", amount, currency) for currency, amount in pairs)
    sums: dict[str, int] = {}
    for currency, amount in pairs:
        sums[currency] = sums.get(currency, 0) + amount
    entry = replace(ENTRY, lines=lines)
    if any(sums.values()):
        with pytest.raises(EntryNotBalanced):
            check_balanced(entry)
    else:
        check_balanced(entry)


def test_a_base_amount_must_balance_as_well() -> None:
    """A foreign entry that is even in euro and uneven in kroner is refused."""
    lines = (Line("1920", 10, "EUR", base_minor=115), Line("2400", -10, "EUR", base_minor=-114))
    with pytest.raises(EntryNotBalanced, match=r"off by 0\.01 in the book's currency"):
        check_balanced(replace(ENTRY, lines=lines))


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (_batch(), MalformedEntry),
        (_batch(replace(ENTRY, lines=ENTRY.lines * 20_000)), EntryTooLong),
        (_batch(replace(ENTRY, lines=())), MalformedEntry),
        (_batch(_with_line(0, amount_minor=0)), MalformedEntry),
        (_batch(_with_line(0, amount_minor=2**62)), NumberTooLarge),
        (_batch(_with_line(0, currency="KR")), MalformedEntry),
        (_batch(_with_line(0, amount_minor=125.0)), MalformedEntry),
        (_batch(_with_line(0, party_id=2**63)), NumberTooLarge),
        (_batch(_with_line(0, text="half \ud800 a pair")), MalformedEntry),
        (_batch(_with_line(0, item=replace(ITEM, kid="1\0"))), TextHoldsNul),
        (_batch(allocations=(AllocationDraft(1, 2, 1.5, DAY, "kid"),)), MalformedEntry),  # type: ignore[arg-type]
        (_batch(replace(ENTRY, text="a\0b")), TextHoldsNul),
        (_batch(replace(ENTRY, text="\x1b]0;x\x07")), TextHoldsControl),
        (_batch(replace(ENTRY, source_ref="a\nb")), TextHoldsControl),
        (_batch(_with_line(0, text="\u2067x")), TextHoldsControl),
        (_batch(replace(ENTRY, text="å" * 2_001)), TextTooLong),
        (_batch(replace(ENTRY, source_ref="å" * 301)), TextTooLong),
        (_batch(_with_line(0, account="1" * 301)), TextTooLong),
        (_batch(_with_line(0, item=replace(ITEM, kid="1" * 301))), TextTooLong),
        (_batch(_with_line(0, dimensions={"project": "x" * 593})), TextTooLong),
        (_batch(replace(ENTRY, source_ref="")), MalformedEntry),
        (_batch(replace(ENTRY, entry_type="reversal")), MalformedEntry),
        (_batch(replace(ENTRY, reverses_entry_id=5)), MalformedEntry),
        (_batch(allocations=(AllocationDraft(1, 2, 0, DAY, "kid"),)), MalformedEntry),
    ],
)
def test_a_malformed_batch_is_refused_before_the_database_is_asked(
    broken: BatchDraft, kind: type[Problem]
) -> None:
    """Nothing that no journal could hold gets as far as a stage."""
    with pytest.raises(kind):
        check_batch(broken)


@pytest.mark.parametrize("dimensions", [{"a": "x;y"}, {"a=b": "x"}, {"": "x"}, {"a": ""}])
def test_a_dimension_with_a_reserved_character_is_refused(dimensions: dict[str, str]) -> None:
    """The canonical key of a set can always be read back."""
    with pytest.raises(MalformedEntry, match="reserved character"):
        encode_entry(_with_line(1, dimensions=dimensions))


@pytest.mark.parametrize(
    "changed",
    [
        replace(ENTRY, series="CRN"),
        replace(ENTRY, effective_date=date(2026, 3, 30)),
        replace(ENTRY, document_date=date(2026, 3, 30)),
        replace(ENTRY, entry_type="credit"),
        replace(ENTRY, source_ref="inv-2"),
        replace(ENTRY, text="faktura"),
        replace(ENTRY, document_ref="x"),
        replace(ENTRY, reverses_entry_id=1),
        replace(ENTRY, lines=ENTRY.lines[::-1]),
        _with_line(0, account="1505"),
        _with_line(0, amount_minor=126),
        _with_line(0, base_minor=126),
        _with_line(0, currency="SEK"),
        _with_line(0, party_id=8),
        _with_line(0, party_id=None),
        _with_line(0, item=None),
        _with_line(0, item=replace(ITEM, kind="fee")),
        _with_line(0, item=replace(ITEM, document_ref="r-2")),
        _with_line(0, item=replace(ITEM, kid=None)),
        _with_line(0, item=replace(ITEM, kid="")),
        _with_line(0, item=replace(ITEM, due_date=DAY)),
        _with_line(1, vat_code="31"),
        _with_line(1, tax_base_minor=-99),
        _with_line(1, dimensions={"a": "1", "b": "3"}),
        _with_line(2, text=None),
    ],
)
def test_every_business_column_is_in_the_hash(changed: EntryDraft) -> None:
    """A change of any column of the header, a line or an item changes the encoding."""
    assert encode_entry(changed) != encode_entry(ENTRY)


def test_the_encoding_ignores_the_order_of_dimensions_and_an_equal_base() -> None:
    """What means the same is encoded the same."""
    same = _with_line(1, dimensions={"b": "2", "a": "1"}, base_minor=-100)
    assert encode_entry(same) == encode_entry(ENTRY)
    assert canonical_dimensions({"b": "2", "a": "1"}) == "a=1;b=2"


def test_the_encoding_is_fixed_for_ever() -> None:
    """The hash of a known entry is written down: old seals must verify with new releases."""
    body = encode_entry(ENTRY)
    hashed = entry_hash(body, "NO01", "test", "tester")
    assert hashed.hex() == KNOWN_HASH
    assert leaf_hash(hashed, Voucher("SAL", 2026, 1)) != leaf_hash(hashed, Voucher("SAL", 2026, 2))


def test_a_retry_by_somebody_else_is_the_same_request() -> None:
    """The request's hash covers content only; the entry's hash also covers who posted it."""
    mine, theirs = _batch(ENTRY), replace(_batch(ENTRY), actor="another")
    body = encode_entry(ENTRY)
    assert request_hash(mine, iter([body])) == request_hash(theirs, iter([body]))
    assert entry_hash(body, "NO01", "test", "a") != entry_hash(body, "NO01", "test", "b")


def test_the_pure_core_needs_no_database_driver() -> None:
    """Drafting an entry loads neither SQLAlchemy nor Flask."""
    code = (
        "import sys, ledger.journal; print([m for m in ('sqlalchemy','flask') if m in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"
