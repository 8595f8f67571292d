"""The `hovedbok docs` commands: pages that are made from the program, so that they are true."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import click

from ledger.errors import Conflict
from ledger.web import ProblemEntry, problem_catalogue
from rating.tariff_page import tariff_page
from rating.tariff_schema import tariff_schema

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, GALLERY = DOCS / "errors.md", DOCS / "errors.toml"
ROOMS = {
    "ledger": "Ledger, access and web",
    "party": "Customers",
    "rating": "Tariffs and prices",
    "mediation": "Files in",
    "reporting": "Documents out",
    "app": "Settings and serving",
}
# The generator of demo files is an outsider: its refusals are none of the program's.
OUTSIDERS = ("mediation.demo",)
EXIT_STATUS = 1  # Of every refusal on the command line; 2 is a command that was typed wrongly.

_HEAD = f"""# What can be refused

Made by `hovedbok docs errors` from the classes of the program and the examples in
`docs/errors.toml`.

A refusal is an answer, not an accident: it says what is wrong, where (file, line or offset) and
what to do next, and nothing of what was asked for has been done. The command line prints `Title:
sentence` on standard error and ends with status {EXIT_STATUS}; with `--json` the same comes as an
object on standard output. REST answers with problem details (RFC 9457,
`application/problem+json`): `type` is `/problems/` and the code below, then `title`, `status`,
`detail` (the sentence) and the facts of the case. Programs should look at `type`; sentences may
get better.

A file that is refused is not lost: it is kept, listed with its reason by `hovedbok mediation
files`, and can be sent again. A row of a good file that cannot be used is suspended, and the
other rows go on.

A quoted sentence is what the program said when a test provoked the refusal as told above it; `…`
stands for what varies. Where nothing provokes a refusal so simply, *reads like* gives the pattern
of its sentence.
"""


class PageOutdated(Conflict):
    """A page that is made from the program differs from what the program would make.

    Raise as: f"{page} is not what the program says. Run: hovedbok docs errors.".
    """

    title = "Page is out of date"


@dataclass(frozen=True, slots=True)
class Example:
    """The sentence a refusal was met with, and how: a command, or words for what was done."""

    sentence: str
    command: str = ""
    when: str = ""


@click.group("docs")
def docs_cli() -> None:
    """Write the pages that are made from the program."""


@docs_cli.command("errors")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if the page would change.")
@click.option("--page", type=click.Path(dir_okay=False, path_type=Path), default=PAGE,
              help="Where the page is; docs/errors.md by default.")  # fmt: skip
def errors_command(*, check: bool, page: Path) -> None:
    """Write the catalogue of refusals, with the examples of the gallery."""
    entries = problem_catalogue(ROOMS, OUTSIDERS)
    text = render_page(entries, read_gallery())
    known = page.read_text("utf-8") if page.is_file() else ""
    if check and known != text:
        raise PageOutdated(f"{page} is not what the program says. Run: hovedbok docs errors.")
    if not check:
        page.write_text(text, "utf-8")
    click.echo(f"{page.name}: {len(entries)} problems{' are as written' if check else ''}.")


@docs_cli.command("tariff")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a page would change.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=DOCS,
              help="Where the pages are; docs by default.")  # fmt: skip
def tariff_command(*, check: bool, folder: Path) -> None:
    """Write what a tariff file may say: its JSON Schema, and the same as a page."""
    schema = tariff_schema()
    pages = {
        "tariff.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        "tariff.md": tariff_page(schema),
    }
    for name, text in pages.items():
        page = folder / name
        known = page.read_text("utf-8") if page.is_file() else ""
        if check and known != text:
            raise PageOutdated(f"{page} is not what the program says. Run: hovedbok docs tariff.")
        if not check:
            page.write_text(text, "utf-8")
    click.echo(f"{' and '.join(pages)}{' are as written' if check else ''}.")


def read_gallery(path: Path = GALLERY) -> dict[str, Example]:
    """Read the examples that the tests provoke, by the problem's code."""
    written = tomllib.loads(path.read_text("utf-8"))
    return {code: Example(**example) for code, example in written.items()}


def render_page(entries: Iterable[ProblemEntry], gallery: Mapping[str, Example]) -> str:
    """Lay out the page, room by room and by code.

    Raises `ValueError` where the gallery has an example of a problem that does not exist.
    """
    entries = list(entries)
    if strangers := gallery.keys() - {entry.code for entry in entries}:
        raise ValueError(f"The gallery shows problems that do not exist: {sorted(strangers)}.")
    order = list(ROOMS)
    entries.sort(key=lambda entry: (order.index(entry.room), entry.code))
    parts = [_HEAD]
    for room, of_room in groupby(entries, key=lambda entry: entry.room):
        parts.append(f"\n## {ROOMS[room]}\n")
        parts.extend(_section(entry, gallery.get(entry.code)) for entry in of_room)
    return "".join(parts)


def _section(entry: ProblemEntry, example: Example | None) -> str:
    lines = [
        f"\n### {entry.code}\n",
        f"**{entry.title}** · HTTP {entry.status} · exit status {EXIT_STATUS}\n",
        f"{entry.meaning}\n",
    ]
    if example is not None:
        how = f"`{example.command}`" if example.command else example.when
        lines.append(f"Example: {how}\n\n> {example.sentence}\n")
    elif entry.example:
        lines.append(f"Reads like: `{entry.example}`\n")
    return "\n".join(lines)
