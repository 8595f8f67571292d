"""Open items and their use: what is claimed, what is owed, and what is left of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.refusals import UnknownOpenItem
from ledger.service.clocks import known_only


@dataclass(frozen=True, slots=True)
class OpenItem:
    """A claim (positive) or a credit (negative), and what is left of it. [minor units]"""

    open_item_id: int
    party_id: int | None
    account: str
    kind: str
    document_ref: str
    kid: str | None
    document_date: date
    due_date: date
    currency: str
    original_minor: int
    outstanding_minor: int
    entry_id: int


@dataclass(frozen=True, slots=True)
class AllocationView:
    """The use of a credit item against a debit item; `amount_minor` is negative where undone."""

    allocation_id: int
    credit_item_id: int
    debit_item_id: int
    amount_minor: int
    effective_date: date
    rule: str
    reverses_allocation_id: int | None
    batch_id: int
    created_by: str
    recorded_at: datetime


def open_items(
    session: Session,
    book: str,
    effective_as_of: date | None = None,
    party_id: int | None = None,
    *,
    known_as_of: int | None = None,
    kids: Sequence[str] | None = None,
    accounts: Sequence[str] | None = None,
    settled: bool = False,
) -> list[OpenItem]:
    """List items with what is outstanding at the end of a day, of what is known at a position.

    Parameters
    ----------
    effective_as_of, known_as_of : the two clocks; None is everything recorded.
    kids, accounts : only items with one of these KIDs, on one of these accounts.
    settled : also list items of which nothing is left.

    Returns
    -------
    list of OpenItem, by id. Their outstanding sums, per account, to the balance of the account.

    Raises
    ------
    NotYetKnown
    """
    # Few items: look up the use of each. All items: sum every allocation once.
    used = USED_OF_EACH if party_id is not None or kids is not None else _USED
    used = used.replace("{known}", known_only(session, "batch_id", known_as_of))
    known = known_only(session, "i.open_item_id >> 20", known_as_of)
    rows = session.execute(
        text(
            f"SELECT * FROM (SELECT {ITEM_COLUMNS} FROM open_item i {used}"
            "  JOIN account a USING (account_id) JOIN book b ON b.book_id = i.book_id"
            "  WHERE b.code = :book"
            f"  AND i.effective_date <= coalesce(CAST(:day AS date), 'infinity'){known}"
            "  AND (CAST(:party AS bigint) IS NULL OR i.party_id = :party)"
            "  AND (CAST(:kids AS text[]) IS NULL OR i.kid = ANY (:kids))"
            "  AND (CAST(:accounts AS text[]) IS NULL OR a.number = ANY (:accounts))) x"
            " WHERE :settled OR outstanding <> 0 ORDER BY open_item_id"
        ),
        {
            "book": book, "day": effective_as_of, "known": known_as_of, "party": party_id,
            "settled": settled,
            "kids": None if kids is None else list(kids),
            "accounts": None if accounts is None else list(accounts),
        },
    )  # fmt: skip
    return [OpenItem(*row) for row in rows]


ITEM_COLUMNS = (
    "i.open_item_id, i.party_id, a.number, i.kind, i.document_ref, i.kid, i.document_date,"
    " i.due_date, i.currency, i.original_minor,"
    " (i.original_minor - sign(i.original_minor) * coalesce(u.used, 0))::bigint AS outstanding,"
    " i.entry_id"
)
# What has been used of each item: an allocation counts once on each side. {known} is for the caller
# to fill in, :day for the caller to bind.
_USED = (
    "LEFT JOIN (SELECT item, sum(amount_minor) AS used FROM ("
    "  SELECT credit_item_id AS item, amount_minor FROM allocation"
    "  WHERE effective_date <= coalesce(CAST(:day AS date), 'infinity'){known} UNION ALL"
    "  SELECT debit_item_id, amount_minor FROM allocation"
    "  WHERE effective_date <= coalesce(CAST(:day AS date), 'infinity'){known}) s GROUP BY item) u"
    " ON u.item = i.open_item_id"
)
USED_OF_EACH = (
    "CROSS JOIN LATERAL (SELECT sum(amount_minor) AS used FROM ("
    "  SELECT amount_minor, effective_date, batch_id FROM allocation"
    "  WHERE credit_item_id = i.open_item_id UNION ALL"
    "  SELECT amount_minor, effective_date, batch_id FROM allocation"
    "  WHERE debit_item_id = i.open_item_id) s"
    "  WHERE effective_date <= coalesce(CAST(:day AS date), 'infinity'){known}) u"
)


def free_items(
    session: Session, book: str, open_item_ids: Sequence[int], day: date
) -> list[OpenItem]:
    """Give items with what may be used of each from a day on, whatever is known by now.

    What is used on a later day is not free before it, also where that use was undone again.

    Returns
    -------
    list of OpenItem, by id, of those that exist on the day and have something free;
    `outstanding_minor` is what is free.
    """
    columns = ITEM_COLUMNS.replace("AS outstanding", "AS free")
    rows = session.execute(
        text(
            f"SELECT * FROM (SELECT {columns} FROM open_item i {_MOST_USED}"
            "  JOIN account a USING (account_id) JOIN book b ON b.book_id = i.book_id"
            "  WHERE b.code = :book AND i.open_item_id = ANY (:items)"
            "  AND i.effective_date <= :day) x WHERE free <> 0 ORDER BY open_item_id"
        ),
        {"book": book, "day": day, "items": list(open_item_ids)},
    )
    return [OpenItem(*row) for row in rows]


# The most that is used of each item on any day from :day on.
_MOST_USED = (
    "CROSS JOIN LATERAL (SELECT max(used) AS used FROM ("
    "  SELECT sum(sum(amount_minor)) OVER (ORDER BY greatest(effective_date, :day)) AS used FROM ("
    "   SELECT amount_minor, effective_date FROM allocation"
    "   WHERE credit_item_id = i.open_item_id UNION ALL"
    "   SELECT amount_minor, effective_date FROM allocation"
    "   WHERE debit_item_id = i.open_item_id) s"
    "  GROUP BY greatest(effective_date, :day)) t) u"
)


def allocations_of(
    session: Session,
    open_item_id: int,
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
) -> list[AllocationView]:
    """List the allocations that an item takes part in, on either side, oldest first.

    Raises `NotYetKnown`.
    """
    rows = session.execute(
        text(
            f"{ALLOCATIONS} WHERE (credit_item_id = :item OR debit_item_id = :item)"
            " AND effective_date <= coalesce(CAST(:day AS date), 'infinity')"
            f"{known_only(session, 'batch_id', known_as_of)} ORDER BY allocation_id"
        ),
        {"item": open_item_id, "day": effective_as_of, "known": known_as_of},
    )
    return [AllocationView(*row) for row in rows]


ALLOCATIONS = (
    "SELECT allocation_id, credit_item_id, debit_item_id, amount_minor, effective_date, rule,"
    " reverses_allocation_id, batch_id, created_by, recorded_at"
    " FROM allocation x JOIN posting_batch USING (batch_id)"
)


def require_item(session: Session, book: str, open_item_id: int) -> None:
    """Raise `UnknownOpenItem` unless the book has this item: it would seem never used."""
    found = session.scalar(
        text(
            "SELECT count(*) FROM open_item JOIN book USING (book_id)"
            " WHERE code = :book AND open_item_id = :item"
        ),
        {"book": book, "item": open_item_id},
    )
    if not found:
        raise UnknownOpenItem(
            f"Book {book} has no open item {open_item_id}.", open_item=open_item_id
        )


def control_balance(
    session: Session,
    book: str,
    accounts: Sequence[str],
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
) -> int:
    """Sum the balances of accounts from the journal's lines, not from items. [minor units]

    The other side of "open items equal the control account": an independent source. Raises
    `NotYetKnown`.
    """
    return int(
        session.scalar(
            text(
                "SELECT coalesce(sum(l.amount_minor), 0) FROM journal_line l"
                " JOIN account a USING (account_id) JOIN book b USING (book_id)"
                " WHERE b.code = :book AND a.number = ANY (:accounts)"
                " AND l.effective_date <= coalesce(CAST(:day AS date), 'infinity')"
                f"{known_only(session, 'l.entry_id >> 20', known_as_of)}"
            ),
            {
                "book": book,
                "accounts": list(accounts),
                "day": effective_as_of,
                "known": known_as_of,
            },
        )
        or 0
    )
