"""The statement of an account or a party: pages of lines, each with the balance after it.

Lines have no index by account: it would cost more than all their other indexes together. The deltas
have one, and say in which batch and on which day an account has how many lines; a page reads those
batches alone. The balance before a page is the turnover before its first day, the deltas of that
day and a part of one batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from ledger.cursors import read_cursor, write_cursor
from ledger.errors import Conflict
from ledger.journal import Voucher
from ledger.refusals import UnknownAccount
from ledger.service.clocks import check_span, known_only
from ledger.service.reading.turnover import turnover

PAGE = 100
PAGE_MAX = 1000


class StatementMoved(Conflict):
    """Something was posted before the place that a cursor names: its balance is another now.

    Raise as: "Account 1500 was posted to before this page. Start again, or give known_as_of.".
    """

    title = "Statement has changed before this page"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A line of an account with the balance after it, per currency. [minor units]"""

    entry_id: int
    line_no: int
    voucher: Voucher
    effective_date: date
    text: str
    party_id: int | None
    currency: str
    amount_minor: int
    balance_minor: int
    account: str


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Consecutive lines, oldest first, between two balances per currency.

    `account` is None on the statement of a party, which spans its control accounts.
    `next_cursor` leads on in the direction that was asked for; None at the end.
    """

    account: str | None
    name: str
    opening_minor: Mapping[str, int]
    lines: tuple[StatementLine, ...]
    closing_minor: Mapping[str, int]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The arguments of one statement, as its cursors know them."""

    accounts: tuple[int, ...]
    party_id: int | None
    first_day: date | None
    effective_as_of: date | None
    known_as_of: int | None
    newest: bool

    def bound(self) -> dict[str, Any]:
        """Bind the arguments for SQL; days without limit are far away."""
        return {
            "accounts": list(self.accounts), "party": self.party_id, "known": self.known_as_of,
            "first": self.first_day or date.min, "last": self.effective_as_of or date.max,
        }  # fmt: skip


# (day, entry, line number): the order of a statement.
_Place = tuple[date, int, int]


def account_statement(
    session: Session,
    book: str,
    account: str,
    *,
    first_day: date | None = None,
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
    party_id: int | None = None,
    after: str | None = None,
    limit: int = PAGE,
    newest: bool = False,
    frozen: int | None = None,
) -> StatementPage:
    """Give a page of an account's lines in order of (date, entry, line).

    Parameters
    ----------
    first_day, effective_as_of : both days are included; None is without limit.
    party_id : only lines of this party, and the balance of this party.
    after : the cursor of the page before; it must come with the same other arguments.
    limit : lines of a page, 1 to 1000.
    newest : begin with the last page and go back in time; each page is still oldest first.
    frozen : the position at which the next page is to be read, where all is sealed now: this page
        reads the same at once without looking for it.

    Raises
    ------
    UnknownAccount, NotYetKnown
    Invalid : the last day lies before the first.
    CursorInvalid : the cursor is of another statement.
    StatementMoved : lines were added before the cursor's place, so that the pages would not add
        up; never with `known_as_of`.
    """
    account_id, name = find_account(session, book, account)
    wanted = _Wanted((account_id,), party_id, first_day, effective_as_of, known_as_of, newest)
    return _page(session, book, wanted, account, name, after, limit, frozen)


def customer_statement(
    session: Session,
    book: str,
    party_id: int,
    *,
    first_day: date | None = None,
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
    after: str | None = None,
    limit: int = PAGE,
    newest: bool = False,
    frozen: int | None = None,
) -> StatementPage:
    """Give a page of what a party was charged and has paid: its lines on all control accounts.

    Arguments and refusals are those of `account_statement`.
    """
    accounts = session.scalars(
        text(
            "SELECT account_id FROM account JOIN book USING (book_id)"
            " WHERE code = :book AND is_control AND open_item ORDER BY account_id"
        ),
        {"book": book},
    )
    wanted = _Wanted(tuple(accounts), party_id, first_day, effective_as_of, known_as_of, newest)
    return _page(session, book, wanted, None, "", after, limit, frozen)


def _page(
    session: Session, book: str, wanted: _Wanted, account: str | None, name: str,
    after: str | None, limit: int, frozen: int | None,
) -> StatementPage:  # fmt: skip
    """Read a page, and hold it against the balance that its cursor carries."""
    check_span(wanted.first_day, wanted.effective_as_of)
    place, carried = _read(after, wanted)
    limit = max(1, min(limit, PAGE_MAX))
    rows = _rows(session, wanted, place, limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    if wanted.newest:
        rows.reverse()
    first = (rows[0].effective_date, rows[0].entry_id, rows[0].line_no) if rows else None
    opening = _balance_before(session, book, wanted, first)
    lines, closing = _run(opening, rows)
    met = closing if wanted.newest else opening
    if carried is not None and carried != _nonzero(met):
        raise StatementMoved(
            f"{f'Party {wanted.party_id}' if account is None else f'Account {account}'} was posted "
            "to before the place of this cursor. Start again without it, or give known_as_of so "
            "that the pages stay what they were.",
            account=account,
            party_id=wanted.party_id,
        )
    cursor = None
    if more:
        ahead = (lines[0], opening) if wanted.newest else (lines[-1], closing)
        bound_to = wanted if frozen is None else replace(wanted, known_as_of=frozen)
        cursor = _write(*ahead, bound_to)
    return StatementPage(account, name, opening, lines, closing, cursor)


def find_account(session: Session, book: str, account: str) -> tuple[int, str]:
    """Give the id and the name of an account by its number. Raises `UnknownAccount`."""
    found = session.execute(
        text(
            "SELECT account_id, name FROM account JOIN book USING (book_id)"
            " WHERE code = :book AND number = :account"
        ),
        {"book": book, "account": account},
    ).first()
    if found is None:
        raise UnknownAccount(f"Book {book} has no account {account}.", account=account)
    return int(found[0]), str(found[1])


def _rows(session: Session, wanted: _Wanted, place: _Place | None, limit: int) -> list[Row[Any]]:
    """Read the lines beyond a place in the direction that is wanted, at most `limit`."""
    beyond, ordered = ("<", "DESC") if wanted.newest else (">", "ASC")
    order = f"ORDER BY effective_date {ordered}, entry_id {ordered}, line_no {ordered}"
    bound = {**wanted.bound(), "n": limit}
    passed = ""
    if place is not None:
        bound |= {"day": place[0], "entry": place[1], "line": place[2]}
        passed = f"AND (l.effective_date, l.entry_id, l.line_no) {beyond} (:day, :entry, :line)"
    if wanted.party_id is None:
        spans = _spans(session, wanted, place, limit)
        bound |= {"days": [s[0] for s in spans], "lows": [s[1] for s in spans]}
        bound["highs"] = [s[2] for s in spans]
        source = (
            "unnest(CAST(:days AS date[]), CAST(:lows AS bigint[]), CAST(:highs AS bigint[]))"
            "  AS span (day, low, high) CROSS JOIN LATERAL (SELECT * FROM journal_line l"
            "   WHERE l.effective_date = day AND l.entry_id >= low AND l.entry_id < high"
            f"   AND l.account_id = ANY (:accounts) {passed} {order} LIMIT :n) l"
        )
    else:
        source = (
            "journal_line l WHERE l.party_id = CAST(:party AS bigint)"
            " AND l.account_id = ANY (:accounts)"
            " AND l.effective_date >= :first AND l.effective_date <= :last"
            f" {passed}{known_only(session, 'l.entry_id >> 20', wanted.known_as_of)}"
        )
    return list(
        session.execute(
            text(
                "SELECT l.entry_id, l.line_no, s.code, e.fiscal_year, e.voucher_no,"
                " l.effective_date, coalesce(l.text, e.text) AS text, l.party_id, l.currency,"
                f" l.amount_minor, a.number FROM (SELECT l.* FROM {source} {order} LIMIT :n) l"
                " JOIN journal_entry e USING (entry_id) JOIN voucher_series s USING (series_id)"
                " JOIN account a ON a.account_id = l.account_id"
                f" {order.replace('effective_date', 'l.effective_date')}"
            ),
            bound,
        )
    )


def _spans(
    session: Session, wanted: _Wanted, place: _Place | None, limit: int
) -> list[tuple[date, int, int]]:
    """Find by deltas where the next lines lie: per span its day and its range of entry ids.

    A delta stands for at least one line, so `limit` deltas beyond the place are always enough;
    the batch of the place itself is read from the place on.
    """
    spans: list[tuple[date, int, int]] = []
    bound = {**wanted.bound(), "n": limit}
    beyond, ordered = ("<", "DESC") if wanted.newest else (">", "ASC")
    passed = ""
    if place is not None:
        day, entry_id, _ = place
        low, high = (entry_id >> 20) << 20, ((entry_id >> 20) + 1) << 20
        spans.append((day, low, entry_id + 1) if wanted.newest else (day, entry_id, high))
        bound |= {"day": day, "batch": entry_id >> 20}
        bound["last" if wanted.newest else "first"] = day
        passed = f"AND (effective_date, batch_id) {beyond} (:day, :batch)"
    found = session.execute(
        text(
            "SELECT effective_date, batch_id, line_count FROM balance_delta"
            " WHERE account_id = ANY (:accounts) AND effective_date >= :first"
            f" AND effective_date <= :last {passed}"
            f" {known_only(session, 'batch_id', wanted.known_as_of)}"
            f" ORDER BY effective_date {ordered}, batch_id {ordered} LIMIT :n"
        ),
        bound,
    )
    lines = 0
    for day, batch_id, line_count in found:
        span = (day, batch_id << 20, (batch_id + 1) << 20)
        # Deltas of one batch and day, one per dimension set, are one span.
        if not spans or span != spans[-1]:
            if lines >= limit:
                break
            spans.append(span)
        lines += line_count
    return spans


def _balance_before(
    session: Session, book: str, wanted: _Wanted, first: _Place | None
) -> dict[str, int]:
    """Sum what lies before a line, or where there is none before the first day, per currency."""
    bound = {**wanted.bound(), "day": wanted.first_day or date.min, "entry": 0, "line": 0}
    if first is not None:
        bound |= {"day": first[0], "entry": first[1], "line": first[2]}
    known = wanted.known_as_of
    if wanted.party_id is not None:
        summed = (
            "SELECT currency, amount_minor AS amount FROM journal_line"
            " WHERE party_id = CAST(:party AS bigint)"
            " AND account_id = ANY (:accounts) AND effective_date <= :day"
            " AND (effective_date, entry_id, line_no) < (:day, :entry, :line)"
            f" {known_only(session, 'entry_id >> 20', known)}"
        )
    elif bound["day"] == date.min:
        return {}
    else:
        earlier = turnover(
            session, book, None, bound["day"] - timedelta(1), known,
            condition=" AND account_id = ANY (:accounts)",
        )  # fmt: skip
        bound |= earlier.bound
        summed = (
            f"SELECT currency, debit_minor - credit_minor AS amount FROM ({earlier.sql}) t"
            " UNION ALL SELECT currency, debit_minor - credit_minor FROM balance_delta"
            " WHERE account_id = ANY (:accounts) AND effective_date = :day"
            f" AND batch_id < CAST(:entry AS bigint) >> 20 {known_only(session, 'batch_id', known)}"
            " UNION ALL SELECT currency, amount_minor FROM journal_line"
            " WHERE account_id = ANY (:accounts) AND effective_date = :day"
            " AND entry_id >= (CAST(:entry AS bigint) >> 20) << 20"
            " AND (entry_id, line_no) < (:entry, :line)"
        )
    rows = session.execute(
        text(f"SELECT currency, sum(amount)::bigint AS minor FROM ({summed}) s GROUP BY currency"
             " ORDER BY currency"), bound
    )  # fmt: skip
    return {row.currency: row.minor for row in rows}


def _run(
    opening: Mapping[str, int], rows: Sequence[Row[Any]]
) -> tuple[tuple[StatementLine, ...], dict[str, int]]:
    """Run the balance per currency down the page; gives the lines and what they end at."""
    balance = dict(opening)
    lines = []
    for row in rows:
        after = balance[row.currency] = balance.get(row.currency, 0) + row.amount_minor
        voucher = Voucher(row.code, row.fiscal_year, row.voucher_no)
        lines.append(
            StatementLine(
                row.entry_id, row.line_no, voucher, row.effective_date, row.text, row.party_id,
                row.currency, row.amount_minor, after, row.number,
            )
        )  # fmt: skip
    return tuple(lines), balance


def _write(at: StatementLine, balance: Mapping[str, int], wanted: _Wanted) -> str:
    place = (at.effective_date.isoformat(), at.entry_id, at.line_no)
    sums: list[str | int] = [part for pair in _nonzero(balance).items() for part in pair]
    return write_cursor([*place, *sums], _arguments(wanted))


def _read(after: str | None, wanted: _Wanted) -> tuple[_Place | None, dict[str, int] | None]:
    """Read a cursor: the place, and the balance there as it was. Raises `CursorInvalid`."""
    if after is None:
        return None, None
    day, entry_id, line_no, *sums = read_cursor(after, _arguments(wanted))
    carried = {str(sums[n]): int(str(sums[n + 1])) for n in range(0, len(sums), 2)}
    return (date.fromisoformat(str(day)), int(str(entry_id)), int(str(line_no))), carried


def _arguments(wanted: _Wanted) -> dict[str, object]:
    return {"list": "statement", **wanted.bound(), "newest": wanted.newest}


def _nonzero(balance: Mapping[str, int]) -> dict[str, int]:
    return {currency: minor for currency, minor in sorted(balance.items()) if minor}
