"""The journal as plain text: for hledger, for beancount, and as CSV, so that anyone can recompute.

Pure writers: lines of the journal come in, in order and entry by entry, and pieces of text go out.
Free text is reduced to what the format cannot misread: a text can never end a line, open a comment,
name an account or become a formula. Amounts are decimal digits written from integers.

Source: hledger 1.25 manual, "Journal format"; beancount v3 language syntax and its lexer.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from io import StringIO
from itertools import groupby

from ledger.errors import DoesNotTie
from ledger.money import format_amount

# Disposal of the result lies under equity, so an income statement made elsewhere leaves it out.
ROOTS = {
    "A": "Assets", "L": "Liabilities", "Q": "Equity", "I": "Income", "E": "Expenses",
    "D": "Equity:Disposal",
}  # fmt: skip

CSV_HEADINGS = (
    "effective_date", "document_date", "voucher", "entry_type", "source_system", "source_ref",
    "document_ref", "text", "line_no", "account", "currency", "amount", "base_amount", "party_id",
    "vat_code", "tax_base", "dimensions", "line_text",
)  # fmt: skip

_SAFE_TAG = re.compile(r"[A-Za-z0-9._-]{1,32}", re.ASCII)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ExportAccount:
    """An account of the chart; its class is A, L, Q, I or E."""

    number: str
    name: str
    account_class: str


@dataclass(frozen=True, slots=True)
class ExportLine:
    """A posted line together with its entry. Debit positive. [minor units]"""

    entry_id: int
    voucher: str
    effective_date: date
    document_date: date
    entry_type: str
    source_system: str
    source_ref: str
    document_ref: str | None
    text: str
    line_no: int
    account: str
    currency: str
    amount_minor: int
    base_minor: int
    party_id: int | None
    vat_code: str | None
    tax_base_minor: int | None
    dimensions: str | None
    line_text: str | None


class Tally:
    """Counts and sums the lines that pass through, to be held against the trial balance."""

    def __init__(self) -> None:
        self.entries = 0
        self.lines = 0
        self._sums: dict[tuple[str, str], int] = {}

    def through(self, lines: Iterable[ExportLine]) -> Iterator[ExportLine]:
        """Give the lines on, counted; entries come together."""
        entry_id = None
        for line in lines:
            key = (line.account, line.currency)
            self._sums[key] = self._sums.get(key, 0) + line.amount_minor
            self.entries += line.entry_id != entry_id
            self.lines += 1
            entry_id = line.entry_id
            yield line

    def check(self, balances: Mapping[tuple[str, str], int]) -> None:
        """Raise `DoesNotTie` unless the sums are those of the trial balance, account by account."""
        for account, currency in sorted(self._sums.keys() | balances.keys()):
            exported = self._sums.get((account, currency))
            balance = balances.get((account, currency))
            if exported != balance:
                raise DoesNotTie(
                    f"The exported lines of {account} sum to {_told(exported)} {currency}, its "
                    f"balance is {_told(balance)}. Run `hovedbok ledger verify`.",
                    account=account, currency=currency,
                )  # fmt: skip


def hledger_journal(
    heading: Sequence[str], accounts: Sequence[ExportAccount], lines: Iterable[ExportLine]
) -> Iterator[str]:
    """Write a journal for hledger: accounts `Class:1500 Name`, amounts `NOK -1234.50`.

    The voucher is the code, the text the description; party and VAT code are tags of the posting.
    Accounts and currencies are declared, so that `hledger check --strict` holds.
    """
    yield from (f"; {plain_text(line)}\n" for line in heading)
    names = {x.number: hledger_account(x) for x in accounts}
    yield from (f"account {name}\n" for name in names.values())
    declared: set[str] = set()
    for _, entry in groupby(lines, key=lambda line: line.entry_id):
        postings = list(entry)
        for currency in sorted({line.currency for line in postings} - declared):
            declared.add(currency)
            yield f"\ncommodity {currency} 1000.00\n"
        first = postings[0]
        code = re.sub(r"[()]", "", plain_text(first.voucher))
        yield f"\n{first.effective_date} ({code}) {_description(first.text)}".rstrip() + "\n"
        for line in postings:
            amount = f"{line.currency} {format_amount(line.amount_minor)}"
            yield f"    {names[line.account]}  {amount}{_hledger_tags(line)}\n"


def beancount_journal(
    heading: Sequence[str], accounts: Sequence[ExportAccount], lines: Iterable[ExportLine]
) -> Iterator[str]:
    """Write a journal for beancount: accounts `Assets:1500-Name`, amounts `-1234.50 NOK`.

    Voucher, party and VAT code are metadata. Entries may come in any order of date.
    """
    yield from (f"; {plain_text(line)}\n" for line in heading)
    names = {x.number: beancount_account(x) for x in accounts}
    yield from (f"{_OPENED_ON} open {name}\n" for name in names.values())
    declared: set[str] = set()
    for _, entry in groupby(lines, key=lambda line: line.entry_id):
        postings = list(entry)
        for currency in sorted({line.currency for line in postings} - declared):
            declared.add(currency)
            yield f"\n{_OPENED_ON} commodity {currency}\n"
        first = postings[0]
        yield f"\n{first.effective_date} * {_quoted(first.text)}\n"
        yield f"  voucher: {_quoted(first.voucher)}\n"
        for line in postings:
            amount = f"{format_amount(line.amount_minor)} {line.currency}"
            yield f"  {names[line.account]}  {amount}\n"
            if line.party_id is not None:
                yield f'    party: "{line.party_id}"\n'
            if line.vat_code is not None:
                yield f"    vat: {_quoted(line.vat_code)}\n"


def csv_journal(lines: Iterable[ExportLine]) -> Iterator[str]:
    """Write every line as a row of RFC 4180 CSV under a row of headings.

    Texts that a spreadsheet would run as a formula get an apostrophe in front; numbers never do.
    """
    buffer = StringIO()
    writer = csv.writer(buffer)
    writer.writerow(CSV_HEADINGS)
    for line in lines:
        writer.writerow(_csv_cells(line))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def plain_text(text: str) -> str:
    r"""Reduce a text to one line of printable characters with single spaces.

    >>> plain_text("Faktura\r\n 17\t ; ")
    'Faktura 17 ;'
    """
    printable = "".join(
        " " if unicodedata.category(character) in _UNPRINTABLE else character for character in text
    )
    return " ".join(printable.split())


def hledger_account(account: ExportAccount) -> str:
    """Name an account for hledger; names lose `:`, `;` and double spaces.

    >>> hledger_account(ExportAccount("1500", "Customers:  consumer; all", "A"))
    'Assets:1500 Customers consumer all'
    """
    name = plain_text(re.sub("[:;]", " ", account.name))
    return f"{ROOTS[account.account_class]}:{account.number} {name}".rstrip()


def beancount_account(account: ExportAccount) -> str:
    """Name an account for beancount: letters, digits and dashes after the number.

    >>> beancount_account(ExportAccount("2700", "Output VAT 25 %", "L"))
    'Liabilities:2700-Output-VAT-25'
    """
    kept = "".join(
        character if unicodedata.category(character) in _LETTERS else " "
        for character in account.name
    )
    words = kept.split()
    return f"{ROOTS[account.account_class]}:{'-'.join([account.number, *words])}"


# The books hold nothing earlier: no year before 2000 can be opened.
_OPENED_ON = date(2000, 1, 1)
_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nd"})
# Control characters, formats (such as those that turn the direction of writing), halves of
# surrogate pairs, and the separators of lines and paragraphs.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def _description(text: str) -> str:
    # A semicolon opens a comment, a bar parts payee from note.
    return plain_text(re.sub("[;|]", " ", text))


def _hledger_tags(line: ExportLine) -> str:
    tags = [] if line.party_id is None else [f"party:{line.party_id}"]
    if line.vat_code is not None and _SAFE_TAG.fullmatch(line.vat_code):
        tags.append(f"vat:{line.vat_code}")
    return f"  ; {', '.join(tags)}" if tags else ""


def _quoted(text: str) -> str:
    escaped = plain_text(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _csv_cells(line: ExportLine) -> tuple[str | int | date | None, ...]:
    tax_base = None if line.tax_base_minor is None else format_amount(line.tax_base_minor)
    return (
        line.effective_date, line.document_date, line.voucher, inert(line.entry_type),
        inert(line.source_system), inert(line.source_ref), inert(line.document_ref),
        inert(line.text), line.line_no, line.account, line.currency,
        format_amount(line.amount_minor), format_amount(line.base_minor), line.party_id,
        inert(line.vat_code), tax_base, inert(line.dimensions), inert(line.line_text),
    )  # fmt: skip


def inert(text: str | None) -> str | None:
    """Put an apostrophe before a text that a spreadsheet would run as a formula."""
    return f"'{text}" if text and text.startswith(FORMULA_STARTS) else text


def _told(minor: int | None) -> str:
    return "nothing" if minor is None else format_amount(minor)
