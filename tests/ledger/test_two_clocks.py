"""Every read at any (effective, known) pair, against a list of facts filtered by hand."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from ledger import service
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line
from ledger.plaintext import Tally
from ledger.refusals import NotYetKnown, UnknownEntry
from ledger.service import statements
from ledger.service.journal_list import JournalFilter, list_entries
from ledger.service.signing import Signer, open_signer
from tests.ledger.conftest import seal_all
from tests.ledger.test_api import client as _client

client = _client
BOOK, FIRST = "NO01", date(2026, 3, 1)
DAYS = (None, *(FIRST + timedelta(day) for day in (0, 5, 11, 30)))


@dataclass
class Facts:
    """What was posted, with the seal position of each fact."""

    lines: list[tuple[int, date, str, int | None, int]] = field(default_factory=list)
    items: dict[int, tuple[int, date, int, int]] = field(default_factory=dict)
    uses: list[tuple[int, date, int, int, int]] = field(default_factory=list)
    vouchers: list[tuple[int, date, str]] = field(default_factory=list)

    def balances(self, day: date | None, known: int | None) -> dict[str, int]:
        """The trial balance: every account with a line that counts."""
        sums: dict[str, int] = defaultdict(int)
        for position, on, account, _, amount in self.lines:
            if counts(position, on, day, known):
                sums[account] += amount
        return dict(sums)

    def outstanding(self, day: date | None, known: int | None) -> dict[int, int]:
        """What is left of each item that counts."""
        left = {
            item: amount for item, (position, on, _, amount) in self.items.items()
            if counts(position, on, day, known)
        }  # fmt: skip
        for position, on, credit, debit, amount in self.uses:
            if counts(position, on, day, known):
                left[credit] += amount
                left[debit] -= amount
        return {item: amount for item, amount in left.items() if amount}


def counts(position: int, on: date, day: date | None, known: int | None) -> bool:
    """Whether a fact is effective by a day and known at a position."""
    return (day is None or on <= day) and (known is None or position <= known)


def batch(draws: random.Random, facts: Facts, number: int) -> None:
    """Post a claim and a payment of random days, and use some earlier credit on some claim."""
    entries = []
    for place in range(2):
        on, party = FIRST + timedelta(draws.randrange(20)), draws.randrange(1, 3)
        amount = draws.randrange(1, 50) * (1 if place == 0 else -1)
        item = ItemDraft("claim" if place == 0 else "payment", f"{number}", None, on, on)
        lines = (Line("1500", amount, party_id=party, item=item), Line("1920", -amount))
        entries.append(EntryDraft("JNL", on, on, "test", f"{number}-{place}", "Bilag", lines))
    with transaction() as session:
        left = facts.outstanding(None, None)
        pairs = (
            (one, other) for one in left for other in left
            if left[one] < 0 < left[other] and facts.items[one][2] == facts.items[other][2]
        )  # fmt: skip
        credit, debit = next(pairs, (None, None))
        use: tuple[AllocationDraft, ...] = ()
        if credit is not None and debit is not None:
            on = max(facts.items[credit][1], facts.items[debit][1]) + timedelta(draws.randrange(9))
            amount = draws.randrange(1, 1 + min(-left[credit], left[debit]))
            use = (AllocationDraft(credit, debit, amount, on, "test"),)
            facts.uses.append((number, on, credit, debit, amount))
        posted = service.post_batch(
            session, BatchDraft(BOOK, "test", f"b-{number}", "tester", tuple(entries), use)
        )
    for place, entry in enumerate(entries):
        facts.vouchers.append((number, entry.effective_date, str(posted.vouchers[place])))
        for line in entry.lines:
            fact = (number, entry.effective_date, line.account, line.party_id, line.amount_minor)
            facts.lines.append(fact)
        claim = entry.lines[0]
        facts.items[posted.open_item_ids[place, 1]] = (
            number, entry.effective_date, claim.party_id or 0, claim.amount_minor,
        )  # fmt: skip


@pytest.fixture(name="key")
def _key(tmp_path: Path) -> Signer:
    """A sealing key of this test."""
    return open_signer(tmp_path / "seal-key")


@pytest.fixture(name="facts")
def _facts(books: str, key: Signer) -> Facts:
    """Eight batches, of which the first six are sealed one by one."""
    draws, facts = random.Random(20260331), Facts()
    for number in range(1, 9):
        batch(draws, facts, number)
        if number <= 6:
            seal_all(key)
    return facts


PAIRS = [(day, known) for day in DAYS for known in (None, 0, 1, 3, 6)]


def test_the_unsealed_tail_counts_only_where_no_position_is_given(
    session: Session, facts: Facts
) -> None:
    """Two batches have no position: they are in "everything" and in no position."""
    everything = service.resolve_clocks(session, None, None)
    assert (everything.known_as_of, everything.sealed) == (None, False)
    last = service.resolve_clocks(session, None, 6)
    assert (last.known_as_of, last.sealed) == (6, True)
    assert facts.balances(None, None) != facts.balances(None, 6)


def test_every_read_agrees_with_the_facts_at_every_pair(session: Session, facts: Facts) -> None:
    """Balances, lines, items, statements, the journal and the export, at 25 pairs of clocks."""
    for day, known in PAIRS:
        expected = facts.balances(day, known)
        rows = service.trial_balance(session, BOOK, day, known)
        assert {row.account: row.balance_minor for row in rows} == expected, (day, known)
        control = service.control_balance(session, BOOK, ["1500"], day, known)
        assert control == expected.get("1500", 0)
        check_items(session, facts, day, known)
        check_lists(session, facts, day, known)
        tally = Tally()
        text = "".join(service.export_text(session, BOOK, "hledger", day, known, tally=tally))
        assert tally.lines == sum(counts(x[0], x[1], day, known) for x in facts.lines)
        assert text.count("JNL/2026/") == tally.entries


def check_items(session: Session, facts: Facts, day: date | None, known: int | None) -> None:
    """Outstanding of all and of a party, by both plans; it sums to the control account."""
    expected = facts.outstanding(day, known)
    items = service.open_items(session, BOOK, day, known_as_of=known)
    assert {item.open_item_id: item.outstanding_minor for item in items} == expected
    for party in (1, 2):
        of_party = service.open_items(session, BOOK, day, party, known_as_of=known)
        assert of_party == [item for item in items if item.party_id == party]
    assert sum(expected.values()) == facts.balances(day, known).get("1500", 0)
    for item in facts.items:
        used = service.allocations_of(session, item, day, known)
        assert [x.amount_minor for x in used] == [
            amount for position, on, credit, debit, amount in facts.uses
            if item in {credit, debit} and counts(position, on, day, known)
        ]  # fmt: skip


def check_lists(session: Session, facts: Facts, day: date | None, known: int | None) -> None:
    """Statements end at the balance, the journal lists the entries, statements of the book tie."""
    page = service.account_statement(
        session, BOOK, "1500", effective_as_of=day, known_as_of=known, limit=1000
    )
    assert page.closing_minor.get("NOK", 0) == facts.balances(day, known).get("1500", 0)
    for party in (1, 2):
        of_party = service.customer_statement(
            session, BOOK, party, effective_as_of=day, known_as_of=known, limit=1000
        )
        assert of_party.closing_minor.get("NOK", 0) == sum(
            x[4] for x in facts.lines if x[3] == party and counts(x[0], x[1], day, known)
        )
    listed = list_entries(session, BOOK, JournalFilter(effective_as_of=day), known, limit=1000)
    expected = [v for position, on, v in facts.vouchers if counts(position, on, day, known)]
    assert [str(row.voucher) for row in listed.rows] == expected[::-1]
    sheet = statements.balance_sheet(session, BOOK, day, known)
    assert sheet.sections[0].amount_minor == 0 == sheet.result_minor
    last = [x[1] for x in facts.lines if counts(x[0], x[1], None, known)]
    assert service.last_effective_date(session, BOOK, known) == max(last, default=None)


def test_an_entry_is_found_from_its_position_on(session: Session, facts: Facts) -> None:
    """Before its seal a voucher is unknown at a position, whatever its date."""
    for position, on, voucher in facts.vouchers[:6]:
        series, year, number = voucher.split("/")
        place = (BOOK, series, int(year), int(number))
        assert service.find_voucher(session, *place, on, position).effective_date == on
        with pytest.raises(UnknownEntry, match="known by seal position"):
            service.find_voucher(session, *place, None, position - 1)
        with pytest.raises(UnknownEntry, match="effective by"):
            service.find_voucher(session, *place, on - timedelta(1))


def test_a_position_that_no_seal_has_reached_is_refused(session: Session, facts: Facts) -> None:
    """By every reader alike; an empty answer would be taken for a balance of zero."""
    readers: list[Any] = [
        lambda: service.trial_balance(session, BOOK, None, 7),
        lambda: service.control_balance(session, BOOK, ["1500"], None, 7),
        lambda: service.open_items(session, BOOK, known_as_of=7),
        lambda: service.allocations_of(session, 1, None, 7),
        lambda: service.account_statement(session, BOOK, "1500", known_as_of=7),
        lambda: service.customer_statement(session, BOOK, 1, known_as_of=7),
        lambda: list_entries(session, BOOK, known_as_of=7),
        lambda: statements.balance_sheet(session, BOOK, known_as_of=-1),
        lambda: statements.income_statement(session, BOOK, FIRST, FIRST, 7),
        lambda: service.find_voucher(session, BOOK, "JNL", 2026, 1, None, 7),
        lambda: service.last_effective_date(session, BOOK, 7),
        lambda: list(service.export_text(session, BOOK, "csv", None, 7, tally=Tally())),
    ]
    for read in readers:
        with pytest.raises(NotYetKnown):
            read()


def test_a_report_of_a_position_stays_what_it_was(facts: Facts, key: Signer) -> None:
    """Later postings, dated back before everything, change no byte of it; pages stay joined."""
    reports = (
        ["balance"], ["statement", "1500"], ["customer", "1"], ["journal"], ["balance-sheet"],
        ["income-statement", "--from", "2026-03-01", "--to", "2026-03-31"], ["year", "2026"],
        ["late", "2026-03"], ["assertions"],
    )  # fmt: skip

    def told() -> list[str]:
        run = CliRunner().invoke
        return [
            run(
                ledger_cli, [*report, "--known-as-of", "3", "--json"], catch_exceptions=False
            ).output
            for report in reports
        ]

    def page(after: str | None) -> service.StatementPage:
        with transaction() as session:
            return service.account_statement(
                session, BOOK, "1500", known_as_of=3, limit=2, after=after
            )

    before, first = told(), page(None)
    expected = page(first.next_cursor)
    item = ItemDraft("claim", "late", None, FIRST, FIRST)
    lines = (Line("1500", 7, party_id=1, item=item), Line("1920", -7))
    late = EntryDraft("JNL", FIRST, FIRST, "test", "late", "Bilag", lines)
    with transaction() as session:
        service.post_batch(session, BatchDraft(BOOK, "test", "late", "tester", (late,)))
    seal_all(key)
    assert told() == before
    assert page(first.next_cursor) == expected
    assert all(json.loads(report)["known_as_of"] == 3 for report in before)


def test_the_commands_and_rest_echo_what_was_counted(facts: Facts, client: FlaskClient) -> None:
    """Null while something is unsealed, the position where one was given."""
    run = CliRunner().invoke
    told = json.loads(run(ledger_cli, ["balance", "--json"]).output)
    assert (told["effective_as_of"], told["known_as_of"], told["sealed"]) == (None, None, False)
    assert "All days, everything committed; not all of it" in run(ledger_cli, ["balance"]).output
    clocks = ["--as-of", "2026-03-31", "--known-as-of", "3"]
    for report in (["balance"], ["statement", "1500"], ["customer", "1"], ["journal"],
                   ["balance-sheet"], ["income-statement", "--from", "2026-03-01"],
                   ["late", "2026-03"], ["assertions"]):  # fmt: skip
        said = run(ledger_cli, [*report, *clocks]).output
        assert said.endswith("Up to 2026-03-31, as known at seal position 3.\n"), report
        told = json.loads(run(ledger_cli, [*report, *clocks, "--json"]).output)
        assert (told["effective_as_of"], told["known_as_of"]) == ("2026-03-31", 3), report
    for path in ("balances", "entries", "open-items", "accounts/1500/statement", "balance-sheet",
                 "entries/JNL/2026/1", "parties/1/statement"):  # fmt: skip
        body = client.get(f"/api/v1/{path}?known_as_of=3&effective_as_of=2026-03-31").json
        assert (body["known_as_of"], body["sealed"], body["effective_as_of"]) == (
            3, True, "2026-03-31",
        )  # fmt: skip
        refused = client.get(f"/api/v1/{path}?known_as_of=7")
        assert "not-yet-known" in refused.text, path


def test_where_all_is_sealed_everything_is_the_last_position(books: str, key: Signer) -> None:
    """Then the figures of "now" are final, and the echo says under which position."""
    batch(random.Random(1), Facts(), 1)
    seal_all(key)
    with transaction() as session:
        clocks = service.resolve_clocks(session, None, None)
    assert (clocks.known_as_of, clocks.sealed) == (1, True)
