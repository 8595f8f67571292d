"""Conditions as they are written in files and requests: objects told apart by their `kind`."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ledger.conditions import (
    Condition,
    ConditionMalformed,
    ItemOutstanding,
    LastVoucher,
    PartyBalance,
    check_condition,
)
from ledger.errors import Invalid
from ledger.money import parse_amount

MOST = 20  # conditions of one post


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all kinds of conditions have in common: no field of another name."""


class PartyBalanceRecord(_Record, frozen=True, tag="party-balance"):
    """A party's balance on an account is within bounds."""

    party_id: int
    account: str
    currency: str | None = None
    at_most: str | None = None
    at_least: str | None = None


class ItemOutstandingRecord(_Record, frozen=True, tag="item-outstanding"):
    """So much is left of an open item."""

    open_item_id: int
    equals: str


class LastVoucherRecord(_Record, frozen=True, tag="last-voucher"):
    """The last number that a series gave."""

    series: str
    year: int
    equals: int


ConditionRecord = PartyBalanceRecord | ItemOutstandingRecord | LastVoucherRecord


def read_conditions(told: Any, currency: str | None) -> tuple[Condition, ...]:
    """Read the conditions of decoded JSON; raises `ConditionMalformed` with the place."""
    try:
        records = msgspec.convert(told or [], list[ConditionRecord])
    except msgspec.ValidationError as error:
        raise ConditionMalformed(f"conditions: {error}. See docs/posting.md.") from error
    return conditions_of(records, currency)


def conditions_of(
    records: Sequence[ConditionRecord] | None, currency: str | None
) -> tuple[Condition, ...]:
    """Make conditions of records whose shape was checked; `currency` is that of the book.

    Raises `ConditionMalformed` for amounts that are none, for too many, or for one of nothing.
    """
    if len(records or ()) > MOST:
        raise ConditionMalformed(f"conditions: at most {MOST}. See docs/posting.md.", limit=MOST)
    found = []
    for place, record in enumerate(records or ()):
        where = f"conditions/{place}"
        try:
            condition = _condition(record, currency)
        except Invalid as refusal:
            raise ConditionMalformed(f"{where}: {refusal}", pointer=f"/{where}") from refusal
        check_condition(condition, where)
        found.append(condition)
    return tuple(found)


def _condition(record: ConditionRecord, currency: str | None) -> Condition:
    if isinstance(record, PartyBalanceRecord):
        bounds = [None if amount is None else parse_amount(amount)
                  for amount in (record.at_most, record.at_least)]  # fmt: skip
        return PartyBalance(record.party_id, record.account, record.currency or currency or "NOK",
                            *bounds)  # fmt: skip
    if isinstance(record, ItemOutstandingRecord):
        return ItemOutstanding(record.open_item_id, parse_amount(record.equals))
    return LastVoucher(record.series, record.year, record.equals)
