"""The tables of mediation. All of them hold facts: a row is inserted once and never changed."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Identity, SmallInteger
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ledger.db import Base


class SourceFile(Base):
    """A file as it was received: known by its hash for ever."""

    __tablename__ = "source_file"
    file_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    source_system: Mapped[str]
    name: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)  # octets
    format: Mapped[str]
    node: Mapped[str | None]
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    declared_count: Mapped[int | None] = mapped_column(BigInteger)
    record_count: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]  # accepted, suspended as a whole, or parked
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    first_day: Mapped[int | None]  # UTC days since 1970 of its events, for the search for copies
    last_day: Mapped[int | None]
    used_from: Mapped[date | None]  # in Oslo; of a suspended file all of whose times can be read
    used_to: Mapped[date | None]
    keys_sha256: Mapped[str | None]  # the vault's block of record keys
    outcome_sha256: Mapped[str | None]  # the vault's outcome per record
    registered_at: Mapped[datetime] = mapped_column(server_default="clock_timestamp()")


class FileReversal(Base):
    """A file that was taken back as a whole: nothing of it is used from then on."""

    __tablename__ = "file_reversal"
    file_id: Mapped[int] = mapped_column(ForeignKey("source_file.file_id"), primary_key=True)
    actor: Mapped[str]
    reason: Mapped[str]
    reversed_at: Mapped[datetime] = mapped_column(server_default="clock_timestamp()")


class RefusedFile(Base):
    """A file that was refused for what lies with us: not registered, and to be taken in again."""

    __tablename__ = "refused_file"
    refused_file_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    source_system: Mapped[str]
    book: Mapped[str]
    name: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str]
    detail: Mapped[str]
    refused_at: Mapped[datetime] = mapped_column(server_default="clock_timestamp()")


class RefusedFileEnd(Base):
    """Somebody looked at a refused file, and it is not needed."""

    __tablename__ = "refused_file_end"
    refused_file_id: Mapped[int] = mapped_column(
        ForeignKey("refused_file.refused_file_id"), primary_key=True
    )
    actor: Mapped[str]
    reason: Mapped[str]
    ended_at: Mapped[datetime] = mapped_column(server_default="clock_timestamp()")


class FileAlarm(Base):
    """Something about a file that a person should know and that stops nothing."""

    __tablename__ = "file_alarm"
    file_alarm_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("source_file.file_id"))
    kind: Mapped[str]
    detail: Mapped[str]


class FileUsage(Base):
    """Where the accepted usage of a file lies, by month used."""

    __tablename__ = "file_usage"
    file_id: Mapped[int] = mapped_column(ForeignKey("source_file.file_id"), primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)  # recycling adds objects to a file
    row_count: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[int] = mapped_column(BigInteger)
    octets: Mapped[int] = mapped_column(BigInteger)


class ControlMove(Base):
    """A posting in the usage ledger: so much of a measure went from one bucket to another."""

    __tablename__ = "control_move"
    control_move_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("source_file.file_id"))
    measure: Mapped[str]  # records, seconds, octets, ore
    from_bucket: Mapped[str]
    to_bucket: Mapped[str]
    reason: Mapped[str]
    quantity: Mapped[int] = mapped_column(BigInteger)
    cause: Mapped[str]  # what moved it: "file 17", "rating 2026-03"
    moved_at: Mapped[datetime] = mapped_column(server_default="clock_timestamp()")


class Suspense(Base):
    """A record that needs somebody, and why."""

    __tablename__ = "suspense"
    suspense_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("source_file.file_id"))
    record_no: Mapped[int] = mapped_column(BigInteger)
    part_no: Mapped[int]  # 0: the whole record
    reason: Mapped[str]
    work_group: Mapped[str]
    byte_offset: Mapped[int | None] = mapped_column(BigInteger)
    line_no: Mapped[int | None] = mapped_column(BigInteger)
    seconds: Mapped[int] = mapped_column(BigInteger)
    octets: Mapped[int] = mapped_column(BigInteger)
    detail: Mapped[str]
    turn: Mapped[int] = mapped_column(server_default="1")  # how often it was suspended for this
    used_on: Mapped[date | None]  # in Oslo; None where the time cannot be read or trusted
    recorded_at: Mapped[datetime] = mapped_column(server_default="clock_timestamp()")


class SuspenseRelease(Base):
    """The end of a suspension: the record found its subscriber or price, the row was applied."""

    __tablename__ = "suspense_release"
    suspense_id: Mapped[int] = mapped_column(ForeignKey("suspense.suspense_id"), primary_key=True)
    bucket: Mapped[str]  # accepted, merged, duplicate, or filtered
    into_file_id: Mapped[int | None] = mapped_column(BigInteger)  # of merged: the first part
    into_record_no: Mapped[int | None] = mapped_column(BigInteger)
    cause: Mapped[str]
    actor: Mapped[str]
    released_at: Mapped[datetime] = mapped_column(server_default="clock_timestamp()")


class RowCorrection(Base):
    """What a cell of a suspended row should have said; of several, the last counts."""

    __tablename__ = "row_correction"
    row_correction_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    suspense_id: Mapped[int] = mapped_column(ForeignKey("suspense.suspense_id"))
    column_name: Mapped[str]
    value: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(server_default="clock_timestamp()")


class HeldPart(Base):
    """A part that waits for its chain; `content` is its usage rows as decoded."""

    __tablename__ = "held_part"
    held_part_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("source_file.file_id"))
    record_no: Mapped[int] = mapped_column(BigInteger)
    chain_key: Mapped[int] = mapped_column(BigInteger)
    is_last: Mapped[bool]
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)


class HeldRelease(Base):
    """The end of a part's waiting: the chain was completed by a file and became an event."""

    __tablename__ = "held_release"
    held_part_id: Mapped[int] = mapped_column(
        ForeignKey("held_part.held_part_id"), primary_key=True
    )
    by_file_id: Mapped[int] = mapped_column(ForeignKey("source_file.file_id"))
    bucket: Mapped[str]
    reason: Mapped[str]
    # The merged event carries the place of its first part.
    into_file_id: Mapped[int] = mapped_column(BigInteger)
    into_record_no: Mapped[int] = mapped_column(BigInteger)


class BankPayment(Base):
    """A payment as the bank told it, and what became of it: one row per payment of a file."""

    __tablename__ = "bank_payment"
    file_id: Mapped[int] = mapped_column(ForeignKey("source_file.file_id"), primary_key=True)
    line_no: Mapped[int] = mapped_column(primary_key=True)  # of its amount item 1
    book: Mapped[str]
    transmission_no: Mapped[int]
    assignment_line_no: Mapped[int]  # two assignments of a file may carry the same number
    assignment_no: Mapped[int]
    agreement: Mapped[str]
    account: Mapped[str]  # our bank account
    kind: Mapped[int] = mapped_column(SmallInteger)  # type 10 to 21
    tx_no: Mapped[int]
    settlement_date: Mapped[date]
    centre: Mapped[str]
    day_code: Mapped[str]
    part: Mapped[int] = mapped_column(SmallInteger)
    serial: Mapped[int]
    form_no: Mapped[str]
    archive_ref: Mapped[str | None]
    kid: Mapped[str | None]  # as written
    amount_minor: Mapped[int] = mapped_column(BigInteger)  # signed as in the bank's sums
    bank_date: Mapped[date | None]
    debit_account: Mapped[str | None]
    card_issuer: Mapped[str]
    text: Mapped[str | None]
    outcome: Mapped[str]  # exact, part, overpaid, unallocated, not_booked
    reason: Mapped[str | None]  # why it needs a person; see mediation.matching.REASONS
    party_id: Mapped[int | None] = mapped_column(BigInteger)  # whose KID it is, where known
    batch_id: Mapped[int | None] = mapped_column(BigInteger)
    entry_id: Mapped[int | None] = mapped_column(BigInteger)
    allocated_minor: Mapped[int] = mapped_column(BigInteger)
    unallocated_minor: Mapped[int] = mapped_column(BigInteger)
    claim_item_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))  # the claims it paid
    payment_item_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))  # its own, in step
    unallocated_item_id: Mapped[int | None] = mapped_column(BigInteger)
    recorded_at: Mapped[datetime] = mapped_column(server_default="clock_timestamp()")


class SettlementRun(Base):
    """Why a month's settlement stands as it does; the last of a source and tariff holds.

    `event_refs` : the events that it priced, with their explanations, in the vault; of a settlement
    that prices none, empty.
    """

    __tablename__ = "settlement_run"
    settlement_run_id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True
    )
    book_code: Mapped[str]
    source_system: Mapped[str]
    period: Mapped[str]
    tariff_hash: Mapped[str]
    batch_id: Mapped[int | None] = mapped_column(BigInteger)  # None: there was nothing new to post
    explained_sha256: Mapped[str]
    event_refs: Mapped[list[str]] = mapped_column(JSONB)
    actor: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(server_default="now()")
