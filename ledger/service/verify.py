"""Verify the books: rebuild what can be derived, compare, and name what differs.

Every check reads facts of two independent kinds, or the catalogue; none trusts that a guard worked.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.service.draft_reading import wrong_drafts
from ledger.service.guards import guard_faults
from ledger.service.rehash import wrong_leaves


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it must be: which check, where, and what."""

    check: str
    where: str
    detail: str


def verify(session: Session) -> list[Fault]:
    """Run every check over all books; an empty list says the books hold.

    Reads everything, in one transaction: run it as the auditor, in REPEATABLE READ, for a report.
    """
    return [fault for _, step in verification_steps() for fault in step(session)]


def verification_steps() -> list[tuple[str, Callable[[Session], Iterator[Fault]]]]:
    """List the checks by name, each to be called with a session; a command can show progress."""
    return [
        *((check, partial(_query_faults, check)) for check in _CHECKS),
        ("entry hash", _hash_faults),
        ("voucher gap", _gap_faults),
        ("draft", _draft_faults),
        ("guard", _guard_faults),
    ]


def gaps(session: Session) -> list[str]:
    """List voucher numbers that are missing and not explained, as SERIES/YEAR/NO."""
    rows = session.execute(
        text(
            "SELECT s.code || '/' || c.fiscal_year || '/' || n"
            " FROM voucher_counter c JOIN voucher_series s USING (series_id)"
            # The counts are compared first: only a series that lacks a number is walked.
            " CROSS JOIN LATERAL (SELECT count(*) AS held, max(voucher_no) AS high"
            "  FROM journal_entry e WHERE e.book_id = s.book_id AND e.series_id = c.series_id"
            "  AND e.fiscal_year = c.fiscal_year) h"
            " CROSS JOIN LATERAL generate_series(1, CASE WHEN h.held = c.last_no"
            "  AND h.high = c.last_no THEN 0 ELSE greatest(c.last_no, h.high) END) n"
            " WHERE NOT EXISTS (SELECT FROM journal_entry e WHERE e.book_id = s.book_id"
            "  AND e.series_id = c.series_id AND e.fiscal_year = c.fiscal_year"
            "  AND e.voucher_no = n)"
            " AND NOT EXISTS (SELECT FROM voucher_gap g WHERE g.series_id = c.series_id"
            "  AND g.fiscal_year = c.fiscal_year AND g.voucher_no = n)"
            " ORDER BY s.code, c.fiscal_year, n"
        )
    )
    return [str(row[0]) for row in rows]


def _query_faults(check: str, session: Session) -> Iterator[Fault]:
    for where, detail in session.execute(text(_CHECKS[check])):
        yield Fault(check, where, detail)


def _hash_faults(session: Session) -> Iterator[Fault]:
    for entry_id, detail in wrong_leaves(session):
        yield Fault("entry hash", f"entry {entry_id}", detail)


def _draft_faults(session: Session) -> Iterator[Fault]:
    for where, detail in wrong_drafts(session):
        yield Fault("draft", where, detail)


def _guard_faults(session: Session) -> Iterator[Fault]:
    for table, detail in guard_faults(session):
        yield Fault("guard", table, detail)


def _gap_faults(session: Session) -> Iterator[Fault]:
    for voucher in gaps(session):
        yield Fault("voucher gap", voucher, "the number is missing and no gap is registered")


# Each statement gives (where, detail) per fault.
_CHECKS = {
    "entry balance": """
        SELECT 'entry ' || entry_id,
            'off by ' || sum(amount_minor) || ' minor units of ' || currency
        FROM journal_line GROUP BY entry_id, currency HAVING sum(amount_minor) <> 0
        UNION ALL
        SELECT 'entry ' || entry_id, 'off by ' || sum(base_minor) || ' minor units in base'
        FROM journal_line GROUP BY entry_id HAVING sum(base_minor) <> 0""",
    "entry lines": """
        SELECT 'entry ' || entry_id, coalesce(n, 0) || ' lines of ' || coalesce(e.line_count, 0)
        FROM journal_entry e FULL JOIN (
            SELECT entry_id, count(*) AS n, min(effective_date) AS low, max(effective_date) AS high
            FROM journal_line GROUP BY entry_id) l USING (entry_id)
        WHERE (n = e.line_count AND low = e.effective_date AND high = e.effective_date)
            IS NOT TRUE""",
    "batch totals": """
        SELECT 'batch ' || b.batch_id, coalesce(e.n, 0) || ' entries of ' || b.entry_count || ', '
            || coalesce(e.lines, 0) || ' lines of ' || b.line_count || ', '
            || coalesce(i.n, 0) || ' items of ' || b.item_count || ', '
            || coalesce(a.n, 0) || ' allocations of ' || b.allocation_count
        FROM posting_batch b
        LEFT JOIN (SELECT entry_id >> 20 AS batch_id, count(*) AS n, sum(line_count) AS lines
            FROM journal_entry GROUP BY 1) e USING (batch_id)
        LEFT JOIN (SELECT open_item_id >> 20 AS batch_id, count(*) AS n
            FROM open_item GROUP BY 1) i USING (batch_id)
        LEFT JOIN (SELECT batch_id, count(*) AS n FROM allocation GROUP BY 1) a USING (batch_id)
        WHERE (coalesce(e.n, 0), coalesce(e.lines, 0), coalesce(i.n, 0), coalesce(a.n, 0))
            <> (b.entry_count, b.line_count, b.item_count, b.allocation_count)""",
    "orphan entry": """
        SELECT 'entry ' || entry_id, 'its batch does not exist'
        FROM journal_entry e
        WHERE NOT EXISTS (SELECT FROM posting_batch b WHERE b.batch_id = e.entry_id >> 20)""",
    # A batch of the very transaction that verifies is closed when that commits.
    "batch not closed": """
        SELECT 'batch ' || batch_id, 'the commit check has not closed it'
        FROM posting_batch LEFT JOIN batch_closed c USING (batch_id)
        WHERE c.batch_id IS NULL AND xid IS DISTINCT FROM pg_current_xact_id_if_assigned()""",
    "deltas and lines": """
        SELECT 'account ' || coalesce(number, '?') || ' on ' || effective_date,
            'deltas and lines differ, ' || coalesce(l.currency, d.currency)
        FROM (SELECT account_id, currency, dim_set_id, effective_date,
                sum(greatest(amount_minor, 0)) AS debit, sum(greatest(-amount_minor, 0)) AS credit,
                sum(base_minor) AS base, count(*) AS n
            FROM journal_line GROUP BY 1, 2, 3, 4) l
        FULL JOIN (SELECT account_id, currency, dim_set_id, effective_date,
                sum(debit_minor) AS debit, sum(credit_minor) AS credit,
                sum(base_debit_minor - base_credit_minor) AS base, sum(line_count) AS n
            FROM balance_delta GROUP BY 1, 2, 3, 4) d
        USING (account_id, currency, dim_set_id, effective_date)
        LEFT JOIN account USING (account_id)
        WHERE (l.debit, l.credit, l.base, l.n) IS DISTINCT FROM (d.debit, d.credit, d.base, d.n)""",
    "control account": """
        SELECT 'account ' || a.number, 'lines sum to ' || coalesce(l.amount, 0)
            || ', open items to ' || coalesce(i.amount, 0) || ' minor units of '
            || coalesce(l.currency, i.currency)
        FROM (SELECT account_id, currency, sum(amount_minor) AS amount FROM journal_line
            WHERE account_id IN (SELECT account_id FROM account WHERE open_item) GROUP BY 1, 2) l
        FULL JOIN (SELECT account_id, currency, sum(original_minor) AS amount
            FROM open_item GROUP BY 1, 2) i USING (account_id, currency)
        LEFT JOIN account a USING (account_id)
        WHERE l.amount IS DISTINCT FROM i.amount""",
    "open item": """
        SELECT 'open item ' || open_item_id, 'it is not its journal line'
        FROM (SELECT * FROM journal_line l WHERE open_item_id IS NOT NULL) l
        FULL JOIN open_item i USING (open_item_id)
        WHERE (l.entry_id, l.line_no, l.account_id, l.currency, l.amount_minor, l.base_minor,
                l.effective_date, l.party_id)
            IS DISTINCT FROM (i.entry_id, i.line_no, i.account_id, i.currency, i.original_minor,
                i.base_minor, i.effective_date, i.party_id)""",
    "allocation": """
        SELECT 'open item ' || open_item_id, used || ' allocated of ' || abs(original_minor)
        FROM open_item JOIN (
            SELECT item, sum(amount_minor) AS used FROM (
                SELECT credit_item_id AS item, amount_minor FROM allocation
                UNION ALL SELECT debit_item_id, amount_minor FROM allocation) s
            GROUP BY item) u ON item = open_item_id
        WHERE used < 0 OR used > abs(original_minor)
        UNION ALL
        SELECT 'allocation ' || allocation_id, 'its items cannot settle one another'
        FROM allocation x JOIN open_item c ON c.open_item_id = x.credit_item_id
        JOIN open_item d ON d.open_item_id = x.debit_item_id
        WHERE c.original_minor > 0 OR d.original_minor < 0
            OR (c.account_id, c.currency, c.book_id) <> (d.account_id, d.currency, d.book_id)""",
    "partition": """
        SELECT 'period ' || p.code, f.fact || ' has no partition for it'
        FROM (SELECT DISTINCT code, starts_on FROM period) p
        CROSS JOIN (VALUES ('journal_line'), ('balance_delta')) f (fact)
        WHERE NOT EXISTS (SELECT FROM pg_inherits
            WHERE inhparent = f.fact::regclass AND inhrelid =
                to_regclass(f.fact || '_' || to_char(p.starts_on, 'YYYY_MM')))""",
}
