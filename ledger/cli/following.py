"""`hovedbok ledger events`, `webhook` and `seals`: what was posted, who is told, and its proof."""

from __future__ import annotations

import json
from typing import Any

import click

from ledger.cli.options import ACTOR, book_option, json_option
from ledger.db import transaction
from ledger.service import events, webhooks
from ledger.service.blocks import stored_blocks

_POSITION = click.IntRange(0, 2**62)
_limit_option = click.option(
    "--limit", type=click.IntRange(1, events.LIMIT_MAX), default=100, show_default=True
)


@click.command("events")
@click.option("--after", type=_POSITION, default=0, help="The last seal position that was read.")
@_limit_option
@book_option
@json_option
def events_command(after: int, limit: int, book: str, *, as_json: bool) -> None:
    """Print what was posted behind a position, in the order in which it was sealed."""
    with transaction() as session:
        events.require_position(session, after)
        found = events.events_after(session, book, after, limit)
    following = found[-1].position if found else after
    if as_json:
        told = [webhooks.event_row(event) for event in found]
        click.echo(json.dumps({"book": book, "events": told, "next_after": following}))
        return
    for event in found:
        source = f"{event.content.get('source_system', '')} {event.content.get('source_ref', '')}"
        click.echo(
            f"{event.position:>8} {event.recorded_at:%Y-%m-%d %H:%M:%S} {event.event_type:14} "
            f"batch {event.batch_id} {source}".rstrip()
        )
    click.echo(f"{len(found)} events. Go on with --after {following}.")


@click.group("webhook")
def webhook_cli() -> None:
    """Look after the receivers of events."""


@webhook_cli.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List all receivers, whoever registered them, and where each stands."""
    with transaction() as session:
        found = webhooks.webhooks(session)
    if as_json:
        click.echo(json.dumps({"webhooks": [_told(one) for one in found]}))
        return
    for one in found:
        state = "ended" if one.ended_at else "rests" if one.is_dead else "follows"
        failed = (
            f", {one.failed_attempts} failed: {one.last_outcome}" if one.failed_attempts else ""
        )
        click.echo(
            f"{one.webhook_id:>4} {one.book:6} {state:8} told up to {one.delivered_to}{failed}  "
            f"{one.actor}  {one.url}"
        )
    click.echo(f"{len(found)} receivers.")


@webhook_cli.command("add")
@click.argument("url")
@book_option
@json_option
def add_command(url: str, book: str, *, as_json: bool) -> None:
    """Register URL as a receiver of the events from now on; prints its secret."""
    with transaction() as session:
        number, secret = webhooks.register(session, book, url, actor=ACTOR)
    if as_json:
        click.echo(json.dumps({"webhook_id": number, "secret": secret}))
        return
    click.echo(secret)
    click.echo(f"Webhook {number} is told from now on; the line above signs it.", err=True)


@webhook_cli.command("replay")
@click.argument("webhook_id", type=int)
@click.option("--after", type=_POSITION, required=True, help="The position to go on behind.")
def replay_command(webhook_id: int, after: int) -> None:
    """Tell a receiver again what lies behind a position; wakes one that rests."""
    with transaction() as session:
        webhooks.replay(session, webhook_id, after, actor=ACTOR, of_anybody=True)
    click.echo(f"Webhook {webhook_id} is told again what lies behind position {after}.")


@webhook_cli.command("end")
@click.argument("webhook_id", type=int)
@click.option("--reason", required=True, help="Why; it is kept.")
def end_command(webhook_id: int, reason: str) -> None:
    """End a receiver; it is told nothing more."""
    with transaction() as session:
        webhooks.end(session, webhook_id, actor=ACTOR, reason=reason, of_anybody=True)
    click.echo(f"Webhook {webhook_id} is ended.")


@click.command("seals")
@click.option("--after", type=_POSITION, default=0, help="Only blocks behind this one.")
@_limit_option
@json_option
def seals_command(after: int, limit: int, *, as_json: bool) -> None:
    """List the signed blocks, oldest first."""
    with transaction() as session:
        found = list(stored_blocks(session, after, limit))
    if as_json:
        rows = [
            {
                "block_no": one.block.block_no, "block_hash": one.hash.hex(),
                "first_position": one.block.first_position,
                "last_position": one.block.last_position, "entry_count": one.block.entry_count,
                "signed_at": one.block.signed_at.isoformat(), "key_id": one.block.key_id,
            }
            for one in found
        ]  # fmt: skip
        click.echo(json.dumps({"blocks": rows}))
        return
    for one in found:
        block = one.block
        click.echo(
            f"{block.block_no:>6} {block.signed_at:%Y-%m-%d %H:%M:%S} positions "
            f"{block.first_position} to {block.last_position}, {block.entry_count} entries, key "
            f"{block.key_id}, hash {one.hash.hex()}"
        )
    click.echo(f"{len(found)} blocks.")


COMMANDS = (events_command, webhook_cli, seals_command)


def _told(one: webhooks.Webhook) -> dict[str, Any]:
    return {
        "webhook_id": one.webhook_id, "book": one.book, "actor": one.actor, "url": one.url,
        "ended_at": one.ended_at.isoformat() if one.ended_at else None,
        "delivered_to": one.delivered_to, "failed_attempts": one.failed_attempts,
        "last_outcome": one.last_outcome, "is_dead": one.is_dead,
    }  # fmt: skip
