"""What a draft names and the book does not know: told when it is kept, with the place of each name.

A draft may lack lines, amounts and balance, for it is being written. A name that the book does not
know is a slip of the pen, and whoever typed it is still there. Whether the name may be used on the
day is for the posting to say.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from ledger.drafts import Draft
from ledger.errors import Problem
from ledger.journal import Line
from ledger.refusals import DimensionRefused, UnknownAccount, UnknownCurrency, UnknownVatCode
from ledger.registering import UnknownDimension
from ledger.service.chart import chart_of_accounts
from ledger.service.dimensions import dimensions
from ledger.service.registers import currencies, vat_codes


@dataclass(frozen=True, slots=True)
class _Known:
    """The names of a book; a dimension without values takes any."""

    accounts: frozenset[str]
    currencies: frozenset[str]
    vat_codes: frozenset[str]
    dimensions: Mapping[str, frozenset[str]]


def check_names(session: Session, draft: Draft) -> None:
    """Refuse a draft that names what its book does not know.

    Raises `UnknownAccount`, `UnknownCurrency`, `UnknownVatCode`, `UnknownDimension` or
    `DimensionRefused`, by the first such name; its `errors` list all, each with its pointer.
    Raises `UnknownBook`.
    """
    known = _Known(
        frozenset(one.number for one in chart_of_accounts(session, draft.book)),
        frozenset(one.code for one in currencies(session)),
        frozenset(one.code for one in vat_codes(session, draft.book)),
        {one.code: frozenset(value[0] for value in one.values)
         for one in dimensions(session, draft.book)},
    )  # fmt: skip
    faults = [
        (f"/lines/{at}/{place}", kind, f"Line {at + 1}: {said}")
        for at, line in enumerate(draft.entry.lines)
        for place, kind, said in _unknown(line, known)
    ]
    if faults:
        pointer, kind, sentence = faults[0]
        errors = [{"pointer": where, "detail": told, "code": of.code()}
                  for where, of, told in faults]  # fmt: skip
        raise kind(sentence, pointer=pointer, errors=errors)


def _unknown(line: Line, known: _Known) -> Iterator[tuple[str, type[Problem], str]]:
    """Give the place in the line, the problem and the sentence of each name that is not known."""
    account = line.account.strip()
    if account and account not in known.accounts:
        yield "account", UnknownAccount, f"the chart has no account {account}."
    if line.currency not in known.currencies:
        yield "currency", UnknownCurrency, f"{line.currency} is not a currency of the books."
    if line.vat_code is not None and line.vat_code not in known.vat_codes:
        yield "vat_code", UnknownVatCode, f"the book has no VAT code {line.vat_code}."
    for name, value in sorted((line.dimensions or {}).items()):
        if name not in known.dimensions:
            yield f"dimensions/{name}", UnknownDimension, f"the book has no dimension {name}."
        elif known.dimensions[name] and value not in known.dimensions[name]:
            yield f"dimensions/{name}", DimensionRefused, f"{name} has no value {value}."
