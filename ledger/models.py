"""The ledger's tables as types, for reading. Only the posting functions of the database write them.

Every rule is a constraint or a trigger in migrations/sql/0001_ledger, which also says why; a test
compares these columns with the migrated database.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, SmallInteger, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ledger.db import Base


class Book(Base):
    """The accounts of one legal entity."""

    __tablename__ = "book"
    book_id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    legal_entity: Mapped[str] = mapped_column(Text)
    functional_currency: Mapped[str] = mapped_column(String(3))
    fiscal_year_start: Mapped[int] = mapped_column(SmallInteger)  # the month it starts in


class Account(Base):
    """An account of the chart. Its number never changes; other changes leave a version behind."""

    __tablename__ = "account"
    account_id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(SmallInteger)
    number: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    account_class: Mapped[str] = mapped_column("class", String(1))  # A L Q I E D
    currency: Mapped[str | None] = mapped_column(String(3))  # None: any
    is_control: Mapped[bool]
    party_required: Mapped[bool]
    open_item: Mapped[bool]
    manual_post_allowed: Mapped[bool]
    grouping_category: Mapped[str] = mapped_column(Text)
    grouping_code: Mapped[str] = mapped_column(Text)
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]


class VatCode(Base):
    """A VAT code with its rate in a span of time. [hundredths of a per cent]"""

    __tablename__ = "vat_code"
    vat_code_id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    book_id: Mapped[int] = mapped_column(SmallInteger)
    code: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    saft_code: Mapped[str] = mapped_column(Text)
    rate_bp: Mapped[int]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]


class PostingRule(Base):
    """Which account an event's leg uses from a date; '*' is any selector."""

    __tablename__ = "posting_rule"
    posting_rule_id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(SmallInteger)
    event: Mapped[str] = mapped_column(Text)
    leg: Mapped[str] = mapped_column(Text)
    selector: Mapped[str] = mapped_column(Text)
    account_number: Mapped[str] = mapped_column(Text)
    valid_from: Mapped[date]


class VoucherSeries(Base):
    """A gapless series of voucher numbers per fiscal year."""

    __tablename__ = "voucher_series"
    series_id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    book_id: Mapped[int] = mapped_column(SmallInteger)
    code: Mapped[str] = mapped_column(Text)
    document_type: Mapped[str] = mapped_column(Text)
    module: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)


class Period(Base):
    """An accounting period: a calendar month, half-open."""

    __tablename__ = "period"
    book_id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    code: Mapped[str] = mapped_column(Text, primary_key=True)
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    fiscal_year: Mapped[int] = mapped_column(SmallInteger)


class PostingBatch(Base):
    """The unit of atomicity, idempotency, numbering and control totals."""

    __tablename__ = "posting_batch"
    batch_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    book_id: Mapped[int] = mapped_column(SmallInteger)
    source_system: Mapped[str] = mapped_column(Text)
    source_ref: Mapped[str] = mapped_column(Text)
    request_hash: Mapped[bytes]
    entry_count: Mapped[int]
    line_count: Mapped[int]
    item_count: Mapped[int]
    allocation_count: Mapped[int]
    debit_totals: Mapped[dict[str, Any]] = mapped_column(JSONB)  # minor units per currency
    first_date: Mapped[date]
    last_date: Mapped[date]
    created_by: Mapped[str] = mapped_column(Text)
    approved_by: Mapped[str | None] = mapped_column(Text)
    recorded_at: Mapped[datetime]


class JournalEntry(Base):
    """A voucher. entry_id = batch_id * 2**20 + its index in the batch."""

    __tablename__ = "journal_entry"
    entry_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    voucher_no: Mapped[int] = mapped_column(BigInteger)
    reverses_entry_id: Mapped[int | None] = mapped_column(BigInteger)
    effective_date: Mapped[date]
    document_date: Mapped[date]
    book_id: Mapped[int] = mapped_column(SmallInteger)
    series_id: Mapped[int] = mapped_column(SmallInteger)
    fiscal_year: Mapped[int] = mapped_column(SmallInteger)
    line_count: Mapped[int] = mapped_column(SmallInteger)
    entry_type: Mapped[str] = mapped_column(Text)
    source_system: Mapped[str] = mapped_column(Text)
    source_ref: Mapped[str] = mapped_column(Text)
    document_ref: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    leaf: Mapped[bytes]  # SHA-256 of the entry's hash and its number


class JournalLine(Base):
    """One side of an entry: debit positive. Partitioned by month of effective_date."""

    __tablename__ = "journal_line"
    entry_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    party_id: Mapped[int | None] = mapped_column(BigInteger)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    base_minor: Mapped[int] = mapped_column(BigInteger)
    open_item_id: Mapped[int | None] = mapped_column(BigInteger)
    tax_base_minor: Mapped[int | None] = mapped_column(BigInteger)
    account_id: Mapped[int]
    dim_set_id: Mapped[int]
    effective_date: Mapped[date] = mapped_column(primary_key=True)
    line_no: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    vat_code_id: Mapped[int | None] = mapped_column(SmallInteger)
    currency: Mapped[str] = mapped_column(String(3))
    text: Mapped[str | None] = mapped_column(Text)


class OpenItemRow(Base):
    """What a line on an open-item account opened; what is left of it is computed, never stored."""

    __tablename__ = "open_item"
    open_item_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    entry_id: Mapped[int] = mapped_column(BigInteger)
    party_id: Mapped[int | None] = mapped_column(BigInteger)
    original_minor: Mapped[int] = mapped_column(BigInteger)
    base_minor: Mapped[int] = mapped_column(BigInteger)
    account_id: Mapped[int]
    effective_date: Mapped[date]
    document_date: Mapped[date]
    due_date: Mapped[date]
    book_id: Mapped[int] = mapped_column(SmallInteger)
    line_no: Mapped[int] = mapped_column(SmallInteger)
    currency: Mapped[str] = mapped_column(String(3))
    kind: Mapped[str] = mapped_column(Text)
    document_ref: Mapped[str] = mapped_column(Text)
    kid: Mapped[str | None] = mapped_column(Text)


class Allocation(Base):
    """The use of a credit item against a debit item."""

    __tablename__ = "allocation"
    allocation_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    credit_item_id: Mapped[int] = mapped_column(BigInteger)
    debit_item_id: Mapped[int] = mapped_column(BigInteger)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    reverses_allocation_id: Mapped[int | None] = mapped_column(BigInteger)
    batch_id: Mapped[int] = mapped_column(BigInteger)
    effective_date: Mapped[date]
    book_id: Mapped[int] = mapped_column(SmallInteger)
    rule: Mapped[str] = mapped_column(Text)
