"""Values of TS 32.298 records, read column by column from where the BER reader found them.

A `Block` holds the tables of some thousands of records. Each method reads one named value of every
row and notes which records are wrong; wrong records leave the columns and become faults.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mediation.formats import numbers
from mediation.formats.ber import RECORD
from mediation.formats.lockstep import Scan, Table
from mediation.records import Bool, Int64, Octets

VOLUME_LIMIT = 2**44  # 17.6 TB in one container; sums of a whole file stay within int64.
_TIME_OCTETS = 9
_NAME_OCTETS = 64

_OCTET = np.arange(256)
_BCD = np.where((_OCTET & 15 < 10) & (_OCTET >> 4 < 10), (_OCTET >> 4) * 10 + (_OCTET & 15), 255)
# Day number of the first of each month of 2000 to 2099, and how many days the month has.
_MONTHS = np.arange("2000-01", "2100-02", dtype="datetime64[M]").astype("datetime64[D]")
_MONTH_START: Int64 = _MONTHS[:-1].astype(np.int64)
_MONTH_DAYS: Int64 = np.diff(_MONTHS).astype(np.int64)


@dataclass
class Block:
    """Records found by the BER reader, and the reasons why some of them are wrong."""

    octets: Octets
    start: Int64  # (n,) offset of each record in the file
    scan: Scan
    wrong: dict[int, tuple[int, str]] = field(default_factory=dict)  # record -> octet, sentence

    def __post_init__(self) -> None:
        for index, why in self.scan.broken.items():
            self.wrong[index] = (why.offset, str(why))

    def table(self, name: str = RECORD) -> Table:
        """Return a table of rows: of the records themselves, or of a repeated group."""
        return self.scan.tables[name]

    def refuse(self, table: Table, rows: Bool, at: Int64, sentence: str) -> None:
        """Note that the records of these rows are wrong at these octets; the first word stands."""
        for row in np.flatnonzero(rows).tolist():
            index = int(table.owner[row])
            place = int(at[row]) if at[row] >= 0 else int(self.start[index])
            self.wrong.setdefault(index, (place, sentence))

    def require(self, name: str) -> None:
        """Refuse the records that lack a value."""
        at, size = self.table().cell(name)
        self.refuse(self.table(), size < 0, at, f"The mandatory value {name} is missing.")

    def number(self, name: str, limit: int, table: Table | None = None) -> Int64:
        """Read integers from 0 to below `limit`; -1 where absent. A negative one is refused."""
        return self._integers(name, limit, table or self.table(), signed=True)

    def count(self, name: str, limit: int, table: Table | None = None) -> Int64:
        """Read unsigned integers below `limit`; -1 where absent.

        The standard gives these values a range that starts at 0. Senders are known to drop the
        leading zero octet of a number whose first bit is set; read as signed it would be negative.
        """
        return self._integers(name, limit, table or self.table(), signed=False)

    def _integers(self, name: str, limit: int, table: Table, *, signed: bool) -> Int64:
        at, size = table.cell(name)
        value = _unsigned(self.octets, at, size)
        absent = size < 0
        wrong = ~absent & ((size == 0) | (size > 9) | (value < 0) | (value >= limit))
        if signed:
            wrong |= ~absent & (self.octets[at] >= 0x80)
        wrong |= (size == 9) & (self.octets[at] != 0)
        self.refuse(table, wrong, at, f"The value {name} is no number from 0 to {limit - 1}.")
        return np.where(absent | wrong, -1, value)

    def opaque(self, name: str) -> Int64:
        """Read references of up to 8 octets as integers; the first bit of eight is dropped."""
        at, size = self.table().cell(name)
        wrong = (size == 0) | (size > 8)
        self.refuse(self.table(), wrong, at, f"The value {name} has not 1 to 8 octets.")
        value = _unsigned(self.octets, at, size) & (2**63 - 1)
        return np.where((size < 0) | wrong, -1, value)

    def time(self, *names: str) -> tuple[Int64, Int64]:
        """Read the first of these time stamps that is there: UTC epoch seconds, offset in minutes.

        Source: TimeStamp of TS 32.298: YYMMDDhhmmss in BCD, "+" or "-", hhmm of the offset in BCD.
        """
        at, size = self.table().cell(names[0])
        for name in names[1:]:
            other_at, other_size = self.table().cell(name)
            at, size = np.where(size < 0, other_at, at), np.where(size < 0, other_size, size)
        self.refuse(self.table(), size < 0, at, f"No time stamp is there: {' or '.join(names)}.")
        epoch, offset_min, right = read_times(self.octets, np.maximum(at, 0))
        wrong = (size >= 0) & ~(right & (size == _TIME_OCTETS))
        self.refuse(self.table(), wrong, at, f"The time stamp {names[0]} is no date and time.")
        return epoch, offset_min

    def imsi(self, name: str) -> Int64:
        """Read IMSIs as integers; -1 where absent."""
        at, size = self.table().cell(name)
        value, right = numbers.tbcd_integers(self.octets, at, size)
        wrong = (size >= 0) & ~(right & (size >= 3) & (size <= 8))
        self.refuse(self.table(), wrong, at, f"The value {name} is no IMSI of 6 to 15 digits.")
        return value

    def msisdn(self, name: str) -> Int64:
        """Read served numbers (AddressString) as E.164 integers; -1 where absent."""
        at, size = self.table().cell(name)
        there = size >= 0
        value, right = numbers.tbcd_integers(self.octets, at + 1, size - there)
        right &= there & (size > 1) & (size <= 9)
        foreign = np.flatnonzero(right & (self.octets[at] >> 4 & 7 != numbers.INTERNATIONAL))
        for row in foreign.tolist():
            packed = self.octets[at[row] + 1 : at[row] + size[row]]
            kind = int(self.octets[at[row]]) >> 4 & 7
            digits = numbers.normalise(numbers.read_tbcd(packed), kind)
            right[row] = digits != ""
            value[row] = int(digits or -1)
        self.refuse(self.table(), there & ~right, at, f"The value {name} is no served number.")
        return np.where(there, value, -1)

    def party(self, name: str) -> tuple[Int64, NDArray[np.bytes_], Int64]:
        """Read other parties (AddressString): base-11 code, digits as written, type of number.

        What is well written but no telephone number (a service code such as *21#, a name) has
        code 0. Type -1 is absent.
        """
        at, size = self.table().cell(name)
        there = size >= 0
        kind = np.where(there, self.octets[at] >> 4 & 7, -1).astype(np.int64)
        nibbles, count, right = numbers.tbcd_digits(self.octets, at + 1, size - there)
        lettered = kind == numbers.ALPHANUMERIC  # Letters of seven bits, not digits.
        nibbles[lettered] = 15
        right = (right | lettered) & (size > 0)
        self.refuse(self.table(), there & ~right, at, f"The value {name} is no dialled number.")
        code = numbers.normalised_codes(nibbles, np.where(lettered, 0, count), kind)
        return np.where(there, code, 0), numbers.texts(nibbles), kind

    def plmn(self, name: str) -> Int64:
        """Read network ids (MCC and MNC) as numbers of five or six digits; 0 where absent.

        Source: PLMN-Id of TS 32.298, coded as in TS 24.008: MCC2 MCC1, MNC3 MCC3, MNC2 MNC1.
        """
        at, size = self.table().cell(name)
        nibbles = [self.octets[at + i // 2].astype(np.int64) >> 4 * (i % 2) & 15 for i in range(6)]
        mcc1, mcc2, mcc3, mnc3, mnc1, mnc2 = nibbles
        two = (((mcc1 * 10 + mcc2) * 10 + mcc3) * 10 + mnc1) * 10 + mnc2
        value = np.where(mnc3 == 15, two, two * 10 + mnc3)
        digits = np.stack((mcc1, mcc2, mcc3, mnc1, mnc2)).max(axis=0) < 10
        right = digits & ((mnc3 < 10) | (mnc3 == 15)) & (size == 3)
        self.refuse(self.table(), (size >= 0) & ~right, at, f"The value {name} is no network id.")
        return np.where(right, value, 0)

    def names(self, name: str) -> tuple[Int64, list[bytes]]:
        """Read short texts as indices into a list of those that occur; absent is b""."""
        at, size = self.table().cell(name)
        self.refuse(self.table(), size > _NAME_OCTETS, at, f"The value {name} is too long.")
        return _distinct(self.octets, at, np.minimum(size, _NAME_OCTETS))


def read_times(octets: Octets, at: Int64) -> tuple[Int64, Int64, Bool]:
    """Read TS 32.298 time stamps of nine octets.

    Returns
    -------
    epoch : (n,) int64 UTC seconds. offset_min : (n,) int64 minutes ahead of UTC. right : (n,) bool.
    """
    packed = octets[at[:, None] + np.arange(_TIME_OCTETS)]
    year, month, day, hour, minute, second, _, ahead_h, ahead_min = _BCD[packed].T
    sign = packed[:, 6]
    index = np.minimum(year * 12 + month - 1, len(_MONTH_DAYS) - 1)
    right = (year < 100) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= _MONTH_DAYS[index])
    right &= (hour < 24) & (minute < 60) & (second < 60) & (ahead_h < 16) & (ahead_min < 60)
    right &= (sign == ord("+")) | (sign == ord("-"))
    ahead = ahead_h * 60 + ahead_min
    offset_min = np.where(sign == ord("-"), -ahead, ahead)
    days = _MONTH_START[index] + day - 1
    epoch = days * 86_400 + hour * 3_600 + minute * 60 + second - offset_min * 60
    return epoch, offset_min, right


def _unsigned(octets: Octets, at: Int64, size: Int64) -> Int64:
    """Read big-endian integers of 1 to 9 octets; of nine, the last eight."""
    nine = size > 8
    words = sliding_window_view(octets, 8)
    word = words[at + nine].view(">u8").reshape(-1).astype(np.uint64)
    shift = (64 - 8 * np.clip(size, 1, 8)).astype(np.uint64)
    return (word >> shift).view(np.int64)


def _distinct(octets: Octets, at: Int64, size: Int64) -> tuple[Int64, list[bytes]]:
    """Number the different octet strings: (n,) index into the list of those found."""
    width = max(int(size.max(initial=0)), 1)
    places = np.arange(width)
    text = octets[np.maximum(at, 0)[:, None] + places]
    text[places >= size[:, None]] = 0
    whole = text.view(f"S{width}").reshape(-1)
    if len(whole) and (whole == whole[0]).all():  # The common case: one node, one file.
        return np.zeros(len(whole), np.int64), [bytes(whole[0])]
    found, index = np.unique(whole, return_inverse=True)
    return index.astype(np.int64), [bytes(name) for name in found]
