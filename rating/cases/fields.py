"""Reading the fields of a case: each fault names its place with a JSON pointer.

`Fields` wraps one object of a case. `Noted` is the dictionary cases are read into: it remembers
which of its keys were looked at, so that a misspelt field can be pointed out.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any, TypeVar

from ledger.errors import Invalid
from rating.cases.numbers import Figure, parse_figure
from rating.rounding import Mode, Rounding

MAX_SCALE = 30
T = TypeVar("T")
_NEEDED: Any = object()


class Noted(dict[str, Any]):
    """A JSON object that remembers which of its keys were looked at, and one that it has twice."""

    def __init__(self, *pairs: Any) -> None:
        super().__init__(*pairs)
        self.seen: set[str] = set()
        self.twice: str | None = None

    def __getitem__(self, key: str) -> Any:
        self.seen.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Look a key up."""
        self.seen.add(key)
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:
        self.seen.update(self.keys())
        return super().__iter__()

    def items(self) -> Any:
        """Look at all keys."""
        self.seen.update(self.keys())
        return super().items()


def unread(value: object, pointer: str) -> list[str]:
    """Give the pointers of the fields nobody looked at, inside `value`."""
    if isinstance(value, Noted):
        found = []
        for key in value.keys():  # noqa: SIM118 - iterating would count as looking
            inside = dict.__getitem__(value, key)
            place = f"{pointer}/{escape(key)}"
            found += unread(inside, place) if key in value.seen else [place]
        return found
    if isinstance(value, list):
        return [
            place
            for number, item in enumerate(value)
            for place in unread(item, f"{pointer}/{number}")
        ]
    return []


def doubled(value: object, pointer: str = "") -> str | None:
    """Give the pointer of the first key that an object inside `value` has twice."""
    if isinstance(value, Noted):
        if value.twice is not None:
            return f"{pointer}/{escape(value.twice)}"
        inside = [(escape(key), dict.__getitem__(value, key)) for key in dict.keys(value)]
    elif isinstance(value, list):
        inside = [(str(number), item) for number, item in enumerate(value)]
    else:
        return None
    found = (doubled(item, f"{pointer}/{place}") for place, item in inside)
    return next((place for place in found if place is not None), None)


def escape(key: str) -> str:
    """Write a key as a part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


class Fields:
    """The fields of one object of a case, each read with its type; null counts as absent."""

    def __init__(self, value: object, pointer: str = "/given") -> None:
        self.pointer = pointer
        if not isinstance(value, dict):
            raise self.fault("", "needs an object")
        self.value: dict[str, Any] = value

    def fault(self, name: str, what: str) -> Invalid:
        """Make a refusal that names the field, or the object itself where the name is empty."""
        place = f"{self.pointer}/{escape(name)}" if name else self.pointer
        return Invalid(f"{place} {what}.", pointer=place)

    def has(self, name: str) -> bool:
        """Say whether a field is there and not null."""
        return self.value.get(name) is not None

    def _read(self, name: str, read: Callable[[Any], T], default: T) -> T:
        value = self.value.get(name)
        if value is None:
            if default is _NEEDED:
                raise self.fault(name, "is missing")
            return default
        try:
            return read(value)
        except Invalid as fault:
            raise fault if "pointer" in fault.facts else self.fault(name, str(fault)) from None

    def number(self, name: str, default: Figure = _NEEDED) -> Figure:
        """Read a decimal."""
        return self._read(name, parse_figure, default)

    def optional(self, name: str) -> Figure | None:
        """Read a decimal that may be absent."""
        return self._read(name, parse_figure, None)

    def positive(self, name: str, default: Figure = _NEEDED) -> Figure:
        """Read a decimal above zero."""
        found = self.number(name, default)
        if found.digits <= 0:
            raise self.fault(name, "must be above zero")
        return found

    def not_negative(self, name: str, default: Figure = _NEEDED) -> Figure:
        """Read a decimal that is zero or above."""
        found = self.number(name, default)
        if found.digits < 0:
            raise self.fault(name, "must not be negative")
        return found

    def whole(self, name: str, default: int = _NEEDED) -> int:
        """Read a whole number."""
        return self._read(name, _whole, default)

    def within(self, name: str, lowest: int, highest: int, default: int = _NEEDED) -> int:
        """Read a whole number of a range, both ends included."""
        found = self.whole(name, default)
        if not lowest <= found <= highest:
            raise self.fault(name, f"must be from {lowest} to {highest}")
        return found

    def text(self, name: str, default: str = _NEEDED) -> str:
        """Read a text."""
        return self._read(name, _text, default)

    def choice(self, name: str, allowed: tuple[str, ...], default: str = _NEEDED) -> str:
        """Read one of some words."""
        found = self.text(name, default)
        if found not in allowed:
            raise self.fault(name, f"is {found!r}; allowed are {', '.join(allowed)}")
        return found

    def flag(self, name: str, *, default: bool) -> bool:
        """Read true or false."""
        return self._read(name, _flag, default)

    def day(self, name: str) -> date:
        """Read a date."""
        found: date = self._read(name, _day, _NEEDED)
        return found

    def moment(self, name: str, default: datetime | None = _NEEDED) -> datetime | None:
        """Read a local date-time without zone."""
        return self._read(name, _moment, default)

    def rounding(self, name: str = "rounding", default: Rounding | None = None) -> Rounding | None:
        """Read {mode, scale}; absent, nothing is rounded."""
        if not self.has(name):
            return default
        inside = self.object(name)
        mode = inside.choice("mode", tuple(Mode))
        scale = inside.whole("scale")
        if abs(scale) > MAX_SCALE:
            raise inside.fault("scale", f"must be between {-MAX_SCALE} and {MAX_SCALE}")
        return Rounding(Mode(mode), scale)

    def needed_rounding(self) -> Rounding:
        """Read a rounding that must be there."""
        found = self.rounding()
        if found is None:
            raise self.fault("rounding", "is missing")
        return found

    def amounts(self, name: str) -> list[Figure]:
        """Read a list of decimals, or of objects that carry an amount."""
        if any(not isinstance(value, dict) for _, value in self.items(name)):
            return self.numbers(name)
        return [item.number("amount") for item in self.objects(name)]

    def object(self, name: str) -> "Fields":
        """Read an object that must be there."""
        if not self.has(name):
            raise self.fault(name, "is missing")
        return Fields(self.value[name], f"{self.pointer}/{escape(name)}")

    def optional_object(self, name: str) -> "Fields | None":
        """Read an object that may be absent."""
        return self.object(name) if self.has(name) else None

    def items(self, name: str, *, needed: bool = True) -> list[tuple[str, Any]]:
        """Read a list: the pointer and the value of each item."""
        value = self.value.get(name)
        if value is None and not needed:
            return []
        if value is None:
            raise self.fault(name, "is missing")
        if not isinstance(value, list):
            raise self.fault(name, "needs a list")
        place = f"{self.pointer}/{escape(name)}"
        return [(f"{place}/{number}", item) for number, item in enumerate(value)]

    def objects(self, name: str, *, needed: bool = True) -> "list[Fields]":
        """Read a list of objects."""
        return [Fields(value, place) for place, value in self.items(name, needed=needed)]

    def numbers(self, name: str, *, needed: bool = True) -> list[Figure]:
        """Read a list of decimals."""
        return [_figure(place, value) for place, value in self.items(name, needed=needed)]

    def numbers_or(self, name: str, absent: list[Figure]) -> list[Figure]:
        """Read a list of decimals, as long as another one that stands in where an item is null."""
        items = self.items(name)
        if len(items) != len(absent):
            raise self.fault(name, f"has {len(items)} items; {len(absent)} are needed")
        return [
            other if value is None else _figure(place, value)
            for (place, value), other in zip(items, absent, strict=True)
        ]


def _figure(place: str, value: object) -> Figure:
    try:
        return parse_figure(value)
    except Invalid as fault:
        raise Invalid(f"{place} {fault}.", pointer=place) from None


def _whole(value: object) -> int:
    figure = parse_figure(value)
    if figure.decimals:
        raise Invalid(f"needs a whole number; got {value!r}")
    return figure.digits


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"needs a text; got {value!r:.40}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise Invalid(f"needs true or false; got {value!r:.40}")
    return value


def _day(value: object) -> date:
    try:
        return date.fromisoformat(_text(value))
    except ValueError:
        raise Invalid(f"needs a date such as 2026-03-01; got {value!r:.40}") from None


def _moment(value: object) -> datetime:
    try:
        found = datetime.fromisoformat(_text(value))
    except ValueError:
        raise Invalid(f"needs a time such as 2026-03-01T12:00:00; got {value!r:.40}") from None
    if found.tzinfo is not None:
        raise Invalid(f"needs a local time without zone; got {value!r:.40}")
    return found
