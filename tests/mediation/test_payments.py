"""Payments: from the bank's file to claims paid, with every krone in one place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert, literal, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.db import transaction
from ledger.journal import BatchDraft, EntryDraft, ItemDraft, Line
from ledger.refusals import PeriodClosed
from mediation.formats.ocr_giro import Payment, Transmission, read
from mediation.models import BankPayment, SourceFile
from mediation.service.payments import PaymentOutcome, Unmatched, book_payments, unmatched
from party import service as party
from party.identifiers import make_kid
from party.orders import Customer, Order
from tests.mediation.bank_files import APRIL, PAYMENT, transmission, written

BOOK = "NO01"
MARCH = date(2026, 3, 31)
DUE = date(2026, 4, 14)
KIDS = [make_kid("30000001", number) for number in range(1, 5)]


@pytest.fixture
def books(session: Session) -> Session:
    """A book with 2026 open and three invoices: 125.00 and 250.00 consumer, 500.00 business."""
    ledger.seed_book(session, BOOK)
    ledger.open_periods(session, BOOK, 2026)
    invoices = [("1500", 125_00, 7), ("1500", 250_00, 8), ("1505", 500_00, 9)]
    entries = [
        _invoice(account, gross, party, kid)
        for (account, gross, party), kid in zip(invoices, KIDS, strict=False)
    ]
    ledger.post_batch(session, BatchDraft(BOOK, "billing", "march", "tester", tuple(entries)))
    return session


def _invoice(account: str, gross: int, party: int, kid: str, day: date = MARCH) -> EntryDraft:
    item = ItemDraft("invoice", f"doc {kid}", kid, day, DUE)
    vat = gross // 5
    return EntryDraft(
        "SAL", day, day, "invoice", f"invoice/{kid}", "Faktura",
        (
            Line(account, gross, party_id=party, item=item),
            Line("1530", vat - gross),
            Line("2700", -vat, vat_code="3", tax_base_minor=vat - gross),
        ),
    )  # fmt: skip


def _paid(kid: str | None, amount: int, **more: object) -> Payment:
    return replace(PAYMENT, kid=kid, amount_minor=amount, **more)  # type: ignore[arg-type]


def _sent(*parts: list[Payment], number: int = 1) -> Transmission:
    """Write a file and read it: the service sees what ingestion would give it."""
    return read(written(*parts, number=number), "OCR.txt")


def _file(session: Session, file_id: int = 1) -> int:
    session.execute(
        insert(SourceFile).values(
            file_id=file_id, source_system="OCR", name=f"OCR_{file_id}.txt",
            sha256=f"{file_id:064d}", size=1, format="ocr_giro", record_count=1, state="accepted",
        )
    )  # fmt: skip
    return file_id


def _book(session: Session, sent: Transmission, file_id: int = 1) -> PaymentOutcome:
    return book_payments(session, _file(session, file_id), sent, BOOK, "tester")


def _balance(session: Session, account: str) -> int:
    return ledger.control_balance(session, BOOK, [account])


def _outstanding(session: Session, *kids: str) -> list[int]:
    items = ledger.open_items(session, BOOK, kids=kids, settled=True)
    return [item.outstanding_minor for item in items if item.original_minor > 0]


def _rows(session: Session, file_id: int) -> list[BankPayment]:
    return list(
        session.scalars(
            select(BankPayment).where(BankPayment.file_id == file_id).order_by(BankPayment.line_no)
        )
    )


EVERY_KIND = [
    _paid(KIDS[0], 125_00),
    _paid(KIDS[1], 100_00),
    _paid(KIDS[2], 510_00),
    _paid(KIDS[3], 40_00),
    _paid(KIDS[0][:-1] + "9", 30_00),
    _paid(None, 20_00),
    _paid(KIDS[0], 5_00),
    _paid(KIDS[2], -15_00),
]
REASONS = [
    "overpaid", "unknown_kid", "kid_check_digit", "no_kid", "already_paid", "credit",
]  # fmt: skip


def test_a_file_of_every_kind_is_booked_to_the_last_ore(books: Session) -> None:
    """Claims are paid by KID, the rest waits on 2991, and clearing holds the bank's sum."""
    sent = _sent(EVERY_KIND)
    outcome = _book(books, sent)
    assert (outcome.booked, outcome.amount_minor) == (8, sent.amount_minor)
    assert (outcome.allocated_minor, outcome.unallocated_minor) == (725_00, 90_00)
    assert [exception.reason for exception in outcome.exceptions] == REASONS
    assert all(exception.sentence for exception in outcome.exceptions)
    assert _balance(books, "1940") == 815_00
    assert _balance(books, "2991") == -90_00
    assert (_balance(books, "1500"), _balance(books, "1505")) == (150_00, 0)
    assert _outstanding(books, *KIDS) == [0, 150_00, 0, 15_00]
    assert not ledger.verify(books)


def test_the_unmatched_money_is_listed_with_reason_and_customer(books: Session) -> None:
    """The list has the KID as written and sums to what stands on 2991."""
    _book(books, _sent(EVERY_KIND))
    listed = unmatched(books, BOOK)
    assert [(money.reason, money.kid, money.party_id, money.outstanding_minor)
            for money in listed] == [
        ("overpaid", KIDS[2], 9, 10_00),
        ("unknown_kid", KIDS[3], None, 40_00),
        ("kid_check_digit", KIDS[0][:-1] + "9", None, 30_00),
        ("no_kid", None, None, 20_00),
        ("already_paid", KIDS[0], 7, 5_00),
        ("credit", KIDS[2], 9, -15_00),
    ]  # fmt: skip
    assert sum(money.outstanding_minor for money in listed) == -_balance(books, "2991")
    assert {money.received_on for money in listed} == {APRIL}
    assert unmatched(books, BOOK, as_of=APRIL - timedelta(1)) == []


def test_money_from_elsewhere_is_listed_too(books: Session) -> None:
    """What another system booked on 2991 has no reason of ours, but it is owed all the same."""
    item = ItemDraft("payment", "bank 1", None, APRIL, APRIL)
    entry = EntryDraft(
        "PAY", APRIL, APRIL, "payment", "by hand", "Innbetaling",
        (Line("1920", 60_00), Line("2991", -60_00, item=item)),
    )  # fmt: skip
    posted = ledger.post_batch(books, BatchDraft(BOOK, "test", "by hand", "tester", (entry,)))
    assert unmatched(books, BOOK) == [
        Unmatched(
            posted.open_item_ids[0, 2], APRIL, None, None, None, "bank 1", 60_00, 60_00, None, None
        )
    ]


def test_every_row_leads_to_its_entry_and_items(books: Session) -> None:
    """From a line of the bank's file to the voucher, the claim and the allocation with its rule."""
    outcome = _book(books, _sent(EVERY_KIND))
    rows = _rows(books, 1)
    overpaid = rows[2]
    assert overpaid.batch_id == outcome.batch_id
    entry = ledger.read_entry(books, overpaid.entry_id or 0)
    assert (entry.voucher.series, entry.effective_date) == ("PAY", APRIL)
    assert {line.open_item_id for line in entry.lines} >= {
        *overpaid.payment_item_ids,
        overpaid.unallocated_item_id,
    }
    used = ledger.allocations_of(books, overpaid.claim_item_ids[0])
    assert [(one.credit_item_id, one.amount_minor, one.rule) for one in used] == [
        (overpaid.payment_item_ids[0], 500_00, "kid overpaid")
    ]
    assert used[0].effective_date == APRIL
    assert [row.outcome for row in rows] == ["exact", "part", "overpaid", *["unallocated"] * 5]


def test_an_assignment_and_day_is_one_voucher(books: Session) -> None:
    """The clearing lines are the lump sums of the bank statement."""
    early = APRIL - timedelta(3)
    _book(
        books,
        _sent(
            [_paid(KIDS[0], 125_00), _paid(KIDS[1], 50_00, settled=early)],
            [_paid(KIDS[1], 200_00, form_no="9713000002")],
        ),
    )
    statement = ledger.account_statement(books, BOOK, "1940").lines
    assert [(line.effective_date, line.amount_minor) for line in statement] == [
        (early, 50_00),
        (APRIL, 125_00),
        (APRIL, 200_00),
    ]
    assert [line.voucher.number for line in statement] == [1, 2, 3]


def test_payments_and_credits_that_cancel_make_no_clearing_line(books: Session) -> None:
    """The bank moved nothing, and yet the claim is paid."""
    outcome = _book(books, _sent([_paid(KIDS[0], 125_00), _paid(KIDS[1], -125_00)]))
    assert (outcome.amount_minor, outcome.allocated_minor) == (0, 125_00)
    assert _balance(books, "1940") == 0
    assert _outstanding(books, KIDS[0]) == [0]


def test_a_reversal_waits_for_a_person(books: Session) -> None:
    """It is in the bank's sum, so it is booked; it never pays the claim."""
    outcome = _book(books, _sent([_paid(KIDS[0], 125_00, kind=18)]))
    assert [exception.reason for exception in outcome.exceptions] == ["reversal"]
    assert (_balance(books, "1940"), _balance(books, "2991")) == (125_00, -125_00)
    assert _outstanding(books, KIDS[0]) == [125_00]


def test_one_kid_may_carry_an_invoice_and_its_fee(books: Session) -> None:
    """A payment for both is one receipt with a line and an allocation for each account."""
    item = ItemDraft("fee", "fee 1", KIDS[0], DUE, DUE)
    fee = EntryDraft(
        "JNL", DUE, DUE, "reminder_fee", "fee 1", "Purregebyr",
        (Line("1571", 38_00, party_id=7, item=item), Line("3900", -38_00)),
    )  # fmt: skip
    ledger.post_batch(books, BatchDraft(BOOK, "test", "fee 1", "tester", (fee,)))
    outcome = _book(books, _sent([_paid(KIDS[0], 163_00)]))
    assert (outcome.allocated_minor, outcome.exceptions) == (163_00, [])
    assert (_balance(books, "1571"), _outstanding(books, KIDS[0])) == (0, [0, 0])


def test_a_claim_is_not_paid_before_it_is_made(books: Session) -> None:
    """Money that came before the invoice's date is allocated on that date, not earlier."""
    late = APRIL + timedelta(5)
    invoice = _invoice("1500", 100_00, 7, KIDS[3], day=late)
    ledger.post_batch(books, BatchDraft(BOOK, "billing", "late", "tester", (invoice,)))
    _book(books, _sent([_paid(KIDS[3], 100_00)]))
    items = ledger.open_items(books, BOOK, effective_as_of=APRIL, kids=[KIDS[3]])
    assert [item.outstanding_minor for item in items] == [-100_00]
    assert ledger.open_items(books, BOOK, effective_as_of=late, kids=[KIDS[3]]) == []


def test_an_old_kid_of_another_length_may_have_mod11(books: Session) -> None:
    """The length decides the method; a KID of ours is MOD10 only."""
    outcome = _book(books, _sent([_paid("123456785", 1_00), _paid("123456781", 1_00)]))
    assert [exception.reason for exception in outcome.exceptions] == [
        "unknown_kid",
        "kid_check_digit",
    ]


def test_the_same_file_gives_the_same_answer_again(books: Session) -> None:
    """A retry posts nothing and says what the first said."""
    sent = _sent(EVERY_KIND)
    first = _book(books, sent)
    again = book_payments(books, 1, sent, BOOK, "tester")
    assert again == replace(first, replayed=True)
    assert len(_rows(books, 1)) == len(EVERY_KIND)


def test_payments_of_an_earlier_file_are_not_booked_twice(books: Session) -> None:
    """Another file that repeats payments books only what is new in it."""
    repeated = _paid(KIDS[0], 125_00)
    _book(books, _sent([repeated]))
    outcome = _book(books, _sent([repeated, _paid(KIDS[1], 250_00)], number=2), file_id=2)
    assert (outcome.booked, outcome.amount_minor) == (1, 250_00)
    assert [exception.reason for exception in outcome.exceptions] == ["already_booked"]
    assert _balance(books, "1940") == 375_00
    nothing = _book(books, _sent([repeated], number=3), file_id=3)
    assert (nothing.booked, nothing.batch_id) == (0, None)
    assert [row.outcome for row in _rows(books, 3)] == ["not_booked"]


def test_the_bank_key_of_one_payment_for_another_is_told_apart(books: Session) -> None:
    """Same key but another amount is no repetition: somebody must ask the bank."""
    _book(books, _sent([_paid(KIDS[0], 125_00)]))
    outcome = _book(books, _sent([_paid(KIDS[0], 126_00)], number=2), file_id=2)
    assert [exception.reason for exception in outcome.exceptions] == ["key_conflict"]
    assert _balance(books, "1940") == 125_00


def test_a_payment_told_twice_in_one_file_is_booked_once(books: Session) -> None:
    """Two assignments that repeat one payment of the bank count once."""
    outcome = _book(books, _sent([_paid(KIDS[0], 125_00)], [_paid(KIDS[0], 125_00)]))
    assert (outcome.booked, _balance(books, "1940")) == (1, 125_00)
    assert [exception.reason for exception in outcome.exceptions] == ["already_booked"]


def test_one_key_of_the_bank_for_two_payments_of_a_file_loses_none(books: Session) -> None:
    """Assignments number their payments anew, and electronic ones have no form number."""
    bare = {"kind": 13, "form_no": "0" * 10}
    sent = _sent([_paid(KIDS[0], 125_00, **bare)], [_paid(KIDS[1], 250_00, **bare)])
    outcome = _book(books, sent)
    assert (outcome.booked, outcome.exceptions) == (2, [])
    assert _balance(books, "1940") == sent.amount_minor
    assert _outstanding(books, KIDS[0], KIDS[1]) == [0, 0]
    again = _book(books, replace(sent, number=2), file_id=2)
    assert [exception.reason for exception in again.exceptions] == ["already_booked"] * 2
    stranger = _book(books, _sent([_paid(KIDS[2], 500_00, **bare)], number=3), file_id=3)
    assert [exception.reason for exception in stranger.exceptions] == ["key_conflict"]


def test_the_database_books_a_payment_once_by_itself(books: Session) -> None:
    """Two rows of one booked payment are refused, also where it has no KID."""
    _book(books, _sent([_paid(None, 125_00)]))
    _file(books, 2)
    row = BankPayment.__table__
    columns = [column.name for column in row.columns if column.name != "file_id"]
    with pytest.raises(DBAPIError, match="uq_bank_payment_booked"):
        books.execute(
            insert(BankPayment).from_select(
                ["file_id", *columns], select(literal(2), *(row.c[name] for name in columns))
            )
        )


def test_money_with_an_unknown_bill_of_a_known_account_names_its_customer(books: Session) -> None:
    """The account number in the KID says whom to ask; nothing is paid with the money."""
    day = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    customer = Customer("10000001", "person", "Kunde 10000001")
    order = Order("MOOX", "M1", 3, "add", day, "SUB1", "SMALL", customer, "30000001", "consumer")
    party.apply_orders(books, [order], {"SMALL"})
    (account,) = party.billing_accounts(books, numbers=["30000001"])
    _book(books, _sent([_paid(KIDS[3], 40_00), _paid(make_kid("30000002", 1), 50_00)]))
    assert [(money.reason, money.party_id) for money in unmatched(books, BOOK)] == [
        ("unknown_kid", account.party_id),
        ("unknown_kid", None),
    ]


def test_a_file_without_payments_books_nothing(books: Session) -> None:
    """Banks send empty transmissions on quiet days."""
    assert _book(books, _sent()) == PaymentOutcome(0, 0, 0, 0, [])
    assert _book(books, _sent([]), file_id=2).booked == 0


def test_a_closed_period_refuses_the_file_whole(books: Session) -> None:
    """One settlement date in a locked month stops all of them; nothing is recorded."""
    ledger.lock_period(
        books, BOOK, "2026-03", module="AR", level="hard", actor="tester", reason="closed"
    )
    sent = _sent([_paid(KIDS[0], 125_00), _paid(KIDS[1], 1_00, settled=MARCH)])
    _file(books)
    with pytest.raises(PeriodClosed), books.begin_nested():
        book_payments(books, 1, sent, BOOK, "tester")
    assert _rows(books, 1) == []
    assert _balance(books, "1940") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE bank_payment SET kid = '1'",
        "DELETE FROM bank_payment",
        "TRUNCATE bank_payment",
    ],
)
@pytest.mark.parametrize("role", ["service", "owner"])
def test_what_the_bank_told_cannot_be_changed(db: str, role: str, statement: str) -> None:
    """The rows are facts, for the application and for the owner of the tables."""
    with transaction() as session:
        ledger.seed_book(session, BOOK)
        ledger.open_periods(session, BOOK, 2026)
        _book(session, _sent([_paid(KIDS[0], 125_00)]))
    with pytest.raises(DBAPIError), transaction(role) as session:  # type: ignore[arg-type]
        session.execute(text(statement))
    with transaction("auditor") as session:
        assert session.scalar(text("SELECT count(*) FROM bank_payment")) == 1


def test_a_committed_file_passes_the_ledger_checks(db: str) -> None:
    """The deferred checks of the batch agree, and the books verify."""
    with transaction() as session:
        ledger.seed_book(session, BOOK)
        ledger.open_periods(session, BOOK, 2026)
        _book(session, transmission([_paid(KIDS[0], 125_00)]))
    with transaction() as session:
        assert not ledger.verify(session)
        assert unmatched(session, BOOK)[0].reason == "unknown_kid"
