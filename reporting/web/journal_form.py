"""The form of a manual journal: what was typed, read into a draft and written back as it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from werkzeug.datastructures import MultiDict

from ledger.attachments import Attachment
from ledger.drafts import LINES_MAX, Draft, draft_entry
from ledger.errors import Invalid, Problem
from ledger.journal import Line
from reporting.norwegian import kroner, long_date, read_kroner
from reporting.web.frame import read_day

_ROWS = 4
_COLUMNS = ("account", "text", "vat_code", "debit", "credit")


@dataclass(frozen=True, slots=True)
class Row:
    """A line as it is typed: every cell a text."""

    account: str = ""
    text: str = ""
    vat_code: str = ""
    debit: str = ""
    credit: str = ""

    @property
    def empty(self) -> bool:
        """Tell whether nothing is typed; such a row is no line."""
        return not any(getattr(self, column).strip() for column in _COLUMNS)


@dataclass(frozen=True, slots=True)
class Form:
    """A manual journal as it is typed."""

    effective_date: str
    document_date: str = ""
    text: str = ""
    document_ref: str = ""
    rows: tuple[Row, ...] = (Row(),) * _ROWS
    version: int = 0
    key: str = ""
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def totals(self) -> tuple[int, int]:
        """Sum the debits and the credits that can be read. [øre]"""
        return _total(row.debit for row in self.rows), _total(row.credit for row in self.rows)


def read_form(sent: MultiDict[str, str]) -> Form:
    """Take what was typed, whatever it is; `draft_from` judges it."""
    columns = [sent.getlist(f"line_{name}") for name in _COLUMNS]
    longest = min(max(map(len, columns), default=0), LINES_MAX)
    cells = [(*column, *[""] * longest)[:longest] for column in columns]
    version = sent.get("version", "0")
    return Form(
        sent.get("effective_date", ""), sent.get("document_date", ""), sent.get("text", ""),
        sent.get("document_ref", ""), tuple(Row(*row) for row in zip(*cells, strict=True)),
        int(version) if version.isascii() and version.isdigit() and len(version) < 6 else 0,
        sent.get("key", "")[:64],
    )  # fmt: skip


def form_of(draft: Draft, version: int) -> Form:
    """Write a draft as it would be typed, with an empty row below.

    Raises `Invalid` for a draft that says more than the form has fields for.
    """
    if not fits(draft):
        raise Invalid(
            "This draft has customers, dimensions or currencies on its lines, which this form does "
            "not show. Change it where it was written: over REST or at the command line."
        )
    entry = draft.entry
    rows = tuple(
        Row(
            line.account, line.text or "", line.vat_code or "",
            kroner(line.amount_minor) if line.amount_minor > 0 else "",
            kroner(-line.amount_minor) if line.amount_minor < 0 else "",
        )
        for line in entry.lines
    )  # fmt: skip
    return Form(
        long_date(entry.effective_date), long_date(entry.document_date), entry.text,
        entry.document_ref or "", (*rows, Row()), version,
    )  # fmt: skip


def fits(draft: Draft) -> bool:
    """Tell whether the form shows all that a draft says."""
    plain = all(
        line == Line(line.account, line.amount_minor, text=line.text, vat_code=line.vat_code)
        for line in draft.entry.lines
    )
    return plain and draft.entry.series == "JNL"


def draft_from(form: Form, book: str, attachments: tuple[Attachment, ...] = ()) -> Draft:
    """Read what was typed as a draft.

    Raises `Invalid` with a sentence per field that cannot be read; its `fields` maps them.
    """
    faults: dict[str, str] = {}
    effective = _day(form.effective_date, "effective_date", faults)
    document = _day(form.document_date, "document_date", faults) or effective
    lines = []
    for number, row in enumerate(form.rows, 1):
        if not row.empty:
            lines.append(_line(row, number, faults))
    if effective is None:
        faults.setdefault("effective_date", "Say on which day the journal is effective.")
    if faults or effective is None or document is None:
        raise Invalid(" ".join(faults.values()), fields=faults)
    entry = draft_entry(
        "JNL",
        effective,
        document,
        form.text.strip(),
        tuple(lines),
        form.document_ref.strip() or None,
    )
    return Draft(book, entry, attachments)


def _line(row: Row, number: int, faults: dict[str, str]) -> Line:
    amounts = [_amount(cell, f"{name}-{number}", number, faults)
               for name, cell in (("debit", row.debit), ("credit", row.credit))]  # fmt: skip
    if row.debit.strip() and row.credit.strip():
        faults[f"credit-{number}"] = f"Line {number} has a debit and a credit; it can have one."
    return Line(
        row.account.strip(), amounts[0] - amounts[1], text=row.text.strip() or None,
        vat_code=row.vat_code.strip() or None,
    )  # fmt: skip


def _amount(cell: str, name: str, number: int, faults: dict[str, str]) -> int:
    if not cell.strip():
        return 0
    try:
        return read_kroner(cell)
    except Problem as refusal:
        faults[name] = f"Line {number}: {refusal}"
        return 0


def _day(written: str, name: str, faults: dict[str, str]) -> date | None:
    try:
        return read_day(written, name)
    except Problem as refusal:
        faults[name] = str(refusal)
        return None


def _total(cells: Iterable[str]) -> int:
    total = 0
    for cell in cells:
        try:
            total += read_kroner(cell)
        except Problem:
            continue
    return total
