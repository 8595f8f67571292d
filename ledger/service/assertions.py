"""Balance assertions: what somebody outside says an account must be, and whether it is."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.errors import Conflict
from ledger.refusals import UnknownAccount
from ledger.service.books import require_book
from ledger.service.clocks import known_only


class AssertionDiffers(Conflict):
    """The same source has asserted another balance of that day.

    Raise as: f"{source} has said {amount} for {account} on {day}. Name another source.".
    """

    title = "Another balance was asserted"


@dataclass(frozen=True, slots=True)
class Assertion:
    """The balance an account, or a party on it, must have at the end of a day; debit positive."""

    account: str
    currency: str
    effective_date: date
    expected_minor: int
    source: str  # who says so: a bank statement, a bill run, a mediation total
    party_id: int | None = None


@dataclass(frozen=True, slots=True)
class AssertionCheck:
    """An assertion beside the books."""

    assertion: Assertion
    actual_minor: int

    @property
    def difference_minor(self) -> int:
        """Give what the books have more than was asserted. [minor units]"""
        return self.actual_minor - self.assertion.expected_minor


def assert_balance(session: Session, book: str, assertion: Assertion, *, actor: str) -> None:
    """Record an assertion; the same one twice is recorded once.

    Raises `UnknownBook`, `UnknownAccount`, or `AssertionDiffers`.
    """
    require_book(session, book)
    facts = {"book": book, "actor": actor,
             **{name: getattr(assertion, name) for name in Assertion.__slots__}}  # fmt: skip
    session.execute(text(_INSERT), facts)
    stored = session.scalar(text(_STORED), facts)
    if stored is None:
        raise UnknownAccount(f"Book {book} has no account {assertion.account}.",
                             account=assertion.account)  # fmt: skip
    if stored != assertion.expected_minor:
        raise AssertionDiffers(
            f"{assertion.source} has said {stored} minor units for {assertion.account} on "
            f"{assertion.effective_date}. Name another source for another figure."
        )


def check_assertions(
    session: Session,
    book: str,
    first_day: date | None = None,
    last_day: date | None = None,
    known_as_of: int | None = None,
) -> list[AssertionCheck]:
    """Compare the assertions of a span of days, both included, with the books, in order of days.

    All that was asserted is listed; the books are read as they were known at the position. Raises
    `UnknownBook`, `NotYetKnown`.
    """
    require_book(session, book)
    check = _CHECK.format(
        known_deltas=known_only(session, "d.batch_id", known_as_of),
        known_lines=known_only(session, "l.entry_id >> 20", known_as_of),
    )
    rows = session.execute(
        text(check),
        {"book": book, "first": first_day, "last": last_day, "known": known_as_of},
    )
    return [
        AssertionCheck(Assertion(r.number, r.currency, r.effective_date, r.expected_minor,
                                 r.source, r.party_id), int(r.actual))
        for r in rows
    ]  # fmt: skip


_INSERT = """
    INSERT INTO balance_assertion (account_id, party_id, currency, effective_date, expected_minor,
        source, actor)
    SELECT a.account_id, :party_id, :currency, :effective_date, :expected_minor, :source, :actor
    FROM account a JOIN book b USING (book_id) WHERE b.code = :book AND a.number = :account
    ON CONFLICT DO NOTHING"""
_STORED = """
    SELECT s.expected_minor FROM balance_assertion s
    JOIN account a USING (account_id) JOIN book b USING (book_id)
    WHERE b.code = :book AND a.number = :account AND s.currency = :currency
    AND s.effective_date = :effective_date AND s.source = :source
    AND s.party_id IS NOT DISTINCT FROM CAST(:party_id AS bigint)"""
# An account is summed from its deltas, a party from its lines on the account.
_CHECK = """
    SELECT a.number, s.party_id, s.currency, s.effective_date, s.expected_minor, s.source,
        coalesce(CASE WHEN s.party_id IS NULL THEN (
            SELECT sum(d.debit_minor - d.credit_minor) FROM balance_delta d
            WHERE d.account_id = s.account_id AND d.currency = s.currency
                AND d.effective_date <= s.effective_date{known_deltas})
        ELSE (
            SELECT sum(l.amount_minor) FROM journal_line l
            WHERE l.party_id = s.party_id AND l.account_id = s.account_id
                AND l.currency = s.currency
                AND l.effective_date <= s.effective_date{known_lines})
        END, 0) AS actual
    FROM balance_assertion s JOIN account a USING (account_id) JOIN book b USING (book_id)
    WHERE b.code = :book
    AND s.effective_date >= coalesce(CAST(:first AS date), '-infinity')
    AND s.effective_date <= coalesce(CAST(:last AS date), 'infinity')
    ORDER BY s.effective_date, a.number, s.assertion_id"""
