"""Bill runs on a real database: each charge once, balanced, resumable, refused with a reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.db import engine, migrate, transaction
from ledger.errors import Conflict, DoesNotTie, Invalid
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line
from ledger.vault import vault
from party import service as party
from reporting import policy, service
from reporting.cli.billing import Billed, month_end, render_all, run_bills
from reporting.invoicing import Basis, BillingAccount
from reporting.models import InvoiceCharge, InvoiceLineRow, InvoiceRow
from reporting.policy import Policy, policy_on
from reporting.printing import page_of
from reporting.seller import DEMO_SELLER
from reporting.service import sources
from reporting.service.invoices import billed_keys
from reporting.service.tracing import trace_invoice
from tests.reporting.bills import BUSINESS, CONSUMER, charge
from tests.reporting.unbilled import Unbilled

ORDER = service.Order("NO01", "2026-03", date(2026, 3, 31), DEMO_SELLER, "test")
APRIL_END = date(2026, 4, 30)


@pytest.fixture
def month(db: str) -> Unbilled:
    """A book in which two customers' usage of March is rated and not yet billed."""
    unbilled = Unbilled()
    unbilled.owes(CONSUMER, charge(1, 29900, component="subscription"), charge(2, 129))
    unbilled.owes(BUSINESS, charge(3, 7920, "net"), charge(4, 1299, "net", component="sms"))
    return unbilled


def balances() -> dict[str, int]:
    """The trial balance as a dictionary. [øre]"""
    with transaction() as session:
        return {
            row.account: row.balance_minor for row in service.trial_balance(session, "NO01").rows
        }


def bill(size: int = 250) -> Billed:
    """Run the bills of March at the door."""
    return run_bills(ORDER, size)


def test_a_run_moves_unbilled_revenue_to_receivables(month: Unbilled) -> None:
    """Gross on 1500 and 1505, the net off 1530 to zero, VAT on 2700, and the sum is zero."""
    billed = bill()
    assert (billed.invoices, billed.refused) == (2, ())
    assert billed.gross_minor == 30029 + 11524
    assert balances() == {
        "1500": 30029,
        "1505": 11524,
        "1530": 0,
        "2700": -(30029 - 24023) - 2305,
        "3010": -(24023 + 9219),
    }


def test_an_invoice_carries_its_number_its_lines_and_its_claim(month: Unbilled) -> None:
    """The number is the voucher of the sales series; the open item has KID and due date."""
    bill()
    with transaction() as session:
        first, second = service.iter_invoices(session, "NO01")
        assert (first.number, second.number) == ("2026-000001", "2026-000002")
        assert (first.account_no, first.name, first.period) == (
            "10000001", "Testkunde En", "2026-03",
        )  # fmt: skip
        entry = ledger.read_entry(session, first.entry_id)
        assert str(entry.voucher) == "SAL/2026/1"
        assert (entry.source_system, entry.source_ref) == ("billing", "NO01/10000001/1")
        (item,) = ledger.open_items(session, "NO01", party_id=CONSUMER.party_id)
        assert (item.open_item_id, item.kid) == (first.open_item_id, "100000010000015")
        assert (item.due_date, item.outstanding_minor) == (date(2026, 4, 14), 30029)
        lines = service.lines_of(session, first.invoice_id)
        assert [line.amount_minor for line in lines] == [29900, 129]
        keys = service.charge_keys_of(session, first.invoice_id)
        assert len(keys) == 2
        (second_key,) = service.charge_keys_of(session, first.invoice_id, 2)
        assert service.line_of_charge(session, second_key) == (first.invoice_id, 2)
        assert service.invoice_of_entry(session, first.entry_id) == first
        assert service.outstanding_of(session, "NO01", first, None) == 30029


def test_no_personal_data_enters_the_journal(month: Unbilled) -> None:
    """Names, addresses and numbers stand in the invoice's snapshot, nowhere in the entry."""
    bill()
    with transaction() as session:
        (first, _) = service.iter_invoices(session, "NO01")
        told = str(ledger.read_entry(session, first.entry_id))
        snapshot = session.execute(select(InvoiceRow.snapshot).limit(1)).scalar_one()
    for secret in (CONSUMER.name, CONSUMER.street, "4790000001", "900 00 001"):
        assert secret not in told
    assert snapshot["buyer"]["name"] == CONSUMER.name
    assert {line["subscription"] for line in snapshot["lines"]} == {"4790000001"}


def test_a_second_run_bills_nothing(month: Unbilled) -> None:
    """What is billed is no longer unbilled."""
    bill()
    before = balances()
    assert bill() == Billed(0, 0, ())
    assert balances() == before


def test_a_run_of_small_chunks_makes_the_same_invoices(month: Unbilled) -> None:
    """One account per transaction: killed between any two, the next run goes on."""
    with transaction() as session:
        chunk = service.bill_next_chunk(session, ORDER, size=1)
    assert (len(chunk.invoice_ids), chunk.last_account) == (1, 1)
    assert bill(size=1).invoices == 1
    with transaction() as session:
        assert [each.number for each in service.iter_invoices(session, "NO01")] == [
            "2026-000001", "2026-000002",
        ]  # fmt: skip
        assert session.scalar(text("SELECT count(*) FROM bill_run")) == 1
        assert ledger.gaps(session) == []


def test_a_chunk_that_is_rolled_back_leaves_no_trace(month: Unbilled) -> None:
    """Killed before the commit: no invoice, no number, no job; the next run starts at 1."""
    with Session(engine()) as session:
        service.bill_next_chunk(session, ORDER)
        session.rollback()
    with transaction() as session:
        assert session.scalar(select(func.count()).select_from(InvoiceRow)) == 0
        assert session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0
    assert bill().invoices == 2
    with transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 1


def test_late_charges_make_a_further_invoice(month: Unbilled) -> None:
    """The account's next bill has the next sequence, so the next KID."""
    bill()
    month.owes(CONSUMER, charge(9, 1000))
    assert bill().gross_minor == 1000
    with transaction() as session:
        kids = [each.kid for each in service.iter_invoices(session, "NO01", party_id=7)]
    assert [kid[:14] for kid in kids] == ["10000001000001", "10000001000002"]


def test_what_cannot_be_billed_is_listed_and_the_rest_goes_on(month: Unbilled) -> None:
    """A mixed account and one without payer are named; a zero account is passed over."""
    month.owes(other(3), charge(10, 500), charge(14, 400, "net"))
    month.owes(other(4), charge(11, 0))
    month.owes(other(5), charge(12, 100), known=False)
    billed = bill(size=2)
    assert billed.invoices == 2
    assert [(refusal.billing_account_id, refusal.reason) for refusal in billed.refused] == [
        (3, "mixed-price-basis"),
        (5, "invalid"),
    ]
    assert bill(size=2).refused == billed.refused


def test_more_credit_than_charges_is_a_credit_note(month: Unbilled) -> None:
    """A document of the sales series that names what it corrects; nothing stays on 1530."""
    bill()
    before = balances()
    month.owes(CONSUMER, charge(20, -50_000), charge(21, 10_000))
    billed = bill()
    assert (billed.invoices, billed.gross_minor, billed.refused) == (1, -40_000, ())
    after = balances()
    assert after["1530"] == 0
    assert after["1500"] == before["1500"] - 40_000
    assert after["2700"] == before["2700"] + 8_000
    assert bill().invoices == 0
    with transaction() as session:
        first, note = service.iter_invoices(session, "NO01", party_id=CONSUMER.party_id)
        items = ledger.open_items(session, "NO01", party_id=CONSUMER.party_id)
        assert {item.kind: item.outstanding_minor for item in items} == {
            "invoice": first.gross_minor, "credit_note": -40_000,
        }  # fmt: skip
        assert ledger.open_items(session, "NO01", kids=[note.kid]) == []
        snapshot = session.get_one(InvoiceRow, note.invoice_id).snapshot
        assert snapshot["corrects"] == [first.number]
        # The credit pays for the invoice, as any credit of the customer may.
        claim, credit = sorted(items, key=lambda item: -item.outstanding_minor)
        assert service.outstanding_of(session, "NO01", note, None) == -40_000
        assert (claim.open_item_id, credit.open_item_id) == (
            first.open_item_id, note.open_item_id,
        )  # fmt: skip
    assert render_all("NO01") == 3


def _credited(month: Unbilled) -> None:
    """Bill the month, then give account 1 two credit notes of 100 and 400 kroner."""
    bill()
    for key, amount in ((20, -10_000), (21, -40_000)):
        month.owes(CONSUMER, charge(key, amount))
        bill()


def _uses() -> list[tuple[int, int, int, date, str]]:
    """What was allocated: credit, debit, øre, day, rule."""
    with transaction() as session:
        rows = session.execute(
            text(
                "SELECT credit_item_id, debit_item_id, amount_minor, effective_date, rule"
                " FROM allocation ORDER BY allocation_id"
            )
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]


def test_earlier_credits_pay_the_next_bill_of_their_account(month: Unbilled) -> None:
    """The oldest first, on the invoice date, once; the invoice and its KID stay as they are."""
    _credited(month)
    with transaction() as session:
        first, small, large = service.iter_invoices(session, "NO01", party_id=CONSUMER.party_id)
    april = replace(ORDER, invoice_date=APRIL_END)
    month.owes(CONSUMER, charge(30, 25_000))
    before = balances()["1500"]
    assert run_bills(april).gross_minor == 25_000
    assert balances()["1500"] == before + 25_000
    with transaction() as session:
        *_, new = service.iter_invoices(session, "NO01", party_id=CONSUMER.party_id)
    assert _uses() == [
        (
            small.open_item_id,
            new.open_item_id,
            10_000,
            APRIL_END,
            f"set-off: credit note {small.number}",
        ),
        (
            large.open_item_id,
            new.open_item_id,
            15_000,
            APRIL_END,
            f"set-off: credit note {large.number}",
        ),
    ]
    with transaction() as session:
        left = ledger.open_items(session, "NO01", party_id=CONSUMER.party_id)
        assert [(item.open_item_id, item.outstanding_minor) for item in left] == [
            (first.open_item_id, first.gross_minor), (large.open_item_id, -25_000),
        ]  # fmt: skip
        page = page_of(session.get_one(InvoiceRow, new.invoice_id).snapshot, new.number)
    assert page["totals"][2:] == [
        ["Fakturabeløp", "250,00"],
        [f"Til gode fra tidligere, {small.number}", "\N{MINUS SIGN}100,00"],
        [f"Til gode fra tidligere, {large.number}", "\N{MINUS SIGN}150,00"],
        ["Å betale, NOK", "0,00"],
    ]
    assert page["payment"][-1] == ["Å betale", "0,00\N{NO-BREAK SPACE}kr"]
    assert render_all("NO01") == 5
    uses = _uses()
    assert run_bills(april).invoices == 0
    assert _uses() == uses
    month.owes(CONSUMER, charge(31, 30_000))
    run_bills(april)
    with transaction() as session:
        *_, last = service.iter_invoices(session, "NO01", party_id=CONSUMER.party_id)
        assert service.outstanding_of(session, "NO01", last, None) == 5_000
        page = page_of(session.get_one(InvoiceRow, last.invoice_id).snapshot, last.number)
        report = service.aging_report(session, "NO01", APRIL_END)
    assert page["payment"][1] == ["KID", last.kid]
    assert page["payment"][-1] == ["Å betale", "50,00\N{NO-BREAK SPACE}kr"]
    assert dict(report.control_minor)["1500"] == first.gross_minor + 5_000


def test_credits_are_not_set_off_where_they_are_not_free(
    month: Unbilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not another account's, not before their day, not what is used later, not by every policy."""
    _credited(month)
    same_party = replace(other(3), party_id=CONSUMER.party_id)
    month.owes(same_party, charge(30, 1_000))
    early = replace(ORDER, invoice_date=date(2026, 3, 30))
    assert run_bills(replace(ORDER, invoice_date=APRIL_END)).invoices == 1
    month.owes(CONSUMER, charge(31, 1_000))
    assert run_bills(early).invoices == 1
    assert _uses() == []
    with transaction() as session:
        first, small, large, *_ = service.iter_invoices(session, "NO01", party_id=7)
        assert first.open_item_id
        assert small.open_item_id
        used = AllocationDraft(
            small.open_item_id, first.open_item_id, 10_000, date(2026, 5, 5), "by hand"
        )
        ledger.post_batch(session, BatchDraft("NO01", "desk", "a/1", "ola", (), (used,)))
    month.owes(CONSUMER, charge(32, 1_000))
    run_bills(replace(ORDER, invoice_date=APRIL_END))
    assert [use[0] for use in _uses()] == [small.open_item_id, large.open_item_id]
    off = Policy(date(2026, 6, 1), set_off_credits=False)
    versions = (policy_on(APRIL_END), off)
    monkeypatch.setattr(policy, "_versions", lambda: versions)
    month.owes(CONSUMER, charge(33, 1_000), charge(34, 1_000))
    run_bills(replace(ORDER, invoice_date=date(2026, 6, 1)))
    assert len(_uses()) == 2
    assert policy_on(date(2026, 5, 31)).set_off_credits


def test_a_credit_smaller_than_the_bill_is_a_line_of_it(month: Unbilled) -> None:
    """Only what is left below zero is a document of its own."""
    month.owes(CONSUMER, charge(20, -10_000))
    assert bill().gross_minor == 30029 - 10_000 + 11524
    assert balances()["1530"] == 0


@pytest.mark.parametrize(
    ("basis", "charged", "credited"), [("gross", 12_500, -12_500), ("net", 10_000, -12_500)]
)
def test_what_cancels_only_with_its_vat_is_a_bill_of_nothing(
    month: Unbilled, basis: Basis, charged: int, credited: int
) -> None:
    """A discount at another rate: 25.00 of VAT and of unbilled revenue, and nothing to pay."""
    bill()
    before = balances()
    outside = ("6", 0)
    month.owes(CONSUMER, charge(20, charged, basis), charge(21, credited, basis, vat=outside))
    assert balances()["1530"] == -2_500
    assert bill() == Billed(1, 0, ())
    after = balances()
    assert after["1530"] == 0
    assert after["2700"] == before["2700"] - 2_500
    assert after["1500"] == before["1500"]
    assert bill().invoices == 0
    with transaction() as session:
        _, none = service.iter_invoices(session, "NO01", party_id=CONSUMER.party_id)
        assert (none.gross_minor, none.net_minor, none.vat_minor) == (0, -2_500, 2_500)
        assert (none.open_item_id, none.due_date) == (None, ORDER.invoice_date)
        assert service.outstanding_of(session, "NO01", none, None) == 0
        assert [item.kind for item in ledger.open_items(session, "NO01", party_id=7)] == ["invoice"]
        page = page_of(session.get_one(InvoiceRow, none.invoice_id).snapshot, none.number)
        trail = trace_invoice(session, vault(), "NO01", none.number)
    assert page["payment"][-1] == ["Å betale", "0,00\N{NO-BREAK SPACE}kr"]
    assert "Forfallsdato" not in dict(page["facts"])
    assert "KID" not in dict(page["payment"])
    assert page["note"].startswith("Det er ingenting å betale.")
    assert (trail["gross"], trail["payments"]) == ("0.00", [])
    assert render_all("NO01") == 3


def test_vat_that_cancels_between_two_codes_is_told_code_by_code(month: Unbilled) -> None:
    """Nothing to pay and nothing unbilled, but the VAT return asks of each code by itself."""
    bill()
    both = (charge(20, 1_000, "net"), charge(21, -1_000, "net", vat=("31", 2500)))
    month.owes(BUSINESS, *both)
    assert bill() == Billed(1, 0, ())
    with transaction() as session:
        _, none = service.iter_invoices(session, "NO01", party_id=BUSINESS.party_id)
        lines = ledger.read_entry(session, none.entry_id).lines
    assert sorted((line.vat_code, line.amount_minor) for line in lines) == [
        ("3", -250), ("31", 250)
    ]  # fmt: skip


@pytest.mark.parametrize("down_to", ["0031_file_days", "base"])
def test_a_bill_of_nothing_has_no_way_back(month: Unbilled, down_to: str) -> None:
    """The schema before cannot hold it: told before anything is changed, of any revision."""
    owner = engine("owner").url.render_as_string(hide_password=False)
    bill()
    month.owes(CONSUMER, charge(20, 12_500), charge(21, -12_500, vat=("6", 0)))
    bill()
    before = balances()
    with pytest.raises(Conflict, match=r"^1 documents of nothing to pay .* nothing was changed\."):
        migrate.downgrade(owner, down_to)
    assert not migrate.ensure_migrated(owner)
    assert balances() == before


def other(account_id: int) -> BillingAccount:
    """Another fictitious consumer."""
    return replace(
        CONSUMER,
        billing_account_id=account_id,
        number=f"{10_000_000 + account_id}",
        party_id=100 + account_id,
        name=f"Testkunde {account_id}",
    )


def test_a_charge_that_is_billed_takes_nothing_more(month: Unbilled) -> None:
    """A late delta on a billed key would never be invoiced: the database refuses it."""
    (key,) = month.owes(other(6), charge(13, 500))
    bill()
    with (
        pytest.raises(DBAPIError, match=f"Charge key {key} is on an invoice"),
        transaction() as session,
    ):
        session.execute(
            text(
                "INSERT INTO charge_delta (batch_id, charge_key_id, micro, minor_net, minor_gross,"
                " events, quantity) SELECT max(batch_id), :key, 1, 0, 0, 1, 0 FROM posting_batch"
            ),
            {"key": key},
        )


def test_a_charge_key_cannot_be_billed_twice(month: Unbilled) -> None:
    """Whatever a program believes, the key itself refuses a second line."""
    bill()
    with pytest.raises(DBAPIError, match="pk_invoice_charge"), transaction() as session:
        session.execute(
            text(
                "INSERT INTO invoice_charge SELECT charge_key_id, invoice_id, line_no,"
                " amount_minor, net_minor FROM invoice_charge LIMIT 1"
            )
        )


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE invoice SET gross_minor = gross_minor + 1, net_minor = net_minor + 1",
        "DELETE FROM invoice_charge",
        "UPDATE invoice_line SET amount_minor = 0",
        "TRUNCATE document",
        "DELETE FROM bill_run",
        "UPDATE document SET sha256 = repeat('0', 64)",
    ],
)
def test_issued_invoices_cannot_be_changed(month: Unbilled, attack: str) -> None:
    """Neither the service nor the owner of the tables may change or remove what was issued."""
    bill()
    render_all("NO01")
    for role in ("service", "owner"):
        address = engine(role).url.render_as_string(hide_password=False)  # type: ignore[arg-type]
        with (
            psycopg.connect(address.replace("+psycopg", "", 1)) as connection,
            pytest.raises(psycopg.Error),
        ):
            connection.execute(attack)


def test_rendering_happens_once_per_invoice(month: Unbilled) -> None:
    """The bytes lie in the vault under their hash; a second rendering finds them and makes none."""
    bill()
    assert render_all("NO01") == 2
    assert render_all("NO01") == 0
    with transaction() as session:
        invoice = service.find_invoice(session, "NO01", "2026-000001")
        content = service.read_document(session, vault(), invoice.invoice_id)
        again = service.render_invoice(session, vault(), invoice.invoice_id)
    assert content.startswith(b"%PDF-1.7")
    assert again.sha256 == invoice.document_sha256
    assert again.size == len(content)


def test_the_sums_of_lines_charges_and_entries_are_the_invoice(month: Unbilled) -> None:
    """Three tables and the journal tell the same net."""
    bill()
    with transaction() as session:
        invoiced = session.scalar(select(func.sum(InvoiceRow.net_minor)))
        lines = session.scalar(select(func.sum(InvoiceLineRow.net_minor)))
        charges = session.scalar(select(func.sum(InvoiceCharge.net_minor)))
    assert invoiced == lines == charges == 24023 + 9219


def test_the_aging_list_ties_and_moves_with_the_day(month: Unbilled) -> None:
    """Not due in March, overdue by sixteen days at the end of April; equal to the journal."""
    bill()
    with transaction() as session:
        march = service.aging_report(session, "NO01", date(2026, 3, 31))
        april = service.aging_report(session, "NO01", APRIL_END)
    assert march.aging.totals_minor.tolist() == [41553, 0, 0, 0, 0, 0, 0, 0]
    assert april.aging.totals_minor.tolist() == [0, 41553, 0, 0, 0, 0, 0, 0]
    assert april.names == {7: CONSUMER.name, 8: BUSINESS.name}
    assert dict(april.control_minor) == {"1500": 30029, "1505": 11524}


def test_an_aging_list_that_does_not_tie_is_refused(
    month: Unbilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an open item is missing, the report shows both numbers instead of a list."""
    bill()
    honest = ledger.open_items

    def forgetful(*arguments: object, **options: object) -> list[ledger.OpenItem]:
        return honest(*arguments, **options)[1:]  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "open_items", forgetful)
    with (
        pytest.raises(DoesNotTie, match=r"1500: open items 0\.00, journal 300\.29"),
        transaction() as session,
    ):
        service.aging_report(session, "NO01", APRIL_END)


def test_money_without_a_claim_is_listed(month: Unbilled) -> None:
    """A payment on 2991 is shown as positive money, with the KID as it came."""
    day = date(2026, 4, 20)
    item = ItemDraft("payment", "OCR/1", "999", day, day)
    lines = (Line("1940", 5000), Line("2991", -5000, item=item))
    entry = EntryDraft("PAY", day, day, "payment", "p/1", "Payment", lines)
    with transaction() as session:
        ledger.post_batch(session, BatchDraft("NO01", "ocr", "f/1", "test", (entry,)))
        (payment,) = service.unmatched_payments(session, "NO01", None)
    assert (payment.kid, payment.outstanding_minor) == ("999", 5000)


def test_a_period_is_a_month() -> None:
    """Nonsense is refused with the way to write it."""
    assert month_end("2024-02") == date(2024, 2, 29)
    for wrong in ("2026-13", "2026", "march", "2026-3"):
        with pytest.raises(Invalid, match="2026-03"):
            replace(ORDER, period=wrong).terms()
        with pytest.raises(Invalid, match="2026-03"):
            month_end(wrong)


def test_lists_can_be_read_in_pages(month: Unbilled) -> None:
    """A page begins beyond the last number of the page before."""
    bill()
    with transaction() as session:
        (first,) = service.iter_invoices(session, "NO01", limit=1)
        (second,) = service.iter_invoices(session, "NO01", after=first.number, limit=5)
        assert list(service.iter_invoices(session, "NO01", after=second.number)) == []
        assert list(service.iter_invoices(session, "NO01", period="2026-04")) == []
        assert list(service.iter_invoices(session, "NO01", as_of=date(2026, 3, 30))) == []
    assert (first.number, second.number) == ("2026-000001", "2026-000002")


def test_a_month_may_have_more_charges_than_a_statement_has_parameters(session: Session) -> None:
    """A statement takes 65,535 parameters; ten thousand subscriptions have more charges."""
    many = range(1, 70_000)
    assert billed_keys(session, many) == set()
    assert party.party_labels(session, many) == {}
    assert sources.unbilled_charges(session, "NO01", "2026-03", many, date(2026, 4, 1)) == {}
    assert sources.billing_accounts(session, many) == {}


def test_december_ends_in_the_next_year() -> None:
    """The delivery period is half-open, over the turn of the year too."""
    terms = replace(ORDER, period="2026-12").terms()
    assert (terms.period_start, terms.period_end) == (date(2026, 12, 1), date(2027, 1, 1))


def test_every_account_of_a_larger_month_is_billed_once(month: Unbilled) -> None:
    """Sixty accounts in chunks of seven: sixty invoices, numbers without gaps, all tied."""
    for number in range(60):
        month.owes(other(100 + number), charge(number, 100 + number))
    billed = bill(size=7)
    with transaction() as session:
        numbers = [each.number for each in service.iter_invoices(session, "NO01")]
        service.aging_report(session, "NO01", APRIL_END)
    assert billed.invoices == 62
    assert numbers == [f"2026-{number:06d}" for number in range(1, 63)]


def test_the_migration_goes_down_and_up_with_rows(month: Unbilled) -> None:
    """Until it is released, the revision can be taken back whatever has been issued."""
    bill()
    owner = engine("owner").url.render_as_string(hide_password=False)
    migrate.downgrade(owner, "0005_rating")
    migrate.upgrade(owner, "0006_reporting")
    with transaction() as session:
        assert list(service.iter_invoices(session, "NO01")) == []
