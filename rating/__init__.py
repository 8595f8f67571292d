"""What it costs: usage and orders priced in columns, exactly, from a frozen tariff book.

NumPy and the standard library; `rating.models`, `rating.service` and `rating.cli` are the doors.
"""

from rating.allowances import Counters
from rating.pipeline import Rated, rate
from rating.tariff import TariffBook, parse_tariff
from rating.usage import Reason, UsageBatch, check_usage
from rating.zones import encode_numbers

__all__ = [
    "Counters",
    "Rated",
    "Reason",
    "TariffBook",
    "UsageBatch",
    "check_usage",
    "encode_numbers",
    "parse_tariff",
    "rate",
]
