"""Invoices: the charges of one billing account become lines, VAT per rate, totals and a due date.

A line is the sum of the rounded charges it covers, never a fresh rounding. Where prices include VAT
(consumers), each charge is split once into net and VAT and the invoice sums the splits; where they
do not (businesses), VAT is computed per rate on the sum of the nets.

Source: docs/pricing.md, "Gross and net"; VAT per rate, bokføringsforskriften section 5-1-5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Literal

import numpy as np

from ledger.errors import Conflict, DoesNotTie, Invalid
from ledger.money import MINOR_PER_UNIT, format_amount
from party.identifiers import make_kid
from rating.taxes import tax_in_gross, tax_on_net
from reporting.calendar import due_date

Basis = Literal["gross", "net"]
Segment = Literal["consumer", "business"]


_UNIT_ORDER = {"month": 0, "day": 0, "piece": 1, "s": 2, "message": 3, "octet": 4}


class MixedPriceBasis(Conflict):
    """An invoice shows prices with VAT or without; the account has charges of both kinds.

    Raise as: f"Account {no} has charges with and without VAT in the price; …".
    """

    title = "Prices with and without VAT on one account"


@dataclass(frozen=True, slots=True)
class Charge:
    """What one charge key owes: øre rounded cumulatively in the basis of its price."""

    charge_key_id: int
    subscription: str  # The heading its line is printed under, e.g. the number; "" for the account.
    component: str
    text: str
    unit: str
    quantity: int | None
    vat_code: str
    vat_rate_bp: int
    basis: Basis
    amount_minor: int  # In its basis: with VAT for gross, without for net.
    net_minor: int  # What stands as unbilled revenue for this key.
    subscription_id: int | None = None


@dataclass(frozen=True, slots=True)
class BillingAccount:
    """Who pays and how: the facts of the account as of the billing."""

    billing_account_id: int
    number: str
    party_id: int
    segment: Segment
    name: str
    org_no: str | None = None
    street: str = ""
    postcode: str = ""
    city: str = ""
    country: str = "NO"
    credit_days: int = 14


@dataclass(frozen=True, slots=True)
class Terms:
    """When: the delivery period [start, end), the invoice date, and credit for all if any."""

    period_start: date
    period_end: date
    invoice_date: date
    credit_days: int | None = None  # For all; None: as each account has agreed.


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One printed line: the charges of one component of one subscription."""

    line_no: int
    subscription: str
    subscription_id: int | None
    component: str
    text: str
    unit: str
    quantity: int | None
    vat_code: str
    vat_rate_bp: int
    amount_minor: int  # In the basis of the invoice.
    net_minor: int  # The sum of its charges' nets: what leaves unbilled revenue.
    charges: tuple[Charge, ...]


@dataclass(frozen=True, slots=True)
class VatLine:
    """VAT of one code and rate: base, VAT, and both together."""

    vat_code: str
    rate_bp: int
    base_minor: int
    vat_minor: int

    @property
    def gross_minor(self) -> int:
        """Base and VAT together, in øre."""
        return self.base_minor + self.vat_minor


@dataclass(frozen=True, slots=True)
class SetOff:
    """So much of a credit note pays for an invoice. [øre, positive]"""

    open_item_id: int
    number: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """A claim ready to be posted; its number is given by the sales series when it is.

    Below zero it is a credit note: the same document with the same numbering, which gives the
    customer a credit in the place of a claim. Of zero it claims nothing, and there is VAT in it.
    """

    account: BillingAccount
    terms: Terms
    bill_seq: int
    kid: str
    due_date: date
    basis: Basis
    lines: tuple[InvoiceLine, ...]
    vat: tuple[VatLine, ...]
    net_minor: int
    vat_minor: int
    corrects: tuple[str, ...] = ()  # The numbers of the invoices that a credit note refers to.
    set_off: tuple[SetOff, ...] = ()  # The customer's earlier credits that pay for this one.

    @property
    def gross_minor(self) -> int:
        """What the customer pays, or is given credit for where below zero, in øre."""
        return self.net_minor + self.vat_minor

    @property
    def is_credit(self) -> bool:
        """Whether this is a credit note."""
        return self.gross_minor < 0


def build(
    charges: Sequence[Charge], account: BillingAccount, terms: Terms, bill_seq: int
) -> Invoice | None:
    """Make the invoice of one account, or its credit note; none when there is nothing to post.

    Charges that cancel to the øre at one rate of VAT leave nothing behind. Where they cancel only
    with their VAT, at several rates, unbilled revenue and VAT are left: that is a bill of nothing.

    Parameters
    ----------
    charges : every unbilled charge of the account in the period, in any order.
    bill_seq : the account's next bill number, from 1; part of the KID.

    Raises
    ------
    MixedPriceBasis : some prices include VAT and some do not.
    DoesNotTie : a charge's net is not what its gross splits into.
    """
    if not charges:
        return None
    basis = _common_basis(charges, account)
    lines = _lines(charges)
    vat = _vat_of_gross(charges) if basis == "gross" else _vat_of_net(charges)
    net_minor = sum(line.base_minor for line in vat)
    vat_minor = sum(line.vat_minor for line in vat)
    total_minor = net_minor + vat_minor
    if total_minor == 0 and not any(line.vat_minor for line in vat):
        return None
    credit_days = account.credit_days if terms.credit_days is None else terms.credit_days
    return Invoice(
        account=account,
        terms=terms,
        bill_seq=bill_seq,
        kid=make_kid(account.number, bill_seq),
        # A credit is there at once; nobody has to wait for it.
        due_date=due_date(terms.invoice_date, credit_days)
        if total_minor > 0
        else terms.invoice_date,
        basis=basis,
        lines=lines,
        vat=vat,
        net_minor=net_minor,
        vat_minor=vat_minor,
    )


def invoice_number(year: int, voucher_no: int) -> str:
    """Write the number of a sales voucher as it is printed on the invoice.

    >>> invoice_number(2026, 42)
    '2026-000042'
    """
    return f"{year}-{voucher_no:06d}"


def parse_invoice_number(text: str) -> tuple[int, int]:
    """Read a printed invoice number as fiscal year and voucher number; `Invalid` if it is not one.

    >>> parse_invoice_number("2026-000042")
    (2026, 42)
    """
    year, _, number = text.partition("-")
    if not (len(year) == 4 and text.isascii() and year.isdigit() and number.isdigit()):
        raise Invalid(f"{text!r} is not an invoice number; write it as 2026-000042.")
    return int(year), int(number)


def _common_basis(charges: Sequence[Charge], account: BillingAccount) -> Basis:
    bases = {charge.basis for charge in charges}
    if len(bases) > 1:
        raise MixedPriceBasis(
            f"Account {account.number} has charges with and without VAT in the price; "
            "move its subscriptions to offerings of one price basis.",
            account=account.number,
        )
    return bases.pop()


def _line_key(charge: Charge) -> tuple[str, int, int, str, str, int, str]:
    order = _UNIT_ORDER.get(charge.unit, len(_UNIT_ORDER))
    return (
        charge.subscription, charge.subscription_id or 0, order, charge.component,
        charge.vat_code, charge.vat_rate_bp, charge.text,
    )  # fmt: skip


def _lines(charges: Sequence[Charge]) -> tuple[InvoiceLine, ...]:
    """Gather charges of the same subscription, component and VAT into lines, in print order."""
    ordered = sorted(charges, key=lambda charge: (*_line_key(charge), charge.charge_key_id))
    lines = []
    for line_no, (_, group) in enumerate(groupby(ordered, key=_line_key), start=1):
        covered = tuple(group)
        first = covered[0]
        quantities = [charge.quantity for charge in covered if charge.quantity is not None]
        lines.append(
            InvoiceLine(
                line_no=line_no,
                subscription=first.subscription,
                subscription_id=first.subscription_id,
                component=first.component,
                text=first.text,
                unit=first.unit,
                quantity=sum(quantities) if quantities else None,
                vat_code=first.vat_code,
                vat_rate_bp=first.vat_rate_bp,
                amount_minor=sum(charge.amount_minor for charge in covered),
                net_minor=sum(charge.net_minor for charge in covered),
                charges=covered,
            )
        )
    return tuple(lines)


def _by_rate(charges: Sequence[Charge]) -> list[tuple[tuple[str, int], list[Charge]]]:
    def key(charge: Charge) -> tuple[str, int]:
        return charge.vat_code, charge.vat_rate_bp

    return [(rate, list(group)) for rate, group in groupby(sorted(charges, key=key), key=key)]


def _vat_of_gross(charges: Sequence[Charge]) -> tuple[VatLine, ...]:
    """Sum the splits: net and VAT of each charge, so that the total is the sum of the prices."""
    vat = []
    for (code, rate_bp), group in _by_rate(charges):
        gross = np.array([charge.amount_minor for charge in group], dtype=np.int64)
        net, tax, _ = tax_in_gross(gross, (rate_bp, 10_000), MINOR_PER_UNIT)
        _check_net(group, net.tolist())
        vat.append(VatLine(code, rate_bp, int(net.sum()), int(tax.sum())))
    return tuple(vat)


def _vat_of_net(charges: Sequence[Charge]) -> tuple[VatLine, ...]:
    """Compute VAT once per rate, on the sum of the nets."""
    vat = []
    for (code, rate_bp), group in _by_rate(charges):
        _check_net(group, [charge.amount_minor for charge in group])
        base = np.array([sum(charge.amount_minor for charge in group)], dtype=np.int64)
        _, tax, _ = tax_on_net(base, (rate_bp, 10_000), MINOR_PER_UNIT)
        vat.append(VatLine(code, rate_bp, int(base[0]), int(tax[0])))
    return tuple(vat)


def _check_net(charges: Sequence[Charge], nets: Sequence[int]) -> None:
    """Refuse a charge whose unbilled net is not the net that the invoice would credit."""
    for charge, net_minor in zip(charges, nets, strict=True):
        if charge.net_minor != net_minor:
            raise DoesNotTie(
                f"Charge key {charge.charge_key_id} stands at {format_amount(charge.net_minor)} "
                f"as unbilled, but its price of {format_amount(charge.amount_minor)} "
                f"({charge.basis}) gives {format_amount(net_minor)}.",
                charge_key_id=charge.charge_key_id,
                unbilled=format_amount(charge.net_minor),
                invoiced=format_amount(net_minor),
            )
