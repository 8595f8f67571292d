"""What the rooms below know that a bill needs: unbilled charges from rating, payers from party.

The only place of this room that reads their rows; the shapes of `reporting.invoicing` come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import ARRAY, BigInteger, ColumnElement, Select, any_, func, literal, select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from ledger import service as ledger
from party.models import BillingAccount as BillingAccountRow
from party.models import Party, SubscriptionIdentifier
from rating import service as rating
from rating.models import ChargeDelta, ChargeKeyRow
from reporting import norwegian
from reporting.invoicing import BillingAccount, Charge, Invoice, invoice_number
from reporting.models import InvoiceCharge, InvoiceRow
from reporting.setting_off import Credit

LOCAL = ZoneInfo("Europe/Oslo")


def any_of(column: Any, ids: Iterable[int]) -> ColumnElement[bool]:
    """Tell whether a column is one of some ids: one parameter, however many there are.

    Listed one by one, more than 65,535 of them are no statement any more.
    """
    return cast("ColumnElement[bool]", column == any_(literal(list(ids), ARRAY(BigInteger))))


def unbilled_accounts(
    session: Session, book: str, period: str, after: int, limit: int
) -> list[int]:
    """List the billing accounts with unbilled charges of a period, in order, beyond `after`."""
    query = (
        _unbilled(book, period)
        .where(ChargeKeyRow.billing_account_id > after)
        .order_by(ChargeKeyRow.billing_account_id)
        .limit(limit)
    )
    return list(session.execute(query).scalars())


def count_unbilled(session: Session, book: str, period: str) -> int:
    """Count the billing accounts that have unbilled charges of a period."""
    query = select(func.count()).select_from(_unbilled(book, period).subquery())
    return session.execute(query).scalar_one()


def unbilled_charges(
    session: Session, book: str, period: str, account_ids: Sequence[int], period_end: date
) -> dict[int, list[Charge]]:
    """Give the unbilled charges of some accounts, and hold them still until the commit.

    The keys are locked first and read afterwards: a rating batch that is under way has either
    committed and is in the sums, or waits and finds its key billed.
    """
    wanted = select(ChargeKeyRow.charge_key_id).where(
        ChargeKeyRow.book_code == book,
        ChargeKeyRow.billing_period == period,
        any_of(ChargeKeyRow.billing_account_id, account_ids),
        ~_is_billed(),
    )
    key_ids = np.array(session.execute(wanted).scalars().all(), np.int64)
    rating.lock_charge_keys(session, key_ids)
    rows = session.execute(
        select(
            ChargeKeyRow,
            func.coalesce(func.sum(ChargeDelta.minor_net), 0),
            func.coalesce(func.sum(ChargeDelta.minor_gross), 0),
            func.coalesce(func.sum(ChargeDelta.quantity), 0),
        )
        .join(ChargeDelta, ChargeDelta.charge_key_id == ChargeKeyRow.charge_key_id)
        .where(any_of(ChargeKeyRow.charge_key_id, key_ids.tolist()), ~_is_billed())
        .group_by(ChargeKeyRow.charge_key_id)
    ).all()
    labels = subscription_labels(session, {row[0].subscription_id for row in rows}, period_end)
    charges: dict[int, list[Charge]] = {}
    for key, net_minor, gross_minor, quantity in rows:
        charges.setdefault(key.billing_account_id, []).append(
            _charge(key, int(net_minor), int(gross_minor), int(quantity), labels)
        )
    return charges


def billing_accounts(session: Session, account_ids: Sequence[int]) -> dict[int, BillingAccount]:
    """Give who pays for some billing accounts, with the address to print."""
    rows = session.execute(
        select(BillingAccountRow, Party)
        .join(Party, Party.party_id == BillingAccountRow.party_id)
        .where(any_of(BillingAccountRow.billing_account_id, account_ids))
    )
    return {
        account.billing_account_id: BillingAccount(
            billing_account_id=account.billing_account_id,
            number=account.number,
            party_id=payer.party_id,
            segment="business" if account.segment == "business" else "consumer",
            name=payer.name,
            org_no=payer.org_no,
            street=payer.street,
            postcode=payer.postcode,
            city=payer.city,
            country=payer.country,
            credit_days=account.terms_days,
        )
        for account, payer in rows
    }


def subscription_labels(
    session: Session, subscription_ids: Iterable[int], before: date
) -> dict[int, str]:
    """Give what a customer calls each subscription: the last number it had before a day began."""
    instant = datetime.combine(before, time(), LOCAL)
    rows = session.execute(
        select(SubscriptionIdentifier.subscription_id, SubscriptionIdentifier.value)
        .ext(distinct_on(SubscriptionIdentifier.subscription_id))
        .where(
            any_of(SubscriptionIdentifier.subscription_id, subscription_ids),
            SubscriptionIdentifier.kind == "msisdn",
            SubscriptionIdentifier.valid_from < instant,
        )
        .order_by(SubscriptionIdentifier.subscription_id, SubscriptionIdentifier.valid_from.desc())
    )
    return {subscription_id: str(number) for subscription_id, number in rows}


def _charge(
    key: ChargeKeyRow, net_minor: int, gross_minor: int, quantity: int, labels: dict[int, str]
) -> Charge:
    with_vat = key.price_basis == "gross"
    return Charge(
        charge_key_id=key.charge_key_id,
        subscription=labels.get(key.subscription_id, ""),
        subscription_id=key.subscription_id or None,
        component=key.component,
        text=_text(key),
        unit=key.unit,
        quantity=quantity or None,
        vat_code=key.vat_code,
        vat_rate_bp=key.vat_rate_bp,
        basis="gross" if with_vat else "net",
        amount_minor=gross_minor if with_vat else net_minor,
        net_minor=net_minor,
    )


def _text(key: ChargeKeyRow) -> str:
    """Give the text of a charge; one of an earlier month than its bill's says which."""
    text: str = key.text or key.component
    if key.usage_period == key.billing_period:
        return text
    return f"{text}, {norwegian.month_name(date.fromisoformat(f'{key.usage_period}-01'))}"


def corrected_by(session: Session, note: Invoice) -> tuple[str, ...]:
    """Name the invoices that a credit note refers to: those of the same use, in their order.

    Source: bookkeeping regulation § 5-2-7, a sales document is corrected by a credit note.
    """
    keys = [charge.charge_key_id for line in note.lines for charge in line.charges]
    rows = session.execute(
        text(
            "SELECT DISTINCT i.voucher_year, i.voucher_no FROM charge_key k"
            " JOIN charge_key o USING (book_code, billing_account_id, subscription_id,"
            "  usage_period)"
            " JOIN invoice_charge c ON c.charge_key_id = o.charge_key_id"
            " JOIN invoice i USING (invoice_id)"
            " WHERE k.charge_key_id = ANY(:keys) ORDER BY 1, 2"
        ),
        {"keys": keys},
    )
    return tuple(invoice_number(year, number) for year, number in rows)


def open_credits(
    session: Session, book: str, account_ids: Sequence[int], day: date
) -> dict[int, list[Credit]]:
    """Give the credit notes of billing accounts of which something is free from a day on."""
    notes = session.execute(
        select(
            InvoiceRow.open_item_id, InvoiceRow.billing_account_id, InvoiceRow.voucher_year,
            InvoiceRow.voucher_no, InvoiceRow.invoice_date,
        ).where(
            InvoiceRow.book == book,
            any_of(InvoiceRow.billing_account_id, account_ids),
            InvoiceRow.gross_minor < 0,
        )
    ).all()  # fmt: skip
    if not notes:
        return {}
    free = {
        item.open_item_id: item
        for item in ledger.free_items(session, book, [note.open_item_id for note in notes], day)
    }
    held: dict[int, list[Credit]] = {}
    for note in notes:
        item = free.get(note.open_item_id)
        if item is not None and item.party_id is not None:
            held.setdefault(note.billing_account_id, []).append(
                Credit(
                    item.open_item_id, invoice_number(note.voucher_year, note.voucher_no),
                    note.invoice_date, item.party_id, item.account, -item.outstanding_minor,
                )
            )  # fmt: skip
    return held


def _unbilled(book: str, period: str) -> Select[int]:
    """Select accounts that have a charge with deltas which no invoice covers."""
    has_deltas = (
        select(ChargeDelta.charge_delta_id)
        .where(ChargeDelta.charge_key_id == ChargeKeyRow.charge_key_id)
        .exists()
    )
    return (
        select(ChargeKeyRow.billing_account_id)
        .distinct()
        .where(
            ChargeKeyRow.book_code == book,
            ChargeKeyRow.billing_period == period,
            has_deltas,
            ~_is_billed(),
        )
    )


def _is_billed() -> ColumnElement[bool]:
    return (
        select(InvoiceCharge.charge_key_id)
        .where(InvoiceCharge.charge_key_id == ChargeKeyRow.charge_key_id)
        .exists()
    )
