"""Pages of the two-way trail: from a voucher or an invoice to bytes, from a record to the payment.

They show what `hovedbok trace` prints; each step that has a page of its own is a link.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from flask import Flask, g, render_template, request, url_for

from ledger.db import transaction
from ledger.money import parse_amount
from ledger.vault import vault
from ledger.web import scope
from party.service import party_labels
from reporting import norwegian
from reporting.service import tracing
from reporting.service.explained import Trail
from reporting.web.dates import OSLO
from reporting.web.frame import book

_LABELS = {"kid": "KID", "vat_code": "VAT code", "party_id": "Party", "line_no": "Line"}

# What leads to a page, and what people call it.
_BEHIND = {"file_id": "file", "party_id": "customer"}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing a step of the trail says, and the page behind it where there is one."""

    label: str
    text: str
    href: str | None = None
    figure: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the trail: its facts, rows of like facts, and the steps it leads to."""

    heading: str
    facts: tuple[Fact, ...] = ()
    rows: tuple[tuple[Fact, ...], ...] = ()
    steps: tuple[Step, ...] = ()


def add_pages(app: Flask) -> None:
    """Add these pages to the application."""
    for rule, name, view in (
        ("/trace/voucher/<series>/<int:year>/<int:number>", "trace_voucher", _voucher),
        ("/trace/invoice/<number>", "trace_invoice", _invoice),
        ("/trace/record", "trace_record", _record),
    ):
        app.add_url_rule(rule, f"desk.{name}", view)


@scope("ledger:read")
def _voucher(series: str, year: int, number: int) -> str:
    """Walk a voucher back to what caused it."""
    name = f"{series}/{year}/{number}"
    with transaction() as session:
        trail = tracing.trace_voucher(session, vault(), book(), name)
    return _page(f"Voucher {name}", trail)


@scope("ledger:read")
def _invoice(number: str) -> str:
    """Walk an invoice back to records and their bytes."""
    with transaction() as session:
        trail = tracing.trace_invoice(session, vault(), book(), number)
    return _page(f"Invoice {number}", trail)


@scope("mediation:read")
def _record() -> str:
    """Walk a record forward to its invoice line and the payment of it."""
    place = request.args.get("place", "").strip()
    with transaction() as session:
        trail = tracing.trace_record(session, vault(), book(), place)
    return _page(f"Record {place}", trail)


def _page(heading: str, trail: Trail) -> str:
    if g.actor.may("party:read"):
        with transaction() as session:
            trail = named(trail, party_labels(session, set(_parties(trail))))
    return render_template("trace.html", heading=heading, step=step_of("", trail))


def _parties(node: Any) -> Iterator[int]:
    """Give the parties that a trail names, wherever it does."""
    for name, value in node.items() if isinstance(node, Mapping) else enumerate(node):
        if name == "party_id" and value:
            yield int(value)
        elif isinstance(value, Mapping | list | tuple):
            yield from _parties(value)


def named(node: Any, labels: Mapping[int, tuple[str, str]]) -> Any:
    """Say before each party of a trail its customer number, which is on every other page.

    A program may post a party that nobody registered.
    """
    if isinstance(node, list | tuple):
        return [named(one, labels) for one in node]
    if not isinstance(node, Mapping):
        return node
    told: dict[str, Any] = {}
    for name, value in node.items():
        if name == "party_id":
            told["customer"] = (
                labels[value][0] if value in labels else f"party {value}" if value else ""
            )
        told[name] = named(value, labels)
    return told


def step_of(heading: str, node: Mapping[str, Any]) -> Step:
    """Lay out one node of a trail: plain values as facts, like ones as rows, the rest as steps."""
    facts, steps = [], []
    for name, value in _told(node):
        label = _label(name)
        if isinstance(value, Mapping):
            steps.append(step_of(label, value))
        elif isinstance(value, list | tuple):
            steps += _steps_of(label, [item for item in value if isinstance(item, Mapping)])
        elif value is not None:
            facts.append(_fact(name, value, node))
    return Step(heading, tuple(facts), (), tuple(steps))


def _steps_of(label: str, items: list[Mapping[str, Any]]) -> Iterator[Step]:
    """Rows where every item is flat, else a step per item."""
    if not items:
        return
    if any(isinstance(value, Mapping | list | tuple) for item in items for value in item.values()):
        for number, item in enumerate(items, 1):
            told = item.get("text") or item.get("component") or number
            yield step_of(f"{label}: {told}", item)
        return
    yield Step(label, rows=tuple(
        tuple(_fact(*pair, item) for pair in _told(item)) for item in items
    ))  # fmt: skip


def _told(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give what is said of a node, without the numbers of ours that are behind what people say."""
    hidden = {number for number, said in _BEHIND.items() if said in node}
    return (pair for pair in node.items() if pair[0] not in hidden)


def _fact(name: str, value: Any, node: Mapping[str, Any]) -> Fact:
    label = _label(name)
    if name in {"amount_micro", "margin_micro"}:
        # Six decimals at most, and never fewer than two: the exact value of the event.
        whole, rest = divmod(abs(int(value)), 1_000_000)
        decimals = f"{rest:06}".rstrip("0").ljust(2, "0")
        sign = "−" if value < 0 else ""
        return Fact(
            label.removesuffix(" micro"),
            f"{sign}{norwegian.whole_number(whole)},{decimals}",
            None,
            True,
        )
    if name in {"amount", "gross"}:
        return Fact(label, norwegian.kroner(parse_amount(value)), None, True)
    if name == "date":
        return Fact(label, norwegian.long_date(date.fromisoformat(value)))
    if name == "started_at":
        moment = datetime.fromtimestamp(int(value), UTC).astimezone(OSLO)
        return Fact(label, moment.strftime("%d.%m.%Y %H:%M:%S"))
    text = "" if value is None else str(value)
    number = next((number for number, said in _BEHIND.items() if said == name), None)
    href = _href(name, text) if number is None else _href(number, str(node.get(number) or ""))
    return Fact(label, text, href, isinstance(value, int) and name != "voucher")


def _label(name: str) -> str:
    return _LABELS.get(name) or name.replace("_", " ").capitalize()


def _href(name: str, text: str) -> str | None:
    """Give the page behind a value, where the reader may open it."""
    may = g.actor.may
    if name == "voucher" and may("ledger:read"):
        series, year, number = text.split("/")
        return url_for("desk.entry", series=series, year=year, number=number)
    if name == "record" and may("mediation:read"):
        return url_for("desk.trace_record", place=text)
    if (name == "invoice" or (name == "number" and "-" in text)) and may("documents:read"):
        return url_for("desk.invoice", number=text)
    if name == "party_id" and text and may("party:read"):
        return url_for("desk.customer", party_id=int(text))
    if name == "file_id" and text and may("mediation:read"):
        return url_for("desk.feed", file_id=int(text))
    return None
