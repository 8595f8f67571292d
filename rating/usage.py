"""Usage as typed columns behind one front door, and the reasons why an event has no price.

What a programmer got wrong (dtype, shape, keys that repeat) is refused here, once. What is wrong
with a single event is a value: the event leaves with a `Reason` and the batch goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.errors import Invalid

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Int16 = NDArray[np.int16]
Bool = NDArray[np.bool_]

VOICE, SMS, DATA = 1, 2, 3
USAGE_NAMES = {VOICE: "voice", SMS: "sms", DATA: "data"}
CONTENT = 4  # A purchase: no tariff has rates for it, its price comes with it.
NO_SERVICE, UNKNOWN_SERVICE = -1, -2  # codes of events that bring no price, or by unknown terms
NO_PRICE = np.iinfo(np.int64).min  # of an event that should have brought a price and did not

MAX_QUANTITY = 2**60
MAX_CALL_SECONDS = 366 * 86_400


class Reason(IntEnum):
    """Why an event is suspended. Where several apply, the first of this list is given."""

    OK = 0
    UNKNOWN_USAGE = 1  # the usage type is not voice, sms or data; content is, where it has a price
    UNKNOWN_OFFERING = 2  # the offering is not in the book
    OUT_OF_RANGE = 3  # an instant outside 2000-2099, a quantity nobody can have used
    NEGATIVE = 4  # a quantity below zero, and the tariff knows no refunds
    NOT_YET_VALID = 5  # the event is older than the tariff book
    NO_ZONE = 6  # no prefix or rating group matches
    NO_RATE = 7  # the offering has no price there and then
    OVERFLOW = 8  # the price does not fit in 62 bits
    NO_GRANT = (
        9  # the allowance is prorated or shared and the counters do not say how much is granted
    )
    LATE = 10  # older than what its allowance has already served: rate the whole month again
    NO_PRICE = 11  # its service is priced by what events bring, and it brought no price


class UsageInvalid(Invalid):
    """The columns of a usage batch cannot be rated at all: a fault of the caller, not of a row."""

    title = "Usage batch is invalid"


@dataclass(frozen=True, slots=True, eq=False)
class UsageBatch:
    """Usage events as columns of equal length. Make one with `check_usage`.

    The last columns may be left out: two say of an event that it goes on from another one, one says
    with whom it shares, and the rest are the price that it brings, of which four come together.
    """

    event_key: Int64  # unique and stable: settles which of two simultaneous events came first
    started_at: Int64  # UTC epoch seconds
    quantity: Int64  # seconds, messages or octets
    usage_type: Int16  # 1 voice, 2 sms, 3 data
    called: Int64  # base-11 code of `rating.zones.encode_numbers`, 0 for none
    rating_group: Int32  # of data, 0 for none
    subscription: Int32  # a code of the caller's choice, not negative
    offering: Int32  # index into `book.offerings`
    elapsed_before: Int64 | None = None  # units used before, in the same session: steps go on
    pool: Int32 | None = None  # a code of those who share allowances; left out, nobody shares
    continuation: Bool | None = None  # the session has paid its set-up fee and minimum already
    service: Int32 | None = None  # index into `book.services`, NO_SERVICE or UNKNOWN_SERVICE
    price_micro: Int64 | None = None  # of either sign, in `currency`; NO_PRICE where it lacks
    currency: Int32 | None = None  # index into `book.currencies`, anything else is unknown
    with_vat: Bool | None = None  # the price includes VAT
    vat_rate_bp: Int32 | None = None  # of what it is charged as; below zero where it is not known

    def __len__(self) -> int:
        return len(self.event_key)

    def take(self, rows: Any) -> "UsageBatch":
        """Select rows, by index array, mask or slice."""
        columns = {column.name: getattr(self, column.name) for column in fields(self)}
        return UsageBatch(
            **{name: column[rows] for name, column in columns.items() if column is not None}
        )


COLUMN_TYPES: Mapping[str, np.dtype[Any]] = {
    "event_key": np.dtype(np.int64),
    "started_at": np.dtype(np.int64),
    "quantity": np.dtype(np.int64),
    "usage_type": np.dtype(np.int16),
    "called": np.dtype(np.int64),
    "rating_group": np.dtype(np.int32),
    "subscription": np.dtype(np.int32),
    "offering": np.dtype(np.int32),
}

OPTIONAL_TYPES: Mapping[str, np.dtype[Any]] = {
    "elapsed_before": np.dtype(np.int64),
    "pool": np.dtype(np.int32),
    "continuation": np.dtype(np.bool_),
    "service": np.dtype(np.int32),
    "price_micro": np.dtype(np.int64),
    "currency": np.dtype(np.int32),
    "with_vat": np.dtype(np.bool_),
    "vat_rate_bp": np.dtype(np.int32),
}
_PRICE = {"service", "price_micro", "currency", "with_vat"}


def check_usage(**columns: NDArray[Any]) -> UsageBatch:
    """Check columns and make a batch of them; nothing is copied.

    Parameters
    ----------
    columns : one (n,) array for each field of `UsageBatch`, of exactly its type; those of
        `OPTIONAL_TYPES` may be left out.

    Raises
    ------
    UsageInvalid : a column is missing, unknown, of another type, shape or length; a subscription
        code is negative; an event key occurs twice (order would then depend on arrival).
    """
    types = {**COLUMN_TYPES, **{n: t for n, t in OPTIONAL_TYPES.items() if n in columns}}
    lacking = _PRICE - set(columns) if _PRICE & set(columns) else set()
    if wrong := (set(columns) ^ set(types)) | lacking:
        raise UsageInvalid(f"Columns missing or unknown: {', '.join(sorted(wrong))}.")
    length = columns["event_key"].shape[0] if columns["event_key"].ndim == 1 else -1
    for name, expected in types.items():
        column = columns[name]
        if column.dtype != expected or column.shape != (length,):
            raise UsageInvalid(
                f"Column {name} must be ({max(length, 0)},) {expected}, "
                f"not {column.shape} {column.dtype}.",
                column=name,
            )
    _check_codes(columns["subscription"], "subscription")
    if "pool" in columns:
        _check_codes(columns["pool"], "pool")
    _check_keys(columns["event_key"])
    return UsageBatch(**{name: _frozen(columns[name]) for name in types})


def _check_codes(codes: Int32, name: str) -> None:
    if len(codes) and codes.min() < 0:
        row = int(np.argmin(codes))
        raise UsageInvalid(f"Row {row} has {name} code {codes[row]}; codes start at 0.")


def _check_keys(event_key: Int64) -> None:
    if len(event_key) < 2 or bool((event_key[1:] > event_key[:-1]).all()):
        return
    ordered = np.sort(event_key)
    twice = ordered[1:] == ordered[:-1]
    if twice.any():
        key = int(ordered[1:][twice][0])
        raise UsageInvalid(
            f"Event key {key} occurs more than once; drop duplicates before rating.", event_key=key
        )


def _frozen(column: NDArray[Any]) -> NDArray[Any]:
    view = column.view()
    view.flags.writeable = False
    return view
