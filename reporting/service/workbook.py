"""The month as a workbook: parameters, trial balance, aging, invoices, unmatched payments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import IO

from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.tables import Column, Groups, Table, Value, clock_cells
from reporting.aging import BUCKETS
from reporting.service.aging import (
    UNALLOCATED,
    AgingReport,
    aging_report,
    trial_balance,
    unmatched_payments,
)
from reporting.service.invoices import IssuedInvoice, iter_invoices
from reporting.statements import TrialBalance

# The columns of the trial balance and of unmatched payments that tell the currency.
_CURRENCY_AT, _UNMATCHED_CURRENCY_AT = 2, 3
_AGING = (
    Column("Account"),
    Column("Customer no."),
    Column("Customer"),
    *(Column(bucket, "money", total=True) for bucket in BUCKETS),
    Column("Credits", "money", total=True),
    Column("Balance", "money", total=True),
)
_INVOICES = (
    Column("Invoice"),
    Column("Billing account"),
    Column("Customer"),
    Column("KID"),
    Column("Period"),
    Column("Invoice date", "date"),
    Column("Due date", "date"),
    Column("Net", "money", total=True),
    Column("VAT", "money", total=True),
    Column("Gross", "money", total=True),
    Column("Document (sha256)"),
)


def write_workbook(
    session: Session,
    target: Path | IO[bytes],
    book: str,
    as_of: date,
    known_as_of: int | None = None,
) -> None:
    """Write the month's workbook, all of it by the same two clocks.

    Raises `DoesNotTie`, `NotYetKnown`; nothing is then written.
    """
    from reporting.formats import xlsx  # noqa: PLC0415 - a tenth of a second that few commands need

    clocks = ledger.resolve_clocks(session, as_of, known_as_of)
    aging = aging_report(session, book, as_of, known_as_of)
    others = [
        aging_report(session, book, as_of, known_as_of, currency) for currency in aging.others
    ]
    balance = trial_balance(session, book, as_of, known_as_of)
    sheets = [
        trial_balance_sheet(balance),
        aging_sheet(aging),
        *(aging_sheet(other, f"Aging list {other.currency}") for other in others),
        invoices_sheet(session, book, as_of, known_as_of),
        unmatched_sheet(session, book, as_of, known_as_of),
    ]
    xlsx.write_workbook(target, sheets, parameters(session, book, clocks, "hovedbok"))


def parameters(
    session: Session, book: str, clocks: ledger.Clocks, made_by: str
) -> list[tuple[str, Value]]:
    """Name what the sheets depend on: the book, both clocks, its currency, whose program."""
    return [
        ("Book", book),
        *clock_cells(clocks.effective_as_of, clocks.known_as_of, sealed=clocks.sealed),
        ("The book's currency", ledger.functional_currency(session, book)),
        ("Amounts", "Debit positive, credit negative"),
        ("Made by", made_by),
    ]


def trial_balance_sheet(balance: TrialBalance) -> Table:
    """Shape the trial balance as a sheet whose sums are live.

    Where there are several currencies each is summed apart; all of them only in the book's own.
    Balances sum to zero: that is what the books say, whatever the rows do.
    """
    turnover = {total.currency: (total.debit_minor, total.credit_minor, 0)
                for total in balance.totals}  # fmt: skip
    one = len(turnover) <= 1
    columns = (
        Column("Account"), Column("Name"), Column("Currency"),
        *(Column(heading, "money", total=one, grouped=not one)
          for heading in ("Debit", "Credit", "Balance")),
        Column("Balance in the book's currency", "money", total=True),
    )  # fmt: skip
    rows = [
        (row.account, row.name, row.currency, row.debit_minor, row.credit_minor,
         row.balance_minor, row.base_minor) for row in balance.rows
    ]  # fmt: skip
    if one:
        control = next(iter(turnover.values()), (0, 0, 0))
        return Table("Trial balance", columns, rows, (*control, 0))
    return Table("Trial balance", columns, rows, (0,), Groups(_CURRENCY_AT, turnover))


def aging_sheet(report: AgingReport, title: str = "Aging list") -> Table:
    """Shape the aging list as a sheet; the balance is checked against the journal's accounts."""
    aging = report.aging
    columns = [*aging.totals_minor.tolist(), sum(report.control_minor.values())]
    rows = [
        (account, report.customer_nos.get(int(str(party_id)), ""), *rest)
        for account, party_id, *rest in aging_rows(report)
    ]
    return Table(title, _AGING, rows, columns)


def aging_rows(report: AgingReport) -> Iterator[tuple[Value, ...]]:
    """Give the rows of the aging list: account, party, name, buckets, credits, balance."""
    aging = report.aging
    for account, party_id, amounts in zip(
        aging.account.tolist(), aging.party_id.tolist(), aging.amounts_minor.tolist(), strict=True
    ):
        name = report.names.get(party_id, "")
        yield (account, str(party_id), name, *amounts, sum(amounts))


def invoices_sheet(
    session: Session, book: str, as_of: date | None, known_as_of: int | None = None
) -> Table:
    """List the issued invoices, streamed from the database as they are written."""

    def rows() -> Iterator[tuple[Value, ...]]:
        for issued in iter_invoices(session, book, as_of=as_of, known_as_of=known_as_of):
            yield invoice_cells(issued)

    return Table("Invoices", _INVOICES, rows())


def invoices_table(listed: Sequence[IssuedInvoice], left: Mapping[int, int] | None = None) -> Table:
    """Shape a list of invoices that was read already; `left` is what open items have left. [øre]"""
    if left is None:
        return Table("Invoices", _INVOICES, [invoice_cells(issued) for issued in listed])
    rows = [
        (*invoice_cells(issued), left.get(issued.open_item_id or 0, 0)) for issued in listed
    ]  # fmt: skip
    return Table("Invoices", (*_INVOICES, Column("Outstanding", "money", total=True)), rows)


def invoice_cells(issued: IssuedInvoice) -> tuple[Value, ...]:
    """Give the cells of one invoice in the order of its columns."""
    return (
        issued.number, issued.account_no, issued.name, issued.kid, issued.period,
        issued.invoice_date, issued.due_date, issued.net_minor, issued.vat_minor,
        issued.gross_minor, issued.document_sha256,
    )  # fmt: skip


def unmatched_sheet(
    session: Session, book: str, as_of: date | None, known_as_of: int | None = None
) -> Table:
    """List the payments that wait for a claim; what is left of each currency is summed apart.

    The sums are held against the account that the payments wait on, as the journal has it.
    """
    columns = (
        Column("Reference"), Column("KID as received"), Column("Received", "date"),
        Column("Currency"), Column("Amount", "money"),
        Column("Not allocated", "money", grouped=True),
    )  # fmt: skip
    rows = [
        (one.document_ref, one.kid, one.received_on, one.currency, one.original_minor,
         one.outstanding_minor)
        for one in unmatched_payments(session, book, as_of, known_as_of)
    ]  # fmt: skip
    # A currency that only the list or only the journal has stands there too: they then differ.
    currencies = {ledger.functional_currency(session, book), *(row[3] for row in rows)}
    control = dict.fromkeys(sorted(currencies), (0,)) | {
        row.currency: (-row.balance_minor,)
        for row in trial_balance(session, book, as_of, known_as_of).rows
        if row.account == UNALLOCATED
    }
    return Table("Unmatched payments", columns, rows, None, Groups(_UNMATCHED_CURRENCY_AT, control))
