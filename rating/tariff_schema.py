"""The JSON Schema of the tariff file, made by asking the questions that reading it asks.

Nothing here knows a key: `tariff_of` is run over a reader that answers harmlessly and notes how it
was asked. So a key that reading learns is in the schema, and one that it forgets is gone.

The schema says what a schema can: keys, types, ranges, patterns, defaults. Names that must exist
elsewhere in the file, things said twice and prices that contradict themselves are found by reading
alone. What reading accepts, the schema accepts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ledger.money import MICRO_PER_UNIT
from rating.reading import MAX_TEXT, NAME, PRICE, REQUIRED, TIME, Reader
from rating.tariff_file import tariff_of
from rating.tariff_keys import MEANINGS
from rating.tariff_terms import FORMAT

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DAY: Mapping[str, Any] = {
    "type": "string",
    "format": "date",
    "pattern": r"^\d{4}-\d{2}-\d{2}$",
    "examples": ["2026-01-01"],
}


def tariff_schema() -> dict[str, Any]:
    """Give the schema, draft 2020-12, of a tariff file as TOML or JSON holds it; dates are text."""
    root = _Describer({})
    tariff_of(root)
    return {
        "$schema": DRAFT,
        "$id": f"urn:{FORMAT.replace('/', ':')}",
        "title": f"Tariff file, {FORMAT}",
        **root.schema(),
    }


@dataclass(slots=True)
class _Describer(Reader):
    """A reader of nothing, which notes what every key must be."""

    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    tables_of: dict[str, "_Describer"] = field(default_factory=dict)

    def schema(self) -> dict[str, Any]:
        """Give the schema of this table, with those of its tables inside.

        Raises `LookupError` for a key that is asked for in a way this class does not know.
        """
        if unknown := [key for key in self.asked if key not in self.keys]:
            raise LookupError(f"{type(self).__name__} cannot describe {self.path} {unknown}.")
        for key, table in self.tables_of.items():
            self.keys[key]["items"] = table.schema()
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": self.keys,
            "required": self.required,
            **({"allOf": self.rules} if self.rules else {}),
        }

    def _key(self, key: str, default: Any, **kind: Any) -> None:
        self.read(key, default)
        path = f"{self.path}.{key}" if self.path else key
        meaning = {"description": MEANINGS[path]} if path in MEANINGS else {}
        known = default is not REQUIRED and default not in (None, ())
        shown = {"default": _plain(default)} if known else {}
        self.keys[key] = {**meaning, **kind, **shown}
        if default is REQUIRED:
            self.required.append(key)

    def refuse_unknown(self) -> None:
        """Every key is known here."""

    def exactly_one(self, one: str, other: str, sentence: str) -> None:
        """One of two keys."""
        del sentence
        self.rules.append({"oneOf": [{"required": [one]}, {"required": [other]}]})

    def at_least_one(self, one: str, other: str, sentence: str) -> None:
        """One of two lists, or both."""
        del sentence
        filled = [{"required": [key], "properties": {key: {"minItems": 1}}} for key in (one, other)]
        self.rules.append({"anyOf": filled})

    def text(self, key: str, default: Any = REQUIRED) -> Any:
        """Text."""
        self._key(key, default, type="string", pattern=r"\S", maxLength=MAX_TEXT)
        return "?"

    def name(self, key: str, default: Any = REQUIRED) -> Any:
        """A name."""
        self._key(key, default, type="string", pattern=f"^(?:{NAME.pattern})$")
        return "?"

    def choice(self, key: str, allowed: Sequence[str], default: Any = REQUIRED) -> Any:
        """One of some words."""
        self._key(key, default, type="string", enum=[str(word) for word in allowed])
        return allowed[0]

    def integer(self, key: str, lowest: int, highest: int, default: Any = REQUIRED) -> Any:
        """An integer of a range."""
        self._key(key, default, type="integer", minimum=lowest, maximum=highest)
        return lowest

    def flag(self, key: str, default: Any = REQUIRED) -> Any:
        """True or false."""
        self._key(key, default, type="boolean")
        return False

    def day(self, key: str) -> date:
        """A date."""
        self._key(key, REQUIRED, **_DAY)
        return date(2000, 1, 1)

    def days(self, key: str) -> tuple[date, ...]:
        """Dates."""
        self._key(key, (), type="array", items=dict(_DAY))
        return ()

    def optional_day(self, key: str) -> date | None:
        """Perhaps a date."""
        self._key(key, None, **_DAY)
        return None

    def time_of_day(self, key: str) -> int:
        """A time of the day."""
        pattern = f"^(?:{TIME.pattern})$"
        self._key(key, REQUIRED, type="string", pattern=pattern, examples=["08:00"])
        return 0

    def price(self, key: str, highest_micro: int, default: Any = REQUIRED) -> Any:
        """An amount as text; how high it may be is said, for a pattern cannot compare."""
        written = default
        if default is not REQUIRED and default is not None:
            whole, rest = divmod(default, MICRO_PER_UNIT)
            written = f"{whole}.{rest:06}" if rest else str(whole)
        pattern = f"^(?:{PRICE.pattern})$"
        self._key(key, written, type="string", pattern=pattern, examples=["0.89"])
        highest = highest_micro // MICRO_PER_UNIT
        said = self.keys[key].get("description", "")
        self.keys[key]["description"] = f"{said} At most {highest}.".strip()
        return 0

    def texts(self, key: str, pattern: str, allowed: str, default: Any) -> tuple[str, ...]:
        """Texts of one pattern."""
        del allowed
        items = {"type": "string", "pattern": f"^(?:{pattern})$"}
        self._key(key, default, type="array", items=items)
        return ()

    def integers(self, key: str, lowest: int, highest: int, default: Any) -> tuple[int, ...]:
        """Integers of a range."""
        items = {"type": "integer", "minimum": lowest, "maximum": highest}
        self._key(key, default, type="array", items=items)
        return tuple(default)

    def one_or_more(self, key: str) -> tuple[str, ...]:
        """A name or some."""
        items = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        self._key(key, REQUIRED, anyOf=[{"type": "string"}, items])
        return ("?",)

    def tables(self, key: str) -> list[Reader]:
        """Tables, of which one is asked for all."""
        path = f"{self.path}.{key}" if self.path else key
        self._key(key, (), type="array")
        self.tables_of[key] = _Describer({}, path)
        return [self.tables_of[key]]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, str) else value
