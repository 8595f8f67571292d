"""What the address of a page may ask; anything else is refused, before a page is made.

A page that passes over what it does not know shows the whole list as if it were the part that was
asked for. The API refuses it too (`ledger.web.openapi`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from http import HTTPStatus

from flask import request

from ledger.errors import Invalid
from ledger.periods import period_bounds

# Links carry these from page to page, so every page takes them.
_CARRIED = frozenset({"book", "known_as_of"})
_DAY = "effective_as_of"
# Pages that are not named here take nothing more.
_MORE: Mapping[str, frozenset[str]] = {
    "access": frozenset({"before"}),
    "account": frozenset({"first_day", _DAY, "after"}),
    "account_excel": frozenset({"first_day", _DAY}),
    "customers": frozenset({"q"}),
    "feeds": frozenset({"look", "before"}),
    "invoices": frozenset({"period", "after", _DAY}),
    "invoices_excel": frozenset({"period", _DAY}),
    "journals": frozenset({"state", "before"}),
    "login": frozenset({"next"}),
    "period": frozenset({"checklist", _DAY}),
    "quote": frozenset({
        "offering", "subscription", "tariff", "period", "whole", "usage", "called", "group", "at",
        "quantity",
    }),
    "suspense": frozenset({"reason"}),
    "tariff": frozenset({"since"}),
    "trace_record": frozenset({"place"}),
    **dict.fromkeys(
        (
            "home", "chart", "trial_balance", "trial_balance_excel", "entry", "unallocated",
            "unallocated_excel", "customer", "invoice",
        ),
        frozenset({_DAY}),
    ),
    **dict.fromkeys(("aging", "aging_excel"), frozenset({_DAY, "currency"})),
}  # fmt: skip
_LARGEST = 2**63 - 1
_NORWEGIAN_DATE = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})", re.ASCII)
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class AddressUnclear(Invalid):
    """The address of a page asks for what the page does not know, or for one thing twice.

    Raise as: f"This page does not know {name!r}: it would show everything. It knows {names}.".
    """

    status = HTTPStatus.BAD_REQUEST
    title = "Address is not clear"


def check_address() -> None:
    """Refuse the request for a page that asks what the page does not know.

    Raises `AddressUnclear`.
    """
    endpoint = request.endpoint or ""
    if not request.args or not endpoint.startswith("desk."):
        return
    known = _CARRIED | _MORE.get(endpoint.removeprefix("desk."), frozenset())
    for name, said in request.args.lists():
        if name not in known:
            raise AddressUnclear(
                f"This page does not know {name!r}: it would show everything as if it were what "
                f"was asked for. It knows {', '.join(sorted(known))}. Correct the address.",
                argument=name,
            )
        if len(said) > 1:
            raise AddressUnclear(
                f"The address says {name} {len(said)} times. Say it once.", argument=name
            )


def number_argument(name: str) -> int | None:
    """Read a whole number from the address; None where it is absent or empty.

    Raises `AddressUnclear` for anything else: a page of everything would not be what was meant.
    """
    written = _written(name)
    if not written:
        return None
    if not (written.isascii() and written.isdigit() and int(written) <= _LARGEST):
        raise AddressUnclear(f"{written!r} is no number of {name}. Correct the address.",
                             argument=name)  # fmt: skip
    return int(written)


def choice_argument(name: str, choices: Iterable[str]) -> str | None:
    """Read one of some words from the address; None where it is absent or empty.

    Raises `AddressUnclear` for any other: an empty list would read as if there were nothing.
    """
    written, known = _written(name), dict.fromkeys(choices)
    if not written:
        return None
    if written not in known:
        raise AddressUnclear(
            f"{written!r} is no {name}. It may say {', '.join(known)}, or nothing. "
            "Correct the address.", argument=name,
        )  # fmt: skip
    return written


def period_argument(name: str) -> str | None:
    """Read a month, such as 2026-03, as people type it; None where it is absent or empty.

    Raises `Invalid` for anything else: it would read as a month in which nothing was done.
    """
    written = _written(name)
    if written:
        period_bounds(written)
    return written or None


def day_argument(name: str) -> date | None:
    """Read a date from the address, as people (31.03.2026) or addresses (2026-03-31) write it.

    None where it is absent or empty. Raises `Invalid` for anything else.
    """
    return read_day(_written(name), name)


def read_day(written: str, name: str) -> date | None:
    """Read a date as `day_argument` does, from wherever it was typed."""
    written = written.strip()
    if not written:
        return None
    iso = _NORWEGIAN_DATE.sub(r"\3-\2-\1", written)
    if _ISO_DATE.fullmatch(iso):  # A week, which Python takes too, is no day.
        with suppress(ValueError):
            return date.fromisoformat(iso)
    raise Invalid(f"{written!r} is not a date; write it as 31.03.2026.", field=name)


def _written(name: str) -> str:
    return request.args.get(name, "").strip()
