"""What is wrong with a file: the line, the key, and what would be right there."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

# A place such as offering[2].rate[1].price, tables counted from one.
_PLACE = re.compile(r"[a-z_]\w*(?:\[\d+\])?(?:\.\w+(?:\[\d+\])?)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. The empty key is the file as a whole."""

    key: str
    sentence: str
    line: int | None = None  # None where nothing of it is in the file: a key that is missing

    def __str__(self) -> str:
        """Write it as people read it: line, key, what is wrong."""
        line = f"line {self.line}: " if self.line else ""
        return f"{line}{self.key}: {self.sentence}" if self.key else f"{line}{self.sentence}"

    def facts(self) -> dict[str, object]:
        """Give it as programs read it."""
        return {"line": self.line, "key": self.key, "detail": self.sentence}


def read_fault(written: str) -> Fault:
    """Part a sentence such as `zone[1].id: is missing` into its key and what is said of it."""
    key, colon, sentence = written.partition(": ")
    return Fault(key, sentence) if colon and _PLACE.fullmatch(key) else Fault("", written)


def placed(fault: Fault, lines: Mapping[str, int]) -> Fault:
    """Find the line of a fault: that of its key, else that of the table it is missing in."""
    key = fault.key
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return replace(fault, line=lines.get(key))


def did_you_mean(written: object, known: Iterable[str]) -> str:
    """Suggest the nearest of the words that are allowed; nothing where none is near.

    >>> did_you_mean("incremnt", ("price", "per", "increment"))
    ' (did you mean increment?)'
    """
    near = difflib.get_close_matches(str(written), sorted(set(known)), 1, 0.6)
    return f" (did you mean {near[0]}?)" if near else ""
