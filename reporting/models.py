"""Tables of bills and documents. Append-only: another document corrects an issued invoice."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from ledger.db import Base
from ledger.models import JournalEntry, OpenItemRow
from rating.models import ChargeKeyRow

_NOW = text("now()")


class BillRun(Base):
    """One billing of one month of one book, dated once; a killed run goes on under the same row."""

    __tablename__ = "bill_run"
    __table_args__ = (
        UniqueConstraint("book", "period", "invoice_date"),
        CheckConstraint("period ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'", name="period_is_month"),
        CheckConstraint("credit_days BETWEEN 0 AND 365", name="credit_days_sane"),
    )
    bill_run_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    book: Mapped[str] = mapped_column(String(16))
    period: Mapped[str] = mapped_column(String(7))  # The calendar month, "2026-03".
    invoice_date: Mapped[date]
    credit_days: Mapped[int | None] = mapped_column(SmallInteger)  # None: as each agreed.
    actor: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=_NOW)


class InvoiceRow(Base):
    """An issued invoice or, below zero, credit note: its entry, figures and words.

    Name and address as printed are in `snapshot`, never in the journal. The voucher number is the
    one that the sales series gave the entry; it is repeated here to be searched for.
    """

    __tablename__ = "invoice"
    __table_args__ = (
        UniqueConstraint("book", "kid"),
        UniqueConstraint("book", "billing_account_id", "bill_seq"),
        UniqueConstraint("book", "voucher_year", "voucher_no"),
        UniqueConstraint("entry_id"),
        UniqueConstraint("open_item_id"),
        Index(None, "party_id", "invoice_date"),
        CheckConstraint("net_minor + vat_minor = gross_minor", name="totals_add_up"),
        CheckConstraint("(gross_minor = 0) = (open_item_id IS NULL)", name="claims_its_gross"),
        CheckConstraint("period_start < period_end", name="period_not_empty"),
        CheckConstraint("due_date >= invoice_date", name="due_after_invoice"),
        CheckConstraint("basis IN ('gross', 'net')", name="basis_known"),
        CheckConstraint("kid ~ '^[0-9]{15}$'", name="kid_digits"),
        CheckConstraint("account_no ~ '^[0-9]{8}$'", name="account_digits"),
    )
    invoice_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    bill_run_id: Mapped[int] = mapped_column(ForeignKey("bill_run.bill_run_id"))
    book: Mapped[str] = mapped_column(String(16))
    billing_account_id: Mapped[int] = mapped_column(BigInteger)
    account_no: Mapped[str] = mapped_column(String(8))
    party_id: Mapped[int] = mapped_column(BigInteger)
    bill_seq: Mapped[int]  # From 1 per billing account; part of the KID.
    kid: Mapped[str] = mapped_column(String(15))
    entry_id: Mapped[int] = mapped_column(BigInteger, ForeignKey(JournalEntry.entry_id))
    # None where there is nothing to pay and the document moves VAT alone.
    open_item_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey(OpenItemRow.open_item_id)
    )
    voucher_year: Mapped[int] = mapped_column(SmallInteger)
    voucher_no: Mapped[int] = mapped_column(BigInteger)
    invoice_date: Mapped[date]
    due_date: Mapped[date]
    period_start: Mapped[date]
    period_end: Mapped[date]  # Exclusive.
    basis: Mapped[str] = mapped_column(String(5))
    net_minor: Mapped[int] = mapped_column(BigInteger)
    vat_minor: Mapped[int] = mapped_column(BigInteger)
    gross_minor: Mapped[int] = mapped_column(BigInteger)
    snapshot: Mapped[dict[str, Any]] = mapped_column(JSONB)
    recorded_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=_NOW)


class InvoiceLineRow(Base):
    """One line: the sum of the charges it covers. Whose number it is stands in the snapshot."""

    __tablename__ = "invoice_line"
    __table_args__ = (
        PrimaryKeyConstraint("invoice_id", "line_no"),
        CheckConstraint("line_no > 0", name="line_no_from_one"),
    )
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.invoice_id"))
    line_no: Mapped[int]
    subscription_id: Mapped[int | None] = mapped_column(BigInteger)
    component: Mapped[str]
    text: Mapped[str]
    unit: Mapped[str]
    quantity: Mapped[int | None] = mapped_column(BigInteger)
    vat_code: Mapped[str] = mapped_column(String(9))
    vat_rate_bp: Mapped[int]
    amount_minor: Mapped[int] = mapped_column(BigInteger)  # In the invoice's price basis.
    net_minor: Mapped[int] = mapped_column(BigInteger)


class InvoiceCharge(Base):
    """A charge key and the one line that bills it: the primary key makes twice impossible."""

    __tablename__ = "invoice_charge"
    __table_args__ = (
        PrimaryKeyConstraint("charge_key_id"),
        ForeignKeyConstraint(
            ["invoice_id", "line_no"], ["invoice_line.invoice_id", "invoice_line.line_no"]
        ),
        Index(None, "invoice_id", "line_no"),
    )
    charge_key_id: Mapped[int] = mapped_column(BigInteger, ForeignKey(ChargeKeyRow.charge_key_id))
    invoice_id: Mapped[int] = mapped_column(BigInteger)
    line_no: Mapped[int]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    net_minor: Mapped[int] = mapped_column(BigInteger)


class Document(Base):
    """A rendered document by the hash of its bytes; what has a row is never rendered again."""

    __tablename__ = "document"
    __table_args__ = (
        UniqueConstraint("invoice_id", "kind"),
        CheckConstraint("kind IN ('pdf')", name="kind_known"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256_hex"),
        CheckConstraint("size > 0", name="size_positive"),
    )
    document_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.invoice_id"))
    kind: Mapped[str] = mapped_column(String(16))
    sha256: Mapped[str] = mapped_column(String(64))
    media_type: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    recorded_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=_NOW)
