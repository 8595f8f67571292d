"""The `hovedbok rating` commands: tariffs and their versions, and what something would cost."""

import json
import sys
from pathlib import Path

import click

from ledger.errors import Invalid
from rating.cases import Difference, evaluate, read_cases
from rating.cli.quotes import quote
from rating.cli.tariffs import tariff_commands


@click.group("rating")
def rating_cli() -> None:
    """Tariffs and prices."""


for command in (*tariff_commands, quote):
    rating_cli.add_command(command)


@rating_cli.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def case(files: tuple[str, ...]) -> None:
    """Evaluate the pricing cases in each FILE ("-" is standard input); needs no database.

    Writes one line of JSON a case, {"id", "result"} or {"id", "error"}, in order. Exit 1 if a case
    cannot be evaluated or differs from what it expects; the differences are on standard error.
    """
    sound = True
    for file in files:
        try:
            cases = read_cases(_content(file))
        except Invalid as fault:
            click.echo(f"{file} {str(fault).rstrip('.')}.", err=True)
            sound = False
            continue
        for written in cases:
            told = evaluate(written)
            sound &= told.ok
            answer = {"error": told.error} if told.error else {"result": told.result}
            click.echo(_written({"id": told.id, **answer}))
            for difference in told.differences:
                click.echo(_difference(_named(told.id), difference), err=True)
            for ignored in told.ignored:
                pointer = _named(ignored)
                click.echo(f"{_named(told.id)}: {pointer} is not a field of this kind; ignored",
                           err=True)  # fmt: skip
    if not sound:
        raise SystemExit(1)


def _content(file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read()
        return Path(file).read_bytes()
    except OSError as fault:
        raise Invalid(f"cannot be read: {fault.strerror}") from None


def _difference(identity: str, difference: Difference) -> str:
    expected, got = (_written(value) for value in (difference.expected, difference.got))
    return f"{identity}: {_named(difference.pointer)} expected {expected}, got {got}"


def _written(value: object) -> str:
    """Write as JSON; half of a surrogate pair, which no encoding can hold, stays the escape it was.

    The answers of the cases behind it are not lost to it.
    """
    text = json.dumps(value, ensure_ascii=False)
    return text if text == _named(text) else json.dumps(value)


def _named(name: object) -> str:
    return str(name).encode(errors="backslashreplace").decode()
