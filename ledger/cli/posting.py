"""`hovedbok ledger post`: journal files into the books, each entry once."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO

import click

from ledger import intake, service
from ledger.cli.options import ACTOR, book_option, json_option
from ledger.db import transaction
from ledger.errors import Invalid, Problem
from ledger.intake import Defaults, Drafted, Fault
from ledger.intake.records import NothingToPost, doubles, fault_of, totals_drafted
from ledger.journal import Declared, check_declared
from ledger.money import format_amount, parse_amount
from ledger.refusals import TotalsDiffer
from ledger.service.intake import Booked, Sender, check_now, post_drafted

_LINES_A_BATCH = 30_000
_FAULTS_SHOWN = 20
_SOUGHT = 10  # refusals of a whole file: each costs a search, and who posts meanwhile waits
_IN_MEMORY = 64 * 2**20


@dataclass
class Tally:
    """What became of the entries of a file, and the sums that prove that none was lost.

    Each voucher is kept only where it is told: files have millions of entries.
    """

    tells_vouchers: bool
    read: int = 0
    posted: int = 0
    replayed: int = 0
    lines: int = 0
    debits: Counter[str] = field(default_factory=Counter)  # of what is in the books, minor units
    faults: list[Fault] = field(default_factory=list)
    vouchers: list[Booked] = field(default_factory=list)

    def check(self) -> None:
        """Stop if an entry was neither posted, found nor refused."""
        if self.read != self.posted + self.replayed + len(self.faults):
            raise TotalsDiffer(
                f"{self.read} entries were read, but {self.posted} posted, {self.replayed} found "
                f"and {len(self.faults)} refused. Nothing more is posted; report this."
            )


@click.command("post")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(intake.FORMATS),
    help="What the files are; by their names if left out, NDJSON for -.",
)
@book_option
@click.option(
    "--source-system",
    default="import",
    show_default=True,
    help="Where the entries come from; references are unique within it.",
)
@click.option("--ref", help="Names the file for ever; by its content if left out.")
@click.option(
    "--atomic/--per-entry",
    default=True,
    show_default=True,
    help="All of a file or nothing; or the good entries without the bad ones.",
)
@click.option(
    "--declare",
    metavar="entries=N,lines=N,debit=AMOUNT,EUR=AMOUNT",
    help="Control totals; a file that holds anything else is refused.",
)
@click.option("--dry-run", is_flag=True, help="Check everything, post nothing.")
@json_option
def post_command(files: Sequence[Path], ref: str | None, **chosen: Any) -> None:
    """Post the entries of journal FILES (NDJSON, CSV or Parquet; - is standard input).

    One NDJSON line is one entry:

    \b
    {"effective_date": "2026-03-31", "text": "Rent", "lines": [
      {"account": "4300", "amount": "1000.00"}, {"account": "1920", "amount": "-1000.00"}]}

    The same file posts once. docs/posting.md tells every field and column.
    """  # noqa: D301 - \b is click's mark, which a raw text would show to the reader
    if ref and len(files) > 1:
        raise click.UsageError("--ref names one file; post several files one by one.")
    refused = False
    for path in files:
        tally = _post_file(path, ref, chosen)
        _tell(path, tally, chosen)
        refused = refused or bool(tally.faults)
    if refused:
        raise SystemExit(1)


def _post_file(path: Path, ref: str | None, chosen: dict[str, Any]) -> Tally:
    name = "standard input" if str(path) == "-" else path.name
    file_format = chosen["file_format"] or (
        "ndjson" if str(path) == "-" else intake.format_of(path)
    )
    with _opened(path) as stream:
        ref = ref or _digest(chosen["book"], stream)
        with transaction() as session:
            currency = service.functional_currency(session, chosen["book"])
        entries = intake.read_entries(stream, file_format, name, Defaults(ref, currency))
        sender = Sender(chosen["book"], chosen["source_system"], ACTOR)
        if chosen["atomic"]:
            tally = _post_whole(sender, ref, entries, chosen, currency)
        else:
            tally = _post_each(sender, ref, entries, chosen)
    if not tally.read and not chosen["declare"]:
        raise NothingToPost(
            f"{name} holds no entries; nothing was posted. Fetch it again from its source, or, "
            "where it has nothing to tell, say so: --declare entries=0.",
            file=name,
        )
    return tally


def _post_whole(
    sender: Sender, ref: str, entries: Iterator[Drafted | Fault], chosen: dict[str, Any], own: str
) -> Tally:
    """Post a file in one transaction, or post nothing and list every fault: of its records first.

    Where they have none, what the books refuse is listed, entry by entry.
    """
    tally = Tally(chosen["as_json"])
    read: list[Drafted] = []
    for one in entries:
        tally.read += 1
        tally.faults.append(one) if isinstance(one, Fault) else read.append(one)
    tally.faults += (fault_of(record, "", double) for record, double in doubles(read))
    if tally.faults:
        return tally  # All of them are listed at once; nothing is posted.
    _check_declared(read, chosen["declare"], own)
    try:
        with transaction() as session:
            for batch in _batches(iter(read)):
                _count(tally, batch, post_drafted(session, sender, ref, batch, each=False))
            tally.check()
            if chosen["dry_run"]:
                check_now(session)
                session.rollback()
    except Problem:
        refused = _refused_alone(sender, ref, read)
        if not refused:
            raise  # It was about the whole: the book, a lock, the run itself.
        return Tally(chosen["as_json"], tally.read, faults=refused)
    return tally


def _refused_alone(sender: Sender, ref: str, read: Sequence[Drafted]) -> list[Fault]:
    """Give some of the entries that the books refuse, each with its reason; nothing is posted.

    A file for a closed month is bad from end to end, and each refusal costs a search.
    """
    refused: list[Fault] = []
    with transaction() as session:
        for batch in _batches(iter(read)):
            left = _SOUGHT - len(refused)
            outcomes = post_drafted(session, sender, ref, batch, each=True, most=left)
            refused += [outcome for outcome in outcomes if isinstance(outcome, Fault)]
            if len(refused) >= _SOUGHT:
                break
        session.rollback()
    return refused


def _post_each(
    sender: Sender, ref: str, entries: Iterator[Drafted | Fault], chosen: dict[str, Any]
) -> Tally:
    """Post batch after batch, each committed by itself; bad entries are left out and listed."""
    if chosen["declare"]:
        raise click.UsageError("--declare is about a whole file: it goes with --atomic.")
    tally = Tally(chosen["as_json"])

    def sound() -> Iterator[Drafted]:
        for one in entries:
            tally.read += 1
            if isinstance(one, Fault):
                tally.faults.append(one)
            else:
                yield one

    for batch in _batches(sound()):
        with transaction() as session:
            outcomes = post_drafted(session, sender, ref, batch, each=True)
            if chosen["dry_run"]:
                session.rollback()
        _count(tally, batch, outcomes)
    tally.check()
    return tally


def _batches(drafted: Iterator[Drafted]) -> Iterator[list[Drafted]]:
    """Cut where a batch is full, and where those end that were read together into columns."""
    batch: list[Drafted] = []
    lines = 0
    for one in drafted:
        begins = one.place == 0 and len(one.read) > 1
        if batch and (begins or lines + one.line_count > _LINES_A_BATCH):
            yield batch
            batch, lines = [], 0
        batch.append(one)
        lines += one.line_count
    if batch:
        yield batch


def _count(tally: Tally, batch: Sequence[Drafted], outcomes: Sequence[Booked | Fault]) -> None:
    tally.faults += [outcome for outcome in outcomes if isinstance(outcome, Fault)]
    booked = {outcome.record: outcome for outcome in outcomes if isinstance(outcome, Booked)}
    if tally.tells_vouchers:
        tally.vouchers += booked.values()
    replayed = sum(outcome.replayed for outcome in booked.values())
    tally.replayed += replayed
    tally.posted += len(booked) - replayed
    totals = totals_drafted(one for one in batch if one.record in booked)
    tally.lines += totals.lines
    tally.debits.update(totals.debits)


def _check_declared(read: Sequence[Drafted], declared: str | None, own: str) -> None:
    """Hold a file to its control totals; `debit` is in the book's own currency, NOK=… in any."""
    if declared is None:
        return
    held = totals_drafted(read)
    entries, lines, debits = held.entries, held.lines, dict[str, int]()
    for part in declared.split(","):
        name, _, total = part.strip().partition("=")
        try:
            if name == "entries":
                entries = int(total)
            elif name == "lines":
                lines = int(total)
            elif name == "debit" or re.fullmatch("[A-Z]{3}", name):
                debits[own if name == "debit" else name] = parse_amount(total)
            else:
                raise click.UsageError(f"--declare knows entries, lines, debit and a currency, "
                                       f"not {name!r}.")  # fmt: skip
        except (ValueError, Invalid) as fault:
            raise click.UsageError(f"--declare: {part!r} is no total: {fault}") from fault
    check_declared(Declared(entries, lines, debits or held.debits), held)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, or keep standard input so that it can be read twice."""
    if str(path) != "-":
        with path.open("rb") as stream:
            yield stream
        return
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as kept:
        while block := sys.stdin.buffer.read(1 << 20):
            kept.write(block)
        kept.seek(0)
        yield kept  # type: ignore[misc]


def _digest(book: str, stream: BinaryIO) -> str:
    """Name a file by its content and its book: two companies may post the same file."""
    digest = sha256(f"{book}\0".encode())
    while block := stream.read(1 << 20):
        digest.update(block)
    stream.seek(0)
    return digest.hexdigest()[:16]


def _tell(path: Path, tally: Tally, chosen: dict[str, Any]) -> None:
    debits = {currency: format_amount(sum_) for currency, sum_ in sorted(tally.debits.items())}
    if chosen["as_json"]:
        click.echo(json.dumps({
            "file": str(path), "dry_run": chosen["dry_run"], "read": tally.read,
            "posted": tally.posted, "replayed": tally.replayed, "refused": len(tally.faults),
            "lines": tally.lines, "debits": debits,
            "entries": [{"record": b.record, "entry_id": b.entry_id, "voucher": str(b.voucher),
                         "replayed": b.replayed} for b in tally.vouchers],
            "faults": [{"record": f.record, "pointer": f.pointer, "code": f.code,
                        "detail": f.sentence} for f in tally.faults],
        }, ensure_ascii=False))  # fmt: skip
        return
    for fault in sorted(tally.faults, key=lambda f: f.record)[:_FAULTS_SHOWN]:
        click.echo(f"{path}: {fault}", err=True)
    if len(tally.faults) > _FAULTS_SHOWN:
        click.echo(f"{path}: and {len(tally.faults) - _FAULTS_SHOWN} more (--json lists all).",
                   err=True)  # fmt: skip
    verb = "would be posted" if chosen["dry_run"] else "posted"
    sums = ", ".join(f"{currency} {total}" for currency, total in debits.items()) or "0.00"
    before = f", {tally.replayed} were there before" if tally.replayed else ""
    whole = " Nothing was posted: --atomic." if tally.faults and chosen["atomic"] else ""
    if whole and len(tally.faults) >= _SOUGHT:
        whole += " There may be more: --per-entry --dry-run lists all."
    click.echo(
        f"{path}: {tally.read} entries read, {tally.posted} {verb}{before}, "
        f"{len(tally.faults)} refused; {tally.lines} lines, debits {sums}.{whole}"
    )
