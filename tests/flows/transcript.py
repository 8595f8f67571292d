"""Pages whose console blocks are run: what they say must be what the commands print.

A block starts with ```` ```console ````. A line `$ command` is given to bash, lines `> more` go on
with it, and the lines up to the next `$` are its standard output. `…` within a line stands for
whatever varies there; a line of `…` alone stands for any number of lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff

ELLIPSIS = "…"
NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Step:
    """One command of a page, the output the page shows, and the line it stands on."""

    command: str
    output: str
    line: int


def steps(page: str) -> Iterator[Step]:
    """Give the commands of a page's console blocks in order."""
    command: list[str] = []
    output: list[str] = []
    inside, at = False, 0
    for number, line in enumerate(page.splitlines(), 1):
        opens, closes = line == "```console", inside and line == "```"
        if command and (closes or (inside and line.startswith("$ "))):
            yield Step("\n".join(command), "\n".join(output), at)
            command, output = [], []
        if opens or closes:
            inside = opens
        elif inside and line.startswith("$ "):
            command, at = [line[2:]], number
        elif inside and command and line.startswith("> ") and not output:
            command.append(line[2:])
        elif inside:
            output.append(line)


def fits(shown: str, printed: str) -> bool:
    """Tell whether what was printed is what the page shows."""
    pattern = ""
    for line in _lines(shown):
        if line.strip() == ELLIPSIS:
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*?".join(map(re.escape, line.split(ELLIPSIS))) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _lines(printed))) is not None


def difference(shown: str, printed: str) -> str:
    """Lay out what the page shows (-) and what was printed (+)."""
    return "\n".join(unified_diff(_lines(shown), _lines(printed), "page", "printed", lineterm=""))


def _lines(text: str) -> list[str]:
    # Thousands are kept together by a space that does not break; on a page it is a space.
    plain = text.replace(NO_BREAK, " ").strip("\n")
    return [line.rstrip() for line in plain.split("\n")]
