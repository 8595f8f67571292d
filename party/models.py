"""The tables of the party room. Facts are added; of an interval only the end is ever set.

Every rule is a constraint of migration 0003: no number has two holders at an instant, no
subscription two offerings or two payers.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, LargeBinary, SmallInteger, String, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from ledger.db import Base

_NOW = "clock_timestamp()"
_INSTANT = TIMESTAMP(timezone=True)


class Party(Base):
    """A person or an organisation that is a customer."""

    __tablename__ = "party"
    party_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    customer_no: Mapped[str] = mapped_column(Text, unique=True)
    kind: Mapped[str] = mapped_column(Text)  # person, organisation
    name: Mapped[str] = mapped_column(Text)
    org_no: Mapped[str | None] = mapped_column(Text)
    street: Mapped[str] = mapped_column(Text)
    postcode: Mapped[str] = mapped_column(Text)
    city: Mapped[str] = mapped_column(Text)
    country: Mapped[str] = mapped_column(String(2))
    email: Mapped[str | None] = mapped_column(Text)
    recorded_at: Mapped[datetime] = mapped_column(_INSTANT, server_default=_NOW)


class BillingAccount(Base):
    """What gets one bill. Its number never changes: it is a part of every KID."""

    __tablename__ = "billing_account"
    billing_account_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    number: Mapped[str] = mapped_column(String(8), unique=True)
    external_ref: Mapped[str] = mapped_column(Text, unique=True)  # as the order systems name it
    party_id: Mapped[int] = mapped_column(ForeignKey("party.party_id"))
    segment: Mapped[str] = mapped_column(Text)  # consumer, business
    currency: Mapped[str] = mapped_column(String(3), server_default="NOK")
    terms_days: Mapped[int] = mapped_column(SmallInteger, server_default="14")
    recorded_at: Mapped[datetime] = mapped_column(_INSTANT, server_default=_NOW)


class Subscription(Base):
    """A subscription; what it has and who pays are intervals of their own."""

    __tablename__ = "subscription"
    subscription_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    external_ref: Mapped[str] = mapped_column(Text, unique=True)
    recorded_at: Mapped[datetime] = mapped_column(_INSTANT, server_default=_NOW)


class SubscriptionIdentifier(Base):
    """A number that a subscription had in [valid_from, valid_to)."""

    __tablename__ = "subscription_identifier"
    subscription_identifier_id: Mapped[int] = mapped_column(
        BigInteger, Identity(), primary_key=True
    )
    subscription_id: Mapped[int] = mapped_column(ForeignKey("subscription.subscription_id"))
    kind: Mapped[str] = mapped_column(Text)  # imsi, msisdn, iccid
    value: Mapped[int] = mapped_column(BigInteger)  # an ICCID without its leading 89
    valid_from: Mapped[datetime] = mapped_column(_INSTANT)
    valid_to: Mapped[datetime | None] = mapped_column(_INSTANT)
    recorded_at: Mapped[datetime] = mapped_column(_INSTANT, server_default=_NOW)


class SubscriptionOffering(Base):
    """The offering that a subscription had in [valid_from, valid_to)."""

    __tablename__ = "subscription_offering"
    subscription_offering_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    subscription_id: Mapped[int] = mapped_column(ForeignKey("subscription.subscription_id"))
    offering: Mapped[str] = mapped_column(Text)
    agreed_price_micro: Mapped[int | None] = mapped_column(BigInteger)
    valid_from: Mapped[datetime] = mapped_column(_INSTANT)
    valid_to: Mapped[datetime | None] = mapped_column(_INSTANT)
    recorded_at: Mapped[datetime] = mapped_column(_INSTANT, server_default=_NOW)


class SubscriptionAccount(Base):
    """The billing account that paid for a subscription in [valid_from, valid_to)."""

    __tablename__ = "subscription_account"
    subscription_account_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    subscription_id: Mapped[int] = mapped_column(ForeignKey("subscription.subscription_id"))
    billing_account_id: Mapped[int] = mapped_column(
        ForeignKey("billing_account.billing_account_id")
    )
    valid_from: Mapped[datetime] = mapped_column(_INSTANT)
    valid_to: Mapped[datetime | None] = mapped_column(_INSTANT)
    recorded_at: Mapped[datetime] = mapped_column(_INSTANT, server_default=_NOW)


class AppliedOrder(Base):
    """An order that was applied, once. Append-only."""

    __tablename__ = "applied_order"
    applied_order_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    system: Mapped[str] = mapped_column(Text)
    order_id: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    action: Mapped[str] = mapped_column(Text)
    subscription_id: Mapped[int] = mapped_column(ForeignKey("subscription.subscription_id"))
    offering: Mapped[str] = mapped_column(Text)
    billing_account_id: Mapped[int] = mapped_column(
        ForeignKey("billing_account.billing_account_id")
    )
    effective_at: Mapped[datetime] = mapped_column(_INSTANT)
    file_id: Mapped[int | None] = mapped_column(BigInteger)
    line_no: Mapped[int]
    agreed_price_micro: Mapped[int | None] = mapped_column(BigInteger)
    recorded_at: Mapped[datetime] = mapped_column(_INSTANT, server_default=_NOW)


class Agreement(Base):
    """A frame agreement; one above it was there before. Append-only."""

    __tablename__ = "agreement"
    agreement_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("agreement.agreement_id"))
    recorded_at: Mapped[datetime] = mapped_column(_INSTANT, server_default=_NOW)


class AccountAgreement(Base):
    """From a local day on a billing account is under an agreement, or none. Append-only."""

    __tablename__ = "account_agreement"
    account_agreement_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    billing_account_id: Mapped[int] = mapped_column(
        ForeignKey("billing_account.billing_account_id")
    )
    agreement_id: Mapped[int | None] = mapped_column(ForeignKey("agreement.agreement_id"))
    valid_from: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(_INSTANT, server_default=_NOW)
