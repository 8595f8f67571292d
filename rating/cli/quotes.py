"""The command that says what something would cost: an event, a bundle of them, or a month."""

import json
import re
from dataclasses import asdict, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from ledger.cli.options import book_option, day_option, json_option
from ledger.db import transaction
from ledger.errors import Invalid
from ledger.money import format_amount
from ledger.periods import period_bounds, period_of
from rating import quoting, service
from rating.explain import kroner
from rating.phrases import PHRASES, Language
from rating.quoted_allowances import Remaining
from rating.quoted_asking import Asked, Order
from rating.quoted_events import QUOTED_USAGE, Event, price_micro, start_as_written
from rating.quoting import Balance, Quote, QuotedEvent
from rating.reading import Reader
from rating.recurring import month_span
from rating.tariff import parse_tariff
from rating.tariff_terms import CURRENCIES, OCCASIONS
from rating.usage import MAX_QUANTITY
from rating.versions import InForce

_LOCAL = ZoneInfo("Europe/Oslo")
_REMAINING = re.compile(r"(?P<name>.+?):(?P<quantity>\d{1,18})(?::(?P<months>\d{1,3}))?")
_path = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--offering", default="", help="The offering, such as MOBIL-5GB.")
@click.option("--subscription", help="One that exists, with its contract and its use.")
@click.option("--as-of", help="Of a subscription: what was left of use before that time.")
@click.option("--known-as-of", help="Of a subscription: by the last run recorded by that time.")
@click.option("--usage", type=click.Choice(QUOTED_USAGE), help="Of one event.")
@click.option("--called", default="", help="The number, digits without plus: 4790000001.")
@click.option("--rating-group", default=0, show_default=True, help="Of data.")
@click.option("--start", help="Local time 2026-03-29T01:30, or with an offset.")
@click.option(
    "--quantity",
    type=click.IntRange(-MAX_QUANTITY, MAX_QUANTITY),
    help="Seconds, messages, octets or pieces.",
)
@click.option("--service", "of_service", default="", help="Of an event with a price.")
@click.option("--price", help="The price that it brings: 29.00.")
@click.option("--currency", type=click.Choice(CURRENCIES), help="Of that price.")
@click.option("--vat-included", is_flag=True, help="That price includes VAT.")
@click.option("--events", type=_path, help="A file of events, JSON as the REST API takes them.")
@click.option("--month", help="A whole month, such as 2026-03: with its monthly prices.")
@day_option("--from", "The first day it is active in the month; by default all of it.")
@day_option("--to", "The day after the last.")
@click.option("--order", "orders", multiple=True, metavar="KIND:DAY[:OFFERING]",
              help="An order in the month: add:2026-03-01, addon:2026-03-10:EXTRA.")  # fmt: skip
@click.option("--remaining", "left", multiple=True, metavar="ALLOWANCE:QUANTITY[:MONTHS]",
              help="What is left of an allowance, or rolled over so long ago.")  # fmt: skip
@click.option("--name", help="Which tariff, where several are loaded, or a version: NORDLYS/2.")
@click.option("--file", type=_path, help="Quote from a tariff file; needs no database.")
@book_option
@click.option("--language", type=click.Choice(["nb", "en"]), default="nb", show_default=True)
@json_option
def quote(
    offering: str, subscription: str | None, as_of: str | None,
    known_as_of: str | None, usage: str | None, called: str, rating_group: int,
    start: str | None, quantity: int | None, of_service: str, price: str | None,
    currency: str | None, events: Path | None, month: str | None, orders: tuple[str, ...],
    left: tuple[str, ...], name: str | None, file: Path | None, book: str, language: Language, *,
    vat_included: bool, as_json: bool, **days: date | None,
) -> None:  # fmt: skip
    """Say what an event, a bundle of events or a month would cost, and why.

    It is priced by the functions that bill, with a fresh allowance where --remaining says nothing
    else; nothing is posted or kept. Exit 1 if something has no price.
    """
    if month is not None:
        period_bounds(month)
    used = _events(events)
    if usage is not None or start is not None or quantity is not None:
        if usage is None or start is None or quantity is None:
            raise Invalid("An event needs --usage, --start and --quantity.")
        used = (
            *used,
            Event(usage, start_as_written(start), quantity, called, rating_group, of_service,
                  price_micro(price), currency or "", vat_included),
        )  # fmt: skip
    if not offering and subscription is None:
        raise Invalid("Name an --offering, or a --subscription that has one.")
    asked = Asked(
        offering, month or _month_of(used), used, tuple(_order(told) for told in orders),
        (days["from"] or period_bounds(month)[0]) if month else None, days["to"],
        tuple(_remaining(told) for told in left),
    )  # fmt: skip
    if file is not None:
        versions = [InForce(parse_tariff(file.read_bytes()), *month_span(asked.period))]
        told = quoting.quote(versions, asked, language)
    else:
        with transaction() as session:
            told = service.quote(
                session, asked, language, tariff=name, book=book, subscription=subscription,
                effective_as_of=_moment(as_of), known_as_of=_moment(known_as_of),
            )  # fmt: skip
    alone = month is None and events is None and not orders and subscription is None
    # What is charged beside the event says why.
    alone = alone and not any(charge.sentences for charge in told.charges)
    if as_json:
        facts = _event_facts(told.events[0]) if alone else _facts(told)
        facts["left_out"] = list(told.left_out)
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(told, language, alone=alone)))
    if not told.priced:
        raise SystemExit(1)


def _events(file: Path | None) -> tuple[Event, ...]:
    if file is None:
        return ()
    try:
        content = json.loads(file.read_bytes())
    except ValueError as fault:
        raise Invalid(f"{file} is not JSON: {fault}.") from None
    reader = Reader({"event": content})
    found: list[tuple[str, Event]] = []
    for table in reader.tables("event"):
        event = Event(
            usage=table.choice("usage", QUOTED_USAGE),
            start=datetime.min,  # noqa: DTZ901 - read below, when there are no other faults
            quantity=table.integer("quantity", -MAX_QUANTITY, MAX_QUANTITY),
            called=table.text("called", ""),
            rating_group=table.integer("rating_group", 0, 2**31 - 1, 0),
            service=table.text("service", ""),
            price_micro=price_micro(table.text("price", None)),
            currency=table.choice("currency", CURRENCIES, ""),
            vat_included=table.flag("vat_included", False),
        )
        found.append((table.text("start"), event))
        table.refuse_unknown()
    if reader.faults:
        raise Invalid(f"{file}: {'; '.join(map(str, reader.faults[:5]))}. Correct the file.")
    return tuple(replace(event, start=start_as_written(start)) for start, event in found)


def _month_of(events: tuple[Event, ...]) -> str:
    if not events:
        raise Invalid("Ask for an event (--usage), a file of --events, or a --month.")
    start = events[0].start
    return period_of(start.astimezone(_LOCAL) if start.tzinfo else start)


def _order(written: str) -> Order:
    kind, _, rest = written.partition(":")
    day, _, offering = rest.partition(":")
    try:
        return Order(kind, date.fromisoformat(day), offering)
    except ValueError:
        raise Invalid(
            f"{written!r} is no order; write {' or '.join(OCCASIONS)}, a colon and the day: "
            "add:2026-03-01; and another colon and the offering where it is another."
        ) from None


def _remaining(written: str) -> Remaining:
    found = _REMAINING.fullmatch(written)
    if found is None:
        raise Invalid(
            f"{written!r} does not say what is left; write the allowance, a colon and the "
            "quantity: data:500000000; and :1 behind it for what rolled over from the month before."
        )
    return Remaining(found["name"], int(found["quantity"]), int(found["months"] or 0))


def _moment(written: str | None) -> datetime | None:
    """Read a time; one without an offset is local."""
    if written is None:
        return None
    found = start_as_written(written)
    return found if found.tzinfo else found.replace(tzinfo=_LOCAL)


def _lines(told: Quote, language: Language, *, alone: bool) -> list[str]:
    lines = [sentence for event in told.events for sentence in event.explanation.sentences]
    if told.balance is not None:
        lines = [*_left(told.balance, language), *lines]
    missing = [PHRASES[language]["left_out"].format(what=what) for what in told.left_out]
    if alone:
        return [*lines, *missing]
    several = len({charge.billing_account for charge in told.charges}) > 1
    for charge in told.charges:
        lines += charge.sentences
        amount = format_amount(charge.amount_minor)
        payer = f", {charge.billing_account}" if several else ""
        lines.append(f"{charge.text} ({charge.component}, {charge.price_basis}{payer}): {amount}")
    lines += missing
    if told.gross_minor is not None and told.net_minor is not None and told.vat_minor is not None:
        net, vat, gross = map(format_amount, (told.net_minor, told.vat_minor, told.gross_minor))
        lines.append(
            f"Til sammen {gross}: {net} uten mva. og {vat} mva." if language == "nb"
            else f"Together {gross}: {net} without VAT, and {vat} of VAT."
        )  # fmt: skip
    return lines


def _left(balance: Balance, language: Language) -> list[str]:
    """Say what a real subscription could draw on before the events."""
    say = PHRASES[language]
    left = [
        say["left"].format(
            quantity=one.quantity,
            allowance=say["bought"].format(allowance=one.allowance) if one.bought
            else say["rolled_long"].format(allowance=one.allowance, age=one.months_ago)
            if one.months_ago else one.allowance,
        )
        for one in balance.remaining
    ]  # fmt: skip
    known = "" if balance.known_at is None else f"{balance.known_at:%Y-%m-%d %H:%M}"
    source = say["left_by"].format(run=balance.run_id, at=known) if known else say["left_new"]
    return [f"{balance.subscription}, {balance.offering}, {source}", *left]


def _event_facts(event: QuotedEvent) -> dict[str, object]:
    return {
        "amount": kroner(event.amount_micro, "en"),
        "reason": event.reason,
        "tariff": event.tariff,
        "parts": [
            {"text": part.text, "amount": kroner(part.amount_micro, "en")}
            for part in event.explanation.parts
        ],
        "sentences": list(event.explanation.sentences),
    }


def _facts(told: Quote) -> dict[str, object]:
    totals = {"net": told.net_minor, "vat": told.vat_minor, "gross": told.gross_minor}
    return {
        "tariffs": list(told.tariffs),
        "events": [_event_facts(event) for event in told.events],
        "charges": [
            {"component": charge.component, "kind": charge.kind, "text": charge.text,
             "price_basis": charge.price_basis, "vat_code": charge.vat,
             "quantity": charge.quantity, "amount": format_amount(charge.amount_minor),
             "sentences": list(charge.sentences), "billing_account": charge.billing_account}
            for charge in told.charges
        ],
        **{
            name: None if minor is None else format_amount(minor)
            for name, minor in totals.items()
        },
        **({} if told.balance is None else {"balance": _balance_facts(told.balance)}),
    }  # fmt: skip


def _balance_facts(balance: Balance) -> dict[str, object]:
    facts: dict[str, Any] = asdict(balance)
    for name in ("known_at", "effective_as_of"):
        facts[name] = facts[name] and facts[name].isoformat()
    return facts
