"""The `hovedbok trace` commands: where a figure comes from, and where a record went."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from ledger.db import transaction
from ledger.errors import NotFound
from ledger.vault import vault
from rating.phrases import Language
from reporting.service import tracing
from reporting.service.explained import Trail

_BOOK = click.option("--book", default="NO01", show_default=True)
_JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
_LANGUAGE = click.option("--language", type=click.Choice(["nb", "en"]), default="nb",
                         show_default=True, help="Of the explanation.")  # fmt: skip
_SHOWN = click.option("--events", default=tracing.EVENTS_SHOWN, show_default=True,
                      help="Events listed per charge; all are counted.")  # fmt: skip


@click.group("trace")
def trace_cli() -> None:
    """Walk from a voucher to bytes in a file, or from a record to the invoice line."""


@trace_cli.command()
@click.argument("voucher")
@_BOOK
@_SHOWN
@_LANGUAGE
@_JSON
def voucher(
    *, voucher: str, book: str, events: int, language: Language, as_json: bool
) -> None:  # fmt: skip
    """Walk VOUCHER, such as USG/2026/1, back to what caused it."""
    with transaction("auditor") as session:
        trail = tracing.trace_voucher(session, vault(), book, voucher, events, language)
    _show(trail, as_json=as_json)


@trace_cli.command()
@click.argument("number")
@_BOOK
@_SHOWN
@_LANGUAGE
@_JSON
def invoice(
    *, number: str, book: str, events: int, language: Language, as_json: bool
) -> None:  # fmt: skip
    """Walk invoice NUMBER, such as 2026-000042, back to records and their bytes."""
    with transaction("auditor") as session:
        trail = tracing.trace_invoice(session, vault(), book, number, events, language)
    _show(trail, as_json=as_json)


@trace_cli.command()
@click.argument("place")
@_BOOK
@_LANGUAGE
@_JSON
def record(*, place: str, book: str, language: Language, as_json: bool) -> None:
    """Walk a record, FILE#NUMBER, forward to its invoice line."""
    with transaction("auditor") as session:
        trail = tracing.trace_record(session, vault(), book, place, language)
    _show(trail, as_json=as_json)


@trace_cli.command()
@click.argument("place")
@_BOOK
@_LANGUAGE
@_JSON
def explain(*, place: str, book: str, language: Language, as_json: bool) -> None:
    """Say why a record, FILE#NUMBER, costs what it does; exit 1 where no run has explained it."""
    with transaction("auditor") as session:
        trail = tracing.trace_record(session, vault(), book, place, language)
    told = [
        {
            "amount_micro": charge["amount_micro"],
            "sentences": [
                sentence["text"]
                for sentence in (*charge["explanation"], *charge.get("settlement", ()))
            ],
            "posted": [posting["voucher"] for posting in charge.get("posted", ())],
        }
        for charge in trail.get("charges", ())
        if "explanation" in charge
    ] + [
        {
            "amount_micro": cost["amount_micro"],
            "currency": cost["currency"],
            "sentences": [sentence["text"] for sentence in cost["explanation"]],
            "posted": [posting["voucher"] for posting in cost["posted"]],
        }
        for cost in trail.get("partners", ())
    ]
    if not told:
        raise NotFound(f"No rating run has explained {place}; see hovedbok trace record '{place}'.")
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    for event in told:
        click.echo("\n".join(event["sentences"]))
        if event["posted"]:
            word = "Bokført som" if language == "nb" else "Posted as"
            click.echo(f"{word} {', '.join(event['posted'])}.")


def _show(trail: Trail, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(trail, ensure_ascii=False, default=str))
        return
    for line in _outline(trail):
        click.echo(line)


def _outline(node: Any, depth: int = 0) -> Iterator[str]:
    """Lay a trail out as an indented outline: short lists of plain values on one line."""
    indent = "  " * depth
    for name, value in _told(node).items():
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from _outline(value, depth + 1)
        elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            yield f"{indent}{name}"
            for item in value:
                if any(isinstance(inner, dict | list) for inner in item.values()):
                    yield f"{indent}  -"
                    yield from _outline(item, depth + 2)
                else:
                    yield f"{indent}  - " + ", ".join(f"{k} {v}" for k, v in _told(item).items())
        else:
            yield f"{indent}{name:<16} {value}"


def _told(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out the number of a file that is named beside it: people ask by its name."""
    if "file" not in node:
        return node
    return {name: value for name, value in node.items() if name != "file_id"}
