"""Read tables of a parsed file key by key, remembering where each fault is.

A reader answers with a harmless value after a fault and goes on, so that all faults of a file are
told at once. Paths are written as `offering[2].rate[1].price`, counted from one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from ledger.money import MICRO_PER_UNIT
from rating.faults import Fault, did_you_mean

PRICE = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?", re.ASCII)
NAME = re.compile(r"[^\s\x00-\x1f](?:[^\x00-\x1f]{0,62}[^\s\x00-\x1f])?")
TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
REQUIRED: Any = object()
MAX_TEXT = 1_000  # characters of a text, and of a key


@dataclass(slots=True)
class Reader:
    """One table of the file; the readers of its sub-tables share its list of faults."""

    content: Mapping[str, Any]
    path: str = ""
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def fault(self, key: str, sentence: str) -> None:
        """Note a fault at a key of this table; the empty key is the table itself."""
        where = ".".join(part for part in (self.path, key) if part)
        self.faults.append(Fault(where, sentence))

    def refuse_unknown(self) -> None:
        """Note each key that nobody asked for, with the keys that are allowed."""
        for key in self.content:
            if key not in self.asked:
                near = did_you_mean(key, self.asked)
                self.fault(key, f"is not a key here; allowed are {', '.join(self.asked)}{near}")

    def exactly_one(self, one: str, other: str, sentence: str) -> None:
        """Note at `one` that neither of two keys is given, or both are."""
        if (one in self.content) == (other in self.content):
            self.fault(one, sentence)

    def at_least_one(self, one: str, other: str, sentence: str) -> None:
        """Note at the table that neither of two lists is given with something in it."""
        if not self.content.get(one) and not self.content.get(other):
            self.fault("", sentence)

    def text(self, key: str, default: Any = REQUIRED) -> Any:
        """Read a text that is not empty."""
        found = self.read(key, default)
        if _given_by(default, found) or (isinstance(found, str) and found.strip()):
            return found
        return self._wrong(key, found, "a text", "?")

    def name(self, key: str, default: Any = REQUIRED) -> Any:
        """Read an identifier: 1 to 64 characters without control characters."""
        found = self.read(key, default)
        if _given_by(default, found) or (isinstance(found, str) and NAME.fullmatch(found)):
            return found
        return self._wrong(key, found, "a name of 1 to 64 characters", "?")

    def choice(self, key: str, allowed: Sequence[str], default: Any = REQUIRED) -> Any:
        """Read one of some words."""
        found = self.read(key, default)
        if _given_by(default, found) or found in allowed:
            return found
        words = " or ".join(repr(word) for word in allowed)
        return self._wrong(key, found, words, allowed[0], allowed)

    def integer(self, key: str, lowest: int, highest: int, default: Any = REQUIRED) -> Any:
        """Read an integer of a range, both ends included."""
        found = self.read(key, default)
        if _given_by(default, found) or _within(found, lowest, highest):
            return found
        return self._wrong(key, found, f"an integer from {lowest} to {highest}", lowest)

    def flag(self, key: str, default: Any = REQUIRED) -> Any:
        """Read true or false."""
        found = self.read(key, default)
        return found if isinstance(found, bool) else self._wrong(key, found, "true or false", False)

    def day(self, key: str) -> date:
        """Read a date."""
        found = self.read(key, REQUIRED)
        if isinstance(found, date) and not isinstance(found, datetime):
            return found
        wrong: date = self._wrong(key, found, "a date such as 2026-01-01", date(2000, 1, 1))
        return wrong

    def days(self, key: str) -> tuple[date, ...]:
        """Read a list of dates; absent, there are none."""
        found = self.read(key, ())
        if isinstance(found, list | tuple) and all(
            isinstance(day, date) and not isinstance(day, datetime) for day in found
        ):
            return tuple(found)
        wrong: tuple[date, ...] = self._wrong(key, found, "a list of dates such as 2026-05-17", ())
        return wrong

    def optional_day(self, key: str) -> date | None:
        """Read a date that may be left out."""
        return self.day(key) if key in self.content else self.read(key, None)

    def time_of_day(self, key: str) -> int:
        """Read a time such as "08:00" as seconds of the day."""
        found = self.read(key, REQUIRED)
        match = TIME.fullmatch(found) if isinstance(found, str) else None
        if match is None:
            wrong: int = self._wrong(key, found, 'a time such as "08:00"', 0)
            return wrong
        return int(match[1]) * 3600 + int(match[2]) * 60

    def price(self, key: str, highest_micro: int, default: Any = REQUIRED) -> Any:
        """Read a price such as "0.89", at most six decimals, as millionths."""
        found = self.read(key, default)
        if _given_by(default, found):
            return found
        match = PRICE.fullmatch(found) if isinstance(found, str) else None
        micro = (
            int(match[1]) * MICRO_PER_UNIT + int((match[2] or "").ljust(6, "0")) if match else -1
        )
        if 0 <= micro <= highest_micro:
            return micro
        highest = highest_micro // MICRO_PER_UNIT
        allowed = f'a text such as "0.89", from 0 to {highest}, at most six decimals'
        if isinstance(found, float):
            allowed += "; computers round numbers with a point, so money is never one"
        return self._wrong(key, found, allowed, 0)

    def texts(self, key: str, pattern: str, allowed: str, default: Any) -> tuple[str, ...]:
        """Read a list of texts of one pattern."""
        found = self.read(key, default)
        if isinstance(found, list | tuple) and all(
            isinstance(text, str) and re.fullmatch(pattern, text, re.ASCII) for text in found
        ):
            return tuple(found)
        wrong: tuple[str, ...] = self._wrong(key, found, f"a list of {allowed}", ())
        return wrong

    def integers(self, key: str, lowest: int, highest: int, default: Any) -> tuple[int, ...]:
        """Read a list of integers of a range."""
        found = self.read(key, default)
        if isinstance(found, list | tuple) and all(_within(n, lowest, highest) for n in found):
            return tuple(found)
        allowed = f"a list of integers from {lowest} to {highest}"
        wrong: tuple[int, ...] = self._wrong(key, found, allowed, tuple(default))
        return wrong

    def one_or_more(self, key: str) -> tuple[str, ...]:
        """Read a name or a list of names."""
        found = self.read(key, REQUIRED)
        names = [found] if isinstance(found, str) else found
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            return tuple(names)
        wrong: tuple[str, ...] = self._wrong(key, found, "a name or a list of names", ())
        return wrong

    def tables(self, key: str) -> list["Reader"]:
        """Read a list of tables, written as [[key]]."""
        found = self.read(key, [])
        if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
            self._wrong(key, found, f"a list of tables, [[{key}]]", None)
            return []
        prefix = f"{self.path}.{key}" if self.path else key
        return [
            Reader(table, f"{prefix}[{number}]", self.faults)
            for number, table in enumerate(found, 1)
        ]

    def read(self, key: str, default: Any) -> Any:
        """Give what a key holds, as it was parsed; every other way of reading asks here."""
        self.asked.append(key)
        return self.content.get(key, default)

    def _wrong(
        self, key: str, found: Any, allowed: str, instead: Any, words: Sequence[str] = ()
    ) -> Any:
        missing = found is REQUIRED
        got = "it is missing" if missing else f"got {found!r}{did_you_mean(found, words)}"
        self.fault(key, f"needs {allowed}; {got}")
        return instead


def _given_by(default: object, found: object) -> bool:
    return found is default and default is not REQUIRED


def _within(found: object, lowest: int, highest: int) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and lowest <= found <= highest
