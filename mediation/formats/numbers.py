"""Telephone numbers as the network writes them, made into numbers as the tariff reads them.

3GPP packs two digits into an octet, low nibble first (TBCD, TS 29.002); an AddressString has one
octet in front that tells the type of number. The tariff wants E.164 without "+", and Norwegian
short codes of three to five digits as "0" + code, since no E.164 number starts with 0.

Two readings of each rule are here: one number at a time, and whole columns. The tests hold them to
each other.
"""

import numpy as np
from numpy.typing import NDArray

from mediation.records import Bool, Int64, Octets

UNKNOWN = 0
INTERNATIONAL = 1
NATIONAL = 2
ALPHANUMERIC = 5

CODE_DIGITS = 15  # E.164 numbers have no more.
TEXT_DIGITS = 24  # What is kept of a number as written: the width of `other_text`.
_FILL = 15
_SIGNS = "0123456789*#abc"  # TBCD nibbles; 15 is fill.

_POWERS: Int64 = 11 ** np.arange(CODE_DIGITS - 1, -1, -1, dtype=np.int64)
_WRITTEN = np.frombuffer(_SIGNS.encode() + b"\0", np.uint8)
_OCTET = np.arange(256)
_PAIR: Int64 = np.where(
    (_OCTET & 15 < 10) & (_OCTET >> 4 < 10), (_OCTET & 15) * 10 + (_OCTET >> 4), -1
).astype(np.int64)


def encode_number(digits: str) -> int:
    """Return the base-11 code of a normalised number; 0 for none.

    Fifteen places, each digit + 1, padded with 0 on the right: codes sort as the digits do, and a
    prefix is a range. The same code as `rating.zones` gives.
    """
    if not digits:
        return 0
    return sum((int(d) + 1) * 11 ** (CODE_DIGITS - 1 - i) for i, d in enumerate(digits))


def decode_number(code: int) -> str:
    """Return the digits of a base-11 code; "" for 0."""
    places = []
    for _ in range(CODE_DIGITS):
        code, place = divmod(code, 11)
        places.append(place)
    return "".join(str(place - 1) for place in reversed(places) if place)


def normalise(digits: str, number_type: int = UNKNOWN) -> str:
    """Return E.164 digits, a short code as "0" + code, or "" for what is no telephone number.

    Parameters
    ----------
    digits : as written by the network or dialled by the user.
    number_type : 3GPP type of number: 0 unknown, 1 international, 2 national, 5 alphanumeric.

    Three to five digits are a short code whatever the type says: phones send "112" as international
    and switches send "02000" as national. The Norwegian plan has 8 digits, 12 (10 with some
    senders) for machines, which start with 58 or 59, and 116xxx.

    Source: TS 23.003, TS 24.008 table 10.5.118; the Norwegian numbering plan, Nkom.
    """
    if not (digits.isascii() and digits.isdigit()) or number_type == ALPHANUMERIC:
        return ""
    if 3 <= len(digits) <= 5:
        return "0" + digits
    if digits.startswith("00"):
        digits, number_type = digits[2:], INTERNATIONAL
    size = len(digits)
    if size > CODE_DIGITS or size < 3 or digits[0] == "0":
        return ""
    if number_type == INTERNATIONAL:
        if digits.startswith("47") and 5 <= size <= 7:
            return "0" + digits[2:]
        return digits if size >= 7 else ""
    if size == 6 and digits.startswith("116"):
        return "0" + digits
    machine = digits[:2] in {"58", "59"}
    if size == 8 or (size in {10, 12} and (machine or number_type == NATIONAL)):
        return "47" + digits
    return digits if size in {10, 12, 14} and digits.startswith("47") else ""


def read_tbcd(octets: Octets) -> str:
    """Return the digits of one TBCD string.

    Raises
    ------
    ValueError : a digit follows fill.
    """
    nibbles = [n for octet in octets.tolist() for n in (octet & 15, octet >> 4)]
    while nibbles and nibbles[-1] == _FILL:
        nibbles.pop()
    if _FILL in nibbles:
        raise ValueError("A digit follows fill.")
    return "".join(_SIGNS[n] for n in nibbles)


def tbcd_integers(octets: Octets, at: Int64, size: Int64) -> tuple[Int64, Bool]:
    """Read TBCD strings of decimal digits as integers.

    Parameters
    ----------
    octets : the padded file.
    at, size : (n,) int64, where each string lies; size -1 is absent.

    Returns
    -------
    value : (n,) int64, -1 where absent. Leading zeros are not kept.
    right : (n,) bool, false where it is no string of 1 to 18 decimal digits.

    Source: TBCD-STRING, TS 29.002; fill is allowed at the end only.
    """
    value = np.zeros(len(at), np.int64)
    right = size != 0
    fill = np.zeros(len(at), np.bool_)
    for place in range(min(int(size.max(initial=0)), 10)):
        inside = place < size
        octet = np.where(inside, octets[at + place], 0xFF)
        pair = _PAIR[octet]
        whole = pair >= 0
        half = (octet >= 0xF0) & (octet & 15 < 10)
        value = np.where(
            whole, value * 100 + pair, np.where(half, value * 10 + (octet & 15), value)
        )
        right &= (whole & ~fill) | (half & ~fill) | (octet == 0xFF)
        fill |= ~whole
    right &= (size <= 9) & ~((size > 0) & (octets[np.maximum(at, 0)] == 0xFF))
    return np.where(size < 0, -1, value), right


def tbcd_digits(octets: Octets, at: Int64, size: Int64) -> tuple[Octets, Int64, Bool]:
    """Spread TBCD strings into one nibble per column.

    Returns
    -------
    nibbles : (n, TEXT_DIGITS) uint8, 15 beyond the end.
    count : (n,) int64 digits.
    right : (n,) bool, false where fill is followed by a digit or the string is too long.
    """
    width = TEXT_DIGITS // 2
    places = np.arange(width)
    packed = octets[np.maximum(at, 0)[:, None] + places]
    packed[places >= size[:, None]] = 0xFF
    nibbles = np.empty((len(at), TEXT_DIGITS), np.uint8)
    nibbles[:, 0::2] = packed & 15
    nibbles[:, 1::2] = packed >> 4
    filled = nibbles == _FILL
    count = TEXT_DIGITS - filled.sum(axis=1, dtype=np.int64)
    first = np.where(filled.any(axis=1), filled.argmax(axis=1), TEXT_DIGITS)
    return nibbles, count, (first == count) & (size <= width)


def texts(nibbles: Octets) -> NDArray[np.bytes_]:
    """Return the digits as written, S24; beyond 9 come * # a b c."""
    return _WRITTEN[nibbles].view(f"S{TEXT_DIGITS}").reshape(-1)


def normalised_codes(nibbles: Octets, count: Int64, number_type: Int64) -> Int64:
    """Normalise numbers and encode them to base 11: `encode_number(normalise(...))` of each.

    Parameters
    ----------
    nibbles, count : as `tbcd_digits` gives them.
    number_type : (n,) int64, 3GPP type of number.

    Returns
    -------
    (n,) int64; 0 where it is no telephone number.
    """
    decimal = ((nibbles < 10) | (nibbles == _FILL)).all(axis=1) & (number_type != ALPHANUMERIC)
    whole = _codes(nibbles)
    short = (count >= 3) & (count <= 5)
    zeros = ~short & (nibbles[:, 0] == 0) & (nibbles[:, 1] == 0)
    kind = np.where(zeros, INTERNATIONAL, number_type)
    size = np.where(zeros, count - 2, count)
    code = np.where(zeros, _codes(nibbles[:, 2:]), whole)
    lead = np.where(zeros[:, None], nibbles[:, 2:5], nibbles[:, 0:3])
    home = (lead[:, 0] == 4) & (lead[:, 1] == 7)
    machine = (lead[:, 0] == 5) & ((lead[:, 1] == 8) | (lead[:, 1] == 9))
    long = (size == 10) | (size == 12)
    abroad = kind == INTERNATIONAL
    usable = decimal & ~short & (size >= 3) & (size <= CODE_DIGITS) & (lead[:, 0] != 0)
    local_short = usable & abroad & home & (size >= 5) & (size <= 7)
    harmonised = (lead == [1, 1, 6]).all(axis=1) & (size == 6)
    added = usable & ~abroad & ((size == 8) | (long & (machine | (kind == NATIONAL))))
    as_is = usable & np.where(abroad, size >= 7, home & (long | (size == 14)))
    short = (short & decimal) | (usable & ~abroad & harmonised)
    rest = (code - encode_number("47")) * 121
    return np.select(
        [local_short, short, added, as_is],
        [
            encode_number("0") + rest // 11,
            encode_number("0") + whole // 11,
            encode_number("47") + code // 121,
            code,
        ],
        0,
    )


def _codes(nibbles: Octets) -> Int64:
    """Encode the first fifteen nibbles of each row, fill as 0."""
    places = (nibbles[:, :CODE_DIGITS].astype(np.int64) + 1) & 15  # Fill becomes 0.
    code: Int64 = places @ _POWERS
    return code
