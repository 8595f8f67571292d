"""Figures and dates as Norwegian readers expect them, against babel's locale."""

from __future__ import annotations

import doctest
from decimal import Decimal

import pytest
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st

from reporting import invoicing, norwegian
from reporting.norwegian import MINUS, NBSP


@given(st.integers(-(10**15), 10**15))
def test_kroner_are_written_as_the_locale_says(minor: int) -> None:
    """Grouping, comma and two decimals are those of nb_NO; only the minus is typographic."""
    expected = format_decimal(Decimal(minor) / 100, "#,##0.00", locale="nb_NO")
    assert norwegian.kroner(minor).replace(MINUS, "-") == expected.replace("\u2212", "-")


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (0, "s", "0 min 00 s"), (59, "s", "0 min 59 s"), (3600, "s", "1 t 00 min 00 s"),
        (0, "octet", "0,00 kB"), (1536, "octet", "1,50 kB"), (5 * 2**30, "octet", "5,00 GB"),
        (12, "message", "12 stk."), (1, "month", "1 md."), (1234, "piece", "1 234 stk."),
    ],
)  # fmt: skip
def test_quantities_are_worded(amount: int, unit: str, text: str) -> None:
    """Seconds, octets and counts are written the way people say them."""
    assert norwegian.quantity(amount, unit) == text.replace(" ", NBSP)


def test_numbers_that_do_not_fit_are_left_alone() -> None:
    """An odd number of digits is shown as it is, never cut."""
    assert norwegian.bank_account("123") == "123"
    assert norwegian.organisation_number("12345678901") == "12345678901"
    assert norwegian.phone_number("office") == "office"


@pytest.mark.parametrize("module", [norwegian, invoicing])
def test_examples_in_docstrings_hold(module: object) -> None:
    """What the docstrings promise is what the functions do."""
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted
    assert result.failed == 0
