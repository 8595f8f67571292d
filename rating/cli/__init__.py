"""The `hovedbok rating` commands: tariffs and their versions, and what something would cost."""

import json
import sys
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import numpy as np

from ledger.db import transaction
from ledger.errors import Invalid
from rating import service
from rating.cases import Difference, evaluate, read_cases
from rating.cli.tariffs import tariff_commands
from rating.explain import Explanation, explain_event, kroner
from rating.grants import whole_grants
from rating.phrases import Language
from rating.pipeline import rate
from rating.tariff import TariffBook, parse_tariff
from rating.usage import MAX_QUANTITY, USAGE_NAMES, Reason, check_usage
from rating.zones import encode_numbers


@click.group("rating")
def rating_cli() -> None:
    """Tariffs and prices."""


for command in tariff_commands:
    rating_cli.add_command(command)


@rating_cli.command()
@click.option("--offering", required=True, help="The offering, such as MOBIL-5GB.")
@click.option("--usage", type=click.Choice(list(USAGE_NAMES.values())), required=True)
@click.option("--called", default="", help="The number, digits without plus: 4790000001.")
@click.option("--rating-group", default=0, show_default=True, help="Of data.")
@click.option("--start", required=True, help="Local time 2026-03-29T01:30, or with an offset.")
@click.option(
    "--quantity",
    type=click.IntRange(-MAX_QUANTITY, MAX_QUANTITY),
    required=True,
    help="Seconds, messages or octets.",
)
@click.option("--name", help="Which tariff, where several are loaded.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Quote from a tariff file; needs no database.",
)
@click.option("--language", type=click.Choice(["nb", "en"]), default="nb", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def quote(
    offering: str,
    usage: str,
    called: str,
    rating_group: int,
    start: str,
    quantity: int,
    name: str | None,
    file: Path | None,
    language: Language,
    *,
    as_json: bool,
) -> None:
    """Say what one event would cost with a fresh allowance, and why; exit 1 if it has no price."""
    written = _instant(start)
    book = _book(file, written.date(), name)
    zone = ZoneInfo(book.tariff.time_zone)
    at = written if written.tzinfo else written.replace(tzinfo=zone)
    kind = list(USAGE_NAMES.values()).index(usage) + 1
    batch = check_usage(
        event_key=np.array([1], np.int64),
        started_at=np.array([int(at.timestamp())], np.int64),
        quantity=np.array([quantity], np.int64),
        usage_type=np.array([kind], np.int16),
        called=encode_numbers([called]),
        rating_group=np.array([rating_group], np.int32),
        subscription=np.array([0], np.int32),
        offering=np.array([book.offering_index(offering)], np.int32),
    )
    rated = rate(batch, book, whole_grants(book, int(batch.offering[0]), batch.started_at))
    explanation = explain_event(batch, rated, book, 0, language)
    reason = Reason(int(rated.reason[0]))
    click.echo(
        json.dumps(_quoted(explanation, reason), ensure_ascii=False)
        if as_json
        else "\n".join(explanation.sentences)
    )
    if reason is not Reason.OK:
        raise SystemExit(1)


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
            click.echo(json.dumps({"id": told.id, **answer}, ensure_ascii=False))
            for difference in told.differences:
                click.echo(_difference(told.id, difference), err=True)
            for pointer in told.ignored:
                click.echo(f"{told.id}: {pointer} is not a field of this kind; ignored", err=True)
    if not sound:
        raise SystemExit(1)


def _content(file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read()
        return Path(file).read_bytes()
    except OSError as fault:
        raise Invalid(f"cannot be read: {fault.strerror}") from None


def _difference(identity: object, difference: Difference) -> str:
    expected, got = (
        json.dumps(value, ensure_ascii=False) for value in (difference.expected, difference.got)
    )
    return f"{identity}: {difference.pointer} expected {expected}, got {got}"


def _book(file: Path | None, on_day: date, name: str | None) -> TariffBook:
    if file is not None:
        return parse_tariff(file.read_bytes())
    with transaction() as session:
        return service.tariff_book(session, on_day, name)


def _quoted(explanation: Explanation, reason: Reason) -> dict[str, object]:
    return {
        "amount": kroner(explanation.amount_micro, "en"),
        "reason": reason.name,
        "parts": [
            {"text": part.text, "amount": kroner(part.amount_micro, "en")}
            for part in explanation.parts
        ],
        "sentences": list(explanation.sentences),
    }


def _instant(written: str) -> datetime:
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        raise Invalid(f"{written!r} is not a time; write it as 2026-03-29T01:30.") from None
