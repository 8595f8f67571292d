"""The verbs of reporting: bill, render, age, balance, export. None commits its session."""

from reporting.service.aging import (
    AgingReport,
    UnmatchedPayment,
    aging_report,
    trial_balance,
    unmatched_payments,
)
from reporting.service.billing import (
    RENDER_TASK,
    Chunk,
    Order,
    Refusal,
    bill_next_chunk,
)
from reporting.service.documents import (
    document_of,
    read_document,
    render_invoice,
    render_invoices,
    unrendered,
)
from reporting.service.invoices import (
    IssuedInvoice,
    charge_keys_of,
    find_invoice,
    get_invoice,
    invoice_named,
    invoice_of_entry,
    iter_invoices,
    line_of_charge,
    lines_of,
    outstanding_of,
)
from reporting.service.workbook import write_workbook

__all__ = [
    "RENDER_TASK",
    "AgingReport",
    "Chunk",
    "IssuedInvoice",
    "Order",
    "Refusal",
    "UnmatchedPayment",
    "aging_report",
    "bill_next_chunk",
    "charge_keys_of",
    "document_of",
    "find_invoice",
    "get_invoice",
    "invoice_named",
    "invoice_of_entry",
    "iter_invoices",
    "line_of_charge",
    "lines_of",
    "outstanding_of",
    "read_document",
    "render_invoice",
    "render_invoices",
    "trial_balance",
    "unmatched_payments",
    "unrendered",
    "write_workbook",
]
