"""`hovedbok ledger items`, `allocations` and `allocate`: claims, credits and their use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, Protocol

import click
from sqlalchemy.orm import Session

from ledger import service
from ledger.cli.options import (
    ACTOR,
    as_of_option,
    begin_reading,
    book_option,
    clocks_json,
    clocks_line,
    day_option,
    from_option,
    json_option,
    known_option,
    to_option,
)
from ledger.db import transaction
from ledger.journal import AllocationDraft, BatchDraft
from ledger.money import format_amount, parse_amount
from ledger.service.item_list import (
    PAGE_MAX,
    AllocationFilter,
    ItemFilter,
    allocations_of_batch,
    list_allocations,
    list_items,
)

_party = click.option("--party", "party_id", type=int, help="Only of this party.")
_ITEM = (
    "{open_item_id:>12} {account:6} {party:>8} {kind:12} {document_ref:20} {due_date} {currency} "
    "{original:>14} {outstanding:>14}"
)
_ALLOCATION = (
    "{allocation_id:>12} {effective_date} credit {credit_item_id} for {debit_item_id} "
    "{amount:>14}  {rule}"
)


class _Page(Protocol):
    @property
    def rows(self) -> tuple[Any, ...]: ...

    @property
    def next_cursor(self) -> str | None: ...


@click.command("items")
@as_of_option
@known_option
@click.option("--state", type=click.Choice(["open", "settled", "all"]), default="open",
              show_default=True, help="As it is at the end of the day.")  # fmt: skip
@_party
@click.option("--account", help="Only on this account.")
@click.option("--ref", "document_ref", help="Only of this document.")
@click.option("--kid", help="Only with this KID.")
@book_option
@json_option
def items_command(
    as_of: date | None, known_as_of: int | None, book: str, *, as_json: bool, **wanted: Any
) -> None:
    """Print claims and credits, and what is left of each."""
    asked = ItemFilter(as_of, **wanted)
    with transaction() as session:
        clocks = begin_reading(session, book, as_of, known_as_of)
        rows = [
            {"open_item_id": one.open_item_id, "account": one.account, "party_id": one.party_id,
             "kind": one.kind, "document_ref": one.document_ref, "kid": one.kid,
             "due_date": one.due_date.isoformat(), "currency": one.currency,
             "original": format_amount(one.original_minor),
             "outstanding": format_amount(one.outstanding_minor)}
            for one in _all(session, lambda s, **at: list_items(s, book, asked, known_as_of, **at))
        ]  # fmt: skip
    if as_json:
        click.echo(json.dumps({"items": rows, **clocks_json(clocks)}, ensure_ascii=False))
        return
    for row in rows:
        click.echo(_ITEM.format(party="-" if row["party_id"] is None else row["party_id"], **row))
    click.echo(clocks_line(clocks))


@click.command("allocations")
@from_option
@to_option
@known_option
@_party
@click.option("--item", "open_item_id", type=int, help="Only of this item, on either side.")
@book_option
@json_option
def allocations_command(
    book: str, known_as_of: int | None, *, as_json: bool, **wanted: Any
) -> None:
    """Print what was used for what."""
    asked = AllocationFilter(wanted.pop("from"), wanted.pop("to"), **wanted)
    with transaction() as session:
        clocks = begin_reading(session, book, asked.effective_as_of, known_as_of)
        rows = [
            _told(one) for one in _all(
                session, lambda s, **at: list_allocations(s, book, asked, known_as_of, **at))
        ]  # fmt: skip
    if as_json:
        click.echo(json.dumps({"allocations": rows, **clocks_json(clocks)}, ensure_ascii=False))
        return
    for row in rows:
        click.echo(_ALLOCATION.format(**row))
    click.echo(clocks_line(clocks))


@click.command("allocate")
@click.argument("credit", type=int)
@click.argument("debit", type=int)
@click.argument("amount")
@day_option("--on", "The day from which the credit is used.", required=True)
@click.option("--rule", default="manual", show_default=True, help="Why the two belong together.")
@click.option("--ref", help="Names this use for ever; by its content if left out.")
@book_option
@json_option
def allocate_command(
    credit: int, debit: int, amount: str, on: date, rule: str, ref: str | None, book: str, *,
    as_json: bool,
) -> None:  # fmt: skip
    """Use AMOUNT of the item CREDIT for the item DEBIT; no money moves.

    The same command does it once, also after a crash; --ref makes another of the same content.
    """
    use = AllocationDraft(credit, debit, parse_amount(amount), on, rule)
    named = ref or f"{book}/{credit}/{debit}/{use.amount_minor}/{on}/{rule}"
    batch = BatchDraft(book, "allocations", named, ACTOR, (), (use,))
    with transaction() as session:
        posted = service.allocate(session, batch)
        made = [_told(one) for one in allocations_of_batch(session, posted.batch_id)]
    if as_json:
        click.echo(json.dumps({"allocations": made, "replayed": posted.replayed}))
        return
    for one in made:
        again = " It was made before; another needs a --ref." if posted.replayed else ""
        click.echo(f"Allocation {one['allocation_id']} uses {one['amount']} from {on} on.{again}")


def _told(one: service.AllocationView) -> dict[str, Any]:
    return {
        "allocation_id": one.allocation_id, "credit_item_id": one.credit_item_id,
        "debit_item_id": one.debit_item_id, "amount": format_amount(one.amount_minor),
        "effective_date": one.effective_date.isoformat(), "rule": one.rule,
        "reverses_allocation_id": one.reverses_allocation_id,
    }  # fmt: skip


def _all(session: Session, page_of: Callable[..., _Page]) -> Iterator[Any]:
    """Read a list to its end, page by page."""
    after = None
    while True:
        page = page_of(session, after=after, limit=PAGE_MAX)
        yield from page.rows
        if (after := page.next_cursor) is None:
            return


COMMANDS = (items_command, allocations_command, allocate_command)
