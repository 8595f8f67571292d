"""Tables of the rating room: tariff books as loaded, charge keys, their deltas, rating runs.

All are facts: the service inserts, nobody updates. What a charge stands at is the sum of its
deltas (the view `charge`), each written in the transaction of the batch that posted it.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ledger.db import Base

_MONTH = "'^[0-9]{4}-(0[1-9]|1[0-2])$'"


class TariffBookRow(Base):
    """A tariff file as it was loaded. The source text compiles to the book of `content_hash`."""

    __tablename__ = "tariff_book"
    __table_args__ = (
        UniqueConstraint("name", "version", name="uq_tariff_book_name_version"),
        Index("ix_tariff_book_name_valid_from", "name", "valid_from"),
        CheckConstraint("version > 0", name="version_positive"),
        CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name="content_hash_is_sha256"),
        CheckConstraint("loaded_by <> ''", name="loaded_by"),
    )
    tariff_book_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    version: Mapped[int]
    valid_from: Mapped[date]
    content_hash: Mapped[str] = mapped_column(Text, unique=True)
    source: Mapped[str] = mapped_column(Text)
    loaded_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    loaded_by: Mapped[str] = mapped_column(Text)


class TariffVerdict(Base):
    """What another person said of a version, once and for good; only approved ones rate."""

    __tablename__ = "tariff_verdict"
    __table_args__ = (
        CheckConstraint("verdict IN ('approved', 'rejected')", name="verdict_known"),
        CheckConstraint("judge <> ''", name="judge"),
        CheckConstraint("verdict = 'approved' OR comment <> ''", name="reason"),
    )
    tariff_book_id: Mapped[int] = mapped_column(
        ForeignKey("tariff_book.tariff_book_id"), primary_key=True
    )
    content_hash: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str] = mapped_column(Text)
    judge: Mapped[str] = mapped_column(Text)
    comment: Mapped[str] = mapped_column(Text, server_default="")
    judged_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class ChargeKeyRow(Base):
    """What a charge is about; `rating.charges.ChargeKey` says what the columns mean."""

    __tablename__ = "charge_key"
    __table_args__ = (
        UniqueConstraint(
            "book_code", "billing_period", "billing_account_id", "subscription_id", "component",
            "kind", "charge_ref", "usage_period", "accounting_month", "party_id",
            "revenue_account", "vat_code", "vat_rate_bp", "price_basis", "currency", "dimensions",
            name="uq_charge_key_natural",
        ),
        CheckConstraint("vat_rate_bp BETWEEN 0 AND 10000", name="vat_rate_sane"),
        CheckConstraint("price_basis IN ('net', 'gross')", name="price_basis_known"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_iso"),
        CheckConstraint(f"usage_period ~ {_MONTH}", name="usage_period_is_month"),
        CheckConstraint(f"accounting_month ~ {_MONTH}", name="accounting_month_is_month"),
        CheckConstraint(f"billing_period ~ {_MONTH}", name="billing_period_is_month"),
        CheckConstraint("kind IN ('usage', 'recurring', 'one_off')", name="kind_known"),
    )  # fmt: skip
    charge_key_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    book_code: Mapped[str] = mapped_column(Text)
    billing_account_id: Mapped[int] = mapped_column(BigInteger)
    party_id: Mapped[int] = mapped_column(BigInteger)
    subscription_id: Mapped[int] = mapped_column(BigInteger)
    component: Mapped[str] = mapped_column(Text)
    revenue_account: Mapped[str] = mapped_column(Text)
    vat_code: Mapped[str] = mapped_column(Text)
    vat_rate_bp: Mapped[int]
    price_basis: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(Text)
    usage_period: Mapped[str] = mapped_column(Text)
    accounting_month: Mapped[str] = mapped_column(Text)
    billing_period: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    charge_ref: Mapped[str] = mapped_column(Text, server_default="")
    dimensions: Mapped[dict[str, str]] = mapped_column(JSONB, server_default="{}")
    text: Mapped[str] = mapped_column(Text, server_default="")
    unit: Mapped[str] = mapped_column(Text, server_default="piece")


class ChargeDelta(Base):
    """What one rating run adds to a charge. `minor_gross` is zero on net keys.

    `batch_id` is what it posted; None for a run whose sums came to no øre.
    """

    __tablename__ = "charge_delta"
    __table_args__ = (
        UniqueConstraint(
            "charge_key_id", "batch_id", name="uq_charge_delta_charge_key_id_batch_id"
        ),
        Index("ix_charge_delta_batch_id", "batch_id"),
    )
    charge_delta_id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True
    )
    # The batch is the ledger's; its table is named, not imported, so that either loads alone.
    batch_id: Mapped[int | None] = mapped_column(BigInteger)
    charge_key_id: Mapped[int] = mapped_column(ForeignKey("charge_key.charge_key_id"))
    micro: Mapped[int] = mapped_column(BigInteger)
    minor_net: Mapped[int] = mapped_column(BigInteger)
    minor_gross: Mapped[int] = mapped_column(BigInteger)
    events: Mapped[int] = mapped_column(BigInteger)
    quantity: Mapped[int] = mapped_column(BigInteger)


class RatingRun(Base):
    """One rating of one set of inputs; the last of a period says where the period stands."""

    __tablename__ = "rating_run"
    __table_args__ = (
        Index("ix_rating_run_period", "period", "run_id"),
        CheckConstraint(f"period ~ {_MONTH}", name="period_is_month"),
        CheckConstraint("counters_sha256 ~ '^[0-9a-f]{64}$'", name="counters_sha256"),
        CheckConstraint("explained_sha256 ~ '^[0-9a-f]{64}$'", name="explained_sha256"),
        CheckConstraint("remainder_in_sha256 ~ '^[0-9a-f]{64}$'", name="remainder_in_sha256"),
        CheckConstraint("remainder_out_sha256 ~ '^[0-9a-f]{64}$'", name="remainder_out_sha256"),
        CheckConstraint(
            "corrects_run_id IS NULL OR (reason <> '' AND corrects_run_id < run_id)",
            name="correction_has_reason",
        ),
    )
    run_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    period: Mapped[str] = mapped_column(Text)
    inputs_hash: Mapped[str] = mapped_column(Text)
    tariff_hash: Mapped[str] = mapped_column(ForeignKey("tariff_book.content_hash"))
    batch_id: Mapped[int | None] = mapped_column(BigInteger)
    # The run whose result this one puts right, by another tariff; None for an ordinary run.
    corrects_run_id: Mapped[int | None] = mapped_column(ForeignKey("rating_run.run_id"))
    actor: Mapped[str] = mapped_column(Text, server_default="system:rating")
    reason: Mapped[str] = mapped_column(Text, server_default="")
    counters_sha256: Mapped[str | None] = mapped_column(Text)  # of allowances, in the vault
    # What rolled over from the month before, and what rolls on into the next, in the vault.
    remainder_in_sha256: Mapped[str | None] = mapped_column(Text)
    remainder_out_sha256: Mapped[str | None] = mapped_column(Text)
    # Why the charges that are no events cost what they do, in the vault.
    explained_sha256: Mapped[str | None] = mapped_column(Text)
    rated_refs: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    counts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    recorded_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
