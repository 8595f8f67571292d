"""What billing and mediation add to the checks of a month's close; wired in app.py."""

from dataclasses import asdict
from datetime import date
from functools import partial

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.closing import Finding, PeriodCheck, Scope, found
from ledger.money import format_amount
from mediation import service as mediation


def _unbilled(session: Session, scope: Scope) -> Finding:
    """Charges that no invoice covers, beside account 1530; one statement, so of one moment.

    They are equal whatever the day, so what other months post meanwhile does not matter.
    """
    row = session.execute(
        text(_UNBILLED), {"book": scope.book, "last": scope.last_day}
    ).one()  # fmt: skip
    figures = {
        "charges": format_amount(row.charges), "account": format_amount(row.journal),
        "account_at_month_end": format_amount(row.month_end),
    }  # fmt: skip
    rows = [] if row.charges == row.journal else [figures]
    return found(
        rows, f"Charges not billed are {figures['charges']}, as account 1530 says.",
        f"Charges not billed are {figures['charges']}, account 1530 says {figures['account']}. "
        "Run hovedbok month check, or look for entries on 1530 that no charge explains.",
        state="blocked", **figures,
    )  # fmt: skip


def _suspended(session: Session, scope: Scope) -> Finding:
    """Usage of the month that waits in suspense, and what may be of it: revenue may be among it."""
    waiting = mediation.suspense_of_days(session, "usage", scope.first_day, scope.last_day)
    rows = [asdict(one) for one in waiting]
    records, undated = (
        sum(getattr(one, name) for one in waiting) for name in ("records", "undated")
    )
    told = (
        f"{records} {'record of usage is' if records == 1 else 'records of usage are'} suspended, "
        f"for {len(rows)} {'reason' if len(rows) == 1 else 'reasons'}."
    )
    if undated:
        told += f" When {undated} of them were used cannot be read; they count in every month."
    return found(
        rows, "No usage of the month is suspended.", told, records=records, undated=undated
    )


def _suspended_rows(session: Session, scope: Scope) -> Finding:
    """Rows of orders and lists that were not applied: what they change may be of the month."""
    waiting = mediation.suspense_of_days(session, "orders", scope.first_day, scope.last_day)
    rows = [{"reason": one.reason, "rows": one.records} for one in waiting]
    count = sum(one.records for one in waiting)
    return found(
        rows, "Every row of an order or a list was applied.",
        f"{count} {'row of orders or lists is' if count == 1 else 'rows of orders or lists are'} "
        f"suspended and {'counts' if count == 1 else 'count'} in every month. See them: hovedbok "
        "mediation suspense. Run them again: hovedbok mediation rerun. Correct one, or give it up: "
        "hovedbok mediation correct.",
        count_of_rows=count,
    )  # fmt: skip


def _unbooked(session: Session, scope: Scope) -> Finding:
    """Payments settled in the month that are not booked, since the bank's key names another."""
    rows = [
        {"file_id": row.file_id, "line": row.line_no, "day": row.settlement_date.isoformat(),
         "kid": row.kid or "", "amount": format_amount(row.amount_minor)}
        for row in session.execute(
            text(_UNBOOKED),
            {"book": scope.book, "first": scope.first_day, "last": scope.last_day},
        )
    ]  # fmt: skip
    return found(
        rows, "Every payment of the month is booked.",
        f"{len(rows)} {'payment' if len(rows) == 1 else 'payments'} of the month not booked: an "
        "earlier file has the bank's key for another. Ask the bank; what was paid is posted by "
        "hand.",
    )  # fmt: skip


def _files(session: Session, scope: Scope, kind: str) -> Finding:
    """Files that wait as a whole and may be of the month: nobody has looked at what is in them."""
    waiting = mediation.files_of_days(session, kind, scope.first_day, scope.last_day)
    rows = [
        {**asdict(one), "used_from": _iso(one.used_from), "used_to": _iso(one.used_to)}
        for one in waiting
    ]
    undated = sum(one.used_from is None for one in waiting)
    records = sum(one.records for one in waiting)
    told = (
        f"{len(rows)} {_KINDS[kind]} {'file waits' if len(rows) == 1 else 'files wait'} as a whole"
    )
    told += f", with {records} records. " if kind == "usage" else ". "
    told += "Take in the whole copy, or give it up with hovedbok mediation reverse."
    if lost := sum(one.has_no_place for one in waiting):
        told += f" The first line of {lost} cannot be read: give it up once its whole copy is in."
    if undated:
        told += f" The month of {undated} cannot be read: counted in every month."
    return found(
        rows, f"No {_KINDS[kind]} file of the month waits as a whole.", told, undated=undated
    )


def _refused(session: Session, scope: Scope) -> Finding:
    """Files that were refused for what lies with us and are not taken in since.

    They hold up every month: the one that they are of may be the one whose close refused them.
    """
    del scope
    rows = [
        {"refused_file_id": one.refused_file_id, "name": one.name, "book": one.book,
         "reason": one.reason, "detail": one.detail}
        for one in mediation.refused_files(session)
    ]  # fmt: skip
    count = "1 file was" if len(rows) == 1 else f"{len(rows)} files were"
    return found(
        rows, "Every file that was refused has been taken in.",
        f"{count} refused for what lies with us, and nothing of it is booked. Put that right and "
        "take it in again, or give it up: hovedbok mediation give-up.",
    )  # fmt: skip


_KINDS = {"usage": "usage", "orders": "order", "payments": "payment"}  # as sentences name them


def _iso(day: date | None) -> str:
    return "any day" if day is None else day.isoformat()


UNBILLED = PeriodCheck("unbilled", "Charges not billed and account 1530", _unbilled)
SUSPENDED = PeriodCheck("usage", "Usage in suspense", _suspended)
ORDER_ROWS = PeriodCheck("order_rows", "Rows of orders in suspense", _suspended_rows)
UNBOOKED = PeriodCheck("payments", "Payments that are not booked", _unbooked)
FILES = PeriodCheck(
    "usage_files", "Usage files that wait as a whole", partial(_files, kind="usage")
)
ORDERS = PeriodCheck(
    "order_files", "Order files and lists that wait as a whole", partial(_files, kind="orders")
)
PAYMENTS = PeriodCheck(
    "payment_files", "Payment files that wait as a whole", partial(_files, kind="payments")
)
REFUSED = PeriodCheck("refused_files", "Files refused for what lies with us", _refused)

_UNBOOKED = """
    SELECT file_id, line_no, settlement_date, kid, amount_minor FROM bank_payment
    WHERE book = :book AND reason = 'key_conflict'
        AND settlement_date BETWEEN :first AND :last ORDER BY file_id, line_no"""
_UNBILLED = """
    WITH held AS (
        SELECT d.effective_date, d.base_debit_minor - d.base_credit_minor AS minor
        FROM balance_delta d JOIN account a USING (account_id)
        JOIN book k ON k.book_id = a.book_id WHERE k.code = :book AND a.number = '1530')
    SELECT (SELECT coalesce(sum(d.minor_net), 0) FROM charge_delta d
            JOIN charge_key k USING (charge_key_id) WHERE k.book_code = :book
            AND NOT EXISTS (SELECT FROM invoice_charge i
                WHERE i.charge_key_id = k.charge_key_id))::bigint AS charges,
        (SELECT coalesce(sum(minor), 0) FROM held)::bigint AS journal,
        (SELECT coalesce(sum(minor), 0) FROM held
            WHERE effective_date <= :last)::bigint AS month_end"""
