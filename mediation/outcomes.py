"""Outcomes: the one bucket in which a record ends, and why.

The codes of arrays and Parquet are positions in these tuples: they only ever grow at the end.
"""

from enum import IntEnum


class Bucket(IntEnum):
    """Where a record is. Received is the source of every move and the bucket of none."""

    RECEIVED = 0
    ACCEPTED = 1
    FILTERED = 2
    DUPLICATE = 3
    SUSPENDED = 4
    HELD = 5
    MERGED = 6

    @property
    def label(self) -> str:
        """Give the word used in tables, files and pages."""
        return self.name.lower()


REASONS = (
    "",
    "ZERO_USAGE",
    "WHOLESALE",
    "TERMINATING",
    "EXACT",
    "DUP_CONFLICT",
    "UNKNOWN_SUBSCRIBER",
    "FUTURE_TIMESTAMP",
    "COUNT_MISMATCH",
    "SEQUENCE_CONFLICT",
    "NAME_CONFLICT",
    "PARTIAL",
    "UNDECODABLE",
    "UNSUPPORTED_RECORD",
    "BAD_LINE",
    "NO_RATE",
    "NO_OFFERING",
    "NOT_BOOKED",
    "FILE_REVERSED",
)
REASON_CODES = {reason: code for code, reason in enumerate(REASONS)}

# What somebody has to do about a reason: the group in which suspense is worked.
GROUPS = {
    "DUP_CONFLICT": "compare",
    "UNKNOWN_SUBSCRIBER": "party",
    "NO_OFFERING": "party",
    "FUTURE_TIMESTAMP": "network",
    "COUNT_MISMATCH": "collect again",
    "SEQUENCE_CONFLICT": "compare",
    "NAME_CONFLICT": "compare",
    "UNDECODABLE": "format",
    "UNSUPPORTED_RECORD": "format",
    "BAD_LINE": "format",
    "NO_RATE": "tariff",
}
