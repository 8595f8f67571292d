"""Verify the books: rebuild what can be derived, compare, and name what differs.

Every check reads facts of two independent kinds, or the catalogue; none trusts that a guard worked.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.service.anchors import anchor_faults, last_anchored_block
from ledger.service.checklists import wrong_checklists
from ledger.service.defences import (
    catalogue_faults,
    login_faults,
    routine_faults,
    table_faults,
)
from ledger.service.draft_reading import wrong_drafts
from ledger.service.guards import guard_faults
from ledger.service.rehash import wrong_leaves
from ledger.service.statements import read_books
from ledger.service.verify_seals import chain_faults, master_faults, member_faults
from ledger.verifying import checks_above


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it must be: which check, where, and what."""

    check: str
    where: str
    detail: str


Step = Callable[[Session], Iterator[Fault]]


def verify(session: Session) -> list[Fault]:
    """Run every check over all books; an empty list says the books hold.

    Reads everything, in one transaction: run it as the auditor, in REPEATABLE READ, for a report.
    """
    return [fault for _, step in verification_steps() for fault in step(session)]


def verification_steps(
    anchors: Sequence[str] = (), *, incremental: bool = False
) -> list[tuple[str, Step]]:
    """List the checks by name, each to be called with a session; a command can show progress.

    Parameters
    ----------
    anchors : places where anchors are looked for, beside those on record.
    incremental : only the blocks after the last anchored one and what is not sealed yet. What an
        anchor covers was verified before it was written, and must then be as it was.
    """
    checks: dict[str, Callable[[Session], Iterable[tuple[str, str]]]] = {}
    if not incremental:
        checks |= {check: partial(_found, statement) for check, statement in _CHECKS.items()}
    checks |= {
        "entry hash": partial(_hash_faults, incremental),
        "seal chain": partial(_after_anchor, chain_faults, incremental),
        "sealed batch": partial(_after_anchor, member_faults, incremental),
        "master data": master_faults,
        "anchor": partial(anchor_faults, places=anchors),
        "voucher gap": _gap_faults,
        "draft": wrong_drafts,
        "checklist": wrong_checklists,
        "guard": guard_faults,
        "routine": routine_faults,
        "table": table_faults,
        "catalogue": catalogue_faults,
        "login": login_faults,
        **checks_above(),
    }
    return [(check, partial(_named, check, found)) for check, found in checks.items()]


def gaps(session: Session, book: str | None = None) -> list[str]:
    """List voucher numbers, of a book or all, that are missing and not explained."""
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
            " WHERE (CAST(:book AS text) IS NULL OR s.book_id = (SELECT book_id FROM book"
            "  WHERE code = :book)) AND NOT EXISTS (SELECT FROM journal_entry e"
            "  WHERE e.book_id = s.book_id AND e.series_id = c.series_id"
            "  AND e.fiscal_year = c.fiscal_year AND e.voucher_no = n)"
            " AND NOT EXISTS (SELECT FROM voucher_gap g WHERE g.series_id = c.series_id"
            "  AND g.fiscal_year = c.fiscal_year AND g.voucher_no = n)"
            " ORDER BY s.code, c.fiscal_year, n"
        ),
        {"book": book},
    )
    return [str(row[0]) for row in rows]


def _named(
    check: str, find: Callable[[Session], Iterable[tuple[str, str]]], session: Session
) -> Iterator[Fault]:
    try:
        for where, detail in find(session):
            yield Fault(check, where, detail)
    except _MISSHAPEN as fault:
        # Corrupted content may not even have the shape that a check expects: that is a finding,
        # and no reason to leave out the other checks.
        what = f"{type(fault).__name__}: {fault}"
        yield Fault(check, "the stored rows", f"they have a shape that no fact has ({what})")


def _found(statement: str, session: Session) -> Iterator[tuple[str, str]]:
    rows: Any = session.execute(text(statement))
    yield from rows


def _after_anchor(
    find: Callable[[Session, int], Iterator[tuple[str, str]]], incremental: bool, session: Session
) -> Iterator[tuple[str, str]]:
    return find(session, last_anchored_block(session) if incremental else 0)


def _hash_faults(incremental: bool, session: Session) -> Iterator[tuple[str, str]]:
    first = 0
    if incremental:
        # Batches are sealed in about the order of their ids; the oldest that matters comes first.
        first = session.scalar(
            text(
                "SELECT coalesce(min(batch_id), 0) FROM ("
                " SELECT batch_id FROM seal_member WHERE block_no > :anchored"
                " UNION ALL SELECT batch_id FROM ledger_unsealed_batches()) n"
            ),
            {"anchored": last_anchored_block(session)},
        )
        if not first:
            return
    for entry_id, detail in wrong_leaves(session, first):
        yield f"entry {entry_id}", detail


def _gap_faults(session: Session) -> Iterator[tuple[str, str]]:
    for one in read_books(session):
        for voucher in gaps(session, one.book):
            yield voucher, f"the number is missing in book {one.book} and no gap is registered"


_MISSHAPEN = (TypeError, ValueError, KeyError, AttributeError, ArithmeticError, struct.error)

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
            || ', numbered from ' || coalesce(low_no, 0) || ' to ' || coalesce(high_no, 0)
        FROM journal_entry e FULL JOIN (
            SELECT entry_id, count(*) AS n, min(effective_date) AS low, max(effective_date) AS high,
                min(line_no) AS low_no, max(line_no) AS high_no
            FROM journal_line GROUP BY entry_id) l USING (entry_id)
        WHERE (n = e.line_count AND low = e.effective_date AND high = e.effective_date
            AND low_no = 1 AND high_no = n) IS NOT TRUE""",
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
        SELECT 'batch ' || batch_id || ', account ' || coalesce(number, '?') || ' on '
            || effective_date, 'deltas and lines differ, ' || coalesce(l.currency, d.currency)
        FROM (SELECT entry_id >> 20 AS batch_id, account_id, currency, dim_set_id, effective_date,
                sum(greatest(amount_minor, 0)) AS debit, sum(greatest(-amount_minor, 0)) AS credit,
                sum(greatest(base_minor, 0)) AS base_debit,
                sum(greatest(-base_minor, 0)) AS base_credit, count(*) AS n
            FROM journal_line GROUP BY 1, 2, 3, 4, 5) l
        FULL JOIN (SELECT batch_id, account_id, currency, dim_set_id, effective_date,
                sum(debit_minor) AS debit, sum(credit_minor) AS credit,
                sum(base_debit_minor) AS base_debit, sum(base_credit_minor) AS base_credit,
                sum(line_count) AS n, min(book_id) AS low_book, max(book_id) AS high_book
            FROM balance_delta GROUP BY 1, 2, 3, 4, 5) d
        USING (batch_id, account_id, currency, dim_set_id, effective_date)
        LEFT JOIN account a USING (account_id) LEFT JOIN posting_batch b USING (batch_id)
        WHERE (l.debit, l.credit, l.base_debit, l.base_credit, l.n, b.book_id, b.book_id, b.book_id)
            IS DISTINCT FROM (d.debit, d.credit, d.base_debit, d.base_credit, d.n, d.low_book,
                d.high_book, a.book_id)""",
    # A batch belongs to the first fold that reaches its seal position.
    "folded month": """
        SELECT 'account ' || a.number || ' in ' || to_char(month, 'YYYY-MM') || ', position '
            || position, 'fold and deltas differ, ' || coalesce(m.currency, d.currency)
        FROM balance_month m FULL JOIN (
            SELECT d.book_id, f.position, date_trunc('month', d.effective_date)::date AS month,
                account_id, currency, sum(debit_minor) AS debit, sum(credit_minor) AS credit,
                sum(base_debit_minor) AS base_debit, sum(base_credit_minor) AS base_credit,
                sum(line_count) AS n
            FROM (SELECT b.batch_id, (SELECT min(m.position) FROM balance_month m
                    WHERE m.book_id = b.book_id AND m.position >= s.position) AS position
                FROM seal_member s JOIN posting_batch b USING (batch_id)) f
            JOIN balance_delta d USING (batch_id)
            WHERE f.position IS NOT NULL GROUP BY 1, 2, 3, 4, 5) d
        USING (book_id, position, month, account_id, currency)
        LEFT JOIN account a ON a.account_id = coalesce(m.account_id, d.account_id)
        WHERE (m.debit_minor, m.credit_minor, m.base_debit_minor, m.base_credit_minor, m.line_count)
            IS DISTINCT FROM (d.debit, d.credit, d.base_debit, d.base_credit, d.n)""",
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
        LEFT JOIN posting_batch b ON b.batch_id = i.open_item_id >> 20
        WHERE (l.entry_id, l.line_no, l.account_id, l.currency, l.amount_minor, l.base_minor,
                l.effective_date, l.party_id, b.book_id)
            IS DISTINCT FROM (i.entry_id, i.line_no, i.account_id, i.currency, i.original_minor,
                i.base_minor, i.effective_date, i.party_id, i.book_id)""",
    "allocation": """
        SELECT 'allocation ' || allocation_id, 'its items cannot settle one another'
        FROM allocation x JOIN open_item c ON c.open_item_id = x.credit_item_id
        JOIN open_item d ON d.open_item_id = x.debit_item_id
        WHERE c.original_minor > 0 OR d.original_minor < 0
            OR (c.account_id, c.currency, c.book_id) <> (d.account_id, d.currency, d.book_id)
            OR c.party_id IS DISTINCT FROM d.party_id
        UNION ALL
        SELECT 'open item ' || open_item_id, used || ' allocated of ' || abs(original_minor)
            || ' on ' || day
        FROM open_item JOIN (
            SELECT item, effective_date AS day,
                sum(sum(amount_minor)) OVER (PARTITION BY item ORDER BY effective_date) AS used
            FROM (SELECT credit_item_id AS item, effective_date, amount_minor FROM allocation
                UNION ALL SELECT debit_item_id, effective_date, amount_minor FROM allocation) s
            GROUP BY item, effective_date) u ON item = open_item_id
        WHERE used < 0 OR used > abs(original_minor)""",
    "event": """
        SELECT 'batch ' || b.batch_id, count(o.event_id) || ' events say that it was posted'
        FROM posting_batch b LEFT JOIN event_outbox o
            ON o.batch_id = b.batch_id AND o.event_type = 'batch.posted'
        GROUP BY b.batch_id HAVING count(o.event_id) <> 1""",
    # A counter stands where the last number of its series does, also if that is a registered gap.
    "voucher counter": """
        SELECT 'series id ' || series_id || ' of ' || fiscal_year, 'the counter stands at '
            || coalesce(c.last_no, 0) || ', the last number is ' || coalesce(e.last_no, 0)
        FROM voucher_counter c FULL JOIN (
            SELECT series_id, fiscal_year, max(voucher_no) AS last_no FROM (
                SELECT series_id, fiscal_year, voucher_no FROM journal_entry
                UNION ALL SELECT series_id, fiscal_year, voucher_no FROM voucher_gap) n
            GROUP BY 1, 2) e USING (series_id, fiscal_year)
        WHERE c.last_no IS DISTINCT FROM e.last_no""",
    # The database refuses a second; its constraint may have been dropped for a while.
    "twice": """
        SELECT 'voucher ' || s.code || '/' || fiscal_year || '/' || voucher_no,
            count(*) || ' entries have the number'
        FROM journal_entry e LEFT JOIN voucher_series s USING (series_id)
        GROUP BY e.book_id, series_id, s.code, fiscal_year, voucher_no HAVING count(*) > 1
        UNION ALL
        SELECT 'reference ' || source_system || ' ' || source_ref, count(*) || ' entries have it'
        FROM journal_entry GROUP BY source_system, source_ref HAVING count(*) > 1
        UNION ALL
        SELECT 'reference ' || source_system || ' ' || source_ref, count(*) || ' batches have it'
        FROM posting_batch GROUP BY source_system, source_ref HAVING count(*) > 1
        UNION ALL
        SELECT 'entry ' || reverses_entry_id, count(*) || ' entries reverse it'
        FROM journal_entry WHERE reverses_entry_id IS NOT NULL
        GROUP BY reverses_entry_id HAVING count(*) > 1
        UNION ALL
        SELECT 'allocation ' || reverses_allocation_id, count(*) || ' allocations undo it'
        FROM allocation WHERE reverses_allocation_id IS NOT NULL
        GROUP BY reverses_allocation_id HAVING count(*) > 1""",
    # While the close of a year stands, its income, expenses and disposal come to nothing.
    "year end": """
        SELECT 'year ' || y.fiscal_year, 'it is closed, and a result of ' || -sum(
            d.base_debit_minor - d.base_credit_minor) || ' minor units is left over'
        FROM (SELECT e.book_id, e.fiscal_year, min(p.starts_on) AS first, max(p.ends_on) AS after
            FROM journal_entry e JOIN voucher_series s USING (series_id)
            JOIN period p ON p.book_id = e.book_id AND p.fiscal_year = e.fiscal_year
            WHERE s.module = 'YEAR' AND e.reverses_entry_id IS NULL AND NOT EXISTS (
                SELECT FROM journal_entry r WHERE r.reverses_entry_id = e.entry_id)
            GROUP BY 1, 2) y
        JOIN balance_delta d ON d.book_id = y.book_id AND d.effective_date >= y.first
            AND d.effective_date < y.after
        JOIN account a USING (account_id) WHERE a.class IN ('I', 'E', 'D')
        GROUP BY y.book_id, y.fiscal_year
        HAVING sum(d.base_debit_minor - d.base_credit_minor) <> 0""",
    "account version": """
        SELECT 'account id ' || account_id, 'it had versions, and is gone'
        FROM account_version v WHERE NOT EXISTS (
            SELECT FROM account a WHERE a.account_id = v.account_id)
        GROUP BY account_id
        UNION ALL
        SELECT 'account ' || a.number, 'it is not what its last version says: '
            || coalesce((SELECT string_agg(k.key, ', ') FROM jsonb_each(v.content) k
                WHERE to_jsonb(a) -> k.key IS DISTINCT FROM k.value), 'there is none')
        FROM account a LEFT JOIN LATERAL (
            SELECT content FROM account_version v WHERE v.account_id = a.account_id
            ORDER BY version_no DESC LIMIT 1) v ON true
        WHERE (to_jsonb(a) @> v.content) IS NOT TRUE""",
    "partition": """
        SELECT 'period ' || p.code, f.fact || ' has no partition for it'
        FROM (SELECT DISTINCT code, starts_on FROM period) p
        CROSS JOIN (VALUES ('journal_line'), ('balance_delta')) f (fact)
        WHERE NOT EXISTS (SELECT FROM pg_inherits
            WHERE inhparent = f.fact::regclass AND inhrelid =
                to_regclass(f.fact || '_' || to_char(p.starts_on, 'YYYY_MM')))""",
}
