"""The two-way audit trail: from a voucher or an invoice to bytes in a file, and from a record back.

Every step is a stored reference, none a guess: invoice line, charge key, rated event, usage row,
record, file, offset. Source: bookkeeping act § 6, the audit trail goes both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow.compute as pc
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.errors import Invalid
from ledger.money import format_amount
from ledger.service import EntryView
from ledger.vault import Vault
from mediation.charging import DISCOUNT, FRAME
from mediation.models import SourceFile
from mediation.service.tracing import find_file, record_location
from rating import service as rating
from rating.models import ChargeKeyRow
from rating.phrases import Language
from reporting.service.explained import Explained, Trail
from reporting.service.invoices import (
    IssuedInvoice,
    charge_keys_of,
    find_invoice,
    get_invoice,
    invoice_of_entry,
    line_of_charge,
    lines_of,
)

EVENTS_SHOWN = 5
_RECORD_DIGITS = 9  # Records are counted in 32 bits.


def trace_invoice(
    session: Session, store: Vault, book: str, number: str, shown: int = EVENTS_SHOWN,
    language: Language = "nb",
) -> Trail:  # fmt: skip
    """Walk an invoice back: its lines, their charges, the events behind them, the bytes.

    Parameters
    ----------
    number : as printed, 2026-000042.
    shown : how many events to list per charge; all are counted and summed.
    language : of the explanations of months, orders, discounts and settlements.
    """
    events = Explained(session, store, language)
    return _invoice_trail(events, find_invoice(session, book, number), shown)


def trace_voucher(
    session: Session, store: Vault, book: str, voucher: str, shown: int = EVENTS_SHOWN,
    language: Language = "nb",
) -> Trail:  # fmt: skip
    """Walk a voucher such as USG/2026/1 back to what caused it."""
    try:
        series, year, number = voucher.split("/")
        entry = ledger.find_voucher(session, book, series, int(year), int(number))
    except ValueError:
        raise Invalid(f"{voucher!r} is no voucher; write SERIES/YEAR/NO, as SAL/2026/1.") from None
    trail: Trail = {"entry": _entry(entry)}
    events = Explained(session, store, language)
    if told := events.entry(entry):
        trail["explanation"] = told
    invoice = invoice_of_entry(session, entry.entry_id)
    if invoice is not None:
        trail["invoice"] = _invoice_trail(events, invoice, shown)
    charges = rating.charges_of_batch(session, entry.batch_id)
    if charges:
        trail["charges"] = [
            _charge(events, session.get_one(ChargeKeyRow, charge.charge_key_id), shown)
            for charge in charges[:shown]
        ]
        trail["charge_count"] = len(charges)
    payments = _payments(session, entry)
    if payments:
        trail["payments"] = payments
    return trail


def trace_record(
    session: Session, store: Vault, book: str, place: str, language: Language = "nb"
) -> Trail:
    """Walk a record, FILE#NUMBER, forward: outcome, price, charge, invoice line, payment.

    The price is put into words of the language, from the codes that its rating run stored.
    """
    name, separator, number = place.rpartition("#")
    if not separator or not number.isdecimal() or len(number) > _RECORD_DIGITS:
        raise Invalid(f"{place!r} is no record; write FILE#NUMBER, as OSLMSC1_0001.ber#17.")
    file = find_file(session, name)
    location = record_location(session, store, file.file_id, int(number))
    trail: Trail = {"record": {**asdict(location), "usage": list(location.usage)}}
    if location.usage:
        events = Explained(session, store, language)
        row = location.usage[0]
        place_of = int(row["file_id"]), int(row["record_no"])  # type: ignore[call-overload]
        found = events.at(*place_of)
        trail["charges"] = [_forward(events, book, event) for event in found]
        partners = [
            one
            for period in sorted({event["period"] for event in found})
            for one in events.at_partners(book, period, *place_of)
        ]
        if partners:
            trail["partners"] = partners
    return trail


def _invoice_trail(events: Explained, invoice: IssuedInvoice, shown: int) -> Trail:
    session = events.session
    lines = []
    for line in lines_of(session, invoice.invoice_id):
        keys = [
            session.get_one(ChargeKeyRow, key_id)
            for key_id in charge_keys_of(session, invoice.invoice_id, line.line_no)
        ]
        lines.append(
            {
                "line_no": line.line_no,
                "text": line.text,
                "amount": format_amount(line.amount_minor),
                "charges": [_charge(events, key, shown) for key in keys],
            }
        )
    entry = ledger.read_entry(session, invoice.entry_id)
    return {
        "number": invoice.number,
        "kid": invoice.kid,
        "account": invoice.account_no,
        "gross": format_amount(invoice.gross_minor),
        "document_sha256": invoice.document_sha256,
        "entry": _entry(entry),
        "lines": lines,
        "payments": _paid(session, invoice),
    }


def _charge(events: Explained, key: ChargeKeyRow, shown: int) -> Trail:
    """Describe a charge, why it costs what it does, and the first events behind it."""
    trail: Trail = {
        "charge_key": key.charge_key_id,
        "subscription": key.subscription_id,
        "component": key.component,
        "kind": key.kind,
        "usage_period": key.usage_period,
    }
    if key.charge_ref.startswith((DISCOUNT, FRAME)):
        trail["discount"] = key.charge_ref
    elif key.charge_ref:
        trail["order"] = _order(events.session, key.charge_ref)
    if told := events.tell(key):
        trail["explanation"] = told
    if told := events.settled(key):
        trail["settlement"] = told
    table = events.of_charge(key)
    if table.num_rows:
        trail["events"] = table.num_rows
        own = table.filter(pc.equal(table["component"], key.component))
        if own.num_rows:
            trail["amount_micro"] = pc.sum(own["amount_micro"]).as_py()
        else:
            trail["counted"] = ", ".join(sorted(set(table["component"].to_pylist())))
        trail["first"] = [_event(events.session, row) for row in table.slice(0, shown).to_pylist()]
    return trail


def _event(session: Session, row: dict[str, Any]) -> Trail:
    file = session.get_one(SourceFile, row["file_id"])
    return {
        "file": file.name,
        "file_id": file.file_id,
        "record": f"{file.name}#{row['record_no']}",
        "started_at": row["started_at"],
        "quantity": row["quantity"],
        "free_quantity": row["free_quantity"],
        "amount_micro": row["amount_micro"],
    }


def _forward(events: Explained, book: str, event: dict[str, Any]) -> Trail:
    """Follow a rated event to its charge, its postings, the invoice line and the payments of it."""
    session = events.session
    trail: Trail = {
        name: event[name]
        for name in ("component", "zone", "quantity", "free_quantity", "billed_units",
                     "amount_micro", "period")
    }  # fmt: skip
    if told := events.explain(event):
        trail["explanation"] = [{"text": sentence} for sentence in told]
    keys = session.execute(
        select(ChargeKeyRow)
        .where(
            ChargeKeyRow.book_code == book,
            ChargeKeyRow.billing_account_id == event["billing_account_id"],
            ChargeKeyRow.subscription_id == event["subscription_id"],
            ChargeKeyRow.component == event["component"],
            ChargeKeyRow.usage_period == event["period"],
            ChargeKeyRow.kind == "usage",
        )
        .order_by(ChargeKeyRow.billing_period, ChargeKeyRow.charge_key_id)
    ).scalars().all()  # fmt: skip
    if not keys:
        return trail
    key = keys[0]
    trail["charge_key"] = key.charge_key_id
    if settled := events.settled(key):
        trail["settlement"] = settled
    trail["posted"] = [
        {"voucher": name, "date": day}
        for name, day in _postings(session, [one.charge_key_id for one in keys])
    ]
    billed = line_of_charge(session, key.charge_key_id)
    if billed is not None:
        invoice = get_invoice(session, billed[0])
        trail["invoice"] = invoice.number
        trail["invoice_line"] = billed[1]
        trail["payments"] = _paid(session, invoice)
    return trail


def _postings(session: Session, charge_key_ids: list[int]) -> list[tuple[str, str]]:
    """Name the vouchers that posted what some charges stand at, with their days."""
    rows = session.execute(
        text(
            "SELECT s.code || '/' || e.fiscal_year || '/' || e.voucher_no, e.effective_date::text"
            " FROM journal_entry e JOIN voucher_series s USING (series_id)"
            " WHERE e.entry_id >> 20 IN (SELECT batch_id FROM charge_delta"
            "  WHERE charge_key_id = ANY(:keys)) ORDER BY e.entry_id"
        ),
        {"keys": charge_key_ids},
    )
    return [(row[0], row[1]) for row in rows]


def _entry(entry: EntryView) -> Trail:
    return {
        "voucher": str(entry.voucher),
        "date": entry.effective_date.isoformat(),
        "text": entry.text,
        "batch": entry.batch_id,
        "source": f"{entry.source_system}:{entry.source_ref}",
        "lines": [
            {
                "line_no": line.line_no,
                "account": line.account,
                "name": line.account_name,
                "amount": format_amount(line.amount_minor),
                "party_id": line.party_id,
                "vat_code": line.vat_code,
            }
            for line in entry.lines
        ],
    }


def _paid(session: Session, invoice: IssuedInvoice) -> Sequence[Trail]:
    """List what has been paid of an invoice, with the line of the bank's file."""
    rows = session.execute(
        text(
            "SELECT f.name, f.file_id, p.line_no, a.amount_minor, a.effective_date, a.rule"
            " FROM allocation a"
            " LEFT JOIN open_item i ON i.open_item_id = a.credit_item_id"
            " LEFT JOIN bank_payment p ON p.entry_id = i.entry_id AND p.kid = :kid"
            " LEFT JOIN source_file f ON f.file_id = p.file_id"
            " WHERE :item IN (a.debit_item_id, a.credit_item_id) ORDER BY a.allocation_id"
        ),
        {"item": invoice.open_item_id, "kid": invoice.kid},
    )
    return [
        {
            "file": name,
            "file_id": file_id,
            "line": line_no,
            "amount": format_amount(amount),
            "date": day.isoformat(),
            "rule": rule,
        }
        for name, file_id, line_no, amount, day, rule in rows
    ]


def _payments(session: Session, entry: EntryView) -> list[Trail]:
    rows = session.execute(
        text(
            "SELECT f.name, f.file_id, p.line_no, p.kid, p.amount_minor, p.outcome"
            " FROM bank_payment p JOIN source_file f USING (file_id)"
            " WHERE p.entry_id = :entry ORDER BY p.line_no"
        ),
        {"entry": entry.entry_id},
    )
    return [
        {
            "file": name,
            "file_id": file_id,
            "line": line_no,
            "kid": kid,
            "amount": format_amount(amount),
            "outcome": outcome,
        }
        for name, file_id, line_no, kid, amount, outcome in rows
    ]


def _order(session: Session, order_ref: str) -> Trail:
    """Name the order behind a one-off charge, and the line of the file it came in."""
    system, _, order_id = order_ref.partition("/")
    row = session.execute(
        text(
            "SELECT f.name, f.file_id, o.line_no"
            " FROM applied_order o JOIN source_file f USING (file_id)"
            " WHERE o.system = :system AND o.order_id = :order_id"
        ),
        {"system": system, "order_id": order_id},
    ).one_or_none()
    file, file_id, line = row or (None, None, None)
    return {"order": order_ref, "file": file, "file_id": file_id, "line": line}
