"""The page that asks for a price: of usage, or of a month, of a product or of a subscription.

It is priced by the functions that bill; nothing is posted or kept, so that the form is an address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from flask import Flask, g, render_template, request
from sqlalchemy.orm import Session

from ledger.access import check_allowed
from ledger.db import transaction
from ledger.errors import Invalid, Problem
from ledger.periods import period_bounds, period_of
from ledger.web import scope
from rating import service
from rating.explain import kroner
from rating.measures import measured, units_of
from rating.quoted_allowances import Remaining
from rating.quoted_asking import Asked
from rating.quoted_events import Event
from rating.quoting import Quote
from rating.service import REJECTED
from rating.tariff_terms import Allowance, Tariff
from rating.usage import MAX_QUANTITY, USAGE_NAMES
from reporting.norwegian import quantity
from reporting.web.arguments import choice_argument, number_argument, period_argument
from reporting.web.dates import today
from reporting.web.frame import book

USAGES = tuple(USAGE_NAMES.values())
_MOMENT = re.compile(r"(\d{2})\.(\d{2})\.(\d{4}) (\d{2}:\d{2}(?::\d{2})?)", re.ASCII)
_CLOCK = re.compile(r"(\d{1,6}):([0-5]\d)", re.ASCII)
_AMOUNT = re.compile(r"(\d{1,15})(?:[.,](\d{1,3}))?(kB|MB|GB)?", re.ASCII)
_SCALES = {None: 1, "kB": 2**10, "MB": 2**20, "GB": 2**30}


@dataclass(frozen=True, slots=True)
class Form:
    """What was typed, as it was typed."""

    offering: str
    subscription: str
    tariff: str
    period: str
    whole: bool  # the month with its monthly prices
    usage: str
    called: str
    group: str
    at: str
    quantity: str

    @property
    def empty(self) -> bool:
        """Tell whether nothing is asked for yet."""
        return not (self.offering or self.subscription or self.usage or self.whole)


def add_pages(app: Flask) -> None:
    """Add this page to the application."""
    app.add_url_rule("/tariffs/quote", "desk.quote", _quote)


@scope("tariffs:read")
def _quote() -> str | tuple[str, int]:
    """Show the form, and below it what was asked for would cost, and why."""
    form = _typed()
    told, refusal = None, None
    with transaction() as session:
        versions = [one for one in service.tariff_books(session) if one.state != REJECTED]
        left: list[tuple[str, str]] = []
        if not form.empty:
            try:
                told = _told(session, form)
                left = _left(session, told)
            except Problem as problem:
                refusal = problem
    offerings = {part.id: part.name for one in versions for part in one.book.tariff.offerings}
    page = render_template(
        "quote.html", form=form, told=told, left=left, refusal=refusal, usages=USAGES,
        offerings=sorted(offerings.items()), labels=[one.label for one in versions],
        sells_to_subscriptions=g.actor.may("party:read"),
    )  # fmt: skip
    return page if refusal is None else (page, int(refusal.status))


def _typed() -> Form:
    asked = {name: request.args.get(name, "").strip() for name in (
        "offering", "subscription", "tariff", "called", "at", "quantity")}  # fmt: skip
    group = number_argument("group")
    return Form(
        **asked, period=period_argument("period") or "", usage=choice_argument("usage", USAGES)
        or "", whole=choice_argument("whole", ("yes",)) is not None,
        group="" if group is None else str(group),
    )  # fmt: skip


def _told(session: Session, form: Form) -> Quote:
    """Ask for the price. Raises as `rating.service.quote`, and `Invalid` for what is no event."""
    if form.subscription:
        check_allowed(g.actor, "party:read")
    elif not form.offering:
        raise Invalid("Say of which product or of which subscription.", field="offering")
    if not form.usage and not form.whole:
        raise Invalid("Say which usage, or ask for the whole month.", field="usage")
    event = _event(form) if form.usage else None
    period = form.period or period_of(event.start if event else today())
    asked = Asked(
        form.offering, period, (event,) if event else (),
        active_from=period_bounds(period)[0] if form.whole else None,
    )  # fmt: skip
    return service.quote(
        session, asked, "nb", tariff=form.tariff or None, book=book(),
        subscription=_digits(form.subscription) or None,
    )  # fmt: skip


def _event(form: Form) -> Event:
    if not form.at:
        raise Invalid("Say when the usage begins, such as 02.03.2026 16:59.", field="at")
    called = _digits(form.called)
    if called and not (called.isascii() and called.isdigit()):
        raise Invalid(f"{form.called!r} is no number; write it with its country code.",
                      field="called")  # fmt: skip
    return Event(form.usage, _moment(form.at), read_quantity(form.quantity, form.usage), called,
                 int(form.group or 0))  # fmt: skip


def _moment(written: str) -> datetime:
    """Read a time on the clock of the tariff."""
    iso = _MOMENT.sub(r"\3-\2-\1T\4", written)
    try:
        return datetime.fromisoformat(iso)
    except ValueError:
        raise Invalid(f"{written!r} is not a time; write it as 02.03.2026 16:59.",
                      field="at") from None  # fmt: skip


def read_quantity(written: str, usage: str) -> int:
    """Read seconds (also as 5:45), messages or octets (also as 1,5 GB), as people write them.

    Raises `Invalid` for anything else, and for what is no whole number of them.

    >>> read_quantity("5:45", "voice"), read_quantity("1,5 GB", "data"), read_quantity("3", "sms")
    (345, 1610612736, 3)
    """
    plain = "".join(written.split())
    clock, amount = _CLOCK.fullmatch(plain), _AMOUNT.fullmatch(plain)
    found = Fraction(-1)
    if clock is not None and usage == "voice":
        found = Fraction(int(clock[1]) * 60 + int(clock[2]))
    elif amount is not None and (amount[3] is None or usage == "data"):
        found = Fraction(f"{amount[1]}.{amount[2] or 0}") * _SCALES[amount[3]]
    if found < 0 or found.denominator != 1 or found > MAX_QUANTITY:
        raise Invalid(
            f"{written!r} is no quantity; write seconds or 5:45 of a call, a number of messages, "
            "or octets or 1,5 GB of data.", field="quantity",
        )  # fmt: skip
    return int(found)


def _digits(written: str) -> str:
    """Take the blanks and the plus off a number; a reference stays as it is."""
    plain = "".join(written.split()).removeprefix("+")
    return plain if plain.isdigit() else written


def _left(session: Session, told: Quote) -> list[tuple[str, str]]:
    """Say what a real subscription could draw on before, each with its unit."""
    if told.balance is None:
        return []
    tariffs = [service.find_tariff(session, label).book.tariff for label in told.tariffs]
    known = {part.id: (tariff, part) for tariff in tariffs for offering in tariff.offerings
             for part in offering.allowances}  # fmt: skip
    return [
        (_name(one), _written(*known[one.allowance], one.quantity))
        for one in told.balance.remaining
    ]


def _written(tariff: Tariff, allowance: Allowance, amount: int) -> str:
    if allowance.money:
        return kroner(amount)
    units = units_of(tariff, allowance)
    return quantity(amount, units[0]) if len(units) == 1 else measured(amount, units)


def _name(one: Remaining) -> str:
    if one.bought:
        return f"{one.allowance}, bought beside"
    return f"{one.allowance}, rolled over" if one.months_ago else one.allowance
