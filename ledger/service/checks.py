"""The checks of a month's close that the ledger makes itself, each against the books as they are.

A check says what it found and changes nothing. Whether its month may be closed all the same is
decided in `ledger.service.closing`.
"""

from collections.abc import Sized
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from ledger.closing import Finding, PeriodCheck, Scope, found
from ledger.errors import Problem
from ledger.money import format_amount
from ledger.service.assertions import check_assertions
from ledger.service.draft_reading import waiting_drafts
from ledger.service.revaluation import realised, unrealised
from ledger.service.verify import gaps

# Jobs that a worker asks itself for every minute: there is always one to come.
_PERIODIC = ("every_minute", "take_over_stalled")


def _drafts(session: Session, scope: Scope) -> Finding:
    """Drafts dated in the month that nobody has posted or sent back."""
    waiting = waiting_drafts(session, scope.book, scope.first_day, scope.last_day)
    rows = [
        {"draft": row.draft_id, "state": row.state, "author": row.author,
         "effective_date": row.effective_date.isoformat(), "text": row.text,
         "debit": format_amount(row.debit_minor)}
        for row in waiting
    ]  # fmt: skip
    return found(
        rows, "No draft of the month waits.",
        f"{_count(rows, 'draft')} not posted.",
    )  # fmt: skip


def _assertions(session: Session, scope: Scope) -> Finding:
    """Balances that somebody outside says: those that differ, and banks that nobody spoke for."""
    checked = check_assertions(session, scope.book, scope.first_day, scope.last_day)
    wrong = [
        {"account": one.assertion.account, "day": one.assertion.effective_date.isoformat(),
         "currency": one.assertion.currency, "source": one.assertion.source,
         "said": format_amount(one.assertion.expected_minor),
         "books": format_amount(one.actual_minor)}
        for one in checked if one.difference_minor
    ]  # fmt: skip
    missing = [
        {"account": row.number, "day": scope.last_day.isoformat(), "currency": row.currency,
         "source": "nobody", "said": "", "books": format_amount(row.balance)}
        for row in _rows(session, _UNASSERTED, scope)
    ]  # fmt: skip
    return found(
        wrong + missing,
        f"{_count(checked, 'asserted balance')} as the books say, and no bank is without one."
        if checked else "No bank has moved, and nobody has said a balance.",
        f"{_count(wrong, 'asserted balance')} not what the books say; {_count(missing, 'bank')} "
        f"without an asserted balance of {scope.last_day}.",
        asserted=len(checked), differing=len(wrong), missing=len(missing),
    )  # fmt: skip


def _sub_ledgers(session: Session, scope: Scope) -> Finding:
    """What is outstanding at the end of the month, per control account, beside its balance."""
    compared = _rows(session, _SUB_LEDGERS, scope)
    rows = [
        {"account": row.number, "currency": row.currency, "items": format_amount(row.items),
         "balance": format_amount(row.balance)}
        for row in compared if row.items != row.balance
    ]  # fmt: skip
    return found(
        rows, f"Open items are equal to {len(compared)} control accounts.",
        f"{_count(rows, 'control account')} not the sum of open items. Run hovedbok ledger verify.",
        state="blocked", compared=len(compared),
    )  # fmt: skip


def _suspense(session: Session, scope: Scope) -> Finding:
    """Accounts of money in between, as the posting rules name them, and what is left on each."""
    rows = [
        {"account": row.number, "name": row.name, "currency": row.currency,
         "balance": format_amount(row.balance)}
        for row in _rows(session, _SUSPENSE, scope)
    ]  # fmt: skip
    told = ", ".join(f"{row['account']} {row['balance']} {row['currency']}" for row in rows)
    return found(
        rows, "Suspense and clearing accounts are empty.",
        f"{_count(rows, 'account')} not empty: {told}.",
    )  # fmt: skip


def _requests(session: Session, scope: Scope) -> Finding:
    """Posting requests that are not worked off, and jobs that wait or have failed."""
    rows = [
        {"what": row.what, "number": row.number, "state": row.state, "since": row.since}
        for row in _rows(session, _REQUESTS, scope, periodic=list(_PERIODIC))
    ]
    return found(
        rows, "Every posting request and every job is done.",
        f"{'1 request or job is' if len(rows) == 1 else f'{len(rows)} requests or jobs are'} not "
        "done. Run hovedbok work --once, or look at the log.",
    )  # fmt: skip


def _revaluation(session: Session, scope: Scope) -> Finding:
    """Differences of exchange at the end of the month that nobody has posted."""
    try:
        left = [("realised", one) for one in realised(session, scope.book, scope.last_day)]
        left += [("unrealised", one) for one in unrealised(session, scope.book, scope.last_day)]
    except Problem as refusal:
        return Finding("blocked", str(refusal), {"count": 0, "rows": []})
    rows = [
        {"kind": kind, "account": one.account, "currency": one.currency,
         "difference": format_amount(one.difference_minor)}
        for kind, one in left
    ]  # fmt: skip
    return found(
        rows, "Balances in other currencies are valued at the end of the month.",
        f"{_count(rows, 'exchange difference')} not posted. Run hovedbok ledger revalue.",
    )  # fmt: skip


def _gaps(session: Session, scope: Scope) -> Finding:
    """Voucher numbers of the book that are missing and not explained."""
    rows = [{"voucher": voucher} for voucher in gaps(session, scope.book)]
    return found(
        rows, "Every voucher series is without gaps.",
        f"{_count(rows, 'voucher number')} missing without an explanation.", state="blocked",
    )  # fmt: skip


def _sealed(session: Session, scope: Scope) -> Finding:
    """Batches with postings in the month that no seal covers yet."""
    rows = [{"batch": row.batch_id} for row in _rows(session, _UNSEALED, scope)]
    return found(
        rows, "Everything posted in the month is sealed.",
        f"{_count(rows, 'batch')} not sealed. Run hovedbok ledger seal.",
        state="blocked",
    )  # fmt: skip


def _previous(session: Session, scope: Scope) -> Finding:
    """The month before, unless the book has none."""
    rows = [{"period": row.code} for row in _rows(session, _PREVIOUS, scope)]
    return found(
        rows, "The month before is closed, or there is none.",
        f"{rows[0]['period'] if rows else ''} is open. Close it first: hovedbok ledger close "
        f"{rows[0]['period'] if rows else ''}.", state="blocked",
    )  # fmt: skip


CHECKS = (
    PeriodCheck("previous", "The month before", _previous),
    PeriodCheck("drafts", "Drafts", _drafts),
    PeriodCheck("requests", "Requests and jobs", _requests),
    PeriodCheck("assertions", "Asserted balances", _assertions),
    PeriodCheck("sub-ledgers", "Sub-ledgers and control accounts", _sub_ledgers),
    PeriodCheck("suspense", "Suspense accounts", _suspense),
    PeriodCheck("revaluation", "Other currencies", _revaluation),
    PeriodCheck("gaps", "Voucher series", _gaps),
    PeriodCheck("sealed", "Seals", _sealed),
)


def _rows(session: Session, statement: str, scope: Scope, **more: Any) -> list[Row[Any]]:
    bound = {"book": scope.book, "period": scope.period, "first": scope.first_day,
             "last": scope.last_day, **more}  # fmt: skip
    return list(session.execute(text(statement), bound))


def _count(rows: Sized, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"1 {noun} is" if len(rows) == 1 else f"{len(rows)} {plural} are"


# A bank account with movements in the month needs somebody's word for its balance at the end of it.
_UNASSERTED = """
    SELECT a.number, d.currency, (SELECT sum(b.debit_minor - b.credit_minor) FROM balance_delta b
            WHERE b.account_id = a.account_id AND b.currency = d.currency
                AND b.effective_date <= :last)::bigint AS balance
    FROM balance_delta d JOIN account a USING (account_id) JOIN book k ON k.book_id = a.book_id
    WHERE k.code = :book AND d.effective_date BETWEEN :first AND :last
        AND EXISTS (SELECT FROM posting_rule r WHERE r.book_id = a.book_id AND r.leg = 'bank'
            AND r.account_number = a.number AND r.valid_from <= :last)
        AND NOT EXISTS (SELECT FROM balance_assertion s WHERE s.account_id = a.account_id
            AND s.currency = d.currency AND s.party_id IS NULL AND s.effective_date = :last)
    GROUP BY a.account_id, a.number, d.currency ORDER BY a.number, d.currency"""
_SUB_LEDGERS = """
    SELECT a.number, x.currency, x.items, x.balance
    FROM (SELECT account_id, currency, coalesce(i.amount, 0)::bigint AS items,
            coalesce(l.amount, 0)::bigint AS balance
    FROM (SELECT account_id, currency, sum(debit_minor - credit_minor) AS amount
        FROM balance_delta WHERE effective_date <= :last GROUP BY 1, 2) l
    FULL JOIN (
        SELECT i.account_id, i.currency, sum(i.original_minor - sign(i.original_minor)
            * coalesce(u.used, 0)) AS amount
        FROM open_item i LEFT JOIN (
            SELECT item, sum(amount_minor) AS used FROM (
                SELECT credit_item_id AS item, amount_minor FROM allocation
                WHERE effective_date <= :last
                UNION ALL SELECT debit_item_id, amount_minor FROM allocation
                WHERE effective_date <= :last) s GROUP BY item) u ON u.item = i.open_item_id
        WHERE i.effective_date <= :last GROUP BY 1, 2) i USING (account_id, currency)) x
    JOIN account a USING (account_id) JOIN book k USING (book_id)
    WHERE k.code = :book AND a.open_item ORDER BY a.number, x.currency"""
_SUSPENSE = """
    SELECT a.number, a.name, d.currency, sum(d.debit_minor - d.credit_minor)::bigint AS balance
    FROM balance_delta d JOIN account a USING (account_id) JOIN book k ON k.book_id = a.book_id
    WHERE k.code = :book AND d.effective_date <= :last AND EXISTS (
        SELECT FROM posting_rule r WHERE r.book_id = a.book_id AND r.account_number = a.number
            AND r.leg IN ('clearing', 'unallocated', 'suspense') AND r.valid_from <= :last)
    GROUP BY a.number, a.name, d.currency HAVING sum(d.debit_minor - d.credit_minor) <> 0
    ORDER BY a.number, d.currency"""
# A failed job does not count once the same work was done by a later one.
_REQUESTS = """
    SELECT 'posting request' AS what, r.request_id AS number, 'pending' AS state,
        to_char(r.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') AS since
    FROM posting_request r JOIN book k USING (book_id)
    WHERE k.code = :book AND NOT EXISTS (SELECT FROM posting_request_step s
        WHERE s.request_id = r.request_id AND s.is_last)
    UNION ALL
    SELECT 'job ' || j.task_name, j.id,
        CASE j.status WHEN 'failed' THEN 'failed' ELSE 'pending' END, ''
    FROM procrastinate_jobs j
    WHERE j.status IN ('todo', 'doing', 'failed') AND j.task_name <> ALL (:periodic)
        AND NOT EXISTS (SELECT FROM procrastinate_jobs n WHERE n.task_name = j.task_name
            AND n.args = j.args AND n.id > j.id AND n.status = 'succeeded')
    ORDER BY 1, 2"""
_UNSEALED = """
    SELECT u.batch_id FROM ledger_unsealed_batches() u
    JOIN posting_batch b USING (batch_id) JOIN book k ON k.book_id = b.book_id
    WHERE k.code = :book AND b.first_date <= :last AND b.last_date >= :first
    ORDER BY u.batch_id"""
_PREVIOUS = """
    SELECT p.code FROM period p JOIN book k USING (book_id)
    WHERE k.code = :book AND p.ends_on = :first AND coalesce((
        SELECT CASE WHEN e.level = 'open' AND e.expires_at <= now() THEN 'soft' ELSE e.level END
        FROM period_lock_event e WHERE e.book_id = p.book_id AND e.period_code = p.code
            AND e.module = 'GL' ORDER BY e.lock_event_id DESC LIMIT 1), 'open') = 'open'"""
