"""Hold conditions against the books, inside the transaction that posts.

Two posts with a condition on the same party, item or series go one after the other: each takes a
lock named after it before it looks, all of them in one order, and holds it to its commit. What is
posted without conditions meanwhile is met by looking a second time, when the post is in place but
for its own part; a number of a series is then the very one that the post was given.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.conditions import (
    Condition,
    ItemOutstanding,
    LastVoucher,
    PartyBalance,
    is_met,
    not_met,
)
from ledger.refusals import UnknownAccount, UnknownOpenItem, UnknownSeries


def lock_conditions(session: Session, wanted: Iterable[tuple[str, Condition]]) -> None:
    """Take the locks of conditions, each given with its book, in one order; held to the commit."""
    names = sorted({f"{book}/{_subject(condition)}" for book, condition in wanted})
    if names:
        session.execute(text(_LOCK), {"names": names})


def check_conditions(
    session: Session, book: str, conditions: Sequence[Condition], whose: str, but: int | None = None
) -> None:
    """Refuse a post whose conditions the books do not meet; take their locks first.

    Parameters
    ----------
    whose : who demands it, as the refusal begins.
    but : a batch that does not count, the post's own; its numbers follow the last one.

    Raises
    ------
    ConditionsNotMet : with what the books say, for all that are not met.
    UnknownAccount, UnknownOpenItem, UnknownSeries : the book has no such thing to be held to.
    """
    found = [(condition, _actual(session, book, condition, but)) for condition in conditions]
    unmet = [(condition, actual) for condition, actual in found if not is_met(condition, actual)]
    if unmet:
        raise not_met(whose, unmet)


def _subject(condition: Condition) -> str:
    if isinstance(condition, PartyBalance):
        return f"party/{condition.party_id}"
    if isinstance(condition, ItemOutstanding):
        return f"item/{condition.open_item_id}"
    return f"series/{condition.series}/{condition.year}"


def _actual(session: Session, book: str, condition: Condition, but: int | None) -> int:
    facts = {"book": book, "but": but}
    if isinstance(condition, PartyBalance):
        facts |= {"party": condition.party_id, "account": condition.account,
                  "currency": condition.currency}  # fmt: skip
        found = session.execute(text(_BALANCE), facts).scalar_one_or_none()
        if found is None:
            raise UnknownAccount(f"Book {book} has no account {condition.account}.",
                                 account=condition.account)  # fmt: skip
    elif isinstance(condition, ItemOutstanding):
        facts |= {"item": condition.open_item_id}
        found = session.execute(text(_OUTSTANDING), facts).scalar_one_or_none()
        if found is None:
            raise UnknownOpenItem(f"Book {book} has no open item {condition.open_item_id}.",
                                  open_item=condition.open_item_id)  # fmt: skip
    else:
        facts |= _series(condition)
        found = session.execute(text(_LAST), facts).scalar_one_or_none()
        if found is None:
            raise UnknownSeries(f"Book {book} has no voucher series {condition.series}.",
                                series=condition.series)  # fmt: skip
    return int(found)


def _series(condition: LastVoucher) -> dict[str, str | int | None]:
    return {"series": condition.series, "year": condition.year}


_LOCK = """
    SELECT pg_advisory_xact_lock(lock) FROM (
        SELECT DISTINCT hashtextextended(name, 0) AS lock FROM unnest(CAST(:names AS text[])) name
        ORDER BY lock OFFSET 0) locks"""
_BALANCE = """
    SELECT (SELECT coalesce(sum(l.amount_minor), 0)::bigint FROM journal_line l
        WHERE l.party_id = :party AND l.account_id = a.account_id AND l.currency = :currency
            AND l.entry_id >> 20 IS DISTINCT FROM CAST(:but AS bigint))
    FROM account a JOIN book k USING (book_id) WHERE k.code = :book AND a.number = :account"""
_OUTSTANDING = """
    SELECT (i.original_minor - sign(i.original_minor) * (
        SELECT coalesce(sum(a.amount_minor), 0) FROM allocation a
        WHERE (a.credit_item_id = i.open_item_id OR a.debit_item_id = i.open_item_id)
            AND a.batch_id IS DISTINCT FROM CAST(:but AS bigint)))::bigint
    FROM open_item i JOIN book k USING (book_id)
    WHERE k.code = :book AND i.open_item_id = :item"""
# The post's own numbers are the only ones after its first: it holds the counter.
_LAST = """
    SELECT coalesce(
        (SELECT min(e.voucher_no) - 1 FROM journal_entry e
            WHERE e.entry_id >= CAST(:but AS bigint) << 20
                AND e.entry_id < (CAST(:but AS bigint) + 1) << 20
                AND e.series_id = s.series_id AND e.fiscal_year = :year),
        (SELECT c.last_no FROM voucher_counter c
            WHERE c.series_id = s.series_id AND c.fiscal_year = :year), 0)::bigint
    FROM voucher_series s JOIN book k USING (book_id) WHERE k.code = :book AND s.code = :series"""
