"""The page of the chart of accounts."""

from __future__ import annotations

from itertools import groupby

from flask import Flask, render_template

from ledger import service as ledger
from ledger.service.chart import chart_of_accounts
from ledger.web import scope
from reporting.web.clocks import reading

_CLASSES = {
    "A": "Assets", "L": "Liabilities", "Q": "Equity", "I": "Income", "E": "Expenses",
    "D": "Disposal of the result",
}  # fmt: skip


def add_pages(app: Flask) -> None:
    """Add this page to the application."""
    app.add_url_rule("/ledger/chart", "desk.chart", _chart)


@scope("ledger:read")
def _chart() -> str:
    """Show every account by class, with its balance and who may post on it."""
    with reading() as read:
        accounts = chart_of_accounts(read.session, read.book)
        balances = ledger.trial_balance(read.session, read.book, read.day, read.known)
        own = ledger.functional_currency(read.session, read.book)
    held: dict[str, list[ledger.AccountBalance]] = {}
    for balance in balances:
        held.setdefault(balance.account, []).append(balance)
    # The number rules the order, so a class may come twice: income and expenses of finance.
    classes = [
        (_CLASSES[letter], list(members))
        for letter, members in groupby(accounts, key=lambda account: account.account_class)
    ]
    return render_template(
        "chart.html", classes=classes, held=held, count=len(accounts), own=own, read=read
    )
