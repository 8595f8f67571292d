"""What changed between two versions of a tariff, in words of products: which price, from, to.

Both are compared by what things are called, not by where they stand in the file: a rate by usage,
zone and band, a monthly price by its component. Fields are those of the frozen values, so that a
field which the tariff learns is compared from that day on.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from typing import Any

from rating.explain import kroner
from rating.phrases import Language
from rating.tariff_terms import (
    Allowance,
    Band,
    Component,
    Offering,
    OneOff,
    Rate,
    Recurring,
    Step,
    Tariff,
    Zone,
)

ADDED, REMOVED, CHANGED = "added", "removed", "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. An added or removed thing has no key where it is told as a whole."""

    kind: str  # added | removed | changed
    where: str  # such as "offering MOBIL-5GB, voice to NORWAY in band day"; empty is the tariff
    key: str  # as the file has it
    before: str
    after: str

    def sentence(self) -> str:
        """Write it for a product manager."""
        what = ": ".join(part for part in (self.where, self.key) if part)
        if self.kind == CHANGED:
            return f"{what} from {self.before} to {self.after}"
        value = self.after if self.kind == ADDED else self.before
        return f"{what} {self.kind}{f' ({value})' if value else ''}"

    def facts(self) -> dict[str, str]:
        """Give it as programs read it."""
        return {
            "kind": self.kind, "where": self.where, "key": self.key, "before": self.before,
            "after": self.after,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class TariffDiff:
    """All changes, and the day from which the later version has them."""

    before: str  # label
    after: str
    valid_from: date
    changes: tuple[Change, ...]


def tariff_diff(before: Tariff, after: Tariff, language: Language = "en") -> TariffDiff:
    """Compare two versions, or two tariffs; amounts are written as the language has them."""
    skip = {"name", "version", "valid_from"}
    changes = tuple(_fields("", before, after, language, skip))
    left, right = (f"{one.name}/{one.version}" for one in (before, after))
    return TariffDiff(left, right, after.valid_from, changes)


# What things are called in a tariff. What has no entry is known by its id, or by its place.
_NAMES: Mapping[type, Callable[[Any], str]] = {
    Zone: lambda zone: f"zone {zone.id}",
    Band: lambda band: f"band {band.id} at {_clock(band.from_second)}",
    Component: lambda component: f"component {component.id}",
    Offering: lambda offering: f"offering {offering.id}",
    Recurring: lambda month: f"monthly {month.component}",
    OneOff: lambda once: f"{once.component} on {once.on}",
    Allowance: lambda allowance: f"allowance {allowance.id}",
    Rate: lambda rate: f"{rate.usage} to {rate.zone}{f' in band {rate.band}' if rate.band else ''}",
    Step: lambda step: f"from {step.start} on",
}
# How a file calls a field, where it is not the field's own name without its unit.
_KEYS = {
    "from_second": "from", "setup_micro": "setup_fee", "start": "from", "whole_step": "step_mode",
    "zones": "zone", "bands": "band", "components": "component", "offerings": "offering",
    "allowances": "allowance", "rates": "rate", "steps": "step",
}  # fmt: skip


def _fields(
    where: str, before: Any, after: Any, language: Language, skip: AbstractSet[str] = frozenset()
) -> Iterator[Change]:
    for field in fields(before):
        if field.name in skip:
            continue
        left, right = getattr(before, field.name), getattr(after, field.name)
        key = _KEYS.get(field.name, field.name.removesuffix("_micro"))
        if _is_list_of_values(left) or _is_list_of_values(right):
            yield from _things(where, _named(left), _named(right), language)
        elif isinstance(left, tuple) and left != right:
            yield from _members(where, key, left, right)
        elif is_dataclass(left) and type(left) is type(right):
            yield from _fields(f"{where}, {key}" if where else key, left, right, language)
        elif left != right:
            said = [
                _said(field.name, value, owner, language)
                for value, owner in ((left, before), (right, after))
            ]
            yield Change(CHANGED, where, key, *said)


def _things(
    where: str, before: Mapping[str, Any], after: Mapping[str, Any], language: Language
) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        place = f"{where}, {name}" if where else name
        if name not in after:
            yield Change(REMOVED, place, "", _price_of(before[name], language), "")
        elif name not in before:
            yield Change(ADDED, place, "", "", _price_of(after[name], language))
        else:
            yield from _fields(place, before[name], after[name], language)


def _members(where: str, key: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[Change]:
    """Tell lists of plain values by what went and what came."""
    for value in before:
        if value not in after:
            yield Change(REMOVED, where, key, str(value), "")
    for value in after:
        if value not in before:
            yield Change(ADDED, where, key, "", str(value))
    if sorted(map(str, before)) == sorted(map(str, after)):
        yield Change(CHANGED, where, key, _listed(before), _listed(after))


def _named(values: Sequence[Any]) -> dict[str, Any]:
    """Name each value; the second of a name is told apart by its number."""
    seen: Counter[str] = Counter()
    found = {}
    for number, value in enumerate(values, 1):
        kind = type(value)
        unknown = f"{kind.__name__.lower()} {getattr(value, 'id', number)}"
        name = _NAMES[kind](value) if kind in _NAMES else unknown
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} ({seen[name]})"] = value
    return found


def _is_list_of_values(found: object) -> bool:
    return isinstance(found, tuple) and bool(found) and is_dataclass(found[0])


def _price_of(value: Any, language: Language) -> str:
    """Say the price of what came or went, where it has one."""
    if not hasattr(value, "price_micro"):
        return ""
    per = getattr(value, "per", None)
    return f"{kroner(value.price_micro, language)}{f' per {per}' if per else ''}"


def _said(name: str, value: Any, owner: Any, language: Language) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_micro") or (name == "quantity" and getattr(owner, "money", False)):
        return kroner(value, language)
    if name.endswith("_second"):
        return _clock(value)
    return _listed(value) if isinstance(value, tuple) else str(value)


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values)) or "none"


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}"
