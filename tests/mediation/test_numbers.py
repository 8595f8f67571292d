"""Telephone numbers: packed digits, types of number, and the code the tariff compares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediation.formats import numbers
from mediation.formats.lockstep import padded
from mediation.records import Int64, Octets
from rating.zones import encode_numbers


def _packed(digits: str) -> bytes:
    """Pack digits two to an octet, low nibble first, as a switch does."""
    nibbles = digits.translate(str.maketrans("*#abc", "abcde"))
    even = nibbles + "f" * (len(digits) % 2)
    pairs = zip(even[0::2], even[1::2], strict=True)
    return bytes(int(high + low, 16) for low, high in pairs)


def _placed(strings: list[bytes]) -> tuple[Octets, Int64, Int64]:
    """Lay strings back to back: the padded octets, and where each lies."""
    size = np.array([len(s) for s in strings], np.int64)
    return padded(b"".join(strings)), np.cumsum(size) - size, size


@pytest.mark.parametrize(
    ("digits", "number_type", "normal"),
    [
        ("4740000002", numbers.INTERNATIONAL, "4740000002"),
        ("22000000", numbers.NATIONAL, "4722000000"),
        ("004612345678", numbers.UNKNOWN, "4612345678"),
        ("82900000", numbers.NATIONAL, "4782900000"),
        ("02000", numbers.NATIONAL, "002000"),
        ("2002", numbers.NATIONAL, "02002"),
        ("112", numbers.NATIONAL, "0112"),
        ("112", numbers.INTERNATIONAL, "0112"),
        ("4702000", numbers.INTERNATIONAL, "002000"),
        ("116117", numbers.NATIONAL, "0116117"),
        ("4790000001", numbers.UNKNOWN, "4790000001"),
        ("90000001", numbers.UNKNOWN, "4790000001"),
        ("475800000000", numbers.INTERNATIONAL, "475800000000"),
        ("580000000000", numbers.UNKNOWN, "47580000000000"),
        ("0701234567", numbers.UNKNOWN, ""),
        ("0701234567", numbers.INTERNATIONAL, ""),
        ("12", numbers.UNKNOWN, ""),
        ("1234567890123456", numbers.INTERNATIONAL, ""),
        ("*21#", numbers.UNKNOWN, ""),
        ("22000000", numbers.ALPHANUMERIC, ""),
        ("", numbers.UNKNOWN, ""),
    ],
)
def test_numbers_are_written_one_way(digits: str, number_type: int, normal: str) -> None:
    """E.164 without "+", short codes behind a 0, nothing for what is no telephone number."""
    assert numbers.normalise(digits, number_type) == normal


def test_codes_sort_as_digits_do() -> None:
    """A longer number follows its prefix and precedes the next sibling; decoding gives it back."""
    written = ["0", "002000", "0112", "45", "4645", "47", "470", "4790000001", "48"]
    codes = [numbers.encode_number(digits) for digits in written]
    assert codes == sorted(codes)
    assert [numbers.decode_number(code) for code in codes] == written
    assert numbers.encode_number("") == 0
    assert numbers.encode_number("9" * 15) < 2**63


def test_the_tariff_uses_the_same_code() -> None:
    """Rating encodes its zones as mediation encodes numbers."""
    written = ["4790000001", "0112", "47", "999999999999999"]
    codes = [numbers.encode_number(digits) for digits in written]
    assert encode_numbers(written).tolist() == codes


_DIALLED = st.from_regex(r"(00|47|0|116|58|59|)[0-9]{0,16}", fullmatch=True) | st.text(
    "0123456789*#abc", max_size=24
)


@given(st.lists(st.tuples(_DIALLED, st.integers(0, 7)), min_size=1))
def test_columns_agree_with_one_number_at_a_time(dialled: list[tuple[str, int]]) -> None:
    """Normalising columns gives what normalising each number gives, and keeps the digits."""
    octets, at, size = _placed([_packed(digits) for digits, _ in dialled])
    nibbles, count, right = numbers.tbcd_digits(octets, at, size)
    types = np.array([number_type for _, number_type in dialled])
    slow = [numbers.encode_number(numbers.normalise(d, t)) for d, t in dialled]
    assert right.all()
    assert numbers.normalised_codes(nibbles, count, types).tolist() == slow
    assert numbers.texts(nibbles).tolist() == [digits.encode() for digits, _ in dialled]


@given(st.lists(st.binary(max_size=14), min_size=1))
def test_any_octets_are_digits_or_refused(strings: list[bytes]) -> None:
    """Fill before a digit is an error, in columns as for one string; nothing is guessed."""
    octets, at, size = _placed(strings)
    nibbles, _, right = numbers.tbcd_digits(octets, at, size)
    values, are_numbers = numbers.tbcd_integers(octets, at, size)
    for row, string in enumerate(strings):
        try:
            digits = numbers.read_tbcd(np.frombuffer(string, np.uint8))
        except ValueError:
            assert not right[row]
            assert not are_numbers[row]
            continue
        assert right[row] == (len(string) <= numbers.TEXT_DIGITS // 2)
        assert are_numbers[row] == (digits.isdigit() and len(string) <= 9)
        if are_numbers[row]:
            assert values[row] == int(digits)
        if right[row]:
            assert numbers.texts(nibbles)[row].decode() == digits
