"""`hovedbok ledger export`: the whole journal in a form that others can read and recompute."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import IO

import click
from sqlalchemy.orm import Session

from ledger import service
from ledger.cli.options import (
    as_of_option,
    begin_reading,
    book_option,
    clocks_line,
    known_option,
)
from ledger.db import transaction
from ledger.plaintext import Tally
from reporting.cli.terminal import in_a_folder

_STANDARD_OUTPUT = Path("-")


@click.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice([*service.TEXT_FORMATS, "xlsx"]),
    required=True,
    help="What to write.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    required=True,
    callback=in_a_folder,
    help="The file to write, whole or not at all; - is standard output.",
)
@as_of_option
@known_option
@book_option
def export_command(
    form: str, out: Path, as_of: date | None, known_as_of: int | None, book: str
) -> None:
    """Write every line of the journal for others to recompute.

    Refused, and no file is left, unless the lines sum to the trial balance.
    """
    if form == "xlsx" and out == _STANDARD_OUTPUT:
        raise click.UsageError("A workbook is not text: give --out a file.")
    tally = Tally()
    with transaction("auditor") as session, _whole(out) as stream:
        clocks = begin_reading(session, book, as_of, known_as_of)
        if form == "xlsx":
            _write_workbook(session, stream, book, as_of, known_as_of, tally)
        else:
            for piece in service.export_text(session, book, form, as_of, known_as_of, tally=tally):
                stream.write(piece.encode())
    click.echo(
        f"Wrote {tally.entries} entries, {tally.lines} lines; they sum to the trial balance.",
        err=out == _STANDARD_OUTPUT,
    )
    click.echo(clocks_line(clocks), err=out == _STANDARD_OUTPUT)


def _write_workbook(
    session: Session, stream: IO[bytes], book: str, day: date | None, known: int | None,
    tally: Tally,
) -> None:  # fmt: skip
    # Excel takes long to load and the other forms need none of it.
    from reporting.service.journal_workbook import write_journal_workbook  # noqa: PLC0415

    write_journal_workbook(session, stream, book, day, known, tally=tally)


@contextmanager
def _whole(out: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name only when all of it is written."""
    if out == _STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    draft = out.with_name(f".{out.name}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
