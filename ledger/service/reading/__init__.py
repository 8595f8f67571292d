"""Read the books at any two clocks: what was effective by a day, of what was known at a seal.

One module per noun: balances, entries, the statement of an account, all lines for an export.
"""

from ledger.service.clocks import Clocks, hold_snapshot, resolve_clocks
from ledger.service.reading.balances import AccountBalance, last_effective_date, trial_balance
from ledger.service.reading.documents import (
    batch_count,
    booked_by_document,
    vat_codes_by_document,
)
from ledger.service.reading.entries import (
    EntryView,
    LineView,
    find_voucher,
    read_entry,
    vouchers_of,
)
from ledger.service.reading.exported import (
    TEXT_FORMATS,
    export_text,
    iter_tied_lines,
)
from ledger.service.reading.statement import (
    StatementLine,
    StatementPage,
    account_statement,
    customer_statement,
    find_account,
)
from ledger.service.reading.turnover import fold_balances

__all__ = [
    "TEXT_FORMATS",
    "AccountBalance",
    "Clocks",
    "EntryView",
    "LineView",
    "StatementLine",
    "StatementPage",
    "account_statement",
    "batch_count",
    "booked_by_document",
    "customer_statement",
    "export_text",
    "find_account",
    "find_voucher",
    "fold_balances",
    "hold_snapshot",
    "iter_tied_lines",
    "last_effective_date",
    "read_entry",
    "resolve_clocks",
    "trial_balance",
    "vat_codes_by_document",
    "vouchers_of",
]
