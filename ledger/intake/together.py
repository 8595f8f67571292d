"""Some thousand records of JSON read into columns at once, where nothing about them is odd.

What is odd is left to `ndjson.draft_record`, which reads a record by itself and says what is wrong.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count, islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.columns import BatchColumns, HeldInColumns, check_columns
from ledger.columns.reading import (
    EntryColumns,
    Numbers,
    coded,
    days,
    read_allocations,
    read_items,
    read_lines,
    texts,
    whole_numbers,
)
from ledger.errors import Problem
from ledger.intake.ndjson import EntryRecord, Numbered, draft_record
from ledger.intake.records import (
    CHECKED_AT_ONCE,
    WORTH_COLUMNS,
    Defaults,
    Drafted,
    Fault,
    batch_of,
    checked,
)
from ledger.journal import EntryDraft

_AMOUNT = r"^-?[0-9]{1,15}(\.[0-9]{1,2})?$"
_DECIMAL = pa.decimal128(17, 2)


def drafted(read: Iterable[Numbered | Fault], defaults: Defaults) -> Iterator[Drafted | Fault]:
    """Draft the entries of records in order; each is checked by itself, as `checked` does it."""
    records = iter(read)
    while some := tuple(islice(records, CHECKED_AT_ONCE)):
        sound = [one for one in some if isinstance(one, Numbered)]
        held = read_together(sound, defaults) if len(sound) >= WORTH_COLUMNS else None
        if held is None:
            yield from checked(
                draft_record(one.record, one.number, defaults) if isinstance(one, Numbered) else one
                for one in some
            )
            continue
        place = count()
        for one in some:
            yield one if isinstance(one, Fault) else Drafted(one.number, held, next(place))


def read_together(read: Sequence[Numbered], defaults: Defaults) -> HeldInColumns | None:
    """Read records whose shape has been checked; None where any of them is to be read alone."""
    if any(one.record.conditions for one in read):
        return None

    def draft(place: int) -> EntryDraft:
        number, record = read[place]
        one = draft_record(record, number, defaults)
        assert isinstance(one, Drafted), "What columns could hold is an entry."
        return one.entry

    try:
        held = HeldInColumns(_columns(read, defaults), draft)
        check_columns(held.columns, batch_of(held))
    except (TypeError, ValueError, OverflowError, pa.ArrowException, Problem):
        return None
    return held


def _columns(read: Sequence[Numbered], defaults: Defaults) -> BatchColumns:
    records: list[EntryRecord] = [one.record for one in read]
    counts = np.array([len(r.lines) for r in records], np.int64)
    lines = list(chain.from_iterable(r.lines for r in records))
    refs = [one.record.source_ref or f"{defaults.ref}:{one.number}" for one in read]
    return BatchColumns(
        EntryColumns(
            coded([r.series or defaults.series for r in records]),
            days([r.effective_date for r in records]),
            days([r.document_date or r.effective_date for r in records]),
            coded([r.entry_type or defaults.entry_type for r in records]),
            texts(refs),
            texts([r.text for r in records]),
            texts([r.document_ref for r in records]),
            whole_numbers([None] * len(records)),
            counts,
        ),
        read_lines(
            counts,
            lines,
            currency=[x.currency or defaults.currency for x in lines],
            amount=amounts([x.amount for x in lines]),
            base=amounts([x.base_amount for x in lines]),
            tax_base=amounts([x.tax_base for x in lines]),
        ),
        read_items([line.item for line in lines]),
        read_allocations(()),
    )


def amounts(told: list[str] | list[str | None]) -> Numbers:
    """Read decimal amounts as `money.parse_amount` does; raises `ValueError` if one is none."""
    column = pa.array(told, pa.large_string())
    if column.null_count == len(column):
        return pa.nulls(len(column), pa.int64())
    if not pc.all(pc.match_substring_regex(column, _AMOUNT)).as_py():
        raise ValueError("Not an amount.")
    # A decimal is held as 128 bits, of which the lower half is the whole of so small a number.
    exact = column.cast(_DECIMAL)
    minor = np.frombuffer(exact.buffers()[1], np.int64)[::2][: len(column)]
    return pa.array(minor, mask=column.is_null().to_numpy(zero_copy_only=False))
