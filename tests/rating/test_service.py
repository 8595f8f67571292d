"""The rating door: tariff books and charges in PostgreSQL, facts that nobody can change."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date

import numpy as np
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ledger import db as ledger_db
from ledger import service as ledger_service
from ledger.journal import BatchDraft, EntryDraft, Line
from rating import service
from rating.charges import Booked, ChargeKey, deltas
from rating.models import ChargeDelta, ChargeKeyRow, RatingRun, TariffBookRow, TariffVerdict
from rating.service import ChargeKeysUnknown, TariffNotFound, TariffVersionTaken
from tests.rating.tariffs import SMALL
from tests.rating.test_margins import WHOLESALE

MARCH = date(2026, 3, 31)
KEY = ChargeKey(
    book_code="NO01", billing_account_id=10_000_001, party_id=7, subscription_id=3,
    component="voice", revenue_account="3010", vat_code="3", vat_rate_bp=2500,
    price_basis="gross", usage_period="2026-03", accounting_month="2026-03",
    billing_period="2026-03", kind="usage", dimensions={"product": "mobile", "area": "north"},
    text="Samtaler", unit="s",
)  # fmt: skip
ONE = np.ones(1, np.int64)


@pytest.fixture
def books(db: str) -> str:
    """A committed book with the periods of 2026 open."""
    with ledger_db.transaction() as opened:
        ledger_service.seed_book(opened, "NO01")
        ledger_service.open_periods(opened, "NO01", 2026)
    return db


def post(session: Session, ref: str, minor: int = 100) -> int:
    """Post a small accrual and give its batch."""
    lines = (Line("1530", minor), Line("3010", -minor))
    entry = EntryDraft("USG", MARCH, MARCH, "usage", ref, "Bruk", lines)
    draft = BatchDraft("NO01", "rating-test", ref, "tester", (entry,))
    return ledger_service.post_batch(session, draft).batch_id


def book_usage(session: Session, ref: str, key: ChargeKey, micro: int) -> Booked:
    """Add an amount to a charge as a rating run does; gives what was added."""
    ids = service.ensure_charge_keys(session, [key])
    booked = service.charge_totals(session, ids)
    gross = np.array([key.price_basis == "gross"])
    rates = np.array([key.vat_rate_bp])
    added = deltas(booked, booked.micro + np.array([micro]), gross, rates)
    service.add_charge_deltas(session, post(session, ref), ids, added, ONE, ONE * 60)
    return added


def test_the_same_tariff_is_loaded_once_and_read_back_equal(session: Session) -> None:
    """Loading is idempotent by content; the book compiled from the database has the same hash."""
    loaded = service.load_tariff(session, SMALL.encode())
    again = service.load_tariff(session, f"# comment\n{SMALL}".encode())
    assert (loaded.new, again.new) == (True, False)
    assert len(service.tariff_books(session)) == 1
    read = service.tariff_book(session, MARCH)
    assert read.content_hash == loaded.book.content_hash
    assert service.tariff_book_by_hash(session, read.content_hash) is read


def test_another_content_under_the_same_version_is_refused(session: Session) -> None:
    """A published version never changes; neither does who is in force from a day."""
    service.load_tariff(session, SMALL.encode())
    dearer = SMALL.replace('"0.90"', '"0.91"')
    with pytest.raises(TariffVersionTaken, match="SMALL/1 valid from 2026-01-01"):
        service.load_tariff(session, dearer.encode())
    with pytest.raises(TariffVersionTaken):
        service.load_tariff(session, dearer.replace("version = 1", "version = 2").encode())


def test_the_book_in_force_is_the_last_whose_day_has_come(session: Session) -> None:
    """Before the first day there is none; two names need one to be named."""
    second = SMALL.replace("version = 1", "version = 2").replace("2026-01-01", "2026-04-01")
    service.load_tariff(session, second.encode())
    service.load_tariff(session, SMALL.encode())
    assert service.tariff_book(session, MARCH).tariff.version == 1
    assert service.tariff_book(session, date(2026, 4, 1)).tariff.version == 2
    with pytest.raises(TariffNotFound, match="Load one with"):
        service.tariff_book(session, date(2025, 12, 31))
    service.load_tariff(session, SMALL.replace('"SMALL"', '"OTHER"').encode())
    with pytest.raises(TariffNotFound, match="OTHER, SMALL"):
        service.tariff_book(session, MARCH)
    assert service.tariff_book(session, MARCH, "OTHER").tariff.name == "OTHER"


def test_what_partners_ask_is_no_price_of_a_customer(session: Session) -> None:
    """Without a name only tariffs that sell to customers are looked at."""
    service.load_tariff(session, WHOLESALE.encode())
    with pytest.raises(TariffNotFound, match="No tariff book is valid"):
        service.tariff_book(session, MARCH)
    assert service.tariff_book(session, MARCH, "INTERCONNECT").tariff.currency == "EUR"
    service.load_tariff(session, SMALL.encode())
    assert service.tariff_book(session, MARCH).tariff.name == "SMALL"


def test_keys_are_found_again_whatever_their_order_and_text(session: Session) -> None:
    """The natural key decides; description and order of dimensions do not."""
    other = replace(KEY, component="sms", dimensions={})
    ids = service.ensure_charge_keys(session, [KEY, other, KEY])
    same = replace(KEY, text="Calls", dimensions={"area": "north", "product": "mobile"})
    again = service.ensure_charge_keys(session, [other, same])
    assert ids[0] == ids[2] != ids[1]
    assert again.tolist() == [ids[1], ids[0]]
    assert service.ensure_charge_keys(session, []).tolist() == []


def test_deltas_add_up_to_the_charge_that_is_billed(books: str, session: Session) -> None:
    """Twenty items of 1.29 in two batches are 25.80, net 20.64, as one rounding gives."""
    book_usage(session, "one", KEY, 7 * 1_290_000)
    book_usage(session, "two", KEY, 13 * 1_290_000)
    (charge,) = service.charges_for_billing(session, "NO01", "2026-03")
    assert (charge.key, charge.amount_minor, charge.minor_net) == (KEY, 25_80, 20_64)
    assert (charge.micro, charge.events, charge.quantity) == (20 * 1_290_000, 2, 120)
    assert service.charges_for_billing(session, "NO01", "2026-03", [10_000_001]) == [charge]
    assert service.charges_for_billing(session, "NO01", "2026-03", [1]) == []
    assert service.charges_for_billing(session, "NO01", "2026-04") == []


def test_a_net_charge_has_no_gross_of_its_own(books: str, session: Session) -> None:
    """VAT on net prices is computed per rate on the invoice, not per charge."""
    book_usage(session, "net", replace(KEY, price_basis="net"), 12_345)
    (charge,) = service.charges_for_billing(session, "NO01", "2026-03")
    assert (charge.minor_net, charge.minor_gross, charge.amount_minor) == (1, 0, 1)


def test_a_batch_that_adds_nothing_writes_nothing(books: str, session: Session) -> None:
    """A second rating of the same events leaves no rows."""
    ids = service.ensure_charge_keys(session, [KEY])
    zero = np.zeros(1, np.int64)
    nothing = Booked.nothing(1)
    batch_id = post(session, "zero")
    assert service.add_charge_deltas(session, batch_id, ids, nothing, zero, zero) == 0
    assert service.charges_of_batch(session, batch_id) == []


def test_keys_that_do_not_exist_cannot_be_locked(session: Session) -> None:
    """A wrong id is an error, not an empty lock."""
    with pytest.raises(ChargeKeysUnknown, match="1 of 1 do not exist"):
        service.lock_charge_keys(session, np.array([4_711]))


def test_two_batches_on_one_key_wait_for_each_other(books: str) -> None:
    """The second sees what the first booked: the øre are those of the sum."""
    holding, done = threading.Event(), threading.Event()
    added: list[int] = []

    def second() -> None:
        holding.wait(20)
        with ledger_db.transaction() as opened:
            added.append(int(book_usage(opened, "second", KEY, 5_000).minor_gross[0]))
        done.set()

    waiter = threading.Thread(target=second)
    waiter.start()
    with ledger_db.transaction() as opened:
        first = book_usage(opened, "first", KEY, 4_000).minor_gross[0]
        holding.set()
        assert not done.wait(0.5)
    waiter.join(20)
    # 0.4 øre rounds to nothing, 0.9 øre to one: the second batch books the whole øre.
    assert (first, added) == (0, [1])


def test_the_last_run_says_where_a_period_stands(session: Session) -> None:
    """Also when it stands again where an earlier run had left it."""
    book = service.load_tariff(session, SMALL.encode()).book
    run = service.record_run(
        session, "2026-03", "a" * 64, book.content_hash,
        batch_id=None, rated_refs=["b" * 64], counts={"rated": 3},
    )  # fmt: skip
    assert service.last_run(session, "2026-03") is run
    assert service.last_run(session, "2026-04") is None
    later = [
        service.record_run(
            session, "2026-03", inputs * 64, book.content_hash,
            batch_id=None, rated_refs=[], counts={},
        )
        for inputs in "ba"
    ]  # fmt: skip
    assert service.last_run(session, "2026-03") is later[-1]
    assert service.rating_runs(session, "2026-03") == [run, *later]


@pytest.mark.parametrize(
    "table", ["tariff_book", "tariff_verdict", "charge_key", "charge_delta", "rating_run"]
)
@pytest.mark.parametrize("role", ["service", "owner"])
def test_recorded_facts_cannot_be_changed(books: str, table: str, role: str) -> None:
    """The service lacks the right, and the guard stops even the owner."""
    with ledger_db.transaction() as opened:
        book = service.load_tariff(opened, SMALL.encode()).book
        book_usage(opened, "fact", KEY, 1_000_000)
        service.record_run(
            opened, "2026-03", "a" * 64, book.content_hash, batch_id=None, rated_refs=[], counts={}
        )
    column = {"tariff_book": "source", "tariff_verdict": "comment", "charge_key": "text"}.get(table)
    column = column or ("events" if table == "charge_delta" else "counts")
    for attack in (
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"TRUNCATE {table} CASCADE",
    ):
        with (
            pytest.raises((DBAPIError, psycopg.Error)),
            ledger_db.transaction(role) as opened,  # type: ignore[arg-type]
        ):
            opened.execute(text(attack))
    with ledger_db.transaction("auditor") as opened:
        assert opened.scalar(text(f"SELECT count(*) FROM {table}")) == 1


def test_models_say_what_the_migration_made(session: Session) -> None:
    """Columns of the models and of the tables are the same."""
    for model in (TariffBookRow, TariffVerdict, RatingRun, ChargeDelta, ChargeKeyRow):
        found = session.execute(
            text(
                "SELECT column_name, is_nullable = 'YES' FROM information_schema.columns "
                "WHERE table_name = :name"
            ),
            {"name": model.__tablename__},
        )
        table = model.__table__
        assert dict(found.all()) == {c.name: c.nullable for c in table.columns}  # type: ignore[arg-type]
