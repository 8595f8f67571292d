"""The chart of accounts as people read it: every account, what it is for, who may post on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class ChartAccount:
    """An account of the chart as it is now."""

    number: str
    name: str
    account_class: str  # A asset, L liability, Q equity, I income, E expense.
    currency: str | None  # None: any.
    party_required: bool
    open_item: bool
    manual_post_allowed: bool
    grouping_category: str
    grouping_code: str
    valid_from: date
    valid_to: date | None


def chart_of_accounts(session: Session, book: str) -> list[ChartAccount]:
    """List the accounts of a book by number, ended ones too; empty for a book that is not there."""
    rows = session.execute(
        text(
            "SELECT number, name, class, currency, party_required, open_item, manual_post_allowed,"
            " grouping_category, grouping_code, valid_from, valid_to"
            " FROM account JOIN book USING (book_id) WHERE code = :book ORDER BY number"
        ),
        {"book": book},
    )
    return [ChartAccount(*row) for row in rows]
