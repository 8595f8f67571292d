"""The chart of accounts: opened, named, closed; every state it has had can be read again."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.errors import Conflict
from ledger.refusals import UnknownAccount
from ledger.service.audit import tell_audit
from ledger.service.books import require_book
from ledger.service.refused import translated
from ledger.service.turns import take_turn


class AccountTaken(Conflict):
    """The chart has an account of this number; numbers are never given twice.

    Raise as: f"The chart of {book} has an account {number}: {name}. Choose another number.".
    """

    title = "Account number is taken"


@dataclass(frozen=True, slots=True)
class ChartAccount:
    """An account as it is, or was on a day."""

    number: str
    name: str
    account_class: str  # A assets, L liabilities, Q equity, I income, E expenses, D disposal
    currency: str | None
    is_control: bool
    party_required: bool
    open_item: bool
    manual_post_allowed: bool
    grouping_category: str
    grouping_code: str
    valid_from: date
    valid_to: date | None = None
    version_no: int = 0  # 0: not in the chart yet


@dataclass(frozen=True, slots=True)
class AccountState:
    """One state that an account has had, since when, and by which login of the database."""

    version_no: int
    recorded_at: datetime
    recorded_by: str
    content: dict[str, Any]


def chart_of_accounts(session: Session, book: str, on: date | None = None) -> list[ChartAccount]:
    """List the accounts of a book, or those that are open on a day. Raises `UnknownBook`."""
    require_book(session, book)
    return [ChartAccount(*row) for row in session.execute(text(_CHART), {"book": book, "on": on})]


def account(session: Session, book: str, number: str, *, to_change: bool = False) -> ChartAccount:
    """Give one account. Raises `UnknownBook`, `UnknownAccount`.

    Who reads it to change it has it alone until the transaction ends.
    """
    if to_change:
        take_turn(session, f"account/{book}/{number}")
    for found in chart_of_accounts(session, book):
        if found.number == number:
            return found
    raise UnknownAccount(f"Book {book} has no account {number}.", account=number)


def account_states(session: Session, book: str, number: str) -> list[AccountState]:
    """List what an account has been, the first state first. Raises `UnknownAccount`."""
    rows = session.execute(text(_STATES), {"book": book, "number": number}).all()
    if not rows:
        raise UnknownAccount(f"Book {book} has no account {number}.", account=number)
    return [AccountState(*row) for row in rows]


def open_account(session: Session, book: str, wanted: ChartAccount, *, actor: str) -> None:
    """Add an account to the chart. Raises `AccountTaken`, `UnknownBook`, `UnknownCurrency`."""
    require_book(session, book)
    facts = {name: getattr(wanted, name) for name in ChartAccount.__slots__}
    with translated():
        made = session.execute(text(_OPEN), {"book": book, **facts}).first()
    if made is None:
        known = account(session, book, wanted.number)
        raise AccountTaken(
            f"The chart of {book} has an account {known.number}: {known.name}. Choose another "
            "number.", account=known.number,
        )  # fmt: skip
    tell_audit(session, actor, "account opened", f"{book}/{wanted.number}")


def rename_account(
    session: Session, book: str, number: str, *, actor: str, reason: str,
    name: str | None = None, grouping: tuple[str, str] | None = None,
) -> None:  # fmt: skip
    """Give an account another name or grouping (category, code); what it was stays readable.

    Raises `UnknownBook`, `UnknownAccount`.
    """
    take_turn(session, f"account/{book}/{number}")
    category, code = grouping or (None, None)
    with translated():
        session.execute(
            text("SELECT ledger_name_account(:book, :number, :name, :category, :code, :actor,"
                 " :reason)"),
            {"book": book, "number": number, "name": name, "category": category, "code": code,
             "actor": actor, "reason": reason},
        )  # fmt: skip


def close_account(
    session: Session, book: str, number: str, last_day: date, *, actor: str, reason: str
) -> None:
    """Close an account after a day; it must be empty, and unused from then on.

    Raises `UnknownAccount`, or `AccountInUse` with its balance and the last day it was used.
    """
    take_turn(session, f"account/{book}/{number}")
    with translated():
        session.execute(
            text("SELECT ledger_close_account(:book, :number, :day, :actor, :reason)"),
            {"book": book, "number": number, "day": last_day, "actor": actor, "reason": reason},
        )


_COLUMNS = """a.number, a.name, a.class, a.currency, a.is_control, a.party_required, a.open_item,
    a.manual_post_allowed, a.grouping_category, a.grouping_code, a.valid_from, a.valid_to"""
_CHART = f"""
    SELECT {_COLUMNS}, (SELECT max(version_no) FROM account_version v
        WHERE v.account_id = a.account_id)
    FROM account a JOIN book USING (book_id) WHERE code = :book
    AND (CAST(:on AS date) IS NULL OR (a.valid_from <= :on
        AND (a.valid_to IS NULL OR :on < a.valid_to)))
    ORDER BY a.number"""
_STATES = """
    SELECT v.version_no, v.recorded_at, v.recorded_by, v.content FROM account_version v
    JOIN account a USING (account_id) JOIN book b ON b.book_id = a.book_id
    WHERE b.code = :book AND a.number = :number ORDER BY v.version_no"""
_OPEN = """
    INSERT INTO account (book_id, number, name, class, currency, is_control, party_required,
        open_item, manual_post_allowed, grouping_category, grouping_code, valid_from, valid_to)
    SELECT book_id, :number, :name, :account_class, :currency, :is_control, :party_required,
        :open_item, :manual_post_allowed, :grouping_category, :grouping_code, :valid_from,
        :valid_to
    FROM book WHERE code = :book
    ON CONFLICT (book_id, number) DO NOTHING RETURNING account_id"""
