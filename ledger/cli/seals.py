"""`hovedbok ledger seal`, `anchor`, `proof`, `check-proof`, `seal-key` and `verify`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from ledger import service
from ledger.cli.options import book_option, json_option
from ledger.db import transaction
from ledger.errors import Invalid
from ledger.journal import Voucher
from ledger.money import format_amount
from ledger.places import places
from ledger.proof import check_proof, render_proof
from ledger.service import anchors, signing
from ledger.service.proofs import voucher_faults, voucher_proof
from ledger.service.sealing import SealingLag, SealReport
from ledger.service.verify import Fault, verification_steps


@click.command("seal")
@json_option
def seal_command(*, as_json: bool) -> None:
    """Seal what is certain to be complete, under a signature; a worker does so by itself."""
    with transaction() as session:
        report = service.seal(session, signing.signer())
    if as_json:
        click.echo(json.dumps(_report(report)))
        return
    block = report.block
    if block is None:
        click.echo("Nothing new to seal.")
    else:
        click.echo(
            f"Block {block.block_no} seals {block.batch_count} batches with {block.entry_count} "
            f"entries and {block.line_count} lines, up to position {block.last_position}, and "
            f"{block.master_count} rows of master data, under key {block.key_id}."
        )
    _tell_lag(report.lag)


@click.command("anchor")
@click.option("--to", "place", help="A folder or fsspec address; HOVEDBOK_ANCHORS by default.")
@json_option
def anchor_command(place: str | None, *, as_json: bool) -> None:
    """Write the signed head to a place that the database's administrator cannot change."""
    place = place or places().anchors
    if place is None:
        raise Invalid("Say where to: --to FOLDER, or set HOVEDBOK_ANCHORS to a place.")
    with transaction() as session:
        anchor, address = anchors.write_anchor(session, place)
    if as_json:
        click.echo(json.dumps({"block_no": anchor.block.block_no, "address": address}))
    else:
        click.echo(f"Block {anchor.block.block_no} is anchored as {address}.")


@click.command("seal-key")
@click.option("--out", type=click.Path(path_type=Path), help="A file; standard output if left out.")
def seal_key_command(out: Path | None) -> None:
    """Export the public half of the sealing key as PEM, for auditors."""
    pem = signing.public_pem(signing.signer().public_key)
    if out is None:
        click.echo(pem, nl=False)
    else:
        out.write_text(pem)
        click.echo(f"{out} holds the public key; give it to whoever checks proofs.")


@click.command("proof")
@click.argument("voucher")
@click.option("--out", type=click.Path(path_type=Path), help="A file; standard output if left out.")
@book_option
def proof_command(voucher: str, out: Path | None, book: str) -> None:
    """Prove that a voucher (SAL/2026/17) stands under a seal; anybody can check it offline."""
    with transaction("auditor") as session:
        proof = voucher_proof(session, book, Voucher.read(voucher))
    content = render_proof(proof)
    if out is None:
        click.echo(content, nl=False)
        return
    out.write_bytes(content)
    click.echo(
        f"{out} proves {voucher} at position {proof.position}. Check it with the public key: "
        f"hovedbok ledger check-proof {out} --key public.pem."
    )


@click.command("check-proof")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", "key_file", required=True, help="The public key that you were given, PEM.",
              type=click.Path(exists=True, dir_okay=False, path_type=Path))  # fmt: skip
@json_option
def check_proof_command(file: Path, key_file: Path, *, as_json: bool) -> None:
    """Check a proof with the public key alone; no database is asked or started."""
    key = signing.read_public_pem(key_file.read_bytes(), str(key_file))
    proof = check_proof(file.read_bytes(), key)
    if as_json:
        click.echo(json.dumps({
            "voucher": str(proof.voucher), "position": proof.position,
            "block_no": proof.block["block_no"], "signed_at": proof.block["signed_at"],
        }))  # fmt: skip
        return
    click.echo(
        f"The proof holds: {proof.voucher} of book {proof.book}, effective "
        f"{proof.entry.effective_date}, posted by {proof.created_by}, is entry {proof.entry_id} "
        f"under block {proof.block['block_no']}, signed {proof.block['signed_at']}."
    )
    for number, line in enumerate(proof.entry.lines, 1):
        amount = format_amount(line.amount_minor)
        click.echo(f"  {number:3} {line.account:6} {line.currency} {amount:>16}  {line.text or ''}")


@click.command("verify")
@click.option("--incremental", "--since-anchor", "incremental", is_flag=True,
              help="Only what was sealed after the last anchor, or is not sealed yet.")  # fmt: skip
@click.option("--anchors", "anchored", multiple=True, help="A place where anchors were written.")
@click.option("--voucher", help="Only this voucher, from its rows up to the signature.")
@book_option
@json_option
def verify_command(
    anchored: tuple[str, ...], voucher: str | None, book: str, *, incremental: bool, as_json: bool
) -> None:
    """Rebuild and compare the books of this database; exit 1 if anything differs."""
    faults: list[Fault] = []
    known = places().anchors
    steps = verification_steps([*anchored, *([known] if known else [])], incremental=incremental)
    with transaction("auditor") as session:
        # One snapshot for all checks, whatever is posted meanwhile.
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        if voucher is not None:
            found = voucher_faults(session, book, Voucher.read(voucher))
            faults.extend(Fault("proof", where, detail) for where, detail in found)
        else:
            with click.progressbar(steps, label="Verifying", file=sys.stderr) as bar:
                for _, step in bar:
                    faults.extend(step(session))
        unsealed = service.resolve_known(session, None).unsealed_batches
    if as_json:
        rows = [{"check": f.check, "where": f.where, "detail": f.detail} for f in faults]
        click.echo(json.dumps({"faults": rows, "unsealed_batches": unsealed}))
    else:
        for fault in faults:
            click.echo(f"{fault.check}: {fault.where}: {fault.detail}", err=True)
    if faults:
        raise SystemExit(1)
    if not as_json:
        what = f"{len(steps)} checks" if voucher is None else f"the proof of {voucher}"
        click.echo(f"The books hold: {what} found nothing that differs.")
        if unsealed and voucher is None:
            subject = "1 batch is" if unsealed == 1 else f"{unsealed} batches are"
            click.echo(f"{subject} not sealed yet: hovedbok ledger seal.")


COMMANDS = (
    seal_command, anchor_command, proof_command, check_proof_command, seal_key_command,
    verify_command,
)  # fmt: skip


def _report(report: SealReport) -> dict[str, Any]:
    block = report.block
    sealed = None if block is None or report.hash is None else {
        "block_no": block.block_no, "block_hash": report.hash.hex(), "key_id": block.key_id,
        "first_position": block.first_position, "last_position": block.last_position,
        "batches": block.batch_count, "entries": block.entry_count, "lines": block.line_count,
        "master_rows": block.master_count,
    }  # fmt: skip
    lag = report.lag
    return {
        "block": sealed,
        "unsealed_batches": lag.unsealed_batches,
        "held_batches": lag.held_batches,
        "lag_seconds": lag.seconds,
        "blockers": [
            {
                "pid": b.pid, "database": b.database, "state": b.state, "query": b.query,
                "since": b.since.isoformat() if b.since else None,
            }
            for b in lag.blockers
        ],
    }  # fmt: skip


def _tell_lag(lag: SealingLag) -> None:
    if not lag.unsealed_batches:
        return
    click.echo(
        f"{lag.unsealed_batches} batches wait to be sealed, the oldest for {lag.seconds} s: a "
        "transaction that began before them is still open in this database cluster."
    )
    for blocker in lag.blockers:
        since = f" since {blocker.since:%Y-%m-%d %H:%M:%S}" if blocker.since else ""
        who = f"pid {blocker.pid}" if blocker.pid else "a prepared transaction"
        query = f": {' '.join(blocker.query.split())}" if blocker.query else ""
        click.echo(
            f"  {who} in {blocker.database}, {blocker.state or 'state not shown'}{since}{query}"
        )
