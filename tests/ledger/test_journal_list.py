"""The journal as a list: filters against a slow comprehension, pages that miss nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from ledger import service
from ledger.cli.ledger import ledger_cli
from ledger.cursors import CursorInvalid
from ledger.db import engine, transaction
from ledger.journal import BatchDraft, EntryDraft, ItemDraft, Line
from ledger.refusals import UnknownAccount, UnknownSeries
from ledger.service.journal_list import JournalFilter, JournalRow, list_entries

BOOK = "NO01"
TEXTS = ("Faktura 100 %", "faktura_17", "Innbetaling", "100\\50")
PARTS = st.fixed_dictionaries({}, optional={
    "first_day": st.dates(date(2026, 3, 1), date(2026, 3, 9)),
    "effective_as_of": st.dates(date(2026, 3, 1), date(2026, 3, 9)),
    "series": st.sampled_from(["JNL", "SAL"]),
    "account": st.sampled_from(["1500", "2400", "3000"]),
    "party_id": st.integers(1, 2),
    "entry_type": st.sampled_from(["test", "other"]),
    "source_system": st.sampled_from(["s1", "s2"]),
    "reference": st.sampled_from(["0-0", "1-0", "doc"]),
    "text": st.sampled_from(["faktura", "%", "_", "\\", "INN"]),
    "least_minor": st.integers(0, 9),
    "most_minor": st.integers(0, 9),
})  # fmt: skip
ENTRIES = st.lists(
    st.tuples(
        st.integers(1, 9), st.sampled_from(["JNL", "SAL"]), st.sampled_from(["test", "other"]),
        st.sampled_from(TEXTS), st.integers(1, 2), st.integers(1, 9), st.booleans(),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


def draft(ref: str, drawn: tuple[int, str, str, str, int, int, bool]) -> EntryDraft:
    """An entry of a claim on 1500 against 2400 or 3000."""
    day, series, kind, text, party, amount, documented = drawn
    on = date(2026, 3, day)
    item = ItemDraft("claim", ref, None, on, on)
    other = "2400" if amount % 2 else "3000"
    lines = (Line("1500", amount, party_id=party, item=item), Line(other, -amount))
    return EntryDraft(series, on, on, kind, ref, text, lines, "doc" if documented else None)


def holds(entry: EntryDraft, system: str, wanted: JournalFilter) -> bool:
    """The filter in plain Python, one condition after the other."""
    w = wanted
    tests: list[tuple[object, Callable[[Any], bool]]] = [
        (w.first_day, lambda x: entry.effective_date >= x),
        (w.effective_as_of, lambda x: entry.effective_date <= x),
        (w.series, lambda x: entry.series == x),
        (w.entry_type, lambda x: entry.entry_type == x),
        (w.source_system, lambda x: system == x),
        (w.reference, lambda x: x in {entry.source_ref, entry.document_ref}),
        (w.text, lambda x: x.lower() in entry.text.lower()),
    ]
    return all(test(value) for value, test in tests if value is not None) and any(
        w.account in {None, line.account} and w.party_id in {None, line.party_id}
        and (w.least_minor is None or abs(line.amount_minor) >= w.least_minor)
        and (w.most_minor is None or abs(line.amount_minor) <= w.most_minor)
        for line in entry.lines
    )  # fmt: skip


@settings(max_examples=40, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(batches=st.lists(ENTRIES, min_size=1, max_size=3), parts=PARTS, limit=st.integers(1, 4),
       newest=st.booleans())  # fmt: skip
def test_any_filter_is_what_a_comprehension_says(
    books: str, batches: list[Any], parts: dict[str, Any], limit: int, newest: bool
) -> None:
    """Every entry that holds is on exactly one page, in the order of recording."""
    wanted = JournalFilter(**parts)
    with Session(engine()) as session:
        expected = []
        for number, drawn in enumerate(batches):
            entries = tuple(draft(f"{number}-{n}", one) for n, one in enumerate(drawn))
            system = f"s{number % 2 + 1}"
            posted = service.post_batch(
                session, BatchDraft(BOOK, system, f"b-{number}", "tester", entries)
            )
            expected += [
                entry_id for entry_id, entry in zip(posted.entry_ids, entries, strict=True)
                if holds(entry, system, wanted)
            ]  # fmt: skip
        found: list[JournalRow] = []
        after = None
        while True:
            page = list_entries(session, BOOK, wanted, after=after, limit=limit, newest=newest)
            found += page.rows
            after = page.next_cursor
            if after is None:
                break
            assert len(page.rows) == limit
        assert [row.entry_id for row in found] == sorted(expected, reverse=newest)
        session.rollback()


@pytest.fixture(name="posted")
def _posted(books: str) -> str:
    """Three entries of one batch."""
    drawn: list[Any] = [(n, "JNL", "test", TEXTS[n], 1, n + 1, True) for n in (1, 2, 3)]
    entries = tuple(draft(f"0-{n}", one) for n, one in enumerate(drawn))
    with transaction() as session:
        service.post_batch(session, BatchDraft(BOOK, "s1", "b-1", "tester", entries))
    return books


def test_a_row_tells_what_the_entry_is(session: Session, posted: str) -> None:
    """Its voucher, its references and its debits per currency."""
    row = list_entries(session, BOOK, limit=1).rows[0]
    assert (str(row.voucher), row.text, row.line_count) == ("JNL/2026/3", TEXTS[3], 2)
    assert (row.source_ref, row.document_ref, dict(row.debit_minor)) == ("0-2", "doc", {"NOK": 4})


def test_unknown_accounts_and_foreign_cursors_are_refused(session: Session, posted: str) -> None:
    """An empty list would be taken for an answer."""
    with pytest.raises(UnknownAccount):
        list_entries(session, BOOK, JournalFilter(account="0000"))
    with pytest.raises(UnknownSeries, match=r"It has .*JNL"):
        list_entries(session, BOOK, JournalFilter(series="JLN"))
    cursor = list_entries(session, BOOK, limit=1).next_cursor
    with pytest.raises(CursorInvalid):
        list_entries(session, BOOK, JournalFilter(series="JNL"), after=cursor)


def test_the_command_lists_filters_and_goes_on(posted: str) -> None:
    """On screen and as JSON, newest first, page by page."""

    def run(*more: str) -> Any:
        told = CliRunner().invoke(ledger_cli, ["journal", *more], catch_exceptions=False)
        return json.loads(told.output) if "--json" in more else told.output

    first = run("--limit", "2", "--json")
    assert [x["voucher"] for x in first["entries"]] == ["JNL/2026/3", "JNL/2026/2"]
    rest = run("--limit", "2", "--after", first["next"], "--json")
    assert [x["voucher"] for x in rest["entries"]] == ["JNL/2026/1"]
    assert rest["next"] is None
    assert "JNL/2026/2" in run("--least", "0.03", "--most", "0.03", "--oldest")
    assert "More: --after" in run("--limit", "1")
