"""The lines of `hovedbok rating show`: nothing that changes a price goes untold."""

from __future__ import annotations

from rating.listing import rate_terms, tariff_lines
from rating.tariff_file import read_tariff
from tests.rating.tariffs import SMALL
from tests.rating.test_explain import EXTRAS


def test_bands_and_policies_are_listed() -> None:
    """What holds for all prices comes first."""
    source = SMALL.replace("version = 1", "version = 1\nholidays = [2026-05-17]", 1).replace(
        "weekdays = [1, 2, 3, 4, 5]", "weekdays = [6, 7, 8]\nmonths = [5]\npriority = 2", 1
    )
    tariff = read_tariff(source.replace("version", 'band_split = "split"\nversion', 1).encode())
    assert tariff_lines(tariff) == [
        "band night from 00:00",
        "band day from 08:00, weekdays 6 7 8, months 5, priority 2",
        "band night from 17:00, weekdays 1 2 3 4 5",
        "holidays 2026-05-17",
        "calls over several bands: each band rounds up on its own",
    ]


def test_steps_and_terms_of_a_price_are_listed() -> None:
    """Steps, minimum, cap and rounding below the price they belong to."""
    tariff = read_tariff(EXTRAS.encode())
    assert "refunds (negative quantities) are charged with the opposite sign" in tariff_lines(
        tariff
    )
    assert rate_terms(tariff.offerings[0].rates[2]) == [
        "0.31 per 60 from 60 on, as used",
        "at least 5.00, at most 20.00, rounded up to whole 0.01",
    ]
