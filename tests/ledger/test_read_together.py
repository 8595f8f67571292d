"""Records read into columns at once are the entries that each would be by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.columns import (
    HeldInColumns,
    check_columns,
    columns_of,
    entry_bodies,
    needs_rates,
    texts_of,
    totals_held,
)
from ledger.columns.octets import buffer, ends
from ledger.encoding import encode_entry
from ledger.errors import Invalid
from ledger.intake import Defaults, Drafted, Fault
from ledger.intake.ndjson import Numbered, draft_record, read_record
from ledger.intake.records import WORTH_COLUMNS, batch_of, entries_together, totals_drafted
from ledger.intake.together import amounts, drafted, read_together
from ledger.journal import totals_of
from ledger.money import parse_amount
from tests.ledger.nasty import LETTERS

DEFAULTS = Defaults("file", "NOK")
DAYS = st.dates(date(2000, 1, 1), date(2999, 12, 31)).map(str)
WORDS = st.text(LETTERS, max_size=5)
SUMS = st.one_of(st.integers(1, 10**6), st.integers(1, 10**13))


def _written(minor: int, decimals: int = 2) -> str:
    told = f"{'-' if minor < 0 else ''}{abs(minor) // 100}.{abs(minor) % 100:02d}"
    return told.removesuffix(".00") if decimals == 0 else told


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a record whose lines are pairs that balance; what may be left out often is."""
    lines = []
    for minor in draw(st.lists(SUMS, min_size=1, max_size=3)):
        said = draw(st.fixed_dictionaries({}, optional={
            "currency": st.sampled_from(["NOK", "EUR"]), "party_id": st.integers(1, 2**40),
            "vat_code": WORDS, "text": WORDS,
            "dimensions": st.dictionaries(st.sampled_from("ab"), st.sampled_from("xyz")),
        }))  # fmt: skip
        item = draw(st.none() | st.fixed_dictionaries({
            "kind": st.just("invoice"), "document_ref": WORDS, "document_date": DAYS,
            "due_date": DAYS,
        }, optional={"kid": WORDS}))  # fmt: skip
        more = {"item": item} if item else {}
        base = draw(st.none() | SUMS)
        for sign in (1, -1):
            based = {"base_amount": _written(sign * base)} if base else {}
            amount = _written(sign * minor, draw(st.sampled_from([0, 2])))
            lines.append({"account": "1920", "amount": amount, **said, **more, **based})
    return {
        "effective_date": draw(DAYS), "text": draw(WORDS), "lines": lines,
        **draw(st.fixed_dictionaries({}, optional={
            "document_date": DAYS, "series": WORDS, "entry_type": WORDS.filter("reversal".__ne__),
            "source_ref": WORDS, "document_ref": WORDS,
        })),
    }  # fmt: skip


def _read(told: list[dict[str, Any]]) -> list[Numbered]:
    read = [read_record(msgspec.json.encode(one), n) for n, one in enumerate(told, 1)]
    assert all(isinstance(one, Numbered) for one in read)
    return read  # type: ignore[return-value]


@given(st.lists(records(), min_size=1, max_size=5))
def test_columns_hold_what_each_record_would_be_alone(told: list[dict[str, Any]]) -> None:
    """Encoded, counted and summed alike; each entry that is asked for is the same draft."""
    read = _read(told)
    alone = [draft_record(record, number, DEFAULTS) for number, record in read]
    entries = [one.entry for one in alone if isinstance(one, Drafted)]
    held = read_together(read, DEFAULTS)
    assert held is not None
    assert list(held) == entries
    assert held[-1:] == (entries[-1],)
    bodies = entry_bodies(held.columns, texts_of(held.columns))
    octets, places = buffer(bodies), ends(bodies)
    assert bytes(octets[: int(places[-1])]) == b"".join(map(encode_entry, entries))
    assert totals_held(held) == totals_of(entries)
    assert held.source_refs == [entry.source_ref for entry in entries]
    assert held.line_counts == [len(entry.lines) for entry in entries]
    slow = columns_of(batch_of(entries))
    assert needs_rates(held.columns, "NOK") == needs_rates(slow, "NOK") == any(
        line.base_minor is None and line.currency != "NOK" for e in entries for line in e.lines
    )  # fmt: skip


@given(st.lists(records(), min_size=1, max_size=6), st.data())
def test_a_part_is_what_its_records_would_be_alone(
    told: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Lines, items and references of the entries cut out, and of no other."""
    held = read_together(_read(told), DEFAULTS)
    assert held is not None
    first = data.draw(st.integers(0, len(told) - 1))
    last = data.draw(st.integers(first + 1, len(told)))
    part = held.part(first, last)
    entries = list(held)[first:last]
    assert list(part) == entries
    bodies = entry_bodies(part.columns, texts_of(part.columns))
    octets, places = buffer(bodies), ends(bodies)
    assert bytes(octets[int(places[0]) : int(places[-1])]) == b"".join(map(encode_entry, entries))
    assert totals_held(part) == totals_of(entries)
    check_columns(part.columns, batch_of(part))
    slow = columns_of(batch_of(entries))
    for name in ("line", "document_day", "due_day"):
        assert (getattr(part.columns.items, name) == getattr(slow.items, name)).all()
    assert part.columns.lines.item.equals(slow.lines.item)
    assert (part.columns.lines.entry == slow.lines.entry).all()
    assert (part.columns.lines.line_no == slow.lines.line_no).all()


GOOD = {
    "effective_date": "2026-03-31", "text": "Rent", "lines": [
        {"account": "4300", "amount": "1.00"}, {"account": "1920", "amount": "-1.00"}],
}  # fmt: skip


@pytest.mark.parametrize(
    "odd",
    [
        {"amount": "1.001"}, {"amount": "1e2"}, {"amount": "٣.00"}, {"amount": " 1.00"},
        {"amount": "1.00\n"}, {"amount": ""}, {"amount": "9999999999999999.00"},
        {"amount": "2.00"}, {"party_id": 2**63}, {"dimensions": {"a": "x;y"}}, {"text": "\0"},
        {"currency": "NOKK"}, {"base_amount": "1,00"}, {"tax_base": "x"},
    ],
)  # fmt: skip
def test_what_is_odd_is_read_alone_and_does_not_disturb_the_others(odd: dict[str, Any]) -> None:
    """The record at fault is a fault, with its place; all others are entries."""
    bad = {**GOOD, "lines": [{**GOOD["lines"][0], **odd}, GOOD["lines"][1]]}
    told = [GOOD] * WORTH_COLUMNS + [bad, GOOD]
    assert read_together(_read(told), DEFAULTS) is None
    read = list(drafted(iter(_read(told)), DEFAULTS))
    faults = [one for one in read if isinstance(one, Fault)]
    assert [fault.record for fault in faults] == [WORTH_COLUMNS + 1]
    assert len(read) == len(told)


def test_many_sound_records_are_held_together_past_a_malformed_one() -> None:
    """A record that is none costs the others nothing; a part of them is not the columns of all."""
    sound = _read([GOOD] * WORTH_COLUMNS)
    malformed = read_record(b"{", 99)
    assert isinstance(malformed, Fault)
    read = list(drafted([malformed, *sound], DEFAULTS))
    assert read[0] is malformed
    entries = [one for one in read if isinstance(one, Drafted)]
    together = entries_together(entries)
    assert isinstance(together, HeldInColumns)
    assert [one.source_ref for one in entries] == [f"file:{n}" for n in range(1, 1 + len(sound))]
    assert tuple(entries_together(entries[1:])) == tuple(together)[1:]
    assert entries_together([*entries[1:], entries[0]]) == (*tuple(together)[1:], together[0])


def test_what_is_held_in_columns_is_summed_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """With gaps, beside entries that were read alone, and read in two lots; none is drafted."""
    lots = [list(drafted(_read([GOOD] * WORTH_COLUMNS), DEFAULTS)) for _ in range(2)]
    alone = list(drafted(_read([GOOD] * 2), DEFAULTS))
    held = [one for lot in lots for one in lot if isinstance(one, Drafted)]
    some = [*held[:7], *held[9:], *(one for one in alone if isinstance(one, Drafted))]
    expected = totals_of(one.entry for one in some)
    monkeypatch.setattr(HeldInColumns, "__getitem__", lambda *_: pytest.fail("It was drafted."))
    assert totals_drafted(some) == expected
    assert totals_drafted([]) == totals_of([])


def test_conditions_are_read_alone() -> None:
    """An entry with conditions begins another batch: its batch is not the columns of all."""
    last = {"kind": "last-voucher", "series": "JNL", "year": 2026, "equals": 0}
    some = {**GOOD, "conditions": [last]}
    assert read_together(_read([GOOD, some]), DEFAULTS) is None


@given(st.lists(st.none() | st.text("-0123456789. +e", max_size=20), max_size=6))
def test_amounts_are_read_as_one_by_one(told: list[str | None]) -> None:
    """The same minor units, or a refusal where any one is refused."""
    try:
        alone = [None if text is None else parse_amount(text) for text in told]
    except Invalid:
        with pytest.raises(ValueError, match="Not an amount"):
            amounts(told)
        return
    assert amounts(told).to_pylist() == alone


def test_held_entries_may_be_replaced_like_any() -> None:
    """What a rate adds to an entry is added to its draft: the batch is then one of drafts."""
    held = read_together(_read([GOOD] * 3), DEFAULTS)
    assert held is not None
    draft = batch_of(held)
    changed = replace(draft, entries=tuple(replace(entry, text="x") for entry in draft.entries))
    assert columns_of(changed).entries.text.to_pylist() == ["x"] * 3
