"""The close of a year: its result goes to equity, its accounts stay, and it happens once."""

from __future__ import annotations

import json
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import closing, refusals, service, undoing
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.errors import Problem
from ledger.journal import BatchDraft, EntryDraft, Line, Posted
from ledger.plaintext import Tally
from ledger.service import statements, year_end
from ledger.service.closing import reopen_modules
from ledger.service.signing import open_signer
from ledger.service.year_end import ClosedYear, Year
from tests.ledger.conftest import post, seal_all
from tests.ledger.test_plaintext import hledger

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

BOOK, LAST = "NO01", date(2026, 12, 31)
MONTHS = [f"2026-{month:02d}" for month in range(1, 13)]


def lock(*months: str, level: str = "soft") -> None:
    """Lock the ledger of months."""
    with transaction() as session:
        for month in months:
            service.lock_period(session, BOOK, month, module="GL", level=level, actor="chief",
                                reason="year end")  # fmt: skip


def close(year: int = 2026) -> ClosedYear:
    """Close a year."""
    with transaction() as session:
        return year_end.close_year(session, BOOK, year, actor="chief")


def take_back(voucher: object) -> Posted:
    """Reverse the close of a year."""
    _, year, number = str(voucher).split("/")
    with transaction() as session:
        found = service.find_voucher(session, BOOK, "YEC", int(year), int(number))
        return service.reverse_entry(session, found.entry_id, reason="late bill", actor="chief")


def read(year: int = 2026) -> Year:
    """Read a year."""
    with transaction() as session:
        return year_end.read_year(session, BOOK, year)


def earn(drafts: Drafts, ref: str, minor: int, day: date = LAST) -> None:
    """Earn an amount, or lose it, on a day."""
    account = "3010" if minor > 0 else "7830"
    post(drafts.batch(ref, drafts.journal(ref, ("1920", minor), (account, -minor), day=day)))


@pytest.fixture
def year(books: str, drafts: Drafts) -> str:
    """A year with a result of 900.00, every month of it closed, and the next one open."""
    with transaction() as session:
        service.open_periods(session, BOOK, 2027)
    earn(drafts, "a", 1000_00, date(2026, 3, 31))
    earn(drafts, "b", -100_00)
    lock(*MONTHS)
    return books


def test_the_result_moves_to_equity_and_the_year_stays_as_it_was(year: str, drafts: Drafts) -> None:
    """The income statement is not zeroed, the balance sheet shows what is retained, all ties."""
    with transaction() as session:
        before = statements.income_statement(session, BOOK, date(2026, 1, 1), LAST)
    done = close()
    assert (str(done.voucher), done.result_minor, done.already) == ("YEC/2026/1", 900_00, False)
    earn(drafts, "c", 50_00, date(2027, 1, 5))
    with transaction() as session:
        assert statements.income_statement(session, BOOK, date(2026, 1, 1), LAST) == before
        sheet = statements.balance_sheet(session, BOOK, date(2027, 1, 31), compared_as_of=LAST)
        trial = {x.account: x.balance_minor for x in service.trial_balance(session, BOOK)}
        assert service.verify(session) == []
    assert before.result_minor == 900_00
    equity = next(s for s in sheet.sections if s.account_class == "Q")
    assert (equity.amount_minor, equity.comparative_minor) == (900_00, 900_00)
    assert (sheet.result_minor, sheet.comparative_result_minor) == (50_00, 0)
    # All posted entries as they are: income and expenses stand, the pair beside them.
    assert trial == {"1920": 950_00, "2050": -900_00, "3010": -1050_00, "7830": 100_00,
                     "8960": 900_00}  # fmt: skip


def test_a_year_is_shown_as_it_was_known(year: str, tmp_path: Path) -> None:
    """Before the close was sealed it was not known; a reversal changes no earlier report."""
    key = open_signer(tmp_path / "seal-key")

    def seal() -> tuple[int, dict[int, str | None]]:
        seal_all(key)
        with transaction() as session:
            last = service.resolve_known(session, None).last_position
            seen = {k: year_end.read_year(session, BOOK, 2026, k) for k in range(last + 1)}
        return last, {k: one.closed_by and str(one.closed_by) for k, one in seen.items()}

    earned, told = seal()
    assert set(told.values()) == {None}
    voucher = close().voucher
    closed, told = seal()
    assert told == {**dict.fromkeys(range(earned + 1)), closed: "YEC/2026/1"}
    take_back(voucher)
    taken_back, now = seal()
    assert now == {**told, taken_back: None}
    assert str(close().voucher) == "YEC/2026/3"
    assert read().closed_by is not None
    closed_again, told = seal()
    assert told == {**now, closed_again: "YEC/2026/3"}


def test_others_find_the_same_result(year: str) -> None:
    """The income statement that hledger makes of the exported journal is not zeroed either."""
    close()
    with transaction() as session:
        service.hold_snapshot(session)
        journal = "".join(service.export_text(session, BOOK, "hledger", tally=Tally()))
    assert '"Net:","NOK 900.00"' in hledger(journal, "incomestatement", "-O", "csv")
    assert hledger(journal, "bal", "Equity", "-O", "csv", "--no-total").splitlines()[1:] == [
        '"Equity:2050 Retained earnings","NOK -900.00"',
        '"Equity:Disposal:8960 Result of the year moved to equity","NOK 900.00"',
    ]


def test_the_new_year_opens_with_what_the_old_one_closed(year: str, drafts: Drafts) -> None:
    """Openings are sums of deltas: balance accounts go on, the others begin at nothing."""
    assert read(2027).left_before_minor == -900_00
    close()
    earn(drafts, "c", 50_00, date(2027, 1, 5))
    old, new = read(2026), read(2027)
    assert (str(old.closed_by), new.closed_by, new.left_before_minor) == ("YEC/2026/1", None, 0)
    closing_of = {x.account: x.closing_minor for x in old.balances if x.account_class in "ALQ"}
    opening_of = {x.account: x.opening_minor for x in new.balances if x.opening_minor}
    assert opening_of == closing_of == {"1920": 900_00, "2050": -900_00}
    assert sum(x.opening_minor for x in new.balances) == 0
    assert sum(x.closing_minor for x in new.balances) == 0
    assert {x.account: x.movement_minor for x in new.balances if x.movement_minor} == {
        "1920": 50_00, "3010": -50_00,
    }  # fmt: skip
    assert (old.result_minor, new.result_minor) == (900_00, 50_00)


def test_a_year_is_closed_once_and_can_be_taken_back_while_it_is_soft(
    year: str, drafts: Drafts
) -> None:
    """A second close writes nothing; after a reversal the year is reopened, and closed anew."""
    done = close()
    assert close() == ClosedYear(2026, 900_00, done.voucher, already=True)
    with pytest.raises(closing.YearIsClosed, match="YEC/2026/1"), transaction() as session:
        reopen_modules(session, BOOK, "2026-12", actor="chief", reason="late bill")
    taken = take_back(done.voucher)
    assert str(taken.vouchers[0]) == "YEC/2026/2"
    assert (read().closed_by, read().result_minor) == (None, 900_00)
    with transaction() as session:
        reopen_modules(session, BOOK, "2026-12", actor="chief", reason="late bill")
    earn(drafts, "c", -40_00)
    with pytest.raises(closing.YearNotReady, match="2026-12 is open"):
        close()
    lock("2026-12")
    again = close()
    assert (str(again.voucher), again.result_minor) == ("YEC/2026/3", 860_00)
    with transaction() as session:
        assert service.verify(session) == []
        late = service.late_postings(session, BOOK, "2026-12")
    assert [(str(x.voucher), x.under) for x in late] == [
        ("YEC/2026/1", "year-end"), ("YEC/2026/2", "year-end"), ("JNL/2026/3", "reopened"),
        ("YEC/2026/3", "year-end"),
    ]  # fmt: skip


def test_an_open_month_stops_the_close(books: str, drafts: Drafts) -> None:
    """Whichever of the twelve: its result could still change."""
    earn(drafts, "a", 5_00)
    lock(*(month for month in MONTHS if month != "2026-07"))
    with pytest.raises(closing.YearNotReady, match="2026-07 is open") as caught:
        close()
    assert caught.value.facts == {"year": 2026, "period": "2026-07"}
    lock("2026-07", level="hard")
    assert close().already is False


def test_nothing_changes_after_the_hard_lock(year: str) -> None:
    """No reversal, no second entry; and a year is closed before it is locked for good."""
    with pytest.raises(closing.YearResultLeft, match="close-year 2026"):
        lock("2026-12", level="hard")
    done = close()
    lock(*MONTHS, level="hard")
    assert close() == ClosedYear(2026, 900_00, done.voucher, already=True)
    with pytest.raises(refusals.PeriodLockedForGood, match="is final"):
        take_back(done.voucher)


def test_too_late_is_said_plainly(books: str, drafts: Drafts) -> None:
    """A year without a result may be locked; if nothing is left to move, nothing is posted."""
    lock(*MONTHS)
    assert close() == ClosedYear(2026, 0, None, already=True)
    lock("2026-12", level="hard")
    with pytest.raises(refusals.PeriodLockedForGood):
        close()


def test_years_are_closed_in_their_order(year: str, drafts: Drafts) -> None:
    """The earlier first, and taken back from the end."""
    earn(drafts, "c", 50_00, date(2027, 1, 5))
    lock(*(f"2027-{month:02d}" for month in range(1, 13)))
    with pytest.raises(closing.YearResultLeft, match="close-year 2026"):
        close(2027)
    first, second = close(), close(2027)
    assert second.result_minor == 50_00
    with pytest.raises(closing.YearIsClosed, match="YEC/2027/1"):
        take_back(first.voucher)
    take_back(second.voucher)
    take_back(first.voucher)
    assert (read().closed_by, read(2027).closed_by) == (None, None)


def test_a_closed_year_lets_nobody_in(year: str, drafts: Drafts) -> None:
    """An exception granted before the close does not help after it, and no new one is granted."""
    until = datetime.now(UTC) + timedelta(hours=1)

    def leave() -> None:
        with transaction() as session:
            service.grant_exception(
                session, BOOK, "2026-12", module="GL", actor="tester", reason="late",
                granted_by="chief", expires_at=until,
            )  # fmt: skip

    leave()
    earn(drafts, "c", 1_00)
    done = close()
    assert done.result_minor == 901_00
    with pytest.raises(refusals.PeriodClosed):
        earn(drafts, "d", 1_00)
    with pytest.raises(closing.YearIsClosed):
        leave()
    take_back(done.voucher)
    earn(drafts, "d", 1_00)
    assert close().result_minor == 902_00


def _forged(
    day: date, *lines: Line, kind: str = "year_end", system: str = year_end.SYSTEM
) -> BatchDraft:
    entry = EntryDraft("YEC", day, day, kind, "forged", "x", lines)
    return BatchDraft(BOOK, system, "forged", "tester", (entry,))


@pytest.mark.parametrize(
    ("draft", "kind", "told"),
    [
        (_forged(LAST, Line("8960", 900_00), Line("2050", -900_00), system="test"),
         closing.SeriesReserved, "close of a year and nothing else"),
        (_forged(LAST, Line("8960", 5), Line("2050", -5)), refusals.BatchBroken, "left over"),
        (_forged(LAST, Line("3010", 900_00), Line("2050", -900_00)), refusals.BatchBroken,
         "only move its result"),
        (_forged(LAST, Line("8960", 900_00), Line("2050", -900_00), kind="x"),
         refusals.BatchBroken, "only move its result"),
        (_forged(date(2026, 12, 30), Line("8960", 900_00), Line("2050", -900_00)),
         closing.YearNotReady, "2026-12-31"),
        (_forged(date(2027, 12, 31), Line("8960", 5), Line("2050", -5)),
         closing.YearNotReady, "2027-01 is open"),
    ],
)  # fmt: skip
def test_the_series_takes_nothing_but_a_whole_close(
    year: str, draft: BatchDraft, kind: type[Exception], told: str
) -> None:
    """Whoever posts into it: the wrong source, amount, accounts, type or day never commit."""
    with pytest.raises(kind, match=told):
        post(draft)
    assert read().closed_by is None


def test_a_second_entry_never_commits(year: str) -> None:
    """Not even one that a posting brings past the first look."""
    close()
    with pytest.raises(refusals.BatchBroken, match="closed before"):
        post(_forged(LAST, Line("8960", 5), Line("2050", -5)))


def test_two_closers_make_one_entry(year: str) -> None:
    """The second waits, and finds what the first did."""
    done: list[ClosedYear] = []
    threads = [threading.Thread(target=lambda: done.append(close())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(one.already for one in done) == [False, True, True, True]
    assert {str(one.voucher) for one in done} == {"YEC/2026/1"}


def test_a_close_and_a_reopening_exclude_one_another(year: str) -> None:
    """Whoever is first, a closed year never has an open month."""

    def reopen() -> None:
        try:
            with transaction() as session:
                reopen_modules(session, BOOK, "2026-05", actor="chief", reason="late bill")
        except closing.YearIsClosed as refusal:
            said.append(refusal)

    def closer() -> None:
        try:
            close()
        except closing.YearNotReady as refusal:
            said.append(refusal)

    said: list[Problem] = []
    threads = [threading.Thread(target=closer), threading.Thread(target=reopen)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(said) == 1


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(-9_999, 9_999), st.integers(1, 12)), max_size=6))
def test_whatever_was_posted_the_year_ties(
    year: str, drafts: Drafts, amounts: list[tuple[int, int]]
) -> None:
    """Close, take back, post more, close: retained earnings are always the sum of the results."""
    turn = _turn()
    known = read()
    if known.closed_by:
        take_back(known.closed_by)
    with transaction() as session:
        for month in {month for _, month in amounts}:
            reopen_modules(session, BOOK, MONTHS[month - 1], actor="chief", reason="x")
    for number, (minor, month) in enumerate(amounts):
        if minor:
            earn(drafts, f"{turn}-{number}", minor, date(2026, month, 15))
    lock(*{MONTHS[month - 1] for _, month in amounts})
    done = close()
    assert done.result_minor == known.result_minor + sum(minor for minor, _ in amounts)
    after = read()
    retained = sum(x.closing_minor for x in after.balances if x.account_class == "Q")
    assert retained == -after.result_minor
    assert read(2027).left_before_minor == 0
    with transaction() as session:
        assert service.verify(session) == []


_turns = iter(range(10**6))


def _turn() -> int:
    return next(_turns)


def test_a_book_without_the_series_says_what_to_do(year: str, pg: PrivateServer) -> None:
    """A book seeded by an earlier release lacks it; seeding again adds it."""
    url = pg.url("owner", year).replace("+psycopg", "", 1)
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM voucher_series WHERE code = 'YEC'")
    with pytest.raises(refusals.UnknownSeries, match="ledger init --year 2026"):
        close()
    with transaction() as session:
        service.seed_book(session, BOOK)
    assert close().already is False


def test_a_reversal_is_dated_as_the_close(year: str) -> None:
    """On another day it would move the result of another year."""
    done = close()
    with transaction() as session:
        found = service.find_voucher(session, BOOK, "YEC", 2026, 1)
    for day in (date(2027, 1, 1), date(2026, 12, 30)):
        with (
            pytest.raises((closing.YearNotReady, undoing.ReversalTooEarly)),
            transaction() as session,
        ):
            service.reverse_entry(
                session, found.entry_id, effective_date=day, reason="x", actor="chief"
            )
    take_back(done.voucher)


def test_the_commands_of_a_year_end(year: str) -> None:
    """Close, look, close again, take back: each says what it did."""

    def cli(*arguments: str) -> str:
        return CliRunner().invoke(ledger_cli, list(arguments), catch_exceptions=False).output

    assert "not moved yet" in cli("year", "2026")
    assert cli("close-year", "2026") == (
        "2026 is closed by YEC/2026/1: a result of 900.00 is moved to equity.\n"
    )
    assert "closed already by YEC/2026/1" in cli("close-year", "2026")
    assert json.loads(cli("close-year", "2026", "--json"))["already"] is True
    assert "moved to equity by YEC/2026/1" in cli("year", "2026")
    seen = json.loads(cli("year", "2027", "--json"))
    assert (seen["left_before"], seen["closed_by"]) == ("0.00", None)
    assert "is reversed by YEC/2026/2 on 2026-12-31" in cli(
        "reverse", "YEC/2026/1", "--reason", "late bill"
    )
