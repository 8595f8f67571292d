"""The tables of access, as migrations 0002 and 0017 make them, for `ledger.service` alone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Identity,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    func,
    or_,
)
from sqlalchemy.dialects.postgresql import JSONB

from ledger.db import Base

_MOMENT = DateTime(timezone=True)
staff_table = Table(
    "staff",
    Base.metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("username", Text, nullable=False, unique=True),
    Column("roles", ARRAY(Text), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_at", _MOMENT, nullable=False),
    Column("disabled_at", _MOMENT),
)
session_table = Table(
    "staff_session",
    Base.metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("staff_id", Integer, nullable=False),
    Column("created_at", _MOMENT, nullable=False),
    Column("expires_at", _MOMENT, nullable=False),
    Column("revoked_at", _MOMENT),
)
attempt_table = Table(
    "login_attempt",
    Base.metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("username_sha256", LargeBinary, nullable=False),
    Column("address_sha256", LargeBinary, nullable=False),
    Column("attempted_at", _MOMENT, nullable=False),
    Column("succeeded", Boolean, nullable=False),
)
client_table = Table(
    "api_client",
    Base.metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", _MOMENT, nullable=False),
    Column("disabled_at", _MOMENT),
)
token_table = Table(
    "api_token",
    Base.metadata,
    Column("prefix", Text, primary_key=True),
    Column("api_client_id", Integer, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("created_at", _MOMENT, nullable=False),
    Column("expires_at", _MOMENT),
    Column("revoked_at", _MOMENT),
)
book_access_table = Table(
    "book_access",
    Base.metadata,
    Column("book_access_id", BigInteger, Identity(always=True), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("book_id", SmallInteger),
    Column("is_granted", Boolean, nullable=False),
    Column("valid_from", _MOMENT, nullable=False),
    Column("reason", Text, nullable=False),
    Column("recorded_by", Text, nullable=False),
    Column("recorded_at", _MOMENT, nullable=False, server_default=func.clock_timestamp()),
)
event_table = Table(
    "access_event",
    Base.metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("recorded_at", _MOMENT, nullable=False, server_default=func.clock_timestamp()),
    Column("actor", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("facts", JSONB, nullable=False),
)
# A token that is replaced ends at a time ahead, unless its own end comes first.
TOKEN_ENDS_AT = func.least(token_table.c.revoked_at, token_table.c.expires_at)


def is_valid_token(now: datetime) -> ColumnElement[bool]:
    """Write the condition that a token is neither revoked nor expired at a time."""
    return or_(TOKEN_ENDS_AT.is_(None), now < TOKEN_ENDS_AT)
