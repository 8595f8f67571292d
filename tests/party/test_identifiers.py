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
    assert identifiers.format_kid(kid) == "30000001 000001 3"
    assert identifiers.validate_kid("30000001 000001 3") == kid


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
    with pytest.raises(Invalid):
        identifiers.validate_kid(kid)


def test_organisation_numbers_are_checked_and_compacted() -> None:
    """Blanks go; a wrong check digit is refused."""
    assert identifiers.validate_org_no("301 000 006") == "301000006"
    assert not identifiers.is_valid_org_no("301000007")
    with pytest.raises(Invalid):
        identifiers.validate_org_no("301000007")


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
