"""Bill runs: unbilled charges become posted invoices, chunk by chunk, each charge exactly once.

A chunk is one transaction: the entries, the invoices with their lines, the charge keys they cover
and the job that renders them commit together. A run killed between chunks goes on where it was,
because what is billed is no longer unbilled; it cannot bill twice, because a charge key is the
primary key of `invoice_charge` and an entry's source reference is unique for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from ledger import jobs
from ledger import service as ledger
from ledger.db import driver_connection
from ledger.errors import Invalid, Problem
from ledger.journal import BatchDraft, Posted
from ledger.periods import period_bounds
from rating import service as rating
from reporting.invoicing import Invoice, Terms, build
from reporting.models import BillRun, InvoiceRow
from reporting.policy import policy_on
from reporting.posting import SOURCE_SYSTEM, Accounts, allocations_of, entry_of
from reporting.printing import snapshot_of
from reporting.seller import Seller
from reporting.service import sources
from reporting.setting_off import set_off

CHUNK = 250
RENDER_TASK = "render_invoices"
RENDERED_TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Order:
    """What a bill run is asked to do: which month of which book, dated when, signed by whom."""

    book: str
    period: str  # "2026-03".
    invoice_date: date
    seller: Seller
    actor: str
    credit_days: int | None = None  # For all; None: as each account has agreed.

    def terms(self) -> Terms:
        """Give the delivery period as dates. Raises `Invalid` where the period is no month."""
        return Terms(*period_bounds(self.period), self.invoice_date, self.credit_days)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An account that could not be billed, and why; its charges stay unbilled and listed."""

    billing_account_id: int
    account_no: str  # "" where the account itself is unknown.
    reason: str  # The problem's code, e.g. "mixed-price-basis".
    detail: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one transaction did. `last_account` is where the next begins; None after the last."""

    invoice_ids: tuple[int, ...]
    gross_minor: int
    refused: tuple[Refusal, ...]
    last_account: int | None


def bill_next_chunk(session: Session, order: Order, after: int = 0, size: int = CHUNK) -> Chunk:
    """Bill the next accounts with unbilled charges of the period, in the order of their ids.

    Parameters
    ----------
    after : the last account of the chunk before, 0 to begin; accounts up to it are passed over,
        so that a refused account is met once per run.
    size : accounts at most; each becomes one entry of one posting batch.

    Returns
    -------
    Chunk : accounts whose charges cancel at each rate of VAT are passed over in silence, those that
        cannot be billed are listed with the reason. The caller commits, then asks for the next.
    """
    terms = order.terms()
    # One run at a time per book: two would fight over the accounts' bill sequences, and rating
    # must not add to a charge between our reading it and its being billed.
    rating.lock_charges(session, order.book)
    account_ids = sources.unbilled_accounts(session, order.book, order.period, after, size)
    if not account_ids:
        return Chunk((), 0, (), None)
    invoices, refused = _build(session, order, terms, account_ids)
    invoice_ids = _issue(session, order, invoices) if invoices else ()
    return Chunk(
        invoice_ids=invoice_ids,
        gross_minor=sum(invoice.gross_minor for invoice in invoices),
        refused=tuple(refused),
        last_account=account_ids[-1] if len(account_ids) == size else None,
    )


def _build(
    session: Session, order: Order, terms: Terms, account_ids: Sequence[int]
) -> tuple[list[Invoice], list[Refusal]]:
    """Build the invoices of some accounts; what cannot be built is a value, not an exception."""
    charges = sources.unbilled_charges(
        session, order.book, order.period, account_ids, terms.period_end
    )
    accounts = sources.billing_accounts(session, account_ids)
    bill_seq = _last_bill_seq(session, order.book, account_ids)
    invoices, refused = [], []
    for account_id in account_ids:
        account = accounts.get(account_id)
        try:
            if account is None:
                raise Invalid(
                    f"Billing account {account_id} has charges but nobody who pays; "
                    "apply the order that opens it."
                )
            seq = bill_seq.get(account_id, 0) + 1
            invoice = build(charges.get(account_id, ()), account, terms, seq)
            if invoice is not None and invoice.is_credit:
                invoice = replace(invoice, corrects=sources.corrected_by(session, invoice))
        except Problem as problem:
            number = account.number if account else ""
            refused.append(Refusal(account_id, number, problem.code(), str(problem)))
        else:
            if invoice is not None:
                invoices.append(invoice)
    return invoices, refused


def _last_bill_seq(session: Session, book: str, account_ids: Sequence[int]) -> dict[int, int]:
    rows = session.execute(
        select(InvoiceRow.billing_account_id, func.max(InvoiceRow.bill_seq))
        .where(InvoiceRow.book == book, InvoiceRow.billing_account_id.in_(account_ids))
        .group_by(InvoiceRow.billing_account_id)
    )
    return {account_id: last for account_id, last in rows}  # noqa: C416 - rows are not pairs


def _issue(session: Session, order: Order, invoices: Sequence[Invoice]) -> tuple[int, ...]:
    """Post the entries and record what they bill; queue the rendering in the same transaction."""
    accounts = _posting_accounts(session, order, invoices)
    if policy_on(order.invoice_date).set_off_credits:
        invoices = _set_off(session, order, invoices, accounts)
    first, last = invoices[0], invoices[-1]
    posted = ledger.post_batch(
        session,
        BatchDraft(
            book=order.book,
            source_system=SOURCE_SYSTEM,
            source_ref=(
                f"{order.book}/{order.period}/{first.account.number}/{first.bill_seq}"
                f"-{last.account.number}/{last.bill_seq}"
            ),
            actor=order.actor,
            entries=tuple(entry_of(invoice, order.book, accounts) for invoice in invoices),
            allocations=tuple(
                used
                for index, invoice in enumerate(invoices)
                for used in allocations_of(invoice, index)
            ),
        ),
    )
    invoice_ids = _record(session, order, invoices, posted)
    for begin in range(0, len(invoice_ids), RENDERED_TOGETHER):
        together = list(invoice_ids[begin : begin + RENDERED_TOGETHER])
        jobs.defer(session, RENDER_TASK, invoice_ids=together)
    return invoice_ids


def _set_off(
    session: Session, order: Order, invoices: Sequence[Invoice], accounts: Accounts
) -> list[Invoice]:
    """Let each account's open credit notes pay for its new invoice, in the same posting."""
    claims = [each.account.billing_account_id for each in invoices if each.gross_minor > 0]
    held = sources.open_credits(session, order.book, claims, order.invoice_date)
    return [
        set_off(
            invoice, accounts.receivable[invoice.account.segment],
            held.get(invoice.account.billing_account_id, ()),
        )
        for invoice in invoices
    ]  # fmt: skip


def _posting_accounts(session: Session, order: Order, invoices: Sequence[Invoice]) -> Accounts:
    def account(leg: str, selector: str) -> str:
        return ledger.posting_account(
            session, order.book, "invoice", leg, selector, on=order.invoice_date
        )

    segments = {invoice.account.segment for invoice in invoices}
    codes = {tax.vat_code for invoice in invoices for tax in invoice.vat if tax.vat_minor}
    return Accounts(
        receivable={segment: account("receivable", segment) for segment in sorted(segments)},
        unbilled=account("unbilled", "*"),
        vat={code: account("vat", code) for code in sorted(codes)},
    )


def _record(
    session: Session, order: Order, invoices: Sequence[Invoice], posted: Posted
) -> tuple[int, ...]:
    run_id = _bill_run(session, order)
    rows = [
        _invoice_row(order, run_id, invoice, posted, index)
        for index, invoice in enumerate(invoices)
    ]
    made = session.execute(
        insert(InvoiceRow).returning(InvoiceRow.invoice_id, sort_by_parameter_order=True), rows
    )
    invoice_ids = tuple(made.scalars())
    _copy(
        session,
        "invoice_line (invoice_id, line_no, subscription_id, component, text, unit, quantity,"
        " vat_code, vat_rate_bp, amount_minor, net_minor)",
        (
            (invoice_id, line.line_no, line.subscription_id, line.component, line.text, line.unit,
             line.quantity, line.vat_code, line.vat_rate_bp, line.amount_minor, line.net_minor)
            for invoice_id, invoice in zip(invoice_ids, invoices, strict=True)
            for line in invoice.lines
        ),
    )  # fmt: skip
    _copy(
        session,
        "invoice_charge (charge_key_id, invoice_id, line_no, amount_minor, net_minor)",
        (
            (charge.charge_key_id, invoice_id, line.line_no, charge.amount_minor, charge.net_minor)
            for invoice_id, invoice in zip(invoice_ids, invoices, strict=True)
            for line in invoice.lines
            for charge in line.charges
        ),
    )
    return invoice_ids


def _copy(session: Session, target: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Write many rows at the speed of COPY, in the session's own transaction."""
    with (
        driver_connection(session).cursor() as cursor,
        cursor.copy(f"COPY {target} FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)


def _bill_run(session: Session, order: Order) -> int:
    """Find or make the row of this run; a resumed run is the same run."""
    session.execute(
        upsert(BillRun)
        .values(
            book=order.book,
            period=order.period,
            invoice_date=order.invoice_date,
            credit_days=order.credit_days,
            actor=order.actor,
        )
        .on_conflict_do_nothing()
    )
    return session.execute(
        select(BillRun.bill_run_id).where(
            BillRun.book == order.book,
            BillRun.period == order.period,
            BillRun.invoice_date == order.invoice_date,
        )
    ).scalar_one()


def _invoice_row(
    order: Order, run_id: int, invoice: Invoice, posted: Posted, index: int
) -> dict[str, object]:
    voucher = posted.vouchers[index]
    return {
        "bill_run_id": run_id,
        "book": order.book,
        "billing_account_id": invoice.account.billing_account_id,
        "account_no": invoice.account.number,
        "party_id": invoice.account.party_id,
        "bill_seq": invoice.bill_seq,
        "kid": invoice.kid,
        "entry_id": posted.entry_ids[index],
        "open_item_id": posted.open_item_ids[index, 1] if invoice.gross_minor else None,
        "voucher_year": voucher.year,
        "voucher_no": voucher.number,
        "invoice_date": invoice.terms.invoice_date,
        "due_date": invoice.due_date,
        "period_start": invoice.terms.period_start,
        "period_end": invoice.terms.period_end,
        "basis": invoice.basis,
        "net_minor": invoice.net_minor,
        "vat_minor": invoice.vat_minor,
        "gross_minor": invoice.gross_minor,
        "snapshot": snapshot_of(invoice, order.seller),
    }
