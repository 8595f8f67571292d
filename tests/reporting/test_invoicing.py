"""Invoices: sums of rounded charges, VAT the way each basis demands, numbers that check."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import DoesNotTie, Invalid
from ledger.journal import check_balanced
from reporting.calendar import due_date
from reporting.invoicing import (
    Charge,
    Invoice,
    MixedPriceBasis,
    build,
    invoice_number,
    parse_invoice_number,
)
from reporting.posting import Accounts, entry_of
from reporting.printing import page_of, snapshot_of
from reporting.seller import DEMO_SELLER
from tests.reporting.bills import BUSINESS, CONSUMER, MARCH, charge

ACCOUNTS = Accounts({"consumer": "1500", "business": "1505"}, "1530", {"3": "2700", "33": "2703"})
rates = st.sampled_from([("3", 2500), ("33", 1200), ("5", 0), ("6", 0)])
amounts = st.integers(-5_000, 100_000)


def bill(charges: list[Charge], *, business: bool = False) -> Invoice:
    """Build an invoice that the test knows is not empty."""
    made = build(charges, BUSINESS if business else CONSUMER, MARCH, 1)
    assert made is not None
    return made


def test_twenty_items_at_1_29_are_25_80() -> None:
    """A consumer pays the price on the tag times the pieces, whatever the VAT in each rounds to."""
    invoice = bill([charge(key, 129) for key in range(20)])
    assert invoice.gross_minor == 2580
    assert [line.amount_minor for line in invoice.lines] == [2580]
    assert (invoice.net_minor, invoice.vat_minor) == (2060, 520)


def test_299_stays_299() -> None:
    """A price that includes VAT is the amount to pay."""
    invoice = bill([charge(1, 29900)])
    assert (invoice.gross_minor, invoice.net_minor, invoice.vat_minor) == (29900, 23920, 5980)


def test_business_vat_is_computed_on_the_sum_of_nets() -> None:
    """79.20 + 3 × 0.33 + 12.99 carries 23.30 of VAT; per line it would be 23.29."""
    nets = [7920, 33, 33, 33, 1299]
    invoice = bill([charge(i, net, "net", component=f"c{i}") for i, net in enumerate(nets)],
                   business=True)  # fmt: skip
    assert (invoice.net_minor, invoice.vat_minor, invoice.gross_minor) == (9318, 2330, 11648)


def test_lines_gather_charges_per_subscription_and_component() -> None:
    """Recurring charges come first, quantities add up, each charge key is on exactly one line."""
    charges = [
        charge(3, 100, component="voice.national", unit="s", quantity=60),
        charge(2, 50, component="voice.national", unit="s", quantity=30),
        charge(1, 29900, component="subscription", unit="month", quantity=1),
        charge(4, 10, subscription="4790000002"),
    ]
    lines = bill(charges).lines
    assert [(line.subscription, line.component, line.quantity) for line in lines] == [
        ("4790000001", "subscription", 1),
        ("4790000001", "voice.national", 90),
        ("4790000002", "voice.national", None),
    ]
    assert [[each.charge_key_id for each in line.charges] for line in lines] == [[1], [2, 3], [4]]


@given(st.lists(st.tuples(amounts, rates), min_size=1, max_size=30))
def test_gross_invoices_sum_the_prices(drawn: list[tuple[int, tuple[str, int]]]) -> None:
    """Whatever the mix of rates: the total is the sum of the prices, net is Decimal's net."""
    charges = [charge(key, amount, vat=vat) for key, (amount, vat) in enumerate(drawn)]
    total = sum(amount for amount, _ in drawn)
    if total <= 0:
        return
    invoice = bill(charges)
    net = sum(
        int((Decimal(amount) * 10_000 / (10_000 + rate)).quantize(Decimal(1), ROUND_HALF_UP))
        for amount, (_, rate) in drawn
    )
    assert (invoice.gross_minor, invoice.net_minor) == (total, net)
    assert sum(line.amount_minor for line in invoice.lines) == total


@given(st.lists(st.tuples(amounts, rates), min_size=1, max_size=30))
def test_net_invoices_add_vat_once_per_rate(drawn: list[tuple[int, tuple[str, int]]]) -> None:
    """The lines sum to the net; each rate's VAT is Decimal's, computed on that rate's sum."""
    charges = [charge(key, amount, "net", vat=vat) for key, (amount, vat) in enumerate(drawn)]
    sums: dict[tuple[str, int], int] = {}
    for amount, vat in drawn:
        sums[vat] = sums.get(vat, 0) + amount
    taxes = {
        vat: int((Decimal(base) * vat[1] / 10_000).quantize(Decimal(1), ROUND_HALF_UP))
        for vat, base in sums.items()
    }
    if sum(sums.values()) + sum(taxes.values()) <= 0:
        return
    invoice = bill(charges, business=True)
    assert sum(line.amount_minor for line in invoice.lines) == invoice.net_minor
    assert {(tax.vat_code, tax.rate_bp): tax.vat_minor for tax in invoice.vat} == taxes


@given(st.lists(st.tuples(amounts, rates), min_size=1, max_size=10), st.randoms())
def test_the_order_of_charges_does_not_matter(
    drawn: list[tuple[int, tuple[str, int]]], shuffler: object
) -> None:
    """The same charges in any order make the same invoice."""
    charges = [charge(key, abs(amount) + 1, vat=vat) for key, (amount, vat) in enumerate(drawn)]
    shuffled = list(charges)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    assert bill(charges) == bill(shuffled)


@given(st.lists(st.tuples(st.integers(1, 10**6), st.sampled_from([("3", 2500), ("33", 1200)]))))
def test_the_entry_of_an_invoice_balances(drawn: list[tuple[int, tuple[str, int]]]) -> None:
    """Receivable, unbilled and VAT sum to zero; the claim carries the KID and the due date."""
    charges = [charge(key, amount, vat=vat) for key, (amount, vat) in enumerate(drawn)]
    invoice = build(charges, CONSUMER, MARCH, 3)
    if invoice is None:
        assert not charges
        return
    entry = entry_of(invoice, "NO01", ACCOUNTS)
    check_balanced(entry)
    claim = entry.lines[0]
    assert (claim.account, claim.amount_minor) == ("1500", invoice.gross_minor)
    assert claim.item is not None
    assert (claim.item.kid, claim.item.due_date) == (invoice.kid, date(2026, 4, 14))
    assert entry.source_ref == "NO01/10000001/3"
    assert CONSUMER.name not in str(entry)


def test_nothing_to_bill_is_no_invoice() -> None:
    """Zero is not issued: neither without charges nor where they cancel out."""
    assert build([], CONSUMER, MARCH, 1) is None
    assert build([charge(1, 100), charge(2, -100)], CONSUMER, MARCH, 1) is None


def test_a_negative_total_is_a_credit_note() -> None:
    """The customer gets a credit without KID, there at once; unbilled and VAT go the other way."""
    note = build([charge(1, -1000), charge(2, 250)], CONSUMER, MARCH, 3)
    assert note is not None
    assert note.is_credit
    assert (note.net_minor, note.vat_minor, note.gross_minor) == (-600, -150, -750)
    assert note.due_date == MARCH.invoice_date
    entry = entry_of(note, "NO01", ACCOUNTS)
    check_balanced(entry)
    assert [(line.account, line.amount_minor) for line in entry.lines] == [
        ("1500", -750), ("1530", 600), ("2700", 150),
    ]  # fmt: skip
    claim = entry.lines[0].item
    assert claim is not None
    assert (entry.entry_type, claim.kind, claim.kid) == ("credit_note", "credit_note", None)
    named = replace(note, corrects=("2026-000007",))
    page = page_of(snapshot_of(named, DEMO_SELLER), "2026-000042")
    assert (page["heading"], page["totals"][-1]) == ("Kreditnota", ["Til gode, NOK", "7,50"])
    assert page["payment"][0] == ["Gjelder faktura", "2026-000007"]
    assert "KID" not in str(page)


def test_prices_with_and_without_vat_do_not_mix() -> None:
    """One invoice has one price basis."""
    with pytest.raises(MixedPriceBasis):
        build([charge(1, 100), charge(2, 100, "net")], CONSUMER, MARCH, 1)


@pytest.mark.parametrize("basis", ["gross", "net"])
def test_a_charge_that_disagrees_with_unbilled_revenue_is_refused(basis: str) -> None:
    """The net that leaves account 1530 must be the net that was put there."""
    wrong = charge(1, 129, basis)  # type: ignore[arg-type]
    with pytest.raises(DoesNotTie, match="Charge key 1"):
        build([replace(wrong, net_minor=wrong.net_minor + 1)], CONSUMER, MARCH, 1)


@pytest.mark.parametrize(("agreed", "for_all", "due"), [(14, None, 14), (30, None, 30), (14, 9, 9)])
def test_days_of_credit_are_the_accounts_own(agreed: int, for_all: int | None, due: int) -> None:
    """What the account agreed counts, unless the run sets days for all."""
    account = replace(CONSUMER, credit_days=agreed)
    invoice = build([charge(1, 100)], account, replace(MARCH, credit_days=for_all), 1)
    assert invoice is not None
    assert invoice.due_date == due_date(MARCH.invoice_date, due)


def test_invoice_numbers_read_back() -> None:
    """The printed number leads to the voucher; other texts are refused."""
    assert parse_invoice_number(invoice_number(2026, 1_234_567)) == (2026, 1_234_567)
    for text in ("", "2026", "26-1", "2026-", "2026-x", "-2026-1"):
        with pytest.raises(Invalid):
            parse_invoice_number(text)
