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
        (0, "octet", "0,00 kB"), (5, "octet", "5 B"), (1023, "octet", "1023 B"),
        (1536, "octet", "1,50 kB"), (5 * 2**30, "octet", "5,00 GB"),
        (12, "message", "12 stk."), (1, "month", "1 md."), (1234, "piece", "1 234 stk."),
    ],
)  # fmt: skip
def test_quantities_are_worded(amount: int, unit: str, text: str) -> None:
    """Seconds, octets and counts are written the way people say them."""
    assert norwegian.quantity(amount, unit) == text.replace(" ", NBSP)


@pytest.mark.parametrize(
    ("sentence", "written"),
    [
        ("Charges not billed are 0.00.", "Charges not billed are 0,00."),
        ("1 account is not empty: 1949 -12500.50 NOK, 2991 1.00 EUR.",
         "1 account is not empty: 1949 −12 500,50 NOK, 2991 1,00 EUR."),
        ("Of 2026-03-31, SAL/2026/1, file 10.25.30, 1.234, 12.30:15 and 0.5.", None),
        ("Version 3.11-2, 1.250.00, a1.00 and 1.00e", None),
    ],
)  # fmt: skip
def test_amounts_in_sentences_are_written_and_nothing_else(
    sentence: str, written: str | None
) -> None:
    """What is kept as evidence has a point; the desk writes a comma, and leaves dates alone."""
    shown = norwegian.figures_in(sentence).replace(NBSP, " ")
    assert shown == (written or sentence)


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
