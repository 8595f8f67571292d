"""A batch in columns: checked and hashed without looking at each line by itself.

`journal` says in words what a batch must be and how an entry is encoded; here the same is done for
all rows at once, and where something is wrong, `journal.check_batch` is asked to name it.
"""

import pyarrow as pa

from ledger.columns.hashes import content_hash, entry_bodies, entry_hashes
from ledger.columns.reading import BatchColumns, read_columns
from ledger.columns.rules import is_sound, totals
from ledger.journal import BatchDraft, check_batch, check_declared, check_envelope

__all__ = [
    "BatchColumns", "check_columns", "columns_of", "content_hash", "entry_bodies",
    "entry_hashes", "needs_rates", "totals",
]  # fmt: skip


def columns_of(draft: BatchDraft) -> BatchColumns:
    """Turn a batch into columns.

    Raises what `journal.check_batch` says of a value that no column can hold: a float, half a
    surrogate pair, a number beyond int64.
    """
    try:
        return read_columns(draft)
    except (TypeError, ValueError, OverflowError, AttributeError, pa.ArrowException):
        check_batch(draft)
        raise


def check_columns(columns: BatchColumns, draft: BatchDraft) -> None:
    """Refuse what `journal.check_batch` refuses: it is asked as soon as anything looks wrong."""
    check_envelope(draft)
    if not is_sound(columns):
        check_batch(draft)
    if draft.declared is not None:
        check_declared(draft.declared, totals(columns))


def needs_rates(columns: BatchColumns, own: str, draft: BatchDraft) -> bool:
    """Tell whether a line leaves its amount in the book's own currency to a rate."""
    if columns.lines.currency.dictionary.to_pylist() in ([], [own]):
        return False
    return any(
        line.base_minor is None and line.currency != own
        for entry in draft.entries
        for line in entry.lines
    )
