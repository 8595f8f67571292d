"""What `journal.check_batch` says in words, of all rows at once: whether, not where."""

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.columns.octets import buffer
from ledger.columns.reading import BatchColumns, Int64, Numbers, Texts
from ledger.journal import MAX_AMOUNT, MAX_LINES, Declared
from ledger.unstorable import DIMENSIONS, NAME, TEXT, TextRule

_SUM_LIMIT = 2**62
_MAY_STEER = np.isin(np.arange(256), [*range(0x20), 0x7F, 0xC2, 0xE2])


def totals(columns: BatchColumns) -> Declared:
    """Count entries and lines and sum the debits per currency."""
    lines = columns.lines
    debits = np.zeros(len(lines.currency.dictionary), np.int64)
    np.add.at(debits, lines.currency.indices.to_numpy(), np.maximum(lines.amount, 0))
    told = dict(zip(lines.currency.dictionary.to_pylist(), debits.tolist(), strict=True))
    return Declared(
        len(columns.entries.line_count),
        len(lines.amount),
        {currency: debit for currency, debit in told.items() if debit},
    )


def is_sound(columns: BatchColumns) -> bool:
    """Tell whether nothing is wrong that `journal.check_batch` would refuse."""
    rules: Iterable[Callable[[BatchColumns], bool]] = (
        _entries_are_sound, _lines_are_sound, _texts_are_sound, _is_balanced,
        _allocations_are_sound,
    )  # fmt: skip
    return all(rule(columns) for rule in rules)


def _entries_are_sound(columns: BatchColumns) -> bool:
    entries = columns.entries
    if not len(entries.line_count):
        return True
    reversal = pc.equal(entries.entry_type.cast(pa.large_string()), "reversal").fill_null(False)
    return bool(
        entries.line_count.min() > 0
        and entries.line_count.max() <= MAX_LINES
        and pc.all(pc.equal(reversal, entries.reverses.is_valid())).as_py()
    )


def _lines_are_sound(columns: BatchColumns) -> bool:
    lines = columns.lines
    numbers = (lines.amount, lines.base, _present(lines.party), _present(lines.tax_base))
    return bool(
        all(n.min() > -MAX_AMOUNT and n.max() < MAX_AMOUNT for n in numbers if len(n))
        and (lines.amount | lines.base).all()
        and all(
            code is not None and len(code) == 3 and code.isascii()
            for code in _values(lines.currency)
        )
    )


def _texts_are_sound(columns: BatchColumns) -> bool:
    entries, lines, items = columns.entries, columns.lines, columns.items
    needed = (entries.series, entries.entry_type, entries.source_ref, items.kind,
              columns.allocations.rule)  # fmt: skip
    names = (*needed, entries.document_ref, lines.account, lines.vat_code, items.document_ref,
             items.kid)  # fmt: skip
    ruled = ((names, NAME), ((lines.dimensions,), DIMENSIONS), ((entries.text, lines.text), TEXT))
    return all(_is_full(texts) for texts in needed) and all(
        _is_within(texts, rule) for column, rule in ruled for texts in column
    )


def _is_balanced(columns: BatchColumns) -> bool:
    lines, counts = columns.lines, columns.entries.line_count
    if not len(lines.amount):
        return True
    largest = max(abs(int(n)) for a in (lines.amount, lines.base) for n in (a.min(), a.max()))
    if largest * int(counts.max()) >= _SUM_LIMIT:
        return False  # Sums could leave int64: the exact check is asked.
    currencies = len(lines.currency.dictionary)
    sums = np.zeros(len(counts) * currencies, np.int64)
    np.add.at(sums, lines.entry * currencies + lines.currency.indices.to_numpy(), lines.amount)
    bases = np.zeros(len(counts), np.int64)
    np.add.at(bases, lines.entry, lines.base)
    return not (sums.any() or bases.any())


def _allocations_are_sound(columns: BatchColumns) -> bool:
    amount = columns.allocations.amount
    return bool(not len(amount) or (amount.min() > 0 and amount.max() < MAX_AMOUNT))


def _present(numbers: Numbers) -> Int64:
    found: Int64 = numbers.drop_null().to_numpy()
    return found


def _values(texts: Texts) -> list[str | None]:
    known = texts.dictionary.to_pylist()
    return [*known, None] if texts.null_count else known


def _plain(texts: Texts) -> Texts:
    """Give the texts of a column, each different one once where it has a dictionary."""
    return texts.dictionary if isinstance(texts, pa.DictionaryArray) else texts


def _is_within(texts: Texts, rule: TextRule) -> bool:
    """Tell that no text is longer, and that none holds what might steer a screen.

    A text has as many characters as octets or fewer, and what steers is below 0x20, 0x7F, or begins
    with 0xC2 or 0xE2. So do some letters and dashes: what looks wrong here is read as characters.
    """
    known = _plain(texts)
    if (pc.max(pc.binary_length(known)).as_py() or 0) > rule.longest:
        return False
    octets = buffer(known)
    if not _MAY_STEER[np.frombuffer(octets, np.uint8)].any():
        return True
    return rule.forbidden.search(str(octets, "utf-8")) is None


def _is_full(texts: Texts) -> bool:
    """Tell that no text is absent or empty."""
    lengths = pc.min(pc.binary_length(_plain(texts))).as_py()
    return texts.null_count == 0 and (lengths is None or lengths > 0)
