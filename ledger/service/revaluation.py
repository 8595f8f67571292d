"""Differences of exchange: realised when items are settled, unrealised at the end of a period.

Both are computed as what a balance should be less what it is, so running them again posts nothing.
What an account holds of a currency should be worth the historical amounts of its open items
(realised), or the closing rate (unrealised, on an account of adjustments, reversed the next day).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.exchange import convert
from ledger.journal import BatchDraft, EntryDraft, ItemDraft, Line, Posted
from ledger.service.books import functional_currency, posting_account
from ledger.service.posting import post_batch
from ledger.service.rates import rate_on

SYSTEM = "ledger:exchange"


@dataclass(frozen=True, slots=True)
class Difference:
    """What a holding of a currency is worth more (or less) in the book's own than it is booked."""

    account: str
    party_id: int | None
    currency: str
    difference_minor: int  # in the book's own currency, debit positive


@dataclass(frozen=True, slots=True)
class Revalued:
    """The differences of a day that were posted, or that a dry run would have posted."""

    realised: list[Difference]
    unrealised: list[Difference]


def revalue(
    session: Session, book: str, day: date, *, actor: str, dry_run: bool = False
) -> Revalued:
    """Post what is not posted yet of a day's differences, the realised before the unrealised.

    A dry run posts as well and takes all of it back: what is realised changes what is not, and a
    closed month or a missing rate is told before somebody relies on it.

    Raises `UnknownBook`, `UnknownCurrency`, `UnknownPeriod`, `PeriodClosed`.
    """
    attempt = session.begin_nested()
    settled = realised(session, book, day)
    post_realised(session, book, day, actor=actor)
    held = unrealised(session, book, day)
    post_unrealised(session, book, day, actor=actor)
    if dry_run:
        attempt.rollback()
    else:
        attempt.commit()
    return Revalued(settled, held)


def realised(session: Session, book: str, day: date) -> list[Difference]:
    """Find what settled items in other currencies gained or lost, as of the end of a day."""
    own = functional_currency(session, book)
    rows = session.execute(text(_REALISED), {"book": book, "own": own, "day": day})
    return [Difference(*row) for row in rows]


def post_realised(session: Session, book: str, day: date, *, actor: str) -> Posted | None:
    """Post realised differences of exchange on a day; None where there is nothing to post.

    The difference of each customer and account becomes an item of nothing in the currency, so the
    sub-ledger stays equal to the control account in both currencies. Its counterpart is an amount
    in the book's own only, too: an entry balances in each currency by itself.
    """
    found = realised(session, book, day)
    if not found:
        return None
    ref = f"realised/{book}/{day}/{_turn(session, f'realised/{book}/{day}/')}"
    entries = []
    for number, one in enumerate(found):
        result = _result_account(session, book, "fx_realised", one.difference_minor, day)
        item = ItemDraft("exchange_difference", f"{one.currency}/{day}", None, day, day)
        entries.append(EntryDraft(
            "JNL", day, day, "exchange", f"{ref}/{number}",
            f"Realised difference of exchange, {one.currency}",
            (Line(one.account, 0, one.currency, party_id=one.party_id, item=item,
                  base_minor=one.difference_minor),
             Line(result, 0, one.currency, base_minor=-one.difference_minor)),
        ))  # fmt: skip
    return post_batch(session, BatchDraft(book, SYSTEM, ref, actor, tuple(entries)))


def unrealised(session: Session, book: str, day: date) -> list[Difference]:
    """Value what each account holds of other currencies at the rate of a day.

    What was adjusted for that day already is taken off: only what has changed since is left, and
    all of it goes back where a holding has turned out to be none.

    Raises `UnknownCurrency` where there is no rate on or before the day.
    """
    own = functional_currency(session, book)
    facts = {"book": book, "own": own, "day": day, "system": SYSTEM,
             "ref": f"unrealised/{book}/{day}/"}  # fmt: skip
    adjusted = {said: int(sum_) for said, sum_ in session.execute(text(_ADJUSTED), facts)}
    found = []
    for account, currency, held, booked in session.execute(text(_HELD), facts):
        worth = convert(int(held), rate_on(session, own, currency, day).rate_e8)
        difference = worth - int(booked) - adjusted.pop(f"{account}, {currency}", 0)
        if difference:
            found.append(Difference(account, None, currency, difference))
    for said, left_over in sorted(adjusted.items()):
        account, currency = said.split(", ")
        if left_over:
            found.append(Difference(account, None, currency, -left_over))
    return found


def post_unrealised(session: Session, book: str, day: date, *, actor: str) -> Posted | None:
    """Post unrealised differences at the end of a day, and their reversal on the next.

    The accounts of the holdings are left alone: the adjustment has accounts of its own, by posting
    rule. None where nothing differs. Raises `UnknownCurrency`, `PeriodClosed`.
    """
    found = unrealised(session, book, day)
    if not found:
        return None
    own = functional_currency(session, book)
    lines: list[Line] = []
    for one in found:
        side = "asset" if _is_asset(session, book, one.account) else "liability"
        adjustment = posting_account(session, book, "fx_unrealised", side, "*", day)
        result = _result_account(session, book, "fx_unrealised", one.difference_minor, day)
        said = f"{one.account}, {one.currency}"
        lines += [Line(adjustment, one.difference_minor, own, text=said),
                  Line(result, -one.difference_minor, own, text=said)]  # fmt: skip
    back = tuple(Line(x.account, -x.amount_minor, own, text=x.text) for x in lines)
    next_day = day + timedelta(days=1)
    ref = f"unrealised/{book}/{day}/{_turn(session, f'unrealised/{book}/{day}/')}"
    entries = (
        EntryDraft("JNL", day, day, "exchange", f"{ref}/there",
                   "Unrealised differences of exchange", tuple(lines)),
        EntryDraft("JNL", next_day, next_day, "exchange", f"{ref}/back",
                   "Unrealised differences of exchange, taken back", back),
    )  # fmt: skip
    return post_batch(session, BatchDraft(book, SYSTEM, ref, actor, entries))


def _result_account(session: Session, book: str, event: str, difference: int, day: date) -> str:
    return posting_account(session, book, event, "gain" if difference > 0 else "loss", "*", day)


def _turn(session: Session, prefix: str) -> int:
    """Number a run of a day: each that found something has references of its own."""
    found = session.scalar(
        text("SELECT count(*) FROM posting_batch WHERE source_system = :system"
             " AND starts_with(source_ref, :ref)"),
        {"system": SYSTEM, "ref": prefix},
    )  # fmt: skip
    return int(found or 0) + 1


def _is_asset(session: Session, book: str, account: str) -> bool:
    kinds: Sequence[str] = session.scalars(
        text("SELECT class FROM account JOIN book USING (book_id)"
             " WHERE code = :book AND number = :account"),
        {"book": book, "account": account},
    ).all()  # fmt: skip
    return list(kinds) == ["A"]


# What is left of an item is worth its own share of what it was booked at, half away from zero.
_REALISED = """
    WITH item AS (
        SELECT i.account_id, i.party_id, i.currency, i.base_minor, i.original_minor,
            abs(i.original_minor) - coalesce((
                SELECT sum(x.amount_minor) FROM allocation x
                WHERE (x.credit_item_id = i.open_item_id OR x.debit_item_id = i.open_item_id)
                    AND x.effective_date <= :day), 0) AS left_over
        FROM open_item i JOIN book b USING (book_id)
        WHERE b.code = :book AND i.currency <> :own AND i.effective_date <= :day)
    SELECT a.number, party_id, item.currency,
        (sum(CASE WHEN original_minor = 0 THEN 0
            ELSE round(base_minor::numeric * left_over / abs(original_minor)) END)
        - sum(base_minor))::bigint AS difference
    FROM item JOIN account a USING (account_id)
    GROUP BY a.number, party_id, item.currency
    HAVING sum(CASE WHEN original_minor = 0 THEN 0
        ELSE round(base_minor::numeric * left_over / abs(original_minor)) END) <> sum(base_minor)
    ORDER BY a.number, party_id, item.currency"""
# An adjustment that was reversed on its day is none.
_ADJUSTED = """
    WITH adjusting AS (
        SELECT entry_id, effective_date FROM journal_entry
        WHERE source_system = :system AND starts_with(source_ref, :ref))
    SELECT l.text, sum(l.amount_minor) FROM (
        SELECT * FROM adjusting UNION ALL
        SELECT r.entry_id, r.effective_date FROM adjusting a
        JOIN journal_entry r ON r.reverses_entry_id = a.entry_id) e
    JOIN journal_line l ON l.entry_id = e.entry_id AND l.effective_date = e.effective_date
    JOIN account a USING (account_id)
    WHERE e.effective_date = :day AND a.class IN ('A', 'L')
    GROUP BY l.text"""
_HELD = """
    SELECT a.number, d.currency, sum(d.debit_minor - d.credit_minor) AS held,
        sum(d.base_debit_minor - d.base_credit_minor) AS booked
    FROM balance_delta d JOIN account a USING (account_id) JOIN book b ON b.book_id = a.book_id
    WHERE b.code = :book AND d.currency <> :own AND d.effective_date <= :day
        AND a.class IN ('A', 'L')
    GROUP BY a.number, d.currency
    HAVING sum(d.debit_minor - d.credit_minor) <> 0
        OR sum(d.base_debit_minor - d.base_credit_minor) <> 0
    ORDER BY a.number, d.currency"""
