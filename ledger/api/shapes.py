"""The lists and reports of the books as tables: which columns, and which sums the books give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ledger.tables import Column, Table, Value


def balances(body: Mapping[str, Any]) -> Sequence[Table]:
    """Shape the trial balance; turnover is summed where all of it is in one currency."""
    rows = body["accounts"]
    one = _is_one(row.currency for row in rows)
    columns = (
        Column("Account"), Column("Name"), Column("Currency"), Column("Debit", "money", one),
        Column("Credit", "money", one), Column("Balance", "money", one),
        Column("Balance in the book's currency", "money", total=True),
    )  # fmt: skip
    cells = [
        (x.account, x.name, x.currency, x.debit_minor, x.credit_minor, x.balance_minor,
         x.base_minor) for x in rows
    ]  # fmt: skip
    # A trial balance sums to zero: that is what the books say, whatever the rows do.
    turnover = [sum(x.debit_minor for x in rows), sum(x.credit_minor for x in rows), 0]
    return [Table("Trial balance", columns, cells, [*(turnover if one else ()), 0])]


def statement(body: Mapping[str, Any]) -> Sequence[Table]:
    """Shape the statement of an account or a party; it sums to closing less opening.

    `customers`, where it is given, names parties by their customer numbers, as people know them.
    """
    named: Mapping[int, str] | None = body.get("customers")
    lines, opening, closing = body["lines"], body["opening"], body["closing"]
    currencies = {*opening, *closing, *(line.currency for line in lines)}
    one = len(currencies) <= 1
    columns = (
        Column("Date", "date"), Column("Voucher"), Column("Line", "count"), Column("Account"),
        Column("Text"), Column("Party" if named is None else "Customer no."), Column("Currency"),
        Column("Amount", "money", one), Column("Balance", "money"),
    )  # fmt: skip
    carried = [
        (None, None, None, body["account"], "Carried forward", None, currency, None, minor)
        for currency, minor in sorted(opening.items())
    ]
    cells = [
        (x.effective_date, str(x.voucher), x.line_no, x.account, x.text, _party(x.party_id, named),
         x.currency, x.amount_minor, x.balance_minor) for x in lines
    ]  # fmt: skip
    moved = sum(closing.values()) - sum(opening.values())
    return [Table("Statement", columns, [*carried, *cells], [moved] if one else None)]


def journal(body: Mapping[str, Any]) -> Sequence[Table]:
    """Shape the list of entries: a row per entry and currency."""
    entries = body["entries"]
    one = _is_one(currency for entry in entries for currency in entry.debit_minor)
    columns = (
        Column("Voucher"), Column("Date", "date"), Column("Document date", "date"), Column("Type"),
        Column("Text"), Column("Source"), Column("Reference"), Column("Document"),
        Column("Lines", "count"), Column("Currency"), Column("Debit", "money", one),
    )  # fmt: skip
    cells = [
        (str(x.voucher), x.effective_date, x.document_date, x.entry_type, x.text, x.source_system,
         x.source_ref, x.document_ref, x.line_count, currency, minor)
        for x in entries for currency, minor in sorted(x.debit_minor.items())
    ]  # fmt: skip
    total = sum(minor for entry in entries for minor in entry.debit_minor.values())
    return [Table("Journal", columns, cells, [total] if one else None)]


def open_items(body: Mapping[str, Any]) -> Sequence[Table]:
    """Shape the open items."""
    items = body["items"]
    one = _is_one(item.currency for item in items)
    columns = (
        Column("Item"), Column("Party"), Column("Account"), Column("Kind"), Column("Document"),
        Column("KID"), Column("Document date", "date"), Column("Due date", "date"),
        Column("Currency"), Column("Original", "money", one), Column("Outstanding", "money", one),
    )  # fmt: skip
    cells = [
        (str(x.open_item_id), _text(x.party_id), x.account, x.kind, x.document_ref, x.kid,
         x.document_date, x.due_date, x.currency, x.original_minor, x.outstanding_minor)
        for x in items
    ]  # fmt: skip
    control = [sum(x.original_minor for x in items), sum(x.outstanding_minor for x in items)]
    return [Table("Open items", columns, cells, control if one else None)]


def allocations(body: Mapping[str, Any]) -> Sequence[Table]:
    """Shape the allocations; amounts of several currencies are listed and not summed."""
    columns = (
        Column("Allocation"), Column("Credit item"), Column("Debit item"), Column("Date", "date"),
        Column("Amount", "money"), Column("Rule"), Column("Undoes"), Column("Made by"),
    )  # fmt: skip
    cells = [
        (str(x.allocation_id), str(x.credit_item_id), str(x.debit_item_id), x.effective_date,
         x.amount_minor, x.rule, _text(x.reverses_allocation_id), x.created_by)
        for x in body["allocations"]
    ]  # fmt: skip
    return [Table("Allocations", columns, cells)]


def report(body: Mapping[str, Any]) -> Sequence[Table]:
    """Shape a balance sheet or an income statement: a table per section, then the result."""
    columns = (
        Column("Section"), Column("Category"), Column("Code"), Column("Account"), Column("Name"),
        Column("Amount", "money", total=True), Column("Compared", "money", total=True),
    )  # fmt: skip
    tables = []
    for section in body["sections"]:
        cells: list[Sequence[Value]] = [
            (section.title, group.category, group.code, x.account, x.name, x.amount_minor,
             x.comparative_minor) for group in section.groups for x in group.figures
        ]  # fmt: skip
        control = [section.amount_minor, section.comparative_minor]
        tables.append(Table(section.title, columns, cells, control))
    result = (body["result_minor"], body["comparative_result_minor"])
    cells = [("Result", None, None, None, "Income less expenses", *result)]
    return [*tables, Table("Result", columns, cells, result)]


def _is_one(currencies: Iterable[str]) -> bool:
    return len(set(currencies)) <= 1


def _party(party_id: int | None, named: Mapping[int, str] | None) -> str | None:
    """Write a party's customer number where parties are named; one that nobody registered as is."""
    if party_id is None or named is None:
        return _text(party_id)
    return named.get(party_id, f"party {party_id}")


def _text(number: int | None) -> str | None:
    """Write an id as text: nobody sums it, and Excel would cut its last digits."""
    return None if number is None else str(number)
