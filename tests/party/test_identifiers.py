"""Numbers that prove themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid
from party import identifiers

_DIGITS = st.text("0123456789", min_size=1, max_size=24)


def _slow_mod10(body: str) -> str:
    """Every other digit from the right doubled, the digits of all products added up."""
    total = 0
    for place, digit in enumerate(reversed(body)):
        product = int(digit) * (2 if place % 2 == 0 else 1)
        total += product // 10 + product % 10
    return str(-total % 10)


@given(_DIGITS)
def test_mod10_agrees_with_the_rule_as_written(body: str) -> None:
    """The right check digit passes, every other one fails."""
    right = _slow_mod10(body)
    for digit in "0123456789-":
        assert identifiers.is_valid_kid(body + digit) == (digit == right)


@given(_DIGITS)
def test_mod11_makes_the_weighted_sum_divisible(body: str) -> None:
    """With the check digit as weight one the sum is divisible by eleven; ten is written as -."""
    digit = identifiers.mod11_digit(body)
    weighted = sum(int(d) * (2 + i % 6) for i, d in enumerate(reversed(body)))
    assert (weighted + (10 if digit == "-" else int(digit))) % 11 == 0
    assert identifiers.is_valid_kid(body + digit, "mod11")


def test_a_kid_names_account_and_bill() -> None:
    """Eight digits of account, six of bill sequence, one check digit."""
    kid = identifiers.make_kid("30000001", 1)
    assert kid == "300000010000013"
    assert identifiers.compact_kid("30000001 000001 3") == kid


@pytest.mark.parametrize(
    ("account", "sequence"),
    [("3000001", 1), ("3000000a", 1), ("30000001", 0), ("30000001", 1_000_000)],
)
def test_what_fits_in_no_kid_is_refused(account: str, sequence: int) -> None:
    """A wrong account number or a sequence of seven digits makes no KID."""
    with pytest.raises(Invalid):
        identifiers.make_kid(account, sequence)


@pytest.mark.parametrize("kid", ["", "3", "300000010000014", "30000001000001x", "1" * 26])
def test_a_wrong_kid_is_refused(kid: str) -> None:
    """Too short, too long, a wrong digit and a letter."""
    assert not identifiers.is_valid_kid(kid)


@given(st.integers(0, 99_999_999), st.integers(1, 999_999))
def test_a_kid_of_ours_gives_its_account_back(number: int, sequence: int) -> None:
    """And one with a digit changed gives none."""
    kid = identifiers.make_kid(f"{number:08d}", sequence)
    assert identifiers.account_of_kid(kid) == f"{number:08d}"
    other = "1" if kid[3] != "1" else "2"
    assert identifiers.account_of_kid(kid[:3] + other + kid[4:]) is None


@pytest.mark.parametrize("kid", ["", "12345678903", "123456782", "30000001000001-"])
def test_a_kid_of_another_layout_has_no_account(kid: str) -> None:
    """Its digits mean what its issuer says, not what ours do."""
    assert identifiers.account_of_kid(kid) is None


@given(st.from_regex(r"[1-9][0-9]{9}", fullmatch=True))
def test_a_bank_account_has_one_right_check_digit_at_most(body: str) -> None:
    """Weights 5, 4, 3, 2, 7, 6, 5, 4, 3, 2; a remainder of ten has no digit."""
    total = sum(int(d) * w for d, w in zip(body, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2), strict=True))
    right = [str(digit) for digit in range(10) if (total + digit) % 11 == 0]
    valid = [d for d in "0123456789" if identifiers.is_valid_bank_account(body + d)]
    assert valid == right


@pytest.mark.parametrize("account", ["1234 56 78903", "1234.56.78903", "12345678903"])
def test_a_bank_account_may_be_written_in_groups(account: str) -> None:
    """With dots or blanks, as banks write them."""
    assert identifiers.is_valid_bank_account(account)


@pytest.mark.parametrize("account", ["12345678904", "1234567890", "", "1234567890x", "00004090403"])
def test_a_wrong_bank_account_is_refused(account: str) -> None:
    """A wrong digit, a digit too few, a letter."""
    assert not identifiers.is_valid_bank_account(account)


def test_an_organisation_number_has_one_check_digit() -> None:
    """Blanks between its groups do not matter; a wrong digit does."""
    assert identifiers.is_valid_org_no("301 000 006")
    assert not identifiers.is_valid_org_no("301000007")


@given(st.from_regex(r"89[1-9][0-9]{15,17}", fullmatch=True))
def test_a_card_number_fits_in_an_int64_and_comes_back(iccid: str) -> None:
    """All 20 digits survive, leading zeros of the account part included."""
    value = identifiers.encode_iccid(iccid)
    assert 0 < value < 2**63
    assert identifiers.decode_iccid(value) == iccid


@pytest.mark.parametrize("iccid", ["", "8947", "9947000000000000001", "8907000000000000001"])
def test_what_is_no_card_number_is_refused(iccid: str) -> None:
    """Card numbers begin with 89 and a country code."""
    with pytest.raises(Invalid):
        identifiers.encode_iccid(iccid)
