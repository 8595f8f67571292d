"""The ledger's verbs. Each takes a session, none commits; only these write the journal."""

from ledger.service.books import (
    functional_currency,
    lock_period,
    open_periods,
    posting_account,
    require_book,
    seed_book,
    vat_rate_bp,
)
from ledger.service.posting import allocate, post_batch
from ledger.service.reading import (
    AccountBalance,
    EntryView,
    LineView,
    StatementLine,
    account_statement,
    find_entry,
    find_voucher,
    last_effective_date,
    read_entry,
    trial_balance,
)
from ledger.service.receivables import (
    AllocationView,
    OpenItem,
    allocations_of,
    control_balance,
    open_items,
)
from ledger.service.verify import Fault, gaps, verify

__all__ = [
    "AccountBalance",
    "AllocationView",
    "EntryView",
    "Fault",
    "LineView",
    "OpenItem",
    "StatementLine",
    "account_statement",
    "allocate",
    "allocations_of",
    "control_balance",
    "find_entry",
    "find_voucher",
    "functional_currency",
    "gaps",
    "last_effective_date",
    "lock_period",
    "open_items",
    "open_periods",
    "post_batch",
    "posting_account",
    "read_entry",
    "require_book",
    "seed_book",
    "trial_balance",
    "vat_rate_bp",
    "verify",
]
