"""A batch in columns: checked and hashed without looking at each line by itself.

`journal` says in words what a batch must be, `encoding` how an entry is encoded; here the same is
done for all rows at once, and where something is wrong, `journal.check_batch` is asked to name it.
"""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from ledger.columns.hashes import Texts, content_hash, entry_bodies, entry_hashes, texts_of
from ledger.columns.held import HeldInColumns, count_lines, totals_held
from ledger.columns.reading import BatchColumns, read_allocations, read_columns
from ledger.columns.rules import is_sound, totals
from ledger.errors import Problem
from ledger.journal import BatchDraft, check_batch, check_declared, check_envelope

__all__ = [
    "BatchColumns", "HeldInColumns", "Texts", "check_columns", "columns_of", "content_hash",
    "count_lines", "entry_bodies", "entry_hashes", "needs_rates", "texts_of", "totals",
    "totals_held",
]  # fmt: skip


def columns_of(draft: BatchDraft) -> BatchColumns:
    """Turn a batch into columns.

    Raises what `journal.check_batch` says of a value that no column can hold: a float, half a
    surrogate pair, a number beyond int64, a dimension with a reserved character.
    """
    try:
        if isinstance(draft.entries, HeldInColumns):
            used = read_allocations(draft.allocations)
            return replace(draft.entries.columns, allocations=used)
        return read_columns(draft)
    except (TypeError, ValueError, OverflowError, AttributeError, pa.ArrowException, Problem):
        check_batch(draft)
        raise


def check_columns(columns: BatchColumns, draft: BatchDraft) -> None:
    """Refuse what `journal.check_batch` refuses: it is asked as soon as anything looks wrong."""
    check_envelope(draft)
    if not is_sound(columns):
        check_batch(draft)
    if draft.declared is not None:
        check_declared(draft.declared, totals(columns))


def needs_rates(columns: BatchColumns, own: str) -> bool:
    """Tell whether a line leaves its amount in the book's own currency to a rate."""
    lines = columns.lines
    if lines.currency.dictionary.to_pylist() in ([], [own]):
        return False
    foreign = pc.not_equal(lines.currency.cast(pa.large_string()), own)
    return bool(pc.any(pc.and_(foreign, lines.given_base.is_null())).as_py())
