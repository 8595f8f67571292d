"""What is booked for documents of other systems: sums of lines by document reference."""

from sqlalchemy import text
from sqlalchemy.orm import Session


def booked_by_document(
    session: Session, book: str, source_system: str, prefix: str
) -> dict[tuple[str, str, str, str], int]:
    """Sum the lines of a source's entries by document, account, currency and dimensions.

    Parameters
    ----------
    prefix : of the entries' source references; entries that were reversed are left out.

    Returns
    -------
    Minor units by (document reference, account number, currency, dimensions as one text).
    """
    rows = session.execute(
        text(_BOOKED),
        {"book": book, "system": source_system, "prefix": prefix},
    )
    return {(row[0], row[1], row[2], row[3]): int(row[4]) for row in rows}


def vat_codes_by_document(
    session: Session, book: str, source_system: str, prefix: str
) -> dict[tuple[str, str], str]:
    """Give the VAT codes of a source's lines that have one, by document and account: the latest.

    Parameters
    ----------
    prefix : of the entries' source references.
    """
    rows = session.execute(
        text(_VAT_CODES), {"book": book, "system": source_system, "prefix": prefix}
    )
    return {(row[0], row[1]): row[2] for row in rows}


def batch_count(session: Session, source_system: str, prefix: str) -> int:
    """Count the batches of a source whose references begin so: the next is the one after them."""
    counted = session.scalar(
        text(
            "SELECT count(*) FROM posting_batch"
            " WHERE source_system = :system AND starts_with(source_ref, :prefix)"
        ),
        {"system": source_system, "prefix": prefix},
    )
    return int(counted or 0)


_BOOKED = """
SELECT e.document_ref, a.number, l.currency, coalesce(d.canonical_key, ''), sum(l.amount_minor)
FROM journal_entry e
JOIN book b USING (book_id)
JOIN journal_line l ON l.entry_id = e.entry_id AND l.effective_date = e.effective_date
JOIN account a ON a.account_id = l.account_id
LEFT JOIN dimension_set d ON d.dim_set_id = l.dim_set_id
WHERE b.code = :book AND e.source_system = :system AND e.document_ref IS NOT NULL
    AND starts_with(e.source_ref, :prefix)
    AND e.reverses_entry_id IS NULL
    AND NOT EXISTS (SELECT FROM journal_entry r WHERE r.reverses_entry_id = e.entry_id)
GROUP BY 1, 2, 3, 4
"""

_VAT_CODES = """
SELECT DISTINCT ON (e.document_ref, a.number) e.document_ref, a.number, v.code
FROM journal_entry e
JOIN book b USING (book_id)
JOIN journal_line l ON l.entry_id = e.entry_id AND l.effective_date = e.effective_date
JOIN account a ON a.account_id = l.account_id
JOIN vat_code v ON v.vat_code_id = l.vat_code_id
WHERE b.code = :book AND e.source_system = :system AND e.document_ref IS NOT NULL
    AND starts_with(e.source_ref, :prefix)
ORDER BY e.document_ref, a.number, e.entry_id DESC
"""
