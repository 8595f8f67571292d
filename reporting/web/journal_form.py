"""The form of a manual journal: what was typed, read into a draft and written back as it was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from werkzeug.datastructures import MultiDict

from ledger.attachments import Attachment
from ledger.drafts import LINES_MAX, Draft, draft_entry
from ledger.errors import Invalid, Problem
from ledger.journal import Line
from reporting.norwegian import kroner, long_date, read_kroner
from reporting.web.arguments import read_day

_ROWS = 4
_ENTRY = r"Entry 0(?: \('[^']*'\))?"
_OF_ENTRY = re.compile(rf"\A(?:(?:{_ENTRY} line|Line) (?P<line>[0-9]+)|{_ENTRY}:? )")
_POINTER = re.compile(r"/lines/(?P<line>[0-9]+)/(?P<name>[a-z_]+)(?:/.*)?", re.DOTALL)
_HEADINGS = frozenset({"/text", "/effective_date", "/document_date"})
_COLUMNS = (
    "account", "text", "party", "dimensions", "vat_code", "currency", "debit", "credit",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A line as it is typed: every cell a text."""

    account: str = ""
    text: str = ""
    party: str = ""
    dimensions: str = ""
    vat_code: str = ""
    currency: str = ""
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
    own: str = "NOK"  # The book's currency: that of lines that name none.
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def totals(self) -> dict[str, tuple[int, int]]:
        """Sum per currency the debits and the credits that can be read. [minor units]"""
        rows: dict[str, list[Row]] = {}
        for row in self.rows:
            rows.setdefault(_currency(row, self.own), []).append(row)
        return {
            currency: (_total(row.debit for row in of), _total(row.credit for row in of))
            for currency, of in rows.items()
            if currency == self.own or not all(row.empty for row in of)
        }


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
        sent.get("key", "")[:64], sent.get("own", "NOK")[:3],
    )  # fmt: skip


def form_of(draft: Draft, version: int, own: str, numbers: Mapping[int, str]) -> Form:
    """Write a draft as it would be typed, with an empty row below.

    `numbers` maps parties to their customer numbers; who has none is written so that no reader
    and no form takes it for the number of somebody else.

    Raises `Invalid` for a draft that says more than the form has fields for.
    """
    if not fits(draft):
        raise Invalid(
            "This draft opens items, or says what it is worth in the book's own currency, which "
            "this form does not show. Change it where it was written: over REST or at the command "
            "line."
        )
    entry = draft.entry
    rows = tuple(
        Row(
            line.account, line.text or "",
            "" if line.party_id is None else numbers.get(line.party_id, f"party {line.party_id}"),
            written_dimensions(line), line.vat_code or "",
            "" if line.currency == own else line.currency,
            kroner(line.amount_minor) if line.amount_minor > 0 else "",
            kroner(-line.amount_minor) if line.amount_minor < 0 else "",
        )
        for line in entry.lines
    )  # fmt: skip
    return Form(
        long_date(entry.effective_date), long_date(entry.document_date), entry.text,
        entry.document_ref or "", (*rows, Row()), version, own=own,
    )  # fmt: skip


def fits(draft: Draft) -> bool:
    """Tell whether the form shows all that a draft says."""
    plain = all(
        (line.item, line.base_minor, line.tax_base_minor) == (None, None, None)
        for line in draft.entry.lines
    )
    return plain and draft.entry.series == "JNL"


def written_dimensions(line: Line) -> str:
    """Write the dimensions of a line as they are typed: area=consumer; product=mobile."""
    return "; ".join(f"{name}={value}" for name, value in sorted((line.dimensions or {}).items()))


def draft_from(
    form: Form,
    book: str,
    own: str,
    customers: Mapping[str, int],
    attachments: tuple[Attachment, ...] = (),
) -> Draft:
    """Read what was typed as a draft; a line that names no currency is in the book's `own`.

    `customers` maps customer numbers, as pages and invoices show them, to parties.

    Raises `Invalid` with a sentence per field that cannot be read; its `fields` maps them.
    """
    faults: dict[str, str] = {}
    effective = _day(form.effective_date, "effective_date", faults)
    document = _day(form.document_date, "document_date", faults) or effective
    lines = []
    for number, row in enumerate(form.rows, 1):
        if not row.empty:
            lines.append(_line(row, number, own, customers, faults))
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


def told_of_one(refusal: Problem, rows: Iterable[Row] = ()) -> str:
    """Say a refusal of the ledger, which counts entries and lines of a batch, of the one journal.

    Lines are counted as the form has them: rows that are empty between others count too.
    """
    if "fields" in refusal.facts:
        return str(refusal)  # The form's own, which counts as the form does.
    places, found = _places(rows), refusal.facts.get("errors")
    sentences = [one["detail"] for one in found] if isinstance(found, list) else [str(refusal)]
    return " ".join(_of_form(sentence, places) for sentence in sentences)


def faults_of(refusal: Problem, rows: Iterable[Row]) -> dict[str, str]:
    """Map the fields of the form that a refusal is about to what is said of them."""
    fields, found = refusal.facts.get("fields"), refusal.facts.get("errors")
    if isinstance(fields, dict):
        return fields
    if not isinstance(found, list):
        found = [{"pointer": str(refusal.facts.get("pointer", "")), "detail": str(refusal)}]
    places = _places(rows)
    marked = ((_field(one["pointer"], places), one["detail"]) for one in found)
    return {name: said for name, said in marked if name is not None}


def _places(rows: Iterable[Row]) -> list[int]:
    """Give the number in the form of each line of the journal."""
    return [number for number, row in enumerate(rows, 1) if not row.empty]


def _field(pointer: str, places: Sequence[int]) -> str | None:
    """Name the field of the form that a place in a draft was typed in."""
    found = _POINTER.fullmatch(pointer)
    if found is None or int(found["line"]) >= len(places):
        return pointer.removeprefix("/") if pointer in _HEADINGS else None
    name = "debit" if found["name"] == "amount" else found["name"]
    return f"{name}-{places[int(found['line'])]}"


def _of_form(sentence: str, places: Sequence[int]) -> str:
    found = _OF_ENTRY.match(sentence)
    if found is None:
        return sentence
    rest = sentence[found.end() :]
    if found["line"] is None:
        return f"The journal {rest}"
    line = int(found["line"])
    return f"Line {places[line - 1] if 0 < line <= len(places) else line}{rest}"


def _line(
    row: Row, number: int, own: str, customers: Mapping[str, int], faults: dict[str, str]
) -> Line:
    amounts = [_amount(cell, f"{name}-{number}", number, faults)
               for name, cell in (("debit", row.debit), ("credit", row.credit))]  # fmt: skip
    if row.debit.strip() and row.credit.strip():
        faults[f"credit-{number}"] = f"Line {number} has a debit and a credit; it can have one."
    return Line(
        row.account.strip(), amounts[0] - amounts[1], text=row.text.strip() or None,
        vat_code=row.vat_code.strip() or None, currency=_currency(row, own),
        party_id=_party(row.party, number, customers, faults),
        dimensions=_dimensions(row.dimensions, number, faults),
    )  # fmt: skip


def _currency(row: Row, own: str) -> str:
    return row.currency.strip().upper() or own


def _party(
    cell: str, number: int, customers: Mapping[str, int], faults: dict[str, str]
) -> int | None:
    typed = cell.strip()
    if typed and typed not in customers:
        faults[f"party-{number}"] = (
            f"Line {number}: no customer has the number {typed}. Look it up among the customers."
        )
    return customers.get(typed)


def _dimensions(cell: str, number: int, faults: dict[str, str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in cell.split(";"))):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not name or not equals or not value or name in found:
            faults[f"dimensions-{number}"] = (
                f"Line {number}: write dimensions as product=mobile; area=consumer, each once, "
                f"not {pair!r}."
            )
            return None
        found[name] = value
    return found or None


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
