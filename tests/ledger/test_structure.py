"""The structure of a book: chart, dimensions, rates and their differences, assertions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ledger import service
from ledger.db import transaction
from ledger.errors import Invalid, Problem
from ledger.exchange import convert, format_rate, parse_rate, with_base_amounts
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line, check_balanced
from ledger.refusals import (
    AccountClosed,
    AccountInUse,
    DimensionRefused,
    MalformedEntry,
    UnknownCurrency,
)
from ledger.registering import UnknownDimension
from ledger.service import assertions, chart, dimensions, rates, revaluation
from ledger.service.assertions import Assertion, AssertionDiffers
from ledger.service.chart import AccountTaken, ChartAccount
from ledger.service.dimensions import DimensionRule
from ledger.service.rates import Rate, RateFixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.ledger.conftest import Drafts

MARCH, APRIL = date(2026, 3, 31), date(2026, 4, 30)


@pytest.fixture
def book(session: Session) -> Iterator[Session]:
    """A session over a seeded book NO01 with the periods of 2026."""
    service.seed_book(session, "NO01")
    service.open_periods(session, "NO01", 2026)
    return session


def post(
    session: Session, ref: str, *lines: Line, day: date = MARCH,
    allocations: Sequence[AllocationDraft] = (), book: str = "NO01",
) -> service.Posted:  # fmt: skip
    """Post one entry."""
    entry = EntryDraft("JNL", day, day, "test", ref, "A test", lines)
    draft = BatchDraft(book, "test", ref, "tester", (entry,), tuple(allocations))
    return service.post_batch(session, draft)


def test_an_account_keeps_every_state_it_had(book: Session) -> None:
    """A renamed account can still be read as it was."""
    wanted = ChartAccount("7000", "Travel", "E", None, False, False, False, True,
                          "annenDriftskostnad", "7100", date(2026, 1, 1))  # fmt: skip
    chart.open_account(book, "NO01", wanted, actor="anna")
    with pytest.raises(AccountTaken, match="7000: Travel"):
        chart.open_account(book, "NO01", wanted, actor="anna")
    chart.rename_account(book, "NO01", "7000", name="Travel and meals", actor="anna", reason="new")
    states = chart.account_states(book, "NO01", "7000")
    assert [s.content["name"] for s in states] == ["Travel", "Travel and meals"]
    assert chart.account(book, "NO01", "7000").version_no == 2
    told = book.execute(text("SELECT actor, action FROM audit_event ORDER BY audit_event_id")).all()
    assert [tuple(row) for row in told] == [("anna", "account opened"), ("anna", "account named")]


@pytest.mark.parametrize(
    ("number", "currency", "refusal"),
    [("8998", "ZMS", UnknownCurrency), ("8998\n", None, MalformedEntry)],
)
def test_an_account_that_cannot_be_is_refused_by_name(
    book: Session, number: str, currency: str | None, refusal: type[Problem]
) -> None:
    """In a currency that there is not, or under what is no number: never a fault of ours."""
    wanted = ChartAccount(number, "Agio", "E", currency, False, False, False, True,
                          "finanskostnad", "8160", date(2026, 1, 1))  # fmt: skip
    with pytest.raises(refusal):
        chart.open_account(book, "NO01", wanted, actor="staff:anna")


def test_only_an_empty_account_is_closed(book: Session) -> None:
    """A balance or a later posting keeps an account open; a closed one takes nothing."""
    post(book, "a", Line("4300", 5_00), Line("1920", -5_00))
    with pytest.raises(AccountInUse, match="500 minor units"), book.begin_nested():
        chart.close_account(book, "NO01", "4300", APRIL, actor="anna", reason="x")
    post(book, "b", Line("4300", -5_00), Line("1920", 5_00), day=APRIL)
    with pytest.raises(AccountInUse), book.begin_nested():
        chart.close_account(book, "NO01", "4300", MARCH, actor="anna", reason="x")
    chart.close_account(book, "NO01", "4300", APRIL, actor="anna", reason="x")
    with pytest.raises(AccountClosed), book.begin_nested():
        post(book, "c", Line("4300", 1), Line("1920", -1), day=date(2026, 5, 1))
    post(book, "d", Line("4300", 1), Line("4300", -1), day=APRIL)
    numbers = [a.number for a in chart.chart_of_accounts(book, "NO01", date(2026, 5, 1))]
    assert "4300" not in numbers


def test_an_account_needs_or_refuses_a_dimension(book: Session) -> None:
    """The longest prefix decides, the latest rule that has begun; values must exist on the day."""
    dimensions.add_dimension(book, "NO01", "product", "Product", actor="x")
    dimensions.add_value(
        book, "NO01", "product", "mobile", "Mobile", date(2026, 1, 1), APRIL, actor="x"
    )
    for prefix, rule, day in (("30", "required", MARCH), ("3080", "forbidden", MARCH),
                              ("30", "allowed", APRIL)):  # fmt: skip
        made = DimensionRule("product", prefix, rule, day)
        dimensions.set_dimension_rule(book, "NO01", made, actor="anna")

    def sale(account: str, day: date, **carried: str) -> None:
        with book.begin_nested():
            post(book, f"{account}{day}{carried}", Line("1920", 1_00),
                 Line(account, -1_00, dimensions=carried), day=day)  # fmt: skip

    sale("3000", date(2026, 3, 30))
    with pytest.raises(DimensionRefused, match="line 2: account 3000 needs the dimension product"):
        sale("3000", MARCH)
    sale("3000", MARCH, product="mobile")
    with pytest.raises(DimensionRefused, match="product=mobil, which is not a value"):
        sale("3000", MARCH, product="mobil")
    with pytest.raises(DimensionRefused, match="3080 does not take"):
        sale("3080", MARCH, product="mobile")
    with pytest.raises(UnknownDimension, match="line 2: Book NO01 has no dimension area"):
        sale("3080", MARCH, area="north")
    dimensions.add_dimension(book, "NO01", "area", "Area", actor="x")
    sale("3080", MARCH, area="north")  # Any value: area has no list.
    sale("3000", APRIL)
    with pytest.raises(DimensionRefused):
        sale("3000", APRIL, product="mobile")  # Half-open: it ended that day.
    with pytest.raises(UnknownDimension):
        dimensions.add_value(book, "NO01", "county", "north", "North", actor="x")


@pytest.mark.parametrize("entries", [2, 200])  # As arguments of a call, and through a stage.
def test_a_dimension_that_nobody_registered_is_refused_on_its_line(
    books: str, drafts: Drafts, entries: int
) -> None:
    """Revenue of a mistyped product would be in no report of products."""
    good = [drafts.invoice(f"i-{number}") for number in range(entries)]
    lines = (Line("1920", 1_00), Line("3000", -1_00, dimensions={"area": "x", "prodct": "mobile"}))
    typed = EntryDraft("JNL", MARCH, MARCH, "test", "typed", "A slip", lines)
    with transaction() as session, pytest.raises(UnknownDimension) as refused:
        service.post_batch(session, drafts.batch("b-1", *good, typed))
    facts = {"dimension": "prodct", "entry": entries, "line": 2,
             "pointer": "/lines/1/dimensions/prodct"}  # fmt: skip
    assert refused.value.facts == facts
    with transaction() as session:
        assert service.trial_balance(session, "NO01") == []
        service.post_batch(session, drafts.batch("b-1", *good))


def test_a_dimension_has_a_list_from_its_first_value_on(book: Session) -> None:
    """Before that it takes any value; what was posted then can still be reversed and read."""
    dimensions.add_dimension(book, "NO01", "campaign", "Campaign", actor="x")

    def sale(campaign: str) -> None:
        with book.begin_nested():
            post(book, campaign, Line("1920", 1_00),
                 Line("3000", -1_00, dimensions={"campaign": campaign}))  # fmt: skip

    sale("spring")
    dimensions.add_value(book, "NO01", "campaign", "autumn", "Autumn", actor="x")
    sale("autumn")
    with pytest.raises(DimensionRefused, match="campaign=winter, which is not a value"):
        sale("winter")


def test_a_set_of_nobodys_dimensions_is_refused_by_the_database(books: str) -> None:
    """Whoever writes it, the owner too; of the dimensions of another book as well."""
    with transaction() as session:
        service.seed_book(session, "NO02")
    insert = text("INSERT INTO dimension_set (book_id, canonical_key)"
                  " SELECT book_id, :key FROM book WHERE code = :book")  # fmt: skip
    for role in ("service", "owner"):
        for of, key in (("NO01", "area=x;prodct=mobile"), ("NO02", "area=north")):
            with transaction(role) as session:
                with pytest.raises(DBAPIError) as refused:
                    session.execute(insert, {"book": of, "key": key})
                session.rollback()
            assert getattr(refused.value.orig, "sqlstate", None) == "HB063"


def test_what_the_house_posts_itself_is_registered(book: Session) -> None:
    """Late revenue, partners and providers need nobody to register anything; nor do the usual."""
    known = {one.code for one in dimensions.dimensions(book, "NO01")}
    house = {"service_period", "partner", "provider"}
    assert known == house | {"department", "project", "product"}


def test_a_direct_insert_meets_the_dimension_rules_too(db: str) -> None:
    """The rule is on the table and on each partition, so it holds for whoever inserts."""
    with transaction() as session:
        service.seed_book(session, "NO01")
        service.open_periods(session, "NO01", 2026)
        dimensions.add_dimension(session, "NO01", "product", "Product", actor="x")
        rule = DimensionRule("product", "", "required", date(2026, 1, 1))
        dimensions.set_dimension_rule(session, "NO01", rule, actor="anna")
    insert = (
        "ALTER TABLE journal_line DISABLE TRIGGER require_own_batch;"
        "ALTER TABLE journal_line_2026_03 DISABLE TRIGGER require_own_batch;"
        "INSERT INTO {} (entry_id, line_no, effective_date, account_id, amount_minor, base_minor,"
        " currency) SELECT 1 << 20, 1, '2026-03-31', account_id, 1, 1, 'NOK' FROM account LIMIT 1"
    )
    for table in ("journal_line", "journal_line_2026_03"):
        with transaction("owner") as session:
            with pytest.raises(DBAPIError) as refused:
                session.execute(text(insert.format(table)))
            session.rollback()
        assert getattr(refused.value.orig, "sqlstate", None) == "HB061"


def test_rates_are_read_and_written_exactly() -> None:
    """A rate is an integer of one hundred-millionth."""
    assert parse_rate("11.5140") == 1_151_400_000
    assert format_rate(parse_rate("0.07345678")) == "0.07345678"
    assert convert(-5, parse_rate("0.5")) == -3
    for wrong in ("", "-1", "1.123456789", "0", "1,5", "1e3", "٣"):
        with pytest.raises(Invalid):
            parse_rate(wrong)


@given(
    st.lists(st.integers(1, 10**9), min_size=1, max_size=6),
    st.lists(st.integers(1, 10**9), min_size=1, max_size=6),
    st.integers(1, 10**11),
)
def test_an_entry_that_balances_balances_in_the_books_currency(
    debits: list[int], credits_: list[int], rate_e8: int
) -> None:
    """Each side is converted as a sum, so no øre is left over whatever the rate."""
    credits_ = [*credits_, sum(debits)]
    debits = [*debits, sum(credits_) - sum(debits)]
    amounts = [d for d in debits if d] + [-c for c in credits_]
    lines = tuple(Line("1920", amount, "EUR") for amount in amounts)
    entry = EntryDraft("JNL", MARCH, MARCH, "t", "r", "t", lines)
    done = with_base_amounts(entry, "NOK", {"EUR": rate_e8})
    check_balanced(done)
    for line in done.lines:
        assert abs(line.base - convert(line.amount_minor, rate_e8)) <= 1


def test_a_rate_of_a_day_is_fixed(book: Session) -> None:
    """The same rate may come twice; another one for that day may not."""
    rate = Rate("EUR", MARCH, parse_rate("11.5"), "bank")
    rates.set_rate(book, "NOK", rate, actor="anna")
    rates.set_rate(book, "NOK", rate, actor="anna")
    with pytest.raises(RateFixed, match=r"EUR of 2026-03-31 is 11\.5000"):
        rates.set_rate(book, "NOK", Rate("EUR", MARCH, parse_rate("11.6"), "bank"), actor="anna")
    assert rates.rate_on(book, "NOK", "EUR", APRIL).rate_e8 == rate.rate_e8
    with pytest.raises(UnknownCurrency, match="no rate of EUR"):
        rates.rate_on(book, "NOK", "EUR", date(2026, 3, 30))


def test_a_posting_takes_the_rate_of_its_day_and_keeps_it(book: Session) -> None:
    """A retry after a newer rate came in is still the same posting."""
    lines = (Line("1920", 100_00, "EUR"), Line("2400", -100_00, "EUR"))
    with pytest.raises(UnknownCurrency, match="Entry 0 line 1"), book.begin_nested():
        post(book, "a", *lines)
    rates.set_rate(book, "NOK", Rate("EUR", date(2026, 3, 1), parse_rate("11.5"), "b"), actor="a")
    first = post(book, "a", *lines)
    rates.set_rate(book, "NOK", Rate("EUR", MARCH, parse_rate("12"), "b"), actor="a")
    assert post(book, "a", *lines).entry_ids == first.entry_ids
    entry = service.read_entry(book, first.entry_ids[0])
    assert [line.base_minor for line in entry.lines] == [1150_00, -1150_00]


def claim(amount: int, base: int, ref: str) -> tuple[Line, Line]:
    """Two lines that open a claim of EUR, or settle one where the amount is negative."""
    item = ItemDraft("invoice", ref, None, MARCH, MARCH)
    return (Line("1510", amount, "EUR", party_id=7, item=item, base_minor=base),
            Line("1920", -amount, "EUR", base_minor=-base))  # fmt: skip


def test_a_settled_claim_realises_its_difference_once(book: Session) -> None:
    """What was paid at another rate becomes a gain, part by part, and nothing is left behind."""
    invoice = post(book, "i", *claim(100_00, 1150_00, "i"))
    item = invoice.open_item_ids[0, 1]
    assert revaluation.post_realised(book, "NO01", MARCH, actor="a") is None

    def pay(ref: str, amount: int, base: int) -> None:
        used = AllocationDraft((0, 1), item, amount, MARCH, "test")
        post(book, ref, *claim(-amount, -base, ref), allocations=[used])

    pay("p1", 40_00, 480_00)  # 40 EUR were booked at 460 and paid with 480.
    assert [d.difference_minor for d in revaluation.realised(book, "NO01", MARCH)] == [20_00]
    assert revaluation.post_realised(book, "NO01", MARCH, actor="a") is not None
    assert revaluation.post_realised(book, "NO01", MARCH, actor="a") is None
    pay("p2", 60_00, 600_00)  # 60 EUR were booked at 690 and paid with 600.
    assert [d.difference_minor for d in revaluation.realised(book, "NO01", MARCH)] == [-90_00]
    assert revaluation.post_realised(book, "NO01", MARCH, actor="a") is not None
    base = {a.account: a.base_minor for a in service.trial_balance(book, "NO01")}
    assert (base["8060"], base["8160"], base["1510"]) == (-20_00, 90_00, 0)
    assert service.open_items(book, "NO01") == []
    assert service.verify(book) == []


def test_an_adjustment_that_was_reversed_is_made_again(book: Session) -> None:
    """Both sides of it were taken back: the day is valued anew, the next comes to nothing."""
    rates.set_rate(book, "NOK", Rate("EUR", MARCH, parse_rate("12"), "b"), actor="a")
    post(book, "a", Line("1920", 100_00, "EUR", base_minor=1150_00),
         Line("4300", -100_00, "EUR", base_minor=-1150_00))  # fmt: skip
    first = revaluation.post_unrealised(book, "NO01", MARCH, actor="a")
    assert first is not None
    for entry_id in first.entry_ids:
        service.reverse_entry(book, entry_id, reason="too early", actor="a")
    assert revaluation.post_unrealised(book, "NO01", MARCH, actor="a") is not None
    assert revaluation.post_unrealised(book, "NO01", MARCH, actor="a") is None
    for day, worth in ((MARCH, 50_00), (date(2026, 4, 1), 0)):
        base = {a.account: a.base_minor for a in service.trial_balance(book, "NO01", day)}
        assert (base["1588"], base["8060"]) == (worth, -worth)


def test_holdings_are_valued_at_the_end_and_taken_back_the_next_day(book: Session) -> None:
    """A second run posts nothing; a later posting into the day posts only its own difference."""
    rates.set_rate(book, "NOK", Rate("EUR", MARCH, parse_rate("12"), "b"), actor="a")
    post(book, "a", Line("1920", 100_00, "EUR", base_minor=1150_00),
         Line("2400", -100_00, "EUR", base_minor=-1150_00))  # fmt: skip
    assert revaluation.post_unrealised(book, "NO01", MARCH, actor="a") is not None
    assert revaluation.post_unrealised(book, "NO01", MARCH, actor="a") is None
    post(book, "b", Line("1920", 10_00, "EUR", base_minor=100_00),
         Line("2400", -10_00, "EUR", base_minor=-100_00))  # fmt: skip
    left = revaluation.unrealised(book, "NO01", MARCH)
    assert [one.difference_minor for one in left] == [20_00, -20_00]
    revaluation.post_unrealised(book, "NO01", MARCH, actor="a")

    def nok(day: date) -> dict[str, int]:
        found = service.trial_balance(book, "NO01", day)
        return {a.account: a.balance_minor for a in found if a.currency == "NOK"}

    assert nok(MARCH) == {"1588": 70_00, "2488": -70_00, "8060": -70_00, "8160": 70_00}
    assert set(nok(date(2026, 4, 1)).values()) == {0}


def test_a_holding_that_turns_out_to_be_none_leaves_no_adjustment(book: Session) -> None:
    """A late posting takes back what the day was adjusted for; no rate is asked for nothing."""
    rates.set_rate(book, "NOK", Rate("EUR", MARCH, parse_rate("12"), "b"), actor="a")
    held = (Line("1920", 100_00, "EUR", base_minor=1150_00),
            Line("4300", -100_00, "EUR", base_minor=-1150_00))  # fmt: skip
    post(book, "a", *held)
    assert revaluation.post_unrealised(book, "NO01", MARCH, actor="a") is not None
    post(book, "b", *(replace(x, amount_minor=-x.amount_minor, base_minor=-x.base_minor)
                      for x in held if x.base_minor is not None))  # fmt: skip
    assert revaluation.unrealised(book, "NO01", MARCH) == [
        revaluation.Difference("1920", None, "EUR", -50_00)
    ]
    assert revaluation.post_unrealised(book, "NO01", MARCH, actor="a") is not None
    assert revaluation.post_unrealised(book, "NO01", MARCH, actor="a") is None
    base = {a.account: a.base_minor for a in service.trial_balance(book, "NO01", MARCH)}
    assert (base["1588"], base["8060"] + base["8160"]) == (0, 0)


def test_a_balance_from_outside_is_compared_with_the_books(book: Session) -> None:
    """A bank statement that says otherwise is shown with the difference."""
    post(book, "a", Line("1920", 5_00), Line("4300", -5_00))
    said = Assertion("1920", "NOK", MARCH, 5_00, "bank statement 3")
    assertions.assert_balance(book, "NO01", said, actor="anna")
    assertions.assert_balance(book, "NO01", said, actor="anna")
    wrong = Assertion("1920", "NOK", APRIL, 6_00, "bank statement 4")
    assertions.assert_balance(book, "NO01", wrong, actor="anna")
    checks = assertions.check_assertions(book, "NO01")
    assert [c.difference_minor for c in checks] == [0, -1_00]
    other = Assertion("1920", "NOK", MARCH, 7_00, "bank statement 3")
    with pytest.raises(AssertionDiffers):
        assertions.assert_balance(book, "NO01", other, actor="anna")


def test_a_second_book_has_its_own_currency_and_chart(book: Session) -> None:
    """A Swedish company keeps its books in kronor beside the Norwegian ones."""
    service.seed_book(book, "SE01", "Nordlys Mobil AB", "SEK")
    service.open_periods(book, "SE01", 2026)
    rates.set_rate(book, "SEK", Rate("NOK", MARCH, parse_rate("0.98"), "b"), actor="a")
    posted = post(book, "s", Line("1920", 100_00, "NOK"), Line("4300", -100_00, "NOK"), book="SE01")
    entry = service.read_entry(book, posted.entry_ids[0])
    assert [line.base_minor for line in entry.lines] == [98_00, -98_00]
    assert service.trial_balance(book, "NO01") == []
    chart.rename_account(book, "SE01", "1920", name="Bankkonto", actor="a", reason="x")
    assert chart.account(book, "NO01", "1920").name != "Bankkonto"


def test_who_registered_a_dimension_stands_in_the_audit_log(book: Session) -> None:
    """The dimension and each value, once; what was there already is nobody's doing."""
    for actor in ("anna", "berit"):
        dimensions.add_dimension(book, "NO01", "depot", "Depot", actor=actor)
        dimensions.add_value(book, "NO01", "depot", "north", "North", actor=actor)
    told = book.execute(
        text("SELECT actor, action, subject FROM audit_event WHERE subject LIKE 'NO01/depot%'"
             " ORDER BY audit_event_id")
    ).all()  # fmt: skip
    assert [tuple(row) for row in told] == [
        ("anna", "dimension registered", "NO01/depot"),
        ("anna", "dimension value registered", "NO01/depot/north"),
    ]
